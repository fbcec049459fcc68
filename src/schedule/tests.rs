//! Schedules against a model that walks the minutes, and the days clocks change by example.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::files::{Files, MemoryFiles};

fn zone(name: &str) -> Zone {
    Zone::parse(name, &Files::disk()).unwrap()
}

/// The zone as the program's own table has it.
fn own_zone(name: &str) -> Zone {
    Zone::parse(name, &MemoryFiles::new().files()).unwrap()
}

fn schedule(windows: &[&str], dates: &[&str], except: &[&str]) -> Schedule {
    let ranges = |texts: &[&str]| texts.iter().map(|it| Dates::parse(it).unwrap()).collect();
    Schedule::new(
        windows
            .iter()
            .map(|it| Window::parse(it).unwrap())
            .collect(),
        ranges(dates),
        ranges(except),
    )
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The minutes of two years and what clocks show at each, in minutes since 1970.
struct Minutes {
    zone: Zone,
    start: Timestamp,
    clocks: Vec<i64>,
}

impl Minutes {
    fn of(zone: Zone, start: &str) -> Self {
        const TWO_YEARS: i64 = 2 * 365 * 24 * 60;
        let start = moment(start);
        let clocks = (0..TWO_YEARS)
            .map(|minute| start.as_second() + minute * 60)
            .map(|second| {
                let offset = zone.offset_at(Timestamp::from_second(second).unwrap());
                (second + i64::from(offset)).div_euclid(60)
            })
            .collect();
        Self {
            zone,
            start,
            clocks,
        }
    }

    /// Whether `schedule` holds in each minute, by a clock that stands still instead of going back.
    fn model(&self, schedule: &Schedule) -> Vec<bool> {
        const DAY: i64 = 24 * 60;
        // Whether windows begin on a day of the calendar, from 1970 on.
        let epoch = Date::constant(1970, 1, 1);
        let mut days: std::collections::HashMap<i64, Vec<(i64, i64)>> = Default::default();
        let mut begun_on = |day: i64| -> Vec<(i64, i64)> {
            let begun = days.entry(day).or_insert_with(|| {
                let date = epoch + jiff::Span::new().days(day);
                let within = |ranges: &[Dates]| ranges.iter().any(|it| it.contains(date));
                if within(schedule.except())
                    || !(schedule.dates().is_empty() || within(schedule.dates()))
                {
                    return Vec::new();
                }
                let windows = schedule.windows().iter();
                let today = windows.filter(|it| it.days.contains(date.weekday()));
                today
                    .map(|it| {
                        (
                            day * DAY + i64::from(it.begin),
                            day * DAY + i64::from(it.end),
                        )
                    })
                    .collect()
            });
            begun.clone()
        };
        let mut highest = self.clocks[0];
        // Windows that were skipped whole are made up for until this minute.
        let mut made_up_until = 0;
        let mut near = Vec::new();
        let mut today = i64::MIN;
        let mut held = Vec::with_capacity(self.clocks.len());
        for (minute, clock) in self.clocks.iter().enumerate() {
            let before = highest;
            highest = highest.max(*clock);
            let day = highest.div_euclid(DAY);
            if day != today {
                today = day;
                near = begun_on(day - 1);
                near.extend(begun_on(day));
            }
            if highest - before > 1 && highest - before < DAY {
                let skipped = near.iter().filter(|it| it.0 > before && it.1 <= highest);
                let longest = skipped.map(|it| it.1 - it.0).max().unwrap_or(0);
                made_up_until = made_up_until.max(minute as i64 + longest);
            }
            // Plain counting: this runs eighty million times in a debug build.
            let mut shown = false;
            let mut at = 0;
            while at < near.len() {
                let (begin, end): (i64, i64) = near[at];
                shown |= begin <= highest && highest < end;
                at += 1;
            }
            held.push(shown || (minute as i64) < made_up_until);
        }
        held
    }

    /// Compares `schedule` with the model, and gives how many spans there are.
    fn compare(&self, schedule: &Schedule) -> usize {
        let held = self.model(schedule);
        let minute = SignedDuration::from_mins(1);
        let end = self.start + minute * i32::try_from(held.len()).unwrap();
        let at_minute = |at: Timestamp| {
            let seconds = at.as_second() - self.start.as_second();
            assert_eq!(seconds % 60, 0, "{at} is no full minute");
            usize::try_from((seconds / 60).max(0))
                .unwrap()
                .min(held.len())
        };
        let mut count = 0;
        let mut from = 0;
        let mut last: Option<Span> = None;
        for span in schedule.spans(self.start, end, &self.zone) {
            let context = || format!("{schedule:?} in {}: {span:?}", self.zone.name());
            let until = span.until.map_or(held.len(), at_minute);
            assert!(until > from, "{}", context());
            assert!(!held[from..until].contains(&!span.holds), "{}", context());
            // Every moment of it says the same, to the second; not all are asked.
            if count % 16 == 0 || last.is_some_and(|last| last.until != span.since) {
                let begin = self.start + minute * from as i32;
                let middle = self.start + minute * ((from + until) / 2) as i32;
                let ending = span.until.unwrap_or(end) - SignedDuration::from_secs(1);
                for at in [begin, middle, ending] {
                    assert_eq!(schedule.span(at, &self.zone), span, "{at} {}", context());
                }
            }
            if let Some(last) = last {
                assert_eq!(span.since, last.until, "{}", context());
                assert_ne!(span.holds, last.holds, "{}", context());
            }
            last = Some(span);
            from = until;
            count += 1;
        }
        assert_eq!(from, held.len());
        count
    }
}

/// Numbers that come the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }

    /// A schedule whose windows like the hours clocks change in, in a year from `first` on.
    fn schedule(&mut self, first: Date) -> Schedule {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let time = |dice: &mut Self| {
            let hours = if dice.below(2) == 0 { 4 } else { 24 };
            format!("{:02}:{:02}", dice.below(hours), dice.below(12) * 5)
        };
        let mut windows = Vec::new();
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(7) as usize, self.below(7) as usize);
            let (begin, end) = (time(self), time(self));
            let text = format!("{}-{} {begin}-{end}", DAYS[from], DAYS[to]);
            windows.extend(Window::parse(&text));
        }
        let ranges = |dice: &mut Self, most: u64| {
            (0..dice.below(most))
                .map(|_| {
                    let begin = first + jiff::Span::new().days(dice.below(700) as i64);
                    let last = begin + jiff::Span::new().days(dice.below(60) as i64);
                    Dates { first: begin, last }
                })
                .collect::<Vec<_>>()
        };
        let dates = ranges(self, 4);
        let except = ranges(self, 4);
        Schedule::new(windows, dates, except)
    }
}

fn everyday() -> Vec<Schedule> {
    vec![
        schedule(&["sun-thu 20:30-06:30", "fri,sat 22:00-07:30"], &[], &[]),
        schedule(&["00:00-24:00"], &[], &["2026-03-29", "2011-12-28"]),
        schedule(
            &["20:00-06:00", "06:00-20:00"],
            &["2026-02-10..2026-11-20", "2011-12-01..2012-08-01"],
            &["2026-10-24..2026-10-26", "2012-01-02"],
        ),
        // The hours clocks change in, by pieces.
        schedule(
            &["02:00-02:10", "02:15-02:45", "02:30-03:00", "01:30-02:20"],
            &[],
            &[],
        ),
        schedule(
            &["sun 02:59-03:01", "23:45-00:15", "sat-mon 01:00-02:30"],
            &[],
            &[],
        ),
        schedule(
            &["08:00-12:00", "mon,wed 23:00-22:00", "tue 01:00-02:00"],
            &[],
            &[],
        ),
    ]
}

/// Two years of minutes in each zone, each schedule compared with the model in every one of them.
#[test]
fn every_minute_of_two_years_is_as_the_model_says() {
    let mut spans = 0;
    let mut schedules = 0;
    for (name, start) in [
        ("Europe/Berlin", "2026-01-01T00:00:00Z"),
        ("America/New_York", "2026-01-01T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-01-01T00:00:00Z"),
        ("Asia/Kathmandu", "2026-01-01T00:00:00Z"),
        ("America/St_Johns", "2026-01-01T00:00:00Z"),
        ("Pacific/Apia", "2026-01-01T00:00:00Z"),
        // A day was skipped there.
        ("Pacific/Apia", "2011-02-01T00:00:00Z"),
        ("Africa/Casablanca", "2026-01-01T00:00:00Z"),
        // At the hour of another day than elsewhere.
        ("America/Santiago", "2026-01-01T00:00:00Z"),
    ] {
        let minutes = Minutes::of(zone(name), start);
        let first = minutes.zone.clock_at(minutes.start).date();
        let mut dice = Dice(schedules);
        let drawn = (0..3).map(|_| dice.schedule(first));
        for schedule in everyday().into_iter().chain(drawn) {
            spans += minutes.compare(&schedule);
            schedules += 1;
        }
    }
    assert_eq!(schedules, 9 * 9);
    assert!(spans > 50_000, "{spans}");
}

#[test]
fn the_days_clocks_change_are_as_documented() {
    let berlin = own_zone("Europe/Berlin");
    let length = |window: &str, at: &str| {
        let held = schedule(&[window], &[], &[]);
        let span = held.span(moment(at), &berlin);
        assert!(span.holds, "{window}");
        let (since, until) = (span.since.unwrap(), span.until.unwrap());
        (until.as_second() - since.as_second()) / 60
    };
    let put_back = "2026-10-25T00:10:00Z";
    assert_eq!(length("01:30-02:30", put_back), 60);
    assert_eq!(length("20:30-06:30", put_back), 11 * 60);
    assert_eq!(length("02:10-02:50", put_back), 40);
    assert_eq!(length("20:30-06:30", "2026-10-26T00:10:00Z"), 10 * 60);
    let put_forward = "2026-03-29T01:05:00Z";
    assert_eq!(length("02:30-04:00", put_forward), 60);
    assert_eq!(length("02:15-02:45", put_forward), 30);
    assert_eq!(length("02:30-03:00", put_forward), 30);
    assert_eq!(length("20:30-06:30", put_forward), 9 * 60);
}

#[test]
fn since_and_until_are_told_however_far_away() {
    let berlin = own_zone("Europe/Berlin");
    let at = moment("2026-11-21T12:00:00Z");
    let span = |schedule: &Schedule| schedule.span(at, &berlin);
    let (never, always) = (
        Span {
            holds: false,
            since: None,
            until: None,
        },
        Span {
            holds: true,
            since: None,
            until: None,
        },
    );
    assert_eq!(span(&schedule(&["00:00-24:00"], &[], &[])), always);
    assert_eq!(
        span(&schedule(&["12:00-00:00", "00:00-12:00"], &[], &[])),
        always
    );
    assert_eq!(span(&schedule(&[], &[], &[])), never);
    let gone = schedule(
        &["08:00-12:00"],
        &["2026-05-01"],
        &["2026-04-01..2026-06-01"],
    );
    assert!(!gone.is_ever());
    assert_eq!(span(&gone), never);
    // A date that is none of the window's days.
    assert!(!schedule(&["mon 08:00-12:00"], &["2026-05-01"], &[]).is_ever());
    assert_eq!(
        span(&schedule(&["08:00-12:00"], &["2031-05-01"], &[])),
        Span {
            until: Some(moment("2031-05-01T06:00:00Z")),
            ..never
        }
    );
    assert_eq!(
        span(&schedule(&["08:00-12:00"], &["2001-05-01"], &[])),
        Span {
            since: Some(moment("2001-05-01T10:00:00Z")),
            ..never
        }
    );
    assert_eq!(
        span(&schedule(
            &["00:00-24:00"],
            &[],
            &["2020-05-01", "2041-05-01..2041-06-01"]
        )),
        Span {
            since: Some(moment("2020-05-01T22:00:00Z")),
            until: Some(moment("2041-04-30T22:00:00Z")),
            ..always
        }
    );
}

#[test]
fn the_ends_of_time_are_no_trap() {
    for name in ["Europe/Berlin", "Pacific/Apia", "UTC"] {
        let zone = own_zone(name);
        for schedule in everyday() {
            for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
                let span = schedule.span(at, &zone);
                assert!(span.since.is_none_or(|since| since <= at), "{span:?}");
                assert!(span.until.is_none_or(|until| at <= until), "{span:?}");
                assert!(schedule.spans(at, at, &zone).count() == 1);
            }
        }
    }
}

/// The window of a day is the day's own, however late it ends.
#[test]
fn dates_are_about_the_day_a_window_begins_on() {
    let berlin = own_zone("Europe/Berlin");
    let bedtime = schedule(
        &["20:30-06:30"],
        &["2026-12-20..2026-12-22"],
        &["2026-12-21"],
    );
    let clock = |text: &str| {
        let clock: DateTime = text.parse().unwrap();
        bedtime.holds(berlin.moment_of(clock), &berlin)
    };
    assert!(!clock("2026-12-20T06:00"));
    assert!(clock("2026-12-20T20:30"));
    assert!(clock("2026-12-21T06:29"));
    assert!(!clock("2026-12-21T06:30"));
    assert!(!clock("2026-12-21T23:00"));
    assert!(!clock("2026-12-22T06:00"));
    assert!(clock("2026-12-23T06:00"));
    assert!(!clock("2026-12-23T20:30"));
}
