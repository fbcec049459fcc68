//! Asking other resolvers.
//!
//! A [`Question`] enters with the [`Client`] whose share it takes; an [`Answer`] leaves, or one
//! [`Failure`] within the budget. [`Upstreams::resolve`] is the whole way: what failed a moment
//! ago is not asked again (`failure`), equal questions share one exchange and nobody takes all
//! the places (`flight`), the servers for the domain (`group`, `system`) are raced against
//! each other (`exchange`), over whatever leads there (`way`), their answers checked where that is
//! wanted (`checked`), and what that teaches about them is kept (`server`, `latency`). Read `exchange`
//! after this file.
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
#[cfg_attr(not(feature = "dnssec"), path = "unchecked.rs")]
mod checked;
mod exchange;
mod failure;
mod fault;
mod flight;
mod group;
#[cfg(feature = "quic")]
mod h3;
mod held;
mod https;
mod lane;
mod latency;
mod life;
mod network;
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
pub use flight::{Client, Load, Outcome};
pub use lane::{Ended, Errand, Lane, Late};
pub use network::Network;
pub use server::{Health, ServerStatus};

use crate::clock::{Clock, Moment};
use crate::config::{self, UpstreamServer};
use crate::message::{Answer, Question};
use crate::name::{NameBuf, NameRef};
use bootstrap::{Bootstrap, Patience};
use checked::Checking;
use exchange::{First, Found};
use failure::{Circumstances, Failures, Kept};
use flight::{Lead, Table};
use group::Group;
use life::Life;
use network::Signs;
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
    /// In place of `default` for whoever has resolvers of his own, by [`Question::via`].
    named: Vec<(Arc<str>, Arc<Group>)>,
    /// The system's list of resolvers, if that is where `default` comes from.
    system: Option<System>,
    /// Who is asked while none of `default`'s first choice answers, tier by tier.
    fallback: Vec<Vec<Arc<Server>>>,
    /// What checks signatures, if they are checked.
    checking: Option<Checking>,
    failures: Failures,
    /// What the network looks like.
    signs: Signs,
    table: Arc<Table>,
    life: Arc<Life>,
    /// Questions being asked of which nobody is told.
    untold: Arc<AtomicUsize>,
}

/// What came of checking signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Answers that are signed, and right.
    pub secure: u64,
    /// Answers that are not signed, by proof or by the household's wish.
    pub insecure: u64,
    /// Answers that are wrong.
    pub bogus: u64,
    /// Signatures that were looked at.
    pub signatures: u64,
    /// Questions whose answer was wrong from one server and right from another.
    pub elsewhere: u64,
}

/// Why a question would fail if it were not asked.
#[derive(Debug)]
struct Doubt {
    failure: Failure,
    /// It is for want of somebody who answers, and somebody may again.
    may_be_over: bool,
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

/// How much later than its budget a question ends only where this machine was held up.
const HELD_UP: Duration = Duration::from_millis(250);

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
        let life = Arc::default();
        let mut shared = Shared {
            around: around(config, budget, &clock, &life),
            checking: Checking::new(config, limits, &clock),
            clock,
            budget,
            own_addresses: own_addresses.to_vec(),
            zones: Vec::new(),
            default: ArcSwap::from_pointee(Group::new(None, [])),
            named: Vec::new(),
            system: None,
            fallback: Vec::new(),
            failures: Failures::new(),
            signs: Signs::default(),
            table: Table::new(limits.in_flight, limits.in_flight_per_client),
            life,
            untold: Arc::default(),
        };
        let mut known = Vec::new();
        for zone in &config.forward {
            let servers = shared.servers(&zone.servers, &mut known);
            let group = Group::new(Some(&zone.domain), [servers]);
            shared.zones.push(Arc::new(group));
        }
        shared
            .zones
            .sort_by_key(|zone| std::cmp::Reverse(zone.domain().as_ref().label_count()));
        shared.fallback = shared.tiers(&config.fallback, &mut known);
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
            let group = Group::new(None, shared.behind(servers));
            shared.default = ArcSwap::from_pointee(group);
        }
        for group in &config.groups {
            let mut tiers = vec![shared.servers(&group.servers, &mut known)];
            tiers.extend(shared.tiers(&group.fallback, &mut known));
            let servers = Arc::new(Group::new(None, tiers));
            shared.named.push((group.name.as_str().into(), servers));
        }
        Self(Arc::new(shared))
    }

    /// Why `question` fails, though `client` wait for it: it failed before, or nobody answers and there is
    /// no place to wait for a sign of life.
    pub fn recent_failure(
        &self,
        question: &Question,
        client: Client,
        now: Moment,
    ) -> Option<Failure> {
        let shared = &*self.0;
        let group = shared.group(question);
        let doubt = shared.doubt(&group, question, now);
        let may_wait = || group.would_let_through(now) || shared.life.has_room(client);
        let failure = doubt.filter(|it| !it.may_be_over || !may_wait())?.failure;
        Some(failure.in_network(shared.signs.told()))
    }

    /// The same for a question to which there is an answer of the past: while all servers are dead
    /// nobody waits, and whether one has returned is found out beside it.
    pub fn failure_beside_stale(&self, question: &Question, now: Moment) -> Option<Failure> {
        let shared = &self.0;
        let group = shared.group(question);
        if !group.is_dead() {
            let kept = shared.kept(&group, question, now)?;
            return Some(Failure::Recent(Box::new(kept.failure)));
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
    pub async fn resolve(&self, question: &Question, client: Client) -> Result<Answer, Failure> {
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
    ) -> Result<Answer, Failure> {
        self.resolve_as(question, client, Shown::No).await
    }

    /// Where `name` leads by the bootstrap servers, if there are any: for what has to be found before the
    /// servers of the household can be believed.
    pub async fn find(&self, name: NameBuf) -> Vec<std::net::IpAddr> {
        let bootstrap = &self.0.around.bootstrap;
        if bootstrap.group().servers().is_empty() {
            return Vec::new();
        }
        let found = bootstrap.look_up(name, Patience::Long).await;
        found.map(|it| it.addresses).unwrap_or_default()
    }

    async fn resolve_as(
        &self,
        question: &Question,
        client: Client,
        shown: Shown,
    ) -> Result<Answer, Failure> {
        let outcome = self.resolve_bare(question, client, shown).await;
        outcome.map_err(|failure| failure.in_network(self.0.signs.told()))
    }

    async fn resolve_bare(
        &self,
        question: &Question,
        client: Client,
        shown: Shown,
    ) -> Result<Answer, Failure> {
        let shared = &self.0;
        let deadline = tokio::time::Instant::now() + shared.budget;
        shared.look_at_system().await;
        let group = shared.admit(question, client).await?;
        if group.servers().is_empty() {
            return Err(Failure::NoServers);
        }
        if group.is_dead() {
            for server in group.servers() {
                shared.find_out(&group, server);
            }
        }
        let (wait, lead) = shared
            .table
            .enter_in_turn(question, client, deadline)
            .await?;
        if let Some(lead) = lead {
            shared.set_out(group, *question, lead, shown, None);
        }
        // Whoever waited for a place has less time left than the exchange has.
        let outcome = tokio::time::timeout_at(deadline + GRACE, wait.outcome()).await;
        outcome.unwrap_or_else(|_| Err(shared.group(question).timeout()))
    }

    /// Who would be asked `question` first now, if nothing stands against it and that can be said
    /// without waiting.
    fn first_choice(&self, question: &Question) -> Option<(Arc<Group>, Arc<Server>)> {
        let shared = &*self.0;
        let is_outdated = shared.system.as_ref().is_some_and(|system| {
            shared.clock.now().as_micros() >= system.look_at.load(Ordering::Relaxed)
        });
        let group = shared.group(question);
        // Whoever checks signatures asks more than one question.
        let is_simple = !is_outdated && shared.checking.is_none();
        let first = group.first_choice(shared.clock.now());
        let server = first.filter(|_| is_simple).cloned();
        server.map(|server| (group, server))
    }

    /// What is known of each server: those for every name, then those of named groups, then those of
    /// the forward zones. One that stands in several is told once.
    pub fn status(&self) -> Vec<ServerStatus> {
        let shared = &*self.0;
        let now = shared.clock.now();
        let default = shared.default.load_full();
        let mut seen: Vec<&Arc<Server>> = Vec::new();
        let mut all: Vec<ServerStatus> = Vec::new();
        let named = shared.named.iter().map(|(name, group)| (Some(name), group));
        let others = named.chain(shared.zones.iter().map(|zone| (None, zone)));
        for (name, group) in std::iter::once((None, &default)).chain(others) {
            let domain = group.domain().as_ref();
            for (index, server) in group.servers().iter().enumerate() {
                let earlier = seen.iter().position(|other| Arc::ptr_eq(other, server));
                if let Some(earlier) = earlier.and_then(|at| all.get_mut(at)) {
                    earlier.resolvers.extend(name.cloned());
                    continue;
                }
                seen.push(server);
                all.push(ServerStatus {
                    domain: (!domain.is_root()).then(|| domain.to_name()),
                    resolvers: name.cloned().into_iter().collect(),
                    of_household: name.is_none() && domain.is_root(),
                    tier: group.tier(index),
                    ..server.status(now)
                });
            }
        }
        all
    }

    /// Whether signatures of answers about `name` are checked.
    pub fn is_checked(&self, name: NameRef<'_>) -> bool {
        let checking = self.0.checking.as_ref();
        checking.is_some_and(|checking| checking.concerns(name))
    }

    /// What came of checking signatures since these servers are asked; none while that is not done.
    pub fn checks(&self) -> Option<Checks> {
        self.0.checking.as_ref().map(Checking::checks)
    }

    /// What the network looks like, where it keeps us from our upstreams.
    pub fn network(&self) -> Option<Network> {
        // What was said of it may be over by now.
        self.0.look_at_network(self.0.clock.now());
        self.0.signs.told()
    }

    /// Whether what the household's resolvers say at present may be a login page's, so that it must not
    /// be kept.
    pub fn is_doubted(&self) -> bool {
        self.0.signs.is_doubted()
    }

    /// Since when what they said was that, to be forgotten; said once.
    pub fn take_doubted(&self) -> Option<Moment> {
        self.0.signs.take_doubted(self.0.clock.now())
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
fn around(config: &config::Upstream, budget: Duration, clock: &Clock, life: &Arc<Life>) -> Around {
    let mut everybody = config.all_servers().chain(&config.bootstrap);
    let is_encrypted = everybody.any(|server| server.transport.is_encrypted());
    let secure = is_encrypted.then(|| Secure::new(&config.authorities, clock));
    let bootstrap = |servers| {
        let group = Group::new(None, [servers]);
        Bootstrap::new(group, clock.clone(), budget)
    };
    let around = Around {
        clock: clock.clone(),
        mixed_case: config.mixed_case,
        life: Arc::clone(life),
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
    /// Has `question` asked in a task of its own.
    fn set_out(
        self: &Arc<Self>,
        group: Arc<Group>,
        question: Question,
        lead: Lead,
        shown: Shown,
        first: Option<First>,
    ) {
        let flight = lead.flight();
        let asking = Arc::clone(self).ask(group, question, lead, shown, first);
        let task = tokio::spawn(asking).abort_handle();
        self.table.is_carried_by(flight, task);
    }

    /// Asks `question`, of which one attempt may be under way, and gives the outcome to everybody who
    /// waits for it.
    async fn ask(
        self: Arc<Self>,
        group: Arc<Group>,
        question: Question,
        lead: Lead,
        shown: Shown,
        first: Option<First>,
    ) {
        let _untold = (shown == Shown::No).then(|| Untold::new(&self.untold));
        let asked = (first.as_ref()).map_or_else(|| self.clock.now(), |it| it.asked);
        let said = match &self.checking {
            // Apart: it holds more than an exchange, and the task of one that is not checked must not.
            Some(checking) => Box::pin(checking.ask(&self, &group, &question, shown)).await,
            None => {
                let (clock, budget) = (&self.clock, self.budget);
                exchange::exchange(&group, &question, clock, budget, shown, first).await
            }
        };
        let (outcome, server) = match said {
            Ok((answer, server)) => (Ok(answer), Some(server)),
            Err(failure) => (Err(failure), None),
        };
        let now = self.clock.now();
        match &outcome {
            Ok(_) => self.failures.forget(&question, now),
            // That a question failed of which nobody is told, nobody is told either.
            Err(_) if shown == Shown::No => {}
            Err(failure) => {
                self.keep(&group, &question, failure, asked);
                if failure.is_of_network() {
                    // Whoever asks again at once is told; the next one after that finds out.
                    let _now = group.let_through(now);
                }
            }
        }
        // Before anybody hears of a failure, so that it says why.
        if group.domain().as_ref().is_root() {
            if let (Ok(answer), Some(server), Shown::Yes) = (&outcome, server, shown) {
                self.signs.note_answer(&question, answer, &server, now);
            }
            self.look_at_network(now);
        }
        lead.finish(&outcome);
        self.look_after(&group, &question, now, shown);
    }

    /// What the network looks like by now.
    fn look_at_network(&self, now: Moment) {
        let bootstrap = self.around.bootstrap.group();
        self.signs.look(&self.default.load(), bootstrap, now);
    }

    /// The failure of `question` that still holds.
    fn kept(&self, group: &Group, question: &Question, now: Moment) -> Option<Kept> {
        let revivals = self.life.revivals();
        self.failures
            .find(question, now, revivals, |failure| group.heard(failure))
    }

    /// Keeps in mind that `question`, first asked of `group` at `asked`, has failed just now.
    fn keep(&self, group: &Group, question: &Question, failure: &Failure, asked: Moment) {
        let at = self.clock.now();
        if at.since(asked) > self.budget + HELD_UP {
            // It is we who were held up, and who knows what came meanwhile.
            return;
        }
        let then = Circumstances {
            asked,
            at,
            revivals: self.life.revivals(),
            heard: group.heard(failure),
        };
        self.failures.keep(question, failure, then);
    }

    /// Why `question` would fail if it were not asked.
    fn doubt(&self, group: &Group, question: &Question, now: Moment) -> Option<Doubt> {
        let is_dead = group.is_dead();
        let (failure, may_be_over) = match self.kept(group, question, now) {
            Some(kept) if !(is_dead || kept.is_hiccup) || !kept.failure.is_of_network() => {
                (Failure::Recent(Box::new(kept.failure)), false)
            }
            _ if is_dead => (Failure::Down, true),
            Some(kept) => (Failure::Recent(Box::new(kept.failure)), true),
            None => return None,
        };
        Some(Doubt {
            failure,
            may_be_over,
        })
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
        let warm = group.ranked(now);
        let firsts = warm.iter().filter(|it| it.tier == 0);
        for ranked in firsts.filter(|it| !it.server.is_failing()).take(2) {
            ranked.server.way.warm();
        }
        for (index, server) in group.servers().iter().enumerate() {
            let is_worth_asking = if server.is_failing() {
                has_healthy
            } else {
                // What is known of its speed is old.
                group.tier(index) == 0 && server.is_forgotten(now)
            };
            if server.is_suspect(now) {
                self.find_out(group, server);
            } else if is_worth_asking && server.begin_probe(now, false) {
                // With a real question, and apart from its exchange, which ended with the
                // answer of a better server. Whoever was left for a later tier is asked what he can
                // answer whatever the household asks for, unless that has shown nothing.
                let (shared, server) = (Arc::clone(self), Arc::clone(server));
                let was_left = server.is_failing() && group.has_tier_behind(index);
                let question = match was_left && !server.is_lost() {
                    true => group.neutral_question(),
                    false => *question,
                };
                tokio::spawn(async move {
                    let _found =
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
            let found = exchange::probe(&server, &question, &shared.clock, PROBE, Shown::Yes);
            if found.await == Found::Silent {
                server.note_dead(shared.clock.now());
            }
            server.end_probe(shared.clock.now());
        });
    }

    /// The servers for `question`: those of the most specific forward zone and no others, so that
    /// a private name never leaves for the public; else those of whoever asks.
    fn group(&self, question: &Question) -> Arc<Group> {
        let qname = question.qname.as_ref();
        let mut zones = self.zones.iter();
        if let Some(zone) = zones.find(|zone| qname.is_within(zone.domain().as_ref())) {
            return Arc::clone(zone);
        }
        let named = usize::from(question.via).checked_sub(1);
        match named.and_then(|at| self.named.get(at)) {
            Some((_, group)) => Arc::clone(group),
            None => self.default.load_full(),
        }
    }

    /// The tiers of the household's resolvers: `first`, then the fallback.
    fn behind(&self, first: Vec<Arc<Server>>) -> impl Iterator<Item = Vec<Arc<Server>>> {
        std::iter::once(first).chain(self.fallback.iter().cloned())
    }

    /// [`Self::servers`] for each of `tiers`.
    fn tiers(
        &self,
        tiers: &[Vec<UpstreamServer>],
        known: &mut Vec<Arc<Server>>,
    ) -> Vec<Vec<Arc<Server>>> {
        let tiers = tiers.iter();
        tiers.map(|tier| self.servers(tier, known)).collect()
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
        for group in self.zones.iter().chain(self.named.iter().map(|(_, it)| it)) {
            old.extend(group.servers().iter().cloned());
        }
        let servers_now = self.servers(&servers, &mut old);
        let group = Group::new(None, self.behind(servers_now));
        if group.servers().is_empty() {
            tracing::warn!(file = %system.path.display(), "the system names no resolver to ask");
        }
        self.default.store(Arc::new(group));
        // What the old ones were silent about, the new ones may know.
        self.life.note_revival();
        *known = servers;
    }
}
