//! What no list may take is not taken by one that holds what it said before, nor by a sealed one.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use hedgerow::files::MemoryFiles;
use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, seal};
use hedgerow::lists::{Index, ListFormat, ListKind, ListSource, ListSpec, compile_in_memory};
use hedgerow::name::Name;
use hedgerow::verdict::Tier;

/// A name of `blocklists/protected.txt`, protected alone, and one that is with all below it.
const PROTECTED: [&str; 2] = ["play.googleapis.com", "protected.hedgerow.test"];

fn spec(kind: ListKind, source: ListSource) -> ListSpec {
    ListSpec {
        id: "list".into(),
        category: "ads".into(),
        kind,
        tier: Tier::Lists,
        source,
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    }
}

fn names(index: &Index, name: &str) -> bool {
    let mut found = false;
    let name = Name::parse(name).unwrap();
    index.look_up(name.as_ref(), |_| found = true);
    found
}

#[test]
fn a_list_that_holds_what_it_said_before_does_not_take_what_is_protected_by_now() {
    // What the household writes itself is not guarded, which is how it came to be there.
    let mut lines: Vec<String> = PROTECTED.iter().map(|name| format!("||{name}^")).collect();
    lines.push("||www.protected.hedgerow.test^$denyallow=a.www.protected.hedgerow.test".into());
    lines.push("/^play\\.google/".into());
    lines.push("||ads.example^".into());
    let files = MemoryFiles::new().files();
    let inline = spec(ListKind::Block, ListSource::Inline(lines));
    let before = compile_in_memory(&[inline], &files, None, &|| false).unwrap();
    assert!(PROTECTED.iter().all(|name| names(&before, name)));

    let gone = spec(ListKind::Block, ListSource::File("/lists/gone".into()));
    let index = compile_in_memory(&[gone], &files, Some(&before), &|| false).unwrap();
    let list = index.list(index.find("list").unwrap());
    assert!(list.stale.as_ref().unwrap().contains("/lists/gone"));
    assert!(names(&index, "ads.example"));
    for name in PROTECTED {
        assert!(!names(&index, name), "{name}");
    }
    assert!(!names(&index, "www.protected.hedgerow.test"));
    assert_eq!((list.entries, list.flagged_lines), (1, 4));
    let told: Vec<String> = list.first_flags.iter().map(ToString::to_string).collect();
    let about = |name: &str| told.iter().any(|note| note.contains(name));
    assert!(PROTECTED.iter().all(|name| about(name)), "{told:?}");
}

/// A sealed list of `names`.
fn feed(names: &[&str], delivery: KeyDelivery) -> String {
    let names: Vec<Name> = names.iter().map(|it| Name::parse(it).unwrap()).collect();
    let edition = Edition {
        title: "Example".to_owned(),
        issuer: "hotline.example".to_owned(),
        serial: 1,
        date: Day::parse("2026-11-22").unwrap(),
        expires: None,
    };
    let names = names.iter().map(Name::as_ref);
    seal(names, &key(), delivery, &edition).unwrap()
}

fn key() -> SealKey {
    SealKey::new([9; 16])
}

/// The index of a sealed list, with its key.
fn sealed(text: String) -> Index {
    let memory = MemoryFiles::new();
    memory.put("/lists/feed", text);
    let spec = ListSpec {
        format: Some(ListFormat::Sealed),
        ..spec(ListKind::Sealed, ListSource::File("/lists/feed".into()))
    };
    let mut index = compile_in_memory(&[spec], &memory.files(), None, &|| false).unwrap();
    let mut keys = SealKeys::new();
    keys.add(key());
    index.set_seal_keys(&keys);
    index
}

#[test]
fn a_sealed_list_does_not_take_what_is_protected() {
    // A parent takes what is below it, and what is told of it names only what is no secret.
    let [play, whole] = PROTECTED;
    let index = sealed(feed(
        &["googleapis.com", whole, "bad.example"],
        KeyDelivery::InFeed,
    ));
    assert!(names(&index, "www.bad.example"));
    assert!(!names(&index, play));
    assert!(!names(&index, whole));
    let list = index.list(index.find("list").unwrap());
    assert_eq!((list.entries, list.flagged_lines), (1, 2));
    let told: Vec<String> = list.first_flags.iter().map(ToString::to_string).collect();
    assert!(told.contains(&format!("an entry would take the protected name `{whole}`")));
    assert!(!told.concat().contains("bad.example"));
}

#[test]
fn a_sealed_list_of_nothing_else_is_none() {
    let index = sealed(feed(&PROTECTED, KeyDelivery::InFeed));
    let list = index.list(index.find("list").unwrap());
    let failure = list.failure.as_ref().unwrap();
    assert!(
        failure.contains("none of its 2 entries can be used"),
        "{failure}"
    );
    assert!(PROTECTED.iter().all(|name| !names(&index, name)));
}
