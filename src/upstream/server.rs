//! One resolver we ask: what real traffic taught us about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::latency::Latency;
use super::life::Life;
use super::way::{Around, Way};
use super::wire::{Dress, rcode};
use crate::clock::Moment;
use crate::config::{Host, Transport, UpstreamServer};
use crate::name::{Name, NameBuf};

/// A resolver and what is known of it.
#[derive(Debug)]
pub(super) struct Server {
    config: UpstreamServer,
    /// What people know it by.
    pub(super) label: Arc<str>,
    /// How to reach it.
    pub(super) way: Way,
    mixed_case: bool,
    /// Who is told that it speaks again; shared by all.
    life: Arc<Life>,
    state: Mutex<State>,
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answered when last asked.
    Healthy,
    /// It did not answer where it should have; others are asked first.
    Failing,
    /// It is silent beyond doubt; it is asked now and then whether it answers again.
    Dead,
}

impl Health {
    /// The word people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Failing => "failing",
            Self::Dead => "dead",
        }
    }
}

/// Whether what a question teaches of a server is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is.
    Yes,
    /// The question was for something of which nobody is told; what it taught is used all the same.
    No,
}

/// What `hedgerow status` shows of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    /// The domain it is asked about; none for everything.
    pub domain: Option<Name>,
    /// Where it is, as in `192.0.2.1:53` or `192.0.2.1:853#dns.example`.
    pub address: Arc<str>,
    /// How it is reached.
    pub transport: Transport,
    /// The named groups it belongs to.
    pub resolvers: Vec<Arc<str>>,
    /// Whether it is among the household's for every name.
    pub of_household: bool,
    /// Its tier, where it is named first: 0 is asked first, each other while those before are silent.
    pub tier: u8,
    /// Whether it answers.
    pub health: Health,
    /// Replies of any RCODE.
    pub answered: u64,
    /// Questions it declined or that could not reach it.
    pub failed: u64,
    /// Questions it left without a reply.
    pub timeouts: u64,
    /// Packets that were no reply to our question: late, damaged or forged.
    pub ignored: u64,
    /// Smoothed round-trip time, as far as it is shown.
    pub rtt: Option<Duration>,
    /// The time within which 19 of 20 of its replies come, as far as it is shown; roughly.
    pub p95: Option<Duration>,
    /// Whether it is asked in mixed case.
    pub mixed_case: bool,
    /// What went wrong last.
    pub last_error: Option<String>,
}

#[derive(Debug)]
struct State {
    health: Health,
    answered: u64,
    failed: u64,
    timeouts: u64,
    ignored: u64,
    rtt: Option<Duration>,
    latency: Latency,
    /// The same of those questions that are shown.
    shown_rtt: Option<Duration>,
    shown_latency: Latency,
    /// When it was last heard.
    heard: Moment,
    /// Questions in a row without a sign of life.
    silent: u32,
    /// When the first of them was asked.
    silent_since: Moment,
    /// A question that every resolver can answer was left without a reply too.
    is_dead: bool,
    is_being_probed: bool,
    probe_at: Moment,
    /// When the last probe ended.
    probed: Moment,
    probe_wait: Duration,
    /// It does not understand EDNS, until then.
    plain_until: Moment,
    /// Questions in a row that could not reach it, and until when it is left alone for that.
    unreachable: u8,
    rests_until: Moment,
    rest: Duration,
    /// How often it declined of late what another then answered.
    overruled: u8,
    /// The names' parents, each once, that a later tier answered and it did not, since it last answered
    /// the household.
    lost: Vec<u64>,
    /// It folds case, until then.
    folds_until: Moment,
    last_error: Option<String>,
}

/// Patience with a server whose round-trip time is unknown, and the most we ever have.
const LONGEST_HEDGE: Duration = Duration::from_millis(400);
/// The least, so that a hiccup of our own machine does not double our questions.
pub(super) const SHORTEST_HEDGE: Duration = Duration::from_millis(20);
/// The least time after which somebody who was overtaken had ample time.
const SHORTEST_AMPLE: Duration = Duration::from_millis(80);
/// Between servers of about the same speed the order of the configuration decides.
const SAME_SPEED: Duration = Duration::from_millis(10);
/// A server of which nothing was heard for so long may have become quicker.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Silent questions in a row before we ask whether a server is dead.
const SILENT_QUESTIONS: u32 = 3;
/// How long it must have been silent by then.
const SILENT_TIME: Duration = Duration::from_secs(1);
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LONGEST_PROBE_WAIT: Duration = Duration::from_secs(30);
/// How long the next tier waits for those before it, if they are not known to be silent: this long, or
/// longer where their answers usually take long.
const BEFORE_NEXT_TIER: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_millis(1000));
/// Questions in a row that could not reach a server before it is left alone for a while.
const BREAKS_AT: u8 = 3;
/// How long it is left alone, twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// What a server declined and others answered before they are asked first.
const OVERRULED: u8 = 4;
/// How many names of different parents in a row a later tier has to answer before it is asked first,
/// though the server answers a neutral question: whoever owns a name can make one server fail with it.
const LOST: usize = 8;
/// How long we believe that a server does not understand EDNS.
const PLAIN_TIME: Duration = Duration::from_secs(60);
/// How long we believe that a server folds case.
const FOLD_TIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Server {
    pub(super) fn new(server: &UpstreamServer, around: &Around) -> Self {
        Self {
            label: server.to_string().into(),
            way: Way::new(server, around),
            config: server.clone(),
            mixed_case: around.mixed_case && !server.transport.is_encrypted(),
            life: Arc::clone(&around.life),
            state: Mutex::new(State {
                health: Health::Unknown,
                answered: 0,
                failed: 0,
                timeouts: 0,
                ignored: 0,
                rtt: None,
                latency: Latency::default(),
                shown_rtt: None,
                shown_latency: Latency::default(),
                heard: Moment::default(),
                silent: 0,
                silent_since: Moment::default(),
                is_dead: false,
                is_being_probed: false,
                probe_at: Moment::default(),
                probed: Moment::default(),
                probe_wait: FIRST_PROBE,
                plain_until: Moment::default(),
                unreachable: 0,
                rests_until: Moment::default(),
                rest: FIRST_REST,
                overruled: 0,
                lost: Vec::new(),
                folds_until: Moment::default(),
                last_error: None,
            }),
        }
    }

    /// Whether it is the one `server` speaks of.
    pub(super) fn is(&self, server: &UpstreamServer) -> bool {
        self.config == *server
    }

    /// How long to wait for it before another is asked too: as long as 19 of 20 replies take.
    pub(super) fn hedge(&self) -> Duration {
        self.state().hedge()
    }

    /// How long to wait for it before one of the next tier is asked too.
    pub(super) fn before_next_tier(&self) -> Duration {
        let (least, most) = BEFORE_NEXT_TIER;
        let p95 = self.state().latency.p95().unwrap_or_default();
        (p95 * 3 / 2).clamp(least, most)
    }

    /// When it was last heard.
    pub(super) fn heard(&self) -> Moment {
        self.state().heard
    }

    /// Whether `other` may be the same operator's: both have a name of the same domain, or no name.
    pub(super) fn has_operator_of(&self, other: &Self) -> bool {
        self.operator() == other.operator()
    }

    /// The domain of its name.
    fn operator(&self) -> Option<NameBuf> {
        let name = match (&self.config.tls_name, &self.config.host) {
            (Some(name), _) | (None, Host::Name { name, .. }) => NameBuf::parse(name).ok()?,
            (None, Host::Addresses(_)) => return None,
        };
        Some(NameBuf::from(name.as_ref().registrable_guess()))
    }

    /// Whether `other` is at the same address.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let mut addresses = self.config.addresses().iter();
        addresses.any(|it| other.config.addresses().iter().any(|at| at.ip() == it.ip()))
    }

    /// Whether nobody else can read what it is asked.
    pub(super) fn is_encrypted(&self) -> bool {
        self.config.transport.is_encrypted()
    }

    /// Whether several questions in a row had no sign of life from it.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.state().silent >= SILENT_QUESTIONS
    }

    /// Whether it is to be left alone, since it could not be reached again and again.
    pub(super) fn rests(&self, now: Moment) -> bool {
        let state = self.state();
        state.unreachable >= BREAKS_AT && now < state.rests_until
    }

    /// After what time it is its fault that another was quicker.
    pub(super) fn ample(&self) -> Duration {
        self.state().ample()
    }

    /// How a question goes to it in the clear: with EDNS or not, what it has on, and how long to wait
    /// before another is asked too (`has_others`), or the same once more.
    pub(super) fn plan(&self, now: Moment, has_others: bool) -> (bool, Dress, Duration) {
        let state = self.state();
        let dress = if self.mixed_case && state.folds_until <= now {
            Dress::MixedCase
        } else {
            Dress::Plain
        };
        let patience = if has_others {
            state.hedge()
        } else {
            state.ample()
        };
        (state.plain_until <= now, dress, patience)
    }

    /// How slow it is, roughly, to compare with others; unknown counts as quick.
    pub(super) fn slowness(&self) -> u128 {
        let rtt = self.state().rtt.unwrap_or_default();
        rtt.as_micros() / SAME_SPEED.as_micros()
    }

    /// Whether what is known of its speed is so old that it should be asked something.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        now.since(self.state().heard) >= FORGOTTEN
    }

    /// What a question to it in the clear has on.
    pub(super) fn dress(&self, now: Moment) -> Dress {
        if self.takes_mixed_case(now) {
            Dress::MixedCase
        } else {
            Dress::Plain
        }
    }

    /// Whether to ask it with EDNS.
    pub(super) fn speaks_edns(&self, now: Moment) -> bool {
        self.state().plain_until <= now
    }

    /// Whether to ask it in mixed case.
    pub(super) fn takes_mixed_case(&self, now: Moment) -> bool {
        self.mixed_case && self.state().folds_until <= now
    }

    /// Whether it failed when last asked: then others are asked first.
    pub(super) fn is_failing(&self) -> bool {
        self.state().health == Health::Failing
    }

    /// Whether it is silent beyond doubt.
    pub(super) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Whether it was silent so long that somebody should find out if it is dead.
    pub(super) fn is_suspect(&self, now: Moment) -> bool {
        let state = self.state();
        !state.is_dead
            && state.silent >= SILENT_QUESTIONS
            && now.since(state.silent_since) >= SILENT_TIME
    }

    /// Whether the caller is the one to send it a probe now; [`Self::end_probe`] must follow.
    pub(super) fn begin_probe(&self, now: Moment, at_once: bool) -> bool {
        let mut state = self.state();
        let is_due = !state.is_being_probed && (at_once || state.probe_at <= now);
        state.is_being_probed |= is_due;
        is_due
    }

    /// The probe is over; whether there will be another was settled by what it noted.
    pub(super) fn end_probe(&self, now: Moment) {
        let mut state = self.state();
        state.is_being_probed = false;
        state.probed = now;
        if state.health == Health::Failing {
            state.probe_at = now.after(state.probe_wait);
            state.probe_wait = LONGEST_PROBE_WAIT.min(state.probe_wait * 2);
        }
    }

    /// It replied with `rcode`, `rtt` after being asked what the household wanted to know.
    pub(super) fn note_reply(&self, rcode: u16, rtt: Duration, now: Moment, shown: Shown) {
        let mut state = self.state();
        if is_answer(rcode) {
            state.lost.clear();
        }
        self.take_reply(&mut state, rcode, rtt, now, shown);
    }

    /// The same after a question that every resolver can answer. That it can tells nothing of names
    /// that it cannot.
    pub(super) fn note_neutral_reply(&self, rcode: u16, rtt: Duration, now: Moment, shown: Shown) {
        self.take_reply(&mut self.state(), rcode, rtt, now, shown);
    }

    fn take_reply(&self, state: &mut State, rcode: u16, rtt: Duration, now: Moment, shown: Shown) {
        let was_silent = state.silent > 0;
        (state.silent, state.unreachable) = (0, 0);
        state.rest = FIRST_REST;
        state.heard = now;
        // RFC 6298 section 2.3, without the variance.
        let smooth = |old: Option<Duration>| Some(old.map_or(rtt, |old| (old * 7 + rtt) / 8));
        state.rtt = smooth(state.rtt);
        state.latency.note(rtt);
        if shown == Shown::Yes {
            state.answered += 1;
            state.shown_rtt = smooth(state.shown_rtt);
            state.shown_latency.note(rtt);
        }
        if state.is_dead {
            state.is_dead = false;
            self.life.note_revival();
            tracing::info!(server = %self.label, "upstream answers again");
        } else if was_silent {
            self.life.note_sign();
        }
        if is_answer(rcode) {
            state.health = Health::Healthy;
            state.probe_wait = FIRST_PROBE;
            state.overruled /= 2;
        } else {
            state.note_failure(shown, || rcode::label(rcode));
            if state.health == Health::Unknown {
                state.health = Health::Healthy;
            }
        }
    }

    /// It declined a question that another server then answered. `is_unwilling` says that it does not
    /// want to serve us; else it may have been the question, and only who declines again and again is
    /// asked later.
    pub(super) fn note_overruled(&self, is_unwilling: bool, now: Moment) {
        let mut state = self.state();
        state.overruled = OVERRULED.min(state.overruled + 1);
        if is_unwilling || state.overruled == OVERRULED {
            state.demote(now);
        }
    }

    /// A later tier answered a name below `parent` that it declined, or left lying while it answered
    /// others. That may be the name's doing, so that it stays first; whether a neutral question has to
    /// tell.
    pub(super) fn note_lost(&self, parent: u64, now: Moment) -> bool {
        let mut state = self.state();
        if state.lost.len() < LOST && !state.lost.contains(&parent) {
            state.lost.push(parent);
        }
        if state.lost.len() == LOST {
            state.demote(now);
        }
        state.overruled = OVERRULED.min(state.overruled + 1);
        state.overruled == OVERRULED && state.health != Health::Failing
    }

    /// It declined what every resolver can answer.
    pub(super) fn note_unwilling(&self, now: Moment) {
        self.state().demote(now);
    }

    /// Whether only an answer to the household shows that it is well: it answers neutral questions.
    pub(super) fn is_lost(&self) -> bool {
        self.state().lost.len() == LOST
    }

    /// Whether it was heard so late after `asked` that it can have had that question by then.
    pub(super) fn was_heard_after(&self, asked: Moment) -> bool {
        let state = self.state();
        state.heard > asked.after(state.rtt.unwrap_or_default() * 2)
    }

    /// Whether it answers again, if it is failing, is found out next.
    pub(super) fn probe_soon(&self, now: Moment) {
        let mut state = self.state();
        let is_rested = now.since(state.probed) >= FIRST_PROBE;
        if state.health == Health::Failing && (state.probe_wait == FIRST_PROBE || is_rested) {
            state.probe_at = now;
        }
    }

    /// Another server answered a question first that this one was given ample time for.
    pub(super) fn note_overtaken(&self, asked: Moment, now: Moment, shown: Shown) {
        let mut state = self.state();
        state.fell_silent(asked, shown);
        state.demote(now);
    }

    /// It left a question without a reply, as everybody did. That may be the question's fault; see
    /// [`Self::is_suspect`].
    pub(super) fn note_silence(&self, asked: Moment, shown: Shown) {
        self.state().fell_silent(asked, shown);
    }

    /// It cannot be reached.
    pub(super) fn note_unreachable(
        &self,
        error: impl FnOnce() -> String,
        asked: Moment,
        now: Moment,
        shown: Shown,
    ) {
        let mut state = self.state();
        if state.silent == 0 {
            state.silent_since = asked;
        }
        state.silent = state.silent.saturating_add(1);
        state.unreachable = state.unreachable.saturating_add(1);
        if state.unreachable >= BREAKS_AT && state.rests_until <= now {
            state.rests_until = now.after(state.rest);
            state.rest = LONGEST_REST.min(state.rest * 2);
        }
        state.note_failure(shown, error);
        state.demote(now);
    }

    /// It sent what cannot be read.
    pub(super) fn note_malformed(&self, what: &str, shown: Shown) {
        self.state().note_failure(shown, || what.to_owned());
    }

    /// A question that every resolver can answer was left without a reply.
    pub(super) fn note_dead(&self, now: Moment) {
        let mut state = self.state();
        // A reply may have come in while the probe waited.
        if state.silent > 0 && !state.is_dead {
            state.is_dead = true;
            state.demote(now);
            tracing::warn!(server = %self.label, "upstream does not answer");
        }
    }

    /// A packet that was no reply to our question.
    pub(super) fn note_ignored(&self) {
        self.state().ignored += 1;
    }

    /// It answers without EDNS what it did not understand with it.
    pub(super) fn note_plain(&self, now: Moment) {
        self.state().plain_until = now.after(PLAIN_TIME);
    }

    /// It folds case, beyond doubt.
    pub(super) fn note_folds(&self, now: Moment) {
        self.state().folds_until = now.after(FOLD_TIME);
        tracing::info!(server = %self.label, "upstream folds case; asked in lower case for a day");
    }

    /// What there is to show.
    pub(super) fn status(&self, now: Moment) -> ServerStatus {
        let mixed_case = self.takes_mixed_case(now);
        let state = self.state();
        ServerStatus {
            domain: None,
            address: Arc::clone(&self.label),
            transport: self.config.transport,
            resolvers: Vec::new(),
            of_household: false,
            tier: 0,
            health: if state.is_dead {
                Health::Dead
            } else {
                state.health
            },
            answered: state.answered,
            failed: state.failed,
            timeouts: state.timeouts,
            ignored: state.ignored,
            rtt: state.shown_rtt,
            p95: state.shown_latency.p95(),
            mixed_case,
            last_error: state.last_error.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an RCODE is that of an answer.
fn is_answer(rcode: u16) -> bool {
    matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN)
}

impl State {
    fn hedge(&self) -> Duration {
        let usual = self.latency.p95().or_else(|| self.rtt.map(|rtt| rtt * 3));
        usual.map_or(LONGEST_HEDGE, |time| {
            time.clamp(SHORTEST_HEDGE, LONGEST_HEDGE)
        })
    }

    fn ample(&self) -> Duration {
        let ample = self.rtt.map_or(LONGEST_HEDGE, |rtt| {
            (rtt * 3).clamp(SHORTEST_AMPLE, LONGEST_HEDGE)
        });
        ample.max(self.hedge())
    }

    fn demote(&mut self, now: Moment) {
        if self.health != Health::Failing {
            self.health = Health::Failing;
            self.probe_wait = FIRST_PROBE;
            self.probe_at = now.after(self.probe_wait);
        }
    }

    fn note_failure(&mut self, shown: Shown, what: impl FnOnce() -> String) {
        if shown == Shown::Yes {
            self.failed += 1;
            self.last_error = Some(what());
        }
    }

    fn fell_silent(&mut self, asked: Moment, shown: Shown) {
        if self.silent == 0 {
            self.silent_since = asked;
        }
        self.silent = self.silent.saturating_add(1);
        if shown == Shown::Yes {
            self.timeouts += 1;
            self.last_error = Some("no answer in time".into());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::{ManualTime, Timestamp};
    use crate::upstream::bootstrap::Bootstrap;
    use crate::upstream::group::Group;

    fn server() -> Server {
        let address = "192.0.2.1:53".parse().unwrap();
        alone(&UpstreamServer::at(address, Transport::Udp))
    }

    /// The server `config` speaks of, which nobody's certificate reaches.
    pub(in crate::upstream) fn alone(config: &UpstreamServer) -> Server {
        let clock = ManualTime::starting_at(Timestamp::UNIX_EPOCH).clock();
        let nobody = Group::new(None, []);
        let around = Around {
            bootstrap: Bootstrap::new(nobody, clock.clone(), Duration::ZERO),
            clock,
            mixed_case: true,
            life: Arc::default(),
            secure: None,
        };
        Server::new(config, &around)
    }

    fn millis(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    #[test]
    fn patience_follows_the_round_trip_time() {
        let server = server();
        assert_eq!(server.hedge(), LONGEST_HEDGE);
        server.note_reply(0, Duration::from_millis(40), millis(0), Shown::Yes);
        assert_eq!(server.hedge(), Duration::from_millis(120));
        for _ in 0..50 {
            server.note_reply(0, Duration::from_millis(2), millis(0), Shown::Yes);
        }
        assert_eq!(server.hedge(), SHORTEST_HEDGE);
        assert_eq!(server.ample(), SHORTEST_AMPLE);
        // One in ten takes long: nobody is overtaken for that.
        for index in 0..200 {
            let time = if index % 10 == 0 { 90 } else { 2 };
            server.note_reply(0, Duration::from_millis(time), millis(0), Shown::Yes);
        }
        let hedge = server.hedge();
        assert!(hedge >= Duration::from_millis(90) && hedge < Duration::from_millis(135));
        assert_eq!(server.ample(), hedge);
        assert!(!server.is_forgotten(millis(59_000)) && server.is_forgotten(millis(60_000)));
    }

    #[test]
    fn what_nobody_is_told_of_is_used_and_not_shown() {
        let server = server();
        let before = server.status(millis(0));
        server.note_reply(2, Duration::from_millis(40), millis(0), Shown::No);
        server.note_silence(millis(0), Shown::No);
        server.note_malformed("odd", Shown::No);
        let after = server.status(millis(0));
        let same = ServerStatus {
            health: after.health,
            ..before
        };
        assert_eq!(after, same);
        assert_eq!(server.hedge(), Duration::from_millis(120));
    }

    #[test]
    fn a_server_that_was_overtaken_is_failing_until_it_answers() {
        let server = server();
        server.note_overtaken(millis(0), millis(400), Shown::Yes);
        assert!(server.is_failing());
        assert!(!server.begin_probe(millis(500), false), "not yet due");
        assert!(server.begin_probe(millis(1400), false));
        assert!(!server.begin_probe(millis(1400), false), "one at a time");
        server.end_probe(millis(1500));
        assert!(!server.begin_probe(millis(2400), false));
        assert!(server.begin_probe(millis(2500), false));
        server.note_reply(0, Duration::from_millis(2), millis(0), Shown::Yes);
        server.end_probe(millis(2502));
        assert!(!server.is_failing());
    }

    #[test]
    fn who_cannot_be_reached_again_and_again_rests_longer_and_longer() {
        let server = server();
        let fail = |at| {
            let error = || "refused".to_owned();
            server.note_unreachable(error, millis(at), millis(at), Shown::Yes);
        };
        fail(0);
        fail(1);
        assert!(!server.rests(millis(1)), "twice may be chance");
        fail(2);
        assert!(server.rests(millis(2)) && server.rests(millis(1001)));
        // Others that were under way then make it no longer.
        fail(3);
        assert!(!server.rests(millis(1002)));
        fail(1002);
        assert!(server.rests(millis(3001)) && !server.rests(millis(3002)));
        server.note_reply(0, Duration::from_millis(2), millis(3002), Shown::Yes);
        for at in 4000..4003 {
            fail(at);
        }
        assert!(server.rests(millis(5001)) && !server.rests(millis(5002)));
    }

    #[test]
    fn who_declines_what_others_answer_is_asked_later() {
        let server = server();
        for at in 0..3 {
            server.note_overruled(false, millis(at));
        }
        server.note_reply(0, Duration::from_millis(2), millis(3), Shown::Yes);
        for at in 4..6 {
            server.note_overruled(false, millis(at));
            assert!(!server.is_failing(), "it answered between");
        }
        server.note_overruled(false, millis(6));
        assert!(server.is_failing());
    }

    #[test]
    fn who_loses_single_names_to_a_later_tier_stays_first() {
        let server = server();
        let lose = |parents: std::ops::Range<u64>| {
            parents
                .map(|parent| server.note_lost(parent, millis(0)))
                .collect::<Vec<_>>()
        };
        // More of the same is no more; the fourth decline is looked into.
        assert_eq!(lose(0..4), [false, false, false, true]);
        assert_eq!(lose(0..4), [true; 4]);
        assert!(!server.is_failing() && !server.is_lost());
        server.note_neutral_reply(0, Duration::from_millis(2), millis(1), Shown::Yes);
        lose(4..7);
        assert!(!server.is_failing());
        // One answer to the household, and it begins anew.
        server.note_reply(0, Duration::from_millis(2), millis(2), Shown::Yes);
        lose(7..14);
        assert!(!server.is_failing());
        lose(14..15);
        assert!(server.is_failing() && server.is_lost());
        server.note_reply(3, Duration::from_millis(2), millis(3), Shown::Yes);
        assert!(!server.is_failing() && !server.is_lost());
    }

    #[test]
    fn what_was_on_its_way_already_is_no_word_about_a_question() {
        let server = server();
        server.note_reply(0, Duration::from_millis(20), millis(100), Shown::Yes);
        assert!(!server.was_heard_after(millis(100)));
        // Asked a moment before that reply came in.
        assert!(!server.was_heard_after(millis(90)));
        assert!(server.was_heard_after(millis(50)));
    }

    #[test]
    fn silence_alone_is_suspicious_but_no_proof() {
        let server = server();
        for _ in 0..3 {
            assert!(!server.is_suspect(millis(1500)));
            server.note_silence(millis(0), Shown::Yes);
        }
        assert!(server.is_suspect(millis(1500)));
        assert!(!server.is_dead() && !server.is_failing());
        server.note_dead(millis(2500));
        assert!(server.is_dead() && server.is_failing() && !server.is_suspect(millis(2500)));
        server.note_reply(2, Duration::from_millis(2), millis(0), Shown::Yes);
        assert!(!server.is_dead(), "even SERVFAIL is a sign of life");
        assert_eq!(server.life.revivals(), 1);
        server.note_dead(millis(3000));
        assert!(!server.is_dead(), "a late probe does not kill");
    }

    #[test]
    fn lessons_are_forgotten_in_time() {
        let server = server();
        server.note_plain(millis(0));
        server.note_folds(millis(0));
        let hour = Moment::default().after(PLAIN_TIME);
        let day = Moment::default().after(FOLD_TIME);
        assert!(!server.speaks_edns(millis(1)) && server.speaks_edns(hour));
        assert!(!server.takes_mixed_case(hour) && server.takes_mixed_case(day));
    }
}
