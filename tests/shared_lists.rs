//! 1.5 million real lines: every one asked of the index, and a plain map of the same lines.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use hedgerow::files::Files;
use hedgerow::lists::guard::{Protected, Protection};
use hedgerow::lists::{Index, PublicSuffix, Settings, Target, compile, public_suffix, verify};
use hedgerow::name::Name;

#[path = "support/shared_lists.rs"]
mod support;
use support::{Numbers, SharedLists};

/// How many names are asked for of each sort.
const ASKED: usize = 10_000;

/// The lists that name a name, and whether they mean it alone.
type Model = HashMap<String, Vec<(u16, bool)>>;

/// Reads a list with as little understanding as does it: the last word of a line, without marks.
fn read_into(model: &mut Model, list: u16, text: &str) {
    for text in text.lines() {
        let text = text.replace("server=/", "");
        let mut words = text.split_whitespace();
        let (first, second, third) = (words.next(), words.next(), words.next());
        let Some(word) = second.or(first) else {
            continue;
        };
        let comment = first.is_some_and(|first| first.starts_with(['#', '!', '[']));
        // Known: one hosts line with a second name that is a top-level domain.
        if comment || third.is_some() || word.parse::<IpAddr>().is_ok() {
            continue;
        }
        let name = word.trim_start_matches("||").trim_end_matches(['^', '/']);
        let Ok(parsed) = Name::parse(name) else {
            continue;
        };
        let alone = match public_suffix(parsed.as_ref()) {
            Some(PublicSuffix::Registry) => continue,
            Some(PublicSuffix::Company) => true,
            None => false,
        };
        if !name.contains('.') {
            continue;
        }
        let lists = model.entry(parsed.to_string()).or_default();
        if lists.last() != Some(&(list, alone)) {
            lists.push((list, alone));
        }
    }
}

/// The lists that name a name or a parent of it.
fn expected(model: &Model, name: &str) -> BTreeSet<u16> {
    let ends = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
    let mut lists = BTreeSet::new();
    for suffix in std::iter::once(name).chain(ends) {
        let said = model.get(suffix).into_iter().flatten();
        lists.extend(
            said.filter(|(_, alone)| !alone || suffix == name)
                .map(|(list, _)| *list),
        );
    }
    lists
}

/// Takes out of the model what no list may take: names that are protected or stand above such a one,
/// and those below where all below is protected.
fn leave_out_protected(model: &mut Model) {
    let protected = Protected::starter();
    let (mut above, mut themselves, mut whole) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (name, how) in protected.names() {
        let text = name.to_string();
        if how != Protection::Exact {
            whole.insert(text.clone());
        }
        // Nothing is lost with a name above lifelines alone: they stay open whatever is listed.
        if how != Protection::Lifeline {
            let parents = text.match_indices('.');
            above.extend(parents.map(|(at, _)| text[at + 1..].to_owned()));
        }
        themselves.insert(text);
    }
    model.retain(|name, lists| {
        let mut parents = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        let is_taken = themselves.contains(name) || parents.any(|parent| whole.contains(parent));
        // What counts for a name alone takes nothing below it.
        lists.retain(|(_, alone)| !is_taken && (*alone || !above.contains(name)));
        !lists.is_empty()
    });
}

/// The same from the index.
fn told(index: &Index, name: &str) -> BTreeSet<u16> {
    let mut told = BTreeSet::new();
    index.look_up(Name::parse(name).unwrap().as_ref(), |hit| {
        told.insert(hit.list.0);
    });
    told
}

#[test]
fn real_lists_say_what_they_say() {
    let Some(shared) = SharedLists::unpack() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.index");
    let (specs, files) = (shared.specs(), Files::disk());
    let outcome = compile(
        &specs,
        &Settings::in_folder(folder.path()),
        &files,
        None,
        &mut |_| {},
        &|| false,
        Target::File(&path),
    )
    .unwrap();
    let index = Index::open(&files, &path).unwrap();
    let report = verify(&specs, &[], &files, &index, &mut |_| {});
    assert_eq!((report.differences, report.first), (0, Vec::new()));
    assert_eq!(report.skipped, []);
    assert!(report.replayed > 1_400_000, "{}", report.replayed);
    assert!(report.near_misses > 20_000, "{}", report.near_misses);

    let mut model = Model::new();
    for ((list, info), path) in index.lists().zip(&shared.files) {
        assert_eq!(info.failure, None, "{info}");
        read_into(&mut model, list.0, &std::fs::read_to_string(path).unwrap());
    }
    let before = model.len();
    leave_out_protected(&mut model);
    assert!(model.len() < before && report.left_out > 0);
    assert!(model.len() > 850_000, "{} names", model.len());
    assert_eq!(outcome.mentioned, model.len() as u64);
    assert!(index.name_count() < model.len());

    let mut names: Vec<&str> = model
        .iter()
        .filter(|(_, lists)| lists.iter().all(|(_, alone)| !alone))
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    let mut numbers = Numbers(20_261_122);
    let mut asked = 0;
    let mut ask = |name: &str, is_listed: bool| {
        let told = told(&index, name);
        assert_eq!(told, expected(&model, name), "{name}");
        assert_eq!(!told.is_empty(), is_listed, "{name}");
        asked += 1;
    };
    for _ in 0..ASKED {
        let name = names[numbers.below(names.len())];
        ask(name, true);
        // What lies below, and what only looks alike.
        ask(&format!("{}.{name}", numbers.label()), true);
    }
    let mut unlisted = 0;
    while unlisted < ASKED {
        let near = names[numbers.below(names.len())];
        let name = match unlisted % 2 {
            0 => format!("{}{near}", numbers.label()),
            _ => format!(
                "www.{}.{}",
                numbers.label(),
                near.rsplit('.').next().unwrap()
            ),
        };
        let too_long = name.split('.').any(|label| label.len() > 63) || name.len() > 253;
        if too_long || !expected(&model, &name).is_empty() {
            continue;
        }
        ask(&name, false);
        unlisted += 1;
    }
    assert_eq!(asked, 3 * ASKED);
}
