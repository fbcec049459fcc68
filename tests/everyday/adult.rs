//! How much of what is adult is blocked: by what comes with the program, and with lists of the
//! catalogue. `docs/presets.md` states the counts, and this test that they are so.
//!
//! The names are of public lists, which are other people's work and not part of the project; see
//! `tests/support/shared_lists.rs`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hedgerow::clock::Moment;
use hedgerow::device::Origin;
use hedgerow::message::rtype;
use hedgerow::name::Name;
use hedgerow::policy::judge_name;
use hedgerow::snapshot::Snapshot;
use hedgerow::verdict::{Cause, Verdict};

use crate::known::Collection;
use crate::{devices, world_with};

/// Lists of the catalogue that lie beside the project: id, and file below `lists/`.
const CATALOGUE: [(&str, &str); 2] = [
    (
        "sinfonietta-pornography",
        "sinfonietta/pornography.hosts.txt.gz",
    ),
    ("ut1-mixed-adult", "ut1/mixed_adult.txt.gz"),
];

/// A public list, unpacked.
fn unpacked(file: &str) -> Option<Vec<u8>> {
    let data = std::env::var_os("HEDGEROW_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = data.join("lists").join(file);
    let packed = std::fs::File::open(&path).ok().or_else(|| {
        println!("skipped: no {}", path.display());
        None
    })?;
    let mut text = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    Some(text)
}

/// How many of `names` a schoolchild does not reach.
fn blocked(world: &Snapshot, names: &BTreeSet<String>) -> usize {
    let hour = world.at(Moment::default());
    let origin = Origin::new("127.0.0.3".parse().unwrap(), 0, 0);
    let (_, view) = hour.identify(&origin);
    let is_blocked = |text: &&String| {
        let name = Name::parse(text).unwrap();
        let verdict = judge_name(name.as_ref(), rtype::A, &view);
        // Those that are closed for their letters alone are no merit of a list.
        matches!(verdict, Verdict::Block(reason) if reason.cause != Cause::UnusualName)
    };
    names.iter().filter(is_blocked).count()
}

#[test]
fn adult_names_are_blocked_as_far_as_is_said() {
    let texts: Vec<_> = CATALOGUE.iter().map(|(_, file)| unpacked(file)).collect();
    let (Some(collection), Some(texts)) = (
        Collection::unpack(),
        texts.into_iter().collect::<Option<Vec<_>>>(),
    ) else {
        return;
    };
    let hosts = String::from_utf8_lossy(&texts[0]).into_owned();
    let all: BTreeSet<String> = hosts
        .lines()
        .filter_map(|line| line.strip_prefix("0.0.0.0 "))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| name.contains('.') && Name::parse(name).is_ok())
        .collect();
    // Well known is who has an entry of its own in a collection of services that others keep.
    let brands: BTreeSet<String> = collection.included_by("category-porn");
    let is_of_a_brand = |name: &&String| {
        let above = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let mut whole = std::iter::once(name.as_str()).chain(above);
        whole.any(|it| brands.contains(it))
    };
    let popular: BTreeSet<String> = all.iter().filter(is_of_a_brand).cloned().collect();
    let others: BTreeSet<String> = collection.of("category-porn").unwrap().clone();

    let alone = world_with(&devices(), &[]);
    let mut more = devices();
    for (id, _) in CATALOGUE {
        more.push_str(&format!(
            "[[list]]\nid = \"{id}\"\ncategory = \"adult\"\nfile = \"{id}\"\n"
        ));
    }
    let files = CATALOGUE.iter().map(|(id, _)| format!("/etc/{id}"));
    let files: Vec<(String, Vec<u8>)> = files.zip(texts).collect();
    let with_catalogue = world_with(&more, &files);

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/presets.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut wrong = Vec::new();
    for (what, names) in [
        ("well-known names of that list", &popular),
        ("all names of that list", &all),
        ("names of another collection", &others),
    ] {
        let row = format!(
            "| {what} | {} | {} | {} |",
            names.len(),
            blocked(&alone, names),
            blocked(&with_catalogue, names)
        );
        if !page.contains(&row) {
            wrong.push(row);
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/presets.md does not say:\n{}",
        wrong.join("\n")
    );
    assert!(popular.len() > 500, "{}", popular.len());
    // Nine of ten that a child has heard of, without any subscription.
    assert!(blocked(&alone, &popular) * 10 >= popular.len() * 9);
}
