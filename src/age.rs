//! What a birth date means for the rules: which preset is made for that age, and from which date on
//! the next one is.
//!
//! Nothing here asks a clock: the date of today comes in as an argument.

use jiff::civil::Date;

/// How long before its date a change of the preset is announced, in days.
pub const ANNOUNCED: i32 = 30;
/// The age from which on a birth date is taken for a slip of the pen.
const OLDEST: i16 = 120;

/// An age that a preset is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Up to 6 years.
    Preschooler,
    /// 7 to 12 years.
    Schoolchild,
    /// 13 to 17 years.
    Adolescent,
    /// From 18 on.
    Adult,
}

impl Stage {
    /// All of them, the youngest first.
    pub const ALL: [Self; 4] = [
        Self::Preschooler,
        Self::Schoolchild,
        Self::Adolescent,
        Self::Adult,
    ];

    /// The name of its preset.
    pub const fn preset(self) -> &'static str {
        match self {
            Self::Preschooler => "preschooler",
            Self::Schoolchild => "schoolchild",
            Self::Adolescent => "adolescent",
            Self::Adult => "adult",
        }
    }

    /// The birthday it begins on.
    pub const fn from_age(self) -> i16 {
        match self {
            Self::Preschooler => 0,
            Self::Schoolchild => 7,
            Self::Adolescent => 13,
            Self::Adult => 18,
        }
    }
}

/// The day somebody was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Birth(Date);

/// Why a text is no birth date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BirthError {
    /// No date of the calendar.
    #[error("not a date, as in `2015-05-03`")]
    Form,
    /// Not yet.
    #[error("is in the future")]
    Future,
    /// Longer ago than anybody lives.
    #[error("is more than {OLDEST} years ago")]
    Ancient,
}

/// The next preset, and the first day it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The preset.
    pub stage: Stage,
    /// The first day.
    pub on: Date,
}

impl Step {
    /// Whether it is near enough on `today` to be announced.
    pub fn is_announced(self, today: Date) -> bool {
        let days = today.until(self.on).map(|span| span.get_days());
        days.is_ok_and(|days| (1..=ANNOUNCED).contains(&days))
    }
}

impl Birth {
    /// Reads a birth date as of `today`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str, today: Date) -> Result<Self, BirthError> {
        let is_written_so = text.len() == 10
            && text.bytes().enumerate().all(|(at, octet)| match at {
                4 | 7 => octet == b'-',
                _ => octet.is_ascii_digit(),
            });
        let date = Some(text).filter(|_| is_written_so);
        let date: Option<Date> = date.and_then(|text| text.parse().ok());
        let birth = Self(date.ok_or(BirthError::Form)?);
        if birth.0 > today {
            return Err(BirthError::Future);
        }
        if birth.age(today) > OLDEST {
            return Err(BirthError::Ancient);
        }
        Ok(birth)
    }

    /// How old somebody is on `today`, in whole years; 0 before the birth.
    pub fn age(self, today: Date) -> i16 {
        let years = today.year() - self.0.year();
        (years - i16::from(self.birthday(years) > today)).max(0)
    }

    /// The day somebody becomes `age`. Of the 29th of February it is the 1st of March where the year
    /// has none: never a day early.
    pub fn birthday(self, age: i16) -> Date {
        let year = self.0.year().saturating_add(age).min(Date::MAX.year());
        Date::new(year, self.0.month(), self.0.day())
            .or_else(|_| Date::new(year, 3, 1))
            .unwrap_or(Date::MAX)
    }

    /// The stage somebody is in on `today`. With `keeps_controls` adolescence does not end.
    pub fn stage(self, today: Date, keeps_controls: bool) -> Stage {
        let age = self.age(today);
        let begun = stages(keeps_controls).filter(|stage| stage.from_age() <= age);
        begun.last().unwrap_or(Stage::Preschooler)
    }

    /// What comes after the stage of `today`, if anything does.
    pub fn next(self, today: Date, keeps_controls: bool) -> Option<Step> {
        let now = self.stage(today, keeps_controls);
        let stage = stages(keeps_controls).find(|stage| *stage > now)?;
        let on = self.birthday(stage.from_age());
        Some(Step { stage, on })
    }
}

/// The stages somebody goes through.
fn stages(keeps_controls: bool) -> impl Iterator<Item = Stage> {
    let all = Stage::ALL.into_iter();
    all.filter(move |stage| !(keeps_controls && *stage == Stage::Adult))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn stages_begin_on_the_birthday_and_not_a_day_earlier() {
        let birth = Birth::parse("2015-05-03", date(2026, 12, 1)).unwrap();
        for (today, stage) in [
            (date(2015, 5, 3), Stage::Preschooler),
            (date(2022, 5, 2), Stage::Preschooler),
            (date(2022, 5, 3), Stage::Schoolchild),
            (date(2028, 5, 2), Stage::Schoolchild),
            (date(2028, 5, 3), Stage::Adolescent),
            (date(2033, 5, 2), Stage::Adolescent),
            (date(2033, 5, 3), Stage::Adult),
            (date(1970, 1, 1), Stage::Preschooler),
        ] {
            assert_eq!(birth.stage(today, false), stage, "{today}");
            let kept = stage.min(Stage::Adolescent);
            assert_eq!(birth.stage(today, true), kept, "{today}");
        }
        let today = date(2026, 12, 1);
        let (stage, on) = (Stage::Adolescent, date(2028, 5, 3));
        assert_eq!(birth.next(today, false), Some(Step { stage, on }));
        assert_eq!(birth.next(date(2028, 5, 3), true), None, "kept on purpose");
        assert_eq!(birth.next(date(2033, 5, 3), false), None);
    }

    #[test]
    fn who_is_born_on_the_29th_of_february_is_older_on_the_1st_of_march() {
        let birth = Birth::parse("2016-02-29", date(2026, 12, 1)).unwrap();
        assert_eq!(birth.age(date(2029, 2, 28)), 12);
        assert_eq!(birth.age(date(2029, 3, 1)), 13);
        assert_eq!(birth.age(date(2028, 2, 28)), 11);
        assert_eq!(birth.age(date(2028, 2, 29)), 12);
    }

    #[test]
    fn a_step_is_announced_in_the_thirty_days_before_it() {
        let step = Step {
            stage: Stage::Adolescent,
            on: date(2028, 5, 3),
        };
        for (today, expected) in [
            (date(2028, 4, 2), false),
            (date(2028, 4, 3), true),
            (date(2028, 5, 2), true),
            (date(2028, 5, 3), false),
        ] {
            assert_eq!(step.is_announced(today), expected, "{today}");
        }
    }

    #[test]
    fn what_is_no_birth_date_says_why() {
        let today = date(2026, 12, 1);
        for (text, error) in [
            ("2015-5-3", BirthError::Form),
            ("2015-02-29", BirthError::Form),
            ("3.5.2015", BirthError::Form),
            ("", BirthError::Form),
            ("2026-12-02", BirthError::Future),
            ("1905-12-01", BirthError::Ancient),
        ] {
            assert_eq!(Birth::parse(text, today), Err(error), "{text}");
        }
        assert!(Birth::parse("2026-12-01", today).is_ok());
        assert!(Birth::parse("1905-12-02", today).is_ok());
    }

    /// Day by day over a hundred years, against counting birthdays one by one.
    #[test]
    fn ages_are_birthdays_counted() {
        let births = ["2015-05-03", "2016-02-29", "2015-12-31", "2016-01-01"];
        let mut days = 0;
        for text in births {
            let birth = Birth::parse(text, date(2026, 12, 1)).unwrap();
            let (mut day, mut age) = (birth.0, 0);
            while day.year() < 2116 {
                assert_eq!(birth.age(day), age, "{text} {day}");
                day = day.tomorrow().unwrap();
                let has_day = Date::new(day.year(), birth.0.month(), birth.0.day()).is_ok();
                let is_birthday = (day.month(), day.day()) == (birth.0.month(), birth.0.day())
                    || !has_day && (day.month(), day.day()) == (3, 1);
                age += i16::from(is_birthday);
                days += 1;
            }
        }
        assert!(days > 140_000, "{days}");
    }
}
