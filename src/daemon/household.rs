//! What stands behind the control API: the running daemon.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::events::Events;
use super::explain::{explain, origin_of};
use super::family::Families;
use super::lists::{list_states, list_summary};
use super::newcomers::Newcomers;
use super::search::search_lists;
use super::updates::Updates;
use crate::certificate::Certificates;
use crate::clock::{Clock, Moment};
use crate::config::{self, Config, DeviceMatch};
use crate::control::{
    Boxed, ControlError, DeviceRequest, ExplainRequest, Household, InviteQuery, ListUpdateRequest,
    api,
};
use crate::device::{Who, Witness};
use crate::evidence::leases::{LeaseFile, Leases};
use crate::evidence::{Condition, State};
use crate::files::Files;
use crate::journal::{Journal, LogFilter, LogPage, Top};
use crate::listener::encrypted::Closed;
use crate::lists::Index;
use crate::logging::Logging;
use crate::name::NameBuf;
use crate::profile::Profile;
use crate::reload::{Reloader, Report, list_troubles};
use crate::resolve::Resolver;
use crate::snapshot::Snapshot;
use crate::upstream::{Health, ServerStatus};

/// The running daemon, as the control API sees it.
#[derive(Debug)]
pub struct Daemon {
    pub(super) resolver: Arc<Resolver>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) journal: Arc<Journal>,
    pub(super) updates: Updates,
    pub(super) clock: Clock,
    pub(super) started: Moment,
    pub(super) listeners: Vec<api::Listener>,
    /// Doors of encrypted DNS that are closed for a while.
    pub(super) closed: Option<Arc<Closed>>,
    pub(super) workers: usize,
    pub(super) logging: Logging,
    /// What the household said for a while, and what is used of its quotas.
    pub(super) families: Arc<Families>,
    /// The certificate of encrypted DNS.
    pub(super) certificates: Arc<Certificates>,
    /// Where encrypted DNS is listened for, with the ports that the system chose.
    pub(super) encrypted: config::Encrypted,
    /// Those nobody named.
    pub(super) newcomers: Newcomers,
    /// Where others hear what happens in the home.
    pub(super) events: Events,
    /// Held while the devices file is changed.
    pub(super) editing: Mutex<()>,
    /// Told after every reload, whoever asked for it.
    pub(super) reloaded: tokio::sync::Notify,
    /// Told when a reload is due that nobody asks for: on a birthday that changes what holds, or where the
    /// compiled lists can no longer be read.
    pub(super) due: tokio::sync::Notify,
    /// What went wrong at the start without stopping it.
    pub(super) start_warnings: Vec<String>,
    /// Whether the kernel's neighbour table is followed.
    pub(super) neighbour_table: Condition,
    /// What DHCP servers and `/etc/ethers` say.
    pub(super) leases: Arc<Leases>,
}

impl Daemon {
    /// Whether the kernel's neighbour table is to be followed.
    pub(super) fn wants_neighbours(&self) -> bool {
        self.resolver.snapshot().config.identity.neighbours
    }

    /// Reads configuration and lists again, and says in the log what came of it.
    pub fn reload_now(&self) -> Report {
        self.reload_saying(Reloader::reload, "nothing changed")
    }

    /// What happens in the home, for who wants to hear of it.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// The same right after the start, for what changed while nobody watched.
    pub(super) fn catch_up(&self) {
        drop(self.reload_saying(Reloader::catch_up, "nothing was missed"));
    }

    fn reload_saying(
        &self,
        reload: impl FnOnce(&Reloader, &Resolver) -> Report,
        nothing: &str,
    ) -> Report {
        let before = self.resolver.snapshot();
        // What was said of the lists the last time need not be said again.
        let mut told = self.reloader.shelf_warnings();
        told.extend(list_troubles(&before.lists));
        let report = reload(&self.reloader, &self.resolver);
        let after = self.resolver.snapshot();
        self.forget_what_became_private(&before, &after);
        let config = Arc::clone(&after.config);
        self.journal.set_max_bytes(config.journal.max_bytes);
        self.logging.set_level(config.log.level);
        self.updates.follow(&config);
        self.updates
            .doubt(downloads_in_trouble(&config, &after.lists));
        self.leases.follow(&config.identity);
        self.follow_firewall(Some(&before.config), &config);
        self.tend_certificate();
        self.reloaded.notify_one();
        for diagnostic in &report.diagnostics {
            if diagnostic.is_error() {
                tracing::error!(mistake = diagnostic.one_line(), "configuration");
            } else {
                tracing::warn!(oddity = diagnostic.one_line(), "configuration");
            }
        }
        let news = report.warnings.iter().filter(|it| !told.contains(it));
        for warning in news.chain(&report.restart_needed) {
            tracing::warn!(warning, "reload");
        }
        if !report.ok {
            tracing::error!("the new configuration has errors; the one before stays in force");
        } else if report.changes.is_empty() {
            tracing::debug!(generation = report.generation, "{nothing}");
        } else {
            tracing::info!(
                generation = report.generation,
                changes = report.changes.join("; "),
                took_ms = report.took.as_millis() as u64,
                "reloaded"
            );
        }
        report
    }

    /// What was remembered under a looser setting does not outlive it.
    fn forget_what_became_private(&self, before: &Snapshot, after: &Snapshot) {
        let kept = |snapshot: &Snapshot, name: &str| {
            snapshot.profile_of(snapshot.devices.find(name)).privacy
        };
        for device in &before.config.devices {
            if kept(after, &device.name) > kept(before, &device.name) {
                self.journal.forget(Some(&device.name));
            }
        }
        let guest = |snapshot: &Snapshot| {
            let profile = snapshot.profile_of(None);
            (profile.name, profile.privacy)
        };
        let ((name, then), (_, now)) = (guest(before), guest(after));
        if now > then {
            self.journal.forget(Some(name));
        }
    }

    /// What devices are told apart by, and what of it is missing.
    fn evidence(&self, snapshot: &Snapshot) -> Vec<api::Evidence> {
        let neighbours = snapshot.devices.neighbours();
        let (state, detail) = match self.neighbour_table.get() {
            State::Works => {
                let count = neighbours.count_of(Witness::Kernel);
                ("works", format!("{count} addresses with a MAC address"))
            }
            State::Off => ("off", "by `identity.neighbours`".to_owned()),
            State::Missing(why) => ("missing", format!("the kernel does not tell it: {why}")),
        };
        let kernel = api::Evidence {
            name: Witness::Kernel.label().to_owned(),
            state: state.to_owned(),
            detail,
        };
        let files = self.leases.seen();
        std::iter::once(kernel)
            .chain(files.iter().map(lease_file_text))
            .collect()
    }

    fn warnings(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut warnings = self.start_warnings.clone();
        warnings.extend(self.reloader.oddities());
        let shelf = self.reloader.shelf_warnings();
        if !self.reloader.lists_are_current() && shelf.is_empty() {
            warnings.push("the lists in force are those of the last run".to_owned());
        }
        warnings.extend(shelf);
        warnings.extend(list_troubles(&snapshot.lists));
        warnings.extend(self.shared_macs(snapshot));
        warnings.extend(self.out_of_sight(snapshot));
        warnings.extend(self.announcements(&snapshot.config));
        warnings.extend(self.families.clock_doubt());
        warnings.extend(snapshot.upstream.network().map(|it| it.advice()));
        warnings.extend(self.certificate_warning());
        warnings.extend(self.closed.iter().flat_map(|it| it.warnings()));
        let refused = &self.resolver.refused().last_foreign;
        if let Some(client) = *refused.lock().unwrap_or_else(PoisonError::into_inner) {
            warnings.push(format!(
                "queries from outside the ranges that are served were refused, the last from \
                 {client}; if that is your home, add its prefix to `server.serve`"
            ));
        }
        let void = self.resolver.refused().void_claims.load(Ordering::Relaxed);
        if void > 0 {
            warnings.push(format!(
                "{void} queries of a forwarder were a guest's, since they named their client in two \
                 ways or in one that cannot be read, or were signed or padded so that none could be \
                 named: does it overwrite what its clients write (dnsmasq: `strip-mac`)?"
            ));
        }
        let egress = self.resolver.egress();
        // A restart of the router takes it away, and so does `nft flush ruleset`.
        if !snapshot.config.firewall.interfaces.is_empty() && egress.has_table() == Some(false) {
            warnings.push(
                "the firewall's table is not in place: `hedgerow firewall apply` puts it there"
                    .to_owned(),
            );
        }
        let closed = egress.failures();
        if closed > 0 {
            warnings.push(format!(
                "{closed} answers to devices with `pinned-egress` opened nothing, since the firewall's \
                 table could not be changed: is it in place (`hedgerow firewall apply`), and may the \
                 daemon change it (CAP_NET_ADMIN)?"
            ));
        }
        if let Some(report) = self.reloader.last_report() {
            if !report.ok {
                warnings.push(
                    "the configuration on disk has errors; the one before is in force \
                     (`hedgerow check` shows them)"
                        .to_owned(),
                );
            }
            warnings.extend(report.restart_needed);
        }
        warnings
    }
}

/// Lists that are downloaded and whose copies cannot be used.
fn downloads_in_trouble(config: &Config, lists: &Index) -> Vec<String> {
    let in_trouble = |list: &&config::List| {
        let info = lists.find(&list.id).map(|id| lists.list(id));
        let is_used = info.is_some_and(|info| info.failure.is_none() && info.stale.is_none());
        list.download.is_some() && !is_used
    };
    let lists = config.lists.iter().filter(in_trouble);
    lists.map(|list| list.id.clone()).collect()
}

impl Household for Arc<Daemon> {
    fn status(&self) -> api::Status {
        let snapshot = self.resolver.snapshot();
        let refused = self.resolver.refused();
        let totals = self.journal.totals();
        let cache = &snapshot.cache;
        let looked_up = self.resolver.cache_look_ups();
        api::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.clock.now().since(self.started).as_secs(),
            config: self.reloader.source().label(),
            config_generation: snapshot.generation,
            last_reload: self.reloader.last_report().map(report_text),
            listeners: self.listeners.clone(),
            encrypted: self.encrypted_text(),
            workers: u32::try_from(self.workers).unwrap_or(u32::MAX),
            totals,
            in_flight: snapshot.upstream.told_questions() as u64,
            rate_limited: refused.limited.load(Ordering::Relaxed),
            refused_clients: refused.foreign.load(Ordering::Relaxed),
            void_claims: refused.void_claims.load(Ordering::Relaxed),
            cache: api::CacheStatus {
                entries: cache.len() as u64,
                bytes: cache.bytes(),
                max_bytes: cache.settings().max_bytes,
                hits: looked_up.hits,
                misses: looked_up.misses,
            },
            dnssec: snapshot.upstream.checks().map(|checks| api::DnssecStatus {
                secure: checks.secure,
                insecure: checks.insecure,
                bogus: checks.bogus,
                signatures: checks.signatures,
                elsewhere: checks.elsewhere,
            }),
            devices: self.device_summary(&snapshot),
            lists: list_summary(&snapshot.lists),
            upstreams: snapshot
                .upstream
                .status()
                .iter()
                .map(upstream_text)
                .collect(),
            evidence: self.evidence(&snapshot),
            journal_bytes: self.journal.memory_bytes() as u64,
            memory_rss_bytes: resident_bytes(),
            warnings: self.warnings(&snapshot),
        }
    }

    fn explain(
        &self,
        request: ExplainRequest,
    ) -> Boxed<'_, Result<api::Explanation, ControlError>> {
        let snapshot = self.resolver.snapshot();
        Box::pin(async move {
            let now = self.clock.now();
            if let Some(origin) = origin_of(&snapshot.devices, &request.asker)
                && snapshot.devices.identify(&origin, None) == Who::Unseen
            {
                let neighbours = snapshot.devices.neighbours();
                neighbours.ask(origin.client, origin.interface).await;
            }
            let families = Arc::clone(&self.families);
            let done = tokio::task::spawn_blocking(move || {
                let standings = match request.at {
                    Some(time) => families.standings_at(&snapshot, now, time),
                    None => snapshot.standings.load_full(),
                };
                let mut told = explain(&snapshot, standings, &Files::disk(), &request, now)?;
                let doubt = families.clock_doubt();
                told.notes.extend(doubt.filter(|_| request.at.is_none()));
                Ok(told)
            })
            .await;
            done.unwrap_or_else(|error| {
                Err(ControlError::unavailable(
                    format!("the explanation broke off: {error}"),
                    "",
                ))
            })
        })
    }

    fn devices(&self) -> Vec<api::Device> {
        self.device_texts()
    }

    fn new_devices(&self) -> Vec<api::NewDevice> {
        self.new_device_texts()
    }

    fn change_device(
        &self,
        request: DeviceRequest,
    ) -> Boxed<'_, Result<api::DeviceChange, ControlError>> {
        let daemon = Self::clone(self);
        Box::pin(async move {
            let changing = move || daemon.edit_devices(&request);
            let done = tokio::task::spawn_blocking(changing).await;
            done.unwrap_or_else(|error| {
                let text = format!("the change broke off: {error}");
                Err(ControlError::unavailable(text, ""))
            })
        })
    }

    fn invite(&self, query: InviteQuery) -> Boxed<'_, Result<api::Invitation, ControlError>> {
        let daemon = Self::clone(self);
        Box::pin(async move {
            let inviting = move || daemon.invite_device(&query);
            let done = tokio::task::spawn_blocking(inviting).await;
            done.unwrap_or_else(|error| {
                let text = format!("the invitation broke off: {error}");
                Err(ControlError::unavailable(text, ""))
            })
        })
    }

    fn profiles(&self) -> Vec<api::Profile> {
        let snapshot = self.resolver.snapshot();
        let config = &snapshot.config;
        let profiles = config.profiles.iter();
        profiles
            .map(|profile| self.profile_text(config, profile))
            .collect()
    }

    fn lists(&self) -> Vec<api::List> {
        let snapshot = self.resolver.snapshot();
        let now = self.clock.wall();
        let infos = snapshot.lists.lists().map(|(_, info)| info);
        list_states(&snapshot.config, infos, now, |id| self.updates.state_of(id))
    }

    fn search_lists(&self, name: NameBuf) -> Boxed<'_, Result<api::ListSearch, ControlError>> {
        let snapshot = self.resolver.snapshot();
        Box::pin(async move {
            let searching = move || {
                let index = Some(&*snapshot.lists);
                search_lists(&snapshot.config, index, &Files::disk(), name.as_ref())
            };
            let done = tokio::task::spawn_blocking(searching).await;
            done.map_err(|error| {
                ControlError::unavailable(format!("the search broke off: {error}"), "")
            })
        })
    }

    fn update_lists(
        &self,
        request: ListUpdateRequest,
    ) -> Boxed<'_, Result<api::ListUpdateReport, ControlError>> {
        let daemon = Self::clone(self);
        Box::pin(async move {
            let update = move || daemon.update_lists_now(&request);
            let done = tokio::task::spawn_blocking(update).await;
            done.unwrap_or_else(|error| {
                let text = format!("the update broke off: {error}");
                Err(ControlError::unavailable(text, ""))
            })
        })
    }

    fn log(&self, after: Option<u64>, limit: usize, filter: &LogFilter) -> LogPage {
        self.journal.log(after, limit, filter)
    }

    fn top(&self, limit: usize) -> Top {
        self.journal.top(limit)
    }

    fn flush_cache(&self) -> api::Flushed {
        let entries = self.resolver.snapshot().cache.flush();
        tracing::info!(entries, "cache flushed");
        api::Flushed {
            entries: entries as u64,
        }
    }

    fn reload(&self) -> Boxed<'_, api::ReloadReport> {
        let daemon = Self::clone(self);
        // A disk may be slow; the thread that serves this door is not made to wait for it.
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || report_text(daemon.reload_now())).await;
            done.unwrap_or_else(|error| api::ReloadReport {
                errors: vec![format!("the reload broke off: {error}")],
                ..api::ReloadReport::default()
            })
        })
    }

    fn not_ready(&self) -> Vec<String> {
        let snapshot = self.resolver.snapshot();
        let failed = failed_lists(&snapshot).into_iter();
        failed
            .map(|id| format!("list `{id}` is not loaded"))
            .collect()
    }
}

/// The profiles `profile` inherits from, the nearest first, as far as the names tell.
pub(super) fn lineage(snapshot: &Snapshot, profile: &Profile) -> Vec<String> {
    let configured = &snapshot.config.profiles[usize::from(profile.id)];
    configured.lineage.clone()
}

fn failed_lists(snapshot: &Snapshot) -> Vec<String> {
    let lists = snapshot.lists.lists();
    lists
        .filter(|(_, list)| list.failure.is_some())
        .map(|(_, list)| list.id.to_owned())
        .collect()
}

pub(super) fn report_text(report: Report) -> api::ReloadReport {
    let (errors, warnings): (Vec<_>, Vec<_>) = report
        .diagnostics
        .iter()
        .partition(|diagnostic| diagnostic.is_error());
    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.extend(report.warnings);
    warnings.extend(report.restart_needed);
    api::ReloadReport {
        at: report.at.to_string(),
        ok: report.ok,
        config_generation: report.generation,
        took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        errors: errors.iter().map(ToString::to_string).collect(),
        warnings,
        changes: report.changes,
    }
}

/// Which groups a server belongs to; none of them is named where it is the household's alone.
fn resolvers_of(server: &ServerStatus) -> Vec<String> {
    let named = server.resolvers.iter().map(ToString::to_string);
    let household =
        (server.of_household && !server.resolvers.is_empty()).then(|| "household".to_owned());
    household.into_iter().chain(named).collect()
}

fn upstream_text(server: &ServerStatus) -> api::UpstreamStatus {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    api::UpstreamStatus {
        address: server.address.to_string(),
        transport: server.transport.label().to_owned(),
        domain: server.domain.as_ref().map(ToString::to_string),
        fallback: server.tier > 0,
        tier: server.tier.saturating_add(1),
        resolvers: resolvers_of(server),
        healthy: !matches!(server.health, Health::Failing | Health::Dead),
        state: server.health.label().to_owned(),
        failures: server.failed + server.timeouts,
        latency_us: server.rtt.map(micros),
        latency_p95_us: server.p95.map(micros),
        last_error: server.last_error.clone(),
    }
}

/// What a file of leases tells, or why it tells nothing.
fn lease_file_text(file: &LeaseFile) -> api::Evidence {
    let LeaseFile {
        path,
        writer,
        count,
        problem,
    } = file;
    let count = match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let (state, detail) = match (problem, *writer) {
        (None, "unknown") => ("works", "empty".to_owned()),
        (None, writer) => ("works", format!("{writer}, {count}")),
        (Some(problem), "unknown") => ("missing", problem.clone()),
        (Some(problem), writer) => ("works", format!("{writer}, {count}; {problem}")),
    };
    api::Evidence {
        name: path.display().to_string(),
        state: state.to_owned(),
        detail,
    }
}

pub(super) fn counted_device(statistics: api::DeviceStatistics) -> api::Device {
    api::Device {
        queries: Some(statistics.queries),
        blocked: Some(statistics.blocked),
        blocked_by: statistics.blocked_by,
        last_seen: statistics.last_seen,
        ..api::Device::default()
    }
}

pub(super) fn match_text(known_by: &DeviceMatch) -> String {
    match known_by {
        DeviceMatch::Mac(mac) => mac.to_string(),
        DeviceMatch::CpeId(id) => format!("CPE id {}", id.escape_debug()),
        DeviceMatch::Subscriber(id) => format!("subscriber {}", id.escape_debug()),
        DeviceMatch::Id(id) => format!("id {}…", shown_part(id)),
        DeviceMatch::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        DeviceMatch::Net(net) => net.to_string(),
        DeviceMatch::Interface(name) => format!("interface {name}"),
        DeviceMatch::Listener(name) => format!("listener {name}"),
    }
}

/// As much of a device's id as tells it from others; the whole would make whoever reads it the
/// device.
fn shown_part(id: &str) -> &str {
    id.get(..4).unwrap_or_default()
}

/// Resident memory of this process, from the kernel.
fn resident_bytes() -> Option<u64> {
    let files = Files::disk();
    let statm = files
        .read(std::path::Path::new("/proc/self/statm"), 4096)
        .ok()?;
    let text = String::from_utf8(statm).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}
