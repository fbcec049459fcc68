//! Ordinary things that must work: school platforms, updates, sign-in, banks, messengers of the
//! family, in the countries of the ten languages.
//!
//! Each file under `tests/everyday/things/` holds the things of one theme: their names, what answers
//! for these lead to, and the presets under which they must work. [`presets`] judges all of it in
//! process with the configuration and the lists that come with the program, [`product`] asks the
//! real binary.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hedgerow::clock::Clock;
use hedgerow::config::{self, Overrides};
use hedgerow::files::MemoryFiles;
use hedgerow::reload::offline_snapshot;
use hedgerow::snapshot::Snapshot;
use serde::Deserialize;

#[path = "../support/daemon/mod.rs"]
mod support;

#[path = "../services/known.rs"]
#[allow(
    dead_code,
    reason = "what is shared with other tests is not all used here"
)]
mod known;

mod adult;
mod presets;
mod product;

/// The presets, and the address from which each one's device asks; the guest's is nobody's.
const PRESETS: [(&str, &str); 5] = [
    ("preschooler", "127.0.0.2"),
    ("schoolchild", "127.0.0.3"),
    ("adolescent", "127.0.0.4"),
    ("adult", "127.0.0.5"),
    ("guest", "127.0.0.9"),
];

/// A file: the things of one theme.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    title: String,
    presets: Vec<String>,
    thing: Vec<Thing>,
}

/// Something that people do or that devices do for them.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Thing {
    thing: String,
    /// What is asked for.
    names: Vec<String>,
    /// Aliases and service targets that answers hold.
    #[serde(default)]
    leads_to: Vec<String>,
    /// Addresses that answers hold.
    #[serde(default)]
    addresses: Vec<IpAddr>,
    /// Whether it works in a safe form.
    #[serde(default)]
    safe_form: bool,
    /// Under which it must work; those of the file unless said.
    presets: Option<Vec<String>>,
}

impl Thing {
    /// The addresses from which it must work.
    fn askers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let wanted = self.presets.clone().unwrap_or_default();
        let is_wanted = move |preset: &str| wanted.iter().any(|it| it == preset);
        PRESETS.into_iter().filter(move |(it, _)| is_wanted(it))
    }
}

/// All things, with the presets of their files.
fn things() -> Vec<Thing> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/everyday/things");
    let mut things = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let theme: Theme = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!theme.title.is_empty() && !theme.presets.is_empty());
        for mut thing in theme.thing {
            assert!(!thing.names.is_empty(), "{}", thing.thing);
            let presets = thing.presets.get_or_insert_with(|| theme.presets.clone());
            for preset in presets {
                let is_known = PRESETS.iter().any(|(known, _)| known == preset);
                assert!(is_known, "{}: no preset {preset}", thing.thing);
            }
            things.push(thing);
        }
    }
    things
}

/// Devices of the presets, as lines of a configuration.
fn devices() -> String {
    let named = PRESETS.iter().filter(|(preset, _)| *preset != "guest");
    let device = |(preset, address): &(&str, &str)| {
        format!(
            "[[device]]\nname = \"{preset}\"\nprofile = \"{preset}\"\naddress = [\"{address}\"]\n"
        )
    };
    named.map(device).collect()
}

/// The world of the configuration that comes with the program and `more`.
fn world(more: &str) -> Arc<Snapshot> {
    world_with(more, &[])
}

/// The same with files beside it.
fn world_with(more: &str, beside: &[(String, Vec<u8>)]) -> Arc<Snapshot> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/hedgerow.toml");
    let files = MemoryFiles::new();
    let shipped = std::fs::read_to_string(shipped).unwrap();
    for (path, content) in beside {
        files.put(path, content.clone());
    }
    files.put("/etc/h.toml", format!("{shipped}\n{more}"));
    let loaded = config::load_with(
        &files.files(),
        Path::new("/etc/h.toml"),
        &Overrides::default(),
    );
    let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    offline_snapshot(loaded.config.unwrap(), &files.files(), &Clock::system()).unwrap()
}

#[test]
fn there_are_enough_things_and_none_is_told_twice() {
    let things = things();
    let titles: BTreeSet<&str> = things.iter().map(|it| it.thing.as_str()).collect();
    assert_eq!(titles.len(), things.len());
    for (preset, enough) in [
        ("preschooler", 150),
        ("schoolchild", 360),
        ("adolescent", 370),
        ("adult", 370),
        ("guest", 360),
    ] {
        let worked = things
            .iter()
            .filter(|thing| thing.askers().any(|(it, _)| it == preset));
        let count = worked.count();
        assert!(count >= enough, "{preset}: {count}");
    }
}
