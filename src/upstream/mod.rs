//! Asking other resolvers.
//!
//! A [`Question`] enters with the [`Client`] whose share it takes; an [`Answer`] leaves, or one
//! [`Failure`] within the budget. [`Upstreams::resolve`] is the whole way: what failed a moment
//! ago is not asked again (`failure`), equal questions share one exchange and nobody takes all
//! the places (`flight`), the servers for the domain (`group`, `system`) are raced against
//! each other (`exchange`) over whatever leads there (`way`), and what that teaches about them is
//! kept (`server`, `latency`). Read `exchange` after this file.
//!
//! The ways are `udp`, `tcp` with TLS on it or without, `https`, and with the feature `quic` also
//! `quic` and `h3`. Each brings a wire image there and one back. `place` knows where a server is,
//! `bootstrap` finds those that are given by name, `secure` knows whom to believe, `held` keeps one
//! connection for many questions.
//!
//! The wire format is [`crate::message`]'s; only the octets that tell a reply from a forgery are
//! looked at here (`wire`). A further transport is a further variant of
//! [`config::Transport`] and of `way`.

mod bootstrap;
mod exchange;
mod failure;
mod fault;
mod flight;
mod group;
#[cfg(feature = "quic")]
mod h3;
mod held;
mod https;
mod latency;
mod place;
mod port;
#[cfg(feature = "quic")]
mod quic;
mod room;
mod secure;
mod server;
mod system;
mod tcp;
mod udp;
mod way;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use failure::{Cap, Failure};
pub use flight::{Client, Load};
pub use server::{Health, ServerStatus};

use crate::clock::{Clock, Moment};
use crate::config::{self, UpstreamServer};
use crate::message::{Answer, Question};
use crate::name::NameRef;
use bootstrap::Bootstrap;
use failure::Failures;
use flight::{Lead, Table};
use group::Group;
use secure::Secure;
use server::{Server, Shown};
use way::Around;

/// The resolvers we ask; shared by all workers.
#[derive(Debug)]
pub struct Upstreams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    budget: Duration,
    around: Around,
    own_addresses: Vec<SocketAddr>,
    /// Forward zones, the most specific first.
    zones: Vec<Arc<Group>>,
    /// For every other name.
    default: ArcSwap<Group>,
    /// The system's list of resolvers, if that is where `default` comes from.
    system: Option<System>,
    /// Who is asked while none of the others answers.
    fallback: Vec<Arc<Server>>,
    failures: Failures,
    table: Arc<Table>,
    revivals: Arc<AtomicU64>,
    /// Questions being asked of which nobody is told.
    untold: Arc<AtomicUsize>,
}

/// The file that lists the system's resolvers.
#[derive(Debug)]
struct System {
    path: PathBuf,
    /// What it said when last read.
    known: Mutex<Vec<UpstreamServer>>,
    /// When it is to be looked at again, in microseconds.
    look_at: AtomicU64,
    /// Whether it could not be read, so that this is said once.
    is_missing: AtomicBool,
}

/// How often the system's list is looked at while questions come.
const LOOK: Duration = Duration::from_secs(5);
/// The same while it names nobody.
const LOOK_WHILE_EMPTY: Duration = Duration::from_secs(1);
/// How long a probe waits for a reply.
const PROBE: Duration = Duration::from_millis(1500);
/// The shortest budget with which anything can be resolved.
const SHORTEST_BUDGET: Duration = Duration::from_millis(10);

/// How much later than its exchange a query gives up that did not wait for a place: the exchange knows
/// better what went wrong.
const GRACE: Duration = Duration::from_millis(20);

impl Upstreams {
    /// Takes the servers from `config`, or from the system's list if it names none. Nothing is
    /// sent yet. `own_addresses` are those we listen at, which are never asked.
    pub fn new(
        config: &config::Upstream,
        limits: &config::Limits,
        own_addresses: &[SocketAddr],
        clock: Clock,
    ) -> Self {
        let budget = config.budget.max(SHORTEST_BUDGET);
        let revivals = Arc::default();
        let mut shared = Shared {
            around: around(config, budget, &clock, &revivals),
            clock,
            budget,
            own_addresses: own_addresses.to_vec(),
            zones: Vec::new(),
            default: ArcSwap::from_pointee(Group::new(None, Vec::new(), Vec::new())),
            system: None,
            fallback: Vec::new(),
            failures: Failures::new(),
            table: Table::new(limits.in_flight, limits.in_flight_per_client),
            revivals,
            untold: Arc::default(),
        };
        let mut known = Vec::new();
        for zone in &config.forward {
            let servers = shared.servers(&zone.servers, &mut known);
            let group = Group::new(Some(&zone.domain), servers, Vec::new());
            shared.zones.push(Arc::new(group));
        }
        shared
            .zones
            .sort_by_key(|zone| std::cmp::Reverse(zone.domain().as_ref().label_count()));
        shared.fallback = shared.servers(&config.fallback, &mut known);
        if config.servers.is_empty() {
            shared.system = Some(System {
                path: config.resolv_conf.clone(),
                known: Mutex::default(),
                look_at: AtomicU64::new(0),
                is_missing: AtomicBool::new(false),
            });
            shared.read_system();
        } else {
            let servers = shared.servers(&config.servers, &mut known);
            let group = Group::new(None, servers, shared.fallback.clone());
            shared.default = ArcSwap::from_pointee(group);
        }
        Self(Arc::new(shared))
    }

    /// Why `question` would fail if it were asked now, as far as that is known without waiting.
    pub fn recent_failure(&self, question: &Question, now: Moment) -> Option<Failure> {
        let shared = &*self.0;
        let group = shared.group(question.qname.as_ref());
        let is_dead = group.is_dead();
        let revivals = shared.revivals.load(Ordering::Relaxed);
        match shared.failures.find(question, now, revivals) {
            // While all are dead, a question that failed for want of a server is as good as any
            // to find out that one has returned.
            Some(failure) if !(is_dead && failure.is_of_network()) => {
                Some(Failure::Recent(Box::new(failure)))
            }
            _ => (is_dead && !group.would_let_through(now)).then_some(Failure::Down),
        }
    }

    /// The same for a question to which there is an answer of the past: while all servers are dead
    /// nobody waits, and whether one has returned is found out beside it.
    pub fn failure_beside_stale(&self, question: &Question, now: Moment) -> Option<Failure> {
        let shared = &self.0;
        let group = shared.group(question.qname.as_ref());
        if !group.is_dead() {
            return self.recent_failure(question, now);
        }
        if tokio::runtime::Handle::try_current().is_ok() && group.let_through(now) {
            for server in group.servers() {
                shared.find_out(&group, server);
            }
        }
        Some(Failure::Down)
    }

    /// Asks `question` of the servers for its name on behalf of `client`, or joins those who wait
    /// for it already.
    ///
    /// # Errors
    /// One failure, within the budget.
    pub async fn resolve(
        &self,
        question: &Question,
        client: Client,
    ) -> Result<Arc<Answer>, Failure> {
        self.resolve_as(question, client, Shown::Yes).await
    }

    /// The same, and [`Self::status`] and [`Self::told_questions`] show nothing of it.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn resolve_untold(
        &self,
        question: &Question,
        client: Client,
    ) -> Result<Arc<Answer>, Failure> {
        self.resolve_as(question, client, Shown::No).await
    }

    async fn resolve_as(
        &self,
        question: &Question,
        client: Client,
        shown: Shown,
    ) -> Result<Arc<Answer>, Failure> {
        let shared = &self.0;
        shared.look_at_system().await;
        let now = shared.clock.now();
        if let Some(failure) = self.recent_failure(question, now) {
            return Err(failure);
        }
        let group = shared.group(question.qname.as_ref());
        if group.servers().is_empty() {
            return Err(Failure::NoServers);
        }
        if group.is_dead() {
            if !group.let_through(now) {
                return Err(Failure::Down);
            }
            for server in group.servers() {
                shared.find_out(&group, server);
            }
        }
        let deadline = tokio::time::Instant::now() + shared.budget;
        let (wait, lead) = shared
            .table
            .enter_in_turn(question, client, deadline)
            .await?;
        if let Some(lead) = lead {
            let flight = lead.flight();
            let asking = Arc::clone(shared).ask(group, *question, lead, shown);
            let task = tokio::spawn(asking).abort_handle();
            shared.table.is_carried_by(flight, task);
        }
        // Whoever waited for a place has less time left than the exchange has.
        let outcome = tokio::time::timeout_at(deadline + GRACE, wait.outcome()).await;
        outcome.unwrap_or_else(|_| {
            let servers = shared.group(question.qname.as_ref());
            Err(Failure::Timeout {
                servers: servers
                    .servers()
                    .iter()
                    .map(|server| Arc::clone(&server.label))
                    .collect(),
            })
        })
    }

    /// What is known of each server: those for every name, then those of the forward zones.
    pub fn status(&self) -> Vec<ServerStatus> {
        let shared = &*self.0;
        let now = shared.clock.now();
        let default = shared.default.load_full();
        let mut seen: Vec<&Arc<Server>> = Vec::new();
        let mut all = Vec::new();
        for group in std::iter::once(&default).chain(&shared.zones) {
            let domain = group.domain().as_ref();
            for (index, server) in group.servers().iter().enumerate() {
                if seen.iter().any(|other| Arc::ptr_eq(other, server)) {
                    continue;
                }
                seen.push(server);
                all.push(ServerStatus {
                    domain: (!domain.is_root()).then(|| domain.to_name()),
                    is_fallback: group.is_fallback(index),
                    ..server.status(now)
                });
            }
        }
        all
    }

    /// How many questions are being asked, but for those of which nobody is told.
    pub fn told_questions(&self) -> usize {
        let untold = self.0.untold.load(Ordering::Relaxed);
        self.load().questions.saturating_sub(untold)
    }

    /// How many questions are being asked, and how many queries wait for them.
    pub fn load(&self) -> Load {
        self.0.table.load()
    }
}

/// What the servers of `config` have in common.
fn around(
    config: &config::Upstream,
    budget: Duration,
    clock: &Clock,
    revivals: &Arc<AtomicU64>,
) -> Around {
    let everybody = config.servers.iter().chain(&config.fallback);
    let everybody = everybody.chain(&config.bootstrap);
    let mut everybody = everybody.chain(config.forward.iter().flat_map(|zone| &zone.servers));
    let is_encrypted = everybody.any(|server| server.transport.is_encrypted());
    let secure = is_encrypted.then(|| Secure::new(&config.authorities, clock));
    let bootstrap = |servers| {
        let group = Group::new(None, servers, Vec::new());
        Bootstrap::new(group, clock.clone(), budget)
    };
    let around = Around {
        clock: clock.clone(),
        mixed_case: config.mixed_case,
        revivals: Arc::clone(revivals),
        // Bootstrap servers are given by address.
        bootstrap: bootstrap(Vec::new()),
        secure: secure.flatten().map(Arc::new),
    };
    let servers = config.bootstrap.iter();
    let servers = servers.map(|server| Arc::new(Server::new(server, &around)));
    Around {
        bootstrap: bootstrap(servers.collect()),
        ..around
    }
}

/// One question of which nobody is told, while it is asked.
#[derive(Debug)]
struct Untold(Arc<AtomicUsize>);

impl Untold {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Asks `question` and gives the outcome to everybody who waits for it.
    async fn ask(self: Arc<Self>, group: Arc<Group>, question: Question, lead: Lead, shown: Shown) {
        let _untold = (shown == Shown::No).then(|| Untold::new(&self.untold));
        let outcome = exchange::exchange(&group, &question, &self.clock, self.budget, shown)
            .await
            .map(Arc::new);
        let now = self.clock.now();
        let revivals = self.revivals.load(Ordering::Relaxed);
        match &outcome {
            Ok(_) => self.failures.forget(&question),
            // That a question failed of which nobody is told, nobody is told either.
            Err(_) if shown == Shown::No => {}
            Err(failure) => self.failures.keep(&question, failure, now, revivals),
        }
        lead.finish(&outcome);
        self.look_after(&group, &question, now, shown);
    }

    /// Sends probes to the servers of `group` that need one.
    fn look_after(
        self: &Arc<Self>,
        group: &Arc<Group>,
        question: &Question,
        now: Moment,
        shown: Shown,
    ) {
        let has_healthy = group.servers().iter().any(|server| !server.is_failing());
        // The first and whoever would be asked next have their connections open.
        let warm = group.ranked();
        let firsts = warm.iter().filter(|it| !it.is_fallback);
        for ranked in firsts.filter(|it| !it.server.is_failing()).take(2) {
            ranked.server.way.warm();
        }
        for (index, server) in group.servers().iter().enumerate() {
            let is_worth_asking = if server.is_failing() {
                has_healthy
            } else {
                // What is known of its speed is old.
                !group.is_fallback(index) && server.is_forgotten(now)
            };
            if server.is_suspect(now) {
                self.find_out(group, server);
            } else if is_worth_asking && server.begin_probe(now, false) {
                // With a real question, and apart from its exchange, which ended with the
                // answer of a better server.
                let (shared, server) = (Arc::clone(self), Arc::clone(server));
                let question = *question;
                tokio::spawn(async move {
                    exchange::probe(&server, &question, &shared.clock, PROBE, shown).await;
                    server.end_probe(shared.clock.now());
                });
            }
        }
    }

    /// Finds out with a neutral question whether `server` is dead.
    fn find_out(self: &Arc<Self>, group: &Arc<Group>, server: &Arc<Server>) {
        if !server.begin_probe(self.clock.now(), true) {
            return;
        }
        let (shared, server) = (Arc::clone(self), Arc::clone(server));
        let question = group.neutral_question();
        tokio::spawn(async move {
            if !exchange::probe(&server, &question, &shared.clock, PROBE, Shown::Yes).await {
                server.note_dead(shared.clock.now());
            }
            server.end_probe(shared.clock.now());
        });
    }

    /// The servers for `qname`: those of the most specific forward zone and no others, so that
    /// a private name never leaves for the public.
    fn group(&self, qname: NameRef<'_>) -> Arc<Group> {
        self.zones
            .iter()
            .find(|zone| qname.is_within(zone.domain().as_ref()))
            .map_or_else(|| self.default.load_full(), Arc::clone)
    }

    /// A [`Server`] for each of `servers` that is not ourselves; one that is in `known` is shared.
    fn servers(
        &self,
        servers: &[UpstreamServer],
        known: &mut Vec<Arc<Server>>,
    ) -> Vec<Arc<Server>> {
        let mut found: Vec<Arc<Server>> = Vec::new();
        for wanted in system::without_ourselves(servers.to_vec(), &self.own_addresses) {
            if found.iter().any(|server| server.is(&wanted)) {
                continue;
            }
            let server = known.iter().find(|server| server.is(&wanted)).cloned();
            let server = server.unwrap_or_else(|| {
                let server = Arc::new(Server::new(&wanted, &self.around));
                known.push(Arc::clone(&server));
                server
            });
            found.push(server);
        }
        found
    }

    /// Has the system's list looked at if it is time; waits for that only while there is nobody
    /// to ask.
    async fn look_at_system(self: &Arc<Self>) {
        let Some(system) = &self.system else {
            return;
        };
        let now = self.clock.now();
        let is_empty = self.default.load().servers().is_empty();
        let wait = if is_empty { LOOK_WHILE_EMPTY } else { LOOK };
        let is_ours = system
            .look_at
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
                (now.as_micros() >= at).then(|| now.after(wait).as_micros())
            })
            .is_ok();
        if !is_ours {
            return;
        }
        let shared = Arc::clone(self);
        let look = tokio::task::spawn_blocking(move || shared.read_system());
        if is_empty && tokio::time::timeout(self.budget, look).await.is_err() {
            tracing::debug!("the system's list of resolvers is slow to read");
        }
    }

    /// Reads the system's list and takes on what changed. Blocks.
    fn read_system(&self) {
        let Some(system) = &self.system else {
            return;
        };
        let servers = match system::read(&system.path) {
            Ok(servers) => {
                system.is_missing.store(false, Ordering::Relaxed);
                servers
            }
            Err(error) => {
                // What it said before still holds: the file vanishes for a moment when the
                // network's set-up changes.
                if !system.is_missing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "cannot read the system's resolvers");
                }
                return;
            }
        };
        let mut known = system.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == servers {
            return;
        }
        let mut old = self.default.load().servers().to_vec();
        for zone in &self.zones {
            old.extend(zone.servers().iter().cloned());
        }
        let servers_now = self.servers(&servers, &mut old);
        let group = Group::new(None, servers_now, self.fallback.clone());
        if group.servers().is_empty() {
            tracing::warn!(file = %system.path.display(), "the system names no resolver to ask");
        }
        self.default.store(Arc::new(group));
        // What the old ones were silent about, the new ones may know.
        self.revivals.fetch_add(1, Ordering::Relaxed);
        *known = servers;
    }
}
