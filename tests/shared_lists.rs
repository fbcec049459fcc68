//! 1.5 million real lines, compiled, against a plain map of the same lines.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::HashMap;
use std::net::IpAddr;

use hedgerow::files::Files;
use hedgerow::lists::{Index, compile};
use hedgerow::name::Name;

#[path = "support/shared_lists.rs"]
mod support;
use support::{Numbers, SharedLists};

/// How many names are asked for of each sort.
const ASKED: usize = 10_000;

/// The lists and lines that name a name.
type Model = HashMap<String, Vec<(u16, u32)>>;

/// Reads a list with as little understanding as does it: the last word of a line, without marks.
fn read_into(model: &mut Model, list: u16, text: &str) {
    for (line, text) in (1..).zip(text.lines()) {
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
        let name = word.trim_start_matches("||").trim_end_matches('^');
        if !name.contains('.') {
            continue;
        }
        let lines = model.entry(name.to_ascii_lowercase()).or_default();
        if lines.last().is_none_or(|(last, _)| *last != list) {
            lines.push((list, line));
        }
    }
}

/// The lists and lines that name a name or a parent of it, the longest first.
fn expected(model: &Model, name: &str) -> Vec<(u16, u32)> {
    let ends = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
    std::iter::once(name)
        .chain(ends)
        .filter_map(|suffix| model.get(suffix))
        .flatten()
        .copied()
        .collect()
}

/// The same from the index.
fn told(index: &Index, name: &str) -> Vec<(u16, u32)> {
    let mut told = Vec::new();
    index.look_up(Name::parse(name).unwrap().as_ref(), |hit| {
        told.push((hit.list.0, hit.line));
    });
    told
}

#[test]
fn real_lists_say_what_they_say() {
    let Some(shared) = SharedLists::unpack() else {
        return;
    };
    let index = compile(&shared.specs(), &Files::disk(), None, &|| false).unwrap();

    let mut model = Model::new();
    let mut loaded = 0;
    for ((list, info), path) in index.lists().zip(&shared.files) {
        if path.to_str().unwrap().contains(".dnsmasq.") {
            assert_eq!(info.entries, 0, "{info}");
            assert!(info.failure.is_some(), "{info}");
            continue;
        }
        assert_eq!(info.failure, None);
        read_into(&mut model, list.0, &std::fs::read_to_string(path).unwrap());
        loaded += 1;
    }
    assert!(loaded >= 55, "{loaded} lists");
    assert!(model.len() > 850_000, "{} names", model.len());
    assert_eq!(index.name_count(), model.len());

    let mut names: Vec<&str> = model.keys().map(String::as_str).collect();
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
