//! Children who grow up: on the birthday on which another preset begins, the configuration is read
//! again, and who should know is told before.

use jiff::civil::Date;
use tracing::info;

use super::household::Daemon;
use crate::clock::Timestamp;
use crate::config::{self, Config, Growth, Profile, Stage};
use crate::control::api;

/// What was done of it.
#[derive(Debug, Default)]
pub(super) struct Birthdays {
    /// The day that was looked at last.
    looked: Option<Date>,
    /// Which changes were announced in the log.
    told: Vec<(String, Date)>,
}

impl Birthdays {
    /// Looks at the day, once for each: announces in the log what is near, and tells whether the
    /// configuration is that of another day.
    pub(super) fn are_due(&mut self, config: &Config, now: Timestamp) -> bool {
        let today = config::today(Some(now), &config.zone);
        if self.looked.replace(today) == Some(today) {
            return false;
        }
        for (profile, growth) in growing(config) {
            let step = growth.next(today).filter(|step| step.is_announced(today));
            let Some(step) = step else { continue };
            let change = (profile.name.clone(), step.on);
            if !self.told.contains(&change) {
                info!(change = announcement(profile, growth, today), "growing up");
                self.told.push(change);
            }
        }
        growing(config).any(|(_, growth)| growth.stage_on(today) != growth.stage)
    }
}

impl Daemon {
    /// The changes of presets in the days to come, a sentence each.
    pub(super) fn announcements(&self, config: &Config) -> Vec<String> {
        let today = self.today(config);
        let near = |(profile, growth): (&Profile, Growth)| {
            let step = growth.next(today)?;
            step.is_announced(today)
                .then(|| announcement(profile, growth, today))
        };
        growing(config).filter_map(near).collect()
    }

    /// How a profile grows up, as the control API tells it.
    pub(super) fn growth_text(&self, config: &Config, profile: &Profile) -> Option<api::Growth> {
        let growth = profile.growth?;
        let today = self.today(config);
        let next = growth.next(today);
        Some(api::Growth {
            born: growth.birth.date().to_string(),
            age: u8::try_from(growth.birth.age(today)).unwrap_or(u8::MAX),
            next_preset: next.map(|step| step.stage.preset().to_owned()),
            next_on: next.map(|step| step.on.to_string()),
            is_announced: next.is_some_and(|step| step.is_announced(today)),
            keeps_controls: growth.keeps_controls,
        })
    }

    fn today(&self, config: &Config) -> Date {
        config::today(Some(self.clock.wall()), &config.zone)
    }
}

fn growing(config: &Config) -> impl Iterator<Item = (&Profile, Growth)> {
    let profiles = config.profiles.iter();
    profiles.filter_map(|profile| Some((profile, profile.growth?)))
}

/// What changes for `profile`, in a sentence.
fn announcement(profile: &Profile, growth: Growth, today: Date) -> String {
    let name = &profile.name;
    let Some(step) = growth.next(today) else {
        return format!("`{name}` is grown up");
    };
    let (on, age) = (step.on, step.stage.from_age());
    match step.stage {
        Stage::Adult => format!(
            "`{name}` turns {age} on {on}: from then on its rules close nothing any more; \
             `keep-controls = true` in the profile keeps them"
        ),
        stage => format!(
            "`{name}` turns {age} on {on}: the preset {} holds from then on",
            stage.preset()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_embedded};
    use crate::files::MemoryFiles;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn home(now: &str) -> Config {
        let text =
            "[household]\ntime-zone = \"Europe/Berlin\"\n[profile.leo]\nborn = \"2014-05-03\"\n";
        let overrides = Overrides {
            now: Some(time(now)),
            ..Overrides::default()
        };
        let loaded = load_embedded(text, &MemoryFiles::new().files(), &overrides);
        loaded.config.unwrap()
    }

    #[test]
    fn another_preset_is_due_on_the_birthday_at_the_home_s_midnight() {
        let config = home("2027-05-02T12:00:00Z");
        let leo = config.profiles.iter().find(|it| it.name == "leo").unwrap();
        assert_eq!(leo.preset, "schoolchild");
        let mut birthdays = Birthdays::default();
        for (now, expected) in [
            ("2027-05-02T12:00:00Z", false),
            ("2027-05-02T21:59:59Z", false),
            ("2027-05-02T22:00:00Z", true),
            // It was said; what failed is tried again the next day.
            ("2027-05-02T22:00:01Z", false),
            ("2027-05-03T22:00:00Z", true),
            // The clock was wrong and is set back.
            ("2027-05-01T12:00:00Z", false),
        ] {
            assert_eq!(birthdays.are_due(&config, time(now)), expected, "{now}");
        }
        assert_eq!(
            birthdays.told,
            [("leo".to_owned(), jiff::civil::date(2027, 5, 3))]
        );

        let config = home("2027-05-03T12:00:00Z");
        let leo = config.profiles.iter().find(|it| it.name == "leo").unwrap();
        assert_eq!(leo.preset, "adolescent");
        let mut birthdays = Birthdays::default();
        assert!(!birthdays.are_due(&config, time("2027-05-03T12:00:01Z")));
        assert!(
            birthdays.are_due(&config, time("2026-12-01T12:00:00Z")),
            "set back"
        );
    }
}
