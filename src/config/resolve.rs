//! From what is written to what it means: the sections of single settings.
//!
//! [`resolve`] is the way through; addresses follow in [`super::network`] and
//! [`super::upstream`], lists, profiles and
//! devices in [`super::household`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::acme::acme;
use super::diagnostic::Diagnostic;
use super::encrypted::encrypted;
use super::endpoint::{AddressError, parse_socket};
use super::firewall::firewall;
use super::forwarder::forwarders;
use super::household;
use super::load::Overrides;
use super::network::server;
use super::problems::Problems;
use super::read::{Entry, Written};
use super::spec::{CacheSpec, JournalSpec, LimitsSpec, Text};
use super::time::time;
use super::upstream::upstream;
use super::words::{choice, duration, size, whole};
use super::{
    Cache, Config, Control, Identity, Journal, Limits, Log, LogLevel, LogTarget, Metrics,
    USUAL_ETHERS, rules,
};
use crate::files::Files;
use crate::name::{MAX_LABEL, MAX_NAME, Name};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Where the world outside of the text is found.
pub(super) struct Around<'a> {
    /// The files.
    pub(super) files: &'a Files,
    /// The folder relative paths start from.
    pub(super) folder: &'a Path,
    /// What the command line said.
    pub(super) overrides: &'a Overrides,
    /// The devices file, once it is known where it is.
    pub(super) devices_file: Option<PathBuf>,
}

impl Around<'_> {
    /// `word` as a path.
    pub(super) fn path(&self, word: &Text) -> PathBuf {
        self.folder.join(word.text())
    }
}

/// The domain in which devices of the home have names.
fn home_domain(word: Option<&Text>, problems: &mut Problems) -> Option<Name> {
    /// With the longest label in front it is still a name.
    const LONGEST: usize = MAX_NAME - MAX_LABEL - 1;
    let Some(word) = word else {
        // RFC 8375.
        return Name::parse("home.arpa").ok();
    };
    if word.text().is_empty() {
        return None;
    }
    let why = match rules::parse_name(word.text()) {
        Ok(domain) if domain.as_ref().is_root() => "all names there are".to_owned(),
        Ok(domain) if domain.as_ref().as_wire().len() > LONGEST => {
            "leaves no room for the names of devices".to_owned()
        }
        Ok(domain) => return Some(domain),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "`{}` is not a domain for the home",
        word.text().escape_debug()
    );
    let place = problems.place(&word.span());
    problems.report(Diagnostic::error("bad-domain", message).at(place, why));
    None
}

/// The whole configuration, if nothing is wrong with it.
pub(super) fn resolve(
    written: &Written,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Config> {
    let server = server(&written.server, &written.listeners, around, problems);
    let encrypted = encrypted(written, &server.listen, around, problems);
    let acme = acme(written, around, problems);
    let limits = limits(&written.limits, problems);
    let cache = cache(&written.cache, limits.memory, problems);
    let journal = journal(&written.journal, limits.memory, problems);
    memory_suffices(written, &limits, &cache, &journal, problems);
    let upstream = upstream(written, &server.listen, around, problems);
    let time = time(written, problems);
    let control = control(written, around, problems);
    let metrics = Metrics {
        listen: written.metrics.listen.as_ref().and_then(|word| {
            /// The port Prometheus' wiki leaves to DNS exporters of this kind.
            const METRICS_PORT: u16 = 9153;
            socket(word, "address for metrics", METRICS_PORT, problems)
        }),
    };
    let identity = Identity {
        neighbours: written.identity.neighbours.unwrap_or(true),
        leases: written
            .identity
            .leases
            .as_ref()
            .map(|words| words.iter().map(|word| around.path(word)).collect()),
        ethers: written
            .identity
            .ethers
            .as_ref()
            .map_or_else(|| PathBuf::from(USUAL_ETHERS), |word| around.path(word)),
        ask_names: written.identity.ask_names.unwrap_or(true),
        home_domain: home_domain(written.identity.home_domain.as_ref(), problems),
        devices_file: around.devices_file.clone(),
    };
    let forwarders = forwarders(written, problems);
    let log = log(written, problems);
    let household = household::resolve(written, around, problems);
    if household
        .as_ref()
        .is_some_and(|household| household.devices.len().max(household.profiles.len()) > MOST)
    {
        let message = format!("more than {MOST} devices or profiles");
        problems.report(Diagnostic::error("too-many", message));
    }
    let firewall_settings = match &household {
        Some(household) => {
            let guest = household.profiles.get(household.guest);
            firewall(
                written,
                &household.devices,
                &household.profiles,
                guest,
                problems,
            )
        }
        None => firewall(written, &[], &[], None, problems),
    };
    if problems.any_error() {
        return None;
    }
    let household = household?;
    let mut config = Config {
        server,
        encrypted,
        acme,
        limits,
        cache,
        upstream,
        time,
        journal,
        control,
        metrics,
        log,
        identity,
        forwarders,
        firewall: firewall_settings,
        household: household.rules,
        zone: household.zone,
        schedules: household.schedules,
        profiles: household.profiles,
        guest: household.guest,
        devices: household.devices,
        device_places: household.device_places,
        list_store: household.list_store,
        lists: household.lists,
        services: household.services,
        cases: household.cases,
    };
    let lowered = config.fit_memory();
    warn_of_lowered(written, &lowered, problems);
    Some(config)
}

/// Reads an address and port, telling what is wrong with it.
pub(super) fn socket(
    word: &Text,
    what: &str,
    port: u16,
    problems: &mut Problems,
) -> Option<SocketAddr> {
    match parse_socket(word.text(), port) {
        Ok(socket) => Some(socket),
        Err(error) => {
            report_address(word, what, &error, problems);
            None
        }
    }
}

/// Tells why `word` is no address.
pub(super) fn report_address(
    word: &Text,
    what: &str,
    error: &AddressError,
    problems: &mut Problems,
) {
    let text = word.text();
    let place = problems.place(&word.span());
    let diagnostic = Diagnostic::error("bad-address", format!("`{text}` is not an {what}"))
        .at(place, error.to_string());
    problems.report(match error {
        AddressError::HostBits(net) => {
            let address = text.split('/').next().unwrap_or_default();
            diagnostic.help(format!(
                "write `{net}` for all of them or `{address}` for one"
            ))
        }
        _ => diagnostic,
    });
}

/// Tells that `[[section]]` lacks `key`.
pub(super) fn missing<T>(entry: &Entry<T>, section: &str, key: &str, problems: &mut Problems) {
    if !entry.whole {
        return;
    }
    problems.report_absence(
        Diagnostic::error("missing-key", format!("a {section} without `{key}`"))
            .at(problems.place(&entry.span), format!("needs `{key} = …`")),
    );
}

/// The name of an account or group of the system.
pub(super) fn account(word: Option<&Text>, key: &str, problems: &mut Problems) -> Option<String> {
    let word = word?;
    let text = word.text();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    if !text.is_empty() && text.len() <= 32 && !text.starts_with('-') && text.chars().all(fine) {
        return Some(text.to_owned());
    }
    problems.report(
        Diagnostic::error("bad-name", format!("`{key}` is no name the system allows"))
            .at(problems.place(&word.span()), "letters, digits, `-`, `_`"),
    );
    None
}

fn limits(spec: &LimitsSpec, problems: &mut Problems) -> Limits {
    const MANY: i64 = 1_000_000;
    const PLACES: i64 = 65_536;
    let idle_range = Duration::from_millis(100)..=HOUR;
    let in_flight = whole(
        spec.in_flight.as_ref(),
        "in-flight",
        1..=PLACES,
        512,
        problems,
    );
    let tcp = whole(
        spec.tcp_connections.as_ref(),
        "tcp-connections",
        1..=PLACES,
        256,
        problems,
    );
    let encrypted = whole(
        spec.encrypted_connections.as_ref(),
        "encrypted-connections",
        1..=PLACES,
        64,
        problems,
    );
    Limits {
        queries_per_second: whole(
            spec.queries_per_second.as_ref(),
            "queries-per-second",
            0..=MANY,
            1000,
            problems,
        ) as u32,
        burst: whole(spec.burst.as_ref(), "burst", 1..=MANY, 2000, problems) as u32,
        in_flight: in_flight as usize,
        in_flight_per_client: whole(
            spec.in_flight_per_client.as_ref(),
            "in-flight-per-client",
            1..=in_flight,
            64.min(in_flight),
            problems,
        ) as usize,
        tcp_connections: tcp as usize,
        tcp_per_client: whole(
            spec.tcp_per_client.as_ref(),
            "tcp-per-client",
            1..=tcp,
            16.min(tcp),
            problems,
        ) as usize,
        tcp_idle: duration(
            spec.tcp_idle.as_ref(),
            "tcp-idle",
            idle_range.clone(),
            10 * SECOND,
            problems,
        ),
        tcp_read: duration(
            spec.tcp_read.as_ref(),
            "tcp-read",
            idle_range.clone(),
            5 * SECOND,
            problems,
        ),
        encrypted_connections: encrypted as usize,
        encrypted_per_client: whole(
            spec.encrypted_per_client.as_ref(),
            "encrypted-per-client",
            1..=encrypted,
            16.min(encrypted),
            problems,
        ) as usize,
        encrypted_streams: whole(
            spec.encrypted_streams.as_ref(),
            "encrypted-streams",
            1..=1000,
            64,
            problems,
        ) as usize,
        encrypted_idle: duration(
            spec.encrypted_idle.as_ref(),
            "encrypted-idle",
            idle_range,
            30 * SECOND,
            problems,
        ),
        memory: size(
            spec.memory.as_ref(),
            "memory",
            MIB..=64 * KIB * MIB,
            16 * MIB,
            problems,
        ),
    }
}

fn cache(spec: &CacheSpec, memory: u64, problems: &mut Problems) -> Cache {
    let zero = Duration::ZERO;
    let max_ttl = duration(
        spec.max_ttl.as_ref(),
        "max-ttl",
        zero..=7 * DAY,
        DAY,
        problems,
    );
    Cache {
        max_bytes: size(
            spec.size.as_ref(),
            "size",
            0..=memory,
            (3 * MIB).min(memory / 4),
            problems,
        ),
        min_ttl: duration(
            spec.min_ttl.as_ref(),
            "min-ttl",
            zero..=DAY.min(max_ttl),
            zero,
            problems,
        ),
        max_ttl,
        max_negative_ttl: duration(
            spec.max_negative_ttl.as_ref(),
            "max-negative-ttl",
            zero..=DAY,
            HOUR,
            problems,
        ),
        serve_stale: duration(
            spec.serve_stale.as_ref(),
            "serve-stale",
            zero..=7 * DAY,
            DAY,
            problems,
        ),
    }
}

fn journal(spec: &JournalSpec, memory: u64, problems: &mut Problems) -> Journal {
    Journal {
        max_bytes: size(
            spec.size.as_ref(),
            "size",
            0..=memory,
            MIB.min(memory / 16),
            problems,
        ),
    }
}

/// Cache and journal together must fit under the ceiling.
fn memory_suffices(
    written: &Written,
    limits: &Limits,
    cache: &Cache,
    journal: &Journal,
    problems: &mut Problems,
) {
    let sum = cache.max_bytes.saturating_add(journal.max_bytes);
    let words = [
        &written.cache.size,
        &written.journal.size,
        &written.limits.memory,
    ];
    if sum > limits.memory
        && let Some(word) = words.into_iter().flatten().next()
    {
        let shown = super::units::show_size;
        problems.report(
            Diagnostic::error("out-of-range", "cache and journal do not fit into `memory`").at(
                problems.place(&word.span()),
                format!(
                    "{} and {} are more than {}",
                    shown(cache.max_bytes),
                    shown(journal.max_bytes),
                    shown(limits.memory)
                ),
            ),
        );
    }
}

/// Says what does not fit under `memory`, if somebody wrote one of the sizes it is about.
fn warn_of_lowered(written: &Written, lowered: &[String], problems: &mut Problems) {
    let limits = &written.limits;
    let asked_for = limits.in_flight.is_some()
        || limits.in_flight_per_client.is_some()
        || limits.tcp_connections.is_some()
        || limits.tcp_per_client.is_some()
        || limits.encrypted_connections.is_some()
        || limits.encrypted_per_client.is_some()
        || written.cache.size.is_some()
        || written.journal.size.is_some();
    if !asked_for || lowered.is_empty() {
        return;
    }
    let message = format!("not everything fits under `memory`: {}", lowered.join(", "));
    let diagnostic = Diagnostic::warning("lowered", message)
        .help("raise `memory` in `[limits]`, or lower the other sizes");
    problems.report(diagnostic);
}

/// Devices and profiles are numbered with 16 bits.
const MOST: usize = 65_535;

/// The control socket unless said.
pub(super) const DEFAULT_SOCKET: &str = "/run/hedgerow/control.sock";

fn control(written: &Written, around: &Around<'_>, problems: &mut Problems) -> Control {
    let spec = &written.control;
    if let Some(word) = spec.socket.as_ref().filter(|word| word.text().is_empty()) {
        problems.report(
            Diagnostic::error("missing-value", "`socket` is empty")
                .at(problems.place(&word.span()), "needs a path")
                .help("`enabled = false` switches the control socket off"),
        );
    }
    let socket = spec.socket.as_ref();
    let written = socket.map_or_else(|| DEFAULT_SOCKET.into(), |word| around.path(word));
    let path = around.overrides.socket.clone().unwrap_or(written);
    Control {
        socket: spec.enabled.unwrap_or(true).then_some(path),
        group: account(spec.group.as_ref(), "group", problems),
    }
}

fn log(written: &Written, problems: &mut Problems) -> Log {
    let spec = &written.log;
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let targets = [
        ("auto", LogTarget::Auto),
        ("stderr", LogTarget::Stderr),
        ("journald", LogTarget::Journald),
        ("syslog", LogTarget::Syslog),
    ];
    Log {
        level: choice(spec.level.as_ref(), "level", &levels, problems).unwrap_or(LogLevel::Info),
        target: choice(spec.target.as_ref(), "target", &targets, problems)
            .unwrap_or(LogTarget::Auto),
    }
}
