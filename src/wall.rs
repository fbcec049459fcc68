//! Whether the household's clock can be believed.
//!
//! A router without a battery boots in 1970, or at the time of some file, and jumps when the network
//! time arrives. The last time that was surely known stands in a file of the state folder, so that a
//! clock that shows an earlier one after a start is known to be wrong. Once somebody sets the clock
//! while we look (it jumps), it is believed again, also backwards, and so is one that ran for
//! [`BELIEVED_AFTER`] without a jump: otherwise a wrong time ahead, taken once, would never be forgotten
//! where the clock is right before we look. A child who cuts the power cannot set the clock, and one
//! that is wrong afterwards is put right (it jumps) as soon as there is a network.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Moment, Standing, Timestamp, can_be};
use crate::files::{FileError, Files};

/// The name of the file in the state folder.
pub const FILE: &str = "clock.seen";
/// How far the clocks may part between two looks before that is a jump.
const JUMP: Duration = Duration::from_secs(2);
/// How far one must go forward at a time to be known for set, as by the network time after a start, which
/// makes up for as long as the machine was off. A machine that slept for a moment jumps too, and so does a
/// clock that is put right by seconds: that says nothing of the rest.
const STEP: Duration = Duration::from_secs(60);
/// How long a time must have gone on without a jump before it is remembered, and how seldom it is
/// written, since flash wears out.
const STEADY: Duration = Duration::from_hours(1);
/// How long a clock that shows less than was known must have run without a jump before it is
/// believed: short of a day, for routers that start anew each night.
pub const BELIEVED_AFTER: Duration = Duration::from_hours(20);
/// The most octets of the file: two times, each in a line.
const MAX_FILE: u64 = 64;

/// What the household's clock shows, where it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// The time.
    Set(Timestamp),
    /// It shows a time that cannot be.
    Unset,
}

impl Wall {
    /// The time, where it is known.
    pub const fn time(self) -> Option<Timestamp> {
        match self {
            Self::Set(time) => Some(time),
            Self::Unset => None,
        }
    }
}

/// What a look at the clocks showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The time.
    pub wall: Wall,
    /// Whether the wall clock was set since the last look.
    pub is_jump: bool,
}

/// What is known of the household's clock, across restarts.
#[derive(Debug)]
pub struct KnownTime {
    files: Files,
    path: Option<PathBuf>,
    /// The last time that was surely known, in this run or one before; never one that cannot be.
    known: Option<Timestamp>,
    /// The newest beginning of a certificate that was seen by then.
    signed: Option<Timestamp>,
    /// The last look.
    last: Option<(Moment, Timestamp)>,
    /// Whether the clock was set under our eyes, or shows what may be.
    is_believed: bool,
    /// How sure it is: set forward under our eyes, as by the network time, or ran for long.
    standing: Standing,
    /// Since when there was no jump.
    steady_since: Moment,
    /// When the file was last written.
    written: Option<Moment>,
}

impl KnownTime {
    /// What the last run knew; nothing without a `path`, or when the file makes no sense.
    pub fn load(files: Files, path: Option<PathBuf>) -> Self {
        let read = path.as_ref().and_then(|it| files.read(it, MAX_FILE).ok());
        let text = read.and_then(|content| String::from_utf8(content).ok());
        let text = text.unwrap_or_default();
        let mut lines = text.lines().map(|line| line.trim().parse().ok());
        let mut time = || lines.next().flatten().filter(|it| can_be(*it));
        Self {
            known: time(),
            signed: time(),
            files,
            path,
            last: None,
            is_believed: false,
            standing: Standing::Unsure,
            steady_since: Moment::default(),
            written: None,
        }
    }

    /// Looks at both clocks.
    pub fn look(&mut self, at: Moment, wall: Timestamp) -> Look {
        // How far it moved beyond the time that passed.
        let moved = self.last.map_or(0, |(then, shown)| {
            let passed = i128::from(at.as_micros()) - i128::from(then.as_micros());
            let moved = i128::from(wall.as_microsecond()) - i128::from(shown.as_microsecond());
            moved - passed
        });
        let is_jump = moved.unsigned_abs() > JUMP.as_micros();
        if is_jump || self.last.is_none() {
            self.steady_since = at;
        }
        if is_jump && moved < 0 {
            self.standing = Standing::Unsure;
        }
        self.last = Some((at, wall));
        let may_be = self.known.is_none_or(|known| wall >= known);
        let is_steady = at.since(self.steady_since) >= BELIEVED_AFTER;
        self.is_believed = can_be(wall) && (self.is_believed || is_jump || may_be || is_steady);
        self.standing = match self.standing {
            _ if !self.is_believed => Standing::Unsure,
            _ if moved > 0 && moved.unsigned_abs() > STEP.as_micros() => Standing::Set,
            Standing::Unsure if is_steady => Standing::Ran,
            before => before,
        };
        let wall = if self.is_believed {
            Wall::Set(wall)
        } else {
            Wall::Unset
        };
        Look { wall, is_jump }
    }

    /// Whether the clock is more than believed: it was set forward while we looked, as the network time
    /// does it, or ran for [`BELIEVED_AFTER`]. One that starts at the time of some file goes on from
    /// there and is not, nor is one that was set back, however little. A small step forward changes nothing
    /// of that.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The newest beginning of a certificate that was seen when the time was last written.
    pub const fn signed(&self) -> Option<Timestamp> {
        self.signed
    }

    /// The last time that was surely known.
    pub const fn known(&self) -> Option<Timestamp> {
        self.known
    }

    /// Why the clock is not believed, and what helps, in a sentence.
    pub fn doubt(&self) -> Option<String> {
        let (at, wall) = self.last.filter(|_| !self.is_believed)?;
        let held = "what is closed at certain times stays closed, and nothing granted holds";
        let Some(known) = self.known.filter(|_| can_be(wall)) else {
            return Some(format!("the household's clock shows {wall:.0}: {held}"));
        };
        let rest = BELIEVED_AFTER.saturating_sub(at.since(self.steady_since));
        let hours = rest.as_secs().div_ceil(3600);
        Some(format!(
            "the household's clock shows {wall:.0}, though it was {known:.0} before: {held}; it is \
             believed when somebody sets it, or after {hours} more hours without a jump"
        ))
    }

    /// What there is to remember: the time of the last look, once an hour, if it can be trusted;
    /// `is_end` says it whether it is due or not. With it the newest beginning of a certificate, `signed`.
    pub fn to_remember(&mut self, is_end: bool, signed: Option<Timestamp>) -> Option<Remembered> {
        let (at, wall) = self.last.filter(|_| self.is_believed)?;
        let rested = self.written.is_none_or(|it| at.since(it) >= STEADY);
        if at.since(self.steady_since) < STEADY || !(rested || is_end) {
            return None;
        }
        let path = self.path.clone()?;
        self.written = Some(at);
        self.known = Some(wall);
        self.signed = signed;
        Some(Remembered {
            files: self.files.clone(),
            path,
            wall,
            signed,
        })
    }
}

/// A time to be remembered. Writing it may take as long as the disk likes, while the clocks are
/// looked at.
#[derive(Debug)]
pub struct Remembered {
    files: Files,
    path: PathBuf,
    wall: Timestamp,
    signed: Option<Timestamp>,
}

impl Remembered {
    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written; the next hour tries again.
    pub fn write(&self) -> Result<(), FileError> {
        let mut text = format!("{:.0}\n", self.wall);
        if let Some(signed) = self.signed {
            text += &format!("{signed:.0}\n");
        }
        self.files.replace(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::MemoryFiles;

    const SECOND: u64 = 1_000_000;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * SECOND)
    }

    fn load(memory: &std::sync::Arc<MemoryFiles>) -> KnownTime {
        KnownTime::load(memory.files(), Some("/state/clock.seen".into()))
    }

    fn save(known: &mut KnownTime) {
        if let Some(time) = known.to_remember(false, None) {
            time.write().unwrap();
        }
    }

    #[test]
    fn a_boot_in_1970_is_no_time_until_the_clock_is_set() {
        let mut known = load(&MemoryFiles::new());
        let look = known.look(at(1), Timestamp::UNIX_EPOCH);
        assert_eq!((look.wall, look.is_jump), (Wall::Unset, false));
        let now = time("2026-12-01T12:00:00Z");
        assert_eq!(known.standing(), Standing::Unsure);
        let look = known.look(at(2), now);
        assert_eq!((look.wall, look.is_jump), (Wall::Set(now), true));
        assert_eq!(known.standing(), Standing::Set);
        // Set back it is believed, since somebody did that, and no more.
        let back = time("2026-11-25T12:00:00Z");
        assert_eq!(known.look(at(3), back).wall, Wall::Set(back));
        assert_eq!(known.standing(), Standing::Unsure);
    }

    /// It was taken for one forward, since the time between the looks made up for it.
    #[test]
    fn a_small_step_back_confirms_nothing() {
        let mut known = load(&MemoryFiles::new());
        let start = time("2026-12-01T12:00:00Z");
        let shown = |seconds: u64| start.checked_add(Duration::from_secs(seconds)).unwrap();
        let _ = known.look(at(0), shown(0));
        let look = known.look(at(60), shown(57));
        assert!(look.is_jump && look.wall != Wall::Unset);
        assert_eq!(known.standing(), Standing::Unsure);
        // Nor does what was confirmed before last longer than that.
        let _ = known.look(at(61), shown(3600));
        assert_eq!(known.standing(), Standing::Set);
        let _ = known.look(at(62), shown(3598));
        assert_eq!(known.standing(), Standing::Unsure);
        let later = 62 + BELIEVED_AFTER.as_secs();
        let _ = known.look(at(later), shown(3598 + BELIEVED_AFTER.as_secs()));
        assert_eq!(known.standing(), Standing::Ran);
    }

    /// A clock that is years ahead was sure for ever after a step of two seconds, as of a machine that slept.
    #[test]
    fn a_small_step_forward_confirms_nothing_and_voids_nothing() {
        let mut known = load(&MemoryFiles::new());
        let start = time("2040-01-01T00:00:00Z");
        let shown = |seconds: u64| start.checked_add(Duration::from_secs(seconds)).unwrap();
        let _ = known.look(at(0), shown(0));
        assert!(known.look(at(1), shown(4)).is_jump);
        let _ = known.look(at(2), shown(65));
        assert_eq!(known.standing(), Standing::Unsure);
        // Nor does it run on since before that.
        let almost = BELIEVED_AFTER.as_secs();
        let _ = known.look(at(almost), shown(almost + 63));
        assert_eq!(known.standing(), Standing::Unsure);
        let _ = known.look(at(almost + 1), shown(almost + 125));
        assert_eq!(known.standing(), Standing::Set);
        assert!(known.look(at(almost + 2), shown(almost + 130)).is_jump);
        assert_eq!(known.standing(), Standing::Set);
    }

    #[test]
    fn what_was_signed_by_then_is_remembered_too() {
        let memory = MemoryFiles::new();
        let mut known = load(&memory);
        let signed = Some(time("2026-11-25T00:00:00Z"));
        let _ = known.look(at(0), time("2026-12-01T12:00:00Z"));
        let _ = known.look(at(3600), time("2026-12-01T13:00:00Z"));
        known.to_remember(false, signed).unwrap().write().unwrap();
        let known = load(&memory);
        assert_eq!(known.signed(), signed);
        assert_eq!(known.known(), Some(time("2026-12-01T13:00:00Z")));
        memory.put("/state/clock.seen", "2026-12-01T13:00:00Z\nyesterday\n");
        let known = load(&memory);
        assert!(known.known().is_some() && known.signed().is_none());
    }

    #[test]
    fn a_boot_before_the_last_known_time_is_no_time_either() {
        let memory = MemoryFiles::new();
        let mut known = load(&memory);
        let _ = known.look(at(0), time("2026-12-01T12:00:00Z"));
        save(&mut known);
        assert!(memory.paths().is_empty(), "an hour must have passed");
        let _ = known.look(at(3600), time("2026-12-01T13:00:00.7Z"));
        save(&mut known);
        let written = memory.files().read(Path::new("/state/clock.seen"), 64);
        assert_eq!(written.unwrap(), b"2026-12-01T13:00:00Z\n");

        let mut known = load(&memory);
        let early = time("2026-12-01T09:00:00Z");
        assert_eq!(known.look(at(0), early).wall, Wall::Unset);
        // It goes on from there: still wrong.
        let later = time("2026-12-01T09:00:01Z");
        assert_eq!(known.look(at(1), later).wall, Wall::Unset);
        let set = time("2026-12-01T13:10:00Z");
        assert_eq!(known.look(at(2), set).wall, Wall::Set(set));
    }

    #[test]
    fn a_wrong_time_ahead_is_forgotten() {
        let memory = MemoryFiles::new();
        memory.put("/state/clock.seen", "2040-01-01T00:00:00Z\n");
        let mut known = load(&memory);
        let now = time("2026-12-01T12:00:00Z");
        assert_eq!(known.look(at(0), now).wall, Wall::Unset);
        let set = time("2026-12-01T12:00:10Z");
        assert_eq!(known.look(at(1), set).wall, Wall::Set(set), "it was set");
        let later = time("2026-12-01T13:00:10Z");
        let _ = known.look(at(3601), later);
        save(&mut known);
        let mut known = load(&memory);
        assert_eq!(known.look(at(0), later).wall, Wall::Set(later));
    }

    #[test]
    fn a_wrong_time_ahead_does_not_last_where_nobody_sees_the_clock_set() {
        let memory = MemoryFiles::new();
        memory.put("/state/clock.seen", "2040-01-01T00:00:00Z\n");
        let mut known = load(&memory);
        let start = time("2026-12-01T12:00:00Z");
        let shown = |hours: u64| start.checked_add(Duration::from_hours(hours)).unwrap();
        for hours in 0..20 {
            assert_eq!(known.look(at(hours * 3600), shown(hours)).wall, Wall::Unset);
            save(&mut known);
        }
        let doubt = known.doubt().unwrap();
        assert!(
            doubt.contains("it was 2040-01-01T00:00:00Z before"),
            "{doubt}"
        );
        assert!(doubt.contains("after 1 more hours"), "{doubt}");
        let look = known.look(at(20 * 3600), shown(20));
        assert_eq!((look.wall, known.doubt()), (Wall::Set(shown(20)), None));
        save(&mut known);
        let mut known = load(&memory);
        assert_eq!(known.look(at(0), shown(21)).wall, Wall::Set(shown(21)));
    }

    #[test]
    fn cutting_the_power_again_and_again_is_no_steady_clock() {
        let memory = MemoryFiles::new();
        memory.put("/state/clock.seen", "2026-12-01T21:00:00Z\n");
        for _ in 0..4 {
            let mut known = load(&memory);
            for hours in 0..19 {
                let shown = time("2026-11-30T12:00:00Z");
                let shown = shown.checked_add(Duration::from_hours(hours)).unwrap();
                assert_eq!(known.look(at(hours * 3600), shown).wall, Wall::Unset);
            }
        }
    }

    #[test]
    fn a_time_that_no_program_lives_to_see_is_none() {
        let memory = MemoryFiles::new();
        memory.put("/state/clock.seen", "2106-02-07T06:28:15Z\n");
        let now = time("2026-12-01T12:00:00Z");
        assert_eq!(load(&memory).look(at(0), now).wall, Wall::Set(now));
        let mut known = load(&memory);
        assert_eq!(
            known.look(at(0), time("2106-02-07T06:28:15Z")).wall,
            Wall::Unset
        );
        assert!(
            known
                .doubt()
                .unwrap()
                .contains("shows 2106-02-07T06:28:15Z")
        );
    }

    #[test]
    fn slow_corrections_are_no_jump_and_nonsense_in_the_file_is_nothing() {
        let memory = MemoryFiles::new();
        memory.put("/state/clock.seen", "yesterday");
        let mut known = load(&memory);
        let _ = known.look(at(0), time("2026-12-01T12:00:00Z"));
        let look = known.look(at(10), time("2026-12-01T12:00:11Z"));
        assert!(!look.is_jump && look.wall != Wall::Unset);
        assert!(known.look(at(11), time("2026-12-01T12:00:08Z")).is_jump);
    }
}
