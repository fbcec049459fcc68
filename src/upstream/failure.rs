//! Why a question got no answer, and the memory of it (RFC 9520).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// A server's reply could not be read.
    #[error("{server} sent what cannot be read: {what}")]
    Malformed {
        /// Which server.
        server: Arc<str>,
        /// What is wrong with it.
        what: String,
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
            // Network Error.
            Self::Unreachable { .. }
            | Self::Unusable { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::Overloaded(_)
            | Self::GivenUp => 23,
            // What it was the first time: a client that asks again learns no less.
            Self::Recent(first) => first.ede(),
        }
    }

    /// Whether the network was at fault, so that it is void when a silent server speaks again.
    pub(super) fn is_of_network(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Unreachable { .. } | Self::Unusable { .. }
        )
    }

    /// Whether it says something of the question that a second attempt would find again.
    fn is_worth_keeping(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Unusable { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. } => true,
            Self::NoServers
            | Self::Overloaded(_)
            | Self::Down
            | Self::Recent(_)
            | Self::GivenUp => false,
        }
    }
}

/// `192.0.2.1:53 and 192.0.2.2:53`.
fn list(servers: &[Arc<str>]) -> String {
    servers.join(" and ")
}

/// The questions that failed lately: kept 5 s, twice as long each time they fail again, 60 s at
/// most (RFC 9520 section 3.2).
///
/// A fixed number of places, found by keyed hash: a flood of failing names pushes out older
/// failures and nothing else. The hash stands for the question; with 64 keyed bits nobody can make
/// two meet.
#[derive(Debug)]
pub(super) struct Failures {
    keys: RandomState,
    sets: Mutex<Vec<[Slot; WAYS]>>,
}

#[derive(Clone, Debug)]
struct Slot {
    key: u64,
    at: Moment,
    wait: Duration,
    /// How often a silent server had spoken again by then.
    revivals: u64,
    failure: Option<Failure>,
}

const SETS: usize = 256;
const WAYS: usize = 4;
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Slot {
    const EMPTY: Self = Self {
        key: 0,
        at: Moment::from_micros(0),
        wait: Duration::ZERO,
        revivals: 0,
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
        }
    }

    /// The failure of `question` that still holds at `now`.
    pub(super) fn find(&self, question: &Question, now: Moment, revivals: u64) -> Option<Failure> {
        let key = self.keys.hash_one(question);
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = sets[index(key)].iter().find(|slot| slot.key == key)?;
        let failure = slot.failure.as_ref()?;
        let is_void = failure.is_of_network() && slot.revivals != revivals;
        (now < slot.ends() && !is_void).then(|| failure.clone())
    }

    /// Keeps `failure` if it says something of the question.
    pub(super) fn keep(&self, question: &Question, failure: &Failure, now: Moment, revivals: u64) {
        if !failure.is_worth_keeping() {
            return;
        }
        let key = self.keys.hash_one(question);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut sets[index(key)];
        let place = set
            .iter()
            .position(|slot| slot.key == key)
            .or_else(|| (0..WAYS).min_by_key(|&way| (set[way].failure.is_some(), set[way].ends())))
            .unwrap_or(0);
        let slot = &mut set[place];
        let is_repeated = slot.key == key
            && slot.failure.is_some()
            && slot.revivals == revivals
            && now < slot.ends().after(slot.wait);
        let wait = if is_repeated {
            LONGEST_WAIT.min(slot.wait * 2)
        } else {
            FIRST_WAIT
        };
        *slot = Slot {
            key,
            at: now,
            wait,
            revivals,
            failure: Some(failure.clone()),
        };
    }

    /// Forgets that `question` ever failed.
    pub(super) fn forget(&self, question: &Question) {
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

    #[test]
    fn kept_for_5_s_then_twice_as_long_each_time_up_to_60_s() {
        let failures = Failures::new();
        let q = question("a.test");
        let mut at = 100;
        for wait in [5, 10, 20, 40, 60, 60] {
            failures.keep(&q, &timeout(), secs(at), 0);
            assert_eq!(failures.find(&q, secs(at + wait - 1), 0), Some(timeout()));
            assert_eq!(failures.find(&q, secs(at + wait), 0), None, "{wait}");
            at += wait + 1;
        }
        at += 200;
        failures.keep(&q, &timeout(), secs(at), 0);
        assert_eq!(failures.find(&q, secs(at + 5), 0), None, "starts anew");
    }

    #[test]
    fn an_answer_or_a_returning_server_makes_it_void() {
        let failures = Failures::new();
        let (a, b) = (question("a.test"), question("b.test"));
        let refused = Failure::Refused {
            server: "192.0.2.1:53".into(),
            rcode: 2,
        };
        failures.keep(&a, &timeout(), secs(1), 0);
        failures.keep(&b, &refused, secs(1), 0);
        assert_eq!(failures.find(&a, secs(2), 1), None);
        assert_eq!(failures.find(&b, secs(2), 1), Some(refused));
        failures.forget(&b);
        assert_eq!(failures.find(&b, secs(2), 1), None);
    }

    #[test]
    fn a_refusal_for_want_of_room_leaves_no_state() {
        let failures = Failures::new();
        let q = question("a.test");
        failures.keep(&q, &Failure::Overloaded(Cap::Parent), secs(1), 0);
        failures.keep(&q, &Failure::Down, secs(1), 0);
        assert_eq!(failures.find(&q, secs(1), 0), None);
    }

    #[test]
    fn a_flood_takes_no_more_room() {
        let failures = Failures::new();
        for index in 0..5000 {
            let q = question(&format!("x{index}.test"));
            failures.keep(&q, &timeout(), secs(1), 0);
            assert_eq!(failures.find(&q, secs(1), 0), Some(timeout()));
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
