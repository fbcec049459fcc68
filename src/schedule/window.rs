//! Times of the week as people write them: `sun-thu 20:30-06:30`.

use std::fmt;
use std::ops::Range;

use jiff::civil::Weekday;

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Whether `day` is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & Self::of(day).0 != 0
    }

    fn of(day: Weekday) -> Self {
        Self(1 << day.to_monday_zero_offset())
    }

    /// The days from `first` on to `last`, over the end of the week where it must be.
    fn range(first: u8, last: u8) -> Self {
        let count = (last + 7 - first) % 7;
        Self((0..=count).fold(0, |days, step| days | 1 << ((first + step) % 7)))
    }

    const fn has(self, offset: u8) -> bool {
        self.0 & 1 << (offset % 7) != 0
    }
}

impl fmt::Display for Days {
    /// The way it is read: `sun-thu`, `fri,sat`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("mon-sun");
        }
        let mut first = true;
        for begin in (0..7).filter(|day| self.has(*day) && !self.has(*day + 6)) {
            if !first {
                f.write_str(",")?;
            }
            first = false;
            let mut end = begin;
            while self.has(end + 1) {
                end += 1;
            }
            let (from, to) = (NAMES[usize::from(begin)], NAMES[usize::from(end % 7)]);
            match end - begin {
                0 => f.write_str(from)?,
                1 => write!(f, "{from},{to}")?,
                _ => write!(f, "{from}-{to}")?,
            }
        }
        Ok(())
    }
}

/// A time that comes back each week: `sun-thu 20:30-06:30`.
///
/// It belongs to the day it begins on: the one above begins on Thursday for the last time and ends
/// on Friday morning. What ends no later than it begins ends on the next day. The days are `mon` to
/// `sun`, single, in ranges that may go over the end of the week (`fri-mon`), or both (`mon,wed-fri`);
/// without any the window is daily. `00:00-24:00` is the whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The days it begins on.
    pub days: Days,
    /// When it begins, in minutes of the day.
    pub begin: u16,
    /// When it ends, in minutes of the day it begins on: more than 1440 is on the next one.
    pub end: u16,
}

/// Minutes of a day.
pub(super) const DAY: u16 = 24 * 60;
/// Minutes of a week.
const WEEK: u32 = 7 * DAY as u32;

/// How the days are written, from Monday on.
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What people write for days, and what they should.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("weekday", "mon-fri"),
    ("weekdays", "mon-fri"),
    ("workdays", "mon-fri"),
    ("weekend", "sat,sun"),
    ("weekends", "sat,sun"),
    ("daily", "mon-sun"),
    ("everyday", "mon-sun"),
];

/// Why a text is no window, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct WindowError {
    /// The bytes of the text that are wrong.
    pub at: Range<usize>,
    /// What is wrong with them.
    pub fault: WindowFault,
    /// What was meant, in place of those bytes, where we can guess.
    pub instead: Option<String>,
}

/// What is wrong with a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// Nothing is written.
    #[error("empty")]
    Empty,
    /// A word where a day must stand.
    #[error("not a day: they are mon, tue, wed, thu, fri, sat, sun")]
    Day,
    /// Days, and no times behind them.
    #[error("the times are missing, as in `20:30-06:30`")]
    NoTimes,
    /// Something that is no time of the day.
    #[error("not a time of the day, as in `20:30`")]
    Time,
    /// A time that no clock shows.
    #[error("no clock shows this time")]
    OffClock,
    /// One time alone.
    #[error("when does it end?")]
    NoEnd,
    /// A beginning at 24:00.
    #[error("a day begins at 00:00")]
    LateBegin,
    /// The same beginning and end.
    #[error("ends when it begins; a whole day is `00:00-24:00`")]
    NoLength,
    /// Something behind the end.
    #[error("nothing can stand behind the times")]
    Behind,
}

impl Window {
    /// Reads a window.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        if text.trim().is_empty() {
            return Err(WindowError {
                at: 0..text.len(),
                fault: WindowFault::Empty,
                instead: None,
            });
        }
        let times = text
            .find(|c: char| c.is_ascii_digit() || c == ':')
            .unwrap_or(text.len());
        let days = parse_days(text, 0..times)?;
        if times == text.len() {
            let end = text.trim_end().len();
            return Err(WindowError {
                at: text.len() - text.trim_start().len()..end,
                fault: WindowFault::NoTimes,
                instead: None,
            });
        }
        let (begin, end) = parse_times(text, times)?;
        Ok(Self { days, begin, end })
    }

    /// Whether some time of the week is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.in_week().any(|(begin, end)| {
            other.in_week().any(|(other_begin, other_end)| {
                // Over the end of the week too.
                [0, WEEK].iter().any(|shift| {
                    (begin < other_end + shift && other_begin + shift < end)
                        || (begin + shift < other_end && other_begin < end + shift)
                })
            })
        })
    }

    /// Beginning and end on each of its days, in minutes since Monday 00:00.
    pub(super) fn in_week(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let days = (0u8..7).filter(|day| self.days.has(*day));
        days.map(|day| {
            let midnight = u32::from(day) * u32::from(DAY);
            (
                midnight + u32::from(self.begin),
                midnight + u32::from(self.end),
            )
        })
    }
}

impl fmt::Display for Window {
    /// The way it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != Days::ALL {
            write!(f, "{} ", self.days)?;
        }
        let end = if self.end > DAY {
            self.end - DAY
        } else {
            self.end
        };
        let hours = |minute: u16| (minute / 60, minute % 60);
        let ((from, past), (to, over)) = (hours(self.begin), hours(end));
        write!(f, "{from:02}:{past:02}-{to:02}:{over:02}")
    }
}

/// The part of `range` of `text` without blanks around it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

fn parse_days(text: &str, range: Range<usize>) -> Result<Days, WindowError> {
    let range = trimmed(text, range);
    if range.is_empty() {
        return Ok(Days::ALL);
    }
    let mut days = 0;
    let mut from = range.start;
    for part in text[range].split(',') {
        let place = trimmed(text, from..from + part.len());
        from += part.len() + 1;
        let word = &text[place.clone()];
        let Some((first, last)) = word.split_once('-') else {
            days |= Days::range(day(text, place.clone())?, day(text, place)?).0;
            continue;
        };
        let first = trimmed(text, place.start..place.start + first.len());
        let last = trimmed(text, place.end - last.len()..place.end);
        days |= Days::range(day(text, first)?, day(text, last)?).0;
    }
    Ok(Days(days))
}

/// The day that `place` of `text` names, counted from Monday.
fn day(text: &str, place: Range<usize>) -> Result<u8, WindowError> {
    let word = text[place.clone()].to_lowercase();
    if let Some(day) = NAMES.iter().position(|name| *name == word) {
        return Ok(day as u8);
    }
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == word);
    let instead = other.map(|(_, meant)| (*meant).to_owned()).or_else(|| {
        let beginning = word.get(..3)?;
        let name = NAMES.iter().find(|name| **name == beginning)?;
        Some((*name).to_owned())
    });
    Err(WindowError {
        at: place,
        fault: WindowFault::Day,
        instead,
    })
}

/// Beginning and end, from the byte `from` of `text` on.
fn parse_times(text: &str, from: usize) -> Result<(u16, u16), WindowError> {
    let whole = trimmed(text, from..text.len());
    let written = &text[whole.clone()];
    let Some(dash) = written.find('-') else {
        let at = whole.clone();
        // Dashes as word processors make them.
        if written.contains(['–', '—']) {
            return Err(WindowError {
                at,
                fault: WindowFault::Time,
                instead: Some(written.replace(['–', '—'], "-")),
            });
        }
        time(text, whole)?;
        return Err(WindowError {
            at,
            fault: WindowFault::NoEnd,
            instead: None,
        });
    };
    let first = trimmed(text, whole.start..whole.start + dash);
    let rest = trimmed(text, whole.start + dash + 1..whole.end);
    if rest.is_empty() {
        return Err(WindowError {
            at: whole,
            fault: WindowFault::NoEnd,
            instead: None,
        });
    }
    let begin = time(text, first.clone())?;
    if begin == DAY {
        return Err(WindowError {
            at: first,
            fault: WindowFault::LateBegin,
            instead: Some("00:00".to_owned()),
        });
    }
    let stop = text[rest.clone()]
        .find(|c: char| c == ',' || c == ';')
        .map_or(rest.end, |at| rest.start + at);
    let end = time(text, trimmed(text, rest.start..stop))?;
    if stop < rest.end {
        return Err(WindowError {
            at: stop..rest.end,
            fault: WindowFault::Behind,
            instead: None,
        });
    }
    if begin == end {
        return Err(WindowError {
            at: whole,
            fault: WindowFault::NoLength,
            instead: None,
        });
    }
    Ok((begin, if end < begin { end + DAY } else { end }))
}

/// The minute of the day that `place` of `text` names; 1440 for 24:00.
fn time(text: &str, place: Range<usize>) -> Result<u16, WindowError> {
    let word = &text[place.clone()];
    let wrong = |fault, instead| WindowError {
        at: place.clone(),
        fault,
        instead,
    };
    let number = |digits: &str, least: usize| -> Option<u16> {
        let fine =
            (least..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| fine)
    };
    let read = word
        .split_once(':')
        .and_then(|(hour, minute)| Some((number(hour, 1)?, number(minute, 2)?)));
    let Some((hour, minute)) = read else {
        return Err(wrong(WindowFault::Time, meant_time(word)));
    };
    let minutes = hour * 60 + minute;
    if minute > 59 || minutes > DAY {
        return Err(wrong(WindowFault::OffClock, None));
    }
    Ok(minutes)
}

/// What somebody meant by `8pm`, `8:30 pm`, `20.30`, `20h30`, `2030` or `20`.
fn meant_time(word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let (clock, half) = match (word.strip_suffix("pm"), word.strip_suffix("am")) {
        (Some(clock), _) => (clock.trim(), Some(12)),
        (None, Some(clock)) => (clock.trim(), Some(0)),
        (None, None) => (word.trim_end_matches('h'), None),
    };
    let (hour, minute) = match clock.split_once([':', '.', 'h']) {
        Some(parts) => parts,
        None if clock.len() == 4 => clock.split_at_checked(2)?,
        None => (clock, "00"),
    };
    if minute.len() != 2 {
        return None;
    }
    let (mut hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    (hour < 24 && minute < 60).then(|| format!("{hour:02}:{minute:02}"))
}

/// The minute of the day that `text` names, as in `04:00`.
///
/// # Errors
/// Why it is none.
pub fn minute_of_day(text: &str) -> Result<u16, WindowError> {
    let place = trimmed(text, 0..text.len());
    let minute = time(text, place.clone())?;
    if minute < DAY {
        return Ok(minute);
    }
    Err(WindowError {
        at: place,
        fault: WindowFault::LateBegin,
        instead: Some("00:00".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: u8, begin: u16, end: u16) -> Window {
        Window {
            days: Days(days),
            begin,
            end,
        }
    }

    #[test]
    fn windows_are_read() {
        for (text, expected) in [
            (
                "sun-thu 20:30-06:30",
                window(0b100_1111, 20 * 60 + 30, 30 * 60 + 30),
            ),
            (
                "fri,sat 22:00-07:30",
                window(0b011_0000, 22 * 60, 31 * 60 + 30),
            ),
            ("08:00-12:00", window(0b111_1111, 480, 720)),
            ("00:00-24:00", window(0b111_1111, 0, 1440)),
            ("20:00-00:00", window(0b111_1111, 1200, 1440)),
            ("20:00-24:00", window(0b111_1111, 1200, 1440)),
            ("fri-mon 8:00-9:00", window(0b111_0001, 480, 540)),
            (
                " Mon , wed - fri  08:00 - 09:00 ",
                window(0b001_1101, 480, 540),
            ),
            ("mon-mon 08:00-09:00", window(0b000_0001, 480, 540)),
            ("mon 08:00-07:59", window(0b000_0001, 480, 1919)),
        ] {
            assert_eq!(Window::parse(text), Ok(expected), "{text}");
            // What is shown can be read again.
            assert_eq!(
                Window::parse(&expected.to_string()),
                Ok(expected),
                "{expected}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_as_short_as_can_be() {
        for (text, shown) in [
            ("sun,mon,tue,wed,thu 20:30-06:30", "sun-thu 20:30-06:30"),
            ("fri,sat 22:00-07:30", "fri,sat 22:00-07:30"),
            ("mon-sun 8:00-24:00", "08:00-24:00"),
            ("wed,mon,sat,sun 08:00-09:00", "wed,sat-mon 08:00-09:00"),
        ] {
            assert_eq!(Window::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn mistakes_say_what_and_where() {
        use WindowFault::*;
        for (text, at, fault, instead) in [
            ("", "", Empty, None),
            ("  ", "  ", Empty, None),
            ("mon-fri", "mon-fri", NoTimes, None),
            ("mon-fry 08:00-09:00", "fry", Day, None),
            ("monday 08:00-09:00", "monday", Day, Some("mon")),
            ("weekend 08:00-09:00", "weekend", Day, Some("sat,sun")),
            ("mon,,tue 08:00-09:00", "", Day, None),
            ("lundi 08:00-09:00", "lundi", Day, None),
            ("mon 08:00", "08:00", NoEnd, None),
            ("mon 08:00-", "08:00-", NoEnd, None),
            ("8pm-6am", "8pm", Time, Some("20:00")),
            ("8:30 pm-06:00", "8:30 pm", Time, Some("20:30")),
            ("20.30-06:30", "20.30", Time, Some("20:30")),
            ("20:30-0630", "0630", Time, Some("06:30")),
            ("20:30-6", "6", Time, Some("06:00")),
            ("20:30-06:3", "06:3", Time, None),
            ("20:30-morning", "morning", Time, None),
            ("25:00-26:00", "25:00", OffClock, None),
            ("20:60-22:00", "20:60", OffClock, None),
            ("20:00-24:01", "24:01", OffClock, None),
            ("24:00-06:00", "24:00", LateBegin, Some("00:00")),
            ("08:00-08:00", "08:00-08:00", NoLength, None),
            ("08:00-09:00, 10:00-11:00", ", 10:00-11:00", Behind, None),
            ("20:30–06:30", "20:30–06:30", Time, Some("20:30-06:30")),
        ] {
            let error = Window::parse(text).unwrap_err();
            assert_eq!(error.fault, fault, "{text}");
            assert_eq!(&text[error.at.clone()], at, "{text}");
            assert_eq!(error.instead.as_deref(), instead, "{text}");
        }
    }

    #[test]
    fn overlaps_are_seen_over_the_end_of_the_week() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (Window::parse(a).unwrap(), Window::parse(b).unwrap());
            assert_eq!(a.overlaps(&b), b.overlaps(&a), "{a} {b}");
            a.overlaps(&b)
        };
        assert!(overlap("sun 22:00-06:00", "mon 05:00-07:00"));
        assert!(!overlap("sun 22:00-06:00", "mon 06:00-07:00"));
        assert!(overlap("mon-fri 20:00-06:00", "sat 05:59-08:00"));
        assert!(!overlap("mon-thu 20:00-06:00", "sat 05:59-08:00"));
        assert!(overlap("00:00-24:00", "wed 12:00-12:01"));
        assert!(!overlap("08:00-12:00", "12:00-08:00"));
    }
}
