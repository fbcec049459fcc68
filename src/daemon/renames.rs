//! Devices and profiles that got another name: what was said for them goes with them.

use tracing::{info, warn};

use super::family::Families;
use crate::config::{Config, Device, DeviceMatch, Profile};
use crate::grants::{Grants, Scope};

/// Something that is called otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    /// What it was called.
    before: Scope,
    /// What it is called.
    after: Scope,
}

/// What is called otherwise in `after` than in `before`: of a name that is gone and one that is new,
/// whatever is known by the same addresses is the same, if it is the only one.
pub(super) fn renames(before: &Config, after: &Config) -> Vec<Rename> {
    let of_profile = |config: &Config, profile: &Profile| {
        let named = |device: &&Device| {
            let its = config.profiles.get(device.profile);
            its.is_some_and(|it| it.name == profile.name)
        };
        let devices = config.devices.iter().filter(named);
        devices.flat_map(|it| it.matches.iter().cloned()).collect()
    };
    let devices = pairs(
        before
            .devices
            .iter()
            .map(|it| (&it.name, it.matches.clone())),
        after
            .devices
            .iter()
            .map(|it| (&it.name, it.matches.clone())),
    );
    let profiles = pairs(
        before
            .profiles
            .iter()
            .map(|it| (&it.name, of_profile(before, it))),
        after
            .profiles
            .iter()
            .map(|it| (&it.name, of_profile(after, it))),
    );
    let rename = |scope: fn(String) -> Scope| {
        move |(before, after)| Rename {
            before: scope(before),
            after: scope(after),
        }
    };
    let devices = devices.into_iter().map(rename(Scope::Device));
    let profiles = profiles.into_iter().map(rename(Scope::Profile));
    devices.chain(profiles).collect()
}

/// By what something is known.
type Marks = Vec<DeviceMatch>;

/// Names that are gone with the one name that is new and is known by the same.
fn pairs<'c>(
    before: impl Iterator<Item = (&'c String, Marks)>,
    after: impl Iterator<Item = (&'c String, Marks)>,
) -> Vec<(String, String)> {
    let (before, after): (Vec<_>, Vec<_>) = (before.collect(), after.collect());
    let missing_in =
        |those: &[(&String, Marks)], name: &String| !those.iter().any(|(other, _)| *other == name);
    let gone: Vec<_> = before
        .iter()
        .filter(|(name, marks)| !marks.is_empty() && missing_in(&after, name))
        .collect();
    let new: Vec<_> = after
        .iter()
        .filter(|(name, _)| missing_in(&before, name))
        .collect();
    let same = |one: &Marks, other: &Marks| {
        one.len() == other.len() && one.iter().all(|it| other.contains(it))
    };
    let mut pairs = Vec::new();
    for (name, marks) in &gone {
        let mut like = new.iter().filter(|(_, other)| same(marks, other));
        let only = gone.iter().filter(|(_, other)| same(marks, other)).count() == 1;
        if let (Some((now, _)), None, true) = (like.next(), like.next(), only) {
            pairs.push(((*name).clone(), (*now).clone()));
        }
    }
    pairs
}

impl Families {
    /// Has what was said and used go with what is called otherwise in `after` than in `before`; tells
    /// of what was said for somebody who is gone.
    pub(super) fn rename(&self, before: Option<&Config>, after: &Config) {
        let renames = before.map_or_else(Vec::new, |before| renames(before, after));
        let mut grants = self.grants();
        let mut is_changed = false;
        for Rename { before, after } in &renames {
            info!(?before, ?after, "has another name");
            is_changed |= grants.rename(before, after);
            if let (Scope::Profile(before), Scope::Profile(after)) = (before, after) {
                self.meters.rename(before, after);
            }
        }
        for (id, whom) in orphans(&grants, after) {
            warn!(
                id,
                "a grant or pause is for `{whom}`, which is gone: it holds for nobody"
            );
        }
        drop(grants);
        if is_changed {
            self.save_soon();
        }
    }
}

/// What still runs for somebody `config` does not know: number and name.
fn orphans(grants: &Grants, config: &Config) -> Vec<(u32, String)> {
    let living = grants.grants().iter().filter(|it| it.ended.is_none());
    let orphans = living.filter_map(|grant| {
        let (name, is_there) = match &grant.scope {
            Scope::Everybody => return None,
            Scope::Profile(name) => (name, config.profiles.iter().any(|it| it.name == *name)),
            Scope::Device(name) => (name, config.devices.iter().any(|it| it.name == *name)),
        };
        (!is_there).then(|| (grant.id, name.clone()))
    });
    orphans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::config::{Overrides, load_embedded};
    use crate::files::MemoryFiles;
    use crate::grants::{Said, What};
    use crate::wall::Wall;

    fn home(devices: &[(&str, &str, u8)]) -> Config {
        let mut text = "[household]\ntime-zone = \"UTC0\"\n".to_owned();
        for name in ["mia", "mimi", "leo"] {
            let used = |(_, profile, _): &(&str, &str, u8)| *profile == name;
            if devices.iter().any(used) {
                text.push_str(&format!("[profile.{name}]\ninherits = \"schoolchild\"\n"));
            }
        }
        for (name, profile, last) in devices {
            text.push_str(&format!(
                "[[device]]\nname = \"{name}\"\nprofile = \"{profile}\"\n\
                 mac = [\"02:00:5e:10:00:{last:02x}\"]\n"
            ));
        }
        let files = MemoryFiles::new().files();
        let loaded = load_embedded(&text, &files, &Overrides::default());
        loaded.config.expect("a configuration")
    }

    fn told(before: &Config, after: &Config) -> Vec<String> {
        let name = |scope: &Scope| match scope {
            Scope::Everybody => String::new(),
            Scope::Profile(name) => format!("profile {name}"),
            Scope::Device(name) => format!("device {name}"),
        };
        let all = renames(before, after).into_iter();
        all.map(|it| format!("{} -> {}", name(&it.before), name(&it.after)))
            .collect()
    }

    #[test]
    fn what_is_known_by_the_same_is_the_same() {
        let before = home(&[("tablet", "mia", 1), ("phone", "mia", 2), ("pc", "leo", 3)]);
        let same: [&str; 0] = [];
        assert_eq!(told(&before, &before), same);
        let after = home(&[("slate", "mimi", 1), ("phone", "mimi", 2), ("pc", "leo", 3)]);
        assert_eq!(
            told(&before, &after),
            [
                "device tablet -> device slate",
                "profile mia -> profile mimi"
            ]
        );
        // Somebody else's device, and a profile that has other devices.
        let after = home(&[("slate", "mimi", 9), ("phone", "mimi", 2), ("pc", "leo", 3)]);
        assert_eq!(told(&before, &after), same);
    }

    #[test]
    fn a_pause_and_what_is_used_go_with_the_name() {
        let before = home(&[("tablet", "mia", 1)]);
        let after = home(&[("slate", "mimi", 1)]);
        let memory = MemoryFiles::new();
        let families = Families::load(memory.files(), Clock::system(), Some("/state".into()));
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let wall = Wall::Set(now);
        for scope in [Scope::Profile("mia".into()), Scope::Device("tablet".into())] {
            let said = Said {
                what: What::PauseInternet,
                scope,
                until: "2026-12-01T13:00:00Z".parse().unwrap(),
                by: "anna".into(),
                why: String::new(),
            };
            families.grants().add(said, wall).unwrap();
        }
        assert_eq!(orphans(&families.grants(), &after).len(), 2);
        families.rename(Some(&before), &after);
        let grants = families.grants();
        assert_eq!(orphans(&grants, &after), []);
        assert_eq!(grants.holding("mimi", None, wall).internet.unwrap().id, 1);
        let of_device = grants.holding("", Some("slate"), wall);
        assert_eq!(of_device.internet.unwrap().id, 2);
    }
}
