//! All meters of a household, and what period it is.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ledger::{Ledger, LedgerError, Record, key};
use super::{Meter, Period, Quota};
use crate::clock::{Moment, Timestamp};
use crate::files::{FileError, Files};
use crate::wall::Wall;

/// How many periods of a meter are remembered, for a clock that is set back and for reading again.
pub(super) const HISTORY: usize = 8;
/// How many meters are kept that no quota wants at the moment.
const MAX_RETIRED: usize = 64;

/// Tells which day or week of a quota an instant lies in.
pub trait Periods {
    /// The period of `quota` that `at` lies in.
    fn period(&self, quota: &Quota, at: Timestamp) -> Period;
}

impl<F: Fn(&Quota, Timestamp) -> Period> Periods for F {
    fn period(&self, quota: &Quota, at: Timestamp) -> Period {
        self(quota, at)
    }
}

/// Something that sees activity better than questions for names do, such as the byte counters of a
/// gateway. Where it can tell, what it tells replaces the estimate, minute by minute.
pub trait Counter: Send + Sync + Debug {
    /// What it is called where use is shown, as in `byte counters`.
    fn label(&self) -> &'static str;

    /// For how long between `from` and `until` a device of the quota's profile used what the quota
    /// is about; none if it cannot tell.
    fn active(&self, quota: &Quota, from: Moment, until: Moment) -> Option<Duration>;
}

/// All meters; they outlive reloads.
#[derive(Debug)]
pub struct Meters {
    /// Held for a moment only.
    inner: Mutex<Inner>,
    /// Held as long as the disk takes; never asked for by who holds the other.
    ledger: Mutex<Ledger>,
}

#[derive(Debug)]
struct Inner {
    entries: Vec<Entry>,
    counter: Option<Arc<dyn Counter>>,
}

/// A meter and what is known of its periods.
#[derive(Debug)]
struct Entry {
    quota: Quota,
    meter: Arc<Meter>,
    /// Whether the configuration has the quota.
    is_wanted: bool,
    /// The period it counts in; none while it was never known.
    period: Option<Period>,
    begin: Option<Timestamp>,
    carried: Duration,
    bonus: Duration,
    /// Stretches of activity before the period, by [`Meter::stretches`].
    stretches_before: u64,
    /// The periods before, the oldest first.
    history: Vec<Past>,
    /// The last look, and all that had been counted then.
    looked: Option<(Moment, u64)>,
    counted_by: &'static str,
    written: Option<Record>,
    /// The last of periods that are over.
    unwritten: Vec<Record>,
}

/// A period that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Past {
    begin: Option<Timestamp>,
    used: Duration,
    carried: Duration,
    stretches: u64,
}

/// A moment by which nothing of what was counted lies ahead.
const FAR: Moment = Moment::from_micros(u64::MAX);

/// The way of counting without a [`Counter`].
const ESTIMATE: &str = "DNS activity";

/// A meter as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The quota.
    pub quota: Quota,
    /// What is used of the period.
    pub used: Duration,
    /// What is left.
    pub left: Duration,
    /// What was carried on from the period before.
    pub carried: Duration,
    /// Bonus in this period.
    pub bonus: Duration,
    /// The period; none while no clock told it.
    pub period: Option<Period>,
    /// By what it was counted.
    pub counted_by: &'static str,
    /// How much less may have been used: each stretch of activity counts for the linger after its
    /// last query.
    pub error: Duration,
}

impl Meters {
    /// Meters whose ledger stands at `path`, which is read now; none keeps none.
    pub fn load(files: Files, path: Option<PathBuf>) -> (Self, Option<LedgerError>) {
        let (ledger, trouble) = Ledger::load(files, path);
        let inner = Inner {
            entries: Vec::new(),
            counter: None,
        };
        let meters = Self {
            inner: Mutex::new(inner),
            ledger: Mutex::new(ledger),
        };
        (meters, trouble)
    }

    /// Counts by `counter` where it can tell.
    pub fn count_by(&self, counter: Arc<dyn Counter>) {
        self.inner().counter = Some(counter);
    }

    /// Takes over the quotas of a configuration. A meter that stays keeps what was counted; one that
    /// begins has used what was used of those it takes the place of.
    pub fn follow(&self, quotas: &[Quota]) {
        let is_known = |quota: &&Quota| {
            let inner = self.inner();
            let mut entries = inner.entries.iter();
            entries.any(|entry| entry.is_for(&quota.profile, &quota.of))
        };
        let mut new: Vec<Entry> = Vec::new();
        for quota in quotas.iter().filter(|quota| !is_known(quota)) {
            let ledger = locked(&self.ledger);
            let mut records = ledger.records_of(key(&quota.profile, &quota.of));
            if records.is_empty() {
                records = ledger.records_of(key(&quota.profile, &quota.formerly));
            }
            new.push(Entry::new(quota.clone(), records));
        }
        let mut inner = self.inner();
        let goes = |entry: &Entry| !quotas.iter().any(|it| entry.is_for(&it.profile, &it.of));
        let gone: Vec<(Quota, Past)> = inner
            .entries
            .iter()
            .filter(|entry| entry.is_wanted && goes(entry))
            .map(|entry| (entry.quota.clone(), entry.so_far()))
            .collect();
        inner.entries.extend(new);
        for quota in quotas {
            let same = |it: &&mut Entry| it.is_for(&quota.profile, &quota.of);
            if let Some(entry) = inner.entries.iter_mut().find(same) {
                entry.quota = quota.clone();
                if !std::mem::replace(&mut entry.is_wanted, true) {
                    let before = gone.iter().filter(|(other, _)| quota.overlaps(other));
                    entry.take_over(before.map(|(_, past)| *past));
                }
                entry.refresh();
            }
        }
        for entry in inner.entries.iter_mut().filter(|entry| goes(entry)) {
            entry.is_wanted = false;
        }
        let mut surplus = inner.entries.iter().filter(|it| !it.is_wanted).count();
        surplus = surplus.saturating_sub(MAX_RETIRED);
        inner.entries.retain(|entry| {
            let goes = surplus > 0 && !entry.is_wanted;
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Has the meters of the profile `before` count for `after`, its other name.
    pub fn rename(&self, before: &str, after: &str) {
        let mut inner = self.inner();
        if inner.entries.iter().any(|it| it.quota.profile == after) {
            return;
        }
        for entry in &mut inner.entries {
            if entry.quota.profile == before {
                after.clone_into(&mut entry.quota.profile);
            }
        }
    }

    /// The meter of a quota, for the path of a query.
    pub fn meter(&self, profile: &str, of: &str) -> Option<Arc<Meter>> {
        let inner = self.inner();
        let mut wanted = inner.entries.iter().filter(|entry| entry.is_wanted);
        let entry = wanted.find(|entry| entry.is_for(profile, of))?;
        Some(Arc::clone(&entry.meter))
    }

    /// Looks what day or week it is, and what may be used in it. To be called each minute, at each
    /// change of grants and at each jump of the household's clock.
    pub fn turn(
        &self,
        at: Moment,
        wall: Wall,
        periods: &dyn Periods,
        bonus: impl Fn(&Quota) -> Duration,
    ) {
        let mut inner = self.inner();
        let counter = inner.counter.clone();
        for entry in inner.entries.iter_mut().filter(|entry| entry.is_wanted) {
            entry.correct(at, counter.as_deref());
            if let Wall::Set(now) = wall {
                entry.look(at, now, periods);
            }
            entry.bonus = bonus(&entry.quota);
            entry.refresh();
        }
    }

    /// When the first of the periods ends.
    pub fn next_change(&self) -> Option<Timestamp> {
        let inner = self.inner();
        let wanted = inner.entries.iter().filter(|entry| entry.is_wanted);
        wanted
            .filter_map(|entry| entry.period.map(|it| it.end))
            .min()
    }

    /// Writes what changed since the last time. To be called once a minute and at the end.
    ///
    /// # Errors
    /// With path and cause; what was not written is written the next time.
    pub fn write(&self, at: Moment) -> Result<(), FileError> {
        let mut ledger = locked(&self.ledger);
        let mut changed = Vec::new();
        for entry in &self.inner().entries {
            let record = entry.record(at);
            changed.extend(&entry.unwritten);
            // The last record of a meter is the one it goes on with.
            if entry.written != Some(record) || !entry.unwritten.is_empty() {
                changed.push(record);
            }
        }
        ledger.append(&changed)?;
        for entry in &mut self.inner().entries {
            entry.unwritten.retain(|record| !changed.contains(record));
            let key = key(&entry.quota.profile, &entry.quota.of);
            let last = changed.iter().rfind(|record| record.key == key);
            entry.written = last.copied().or(entry.written);
        }
        Ok(())
    }

    /// All meters of the configuration, in its order.
    pub fn shown(&self, at: Moment) -> Vec<Shown> {
        let inner = self.inner();
        let wanted = inner.entries.iter().filter(|entry| entry.is_wanted);
        wanted.map(|entry| entry.shown(at)).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }
}

impl Entry {
    /// A meter that goes on with what its `records`, the oldest first, say of it.
    fn new(quota: Quota, records: Vec<Record>) -> Self {
        let mut history: Vec<Past> = records.iter().map(Past::from).collect();
        let last = history.pop();
        let meter = Meter::default();
        if let Some(last) = &last {
            meter.add(last.used);
            meter
                .stretches
                .store(last.stretches, super::Ordering::Relaxed);
        }
        let mut entry = Self {
            quota,
            meter: Arc::new(meter),
            is_wanted: false,
            period: None,
            begin: last.and_then(|last| last.begin),
            carried: last.map_or(Duration::ZERO, |last| last.carried),
            bonus: Duration::ZERO,
            stretches_before: 0,
            history,
            looked: None,
            counted_by: ESTIMATE,
            written: records.last().copied(),
            unwritten: Vec::new(),
        };
        entry.refresh();
        entry
    }

    fn is_for(&self, profile: &str, of: &str) -> bool {
        self.quota.profile == profile && self.quota.of == of
    }

    /// Replaces the estimate since the last look by what `counter` tells.
    fn correct(&mut self, at: Moment, counter: Option<&dyn Counter>) {
        let passed = self.meter.passed(at);
        if let (Some(counter), Some((from, before))) = (counter, self.looked) {
            let estimated = Duration::from_micros(passed.saturating_sub(before));
            match counter.active(&self.quota, from, at) {
                Some(active) => {
                    self.counted_by = counter.label();
                    let active = active.min(at.since(from));
                    self.meter.add(active.saturating_sub(estimated));
                    self.meter.take(estimated.saturating_sub(active));
                }
                None => self.counted_by = ESTIMATE,
            }
        }
        self.looked = Some((at, self.meter.passed(at)));
    }

    /// Begins the period that `now` lies in, unless it goes on.
    fn look(&mut self, at: Moment, now: Timestamp, periods: &dyn Periods) {
        let period = periods.period(&self.quota, now);
        self.period = Some(period);
        match self.begin {
            // What was counted before any clock was set belongs to the period it was set in.
            None => {}
            Some(begin) if self.began_otherwise(begin, now, period, periods) => {
                self.go_back(period);
            }
            Some(begin) if begin < period.begin => self.go_on(at, begin, period, periods),
            Some(begin) if begin > period.begin => self.go_back(period),
            Some(_) => return,
        }
        self.begin = Some(period.begin);
    }

    /// Whether what began at `begin` was a day or week of other hours, which would not be over yet:
    /// somebody changed the configuration, and that is no new day.
    fn began_otherwise(
        &self,
        begin: Timestamp,
        now: Timestamp,
        period: Period,
        periods: &dyn Periods,
    ) -> bool {
        let lasts = period.end.duration_since(period.begin);
        let is_over = begin.checked_add(lasts).is_ok_and(|end| end <= now);
        !is_over && periods.period(&self.quota, begin).begin != begin
    }

    /// What is used of the period, the linger after the last query included.
    fn so_far(&self) -> Past {
        Past {
            begin: self.begin,
            used: self.meter.used(FAR),
            carried: self.carried,
            stretches: self.stretches(),
        }
    }

    /// Has used what was used of those that were counted in its place: all of it, for nobody knows
    /// how much of that was at the same time.
    fn take_over(&mut self, before: impl Iterator<Item = Past> + Clone) {
        let Some(begin) = before.clone().map(|it| it.begin).max() else {
            return;
        };
        if self.begin > begin {
            return;
        }
        if self.begin < begin {
            if self.begin.is_some() {
                self.unwritten.push(self.record(FAR));
                self.history.push(self.so_far());
            }
            self.begin = begin;
            self.carried = Duration::ZERO;
            self.stretches_before += self.stretches();
            self.meter.begin_period(FAR);
        }
        let in_period = before.filter(|it| it.begin == begin);
        let used: Duration = in_period.map(|it| it.used).sum();
        self.meter.add(used.saturating_sub(self.meter.used(FAR)));
    }

    /// A period began.
    fn go_on(&mut self, at: Moment, begin: Timestamp, period: Period, periods: &dyn Periods) {
        let past = Past {
            begin: Some(begin),
            used: self.meter.used(at),
            carried: self.carried,
            stretches: self.stretches(),
        };
        self.unwritten.push(self.record(at));
        self.history.push(past);
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
        if self.unwritten.len() > HISTORY {
            self.unwritten.remove(0);
        }
        // Unused bonus is not carried on.
        let left = (self.quota.time + self.carried).saturating_sub(past.used);
        self.carried = left.min(self.quota.roll_over);
        let mut end = periods.period(&self.quota, begin).end;
        while end < period.begin {
            // One in which nothing was used.
            let more = (self.quota.time + self.carried).min(self.quota.roll_over);
            let next = periods.period(&self.quota, end).end;
            if more == self.carried || next <= end {
                break;
            }
            (self.carried, end) = (more, next);
        }
        self.meter.begin_period(at);
        self.stretches_before += past.stretches;
    }

    /// The clock was set back before the period began: what was used since counts in the earlier.
    fn go_back(&mut self, period: Period) {
        let is_before = |it: &Record| it.begin.is_some_and(|begin| begin < period.begin);
        self.unwritten.retain(is_before);
        while let Some(past) = self.history.pop() {
            if past.begin.is_some_and(|begin| begin < period.begin) {
                self.history.push(past);
                break;
            }
            self.meter.add(past.used);
            self.stretches_before = self.stretches_before.saturating_sub(past.stretches);
            self.carried = past.carried;
        }
    }

    /// Tells the meter what may be used.
    fn refresh(&mut self) {
        self.meter.set_linger(self.quota.linger);
        let carried = self.carried.min(self.quota.roll_over);
        self.meter
            .set_allowance(self.quota.time + carried + self.bonus);
    }

    fn stretches(&self) -> u64 {
        let all = self.meter.stretches.load(super::Ordering::Relaxed);
        all.saturating_sub(self.stretches_before)
    }

    fn record(&self, at: Moment) -> Record {
        Record {
            key: key(&self.quota.profile, &self.quota.of),
            begin: self.begin,
            used: self.meter.used(at),
            carried: self.carried,
            stretches: self.stretches(),
        }
        .rounded()
    }

    fn shown(&self, at: Moment) -> Shown {
        let used = self.meter.used(at);
        let stretches = u32::try_from(self.stretches()).unwrap_or(u32::MAX);
        let error = self.quota.linger.saturating_mul(stretches).min(used);
        Shown {
            quota: self.quota.clone(),
            used,
            left: self.meter.left(at),
            carried: self.carried.min(self.quota.roll_over),
            bonus: self.bonus,
            period: self.period,
            counted_by: self.counted_by,
            error: if self.counted_by == ESTIMATE {
                error
            } else {
                Duration::ZERO
            },
        }
    }
}

impl From<&Record> for Past {
    fn from(record: &Record) -> Self {
        Self {
            begin: record.begin,
            used: record.used,
            carried: record.carried,
            stretches: record.stretches,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
