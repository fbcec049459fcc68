//! The text against the files that people write, and what is said about all services.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use super::*;
use crate::lists::parse::{ReadOptions, read_list};
use crate::lists::{ListFormat, starter};

#[derive(Deserialize)]
struct GroupFile {
    group: String,
    title: String,
    service: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    id: String,
    title: String,
    names: Vec<String>,
    breaks: String,
    minimum_age: Option<u8>,
    alone_from: Option<u8>,
    #[serde(default)]
    age_note: String,
    #[serde(default)]
    shared: Vec<WrittenShared>,
}

#[derive(Deserialize)]
struct WrittenShared {
    name: String,
    with: Vec<String>,
    why: String,
}

fn groups() -> Vec<GroupFile> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/blocklists/services");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    let read = |path| toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.into_iter().map(read).collect()
}

/// The text that the files come to.
fn text() -> String {
    let mut services = BTreeMap::new();
    for group in groups() {
        for service in group.service {
            services.insert(service.id.clone(), (group.group.clone(), service));
        }
    }
    let mut text = String::from(
        "# Made of blocklists/services/*.toml by a test of src/lists/services; edit those.\n",
    );
    let age = |age: Option<u8>| age.map(|age| age.to_string()).unwrap_or_default();
    for (id, (group, it)) in services {
        writeln!(
            text,
            "+{FOLDER}{id}\t{group}\t{}\t{}\t{}\t{}\t{}",
            it.title,
            age(it.minimum_age),
            age(it.alone_from),
            it.age_note,
            it.breaks
        )
        .unwrap();
        for shared in it.shared {
            let with = shared.with.join(",");
            writeln!(text, "~{}\t{with}\t{}", shared.name, shared.why).unwrap();
        }
        for name in it.names {
            writeln!(text, "{name}").unwrap();
        }
    }
    text
}

#[test]
fn the_text_says_what_the_code_says() {
    let text = text();
    if std::env::var_os("HEDGEROW_BLESS").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/lists/services/services.txt"
        );
        std::fs::write(path, text).unwrap();
        return;
    }
    let differs = text.lines().zip(TEXT.lines()).find(|(is, was)| is != was);
    assert_eq!(differs, None, "HEDGEROW_BLESS=1 writes it anew");
    assert_eq!(text.len(), TEXT.len(), "HEDGEROW_BLESS=1 writes it anew");
}

#[test]
fn everything_written_can_be_read_of_the_text() {
    let mut count = 0;
    for group in groups() {
        let known = GROUPS.iter().find(|known| known.id == group.group).unwrap();
        assert_eq!(known.title, group.title);
        for written in group.service {
            let service = find(&written.id).unwrap();
            assert_eq!(service.id, written.id);
            assert_eq!(service.title, written.title);
            assert_eq!(service.group, known);
            assert_eq!(service.category(), known.category);
            assert_eq!(service.names().collect::<Vec<_>>(), written.names);
            assert_eq!(service.breaks, written.breaks);
            assert_eq!(service.minimum_age, written.minimum_age);
            assert_eq!(service.alone_from, written.alone_from);
            assert_eq!(service.age_note, written.age_note);
            let shared: Vec<Shared> = service.shared().collect();
            assert_eq!(shared.len(), written.shared.len(), "{}", written.id);
            for (shared, written) in shared.iter().zip(&written.shared) {
                assert_eq!((shared.name, shared.why), (&*written.name, &*written.why));
                assert_eq!(shared.with().collect::<Vec<_>>(), written.with);
                assert!(shared.with().all(|other| find(other).is_some()));
            }
            count += 1;
        }
    }
    assert_eq!(count, all().len());
    assert!(count >= 180, "{count}");
    assert_eq!(find("roblox").unwrap().category(), "games");
    assert_eq!(find("robloks"), None);
    assert_eq!(find(""), None);
    assert!(all().map(|it| it.id).is_sorted());
}

#[test]
fn every_services_names_are_a_list_that_is_understood() {
    for service in all() {
        let content = starter::content(service.file).unwrap();
        let mut entries = 0;
        let options = ReadOptions::format(ListFormat::Wildcards);
        let report = read_list(content, &options, |_, _| entries += 1);
        assert_eq!(report.first_errors, [], "{}", service.id);
        assert_eq!(entries, service.names().count(), "{}", service.id);
    }
    assert_eq!(starter::content("services/"), None);
    assert_eq!(starter::content("services/robloks"), None);
}

#[test]
fn a_category_has_its_services() {
    let video: Vec<&str> = of_category("video").map(|it| it.id).collect();
    assert!(video.contains(&"youtube"), "{video:?}");
    assert!(!video.contains(&"roblox"));
    assert!(is_category("social-media") && !is_category("social") && !is_category("adult"));
    let all_of_them: usize = GROUPS
        .iter()
        .map(|it| of_category(it.category).count())
        .sum();
    assert_eq!(all_of_them, all().len());
}

#[test]
fn no_service_is_called_like_a_category() {
    let categories = crate::config::CATEGORIES.iter().map(|(name, _)| *name);
    let groups = GROUPS.iter().map(|group| group.category);
    for category in categories
        .chain(groups)
        .chain(["children", "lifelines", "everything"])
    {
        assert_eq!(find(category), None, "{category}");
    }
}
