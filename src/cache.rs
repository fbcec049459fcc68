//! Answers from upstream, by time and by bytes.
//!
//! Holds only what upstream said; what a child may see of it is decided at each use, so nothing
//! here depends on a device and nothing is flushed when a schedule turns. An answer is fresh until
//! its TTL ends and, for a while after, stale: good enough when upstream is silent (RFC 8767).

mod shelves;

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use shelves::{Shelves, Spot};

use crate::clock::Moment;
use crate::config;
use crate::hash::{Keyed, keyed};
use crate::message::{Answer, Question, Ttl};

/// What a client may keep an answer past its time for (RFC 8767 section 5.11 recommends 30 s).
const STALE_TTL: u32 = 30;
/// Answers from upstream, by a hash of what was asked: the answer itself tells whether that was it.
#[derive(Debug)]
pub struct Cache {
    shelves: Shelves,
    hasher: Keyed,
    settings: config::Cache,
}

/// What of a question does not stand in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    dnssec_ok: bool,
    checking_disabled: bool,
    via: u8,
}

impl Manner {
    /// How many bits say it.
    const BITS: u32 = 10;

    /// Itself, as a number of [`Self::BITS`] bits.
    const fn bits(self) -> u32 {
        self.via as u32 | (self.dnssec_ok as u32) << 8 | (self.checking_disabled as u32) << 9
    }

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

/// When an answer came, in ticks of 65.5 ms, of which there are enough for nearly nine years: then they begin
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tick(u32);

impl Tick {
    /// Microseconds of one, as a power of two.
    const BITS: u32 = 16;

    const fn of(moment: Moment) -> Self {
        Self((moment.as_micros() >> Self::BITS) as u32)
    }

    /// How far before ours another thread's look at the clock may be: 19 hours, which is more than enough.
    const AHEAD: u32 = 1 << 20;

    /// Ticks from this one to `now`; none if it is to come.
    const fn ticks_until(self, Self(now): Self) -> u64 {
        let ticks = now.wrapping_sub(self.0);
        if ticks > u32::MAX - Self::AHEAD {
            0
        } else {
            ticks as u64
        }
    }

    /// Whole seconds from the begin of this one to that of `now`.
    const fn until(self, now: Self) -> u32 {
        ((self.ticks_until(now) << Self::BITS) / 1_000_000) as u32
    }

    /// Whole seconds from the begin of this one to `now`, so that nothing seems younger than it is.
    const fn until_moment(self, now: Moment) -> u32 {
        let beyond = now.as_micros() & ((1 << Self::BITS) - 1);
        ((self.ticks_until(Self::of(now)) << Self::BITS | beyond) / 1_000_000) as u32
    }

    const fn is_before(self, other: Self) -> bool {
        self.ticks_until(other) > 0
    }
}

impl Cache {
    /// An empty cache bounded as `settings` say.
    pub fn new(settings: &config::Cache) -> Self {
        Self {
            shelves: Shelves::new(settings.max_bytes),
            hasher: keyed(),
            settings: settings.clone(),
        }
    }

    /// The answer to `question`, fresh or stale, if there is one that may be used at `now`.
    pub fn find(&self, question: &Question, now: Moment) -> Option<Hit> {
        let (answer, came) = self.shelves.find(self.spot(question), question)?;
        // A monotonic clock: a jump of the household's time makes nothing older or younger.
        let age = came.until_moment(now);
        let whole = self.time_of(&answer, answer.ttl()?);
        let stale = age >= whole;
        if stale && age - whole >= seconds(self.settings.serve_stale) {
            return None;
        }
        let left = whole.saturating_sub(age);
        let ttl = Ttl {
            age,
            floor: if stale { STALE_TTL } else { 0 },
            ceiling: match (stale, answer.is_positive()) {
                (true, _) => STALE_TTL,
                (false, true) => seconds(self.settings.max_ttl),
                // The SOA of a "no" says more than the "no" has left (RFC 2308 section 5).
                (false, false) => left,
            },
        };
        Some(Hit { answer, ttl, stale })
    }

    /// Keeps `answer`, unless it says that it must not be kept.
    pub fn store(&self, question: &Question, answer: &Answer, now: Moment) {
        if answer.ttl().is_some() {
            let spot = self.spot(question);
            (self.shelves).put(spot, question, answer.clone(), Tick::of(now));
        }
    }

    /// Seconds an answer that says `ttl` is fresh.
    fn time_of(&self, answer: &Answer, ttl: u32) -> u32 {
        ttl.max(seconds(self.settings.min_ttl))
            .min(self.longest(answer))
    }

    /// Where the answer to a question stands.
    fn spot(&self, question: &Question) -> Spot {
        let manner = Manner::of(question);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(question.qname.as_ref().as_wire());
        hasher.write_u32(u32::from(question.qtype) << 16 | manner.bits());
        Shelves::spot(hasher.finish(), manner)
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
            self.shelves.remove(self.spot(&question), &question);
        }
    }

    /// Forgets what came since `since`, and maybe what came 65 ms before; looks at every entry.
    pub fn forget_since(&self, since: Moment) {
        let since = Tick::of(since);
        self.shelves.retain(|came| came.is_before(since));
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
        self.shelves.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets they take, by our own reckoning.
    pub fn bytes(&self) -> u64 {
        self.shelves.octets()
    }

    /// Forgets everything; gives the number of answers there were.
    pub fn flush(&self) -> usize {
        let count = self.len();
        self.shelves.clear();
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
    fn ticks_go_on_when_they_begin_again() {
        let whole = 1_u64 << (32 + Tick::BITS);
        for begin in [0, 3_600_000_000, whole - 1_000_000, whole, 5 * whole - 1] {
            let came = Tick::of(Moment::from_micros(begin));
            for seconds in [0_u64, 1, 59, 86_400, 1 << 20, 8 * 365 * 86_400] {
                let now = Moment::from_micros(begin + seconds * 1_000_000);
                let age = u64::from(came.until_moment(now));
                assert!(
                    (seconds..=seconds + 1).contains(&age),
                    "{age} for {seconds}"
                );
                assert_eq!(came.is_before(Tick::of(now)), seconds > 0);
            }
            let before = Moment::from_micros(begin.saturating_sub(70_000));
            assert_eq!(came.until_moment(before), 0);
        }
    }

    #[test]
    fn what_meets_in_one_place_is_told_apart() {
        let cache = Cache::new(&settings(1 << 20));
        let [asked, other] = ["www.example.org", "www.example.net"].map(question);
        let answer_to_other = answer(&other, 60);
        (cache.shelves).put(cache.spot(&asked), &other, answer_to_other, Tick::of(at(0)));
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
