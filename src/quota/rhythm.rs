//! When days and weeks of a quota begin and end.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::Period;
use crate::clock::Timestamp;
use crate::schedule::Zone;

/// When a quota begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rhythm {
    /// The minute of the day, on the household's clocks.
    pub reset: u16,
    /// The first day of a week; none is each day.
    pub week_begins: Option<Weekday>,
}

impl Rhythm {
    /// The day or week that `at` lies in on the clocks of `zone`.
    pub fn period(&self, at: Timestamp, zone: &Zone) -> Period {
        let today = zone.clock_at(at).date();
        // What has not begun today yet began on a day before.
        let has_begun = self.moment_on(today, zone) <= at;
        let day = if has_begun { today } else { back(today, 1) };
        let (first, days) = match self.week_begins {
            None => (day, 1),
            Some(weekday) => (back(day, day.weekday().since(weekday)), 7),
        };
        let begin = self.moment_on(first, zone);
        let mut end = begin;
        let mut date = first;
        // Once more where a whole date is left out, as at the date line.
        for _ in 0..2 {
            date = date.checked_add(days.days()).unwrap_or(Date::MAX);
            end = self.moment_on(date, zone);
            if end > at {
                break;
            }
        }
        Period { begin, end }
    }

    fn moment_on(self, date: Date, zone: &Zone) -> Timestamp {
        let part = |number: u16| i8::try_from(number).unwrap_or(0);
        let (hour, minute) = (part(self.reset / 60 % 24), part(self.reset % 60));
        zone.moment_of(date.at(hour, minute, 0, 0))
    }
}

fn back(date: Date, days: i8) -> Date {
    date.checked_sub(days.days()).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    fn berlin() -> Zone {
        Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3", &MemoryFiles::new().files()).unwrap()
    }

    fn period(rhythm: Rhythm, at: &str) -> String {
        let Period { begin, end } = rhythm.period(at.parse().unwrap(), &berlin());
        format!("{begin} {end}")
    }

    const AT_FOUR: Rhythm = Rhythm {
        reset: 240,
        week_begins: None,
    };

    #[test]
    fn a_day_begins_at_its_hour_on_the_clock() {
        let day = "2026-12-01T03:00:00Z 2026-12-02T03:00:00Z";
        assert_eq!(period(AT_FOUR, "2026-12-01T03:00:00Z"), day);
        assert_eq!(period(AT_FOUR, "2026-12-02T02:59:59.9Z"), day);
        assert_eq!(
            period(AT_FOUR, "2026-12-02T03:00:00Z"),
            "2026-12-02T03:00:00Z 2026-12-03T03:00:00Z"
        );
    }

    #[test]
    fn a_day_on_which_clocks_change_is_longer_or_shorter() {
        assert_eq!(
            period(AT_FOUR, "2027-03-28T00:00:00Z"),
            "2027-03-27T03:00:00Z 2027-03-28T02:00:00Z"
        );
        let at_half_past_two = Rhythm {
            reset: 150,
            week_begins: None,
        };
        // Skipped: the moment clocks skip it. Twice: the first.
        assert_eq!(
            period(at_half_past_two, "2027-03-28T12:00:00Z"),
            "2027-03-28T01:00:00Z 2027-03-29T00:30:00Z"
        );
        assert_eq!(
            period(at_half_past_two, "2027-10-31T12:00:00Z"),
            "2027-10-31T00:30:00Z 2027-11-01T01:30:00Z"
        );
    }

    #[test]
    fn a_week_begins_on_its_day() {
        let week = Rhythm {
            week_begins: Some(Weekday::Monday),
            ..AT_FOUR
        };
        let monday = "2026-11-30T03:00:00Z 2026-12-07T03:00:00Z";
        assert_eq!(period(week, "2026-11-30T03:00:00Z"), monday);
        assert_eq!(period(week, "2026-12-06T22:00:00Z"), monday);
        assert_eq!(period(week, "2026-12-07T02:59:00Z"), monday);
    }

    #[test]
    fn periods_meet_and_hold_their_moment() {
        let week = Rhythm {
            reset: 150,
            week_begins: Some(Weekday::Sunday),
        };
        for rhythm in [AT_FOUR, week, Rhythm::default()] {
            let mut at: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
            let mut last = rhythm.period(at, &berlin());
            let mut changes = 0;
            for _ in 0..20_000 {
                at = at
                    .checked_add(std::time::Duration::from_secs(2_000))
                    .unwrap();
                let period = rhythm.period(at, &berlin());
                assert!(period.begin <= at && at < period.end, "{at}");
                if period != last {
                    assert_eq!(period.begin, last.end);
                    (last, changes) = (period, changes + 1);
                }
            }
            assert!(changes > 60, "{changes}");
        }
    }
}
