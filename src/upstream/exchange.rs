//! Asking one question of several servers until one answers or the time is up.
//!
//! The best server is asked first; when it takes longer than it usually does, the next one is
//! asked too, and so on; the next tier has to wait longer, and longest while a connection to one before
//! it is on its way. Once all were asked, repeats come with
//! growing gaps. All attempts keep listening: whichever answers first
//! wins. A server that declines or cannot be reached is out of the race and the next one is asked
//! at once. Everything lives in one future, so that dropping it closes every socket.
//!
//! A tier is not left for one question: halfway to the next tier whoever is silent is asked the same once
//! more, over another connection where the one that is open may be dead (RFC 7766 section 6.2.4), and
//! besides that a neutral question. Who answers that was not at fault.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::PROBE;
use super::failure::{Cap, Failure, is_decision, is_of_filter};
use super::fault::Fault;
use super::group::{Group, NEUTRAL, Ranked};
use super::port::Port;
use super::server::{SHORTEST_HEDGE, Server, Shown};
use super::udp::{self, Heard};
use super::way::Way;
use super::wire::{Dress, Match, Request, extended_errors, is_truncated, rcode, rcode_of};
use crate::clock::{Clock, Moment};
use crate::message::{Answer, Question};

/// Attempts beyond one for each server.
const REPEATS: usize = 3;
/// How long a folded reply may take to be confirmed over TCP.
const CONFIRMATION: Duration = Duration::from_millis(500);

/// The least that is listened to an attempt that went on here.
pub(super) const LAST_LOOK: Duration = Duration::from_millis(30);

/// What a server said.
#[derive(Debug)]
pub(super) enum Said {
    /// NOERROR or NXDOMAIN.
    Answer(Box<Answer>),
    /// It declined.
    Declined(u16),
    /// It declined, and said by an Extended DNS Error that this is how it is: its filter or its
    /// validation was at work.
    Forbidden(u16, u16),
}

/// Why a server said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be reached.
    Unreachable(io::ErrorKind),
    /// It was reached and is not what it should be.
    Unusable(Arc<str>),
    /// Its reply cannot be read.
    Malformed(String),
    /// We could not ask: this machine is out of descriptors, ports or memory. No fault of the
    /// server's.
    Ours,
}

impl Trouble {
    /// Why a datagram could not be sent or heard.
    fn of(error: io::Error) -> Self {
        use nix::errno::Errno;
        match error.raw_os_error().map(Errno::from_raw) {
            Some(
                Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRINUSE,
            ) => Self::Ours,
            _ => Self::Unreachable(error.kind()),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(kind) => Self::Unreachable(kind),
            Fault::Said(what) => Self::Unusable(what),
        }
    }
}

/// Asks the servers of `group`; ends after `budget` at the latest. Says who answered.
///
/// # Errors
/// When none of them answered: what the first choice among those that spoke had to say, or that
/// nobody spoke.
pub(super) async fn exchange(
    group: &Group,
    question: &Question,
    clock: &Clock,
    budget: Duration,
    shown: Shown,
    begun: Option<First>,
) -> Result<(Answer, Arc<Server>), Failure> {
    let servers = group.ranked(clock.now());
    exchange_among(servers, question, clock, budget, shown, begun).await
}

/// The same with these servers, the first choice first.
///
/// # Errors
/// As [`exchange`].
pub(super) async fn exchange_among(
    servers: Vec<Ranked>,
    question: &Question,
    clock: &Clock,
    budget: Duration,
    shown: Shown,
    begun: Option<First>,
) -> Result<(Answer, Arc<Server>), Failure> {
    let mut race = Race::new(servers, question, clock, shown);
    let Some(first) = race.lanes.first() else {
        return Err(Failure::NoServers);
    };
    // Before a repeat; the server may be waiting for others itself.
    let mut gap = first.server.ample();
    let mut due = Instant::now();
    let mut deadline = due + budget;
    // When those that are waited for are doubted.
    let mut doubt = None;
    if let Some(begun) = begun {
        // Where we were held up, what came meanwhile is there to be read.
        deadline = deadline.min(begun.started + budget).max(due + LAST_LOOK);
        // Whoever was heard is alive, and has its time for the detour it needs.
        let since = if begun.heard.is_some() {
            due
        } else {
            begun.started
        };
        race.resume(begun);
        race.patient_until = deadline - budget * 2 / 5;
        if !race.attempts.is_empty() {
            (due, doubt) = race.wait(since, gap);
        }
        if !race.has_fresh() {
            gap = budget.min(gap * 2);
        }
    }
    // Then there is time left for those behind.
    race.patient_until = deadline - budget * 2 / 5;
    loop {
        if Instant::now() >= deadline {
            return Err(race.time_up());
        }
        if doubt.is_some_and(|doubt| Instant::now() >= doubt) {
            doubt = None;
            race.doubt();
        }
        if Instant::now() >= due {
            if Instant::now() < race.patient_until && race.is_next_held_back() {
                due = race.patient_until;
            } else if race.start_next() {
                (due, doubt) = race.wait(Instant::now(), gap);
                if !race.has_fresh() {
                    // Repeats come more and more rarely.
                    gap = budget.min(gap * 2);
                }
            } else if race.attempts.is_empty() {
                return Err(race.failure());
            } else {
                due = deadline;
            }
        }
        tokio::select! {
            biased;
            (lane, asked, result) = race.next() => {
                if let Some(answer) = race.settle(lane, asked, result) {
                    return Ok((answer, Arc::clone(&race.lanes[lane].server)));
                }
                if race.is_final {
                    return Err(race.failure());
                }
                if race.is_next_due() {
                    due = Instant::now();
                }
            }
            () = tokio::time::sleep_until(due.min(deadline).min(doubt.unwrap_or(due))) => {}
        }
    }
}

/// What a question to one server alone has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It answers, or nothing is known to be wrong.
    Answers,
    /// It was heard and gave no answer.
    Declines,
    /// It was not heard in time.
    Silent,
}

/// Finds out beside everything else, with a neutral question, whether `server` is at fault.
fn find_fault(server: &Arc<Server>, clock: &Clock, shown: Shown) {
    if !server.begin_probe(clock.now(), true) {
        return;
    }
    let (server, clock) = (Arc::clone(server), clock.clone());
    tokio::spawn(async move {
        match probe(&server, &NEUTRAL, &clock, PROBE, shown).await {
            Found::Answers => {}
            Found::Declines => server.note_unwilling(clock.now()),
            // One silence may be a packet lost; after several it is what tells.
            Found::Silent if server.is_suspect(clock.now()) => server.note_dead(clock.now()),
            Found::Silent => {}
        }
        server.end_probe(clock.now());
    });
}

/// Sends `question` to `server` alone to find out whether it answers, and notes what came of it.
pub(super) async fn probe(
    server: &Server,
    question: &Question,
    clock: &Clock,
    patience: Duration,
    shown: Shown,
) -> Found {
    let asked = clock.now();
    let attempt = attempt(server, question, clock, true, None);
    match tokio::time::timeout(patience, attempt).await {
        Ok(Ok(said)) => {
            let now = clock.now();
            let time = now.since(asked);
            if question.qname.as_ref().is_root() {
                server.note_neutral_reply(said.rcode(), time, now, shown);
            } else {
                server.note_reply(said.rcode(), time, now, shown);
            }
            match said {
                Said::Answer(_) => Found::Answers,
                Said::Declined(_) | Said::Forbidden(..) => Found::Declines,
            }
        }
        Ok(Err(Trouble::Malformed(what))) => {
            server.note_malformed(&what, shown);
            Found::Declines
        }
        Ok(Err(Trouble::Unreachable(error))) => {
            server.note_unreachable(|| error.to_string(), asked, clock.now(), shown);
            Found::Silent
        }
        Ok(Err(Trouble::Unusable(what))) => {
            server.note_unreachable(|| what.to_string(), asked, clock.now(), shown);
            Found::Silent
        }
        // Nothing was found out, so nothing is known to be wrong.
        Ok(Err(Trouble::Ours)) => Found::Answers,
        Err(_elapsed) => {
            server.note_silence(asked, shown);
            Found::Silent
        }
    }
}

impl Said {
    fn rcode(&self) -> u16 {
        match self {
            Self::Answer(_) => rcode::NOERROR,
            Self::Declined(rcode) | Self::Forbidden(rcode, _) => *rcode,
        }
    }
}

/// An attempt that is under way.
struct Attempt<'a> {
    lane: usize,
    asked: Moment,
    result: Pin<Box<dyn Future<Output = Result<Said, Trouble>> + Send + 'a>>,
}

/// One server in the race.
struct Lane {
    server: Arc<Server>,
    tier: u8,
    attempts: usize,
    /// Why it is out of the race.
    out: Option<Failure>,
}

struct Race<'a> {
    question: &'a Question,
    clock: &'a Clock,
    shown: Shown,
    /// The first choice first.
    lanes: Vec<Lane>,
    attempts: Vec<Attempt<'a>>,
    left: usize,
    /// Somebody has said that nobody else is to be asked.
    is_final: bool,
    /// When everybody ought to be asked.
    patient_until: Instant,
}

/// An attempt over UDP that is under way already, with what was heard so far.
#[derive(Debug)]
pub(super) struct First {
    pub(super) server: Arc<Server>,
    /// When it was asked.
    pub(super) asked: Moment,
    /// The same for budget and patience.
    pub(super) started: Instant,
    pub(super) request: Request,
    /// Connected to the server, with a port of its own.
    pub(super) socket: UdpSocket,
    /// Packets that were no reply.
    pub(super) strangers: usize,
    /// None if the reply is still to come.
    pub(super) heard: Option<io::Result<Heard>>,
}

impl<'a> Race<'a> {
    fn new(servers: Vec<Ranked>, question: &'a Question, clock: &'a Clock, shown: Shown) -> Self {
        let lane = |ranked: Ranked| Lane {
            server: ranked.server,
            tier: ranked.tier,
            attempts: 0,
            out: None,
        };
        Self {
            question,
            clock,
            shown,
            left: servers.len() + REPEATS,
            lanes: servers.into_iter().map(lane).collect(),
            attempts: Vec::new(),
            is_final: false,
            patient_until: Instant::now(),
        }
    }

    /// Asks the server that was asked least, the first choice among equals; false if nobody is
    /// left to ask.
    fn start_next(&mut self) -> bool {
        let Some(index) = self.next_lane().filter(|_| self.left > 0) else {
            return false;
        };
        self.start(index);
        true
    }

    /// Asks the server of a lane, once more if it was asked.
    fn start(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let is_retry = lane.attempts > 0;
        lane.attempts += 1;
        self.left -= 1;
        let server = Arc::clone(&lane.server);
        let (question, clock) = (self.question, self.clock);
        self.attempts.push(Attempt {
            lane: index,
            asked: clock.now(),
            result: Box::pin(
                async move { attempt(&server, question, clock, is_retry, None).await },
            ),
        });
    }

    /// Half of the time is over before the next tier is asked: those before it are asked the same once
    /// more where that may help, and whether they answer at all.
    fn doubt(&mut self) {
        let Some(next) = self.next_lane().map(|index| &self.lanes[index]) else {
            return;
        };
        let (tier, is_fresh) = (next.tier, next.attempts == 0);
        for index in (0..self.lanes.len()).filter(|_| is_fresh) {
            let lane = &self.lanes[index];
            let is_waited_for = lane.out.is_none() && lane.attempts > 0 && lane.tier < tier;
            if !is_waited_for || lane.server.is_failing() || lane.server.way.is_being_opened() {
                continue;
            }
            find_fault(&lane.server, self.clock, self.shown);
            if lane.attempts == 1 && lane.server.way.may_be_lost() {
                // Once for each, and at nobody's expense: those behind must have their turn.
                self.left += 1;
                self.start(index);
            }
        }
    }

    /// Goes on with an attempt that is under way, as if it had been started here.
    fn resume(&mut self, first: First) {
        let lane = (self.lanes.iter_mut().enumerate())
            .find(|(_, lane)| Arc::ptr_eq(&lane.server, &first.server));
        // Who rests by now, or is named no longer, is not waited for.
        let Some((index, lane)) = lane else {
            return;
        };
        lane.attempts += 1;
        self.left -= 1;
        let server = Arc::clone(&lane.server);
        let (question, clock, asked) = (self.question, self.clock, first.asked);
        let attempt = async move { attempt(&server, question, clock, false, Some(first)).await };
        self.attempts.push(Attempt {
            lane: index,
            asked,
            result: Box::pin(attempt),
        });
    }

    /// Whom [`Self::start_next`] would ask.
    fn next_lane(&self) -> Option<usize> {
        let lanes = self.lanes.iter().enumerate();
        let asked_least = lanes
            .filter(|(_, lane)| lane.out.is_none())
            .min_by_key(|(_, lane)| lane.attempts);
        asked_least.map(|(index, _)| index)
    }

    /// Those that were asked, are not out, and come in a tier before that of the next one, if that was
    /// not asked yet.
    fn before_next(&self) -> impl Iterator<Item = &Lane> {
        let next = self.next_lane().map(|index| &self.lanes[index]);
        let tier = next.filter(|lane| lane.attempts == 0).map(|lane| lane.tier);
        let asked = self.lanes.iter().filter(|lane| lane.attempts > 0);
        asked.filter(move |lane| lane.out.is_none() && Some(lane.tier) < tier)
    }

    /// Whether the next one is of another tier and one before it is just being reached.
    fn is_next_held_back(&self) -> bool {
        self.before_next()
            .any(|lane| !lane.server.is_failing() && lane.server.way.is_being_opened())
    }

    /// Whether the next one is to be asked at once, now that somebody is out: not while others of the
    /// tiers before it may answer yet, unless they failed before.
    fn is_next_due(&self) -> bool {
        let mut before = self.before_next();
        self.attempts.is_empty() || self.has_fresh() && before.all(|lane| lane.server.is_failing())
    }

    /// Whether there is a server that was not asked yet.
    fn has_fresh(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.out.is_none() && lane.attempts == 0)
    }

    /// When the next one is asked, if the last was at `since`: after its patience where somebody was
    /// not asked yet, else after `gap`. And when those that are waited for are doubted.
    fn wait(&self, since: Instant, gap: Duration) -> (Instant, Option<Instant>) {
        let (patience, waits_for_tier) = self.patience(since).unwrap_or((gap, false));
        let doubt = waits_for_tier.then(|| since + patience / 2);
        (since + patience, doubt)
    }

    /// How long to wait from `since` on before the next server that was not asked yet is asked, and
    /// whether that is for the sake of its tier; none if there is none.
    fn patience(&self, since: Instant) -> Option<(Duration, bool)> {
        let is_fresh = |lane: &&Lane| lane.out.is_none() && lane.attempts == 0;
        let next = self.lanes.iter().find(is_fresh)?;
        let asked = self.lanes.iter().rfind(|lane| lane.attempts > 0)?;
        // Whoever is silent has no claim to patience.
        let waits = next.tier > asked.tier && !asked.server.is_failing();
        let patience = match waits {
            true => asked.server.before_next_tier(),
            false => asked.server.hedge(),
        };
        // Everybody of this tier and one of each behind it ought to be asked in time.
        let mut steps = 0;
        let mut tier = asked.tier;
        for lane in self.lanes.iter().filter(is_fresh) {
            if lane.tier == asked.tier || lane.tier != tier {
                steps += 1;
            }
            tier = lane.tier;
        }
        let left = self.patient_until.saturating_duration_since(since);
        let share = (left / steps.max(1)).max(SHORTEST_HEDGE);
        Some((patience.min(share), waits))
    }

    /// The next attempt that comes to an end; never, when none is under way.
    async fn next(&mut self) -> (usize, Moment, Result<Said, Trouble>) {
        poll_fn(|context| {
            for index in 0..self.attempts.len() {
                if let Poll::Ready(result) = self.attempts[index].result.as_mut().poll(context) {
                    let ended = self.attempts.swap_remove(index);
                    return Poll::Ready((ended.lane, ended.asked, result));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes note of how an attempt ended; the answer, if it brought one.
    fn settle(
        &mut self,
        index: usize,
        asked: Moment,
        result: Result<Said, Trouble>,
    ) -> Option<Answer> {
        let now = self.clock.now();
        let server = Arc::clone(&self.lanes[index].server);
        let label = Arc::clone(&server.label);
        let failure = match result {
            Ok(said) => {
                server.note_reply(said.rcode(), now.since(asked), now, self.shown);
                match said {
                    Said::Answer(answer) => {
                        self.note_losers(index, now);
                        return Some(*answer);
                    }
                    Said::Declined(rcode) => Failure::Refused {
                        server: label,
                        rcode,
                    },
                    Said::Forbidden(rcode, why) => {
                        self.is_final = true;
                        if !is_of_filter(why) {
                            // It may be its own validation that is broken, such as without a time:
                            // who says so of what everybody can answer is asked last.
                            find_fault(&server, self.clock, self.shown);
                        }
                        Failure::Forbidden {
                            server: label,
                            rcode,
                            why,
                        }
                    }
                }
            }
            Err(Trouble::Unreachable(_) | Trouble::Unusable(_) | Trouble::Ours)
                if self.first_asked(index).is_some() =>
            {
                // A repeat that found no way; what was asked before it is still under way.
                return None;
            }
            Err(Trouble::Malformed(what)) => {
                server.note_malformed(&what, self.shown);
                Failure::Malformed {
                    server: label,
                    what,
                }
            }
            Err(Trouble::Ours) => Failure::Overloaded(Cap::Machine),
            Err(Trouble::Unreachable(error)) => {
                server.note_unreachable(|| error.to_string(), asked, now, self.shown);
                Failure::Unreachable {
                    server: label,
                    error,
                }
            }
            Err(Trouble::Unusable(what)) => {
                server.note_unreachable(|| what.to_string(), asked, now, self.shown);
                Failure::Unusable {
                    server: label,
                    what,
                }
            }
        };
        self.lanes[index].out = Some(failure);
        self.attempts.retain(|attempt| attempt.lane != index);
        None
    }

    /// The others, when the server of lane `winner` answered.
    fn note_losers(&self, winner: usize, now: Moment) {
        let tier = self.lanes[winner].tier;
        for (index, lane) in self.lanes.iter().enumerate() {
            let is_before = lane.tier < tier;
            let mut has_lost = false;
            if let Some(Failure::Refused { rcode, .. }) = lane.out {
                has_lost = is_before;
                if !is_before {
                    lane.server.note_overruled(rcode == rcode::REFUSED, now);
                }
            }
            let asked = self.first_asked(index);
            if let Some(asked) = asked
                && index != winner
                && now.since(asked) >= lane.server.ample()
            {
                // Who answers others meanwhile is well, and the name is not.
                has_lost |= is_before && lane.server.was_heard_after(asked);
                if !has_lost {
                    lane.server.note_overtaken(asked, now, self.shown);
                }
            }
            if has_lost && lane.server.note_lost(parent_of(self.question), now) {
                find_fault(&lane.server, self.clock, self.shown);
            }
            if is_before {
                // Whether it answers after all is found out at once: a tier is not left for a second.
                lane.server.probe_soon(now);
            }
        }
    }

    /// When the oldest attempt under way of a lane began.
    fn first_asked(&self, lane: usize) -> Option<Moment> {
        self.attempts
            .iter()
            .filter(|attempt| attempt.lane == lane)
            .map(|attempt| attempt.asked)
            .min()
    }

    /// The budget is used up.
    fn time_up(&self) -> Failure {
        for (index, lane) in self.lanes.iter().enumerate() {
            if let Some(asked) = self.first_asked(index) {
                lane.server.note_silence(asked, self.shown);
            }
        }
        self.failure()
    }

    /// Whether what a server `said` is no decision about the name, since it was asked in place of one of
    /// an earlier tier that nobody heard: resolvers of a provider refuse whoever comes from elsewhere.
    fn stands_in(&self, said: &Failure) -> bool {
        let Failure::Refused { server, .. } = said else {
            return false;
        };
        let is_silent = |lane: &Lane| match &lane.out {
            None => lane.attempts > 0,
            Some(out) => out.is_of_network(),
        };
        let mut lanes = self.lanes.iter();
        let spoke = lanes.clone().find(|lane| lane.server.label == *server);
        spoke.is_some_and(|spoke| lanes.any(|lane| lane.tier < spoke.tier && is_silent(lane)))
    }

    /// What to say when nobody answered: what somebody said, else that nobody did.
    fn failure(&self) -> Failure {
        let outs = || self.lanes.iter().filter_map(|lane| lane.out.as_ref());
        // Who has decided before who says no more than SERVFAIL.
        let said = outs().find(|out| out.is_final());
        let said = said.or_else(|| outs().find(|out| matches!(out, Failure::Refused { .. })));
        if let Some(said) = said.filter(|said| !self.stands_in(said)) {
            return said.clone();
        }
        if !self.attempts.is_empty() {
            let mut asked: Vec<_> = self.lanes.iter().filter(|lane| lane.attempts > 0).collect();
            asked.retain(|lane| lane.out.is_none());
            return Failure::Timeout {
                servers: asked
                    .iter()
                    .map(|lane| Arc::clone(&lane.server.label))
                    .collect(),
            };
        }
        outs()
            .find(|out| matches!(out, Failure::Malformed { .. } | Failure::Unusable { .. }))
            .or_else(|| outs().next())
            .cloned()
            .unwrap_or(Failure::NoServers)
    }
}

/// Stands for the parent of the name that is asked for.
fn parent_of(question: &Question) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(question.qname.as_ref().registrable_guess())
}

/// Asks `server` once, with all the detours it may need: TCP, no EDNS, lower case.
async fn attempt(
    server: &Server,
    question: &Question,
    clock: &Clock,
    is_retry: bool,
    begun: Option<First>,
) -> Result<Said, Trouble> {
    // Of what was sent, that is, whatever was learnt since.
    let edns = (begun.as_ref()).map_or_else(
        || server.speaks_edns(clock.now()),
        |first| first.request.has_edns(),
    );
    let mut reply = ask(server, question, clock, edns, is_retry, begun).await?;
    if edns && is_misunderstood(&reply) {
        // RFC 6891 section 7.
        reply = ask(server, question, clock, false, is_retry, None).await?;
        if !is_misunderstood(&reply) {
            server.note_plain(clock.now());
        }
    }
    match rcode_of(&reply) {
        rcode::NOERROR | rcode::NXDOMAIN => Answer::from_upstream(&reply, question)
            .map(|answer| Said::Answer(Box::new(answer)))
            .map_err(|error| Trouble::Malformed(error.to_string())),
        declined => Ok(match extended_errors(&reply).find(|it| is_decision(*it)) {
            Some(why) => Said::Forbidden(declined, why),
            None => Said::Declined(declined),
        }),
    }
}

/// Whether a reply may mean that the server does not know EDNS.
fn is_misunderstood(reply: &[u8]) -> bool {
    matches!(
        rcode_of(reply),
        rcode::FORMERR | rcode::NOTIMP | rcode::BADVERS
    )
}

/// One question, one reply, over the server's transport.
async fn ask(
    server: &Server,
    question: &Question,
    clock: &Clock,
    edns: bool,
    is_retry: bool,
    begun: Option<First>,
) -> Result<Vec<u8>, Trouble> {
    match &server.way {
        Way::Udp(address, _) => {
            ask_by_udp(server, *address, question, clock, edns, is_retry, begun).await
        }
        Way::Tcp(_) => {
            let reply = ask_by_tcp(server, question, clock, edns, is_retry).await?;
            whole(reply.bytes)
        }
        way => {
            let request = Request::new(question, edns, Dress::Padded);
            let reply = way.ask_in_private(request, is_retry).await?;
            whole(reply.map_err(|what| Trouble::Malformed(what.to_owned()))?)
        }
    }
}

/// A reply that was not cut. Nothing but UDP has a reason to cut one, and what is left of it is no
/// answer.
fn whole(reply: Vec<u8>) -> Result<Vec<u8>, Trouble> {
    match is_truncated(&reply) {
        true => Err(Trouble::Malformed("the reply is cut".to_owned())),
        false => Ok(reply),
    }
}

/// Over UDP first, and over TCP where UDP is not enough or not to be trusted.
async fn ask_by_udp(
    server: &Server,
    address: SocketAddr,
    question: &Question,
    clock: &Clock,
    edns: bool,
    is_retry: bool,
    mut begun: Option<First>,
) -> Result<Vec<u8>, Trouble> {
    let mut folded = 0;
    loop {
        let heard = match begun.take() {
            Some(First {
                heard: Some(heard), ..
            }) => heard,
            Some(first) => {
                let port = Port::of(first.socket, address).map_err(Trouble::of)?;
                udp::listen(server, address, port, &first.request, first.strangers).await
            }
            None => {
                let request = Request::new(question, edns, server.dress(clock.now()));
                udp::ask(server, address, &request).await
            }
        };
        match heard.map_err(Trouble::of)? {
            Heard::Reply(reply) => return Ok(reply),
            // A header alone repeats no question, so that it is easily forged: over TCP it is not.
            Heard::Bare(bare) => {
                let confirmed = ask_by_tcp(server, question, clock, edns, is_retry).await;
                return Ok(confirmed.map_or(bare, |reply| reply.bytes));
            }
            Heard::Truncated | Heard::Guessing => {
                let reply = ask_by_tcp(server, question, clock, edns, is_retry).await?;
                return whole(reply.bytes);
            }
            Heard::Folded if folded == 0 => {
                // From a server that folds, or from somebody who guessed port and id but not the
                // case. TCP tells: what folds there too is the server, and its word there counts.
                let confirmation = ask_by_tcp(server, question, clock, edns, is_retry);
                match tokio::time::timeout(CONFIRMATION, confirmation).await {
                    Ok(Ok(reply)) => {
                        if reply.is == Match::Folded {
                            server.note_folds(clock.now());
                        }
                        return whole(reply.bytes);
                    }
                    // Some home routers have no TCP: ask once more from another port, with
                    // another id and case.
                    _ => folded = 1,
                }
            }
            Heard::Folded => {
                // Nobody guesses port and id twice in a row.
                server.note_folds(clock.now());
            }
        }
    }
}

/// Over TCP, in mixed case if that is still to be tried with this server.
async fn ask_by_tcp(
    server: &Server,
    question: &Question,
    clock: &Clock,
    edns: bool,
    is_retry: bool,
) -> Result<super::tcp::Reply, Trouble> {
    let request = Request::new(question, edns, server.dress(clock.now()));
    let tcp = server.way.tcp().ok_or(Fault::HUNG_UP)?;
    Ok(tcp.ask(request, is_retry).await?)
}
