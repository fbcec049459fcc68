//! What `docs/sealed-lists.md` tells of fingerprints and lists, against the program; and that a list
//! past its last day is told of.
//!
//! `HEDGEROW_BLESS=1` writes the example and the vectors into the page anew.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::sync::Arc;

use hedgerow::clock::ManualTime;
use hedgerow::config::{self, Overrides};
use hedgerow::files::MemoryFiles;
use hedgerow::lists::parse::{ReadOptions, read_list};
use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, KeyId, SealKey, seal};
use hedgerow::lists::{Item, ListFormat};
use hedgerow::name::Name;
use hedgerow::reload::{Reloader, Source};

/// The key of the page.
const KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// The names of the page.
const NAMES: [&str; 5] = [
    "bad.example",
    "deep.worse.example",
    "xn--mnchen-3ya.example",
    "a-b.c_d.0.example",
    "l16.l15.l14.l13.l12.l11.l10.l9.l8.l7.l6.l5.l4.l3.l2.example",
];

fn key() -> SealKey {
    SealKey::parse(KEY).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The list of the page.
fn feed() -> String {
    let names = ["bad.example", "deep.worse.example", "www.bad.example"];
    let names = names.map(|name| Name::parse(name).unwrap());
    let edition = Edition {
        title: "Example hotline".to_owned(),
        issuer: "hotline.example".to_owned(),
        serial: 2_026_112_201,
        date: Day::parse("2026-11-22").unwrap(),
        expires: Day::parse("2026-12-06"),
    };
    let names = names.iter().map(Name::as_ref);
    seal(names, &key(), KeyDelivery::InFeed, &edition).unwrap()
}

/// The rows of the page's table of vectors.
fn vectors() -> String {
    let row = |text: &str| {
        let name = Name::parse(text).unwrap();
        let wire = hex(name.as_ref().as_wire());
        let fingerprint = hex(&key().fingerprint(name.as_ref()).0);
        format!("| `{text}` | `{wire}` | `{fingerprint}` |\n")
    };
    NAMES.iter().map(|name| row(name)).collect()
}

/// The text between two others, with which it is told where it stands.
fn between<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    let (_, rest) = page.split_once(begin).unwrap();
    rest.split_once(end).unwrap().0
}

#[test]
fn the_example_and_the_vectors_of_the_page_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sealed-lists.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let places = [
        ("```text example\n", "```", feed()),
        (
            "|---|---|---|\n| `bad",
            "\n\nA test",
            vectors().split_off(6),
        ),
        ("whose id is `", "`", key().id().to_string()),
    ];
    let mut blessed = page.clone();
    for (begin, end, text) in &places {
        let (before, rest) = blessed.split_once(begin).unwrap();
        let (_, behind) = rest.split_once(end).unwrap();
        let text = text.trim_end();
        let gap = if *end == "```" { "\n" } else { "" };
        blessed = format!("{before}{begin}{text}{gap}{end}{behind}");
    }
    if std::env::var_os("HEDGEROW_BLESS").is_some() {
        std::fs::write(&path, &blessed).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    for (begin, end, text) in &places {
        assert_eq!(between(&page, begin, end).trim_end(), text.trim_end());
    }
}

/// The words of the page about the hash, spelled out with SipHash and SHA-256 alone.
#[test]
fn fingerprints_and_ids_are_what_the_page_says() {
    use sha2::{Digest, Sha256};
    use siphasher::sip128::SipHasher24;
    let octets: [u8; 16] = std::array::from_fn(|n| n as u8);
    let mut checked = 0;
    for row in vectors().lines() {
        let words: Vec<&str> = row.split('`').collect();
        let [_, name, _, wire, _, fingerprint, _] = words[..] else {
            panic!("{row}");
        };
        let mut expected = Vec::new();
        for label in name.split('.') {
            expected.push(label.len() as u8);
            expected.extend(label.bytes());
        }
        expected.push(0);
        assert_eq!(wire, hex(&expected));
        let hash = SipHasher24::new_with_key(&octets)
            .hash(&expected)
            .as_bytes();
        assert_eq!(fingerprint, hex(&hash[..10]));
        checked += 1;
    }
    assert_eq!(checked, NAMES.len());
    let mut input = b"hedgerow sealed key\0".to_vec();
    input.extend(octets);
    let id = hex(&Sha256::digest(&input)[..8]);
    assert_eq!(key().id(), KeyId::parse(&id).unwrap());
}

#[test]
fn the_example_of_the_page_is_a_list() {
    let mut fingerprints = Vec::new();
    let report = read_list(feed().as_bytes(), &ReadOptions::default(), |_, item| {
        if let Item::Sealed(fingerprint) = item {
            fingerprints.push(*fingerprint);
        }
    });
    assert_eq!((report.format, report.failure), (ListFormat::Sealed, None));
    // The third name is below the first.
    let mut expected = NAMES[..2].iter().map(|name| {
        let name = Name::parse(name).unwrap();
        key().fingerprint(name.as_ref())
    });
    assert!(expected.all(|it| fingerprints.contains(&it)));
    assert_eq!(fingerprints.len(), 2);
}

/// What the daemon says at a start on this day.
fn warnings(day: &str, feed: &str) -> Vec<String> {
    start(&MemoryFiles::new(), day, feed)
}

fn start(memory: &Arc<MemoryFiles>, day: &str, feed: &str) -> Vec<String> {
    let text = "[lists]\nstarter = false\nfolder = \"/state\"\n\n\
                [[list]]\nid = \"hotline\"\nformat = \"sealed\"\nfile = \"hotline.txt\"\n";
    memory.put("/etc/h.toml", text);
    memory.put("/etc/hotline.txt", feed);
    let main = Path::new("/etc/h.toml");
    let loaded = config::load_with(&memory.files(), main, &Overrides::default());
    let moment = format!("{day}T12:00:00Z").parse().unwrap();
    let reloader = Reloader::new(
        Source::File(main.into()),
        Overrides::default(),
        Vec::new(),
        memory.files(),
        ManualTime::starting_at(moment).clock(),
        hedgerow::device::Neighbours::new().0,
    );
    reloader
        .first(loaded.config.unwrap(), Vec::new(), &[])
        .unwrap();
    reloader.shelf_warnings()
}

#[test]
fn a_list_past_its_last_day_is_told_of() {
    let feed = feed();
    for day in ["1970-01-01", "2026-11-22", "2026-12-06"] {
        assert_eq!(warnings(day, &feed), [""; 0], "{day}");
    }
    let said = "list `hotline` was to be used until 2026-12-06; it goes on blocking";
    assert_eq!(warnings("2026-12-07", &feed), [said]);
    let endless: String = feed
        .lines()
        .filter(|line| !line.starts_with("expires"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(warnings("2036-12-07", &endless), [""; 0]);
}

#[test]
fn a_list_without_its_key_is_told_of() {
    let without = feed().replace(&format!("key: {KEY}\n"), "");
    let id = key().id();
    let said = format!("list `hotline` blocks nothing: its key {id} is not on this machine");
    assert_eq!(warnings("2026-11-22", &without), [said]);
}

#[test]
fn a_key_may_be_there_before_its_list() {
    let memory = MemoryFiles::new();
    let later = "ffeeddccbbaa99887766554433221100";
    memory.put("/state/sealed-keys", format!("{later}\n"));
    // Its own key comes with the list and is kept beside the other.
    assert_eq!(start(&memory, "2026-11-22", &feed()), [""; 0]);
    let kept = memory
        .files()
        .read(Path::new("/state/sealed-keys"), 4096)
        .unwrap();
    let kept = String::from_utf8(kept).unwrap();
    let mut lines: Vec<&str> = kept.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [KEY, later]);
    // The copy of a list may be lost; its key is not.
    let without = feed().replace(&format!("key: {KEY}\n"), "");
    assert_eq!(start(&memory, "2026-11-22", &without), [""; 0]);
}
