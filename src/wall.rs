//! Whether the household's clock can be believed.
//!
//! A router without a battery boots in 1970, or at the time of some file, and jumps when the network
//! time arrives. The last time that was surely known stands in a file of the state folder, so that a
//! clock that shows an earlier one after a start is known to be wrong. Once somebody sets the clock
//! while we look (it jumps), it is believed again, also backwards: otherwise a wrong time far ahead,
//! taken once, would never be forgotten.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::files::{FileError, Files};

/// The name of the file in the state folder.
pub const FILE: &str = "clock.seen";
/// How far the clocks may part between two looks before that is a jump.
const JUMP: Duration = Duration::from_secs(2);
/// How long a time must have gone on without a jump before it is remembered, and how seldom it is
/// written, since flash wears out.
const STEADY: Duration = Duration::from_hours(1);
/// The most octets of the file.
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
    /// The last time that was surely known, in this run or one before.
    known: Option<Timestamp>,
    /// The last look.
    last: Option<(Moment, Timestamp)>,
    /// Whether the clock was set under our eyes, or shows what may be.
    is_believed: bool,
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
        Self {
            known: text.and_then(|text| text.trim().parse().ok()),
            files,
            path,
            last: None,
            is_believed: false,
            steady_since: Moment::default(),
            written: None,
        }
    }

    /// Looks at both clocks.
    pub fn look(&mut self, at: Moment, wall: Timestamp) -> Look {
        let is_jump = self.last.is_some_and(|(then, shown)| {
            let passed = i128::from(at.as_micros()) - i128::from(then.as_micros());
            let moved = i128::from(wall.as_microsecond()) - i128::from(shown.as_microsecond());
            (moved - passed).unsigned_abs() > JUMP.as_micros()
        });
        if is_jump || self.last.is_none() {
            self.steady_since = at;
        }
        self.last = Some((at, wall));
        let may_be = self.known.is_none_or(|known| wall >= known);
        self.is_believed = is_after_release(wall) && (self.is_believed || is_jump || may_be);
        let wall = if self.is_believed {
            Wall::Set(wall)
        } else {
            Wall::Unset
        };
        Look { wall, is_jump }
    }

    /// Remembers the time of the last look, once an hour, if it can be trusted; `is_end` writes
    /// whatever is due or not.
    ///
    /// # Errors
    /// The file cannot be written; the next hour tries again.
    pub fn save(&mut self, is_end: bool) -> Result<(), FileError> {
        let (Some(path), Some((at, wall)), true) = (&self.path, self.last, self.is_believed) else {
            return Ok(());
        };
        let rested = self.written.is_none_or(|it| at.since(it) >= STEADY);
        if at.since(self.steady_since) < STEADY || !(rested || is_end) {
            return Ok(());
        }
        self.written = Some(at);
        self.known = Some(wall);
        let text = format!("{wall:.0}\n");
        self.files.replace(path, text.as_bytes())
    }
}

/// Whether `wall` is later than the release of this program.
pub fn is_after_release(wall: Timestamp) -> bool {
    u64::try_from(wall.as_second()).is_ok_and(|seconds| seconds >= crate::update::RELEASED)
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

    #[test]
    fn a_boot_in_1970_is_no_time_until_the_clock_is_set() {
        let mut known = load(&MemoryFiles::new());
        let look = known.look(at(1), Timestamp::UNIX_EPOCH);
        assert_eq!((look.wall, look.is_jump), (Wall::Unset, false));
        let now = time("2026-12-01T12:00:00Z");
        let look = known.look(at(2), now);
        assert_eq!((look.wall, look.is_jump), (Wall::Set(now), true));
    }

    #[test]
    fn a_boot_before_the_last_known_time_is_no_time_either() {
        let memory = MemoryFiles::new();
        let mut known = load(&memory);
        let _ = known.look(at(0), time("2026-12-01T12:00:00Z"));
        known.save(false).unwrap();
        assert!(memory.paths().is_empty(), "an hour must have passed");
        let _ = known.look(at(3600), time("2026-12-01T13:00:00.7Z"));
        known.save(false).unwrap();
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
        known.save(false).unwrap();
        let mut known = load(&memory);
        assert_eq!(known.look(at(0), later).wall, Wall::Set(later));
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
