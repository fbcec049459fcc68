//! `[[list]]` and `[lists]`: where names come from and what they are for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use super::catalogue::catalogue;
use super::diagnostic::Diagnostic;
use super::download::{download, without_url};
use super::presets::{self, LIFELINES};
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{Around, missing};
use super::spec::{ListSpec, ListsSpec, Text, Word};
use super::words::{choice, id, size};
use super::{CATEGORIES, Download, List, ListSource, ListStore, Profile, Subject};
use crate::lists::{ListFormat, ListKind, Settings, services};

/// The category of a sealed list that names none.
const SEALED: &str = "sealed";

/// All lists: those that came with the program, then those written.
pub(super) fn lists(
    written: &Written,
    store: &ListStore,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Vec<List> {
    let mut lists = presets::lists(written.lists_section.starter.unwrap_or(true));
    let embedded = presets::lists(true).into_iter();
    let reserved: BTreeSet<String> = embedded.map(|list| list.id).collect();
    let mut seen: HashMap<String, Range<usize>> = HashMap::new();
    for entry in &written.lists {
        let Some(entry) = with_catalogue(entry, problems) else {
            continue;
        };
        let Some(list) = list(&entry, store, around, problems) else {
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

/// `[lists]`, but for its `starter`.
pub(super) fn list_store(
    spec: &ListsSpec,
    around: &Around<'_>,
    problems: &mut Problems,
) -> ListStore {
    for (key, word) in [("folder", &spec.folder), ("work-folder", &spec.work_folder)] {
        if let Some(word) = word.as_ref().filter(|word| word.text().is_empty()) {
            problems.report(
                Diagnostic::error("missing-value", format!("`{key}` is empty"))
                    .at(problems.place(&word.span()), "needs a path"),
            );
        }
    }
    ListStore {
        folder: state_folder(spec, around),
        work_folder: spec.work_folder.as_ref().map(|word| around.path(word)),
        compile_memory: size(
            spec.compile_memory.as_ref(),
            "compile-memory",
            ListStore::COMPILE_MEMORY,
            Settings::MEMORY as u64,
            problems,
        ),
        update: spec.update.unwrap_or(true),
    }
}

/// The folder of what must survive a restart.
pub(super) fn state_folder(spec: &ListsSpec, around: &Around<'_>) -> PathBuf {
    let overrides = around.overrides;
    let usual = || overrides.usual_state.clone();
    let written = spec.folder.as_ref().map(|word| around.path(word));
    let folder = overrides.state.clone().or(written).or_else(usual);
    folder.unwrap_or_else(|| ListStore::DEFAULT_FOLDER.into())
}

/// What is written, completed by what the catalogue says; none is told.
fn with_catalogue(entry: &Entry<ListSpec>, problems: &mut Problems) -> Option<Entry<ListSpec>> {
    let mut entry = entry.clone();
    let spec = &mut entry.spec;
    let Some(word) = &spec.catalogue else {
        return Some(entry);
    };
    let Some(known) = catalogue().iter().find(|known| known.id == word.text()) else {
        let ids = catalogue().iter().map(|known| known.id.as_str());
        let message = format!("unknown list `{}` of the catalogue", word.text());
        let diagnostic = Diagnostic::error("unknown-list", message)
            .at(problems.place(&word.span()), "the catalogue has none")
            .note("`hedgerow lists catalogue` prints all of them");
        problems.report(problems.guess(diagnostic, word.text(), ids));
        return None;
    };
    // What the catalogue says stands, for messages, where the catalogue was named.
    let span = word.span();
    let said = |text: &str| Word::new(span.clone(), text.to_owned());
    spec.id.get_or_insert_with(|| said(&known.id));
    // Lifelines have a category of their own.
    if spec
        .kind
        .as_ref()
        .is_none_or(|kind| kind.text() != ListKind::Lifeline.label())
    {
        spec.category.get_or_insert_with(|| said(&known.category));
    }
    if spec.file.is_none() && spec.lines.is_none() && spec.url.is_none() {
        spec.url = Some(said(&known.url));
        spec.format.get_or_insert_with(|| said(&known.format));
        if let (None, Some(member)) = (&spec.member, &known.member) {
            spec.member = Some(said(member));
        }
    }
    Some(entry)
}

fn list(
    entry: &Entry<ListSpec>,
    store: &ListStore,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<List> {
    let spec = &entry.spec;
    let kinds = [
        ListKind::Block,
        ListKind::Allow,
        ListKind::Lifeline,
        ListKind::Sealed,
    ];
    let kinds = kinds.map(|kind| (kind.label(), kind));
    let formats = ListFormat::ALL.map(|format| (format.label(), format));
    let format = choice(spec.format.as_ref(), "format", &formats, problems);
    let kind = match &spec.kind {
        None if format == Some(ListFormat::Sealed) => Some(ListKind::Sealed),
        None => Some(ListKind::Block),
        word => choice(word.as_ref(), "kind", &kinds, problems),
    };
    let source = source(entry, store, around, problems);
    let member = match &spec.member {
        Some(word) => Some(member(word, problems)?),
        None => None,
    };
    let Some(name) = &spec.id else {
        missing(entry, "list", "id", problems);
        return None;
    };
    let named = id(name, "a list", problems);
    let category = match (&spec.category, kind) {
        (Some(word), _) => category(word, problems).then(|| word.text().to_owned()),
        (None, Some(ListKind::Lifeline)) => Some(LIFELINES.to_owned()),
        (None, Some(ListKind::Sealed)) => Some(SEALED.to_owned()),
        // What a misspelt kind needs is not known.
        (None, None) => None,
        (None, Some(_)) => {
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
    if let (Some(word), Some(kind)) = (&spec.kind, kind)
        && format == Some(ListFormat::Sealed)
        && kind != ListKind::Sealed
    {
        problems.report(
            Diagnostic::error("contradiction", "a sealed list is sealed for everybody")
                .at(
                    problems.place(&word.span()),
                    "does not go with its `format`",
                )
                .help("leave `kind` out, or write `kind = \"sealed\"`"),
        );
        return None;
    }
    let (true, Some(category), Some(kind), Some((source, download))) =
        (named, category, kind, source)
    else {
        return None;
    };
    Some(List {
        id: name.text().to_owned(),
        category,
        kind,
        source,
        format,
        member,
        public_suffixes: spec.public_suffixes.unwrap_or(false),
        download,
    })
}

/// Whether a category may have this name: one word means a category or a service, never both.
fn category(word: &Text, problems: &mut Problems) -> bool {
    let Some(service) = services::find(word.text()) else {
        return id(word, "a category", problems);
    };
    let message = format!("a category cannot be named `{}`", service.id);
    problems.report(
        Diagnostic::error("bad-name", message)
            .at(problems.place(&word.span()), "a service is called so")
            .help(format!("`block = [\"{}\"]` blocks the service", service.id)),
    );
    false
}

/// The folder of an archive, as it stands in it.
fn member(word: &Text, problems: &mut Problems) -> Option<String> {
    let text = word.text().trim_end_matches('/');
    let fits = |part: &str| !part.is_empty() && part != "." && part != "..";
    let plain = |c: char| !c.is_control() && c != '\\';
    if text.len() <= 128 && text.split('/').all(fits) && text.chars().all(plain) {
        return Some(text.to_owned());
    }
    problems.report(
        Diagnostic::error("bad-name", "`member` is no folder of an archive")
            .at(problems.place(&word.span()), "a path within the archive")
            .help("write it as in \"adult\" or \"blacklists/adult\""),
    );
    None
}

/// Where the names come from, and how that is kept up to date; none is told.
fn source(
    entry: &Entry<ListSpec>,
    store: &ListStore,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<(ListSource, Option<Download>)> {
    let spec = &entry.spec;
    let mut written: Vec<(&str, Range<usize>)> = Vec::new();
    written.extend(spec.file.as_ref().map(|word| ("file", word.span())));
    written.extend(spec.url.as_ref().map(|word| ("url", word.span())));
    written.extend(spec.lines.as_ref().map(|word| ("lines", word.span())));
    if let [(first, there), (second, here), ..] = written.as_slice() {
        let (here, there) = (problems.place(here), problems.place(there));
        let message = format!("a list has both `{second}` and `{first}`");
        problems.report(
            Diagnostic::error("contradiction", message)
                .against(here, there, &format!("`{first}` here"))
                .help("make two lists of it; those of one category add up"),
        );
        return None;
    }
    if spec.url.is_some() {
        let download = download(spec, problems)?;
        let id = spec.id.as_ref().map_or("", Text::text);
        return Some((ListSource::File(store.copy_of(id)), Some(download)));
    }
    without_url(spec, problems);
    if let Some(file) = &spec.file {
        return Some((ListSource::File(readable(file, around, problems)), None));
    }
    if let Some(lines) = &spec.lines {
        let lines = lines.value().iter().map(|line| line.text().to_owned());
        return Some((ListSource::Inline(lines.collect()), None));
    }
    if entry.whole {
        problems.report_absence(Diagnostic::error("missing-key", "a list without names").at(
            problems.place(&entry.span),
            "needs `file = …`, `url = …`, `lines = […]` or `catalogue = …`",
        ));
    }
    None
}

/// The path of a list's file; what speaks against reading it is told.
///
/// The daemon must start without it: the last good copy, or the profile's word on doubt, stands
/// in. So this is only told.
fn readable(file: &Text, around: &Around<'_>, problems: &mut Problems) -> PathBuf {
    let path = around.path(file);
    let message = format!("list file `{}` cannot be read", file.text());
    let diagnostic = Diagnostic::warning("missing-file", message);
    if let Err(error) = around.files.open(&path) {
        let label = error.source.to_string();
        problems.report(
            diagnostic
                .at(problems.place(&file.span()), label)
                .note(format!("looked for {}", path.display())),
        );
    } else if let Some(target) = around.files.leads_out(&path) {
        let label = format!("leads out of its folder, to {}", target.display());
        problems.report(
            diagnostic
                .at(problems.place(&file.span()), label)
                .help(format!("name the file itself: `file = {target:?}`")),
        );
    }
    path
}

/// Tells of lists in a category of the admin's own that no profile blocks.
pub(super) fn unused_categories(
    lists: &[List],
    profiles: &[Profile],
    written: &Written,
    problems: &mut Problems,
) {
    let mut used: HashSet<&str> = CATEGORIES.iter().map(|(name, _)| *name).collect();
    used.extend(services::GROUPS.iter().map(|group| group.category));
    for profile in profiles {
        used.extend(profile.block_categories.iter().map(String::as_str));
        used.extend(profile.block_lists.iter().map(String::as_str));
        let closed = profile.closings.iter().flat_map(|it| &it.close);
        let counted = profile.quotas.iter().flat_map(|it| &it.of);
        used.extend(closed.chain(counted).filter_map(|subject| match subject {
            Subject::Category(category) => Some(category.as_str()),
            _ => None,
        }));
    }
    let words: HashMap<&str, &Text> = written
        .lists
        .iter()
        .filter_map(|Entry { spec, .. }| {
            let id = spec.id.as_ref().or(spec.catalogue.as_ref())?;
            let category = spec.category.as_ref().or(spec.catalogue.as_ref())?;
            Some((id.text(), category))
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
