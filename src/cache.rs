//! Answers from upstream, by time and by bytes.
//!
//! Holds only what upstream said; what a child may see of it is decided at each use, so nothing
//! here depends on a device and nothing is flushed when a schedule turns. An answer is fresh until
//! its TTL ends and, for a while after, stale: good enough when upstream is silent (RFC 8767).

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache as ByteBounded;

use crate::clock::Moment;
use crate::config;
use crate::message::{Answer, Question, Ttl};
use crate::name::MAX_NAME;

/// What a client may keep an answer past its time for (RFC 8767 section 5.11 recommends 30 s).
const STALE_TTL: u32 = 30;
/// What an entry takes besides its key and its answer: the map's and the queue's share.
const OVERHEAD: u64 = 96;

/// Answers from upstream.
#[derive(Debug)]
pub struct Cache {
    entries: ByteBounded<Box<[u8]>, Entry, ByBytes>,
    settings: config::Cache,
}

/// One answer and when it came; small enough to stand in the map itself.
#[derive(Clone, Debug)]
struct Entry {
    answer: Arc<Answer>,
    stored: Moment,
    /// Seconds it is fresh.
    ttl: u32,
}

/// A cached answer that may be used, and how.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The answer.
    pub answer: Arc<Answer>,
    /// How its TTLs leave.
    pub ttl: Ttl,
    /// Past its time: only when upstream is silent.
    pub stale: bool,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Box<[u8]>, Entry> for ByBytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Entry) -> u64 {
        key.len() as u64 + entry.answer.weight() as u64 + OVERHEAD
    }
}

impl Cache {
    /// An empty cache bounded as `settings` say.
    pub fn new(settings: &config::Cache) -> Self {
        // An ordinary entry weighs some 400 octets; the guess sizes the map's tables only.
        let expected = usize::try_from(settings.max_bytes / 400).unwrap_or(usize::MAX);
        Self {
            entries: ByteBounded::with_weighter(expected.max(16), settings.max_bytes, ByBytes),
            settings: settings.clone(),
        }
    }

    /// The answer to `question`, fresh or stale, if there is one that may be used at `now`.
    pub fn find(&self, question: &Question, now: Moment) -> Option<Hit> {
        let mut octets = [0; KEY];
        let key = write_key(question, &mut octets);
        let entry = self.entries.get(key)?;
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
    pub fn store(&self, question: &Question, answer: &Arc<Answer>, now: Moment) {
        let Some(ttl) = answer.ttl() else {
            return;
        };
        let ttl = ttl
            .max(seconds(self.settings.min_ttl))
            .min(self.longest(answer));
        let mut octets = [0; KEY];
        let key = write_key(question, &mut octets);
        let entry = Entry {
            answer: Arc::clone(answer),
            stored: now,
            ttl,
        };
        self.entries.insert(key.into(), entry);
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

/// The longest key: a name, its type and two flags.
const KEY: usize = MAX_NAME + 3;

fn write_key<'k>(question: &Question, octets: &'k mut [u8; KEY]) -> &'k [u8] {
    let name = question.qname.as_ref().as_wire();
    let [high, low] = question.qtype.to_be_bytes();
    let flags = u8::from(question.dnssec_ok) | u8::from(question.checking_disabled) << 1;
    octets[..3].copy_from_slice(&[high, low, flags]);
    octets[3..3 + name.len()].copy_from_slice(name);
    &octets[..3 + name.len()]
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
        }
    }

    fn answer(question: &Question, ttl: u32) -> Arc<Answer> {
        let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        wire.extend_from_slice(question.qname.as_ref().as_wire());
        wire.extend_from_slice(&[0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1]);
        wire.extend_from_slice(&ttl.to_be_bytes());
        wire.extend_from_slice(&[0, 4, 192, 0, 2, 1]);
        Arc::new(Answer::from_upstream(&wire, question).unwrap())
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
    fn type_and_flags_are_part_of_the_key() {
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
