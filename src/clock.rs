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
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use jiff::Timestamp;

/// When this was released, in seconds since 1970: a clock that shows an earlier time is not set.
pub const RELEASED: u64 = 1_795_305_600;

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
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// The machine's own clocks.
    pub fn system() -> Self {
        Self(Arc::new(SystemTimeSource {
            start: Instant::now(),
        }))
    }

    /// A clock that `source` moves.
    pub fn from_source(source: Arc<dyn TimeSource>) -> Self {
        Self(source)
    }

    /// The monotonic time.
    pub fn now(&self) -> Moment {
        self.0.now()
    }

    /// What the household's clock shows; 1970 on a router that has not heard from the network yet.
    pub fn wall(&self) -> Timestamp {
        self.0.wall()
    }
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
    fn moments_do_not_wrap() {
        let late = Moment::from_micros(u64::MAX).after(Duration::from_secs(1));
        assert_eq!(late, Moment::from_micros(u64::MAX));
        assert_eq!(
            Moment::from_micros(1).since(Moment::from_micros(5)),
            Duration::ZERO
        );
    }
}
