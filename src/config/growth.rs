//! `born` in a profile: which preset is made for somebody's age, and from which date on the next one
//! is.
//!
//! The birth date stands at the bottom of a profile in place of a preset. On the birthdays on which
//! another preset begins, the timekeeper of the daemon has the configuration read again; nothing in
//! here asks a clock. From 18 on, what parents said of a profile has no force, unless they say
//! `keep-controls`: see [`super::profiles::Layer::without_controls`].

use jiff::Timestamp;
use jiff::civil::Date;

use crate::clock::RELEASED;
use crate::schedule::Zone;

/// How long before its date a change of the preset is announced, in days.
const ANNOUNCED: i32 = 30;
/// A birth date before this year is a slip of the pen.
const FIRST_YEAR: i16 = 1900;

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
    /// Longer ago than anybody lives.
    #[error("before {FIRST_YEAR}")]
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
    /// Reads a birth date. One that is still to come is one too: the clock may be wrong.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, BirthError> {
        let is_written_so = text.len() == 10
            && text.bytes().enumerate().all(|(at, octet)| match at {
                4 | 7 => octet == b'-',
                _ => octet.is_ascii_digit(),
            });
        let date = Some(text).filter(|_| is_written_so);
        let date: Option<Date> = date.and_then(|text| text.parse().ok());
        let date = date.ok_or(BirthError::Form)?;
        if date.year() < FIRST_YEAR {
            return Err(BirthError::Ancient);
        }
        Ok(Self(date))
    }

    /// The date.
    pub const fn date(self) -> Date {
        self.0
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

/// How a profile grows up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Whose birth date stands for its preset.
    pub birth: Birth,
    /// Adolescence does not end by itself.
    pub keeps_controls: bool,
    /// Whose preset it stands on now.
    pub stage: Stage,
}

impl Growth {
    /// The stage on `today`.
    pub fn stage_on(self, today: Date) -> Stage {
        self.birth.stage(today, self.keeps_controls)
    }

    /// What comes next after `today`, if anything does.
    pub fn next(self, today: Date) -> Option<Step> {
        self.birth.next(today, self.keeps_controls)
    }
}

/// The date in the household at `now`. A clock that shows a time before this program was there is
/// wrong; the time of its release makes nobody older than they are.
pub fn today(now: Option<Timestamp>, zone: &Zone) -> Date {
    let earliest = Timestamp::from_second(RELEASED.cast_signed()).unwrap_or_default();
    zone.clock_at(now.map_or(earliest, |now| now.max(earliest)))
        .date()
}

/// The stages somebody goes through.
fn stages(keeps_controls: bool) -> impl Iterator<Item = Stage> {
    let all = Stage::ALL.into_iter();
    all.filter(move |stage| !(keeps_controls && *stage == Stage::Adult))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Profile, Youtube, load_embedded};
    use crate::files::MemoryFiles;
    use jiff::civil::date;

    #[test]
    fn stages_begin_on_the_birthday_and_not_a_day_earlier() {
        let birth = Birth::parse("2015-05-03").unwrap();
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
        let birth = Birth::parse("2016-02-29").unwrap();
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
        for (text, error) in [
            ("2015-5-3", BirthError::Form),
            ("2015-02-29", BirthError::Form),
            ("3.5.2015", BirthError::Form),
            ("", BirthError::Form),
            ("1899-12-31", BirthError::Ancient),
        ] {
            assert_eq!(Birth::parse(text), Err(error), "{text}");
        }
        assert!(Birth::parse("1900-01-01").is_ok());
    }

    /// Day by day over a hundred years, against counting birthdays one by one.
    #[test]
    fn ages_are_birthdays_counted() {
        let births = ["2015-05-03", "2016-02-29", "2015-12-31", "2016-01-01"];
        let mut days = 0;
        for text in births {
            let birth = Birth::parse(text).unwrap();
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

    #[test]
    fn a_clock_that_cannot_be_right_makes_nobody_older() {
        let zone = Zone::utc();
        let released = today(None, &zone);
        assert_eq!(today(Some(Timestamp::UNIX_EPOCH), &zone), released);
        let later = "2040-06-01T12:00:00Z".parse().unwrap();
        assert_eq!(today(Some(later), &zone), date(2040, 6, 1));
    }

    fn profiles(text: &str, now: &str) -> Vec<Profile> {
        let overrides = Overrides {
            now: Some(now.parse().unwrap()),
            ..Overrides::default()
        };
        let text = format!("[household]\ntime-zone = \"UTC0\"\n{text}");
        let loaded = load_embedded(&text, &MemoryFiles::new().files(), &overrides);
        assert_eq!(loaded.diagnostics, []);
        loaded.config.unwrap().profiles
    }

    fn leo(text: &str, now: &str) -> Profile {
        let mut profiles = profiles(text, now);
        let at = profiles.iter().position(|it| it.name == "leo").unwrap();
        profiles.swap_remove(at)
    }

    const BORN: &str = "[profile.leo]\nborn = \"2014-05-03\"\n";

    #[test]
    fn the_preset_is_that_of_the_age_and_what_is_said_over_it_stays() {
        let text = format!("{BORN}block = [\"roblox\"]\nallow = [\"club.example\"]\n");
        for (now, preset) in [
            ("2027-05-02T23:59:59Z", "schoolchild"),
            ("2027-05-03T00:00:00Z", "adolescent"),
            ("2032-05-02T23:59:59Z", "adolescent"),
            ("2032-05-03T00:00:00Z", "adult"),
        ] {
            let leo = leo(&text, now);
            let plain = leo_of(preset);
            assert_eq!(leo.preset, preset, "{now}");
            assert_eq!(leo.lineage, [preset]);
            assert_eq!(leo.block_categories, plain.block_categories, "{now}");
            assert_eq!(leo.rules.allow.len(), 1, "{now}");
            let is_closed = leo.block_services == ["roblox"];
            assert_eq!(is_closed, preset != "adult", "{now}");
        }
    }

    fn leo_of(preset: &str) -> Profile {
        let text = format!("[profile.leo]\ninherits = \"{preset}\"\n");
        leo(&text, "2027-01-01T12:00:00Z")
    }

    #[test]
    fn controls_stay_where_that_was_said() {
        let text = format!("{BORN}keep-controls = true\nblock = [\"roblox\"]\n");
        let leo = leo(&text, "2040-01-01T12:00:00Z");
        assert_eq!(leo.preset, "adolescent");
        assert_eq!(leo.block_services, ["roblox"]);
    }

    #[test]
    fn a_profile_for_all_children_stands_on_the_age_of_each() {
        let text = r#"
            [profile.children]
            inherits = "preschooler"
            block = ["tiktok"]
            [profile.adolescent]
            block = ["snapchat"]
            [profile.leo]
            inherits = "children"
            born = "2014-05-03"
            [profile.mia]
            inherits = "leo"
            born = "2016-05-03"
            youtube = "off"
        "#;
        let of = |name: &str, now: &str| {
            let mut all = profiles(text, now).into_iter();
            all.find(|it| it.name == name).unwrap()
        };
        let before = of("leo", "2027-01-01T12:00:00Z");
        assert_eq!(before.preset, "schoolchild");
        assert_eq!(before.block_services, ["tiktok"]);
        assert_eq!(before.lineage, ["children", "schoolchild"]);
        let after = of("leo", "2028-01-01T12:00:00Z");
        assert_eq!(after.block_services, ["snapchat", "tiktok"]);
        assert_eq!(after.lineage, ["children", "adolescent", "adolescent"]);
        let mia = of("mia", "2028-01-01T12:00:00Z");
        assert_eq!(
            (mia.preset.as_str(), mia.youtube),
            ("schoolchild", Youtube::Off)
        );
        assert_eq!(mia.lineage, ["leo", "children", "schoolchild"]);
        let children = of("children", "2028-01-01T12:00:00Z");
        assert_eq!(
            (children.preset.as_str(), children.growth),
            ("preschooler", None)
        );
        // Grown up: what was said of all children is over too, for him alone.
        assert_eq!(of("mia", "2033-01-01T12:00:00Z").block_services.len(), 2);
        let adult = of("leo", "2033-01-01T12:00:00Z");
        assert_eq!(adult.block_services, [""; 0]);
        assert!(adult.closings.is_empty());
    }
}
