//! Why a question got no answer, and the memory of it (RFC 9520).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::network::Network;
use super::wire::rcode;
use crate::clock::Moment;
use crate::message::Question;

/// Why a question got no answer from upstream; the client hears SERVFAIL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is nobody to ask.
    #[error("no upstream is configured")]
    NoServers,
    /// Nobody answered within the budget.
    #[error("no answer in time from {}", list(servers))]
    Timeout {
        /// Whom we asked, the first choice first.
        servers: Vec<Arc<str>>,
    },
    /// A server could not be reached, and none that could gave an answer.
    #[error("{server} cannot be reached: {error}")]
    Unreachable {
        /// The first choice among those that could not.
        server: Arc<str>,
        /// What the system said.
        error: io::ErrorKind,
    },
    /// A server was reached and is not what it should be, such as one whose certificate is for
    /// another name.
    #[error("{server} cannot be used: {what}")]
    Unusable {
        /// The first choice among those that are not.
        server: Arc<str>,
        /// What is wrong with it.
        what: Arc<str>,
    },
    /// Every server that spoke declined.
    #[error("{server} says {}", rcode::label(*rcode))]
    Refused {
        /// The first choice among those that did.
        server: Arc<str>,
        /// What it said.
        rcode: u16,
    },
    /// A server declined and said that this is how it is: its filter or its validation was at work.
    #[error("{server} says {} and why: Extended DNS Error {why}", rcode::label(*rcode))]
    Forbidden {
        /// Which server.
        server: Arc<str>,
        /// What it said.
        rcode: u16,
        /// The INFO-CODE of its Extended DNS Error (RFC 8914).
        why: u16,
    },
    /// A server's reply could not be read.
    #[error("{server} sent what cannot be read: {what}")]
    Malformed {
        /// Which server.
        server: Arc<str>,
        /// What is wrong with it.
        what: String,
    },
    /// The answer is not what the owner of the name signed.
    #[error("bogus: {what}")]
    Bogus {
        /// The code of the Extended DNS Error that says so.
        code: u16,
        /// What is wrong with it.
        what: Arc<str>,
    },
    /// There was no place for the question.
    #[error("too many questions: {0}")]
    Overloaded(Cap),
    /// All servers are known to be silent; this question was not sent.
    #[error("upstream does not answer at present")]
    Down,
    /// The same question failed a moment ago; it was not sent again.
    #[error("failed before: {0}")]
    Recent(Box<Self>),
    /// One of the others, where the network looks as if it kept us from our upstreams.
    #[error("{network}: {failure}")]
    Kept {
        /// What happened.
        failure: Box<Self>,
        /// What it looks like.
        network: Network,
    },
    /// The exchange ended without a result, as when the daemon stops.
    #[error("the exchange was given up")]
    GivenUp,
}

/// Which bound of the table of questions in flight was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cap {
    /// The client has its share of questions in flight.
    #[error("this device waits for enough already")]
    Client,
    /// The domain has its share of all questions in flight.
    #[error("enough of this domain is waited for already")]
    Parent,
    /// The table is full.
    #[error("the table is full")]
    Table,
    /// The machine has no descriptor, port or memory left for another question.
    #[error("this machine has no room for another question")]
    Machine,
    /// Enough clients wait for this one question.
    #[error("enough devices wait for this name already")]
    Question,
}

impl Failure {
    /// The INFO-CODE of the Extended DNS Error that goes with it (RFC 8914).
    pub fn ede(&self) -> u16 {
        match self {
            // No Reachable Authority.
            Self::NoServers | Self::Timeout { .. } | Self::Down => 22,
            Self::Refused { rcode, .. } if *rcode == rcode::REFUSED => 22,
            Self::Bogus { code, .. } | Self::Forbidden { why: code, .. } => *code,
            // Network Error.
            Self::Unreachable { .. }
            | Self::Unusable { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::Overloaded(_)
            | Self::GivenUp => 23,
            // What it was the first time: a client that asks again learns no less.
            Self::Recent(first) => first.ede(),
            Self::Kept { failure, .. } => failure.ede(),
        }
    }

    /// The same with what the network looks like, where that may be why.
    pub(super) fn in_network(self, network: Option<Network>) -> Self {
        let of_network = match &self {
            Self::Recent(first) => first.is_of_network(),
            other => other.is_of_network() || *other == Self::Down,
        };
        match network.filter(|_| of_network) {
            Some(network) => Self::Kept {
                failure: Box::new(self),
                network,
            },
            None => self,
        }
    }

    /// The server without which there would have been no failure: it was not there, or is not what it
    /// should be, whatever it is asked.
    pub(super) fn is_fault_of(&self) -> Option<&Arc<str>> {
        match self {
            Self::Unreachable { server, .. } | Self::Unusable { server, .. } => Some(server),
            _ => None,
        }
    }

    /// Whether the network was at fault, so that it is void when a silent server speaks again.
    pub(super) fn is_of_network(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Unreachable { .. } | Self::Unusable { .. }
        )
    }

    /// Whether none of the past is given in its place: the answer is wrong, or who was asked has said no.
    /// What a family's filter closes today must not be opened by what it said yesterday. SERVFAIL without
    /// a word about why is an outage like silence (RFC 8767 section 5).
    pub fn is_final(&self) -> bool {
        self.is_bogus() || self.is_no() || matches!(self.bare(), Self::Forbidden { .. })
    }

    /// Whether a server does not want the name to be asked: its filter was at work, or it says REFUSED.
    /// Then what it said before is void.
    pub fn is_no(&self) -> bool {
        match self.bare() {
            Self::Forbidden { why, .. } => is_of_filter(*why),
            Self::Refused { rcode, .. } => *rcode == rcode::REFUSED,
            _ => false,
        }
    }

    /// What happened first.
    fn bare(&self) -> &Self {
        match self {
            Self::Recent(first) => first.bare(),
            Self::Kept { failure, .. } => failure.bare(),
            other => other,
        }
    }

    /// Whether the answer is wrong.
    pub fn is_bogus(&self) -> bool {
        matches!(self.bare(), Self::Bogus { .. })
    }

    /// Whether it says something of the question that a second attempt would find again.
    fn is_worth_keeping(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Unusable { .. }
            | Self::Refused { .. }
            | Self::Forbidden { .. }
            | Self::Malformed { .. }
            | Self::Bogus { .. } => true,
            Self::NoServers
            | Self::Overloaded(_)
            | Self::Down
            | Self::Recent(_)
            | Self::Kept { .. }
            | Self::GivenUp => false,
        }
    }
}

/// Whether an Extended DNS Error says that a filter was at work: 4 Forged Answer, 15 Blocked, 16
/// Censored, 17 Filtered (RFC 8914 section 4).
pub(super) fn is_of_filter(code: u16) -> bool {
    matches!(code, 4 | 15..=17)
}

/// Whether an Extended DNS Error says that its server has decided: by its filter, or by its validation
/// (6 to 12). To ask another would be to go round it.
pub(super) fn is_decision(code: u16) -> bool {
    is_of_filter(code) || matches!(code, 6..=12)
}

/// `192.0.2.1:53 and 192.0.2.2:53`.
fn list(servers: &[Arc<str>]) -> String {
    servers.join(" and ")
}

/// The questions that failed lately: kept 5 s, or 1 s where that was not their fault, twice as long
/// each time they fail again, 60 s at most (RFC 9520 section 3.2).
///
/// A fixed number of places, found by keyed hash: a flood of failing names pushes out older
/// failures and nothing else. The hash stands for the question; with 64 keyed bits nobody can make
/// two meet.
#[derive(Debug)]
pub(super) struct Failures {
    keys: RandomState,
    sets: Mutex<Vec<[Slot; WAYS]>>,
    /// When the last that was kept is forgotten, in microseconds; 0 before the first.
    last_ends: AtomicU64,
}

#[derive(Clone, Debug)]
struct Slot {
    key: u64,
    at: Moment,
    wait: Duration,
    /// How often a silent server had spoken again by then.
    revivals: u64,
    /// It was not the question's fault.
    is_hiccup: bool,
    /// Who is at fault was heard while it was asked: it holds for nothing, and counts if it comes again.
    is_over: bool,
    failure: Option<Failure>,
}

/// A failure that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) failure: Failure,
    /// It was not the question's fault, and nobody at fault was heard since.
    pub(super) is_hiccup: bool,
}

/// How a question failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// When it was first asked.
    pub(super) asked: Moment,
    /// When it failed.
    pub(super) at: Moment,
    /// How often a silent server had spoken again by then.
    pub(super) revivals: u64,
    /// When somebody was last heard who is at fault.
    pub(super) heard: Moment,
}

impl Circumstances {
    /// Whether it says nothing of the question: nobody was at the place, or whoever answered before was
    /// silent for the latter half of the time, whatever it was asked.
    fn is_hiccup(&self, failure: &Failure) -> bool {
        let half = self.at.since(self.asked) / 2;
        let is_quiet = self.heard <= self.asked.after(half);
        failure.is_of_network() && (failure.is_fault_of().is_some() || is_quiet)
    }
}

const SETS: usize = 256;
const WAYS: usize = 4;
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The same while the line may just have had a hiccup: the least that is allowed.
const FIRST_WAIT_IN_A_HICCUP: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Slot {
    const EMPTY: Self = Self {
        key: 0,
        at: Moment::from_micros(0),
        wait: Duration::ZERO,
        revivals: 0,
        is_hiccup: false,
        is_over: false,
        failure: None,
    };

    fn ends(&self) -> Moment {
        self.at.after(self.wait)
    }
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            keys: RandomState::new(),
            sets: Mutex::new(vec![[Slot::EMPTY; WAYS]; SETS]),
            last_ends: AtomicU64::new(0),
        }
    }

    /// The failure of `question` that still holds at `now`. `heard` says when somebody was last heard
    /// who is at fault for it.
    pub(super) fn find(
        &self,
        question: &Question,
        now: Moment,
        revivals: u64,
        heard: impl FnOnce(&Failure) -> Moment,
    ) -> Option<Kept> {
        // Nearly always nothing failed lately.
        if now.as_micros() >= self.last_ends.load(Ordering::Acquire) {
            return None;
        }
        let key = self.keys.hash_one(question);
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = sets[index(key)].iter().find(|slot| slot.key == key)?;
        let failure = slot.failure.as_ref()?;
        if slot.is_over
            || now >= slot.ends()
            || failure.is_of_network() && slot.revivals != revivals
        {
            return None;
        }
        let kept = Kept {
            failure: failure.clone(),
            is_hiccup: slot.is_hiccup,
        };
        // One answer to whatever question, and the hiccup is over.
        let is_over = slot.is_hiccup && heard(failure) > slot.at;
        (!is_over).then_some(kept)
    }

    /// Keeps `failure` if it says something of the question.
    pub(super) fn keep(&self, question: &Question, failure: &Failure, then: Circumstances) {
        if !failure.is_worth_keeping() {
            return;
        }
        let Circumstances {
            at: now, revivals, ..
        } = then;
        let key = self.keys.hash_one(question);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut sets[index(key)];
        let place = set
            .iter()
            .position(|slot| slot.key == key)
            .or_else(|| (0..WAYS).min_by_key(|&way| (set[way].failure.is_some(), set[way].ends())))
            .unwrap_or(0);
        let slot = &mut set[place];
        let failed_before =
            slot.key == key && slot.failure.is_some() && now < slot.ends().after(slot.wait);
        // Who is at fault was heard since, and it fails again: it is the question.
        let is_its_own = failed_before && (!slot.is_hiccup || then.heard > slot.at);
        let is_hiccup = then.is_hiccup(failure) && !is_its_own;
        // Who was heard after all is there by now.
        let is_over = is_hiccup && failure.is_fault_of().is_some() && then.heard > then.asked;
        // What was a hiccup and is none any more begins anew.
        let is_repeated =
            failed_before && slot.revivals == revivals && (is_hiccup || !slot.is_hiccup);
        let wait = if is_repeated {
            LONGEST_WAIT.min(slot.wait * 2)
        } else if is_hiccup {
            FIRST_WAIT_IN_A_HICCUP
        } else {
            FIRST_WAIT
        };
        *slot = Slot {
            key,
            at: now,
            wait,
            revivals,
            is_hiccup,
            is_over,
            failure: Some(failure.clone()),
        };
        let ends = now.after(wait).as_micros();
        self.last_ends.fetch_max(ends, Ordering::Release);
    }

    /// Forgets that `question` ever failed.
    pub(super) fn forget(&self, question: &Question, now: Moment) {
        let last_ends = Moment::from_micros(self.last_ends.load(Ordering::Acquire));
        // Whoever fails again within the time it was kept for is kept for longer.
        if now >= last_ends.after(LONGEST_WAIT) || last_ends == Moment::default() {
            return;
        }
        let key = self.keys.hash_one(question);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in &mut sets[index(key)] {
            if slot.key == key {
                *slot = Slot::EMPTY;
            }
        }
    }
}

/// The set in which `key` may be.
fn index(key: u64) -> usize {
    // Below 256 by the remainder.
    (key % SETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    fn question(name: &str) -> Question {
        Question {
            qname: NameBuf::parse(name).unwrap(),
            qtype: 1,
            dnssec_ok: false,
            checking_disabled: false,
            via: 0,
        }
    }

    fn timeout() -> Failure {
        Failure::Timeout {
            servers: vec!["192.0.2.1:53".into()],
        }
    }

    fn secs(secs: u64) -> Moment {
        Moment::from_micros(secs * 1_000_000)
    }

    fn then(at: Moment, revivals: u64) -> Circumstances {
        Circumstances {
            asked: at,
            at,
            revivals,
            heard: at.after(Duration::from_micros(1)),
        }
    }

    fn find(failures: &Failures, q: &Question, now: Moment, revivals: u64) -> Option<Failure> {
        let kept = failures.find(q, now, revivals, |_| now)?;
        assert!(!kept.is_hiccup);
        Some(kept.failure)
    }

    #[test]
    fn what_a_server_has_decided_is_final_and_what_it_could_not_find_is_not() {
        let server = || Arc::from("192.0.2.1:53");
        let refused = |rcode| Failure::Refused {
            server: server(),
            rcode,
        };
        let forbidden = |why| Failure::Forbidden {
            server: server(),
            rcode: 5,
            why,
        };
        let bogus = Failure::Bogus {
            code: 6,
            what: "it is".into(),
        };
        for (failure, is_final, is_no) in [
            (refused(rcode::REFUSED), true, true),
            (refused(rcode::SERVFAIL), false, false),
            (forbidden(4), true, true),
            (forbidden(15), true, true),
            (forbidden(17), true, true),
            (forbidden(9), true, false),
            (bogus, true, false),
            (timeout(), false, false),
            (Failure::Down, false, false),
        ] {
            let again = Failure::Recent(Box::new(failure.clone()));
            for failure in [failure, again] {
                assert_eq!(failure.is_final(), is_final, "{failure}");
                assert_eq!(failure.is_no(), is_no, "{failure}");
            }
        }
        assert_eq!(forbidden(17).ede(), 17);
    }

    #[test]
    fn a_hiccup_is_kept_for_1_s_and_over_with_the_first_answer() {
        let failures = Failures::new();
        let q = question("a.test");
        let quiet = Circumstances {
            asked: secs(8),
            heard: secs(9),
            ..then(secs(10), 0)
        };
        failures.keep(&q, &timeout(), quiet);
        let found = |now, heard| failures.find(&q, now, 0, |_| heard);
        let kept = Kept {
            failure: timeout(),
            is_hiccup: true,
        };
        let half = secs(10).after(Duration::from_millis(500));
        assert_eq!(found(half, secs(9)), Some(kept.clone()));
        assert_eq!(found(half, half), None, "somebody spoke");
        assert_eq!(found(secs(11), secs(9)), None);
        // What is declined was heard.
        let refused = Failure::Refused {
            server: "192.0.2.1:53".into(),
            rcode: 2,
        };
        failures.keep(&question("b.test"), &refused, quiet);
        let b = failures.find(&question("b.test"), secs(14), 0, |_| secs(13));
        assert_eq!(b.map(|kept| kept.is_hiccup), Some(false));
    }

    #[test]
    fn who_was_heard_in_the_latter_half_was_silent_about_the_question() {
        let q = question("a.test");
        for (heard, is_hiccup) in [(8500, true), (9000, true), (9001, false), (9900, false)] {
            let failures = Failures::new();
            let heard = Moment::from_micros(heard * 1000);
            let circumstances = Circumstances {
                asked: secs(8),
                heard,
                ..then(secs(10), 0)
            };
            failures.keep(&q, &timeout(), circumstances);
            let kept = failures.find(&q, secs(10), 0, |_| heard).unwrap();
            assert_eq!(kept.is_hiccup, is_hiccup, "{heard:?}");
        }
    }

    #[test]
    fn that_a_server_was_not_there_is_over_when_it_is() {
        let q = question("a.test");
        let gone = Failure::Unreachable {
            server: "192.0.2.1:53".into(),
            error: io::ErrorKind::ConnectionRefused,
        };
        let heard_at = |heard| Circumstances {
            asked: secs(8),
            heard,
            ..then(secs(10), 0)
        };
        let failures = Failures::new();
        failures.keep(&q, &gone, heard_at(secs(9)));
        assert_eq!(
            failures.find(&q, secs(10), 0, |_| secs(9)),
            None,
            "it came while we asked"
        );
        failures.keep(&q, &gone, heard_at(secs(7)));
        let found = |heard| failures.find(&q, secs(10), 0, |_| heard);
        assert!(found(secs(7)).unwrap().is_hiccup);
        assert_eq!(found(secs(11)), None);
    }

    #[test]
    fn kept_for_5_s_then_twice_as_long_each_time_up_to_60_s() {
        let failures = Failures::new();
        let q = question("a.test");
        let mut at = 100;
        for wait in [5, 10, 20, 40, 60, 60] {
            failures.keep(&q, &timeout(), then(secs(at), 0));
            assert_eq!(find(&failures, &q, secs(at + wait - 1), 0), Some(timeout()));
            assert_eq!(find(&failures, &q, secs(at + wait), 0), None, "{wait}");
            at += wait + 1;
        }
        at += 200;
        failures.keep(&q, &timeout(), then(secs(at), 0));
        assert_eq!(find(&failures, &q, secs(at + 5), 0), None, "starts anew");
    }

    #[test]
    fn an_answer_or_a_returning_server_makes_it_void() {
        let failures = Failures::new();
        let (a, b) = (question("a.test"), question("b.test"));
        let refused = Failure::Refused {
            server: "192.0.2.1:53".into(),
            rcode: 2,
        };
        failures.keep(&a, &timeout(), then(secs(1), 0));
        failures.keep(&b, &refused, then(secs(1), 0));
        assert_eq!(find(&failures, &a, secs(2), 1), None);
        assert_eq!(find(&failures, &b, secs(2), 1), Some(refused));
        failures.forget(&b, secs(2));
        assert_eq!(find(&failures, &b, secs(2), 1), None);
    }

    #[test]
    fn a_refusal_for_want_of_room_leaves_no_state() {
        let failures = Failures::new();
        let q = question("a.test");
        failures.keep(&q, &Failure::Overloaded(Cap::Parent), then(secs(1), 0));
        failures.keep(&q, &Failure::Down, then(secs(1), 0));
        assert_eq!(find(&failures, &q, secs(1), 0), None);
    }

    #[test]
    fn what_is_bogus_is_kept_and_does_not_come_right_with_the_network() {
        let failures = Failures::new();
        let q = question("a.test");
        let bogus = Failure::Bogus {
            code: 6,
            what: "a.test A is not what was signed".into(),
        };
        failures.keep(&q, &bogus, then(secs(1), 0));
        assert_eq!(find(&failures, &q, secs(2), 1), Some(bogus.clone()));
        assert!(bogus.is_bogus() && Failure::Recent(Box::new(bogus)).is_bogus());
        assert!(!timeout().is_bogus() && !Failure::Recent(Box::new(timeout())).is_bogus());
    }

    #[test]
    fn a_flood_takes_no_more_room() {
        let failures = Failures::new();
        for index in 0..5000 {
            let q = question(&format!("x{index}.test"));
            failures.keep(&q, &timeout(), then(secs(1), 0));
            assert_eq!(find(&failures, &q, secs(1), 0), Some(timeout()));
        }
        assert_eq!(failures.sets.lock().unwrap().len() * WAYS, 1024);
    }

    #[test]
    fn every_failure_has_its_words_and_its_code() {
        let server: Arc<str> = "192.0.2.1:53".into();
        let cases = [
            (Failure::NoServers, 22, "no upstream is configured"),
            (timeout(), 22, "no answer in time from 192.0.2.1:53"),
            (
                Failure::Unreachable {
                    server: Arc::clone(&server),
                    error: io::ErrorKind::ConnectionRefused,
                },
                23,
                "192.0.2.1:53 cannot be reached: connection refused",
            ),
            (
                Failure::Refused {
                    server: Arc::clone(&server),
                    rcode: 5,
                },
                22,
                "192.0.2.1:53 says REFUSED",
            ),
            (
                Failure::Unusable {
                    server: Arc::clone(&server),
                    what: "its certificate is for no name at all".into(),
                },
                23,
                "192.0.2.1:53 cannot be used: its certificate is for no name at all",
            ),
            (
                Failure::Refused { server, rcode: 2 },
                23,
                "192.0.2.1:53 says SERVFAIL",
            ),
            (
                Failure::Overloaded(Cap::Client),
                23,
                "too many questions: this device waits for enough already",
            ),
            (Failure::Down, 22, "upstream does not answer at present"),
            (
                Failure::Down.in_network(Some(Network::Closed)),
                22,
                "this network seems to close encrypted DNS: upstream does not answer at present",
            ),
            (
                Failure::Bogus {
                    code: 7,
                    what: "a.test A has a signature that expired".into(),
                },
                7,
                "bogus: a.test A has a signature that expired",
            ),
            (
                Failure::Recent(Box::new(timeout())),
                22,
                "failed before: no answer in time from 192.0.2.1:53",
            ),
        ];
        for (failure, ede, text) in cases {
            assert_eq!((failure.ede(), failure.to_string().as_str()), (ede, text));
        }
    }
}
