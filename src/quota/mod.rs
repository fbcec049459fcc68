//! Time that is used up: meters of activity, what is left of a quota, and the ledger on flash.
//!
//! A resolver does not see what a child does; it sees names being asked for. So activity is
//! estimated: a query at `t` counts for the time from `t` to `t + linger`, and what is used is the
//! measure of the union of these spans. [`Meter`] keeps that in a few numbers that many threads
//! change without a lock, [`Meters`] knows days and weeks, roll-over and bonus, [`ledger`] survives
//! a power cut. docs/quotas.md says what the estimate is worth.
//!
//! All measuring is by the clock that only goes forward. The household's clock decides only which
//! day or week it is: set forward and back again, it neither gives nor takes time.

pub mod ledger;
mod meters;
mod rhythm;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Moment, Timestamp};

pub use meters::{Counter, Meters, Periods, Shown};
pub use rhythm::Rhythm;

/// Some time for some names in each day or week, for all devices of a profile together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Whose.
    pub profile: String,
    /// What it is called: `games`, `games, roblox`, or `games per week`; a profile has no two of
    /// the same name.
    pub of: String,
    /// What is counted together, in the order of the alphabet.
    pub words: Vec<String>,
    /// What it was called before the order stopped to matter and weeks had a name of their own.
    pub formerly: String,
    /// When its days or weeks begin.
    pub rhythm: Rhythm,
    /// How much of it there is in a period.
    pub time: Duration,
    /// How much of it may be carried on into the next one.
    pub roll_over: Duration,
    /// How long one query counts as activity.
    pub linger: Duration,
}

impl Quota {
    /// Whether somebody who says `word` may mean it: its name, or what is counted in it.
    pub fn is_called(&self, word: &str) -> bool {
        let mut words: Vec<&str> = word.split(',').map(str::trim).collect();
        words.sort_unstable();
        self.of == word || words == self.words
    }

    /// Whether both count days or both count weeks of the same profile, and something in both.
    fn overlaps(&self, other: &Self) -> bool {
        const ALL: &str = "everything";
        let has_all = |quota: &Self| quota.words.iter().any(|word| word == ALL);
        self.profile == other.profile
            && self.rhythm.week_begins.is_some() == other.rhythm.week_begins.is_some()
            && (has_all(self)
                || has_all(other)
                || self.words.iter().any(|word| other.words.contains(word)))
    }
}

/// A day or a week of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub begin: Timestamp,
    /// The first instant of the next one.
    pub end: Timestamp,
}

/// Counts activity, and says when it is enough. Shared by the devices of a profile.
///
/// `active_until` is where the last span ends, `total` the measure of the union of all spans. A
/// query at 10 s with a linger of 3 s moves the first from 0 to 13 and adds 3; one at 11 s moves it
/// to 14 and adds only 1, since what lies before 13 was counted. Of what is counted, the part that
/// lies ahead is not used yet.
///
/// What two threads do at the same instant may be swapped: then the span between their two moments,
/// microseconds, is not counted.
#[derive(Debug, Default)]
pub struct Meter {
    /// In microseconds of the clock that only goes forward.
    active_until: AtomicU64,
    /// In microseconds; only ever grows.
    total: AtomicU64,
    /// How often activity began after there was none; only ever grows.
    stretches: AtomicU64,
    /// What `total` was, less what lay ahead, when the period began.
    base: AtomicU64,
    /// What may be used in the period, in microseconds.
    allowance: AtomicU64,
    /// How long a query counts, in microseconds.
    linger: AtomicU64,
}

impl Meter {
    /// A query came at `at` for a name under this quota and was let through: what is refused is no
    /// activity.
    pub fn touch(&self, at: Moment) {
        let at = at.as_micros();
        let until = at.saturating_add(self.linger.load(Ordering::Relaxed));
        let before = self.active_until.fetch_max(until, Ordering::Relaxed);
        if before < until {
            self.total
                .fetch_add(until - before.max(at), Ordering::Relaxed);
        }
        if before < at || before == 0 {
            self.stretches.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much of the period's time is used at `at`.
    pub fn used(&self, at: Moment) -> Duration {
        let base = self.base.load(Ordering::Relaxed);
        Duration::from_micros(self.passed(at).saturating_sub(base))
    }

    /// How much is left at `at`.
    pub fn left(&self, at: Moment) -> Duration {
        self.allowance().saturating_sub(self.used(at))
    }

    /// Whether nothing is left at `at`.
    pub fn is_spent(&self, at: Moment) -> bool {
        self.used(at) >= self.allowance()
    }

    /// What may be used in the period, with what was carried on and bonus.
    pub fn allowance(&self) -> Duration {
        Duration::from_micros(self.allowance.load(Ordering::Relaxed))
    }

    /// All that was counted and lies before `at`, in microseconds.
    fn passed(&self, at: Moment) -> u64 {
        // In this order: a span that another thread is just adding may be missing, never half of it
        // be there.
        let total = self.total.load(Ordering::Relaxed);
        let ahead = self.active_until.load(Ordering::Relaxed);
        total.saturating_sub(ahead.saturating_sub(at.as_micros()))
    }

    /// Begins to count from nothing at `at`.
    fn begin_period(&self, at: Moment) {
        self.base.store(self.passed(at), Ordering::Relaxed);
    }

    /// Counts `time` that was used otherwise.
    fn add(&self, time: Duration) {
        self.total.fetch_add(micros(time), Ordering::Relaxed);
    }

    /// Counts `time` less.
    fn take(&self, time: Duration) {
        self.base.fetch_add(micros(time), Ordering::Relaxed);
    }

    fn set_allowance(&self, time: Duration) {
        self.allowance.store(micros(time), Ordering::Relaxed);
    }

    fn set_linger(&self, time: Duration) {
        self.linger.store(micros(time), Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
