//! Answers from upstream, by time and by bytes.
//!
//! Holds only what upstream said; what a child may see of it is decided at each use, so nothing
//! here depends on a device and nothing is flushed when a schedule turns. An answer is fresh until
//! its TTL ends and, for a while after, stale: good enough when upstream is silent (RFC 8767).

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::{Cache as ByteBounded, DefaultLifecycle};

use crate::clock::Moment;
use crate::config;
use crate::hash::{Keyed, keyed};
use crate::message::{Answer, Question, Ttl};

/// What a client may keep an answer past its time for (RFC 8767 section 5.11 recommends 30 s).
const STALE_TTL: u32 = 30;
/// What an entry takes besides its answer: its own octets, and the map's and the queue's share.
const OVERHEAD: u64 = 96;

/// Answers from upstream, by a hash of what was asked: the answer itself tells whether that was it.
#[derive(Debug)]
pub struct Cache {
    entries: ByteBounded<u64, Entry, ByBytes, Keyed>,
    hasher: Keyed,
    settings: config::Cache,
}

/// One answer and when it came; small enough to stand in the map itself.
#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    stored: Moment,
    /// Seconds it is fresh.
    ttl: u32,
    asked: Manner,
}

/// What of a question does not stand in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    dnssec_ok: bool,
    checking_disabled: bool,
    via: u8,
}

impl Manner {
    const fn of(question: &Question) -> Self {
        Self {
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
            via: question.via,
        }
    }
}

/// A cached answer that may be used, and how.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The answer.
    pub answer: Answer,
    /// How its TTLs leave.
    pub ttl: Ttl,
    /// Past its time: only when upstream is silent.
    pub stale: bool,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<u64, Entry> for ByBytes {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        entry.answer.weight() as u64 + OVERHEAD
    }
}

impl Cache {
    /// An empty cache bounded as `settings` say.
    pub fn new(settings: &config::Cache) -> Self {
        // An ordinary entry weighs some 250 octets; the guess sizes the map's tables only.
        let expected = usize::try_from(settings.max_bytes / 250).unwrap_or(usize::MAX);
        Self {
            entries: ByteBounded::with(
                expected.max(16),
                settings.max_bytes,
                ByBytes,
                keyed(),
                DefaultLifecycle::default(),
            ),
            hasher: keyed(),
            settings: settings.clone(),
        }
    }

    /// The answer to `question`, fresh or stale, if there is one that may be used at `now`.
    pub fn find(&self, question: &Question, now: Moment) -> Option<Hit> {
        let entry = self.entries.get(&self.key(question))?;
        if entry.asked != Manner::of(question) || !entry.answer.is_to(question) {
            return None;
        }
        // A monotonic clock: a jump of the household's time makes nothing older or younger.
        let age = u32::try_from(now.since(entry.stored).as_secs()).unwrap_or(u32::MAX);
        let stale = age >= entry.ttl;
        if stale && age - entry.ttl >= seconds(self.settings.serve_stale) {
            return None;
        }
        let left = entry.ttl.saturating_sub(age);
        let ttl = Ttl {
            age,
            floor: if stale { STALE_TTL } else { 0 },
            ceiling: match (stale, entry.answer.is_positive()) {
                (true, _) => STALE_TTL,
                (false, true) => seconds(self.settings.max_ttl),
                // The SOA of a "no" says more than the "no" has left (RFC 2308 section 5).
                (false, false) => left,
            },
        };
        Some(Hit {
            answer: entry.answer,
            ttl,
            stale,
        })
    }

    /// Keeps `answer`, unless it says that it must not be kept.
    pub fn store(&self, question: &Question, answer: &Answer, now: Moment) {
        let Some(ttl) = answer.ttl() else {
            return;
        };
        let ttl = ttl
            .max(seconds(self.settings.min_ttl))
            .min(self.longest(answer));
        let entry = Entry {
            answer: answer.clone(),
            stored: now,
            ttl,
            asked: Manner::of(question),
        };
        self.entries.insert(self.key(question), entry);
    }

    /// The hash of a question.
    fn key(&self, question: &Question) -> u64 {
        let [high, low] = question.qtype.to_be_bytes();
        let flags = u8::from(question.dnssec_ok) | u8::from(question.checking_disabled) << 1;
        let rest = u32::from_le_bytes([high, low, flags, question.via]);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(question.qname.as_ref().as_wire());
        hasher.write_u32(rest);
        hasher.finish()
    }

    /// Forgets what was said of the name, type and resolvers of `question`, with signatures or without.
    pub fn forget(&self, question: &Question) {
        for (dnssec_ok, checking_disabled) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let question = Question {
                dnssec_ok,
                checking_disabled,
                ..*question
            };
            self.entries.remove(&self.key(&question));
        }
    }

    /// Forgets what came since `since`; looks at every entry.
    pub fn forget_since(&self, since: Moment) {
        self.entries.retain(|_, entry| entry.stored < since);
    }

    /// How the TTLs of an answer that just came leave.
    pub fn ttl_of_news(&self, answer: &Answer) -> Ttl {
        let ceiling = if answer.is_positive() {
            self.longest(answer)
        } else {
            self.longest(answer).min(answer.ttl().unwrap_or(0))
        };
        Ttl {
            ceiling,
            ..Ttl::FRESH
        }
    }

    /// The longest an answer of this kind is kept.
    fn longest(&self, answer: &Answer) -> u32 {
        let longest = if answer.is_positive() {
            self.settings.max_ttl
        } else {
            self.settings.max_negative_ttl.min(self.settings.max_ttl)
        };
        seconds(longest)
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Octets they take, by our own reckoning.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Forgets everything; gives the number of answers there were.
    pub fn flush(&self) -> usize {
        let count = self.entries.len();
        self.entries.clear();
        count
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &config::Cache {
        &self.settings
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    fn settings(max_bytes: u64) -> config::Cache {
        config::Cache {
            max_bytes,
            min_ttl: Duration::ZERO,
            max_ttl: Duration::from_secs(86_400),
            max_negative_ttl: Duration::from_secs(3600),
            serve_stale: Duration::from_secs(3600),
        }
    }

    fn question(name: &str) -> Question {
        Question {
            qname: NameBuf::parse(name).unwrap(),
            qtype: 1,
            dnssec_ok: false,
            checking_disabled: false,
            via: 0,
        }
    }

    fn answer(question: &Question, ttl: u32) -> Answer {
        let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        wire.extend_from_slice(question.qname.as_ref().as_wire());
        wire.extend_from_slice(&[0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1]);
        wire.extend_from_slice(&ttl.to_be_bytes());
        wire.extend_from_slice(&[0, 4, 192, 0, 2, 1]);
        Answer::from_upstream(&wire, question).unwrap()
    }

    fn at(secs: u64) -> Moment {
        Moment::from_micros(secs * 1_000_000)
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        let cache = Cache::new(&settings(1 << 20));
        let question = question("www.example.org");
        cache.store(&question, &answer(&question, 60), at(100));
        let hit = cache.find(&question, at(130)).unwrap();
        assert_eq!((hit.stale, hit.ttl.age), (false, 30));
        let hit = cache.find(&question, at(160)).unwrap();
        assert_eq!((hit.stale, hit.ttl.floor), (true, 30));
        assert!(cache.find(&question, at(100 + 60 + 3600)).is_none());
    }

    #[test]
    fn what_meets_in_one_place_is_told_apart() {
        let cache = Cache::new(&settings(1 << 20));
        let [asked, other] = ["www.example.org", "www.example.net"].map(question);
        let entry = Entry {
            answer: answer(&other, 60),
            stored: at(0),
            ttl: 60,
            asked: Manner::of(&other),
        };
        cache.entries.insert(cache.key(&asked), entry);
        assert!(cache.find(&asked, at(1)).is_none());
        cache.store(&asked, &answer(&asked, 60), at(1));
        assert!(cache.find(&asked, at(1)).is_some());
    }

    #[test]
    fn what_is_forgotten_is_not_there_as_stale_either() {
        let cache = Cache::new(&settings(1 << 20));
        let question = question("www.example.org");
        let signed = Question {
            dnssec_ok: true,
            ..question
        };
        let small = Question { via: 1, ..question };
        for question in [&question, &signed, &small] {
            cache.store(question, &answer(question, 60), at(100));
        }
        cache.forget(&question);
        let is_kept = |question| cache.find(question, at(170)).is_some();
        assert_eq!(
            [&question, &signed, &small].map(is_kept),
            [false, false, true],
            "what other resolvers say is another matter"
        );
        cache.store(&question, &answer(&question, 60), at(110));
        cache.forget_since(at(110));
        assert_eq!([&question, &small].map(is_kept), [false, true]);
    }

    #[test]
    fn type_flags_and_who_is_asked_are_part_of_the_key() {
        let cache = Cache::new(&settings(1 << 20));
        let question = question("www.example.org");
        cache.store(&question, &answer(&question, 60), at(0));
        for other in [
            Question {
                qtype: 28,
                ..question
            },
            Question {
                dnssec_ok: true,
                ..question
            },
            Question {
                checking_disabled: true,
                ..question
            },
            Question { via: 1, ..question },
        ] {
            assert!(cache.find(&other, at(1)).is_none());
        }
    }

    #[test]
    fn the_bound_is_in_bytes_and_holds() {
        let cache = Cache::new(&settings(100_000));
        for index in 0..10_000 {
            let question = question(&format!("host-{index}.example.org"));
            cache.store(&question, &answer(&question, 600), at(0));
        }
        assert!(cache.bytes() <= 100_000, "{}", cache.bytes());
        assert!(cache.len() > 100, "{}", cache.len());
        assert!(cache.flush() > 100);
        assert!(cache.is_empty());
    }

    #[test]
    fn nothing_is_kept_with_a_ttl_of_zero() {
        let cache = Cache::new(&settings(1 << 20));
        let question = question("now.example.org");
        cache.store(&question, &answer(&question, 0), at(0));
        assert!(cache.find(&question, at(0)).is_none());
    }
}
