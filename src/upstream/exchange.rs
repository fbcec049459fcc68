//! Asking one question of several servers until one answers or the time is up.
//!
//! The best server is asked first; when it takes longer than it usually does, the next one is
//! asked too, and so on; the fallback has to wait longer. Once all were asked, repeats come with
//! growing gaps. All attempts keep listening: whichever answers first
//! wins. A server that declines or cannot be reached is out of the race and the next one is asked
//! at once. Everything lives in one future, so that dropping it closes every socket.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Cap, Failure};
use super::fault::Fault;
use super::group::{Group, Ranked};
use super::server::{Server, Shown};
use super::udp::{self, Heard};
use super::way::Way;
use super::wire::{Dress, Match, Request, extended_errors, is_truncated, rcode, rcode_of};
use crate::clock::{Clock, Moment};
use crate::message::{Answer, Question};

/// Attempts beyond one for each server.
const REPEATS: usize = 3;
/// How long a folded reply may take to be confirmed over TCP.
const CONFIRMATION: Duration = Duration::from_millis(500);
/// How long the fallback waits for those before it, if they are not known to be silent.
const BEFORE_FALLBACK: Duration = Duration::from_millis(500);

/// What a server said.
#[derive(Debug)]
pub(super) enum Said {
    /// NOERROR or NXDOMAIN.
    Answer(Box<Answer>),
    /// It declined.
    Declined(u16),
    /// It declined, and said that this is how it is: its filter or its validation was at work.
    Forbidden(u16),
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

/// Asks the servers of `group`; ends after `budget` at the latest.
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
) -> Result<Answer, Failure> {
    let deadline = Instant::now() + budget;
    let mut race = Race::new(group.ranked(), question, clock, shown);
    let Some(first) = race.lanes.first() else {
        return Err(Failure::NoServers);
    };
    // Before a repeat; the server may be waiting for others itself.
    let mut gap = first.server.ample();
    let mut due = Instant::now();
    loop {
        if Instant::now() >= deadline {
            return Err(race.time_up());
        }
        if Instant::now() >= due {
            if race.start_next() {
                due = Instant::now() + race.patience().unwrap_or(gap);
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
                    return Ok(answer);
                }
                if race.is_final {
                    return Err(race.failure());
                }
                if race.attempts.is_empty() || race.has_fresh() {
                    due = Instant::now();
                }
            }
            () = tokio::time::sleep_until(due.min(deadline)) => {}
        }
    }
}

/// Sends `question` to `server` alone to find out whether it answers, and notes what came of it.
/// Whether it was reached in time.
pub(super) async fn probe(
    server: &Server,
    question: &Question,
    clock: &Clock,
    patience: Duration,
    shown: Shown,
) -> bool {
    let asked = clock.now();
    let attempt = attempt(server, question, clock, true);
    match tokio::time::timeout(patience, attempt).await {
        Ok(Ok(said)) => {
            let now = clock.now();
            server.note_reply(said.rcode(), now.since(asked), now, shown);
            true
        }
        Ok(Err(Trouble::Malformed(what))) => {
            server.note_malformed(&what, shown);
            true
        }
        Ok(Err(Trouble::Unreachable(error))) => {
            server.note_unreachable(|| error.to_string(), asked, clock.now(), shown);
            false
        }
        Ok(Err(Trouble::Unusable(what))) => {
            server.note_unreachable(|| what.to_string(), asked, clock.now(), shown);
            false
        }
        // Nothing was found out, so nothing is known to be wrong.
        Ok(Err(Trouble::Ours)) => true,
        Err(_elapsed) => {
            server.note_silence(asked, shown);
            false
        }
    }
}

impl Said {
    fn rcode(&self) -> u16 {
        match self {
            Self::Answer(_) => rcode::NOERROR,
            Self::Declined(rcode) | Self::Forbidden(rcode) => *rcode,
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
    is_fallback: bool,
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
}

impl<'a> Race<'a> {
    fn new(servers: Vec<Ranked>, question: &'a Question, clock: &'a Clock, shown: Shown) -> Self {
        let lane = |ranked: Ranked| Lane {
            server: ranked.server,
            is_fallback: ranked.is_fallback,
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
        }
    }

    /// Asks the server that was asked least, the first choice among equals; false if nobody is
    /// left to ask.
    fn start_next(&mut self) -> bool {
        let next = self
            .lanes
            .iter_mut()
            .enumerate()
            .filter(|(_, lane)| lane.out.is_none())
            .min_by_key(|(_, lane)| lane.attempts);
        let Some((index, lane)) = next.filter(|_| self.left > 0) else {
            return false;
        };
        let is_retry = lane.attempts > 0;
        lane.attempts += 1;
        self.left -= 1;
        let server = Arc::clone(&lane.server);
        let (question, clock) = (self.question, self.clock);
        self.attempts.push(Attempt {
            lane: index,
            asked: clock.now(),
            result: Box::pin(async move { attempt(&server, question, clock, is_retry).await }),
        });
        true
    }

    /// Whether there is a server that was not asked yet.
    fn has_fresh(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.out.is_none() && lane.attempts == 0)
    }

    /// How long to wait before the next server that was not asked yet is asked; none if there is
    /// none.
    fn patience(&self) -> Option<Duration> {
        let fresh = |lane: &&Lane| lane.out.is_none() && lane.attempts == 0;
        let next = self.lanes.iter().find(fresh)?;
        let asked = self.lanes.iter().rfind(|lane| lane.attempts > 0)?;
        let hedge = asked.server.hedge();
        // Whoever is silent has no claim to patience.
        let waits = next.is_fallback && !asked.is_fallback && !asked.server.is_failing();
        Some(if waits {
            hedge.max(BEFORE_FALLBACK)
        } else {
            hedge
        })
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
                    Said::Forbidden(rcode) => {
                        self.is_final = true;
                        Failure::Refused {
                            server: label,
                            rcode,
                        }
                    }
                }
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
        for (index, lane) in self.lanes.iter().enumerate() {
            if matches!(
                lane.out,
                Some(Failure::Refused {
                    rcode: rcode::REFUSED,
                    ..
                })
            ) {
                lane.server.note_unwilling(now);
            }
            let asked = self.first_asked(index);
            if let Some(asked) = asked
                && index != winner
                && now.since(asked) >= lane.server.ample()
            {
                lane.server.note_overtaken(asked, now, self.shown);
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

    /// What to say when nobody answered: what somebody said, else that nobody did.
    fn failure(&self) -> Failure {
        let outs = || self.lanes.iter().filter_map(|lane| lane.out.as_ref());
        let said = outs().find(|out| matches!(out, Failure::Refused { .. }));
        if let Some(said) = said {
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

/// Asks `server` once, with all the detours it may need: TCP, no EDNS, lower case.
async fn attempt(
    server: &Server,
    question: &Question,
    clock: &Clock,
    is_retry: bool,
) -> Result<Said, Trouble> {
    let edns = server.speaks_edns(clock.now());
    let mut reply = ask(server, question, clock, edns, is_retry).await?;
    if edns && is_misunderstood(&reply) {
        // RFC 6891 section 7.
        reply = ask(server, question, clock, false, is_retry).await?;
        if !is_misunderstood(&reply) {
            server.note_plain(clock.now());
        }
    }
    match rcode_of(&reply) {
        rcode::NOERROR | rcode::NXDOMAIN => Answer::from_upstream(&reply, question)
            .map(|answer| Said::Answer(Box::new(answer)))
            .map_err(|error| Trouble::Malformed(error.to_string())),
        declined if is_forbidden(&reply) => Ok(Said::Forbidden(declined)),
        declined => Ok(Said::Declined(declined)),
    }
}

/// Whether who declines says by an Extended DNS Error (RFC 8914) that it was its filter (4 and 15 to
/// 17) or its validation (6 to 12): to ask another would be to go round it.
fn is_forbidden(reply: &[u8]) -> bool {
    extended_errors(reply).any(|code| matches!(code, 4 | 6..=12 | 15..=17))
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
) -> Result<Vec<u8>, Trouble> {
    match &server.way {
        Way::Udp(address, _) => ask_by_udp(server, *address, question, clock, edns, is_retry).await,
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
) -> Result<Vec<u8>, Trouble> {
    let mut folded = 0;
    loop {
        let request = Request::new(question, edns, server.dress(clock.now()));
        let heard = udp::ask(server, address, &request)
            .await
            .map_err(Trouble::of)?;
        match heard {
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
