//! `[[list]]` and `[lists]`: where names come from and what they are for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::presets::{self, LIFELINES};
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{Around, missing};
use super::spec::{ListSpec, Text};
use super::words::{choice, id};
use super::{CATEGORIES, List, ListSource, Profile};
use crate::lists::{ListFormat, ListKind};

/// All lists: those that came with the program, then those written.
pub(super) fn lists(written: &Written, around: &Around<'_>, problems: &mut Problems) -> Vec<List> {
    let mut lists = presets::lists(written.starter.starter.unwrap_or(true));
    let reserved: BTreeSet<String> = presets::lists(true)
        .into_iter()
        .map(|list| list.id)
        .collect();
    let mut seen: HashMap<String, Range<usize>> = HashMap::new();
    for entry in &written.lists {
        let Some(list) = list(entry, around, problems) else {
            continue;
        };
        let Some(word) = &entry.spec.id else {
            continue;
        };
        if reserved.contains(&list.id) {
            problems.report(
                Diagnostic::error(
                    "duplicate",
                    format!("list `{}` came with the program", list.id),
                )
                .at(problems.place(&word.span()), "this id is taken")
                .help("choose another id; lists of one category add up"),
            );
            continue;
        }
        if let Some(first) = seen.get(&list.id) {
            let (second, first) = (problems.place(&word.span()), problems.place(first));
            let message = format!("list `{}` is defined twice", list.id);
            problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            continue;
        }
        seen.insert(list.id.clone(), word.span());
        lists.push(list);
    }
    lists
}

fn list(entry: &Entry<ListSpec>, around: &Around<'_>, problems: &mut Problems) -> Option<List> {
    let spec = &entry.spec;
    let kinds = [
        ("block", ListKind::Block),
        ("allow", ListKind::Allow),
        ("lifeline", ListKind::Lifeline),
    ];
    let formats = [
        ("hosts", ListFormat::Hosts),
        ("domains", ListFormat::Domains),
        ("wildcards", ListFormat::Wildcards),
        ("adblock", ListFormat::Adblock),
    ];
    let kind = match &spec.kind {
        None => Some(ListKind::Block),
        word => choice(word.as_ref(), "kind", &kinds, problems),
    };
    let format = choice(spec.format.as_ref(), "format", &formats, problems);
    let source = source(entry, around, problems);
    let Some(name) = &spec.id else {
        missing(entry, "list", "id", problems);
        return None;
    };
    let named = id(name, "a list", problems);
    let category = match &spec.category {
        Some(word) => id(word, "a category", problems).then(|| word.text().to_owned()),
        None if kind == Some(ListKind::Lifeline) => Some(LIFELINES.to_owned()),
        None => {
            missing(entry, "list", "category", problems);
            None
        }
    };
    if let (Some(word), Some(kind)) = (&spec.category, kind)
        && (word.text() == LIFELINES) != (kind == ListKind::Lifeline)
    {
        problems.report(
            Diagnostic::error("contradiction", "lifelines are a category of their own")
                .at(problems.place(&word.span()), "does not go with its `kind`")
                .help("`kind = \"lifeline\"` needs no category, and no other kind can fill `lifelines`"),
        );
        return None;
    }
    let (true, Some(category), Some(kind), Some(source)) = (named, category, kind, source) else {
        return None;
    };
    Some(List {
        id: name.text().to_owned(),
        category,
        kind,
        source,
        format,
    })
}

fn source(
    entry: &Entry<ListSpec>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<ListSource> {
    match (&entry.spec.file, &entry.spec.lines) {
        (Some(file), None) => {
            let path = around.path(file);
            // The daemon must start without it: the last good copy, or the profile's word on
            // doubt, stands in. So this is only told.
            if let Err(error) = around.files.open(&path) {
                problems.report(
                    Diagnostic::warning(
                        "missing-file",
                        format!("list file `{}` cannot be read", file.text()),
                    )
                    .at(problems.place(&file.span()), error.source.to_string())
                    .note(format!("looked for {}", path.display())),
                );
            }
            Some(ListSource::File(path))
        }
        (None, Some(lines)) => {
            let lines = lines.value().iter().map(|line| line.text().to_owned());
            Some(ListSource::Inline(lines.collect()))
        }
        (Some(file), Some(lines)) => {
            let (here, there) = (problems.place(&lines.span()), problems.place(&file.span()));
            problems.report(
                Diagnostic::error("contradiction", "a list has both `lines` and `file`")
                    .against(here, there, "`file` here")
                    .help("make two lists of it; those of one category add up"),
            );
            None
        }
        (None, None) if !entry.whole => None,
        (None, None) => {
            problems.report_absence(Diagnostic::error("missing-key", "a list without names").at(
                problems.place(&entry.span),
                "needs `file = …` or `lines = […]`",
            ));
            None
        }
    }
}

/// Tells of lists in a category of the admin's own that no profile blocks.
pub(super) fn unused_categories(
    lists: &[List],
    profiles: &[Profile],
    written: &Written,
    problems: &mut Problems,
) {
    let mut used: HashSet<&str> = CATEGORIES.iter().map(|(name, _)| *name).collect();
    for profile in profiles {
        used.extend(profile.block_categories.iter().map(String::as_str));
        used.extend(profile.block_lists.iter().map(String::as_str));
    }
    let words: HashMap<&str, &Text> = written
        .lists
        .iter()
        .filter_map(|entry| {
            Some((
                entry.spec.id.as_ref()?.text(),
                entry.spec.category.as_ref()?,
            ))
        })
        .collect();
    for list in lists.iter().filter(|list| list.kind == ListKind::Block) {
        if used.contains(list.id.as_str()) || used.contains(list.category.as_str()) {
            continue;
        }
        if let Some(word) = words.get(list.id.as_str()) {
            let message = format!("no profile blocks category `{}`", list.category);
            let diagnostic = Diagnostic::warning("no-effect", message)
                .at(problems.place(&word.span()), "a new category");
            let brought = CATEGORIES.iter().map(|(name, _)| *name);
            problems.report(problems.guess(diagnostic, &list.category, brought));
        }
    }
}
