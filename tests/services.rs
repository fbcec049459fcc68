//! The services under `blocklists/services/`: their README says what is compared here.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use hedgerow::lists::guard::{Protected, Protection};
use hedgerow::lists::parse::{ReadOptions, read_list};
use hedgerow::lists::{Item, ListFormat, public_suffix};
use hedgerow::name::Name;
use serde::Deserialize;

#[path = "services/known.rs"]
mod known;

/// The groups, each a file.
const GROUPS: [&str; 14] = [
    "ai-chat",
    "anonymous-chat",
    "app-stores",
    "cloud-storage",
    "dating",
    "gambling",
    "games",
    "messengers",
    "school",
    "shopping",
    "social",
    "streaming",
    "video",
    "vpn",
];

/// The day after which nothing can have been noted.
const TODAY: &str = "2026-11-22";

/// Names that deliver for everybody: neither they nor what is below them is one service's.
const DELIVER_FOR_ALL: &[&str] = &[
    "akadns.net",
    "akamai.net",
    "akamaiedge.net",
    "akamaihd.net",
    "akamaized.net",
    "alicdn.com",
    "amazonaws.com",
    "apple-dns.net",
    "aws.dev",
    "azure.com",
    "azureedge.net",
    "azurefd.net",
    "b-cdn.net",
    "cdn77.org",
    "cloudflare.com",
    "cloudflare.net",
    "cloudflarestorage.com",
    "cloudfront.net",
    "digitaloceanspaces.com",
    "edgecastcdn.net",
    "edgekey.net",
    "edgesuite.net",
    "fastly.net",
    "fastlylb.net",
    "footprint.net",
    "ggpht.com",
    "githubusercontent.com",
    "googleusercontent.com",
    "gstatic.com",
    "gvt1.com",
    "gvt2.com",
    "hwcdn.net",
    "imgix.net",
    "jsdelivr.net",
    "kxcdn.com",
    "llnwd.net",
    "myqcloud.com",
    "playfab.com",
    "r2.dev",
    "shopifycdn.com",
    "trafficmanager.net",
    "unpkg.com",
    "windows.net",
    "wixmp.com",
];

/// Names of companies that carry many services; one below them may be a single service's.
const CARRY_MANY: &[&str] = &[
    "amazon.com",
    "apple.com",
    "baidu.com",
    "google.com",
    "googleapis.com",
    "kakao.com",
    "live.com",
    "mail.ru",
    "microsoft.com",
    "naver.com",
    "proton.me",
    "qq.com",
    "yandex.ru",
];

/// A file: one group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group: String,
    title: String,
    service: Vec<Service>,
}

/// A service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Service {
    id: String,
    title: String,
    names: Vec<String>,
    breaks: String,
    minimum_age: Option<u8>,
    alone_from: Option<u8>,
    age_source: Option<String>,
    age_note: Option<String>,
    noted: String,
    #[serde(default)]
    shared: Vec<Shared>,
}

/// A name that a service has in common with others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    name: String,
    with: Vec<String>,
    why: String,
}

impl Service {
    /// Whether it says that it shares `name` with the service `other`.
    fn shares(&self, name: &str, other: &str) -> bool {
        self.shared
            .iter()
            .any(|shared| shared.name == name && shared.with.iter().any(|with| with == other))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists/services")
}

/// The groups with the names of their files.
fn groups() -> Vec<(String, Group)> {
    let mut groups = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let group =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file = path.file_stem().unwrap().to_str().unwrap();
            groups.push((file.to_owned(), group));
        }
    }
    groups.sort_by(|(one, _), (other, _)| one.cmp(other));
    groups
}

/// All services, each with its group.
fn services() -> Vec<(String, Service)> {
    let of_group = |(_, group): (String, Group)| {
        let name = group.group;
        group
            .service
            .into_iter()
            .map(move |service| (name.clone(), service))
    };
    groups().into_iter().flat_map(of_group).collect()
}

/// The part of an entry that is a name for certain: without `=`, from behind the last `*`.
fn certain_part(entry: &str) -> &str {
    let name = entry.trim_start_matches('=');
    match name.rsplit_once('*') {
        Some((_, behind)) => behind.split_once('.').map_or("", |(_, rest)| rest),
        None => name,
    }
}

/// Whether `name` is `parent` or lies below it.
fn is_within(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// Whether a text with `*` in it, each for any characters, is all of `name`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((front, rest)) => name.strip_prefix(front).is_some_and(|left| {
            let mut ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.any(|at| matches(rest, &left[at..]))
        }),
    }
}

/// Whether there may be a name that both entries mean.
fn overlap(one: &str, other: &str) -> bool {
    let means = |entry: &str, name: &str| match entry.strip_prefix('=') {
        Some(exact) => exact == name,
        None if entry.contains('*') => {
            let dots = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
            let mut suffixes = std::iter::once(name).chain(dots);
            suffixes.any(|suffix| matches(entry, suffix))
        }
        None => is_within(name, entry),
    };
    match (one.contains('*'), other.contains('*')) {
        (false, false) => {
            means(one, other.trim_start_matches('=')) || means(other, one.trim_start_matches('='))
        }
        (true, false) => {
            means(one, other.trim_start_matches('='))
                || (!other.starts_with('=') && is_within(certain_part(one), other))
        }
        (false, true) => overlap(other, one),
        // Cautious: the same end, and one begin that goes on as the other begins.
        (true, true) => {
            let begin = |entry: &str| entry.split('*').next().unwrap().to_owned();
            let (first, second) = (begin(one), begin(other));
            let same_end = is_within(certain_part(one), certain_part(other))
                || is_within(certain_part(other), certain_part(one));
            same_end && (first.starts_with(&second) || second.starts_with(&first))
        }
    }
}

/// The entry as a line of a wildcard list is read.
fn item(entry: &str) -> Item {
    let mut items = Vec::new();
    let options = ReadOptions::format(ListFormat::Wildcards);
    let report = read_list(entry.as_bytes(), &options, |_, item| {
        items.push(item.clone())
    });
    assert_eq!(report.first_errors, [], "{entry}");
    assert_eq!(items.len(), 1, "{entry}");
    items.remove(0)
}

#[test]
fn there_are_enough_services_in_every_group() {
    let groups = groups();
    let files: Vec<&str> = groups.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(files, GROUPS);
    let mut all = 0;
    for (file, group) in &groups {
        assert_eq!(*file, group.group);
        assert!(!group.title.is_empty(), "{file}");
        assert!(group.service.len() >= 5, "{file}: {}", group.service.len());
        all += group.service.len();
    }
    assert!(all >= 180, "{all}");
}

#[test]
fn every_service_says_what_it_is() {
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for (group, service) in services() {
        let id = service.id.as_str();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!id.is_empty() && id.chars().all(plain), "{id}");
        assert!(!id.starts_with('-') && !id.ends_with('-'), "{id}");
        assert!(!GROUPS.contains(&id), "{id} is a group");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        let title = service.title.trim();
        assert!(!title.is_empty(), "{id}");
        assert!(
            titles.insert(title.to_lowercase()),
            "{title} is there twice"
        );
        assert!(!service.names.is_empty(), "{group}: {id} has no name");
        let breaks = service.breaks.as_str();
        assert!(
            breaks.ends_with('.') && breaks == breaks.trim(),
            "{id}: {breaks}"
        );
        assert!((10..=200).contains(&breaks.len()), "{id}: {breaks}");
    }
}

#[test]
fn every_age_has_its_source_and_every_day_has_been() {
    let mut stated = 0;
    for (_, service) in services() {
        let id = &service.id;
        // `2026-11-22`: a text as long sorts like the day it means.
        let day: jiff::civil::Date = service.noted.parse().unwrap();
        assert_eq!(day.to_string(), service.noted, "{id}");
        assert!(
            ("2026-01-01"..=TODAY).contains(&service.noted.as_str()),
            "{id}: {}",
            service.noted
        );
        assert_eq!(
            service.minimum_age.is_some(),
            service.age_source.is_some(),
            "{id}"
        );
        let Some(minimum) = service.minimum_age else {
            assert_eq!((service.alone_from, service.age_note), (None, None), "{id}");
            continue;
        };
        stated += 1;
        assert!(minimum <= 21, "{id}: {minimum}");
        if let Some(alone_from) = service.alone_from {
            assert!(
                (minimum + 1..=21).contains(&alone_from),
                "{id}: {alone_from}"
            );
        }
        let source = service.age_source.unwrap();
        let (what, year) = source.rsplit_once(", as of ").unwrap();
        let year: u16 = year.parse().unwrap();
        assert!(
            !what.is_empty() && (2018..=2026).contains(&year),
            "{id}: {source}"
        );
    }
    assert!(stated >= 180, "{stated}");
}

#[test]
fn every_name_is_one_that_a_service_can_have() {
    let mut names = 0;
    let mut faults = String::new();
    for (_, service) in services() {
        let id = &service.id;
        let shared = service.shared.iter().map(|shared| &shared.name);
        for entry in service.names.iter().chain(shared) {
            assert_eq!(*entry, entry.to_ascii_lowercase(), "{id}");
            item(entry);
            let certain = certain_part(entry);
            let name =
                Name::parse(certain).unwrap_or_else(|error| panic!("{id}: {entry}: {error}"));
            assert!(name.as_ref().label_count() >= 2, "{id}: {entry}");
            if public_suffix(name.as_ref()).is_some() {
                writeln!(faults, "{id}: {entry} is a public suffix").unwrap();
            }
            names += 1;
        }
        for entry in &service.names {
            let name = entry.trim_start_matches('=');
            let mut for_all = DELIVER_FOR_ALL.iter();
            if for_all.any(|all| is_within(certain_part(entry), all)) {
                writeln!(faults, "{id}: {entry} delivers for everybody").unwrap();
            }
            // The front page of a shop may be closed by its name alone.
            let carries_many = CARRY_MANY.contains(&name) && !entry.starts_with('=');
            if carries_many {
                writeln!(faults, "{id}: {entry} carries many services").unwrap();
            }
        }
        for (place, one) in service.names.iter().enumerate() {
            for other in &service.names[place + 1..] {
                if overlap(one, other) {
                    writeln!(faults, "{id}: one of {one} and {other} is enough").unwrap();
                }
            }
        }
    }
    assert_eq!(faults, "");
    assert!(names >= 1_000, "{names}");
}

#[test]
fn no_service_blocks_another_by_accident() {
    let services = services();
    let mut stated = 0;
    let mut faults = String::new();
    for (place, (_, one)) in services.iter().enumerate() {
        for (_, other) in &services[place + 1..] {
            for name in &one.names {
                for other_name in other.names.iter().filter(|it| overlap(name, it)) {
                    let says = |this: &Service, that: &Service| {
                        this.shares(name, &that.id) || this.shares(other_name, &that.id)
                    };
                    if says(one, other) && says(other, one) {
                        stated += 1;
                    } else {
                        let (one, other) = (&one.id, &other.id);
                        writeln!(faults, "{one}: {name}, {other}: {other_name}").unwrap();
                    }
                }
            }
        }
    }
    assert_eq!(faults, "");
    assert!(stated > 0);
}

#[test]
fn what_is_shared_is_stated_by_both() {
    let services = services();
    let by_id: BTreeMap<&str, &Service> = services
        .iter()
        .map(|(_, service)| (service.id.as_str(), service))
        .collect();
    let mut stated = 0;
    for service in by_id.values() {
        let id = &service.id;
        let mut names = BTreeSet::new();
        for shared in &service.shared {
            let name = &shared.name;
            assert!(names.insert(name), "{id}: {name} is there twice");
            assert!(shared.why.len() >= 10, "{id}: {name}");
            assert!(!shared.with.is_empty(), "{id}: {name}");
            for other in &shared.with {
                assert_ne!(other, id);
                let other = by_id
                    .get(other.as_str())
                    .unwrap_or_else(|| panic!("{id}: {name}: no service {other}"));
                assert!(
                    other.shares(name, id),
                    "{} does not share {name} with {id}",
                    other.id
                );
                stated += 1;
            }
        }
    }
    assert!(stated >= 20, "{stated}");
}

/// The names of the section of `protected.txt` that holds school sites.
fn school_sites() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists/protected.txt");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## school").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    section
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.trim_start_matches('=').to_owned())
        .collect()
}

#[test]
fn no_service_takes_a_lifeline_or_what_is_protected() {
    let protected = Protected::starter();
    let schools = school_sites();
    assert!(schools.len() >= 30 && protected.len() >= 500);
    let mut schools_met = 0;
    for (group, service) in services() {
        for entry in &service.names {
            let item = item(entry);
            if protected.taken_by(&item).is_none() {
                continue;
            }
            for (name, how) in protected.names() {
                let name = name.to_string();
                let is_meant = overlap(entry, &format!("={name}"))
                    || (how != Protection::Exact && overlap(entry, &name));
                if is_meant {
                    assert_ne!(
                        how,
                        Protection::Lifeline,
                        "{}: {entry} takes {name}",
                        service.id
                    );
                    let may = group == "school" && schools.contains(&name);
                    assert!(may, "{}: {entry} takes {name}", service.id);
                    schools_met += 1;
                }
            }
        }
    }
    assert!(schools_met >= 10, "{schools_met}");
}

#[test]
fn overlaps_are_found() {
    for (one, other, expected) in [
        ("example.org", "example.org", true),
        ("example.org", "www.example.org", true),
        ("=example.org", "www.example.org", false),
        ("=www.example.org", "example.org", true),
        ("=www.example.org", "=example.org", false),
        ("notexample.org", "example.org", false),
        ("cdn*.example.org", "cdn1.example.org", true),
        ("cdn*.example.org", "a.cdn1.example.org", true),
        ("cdn*.example.org", "www.example.org", false),
        ("cdn*.example.org", "example.org", true),
        ("cdn*.example.org", "=example.org", false),
        ("cdn*.example.org", "cdn-*.example.org", true),
        ("cdn*.example.org", "img*.example.org", false),
        ("cdn*.example.org", "cdn*.example.net", false),
    ] {
        assert_eq!(overlap(one, other), expected, "{one} {other}");
        assert_eq!(overlap(other, one), expected, "{other} {one}");
    }
}

#[test]
fn the_example_of_the_readme_is_a_group() {
    let text = fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, block) = text.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let group: Group = toml::from_str(block).unwrap();
    assert_eq!((group.group.as_str(), group.service.len()), ("social", 1));
    let service = &group.service[0];
    assert_eq!(
        (service.minimum_age, service.alone_from),
        (Some(13), Some(18))
    );
    assert!(service.shares("pictures.example", "other"));
}

/// Prints how far the services agree with a public collection that knows the same ones.
#[test]
fn a_public_collection_knows_the_same_names() {
    let Some(collection) = known::Collection::unpack() else {
        return;
    };
    let (mut compared, mut asked, mut strange) = (0, 0, Vec::new());
    for (_, service) in services() {
        let Some(theirs) = collection.of(&service.id) else {
            continue;
        };
        compared += 1;
        for entry in &service.names {
            asked += 1;
            if !collection.knows(certain_part(entry)) {
                strange.push(format!("{}: {entry}", service.id));
            }
        }
        let missing = theirs
            .iter()
            .filter(|name| !service.names.iter().any(|entry| overlap(entry, name)))
            .count();
        println!(
            "{}: {missing} of their {} names are not ours",
            service.id,
            theirs.len()
        );
    }
    println!("{compared} services, {asked} names, unknown there: {strange:#?}");
    assert!(compared >= 100, "{compared}");
    assert!(strange.len() * 10 <= asked, "{} of {asked}", strange.len());
}
