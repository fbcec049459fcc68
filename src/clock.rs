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
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Seconds since 1970 at which something ended that is right in all else, though it is shown as
    /// valid: the clock may be ahead. 0 if there is nothing such.
    ended: AtomicU64,
    /// Until when, on the monotonic clock in microseconds, it is known not to be ahead.
    vouched: AtomicU64,
    /// Whether what is lent turns a clock back that is ahead.
    is_ahead: AtomicBool,
    /// The newest certificate that was seen.
    signed: Mutex<Option<Signed>>,
    /// A [`Standing`].
    standing: AtomicU8,
    /// How often any of that changed.
    generation: AtomicU64,
}

/// A certificate that was valid.
#[derive(Clone, Debug)]
struct Signed {
    beginning: Timestamp,
    /// Whose it is; none for one of the last run.
    name: Option<Box<str>>,
}

/// Why a time is not lent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody uses this program then.
    #[error("it cannot be, for this version")]
    Impossible,
    /// It was later already.
    #[error("it was {earliest:.0} already")]
    Past {
        /// How late it was.
        earliest: Timestamp,
    },
    /// It is before the machine's clock, and that may be right.
    #[error("nothing says that the machine's clock is ahead")]
    Unasked,
    /// It is later than what says that the machine's clock is ahead, which proves nothing then.
    #[error("what says that the machine's clock is ahead was over at {ended:.0}, before that")]
    Over {
        /// When that ended.
        ended: Timestamp,
    },
    /// A certificate was seen that begins later. An authority whose own clock is ahead signs such.
    #[error(
        "the certificate of {} began at {beginning:.0}, after that; if the clock of the authority that \
         signed it was ahead, set both clocks and have it signed anew",
        .name.as_deref().unwrap_or("a server that was asked before the last start")
    )]
    Signed {
        /// When it begins.
        beginning: Timestamp,
        /// Whose it is, where that is known.
        name: Option<Box<str>>,
    },
}

/// How sure it is that the machine's own clock is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It shows a time, and nobody knows where that is from.
    #[default]
    Unsure,
    /// It ran for long, and nobody had to set it.
    Ran,
    /// It was set forward while we looked, as by the network time.
    Set,
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
                ended: AtomicU64::new(0),
                vouched: AtomicU64::new(0),
                is_ahead: AtomicBool::new(false),
                signed: Mutex::default(),
                standing: AtomicU8::new(Standing::Unsure as u8),
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

    /// Lends the clock a time, as it is now, for as long as it needs one; whether it is taken, for which
    /// nothing may be [against it](Self::refusal). A time that is lent is renewed by the same one.
    pub fn lend(&self, wall: Timestamp) -> bool {
        if self.refusal(wall).is_some() {
            return false;
        }
        let turns_back = self.turns_back(wall);
        let now = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        let beginning = wall.as_microsecond().saturating_sub(now);
        let before = self.known.lent.swap(beginning, Ordering::Relaxed);
        let was_ahead = self.known.is_ahead.swap(turns_back, Ordering::Relaxed);
        let moved = before.abs_diff(beginning) > LEEWAY.as_micros() as u64;
        if moved || was_ahead != turns_back {
            self.note_change();
        }
        true
    }

    /// What is against lending the clock a time: it cannot be one that cannot be, nor one before
    /// [`Self::earliest`]. It turns back a clock that shows a time that can be only where that
    /// [may be ahead](Self::may_be_ahead), to a time at which what said so was not over yet, and not before
    /// the newest certificate began that was seen.
    pub fn refusal(&self, wall: Timestamp) -> Option<Refusal> {
        let earliest = self.earliest();
        // What was proven may be proven by that.
        let signed = self.newest().clone();
        let signed = signed
            .filter(|it| it.beginning > wall)
            .map(|it| Refusal::Signed {
                beginning: it.beginning,
                name: it.name,
            });
        if !can_be(wall) {
            return Some(Refusal::Impossible);
        }
        if wall < earliest {
            let is_signed = self.signed().is_some_and(|it| it >= earliest);
            let past = Refusal::Past { earliest };
            return signed.filter(|_| is_signed).or(Some(past));
        }
        if !self.turns_back(wall) {
            return None;
        }
        let lent = self.wall();
        let is_known = self.is_ahead() && !is_far_before(lent, wall) && !is_far_before(wall, lent);
        match self.may_be_ahead() {
            _ if is_known => signed,
            None => Some(Refusal::Unasked),
            Some(ended) if is_far_before(ended, wall) => Some(Refusal::Over { ended }),
            Some(_) => signed,
        }
    }

    /// Whether `wall` is far before what is shown, and that can be.
    fn turns_back(&self, wall: Timestamp) -> bool {
        let shown = self.shown();
        can_be(shown) && is_far_before(wall, shown)
    }

    /// Gives back what was lent; whether anything was.
    pub fn take_back(&self) -> bool {
        let is_lent = self.known.lent.swap(NONE, Ordering::Relaxed) != NONE;
        self.known.is_ahead.store(false, Ordering::Relaxed);
        if is_lent {
            self.note_change();
        }
        is_lent
    }

    /// Whether another time is needed: its own cannot be, is before [`Self::earliest`], is doubted, or is
    /// ahead of what was lent for that.
    pub fn needs_time(&self) -> bool {
        let shown = self.shown();
        !can_be(shown)
            || shown < self.earliest()
            || self.is_doubted(shown)
            || self.is_ahead_at(shown)
    }

    /// Whether it is surely ahead: what is lent turns it back.
    pub fn is_ahead(&self) -> bool {
        self.is_ahead_at(self.shown())
    }

    /// Whether it shows a time far after `wall`.
    pub fn is_ahead_of(&self, wall: Timestamp) -> bool {
        is_far_before(wall, self.shown())
    }

    /// When something ended that is right in all else, though those who show it should know: then the
    /// clock may be ahead, unless it was [set](Standing::Set) while we looked. By itself that changes
    /// nothing; it is a reason to ask for the time, and one that is lent may turn the clock back then.
    pub fn may_be_ahead(&self) -> Option<Timestamp> {
        let ended = self.known.ended.load(Ordering::Relaxed);
        (ended != 0 && self.standing() != Standing::Set).then(|| time_of(ended))
    }

    /// Notes that something ended at `end` that is right in all else, by the time that is shown.
    pub fn note_ended(&self, end: Timestamp) {
        let is_vouched = self.now().as_micros() < self.known.vouched.load(Ordering::Relaxed);
        let is_over_anyway = end < self.earliest() || self.needs_time() || is_vouched;
        if !is_over_anyway && can_be(end) && is_far_before(end, self.shown()) {
            let seconds = end.as_second().unsigned_abs();
            self.known.ended.store(seconds, Ordering::Relaxed);
        }
    }

    /// Notes that the certificate of `name` is valid, which began at `beginning`: by the time that is shown,
    /// which may be right then; and it is later than that, as far as the machine's own clock got there.
    pub fn note_valid(&self, beginning: Timestamp, name: &str) {
        if self.needs_time() {
            return;
        }
        self.dismiss();
        if beginning <= self.shown() {
            self.note_signed(beginning, Some(name));
        }
    }

    /// Notes that something is right that began at `beginning`, by the time that is shown or after it: what
    /// is lent is behind then, and does not turn the clock back any more.
    pub fn note_begun(&self, beginning: Timestamp) {
        let shown = self.shown();
        if self.is_ahead_at(shown) && is_far_before(self.wall(), beginning) && beginning <= shown {
            self.dismiss();
            self.take_back();
        }
    }

    /// Notes that what could have been over is not: nothing says any more that the clock may be ahead.
    pub fn note_in_force(&self) {
        if !self.needs_time() {
            self.dismiss();
        }
    }

    /// Notes that others agree that the clock is not ahead: for as long as `period`, unless it is set, what
    /// looks over is.
    pub fn vouch(&self, period: Duration) {
        let until = self.now().after(period).as_micros();
        self.known.vouched.store(until, Ordering::Relaxed);
        self.dismiss();
    }

    fn dismiss(&self) {
        self.known.ended.store(0, Ordering::Relaxed);
    }

    /// When the newest certificate began that was seen while the clock was believed.
    pub fn signed(&self) -> Option<Timestamp> {
        self.newest().as_ref().map(|it| it.beginning)
    }

    /// Says what [`Self::signed`] was in the last run.
    pub fn recall_signed(&self, signed: Timestamp) {
        self.note_signed(signed, None);
    }

    fn note_signed(&self, beginning: Timestamp, name: Option<&str>) {
        let mut newest = self.newest();
        let is_newer = newest.as_ref().is_none_or(|it| beginning > it.beginning);
        // One of the last run is seen again, and now it is known whose it is.
        let is_same = newest
            .as_ref()
            .is_some_and(|it| it.beginning == beginning && it.name.is_none());
        if can_be(beginning) && (is_newer || is_same) {
            *newest = Some(Signed {
                beginning,
                name: name.map(Into::into),
            });
        }
    }

    fn newest(&self) -> MutexGuard<'_, Option<Signed>> {
        let newest = self.known.signed.lock();
        newest.unwrap_or_else(PoisonError::into_inner)
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

    /// Says how sure the machine's own clock is: one that was set while we looked or ran for long nobody
    /// says to be behind.
    pub fn confirm(&self, standing: Standing) {
        let known = &self.known;
        let before = known.standing.swap(standing as u8, Ordering::Relaxed);
        if before != standing as u8 {
            known.doubted.store(0, Ordering::Relaxed);
            self.note_change();
        }
    }

    /// Whether the machine's own clock is surely right, as far as that can be known.
    pub fn is_confirmed(&self) -> bool {
        self.standing() != Standing::Unsure && !self.needs_time()
    }

    /// Notes that the machine's clock was set, or jumped: what was said against it was about another
    /// time. Where that holds against this one too, it will be said again.
    pub fn note_jump(&self) {
        self.known.doubted.store(0, Ordering::Relaxed);
        self.known.is_ahead.store(false, Ordering::Relaxed);
        self.known.vouched.store(0, Ordering::Relaxed);
        self.dismiss();
        self.note_change();
    }

    /// Another number after each change of what is known of the clock: what was concluded from it before
    /// has to be concluded anew.
    pub fn generation(&self) -> u64 {
        self.known.generation.load(Ordering::Relaxed)
    }

    /// Notes that something was learnt of the clock.
    fn note_change(&self) {
        self.known.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn is_doubted(&self, shown: Timestamp) -> bool {
        let doubted = self.known.doubted.load(Ordering::Relaxed);
        let is_unsure = self.standing() == Standing::Unsure;
        doubted != 0 && is_unsure && is_far_before(shown, time_of(doubted))
    }

    fn is_ahead_at(&self, shown: Timestamp) -> bool {
        let is_ahead = self.known.is_ahead.load(Ordering::Relaxed);
        is_ahead && self.lent().is_some_and(|it| is_far_before(it, shown))
    }

    fn standing(&self) -> Standing {
        let standing = self.known.standing.load(Ordering::Relaxed);
        let all = [Standing::Unsure, Standing::Ran, Standing::Set];
        let mut all = all.into_iter();
        all.find(|it| *it as u8 == standing).unwrap_or_default()
    }

    fn lent(&self) -> Option<Timestamp> {
        let beginning = self.known.lent.load(Ordering::Relaxed);
        let passed = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        let wall = beginning.saturating_add(passed);
        (beginning != NONE).then(|| Timestamp::from_microsecond(wall).ok())?
    }
}

/// Whether `left` is before `right` by more than clocks differ.
fn is_far_before(left: Timestamp, right: Timestamp) -> bool {
    right.duration_since(left).as_secs() > LEEWAY.as_secs().cast_signed()
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
        clock.confirm(Standing::Set);
        assert!(!clock.needs_time() && clock.is_confirmed());
        clock.doubt(proven);
        assert!(!clock.needs_time());
        // Or until it got there.
        clock.confirm(Standing::Unsure);
        clock.doubt(proven);
        assert!(clock.needs_time());
        time.set_wall(proven);
        assert!(!clock.needs_time());
    }

    #[test]
    fn a_clock_that_is_ahead_is_turned_back_where_something_says_so_and_no_further_than_was_signed()
    {
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let manual = ManualTime::starting_at(time("2040-01-01T00:00:00Z"));
        let clock = manual.clock();
        let truth = time("2027-06-01T12:00:00Z");
        let ended = time("2027-08-01T00:00:00Z");
        assert!(!clock.lend(truth), "nobody turns it back unasked");
        // What was over at the release is over by any clock.
        clock.note_ended(time("2026-06-01T00:00:00Z"));
        assert_eq!(clock.may_be_ahead(), None);
        clock.note_ended(ended);
        assert_eq!(
            (clock.may_be_ahead(), clock.needs_time()),
            (Some(ended), false)
        );
        // Something else is valid: that is how it is where one server is in disorder.
        clock.note_valid(time("2027-05-01T00:00:00Z"), "dns.test");
        assert_eq!(clock.may_be_ahead(), None);
        clock.note_ended(ended);
        assert!(
            !clock.lend(time("2027-04-30T00:00:00Z")),
            "somebody signed since"
        );
        let before = clock.generation();
        assert!(clock.lend(truth) && clock.is_ahead() && clock.needs_time());
        assert!(clock.generation() != before);
        assert_eq!((clock.wall(), clock.is_confirmed()), (truth, false));
        // By the time that is lent the rest is judged, so that nothing of it is about the clock.
        clock.note_valid(time("2027-06-01T00:00:00Z"), "dns.test");
        assert!(clock.may_be_ahead().is_some());
        assert_eq!(clock.signed(), Some(time("2027-05-01T00:00:00Z")));
        // It ran on, and is no better for that.
        clock.confirm(Standing::Ran);
        assert!(clock.is_ahead());
        // Others say that it is right, and it goes on for an hour, or until it jumps.
        let other = manual.clock();
        other.vouch(Duration::from_hours(1));
        other.note_ended(ended);
        assert_eq!(other.may_be_ahead(), None);
        manual.advance(Duration::from_hours(1));
        other.note_ended(ended);
        assert!(other.may_be_ahead().is_some());
        other.vouch(Duration::from_hours(1));
        other.note_jump();
        other.note_ended(ended);
        assert!(other.may_be_ahead().is_some());
        // Set to the truth it counts at once.
        manual.set_wall(truth);
        assert_eq!((clock.is_ahead(), clock.needs_time()), (false, false));
        // Seen to be set forward, nobody turns it back any more.
        clock.note_jump();
        assert_eq!(clock.may_be_ahead(), None);
        manual.set_wall(time("2028-06-01T12:00:00Z"));
        clock.confirm(Standing::Set);
        clock.note_ended(ended);
        assert!(clock.may_be_ahead().is_none() && !clock.lend(truth));
    }

    /// Old certificates shown again say that a clock is ahead; with forged times it was any time then.
    #[test]
    fn what_turns_a_clock_back_was_not_over_by_then_and_what_began_since_ends_it() {
        const DAY: Duration = Duration::from_hours(24);
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let manual = ManualTime::starting_at(time("2040-01-01T00:00:00Z"));
        let clock = manual.clock();
        clock.note_ended(time("2027-02-01T00:00:00Z"));
        assert!(!clock.lend(time("2027-06-01T00:00:00Z")), "it is over then");
        assert!(clock.lend(time("2027-01-31T00:00:00Z")) && clock.is_ahead());
        // It goes on past that.
        manual.advance(2 * DAY);
        assert!(clock.lend(time("2027-02-02T00:30:00Z")));
        assert!(!clock.lend(time("2027-06-01T00:00:00Z")));
        assert_eq!(clock.wall(), time("2027-02-02T00:30:00Z"));
        // What begins later than the machine's clock shows, or hardly later than what is lent.
        clock.note_begun(time("2041-01-01T00:00:00Z"));
        clock.note_begun(time("2027-02-02T01:00:00Z"));
        assert!(clock.is_ahead());
        clock.note_begun(time("2027-05-01T00:00:00Z"));
        assert_eq!((clock.is_ahead(), clock.may_be_ahead()), (false, None));
        assert_eq!(clock.wall(), clock.shown());
    }

    /// A household's own authority whose clock was ahead too kept the time from being put right, and nothing
    /// said which.
    #[test]
    fn what_is_against_a_time_is_said_with_its_name() {
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let manual = ManualTime::starting_at(time("2040-01-01T00:00:00Z"));
        let clock = manual.clock();
        let truth = time("2027-06-01T12:00:00Z");
        assert_eq!(
            clock.refusal(Timestamp::UNIX_EPOCH),
            Some(Refusal::Impossible)
        );
        assert_eq!(clock.refusal(truth), Some(Refusal::Unasked));
        let ended = time("2027-05-01T00:00:00Z");
        clock.note_ended(ended);
        assert_eq!(clock.refusal(truth), Some(Refusal::Over { ended }));
        let beginning = time("2039-12-31T00:00:00Z");
        clock.recall_signed(beginning);
        let of_last_run = clock.refusal(time("2027-04-01T00:00:00Z")).unwrap();
        assert_eq!(
            of_last_run,
            Refusal::Signed {
                beginning,
                name: None
            }
        );
        clock.note_valid(beginning, "home.test");
        clock.note_valid(time("2027-01-01T00:00:00Z"), "dns.test");
        clock.note_ended(time("2027-08-01T00:00:00Z"));
        let refusal = clock.refusal(truth).unwrap();
        assert_eq!(
            refusal.to_string(),
            "the certificate of home.test began at 2039-12-31T00:00:00Z, after that; if the clock of the \
             authority that signed it was ahead, set both clocks and have it signed anew"
        );
        // Likewise where it became what is proven.
        clock.note_earliest(beginning);
        assert_eq!(clock.refusal(truth), Some(refusal));
        let earliest = time("2039-12-31T12:00:00Z");
        clock.note_earliest(earliest);
        assert_eq!(clock.refusal(truth), Some(Refusal::Past { earliest }));
    }

    /// A wrong time ahead in the file of the last run was held against a clock that somebody had set.
    #[test]
    fn what_was_said_against_a_clock_ends_when_it_is_set() {
        let clock = ManualTime::starting_at("2026-12-01T12:00:00Z".parse().unwrap()).clock();
        clock.doubt("2040-01-01T00:00:00Z".parse().unwrap());
        assert!(clock.needs_time());
        clock.note_jump();
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
