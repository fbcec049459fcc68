//! When something holds: times of the week, dates, and the clocks of a time zone.
//!
//! A [`Schedule`] says with [`Window`]s and [`Dates`] when it holds on a household's clocks;
//! [`Schedule::span`] says from which moment to which it does. Whoever asks keeps that answer and
//! compares moments until it is over. The moment to ask about comes in as an argument; only a
//! [`Zone`] is read from the system's files.
//!
//! # The days clocks change
//!
//! Beginning and end of a window are times on the clock, and each is one moment:
//!
//! - A time that clocks show twice is the first of both moments.
//! - A time that they skip is the moment they skip it. A window whose time is skipped whole begins
//!   there and is as long as ever.
//!
//! So with clocks put back from 03:00 to 02:00, `01:30-02:30` lasts an hour and `20:30-06:30` eleven;
//! with clocks put forward from 02:00 to 03:00, `02:30-04:00` lasts from 03:00 to 04:00 and
//! `02:15-02:45` from 03:00 to 03:30. Windows that meet on the clock meet on those days too.

mod dates;
mod window;
mod zone;

pub use dates::{Dates, DatesError};
pub use window::{Days, Window, WindowError, WindowFault, minute_of_day};
pub use zone::{Zone, ZoneError, zone_names};

use jiff::Timestamp;
use jiff::civil::Date;

use window::DAY;

/// When something holds, on a household's clocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    windows: Vec<Window>,
    /// Sorted and apart; without any every day counts.
    dates: Vec<Dates>,
    /// Sorted and apart.
    except: Vec<Dates>,
    /// Whether the windows leave no minute of the week out.
    always: bool,
}

/// A time in which a schedule holds, or one in which it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whether it holds.
    pub holds: bool,
    /// Since when; none if it has always been so.
    pub since: Option<Timestamp>,
    /// Until when, that moment not included; none if it stays so.
    pub until: Option<Timestamp>,
}

impl Schedule {
    /// The schedule of `windows` that begin on `dates` (on every day if there are none) and not on
    /// the dates `except`.
    pub fn new(windows: Vec<Window>, dates: Vec<Dates>, except: Vec<Dates>) -> Self {
        Self {
            always: cover_the_week(&windows),
            windows,
            dates: apart(dates),
            except: apart(except),
        }
    }

    /// Its windows, in the order they were given.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The dates it is for; every day if there are none.
    pub fn dates(&self) -> &[Dates] {
        &self.dates
    }

    /// The dates it is not for.
    pub fn except(&self) -> &[Dates] {
        &self.except
    }

    /// Whether a window can begin at all: not when every date is an exception.
    pub fn is_ever(&self) -> bool {
        self.next_day(Date::MIN).is_some()
    }

    /// Whether it holds at `at` on the clocks of `zone`.
    pub fn holds(&self, at: Timestamp, zone: &Zone) -> bool {
        let today = zone.clock_at(at).date();
        self.around(today, zone)
            .any(|(begin, end)| begin <= at && at < end)
    }

    /// Whether it holds at `at` on the clocks of `zone`, since when and until when.
    pub fn span(&self, at: Timestamp, zone: &Zone) -> Span {
        if self.holds(at, zone) {
            return Span {
                holds: true,
                since: self.held_since(at, zone),
                until: self.holds_until(at, zone),
            };
        }
        Span {
            holds: false,
            since: self.ended_before(at, zone),
            until: self.begins_after(at, zone),
        }
    }

    /// What holds one after the other from `from` until `to`: the first span has begun at `from`, the
    /// last one goes on at `to`.
    pub fn spans<'s>(
        &'s self,
        from: Timestamp,
        to: Timestamp,
        zone: &'s Zone,
    ) -> impl Iterator<Item = Span> + 's {
        std::iter::successors(Some(self.span(from, zone)), move |span| {
            let next = span.until.filter(|until| *until < to)?;
            Some(self.span(next, zone))
        })
    }

    /// The first moment of the time that holds at `at`.
    fn held_since(&self, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let mut since = at;
        loop {
            let day = zone.clock_at(since).date();
            if self.always && self.is_on(day) && day.yesterday().is_ok_and(|it| self.is_on(it)) {
                // Nothing is left out between the ends of these days.
                let first = self.first_in_row(day)?;
                since = since.min(zone.midnight(first.tomorrow().ok()?));
            }
            let earlier = self
                .around(zone.clock_at(since).date(), zone)
                .filter(|(begin, end)| *begin < since && since <= *end)
                .map(|(begin, _)| begin)
                .min();
            let Some(earlier) = earlier else {
                return Some(since);
            };
            since = earlier;
        }
    }

    /// The end of the time that holds at `at`.
    fn holds_until(&self, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let mut until = at;
        loop {
            let day = zone.clock_at(until).date();
            if self.always && self.is_on(day) && day.yesterday().is_ok_and(|it| self.is_on(it)) {
                let last = self.last_in_row(day)?;
                until = until.max(zone.midnight(last.tomorrow().ok()?));
            }
            let later = self
                .around(zone.clock_at(until).date(), zone)
                .filter(|(begin, end)| *begin <= until && until < *end)
                .map(|(_, end)| end)
                .max();
            let Some(later) = later else {
                return Some(until);
            };
            until = later;
        }
    }

    /// When it last ended before `at`, at which it does not hold.
    fn ended_before(&self, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let ended_of = |day: Date| {
            let ends = self.begun_on(day, zone).map(|(_, end)| end);
            ends.filter(|end| *end <= at).max()
        };
        let mut from = next_but(zone.clock_at(at).date(), 1);
        loop {
            let day = self.last_day(from)?;
            let before = day.yesterday().ok();
            if let Some(ended) = ended_of(day) {
                // What began the day before may have ended later.
                let other = before.filter(|it| self.is_on(*it)).and_then(ended_of);
                return Some(other.map_or(ended, |other| ended.max(other)));
            }
            from = before?;
        }
    }

    /// When it begins next after `at`, at which it does not hold.
    fn begins_after(&self, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let mut from = next_but(zone.clock_at(at).date(), -1);
        loop {
            let day = self.next_day(from)?;
            let begins = self
                .begun_on(day, zone)
                .map(|(begin, _)| begin)
                .filter(|begin| *begin > at)
                .min();
            if begins.is_some() {
                return begins;
            }
            from = day.tomorrow().ok()?;
        }
    }

    /// The windows that can hold on `day` or meet one that does, as moments.
    fn around<'s>(
        &'s self,
        day: Date,
        zone: &'s Zone,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + 's {
        // Two days back: where a day was skipped, yesterday's yesterday is next to today.
        (-2..=1)
            .map(move |offset| next_but(day, offset))
            .filter(|day| self.is_on(*day))
            .flat_map(move |day| self.begun_on(day, zone))
    }

    /// The windows that begin on `day`, as moments.
    fn begun_on<'s>(
        &'s self,
        day: Date,
        zone: &'s Zone,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + 's {
        let weekday = day.weekday();
        self.windows
            .iter()
            .filter(move |window| window.days.contains(weekday))
            .filter_map(move |window| moments(window, day, zone))
    }

    /// Whether windows can begin on `day`.
    fn is_on(&self, day: Date) -> bool {
        let within = |ranges: &[Dates]| find(ranges, day).is_ok();
        (self.dates.is_empty() || within(&self.dates)) && !within(&self.except)
    }

    /// Whether a window begins on days like `day`.
    fn has_window_on(&self, day: Date) -> bool {
        let weekday = day.weekday();
        self.windows.iter().any(|it| it.days.contains(weekday))
    }

    /// The first day from `day` on on which a window begins.
    fn next_day(&self, mut day: Date) -> Option<Date> {
        if self.windows.is_empty() {
            return None;
        }
        loop {
            if !self.dates.is_empty()
                && let Err(at) = find(&self.dates, day)
            {
                day = self.dates.get(at)?.first;
            }
            if let Ok(at) = find(&self.except, day) {
                day = self.except[at].last.tomorrow().ok()?;
            } else if self.has_window_on(day) {
                return Some(day);
            } else {
                day = day.tomorrow().ok()?;
            }
        }
    }

    /// The last day up to `day` on which a window begins.
    fn last_day(&self, mut day: Date) -> Option<Date> {
        if self.windows.is_empty() {
            return None;
        }
        loop {
            if !self.dates.is_empty()
                && let Err(at) = find(&self.dates, day)
            {
                day = self.dates.get(at.checked_sub(1)?)?.last;
            }
            if let Ok(at) = find(&self.except, day) {
                day = self.except[at].first.yesterday().ok()?;
            } else if self.has_window_on(day) {
                return Some(day);
            } else {
                day = day.yesterday().ok()?;
            }
        }
    }

    /// The last day of those without a gap from `day` on; none if there are always more.
    fn last_in_row(&self, day: Date) -> Option<Date> {
        let of_dates = match find(&self.dates, day) {
            Ok(at) => Some(self.dates[at].last),
            Err(_) => None,
        };
        let of_except = match find(&self.except, day) {
            Ok(_) => Some(day),
            Err(at) => self
                .except
                .get(at)
                .and_then(|dates| dates.first.yesterday().ok()),
        };
        of_dates.into_iter().chain(of_except).min()
    }

    /// The first day of those without a gap up to `day`; none if there have always been more.
    fn first_in_row(&self, day: Date) -> Option<Date> {
        let of_dates = match find(&self.dates, day) {
            Ok(at) => Some(self.dates[at].first),
            Err(_) => None,
        };
        let of_except = match find(&self.except, day) {
            Ok(_) => Some(day),
            Err(at) => at
                .checked_sub(1)
                .and_then(|at| self.except.get(at))
                .and_then(|dates| dates.last.tomorrow().ok()),
        };
        of_dates.into_iter().chain(of_except).max()
    }
}

/// Which of `ranges` holds `day`, or before which it would stand.
fn find(ranges: &[Dates], day: Date) -> Result<usize, usize> {
    let at = ranges.partition_point(|dates| dates.last < day);
    match ranges.get(at) {
        Some(dates) if dates.contains(day) => Ok(at),
        _ => Err(at),
    }
}

/// The day `count` days after `day`, or the nearest one that the calendar has.
fn next_but(day: Date, count: i32) -> Date {
    (0..count.abs()).fold(day, |day, _| {
        if count < 0 {
            day.yesterday().unwrap_or(day)
        } else {
            day.tomorrow().unwrap_or(day)
        }
    })
}

/// The moments `window` begins and ends when it begins on `day`; none where `day` was skipped with
/// all of the window in it.
fn moments(window: &Window, day: Date, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
    let on_clock = |minute: u16| {
        let day = if minute < DAY { day } else { next_but(day, 1) };
        let (hour, minute) = (minute % DAY / 60, minute % 60);
        day.at(hour as i8, minute as i8, 0, 0)
    };
    let begin = zone.moment_of(on_clock(window.begin));
    let end = zone.moment_of(on_clock(window.end));
    if begin < end {
        return Some((begin, end));
    }
    if zone.midnight(day) == zone.midnight(next_but(day, 1)) {
        return None;
    }
    let length = jiff::SignedDuration::from_mins(i64::from(window.end - window.begin));
    Some((begin, begin.checked_add(length).unwrap_or(Timestamp::MAX)))
}

/// `ranges` sorted, with those that touch made one.
fn apart(mut ranges: Vec<Dates>) -> Vec<Dates> {
    ranges.sort_unstable_by_key(|dates| dates.first);
    let mut apart: Vec<Dates> = Vec::new();
    for dates in ranges {
        match apart.last_mut() {
            Some(last) if dates.first <= next_but(last.last, 1) => {
                last.last = last.last.max(dates.last);
            }
            _ => apart.push(dates),
        }
    }
    apart
}

/// Whether no minute of the week is outside of all `windows`.
fn cover_the_week(windows: &[Window]) -> bool {
    const WEEK: u32 = 7 * DAY as u32;
    // What goes over the end of the week holds at its beginning.
    let mut held: Vec<(u32, u32)> = windows
        .iter()
        .flat_map(Window::in_week)
        .flat_map(|(begin, end)| [(begin, end), (0, end.saturating_sub(WEEK))])
        .collect();
    held.sort_unstable();
    let mut covered = 0;
    for (begin, end) in held {
        if begin > covered {
            return false;
        }
        covered = covered.max(end);
    }
    covered >= WEEK
}

#[cfg(test)]
mod tests;
