//! Time, from one place, so that tests own it.
//!
//! Two clocks that must not be confused: [`Clock::now`] only ever goes forward and measures how
//! long something took or is kept (TTLs, time-outs, rates); [`Clock::wall`] is what the household's
//! clock shows and may be wrong: a router without a battery boots in 1970 and jumps when the network
//! time arrives. Nothing that protects a child or keeps an answer fresh may rest on the second.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the system"
)]

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use jiff::Timestamp;

/// When this program was released, in seconds since 1970: a wall clock that shows an earlier time is
/// not set.
pub const RELEASED: u64 = 1_795_305_600;
/// How long after its release a program can still be in use; a clock beyond that shows nonsense.
const IN_USE: Duration = Duration::from_hours(30 * 365 * 24);

/// Whether a wall clock may show `wall` while this program is in use.
pub fn can_be(wall: Timestamp) -> bool {
    let age = wall.as_second().saturating_sub_unsigned(RELEASED);
    u64::try_from(age).is_ok_and(|age| age < IN_USE.as_secs())
}

/// A point on the monotonic clock, in microseconds since the clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment `micros` microseconds after the clock was made.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock was made.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the clock was made.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// `micros` microseconds before this one, or the first there is.
    pub const fn before(self, micros: u64) -> Self {
        Self(self.0.saturating_sub(micros))
    }

    /// This moment put off by `wait`.
    pub fn after(self, wait: Duration) -> Self {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Where time comes from.
pub trait TimeSource: Send + Sync + Debug {
    /// The monotonic time.
    fn now(&self) -> Moment;
    /// What the household's clock shows.
    fn wall(&self) -> Timestamp;
}

/// A handle on a source of time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<dyn TimeSource>,
    /// Shared by all handles.
    known: Arc<Known>,
}

/// What is known of the wall clock besides what it shows.
#[derive(Debug)]
struct Known {
    /// The time that stands in for it, at the monotonic clock's beginning, in microseconds since 1970;
    /// [`NONE`] while none is known.
    lent: AtomicI64,
    /// Seconds since 1970 before which it cannot be.
    earliest: AtomicU64,
    /// Seconds since 1970 before which it is doubted; 0 while it is not.
    doubted: AtomicU64,
    /// Whether it was set while we looked, or ran for long.
    is_confirmed: AtomicBool,
    /// How often any of that changed.
    generation: AtomicU64,
}

/// No time is lent.
const NONE: i64 = i64::MIN;
/// How far a clock may be behind what it is doubted by, or ahead of what is lent in its place.
const LEEWAY: Duration = Duration::from_hours(1);

impl Clock {
    /// The machine's own clocks.
    pub fn system() -> Self {
        Self::from_source(Arc::new(SystemTimeSource {
            start: Instant::now(),
        }))
    }

    /// A clock that `source` moves.
    pub fn from_source(source: Arc<dyn TimeSource>) -> Self {
        Self {
            source,
            known: Arc::new(Known {
                lent: AtomicI64::new(NONE),
                earliest: AtomicU64::new(RELEASED),
                doubted: AtomicU64::new(0),
                is_confirmed: AtomicBool::new(false),
                generation: AtomicU64::new(0),
            }),
        }
    }

    /// The monotonic time.
    pub fn now(&self) -> Moment {
        self.source.now()
    }

    /// What the household's clock shows; 1970 on a router that has not heard from the network yet. While
    /// it needs another time and one is lent, that one.
    pub fn wall(&self) -> Timestamp {
        let shown = self.shown();
        match self.needs_time() {
            true => self.lent().unwrap_or(shown),
            false => shown,
        }
    }

    /// What the machine's own clock shows, whatever is lent.
    pub fn shown(&self) -> Timestamp {
        self.source.wall()
    }

    /// Lends the clock a time, as it is now, for as long as it needs one; whether it is taken: it cannot
    /// be one that cannot be, nor one before [`Self::earliest`], nor turn back a clock that shows a time
    /// that can be.
    pub fn lend(&self, wall: Timestamp) -> bool {
        let now = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        let shown = self.shown();
        let turns_back = can_be(shown) && wall.saturating_add(LEEWAY).is_ok_and(|it| it < shown);
        if !can_be(wall) || wall < self.earliest() || turns_back {
            return false;
        }
        let beginning = wall.as_microsecond().saturating_sub(now);
        let before = self.known.lent.swap(beginning, Ordering::Relaxed);
        if before.abs_diff(beginning) > LEEWAY.as_micros() as u64 {
            self.note_change();
        }
        true
    }

    /// Gives back what was lent; whether anything was.
    pub fn take_back(&self) -> bool {
        let is_lent = self.known.lent.swap(NONE, Ordering::Relaxed) != NONE;
        if is_lent {
            self.note_change();
        }
        is_lent
    }

    /// Whether another time is needed: its own cannot be, is before [`Self::earliest`], or is doubted.
    pub fn needs_time(&self) -> bool {
        let shown = self.shown();
        !can_be(shown) || shown < self.earliest() || self.is_doubted(shown)
    }

    /// Whether what it shows is lent.
    pub fn is_lent(&self) -> bool {
        self.needs_time() && self.lent().is_some()
    }

    /// Before this it cannot be, whatever is shown or lent: the release, or what was proven since.
    pub fn earliest(&self) -> Timestamp {
        time_of(self.known.earliest.load(Ordering::Relaxed))
    }

    /// From now on it cannot be before `wall`, as far as that can be. What was said before is void: the
    /// proof of it may have been a clock that was wrong.
    pub fn note_earliest(&self, wall: Timestamp) {
        if can_be(wall) {
            let seconds = wall.as_second().unsigned_abs();
            self.known.earliest.store(seconds, Ordering::Relaxed);
        }
    }

    /// Says that it was `wall` already, by somebody who may be wrong: a clock that nobody confirmed and
    /// that shows an earlier time needs another.
    pub fn doubt(&self, wall: Timestamp) {
        if can_be(wall) && !self.is_confirmed() {
            let seconds = wall.as_second().unsigned_abs();
            if self.known.doubted.fetch_max(seconds, Ordering::Relaxed) < seconds {
                self.note_change();
            }
        }
    }

    /// Says whether the machine's own clock was set while we looked or ran for long: then nobody doubts
    /// it.
    pub fn confirm(&self, is_confirmed: bool) {
        let known = &self.known;
        if known.is_confirmed.swap(is_confirmed, Ordering::Relaxed) != is_confirmed {
            known.doubted.store(0, Ordering::Relaxed);
            self.note_change();
        }
    }

    /// Whether the machine's own clock is surely right, as far as that can be known.
    pub fn is_confirmed(&self) -> bool {
        self.known.is_confirmed.load(Ordering::Relaxed) && !self.needs_time()
    }

    /// Another number after each change of what is known of the clock: what was concluded from it before
    /// has to be concluded anew.
    pub fn generation(&self) -> u64 {
        self.known.generation.load(Ordering::Relaxed)
    }

    /// Notes that the machine's clock was set, or something else was learnt of it.
    pub fn note_change(&self) {
        self.known.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn is_doubted(&self, shown: Timestamp) -> bool {
        let doubted = self.known.doubted.load(Ordering::Relaxed);
        let is_confirmed = self.known.is_confirmed.load(Ordering::Relaxed);
        let behind = time_of(doubted).duration_since(shown);
        doubted != 0 && !is_confirmed && behind.as_secs() > LEEWAY.as_secs().cast_signed()
    }

    fn lent(&self) -> Option<Timestamp> {
        let beginning = self.known.lent.load(Ordering::Relaxed);
        let passed = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        let wall = beginning.saturating_add(passed);
        (beginning != NONE).then(|| Timestamp::from_microsecond(wall).ok())?
    }
}

fn time_of(seconds: u64) -> Timestamp {
    Timestamp::from_second(seconds.cast_signed()).unwrap_or_default()
}

#[derive(Debug)]
struct SystemTimeSource {
    start: Instant,
}

impl TimeSource for SystemTimeSource {
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_microsecond(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualTime {
    micros: AtomicU64,
    wall_micros: AtomicI64,
}

impl ManualTime {
    /// A clock at moment zero whose wall shows `wall`.
    pub fn starting_at(wall: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            micros: AtomicU64::new(0),
            wall_micros: AtomicI64::new(wall.as_microsecond()),
        })
    }

    /// The handle to give to the code under test.
    pub fn clock(self: &Arc<Self>) -> Clock {
        Clock::from_source(Arc::clone(self) as Arc<dyn TimeSource>)
    }

    /// Lets `step` pass on both clocks.
    pub fn advance(&self, step: Duration) {
        let micros = u64::try_from(step.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.wall_micros
            .fetch_add(i64::try_from(micros).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Sets the wall clock alone, as the network time or a person does.
    pub fn set_wall(&self, wall: Timestamp) {
        self.wall_micros
            .store(wall.as_microsecond(), Ordering::Relaxed);
    }
}

impl TimeSource for ManualTime {
    fn now(&self) -> Moment {
        Moment(self.micros.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_microsecond(self.wall_micros.load(Ordering::Relaxed))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_wall_leaves_the_monotonic_clock_alone() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let clock = time.clock();
        time.advance(Duration::from_secs(3));
        time.set_wall("2026-11-22T12:00:00Z".parse().unwrap());
        assert_eq!(clock.now().as_secs(), 3);
        assert_eq!(clock.wall().to_string(), "2026-11-22T12:00:00Z");
    }

    #[test]
    fn a_time_is_lent_only_while_there_is_none() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let (clock, other) = (time.clock(), time.clock());
        let handle = clock.clone();
        let noon: Timestamp = "2027-01-01T12:00:00Z".parse().unwrap();
        assert!(clock.needs_time() && !clock.is_lent());
        assert!(!clock.lend(Timestamp::UNIX_EPOCH) && !clock.lend(Timestamp::MAX));
        clock.note_earliest("2027-01-01T12:00:01Z".parse().unwrap());
        assert!(!clock.lend(noon), "it was later once");
        time.advance(Duration::from_secs(5));
        let lent: Timestamp = "2027-01-01T12:00:02Z".parse().unwrap();
        assert!(clock.lend(lent));
        time.advance(Duration::from_secs(8));
        assert_eq!(handle.wall().to_string(), "2027-01-01T12:00:10Z");
        assert!(handle.is_lent() && !other.is_lent());
        // Somebody sets the machine's own, even to something earlier.
        let own = "2027-01-01T12:00:01Z".parse().unwrap();
        time.set_wall(own);
        assert_eq!((clock.wall(), clock.is_lent()), (own, false));
    }

    #[test]
    fn a_clock_behind_what_is_proven_or_said_needs_another_time() {
        let shown: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let time = ManualTime::starting_at(shown);
        let clock = time.clock();
        assert!(!clock.needs_time());
        // Proven: by a signed list.
        let proven: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
        clock.note_earliest(proven);
        assert!(clock.needs_time() && !clock.is_confirmed());
        assert!(!clock.lend(shown));
        let true_time: Timestamp = "2027-03-01T00:00:00Z".parse().unwrap();
        assert!(clock.lend(true_time));
        assert_eq!((clock.wall(), clock.shown()), (true_time, shown));
        clock.take_back();
        assert_eq!((clock.wall(), clock.is_lent()), (shown, false));
        // What was proven by a clock that was wrong is void.
        clock.note_earliest(shown);
        assert!(!clock.needs_time());
        // Said only: until somebody sets the clock.
        let before = clock.generation();
        clock.doubt(proven);
        assert!(clock.needs_time() && clock.generation() != before);
        let earlier: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        assert!(!clock.lend(earlier), "nobody turns it back");
        clock.confirm(true);
        assert!(!clock.needs_time() && clock.is_confirmed());
        clock.doubt(proven);
        assert!(!clock.needs_time());
        // Or until it got there.
        clock.confirm(false);
        clock.doubt(proven);
        assert!(clock.needs_time());
        time.set_wall(proven);
        assert!(!clock.needs_time());
    }

    #[test]
    fn moments_do_not_wrap() {
        let late = Moment::from_micros(u64::MAX).after(Duration::from_secs(1));
        assert_eq!(late, Moment::from_micros(u64::MAX));
        assert_eq!(
            Moment::from_micros(1).since(Moment::from_micros(5)),
            Duration::ZERO
        );
    }
}
