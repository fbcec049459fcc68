//! Which lines of a list say something of a name: read from the source, since the index keeps no
//! lines.

use super::ListSpec;
use super::read::{Made, open, reach_of};
use crate::files::Files;
use crate::lists::guard::Protected;
use crate::lists::modifiers::same_but_for_badfilter;
use crate::lists::parse;
use crate::lists::patterns::{Limits, Patterns, PatternsBuilder};
use crate::lists::{Effect, Entry, Item, ListId, Modifiers, Pattern, Reach};
use crate::name::NameRef;

/// A line that says something of a name, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u32,
    /// What it says.
    pub item: Item,
    /// Why it does not count, if so.
    pub dropped: Option<Dropped>,
}

/// Why a line does not count although it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It names a public suffix and is not taken at its word.
    PublicSuffix,
    /// It would take a name that no list may take.
    Protected,
    /// It is, or is taken out by, a rule with `badfilter`.
    BadFilter,
}

impl Line {
    /// Whether it takes back what the list says elsewhere; none for what has no effect of its own.
    pub const fn effect(&self) -> Option<Effect> {
        match (&self.item, self.dropped) {
            (_, Some(_)) | (Item::Sealed(_), None) => None,
            (Item::Name(entry), None) => Some(entry.effect),
            (Item::Pattern(pattern), None) => Some(pattern.effect),
            (Item::Address(entry), None) => Some(entry.effect),
        }
    }
}

/// How many lines of a list are found at most.
const MOST_LINES: usize = 200;

/// Reads a list again and finds the lines that name `name` or a parent of it, or whose pattern
/// matches it; at most 200.
///
/// `protected` is what no list may take; see [`ListSpec::protected`]. What a line restricts itself
/// to (a type, a client) is not looked at. The fingerprints of a
/// sealed list are not found: that takes its key, and an index.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn lines_about(
    spec: &ListSpec,
    protected: &Protected,
    files: &Files,
    name: NameRef<'_>,
) -> Result<Vec<Line>, String> {
    let (_, source) = open(&spec.source, files)?;
    let guard = spec.is_guarded().then_some(protected);
    let mut lines: Vec<Line> = Vec::new();
    let report = parse::read_list(source, &spec.read_options(), |number, item| {
        let dropped = match item {
            Item::Name(entry) => match about(spec, guard, entry, name) {
                Some(dropped) => dropped,
                None => return,
            },
            Item::Pattern(pattern) if matches(pattern, name) => guard
                .and_then(|guard| guard.taken_by(item))
                .and_then(|taken| (!taken.harmless).then_some(Dropped::Protected)),
            Item::Pattern(_) | Item::Address(_) | Item::Sealed(_) => return,
        };
        if lines.len() < MOST_LINES {
            let item = item.clone();
            lines.push(Line {
                number,
                item,
                dropped,
            });
        }
    });
    if let Some(fault) = report.failure {
        return Err(fault.to_string());
    }
    take_out(&mut lines);
    Ok(lines)
}

/// Whether `entry` says something of `name`, and why that does not count.
fn about(
    spec: &ListSpec,
    guard: Option<&Protected>,
    entry: &Entry,
    name: NameRef<'_>,
) -> Option<Option<Dropped>> {
    let says = |reach: Reach| {
        let is_name = entry.name.as_ref() == name;
        match reach {
            Reach::Subtree => name.is_within(entry.name.as_ref()),
            Reach::Exact => is_name,
            Reach::Below => !is_name && name.is_within(entry.name.as_ref()),
        }
    };
    if !says(entry.reach) {
        return None;
    }
    Some(match reach_of(spec, guard, entry) {
        Made::NameAlone if says(Reach::Exact) => None,
        Made::NameAlone | Made::Nothing => Some(Dropped::PublicSuffix),
        Made::Protected(_) => Some(Dropped::Protected),
        Made::Whole => None,
    })
}

/// Whether `pattern` matches `name`.
fn matches(pattern: &Pattern, name: NameRef<'_>) -> bool {
    let mut alone = PatternsBuilder::new(Limits::default());
    // Whether its `badfilter` counts is another question.
    let pattern = Pattern {
        modifiers: None,
        ..pattern.clone()
    };
    if alone.push(ListId(0), &pattern).is_err() {
        return false;
    }
    let section = alone.finish();
    let mut found = false;
    if let Ok(patterns) = Patterns::open(&section) {
        patterns.look_up(&section, name, |_| found = true);
    }
    found
}

/// Marks what `badfilter` takes out, and the rules that do.
fn take_out(lines: &mut [Line]) {
    let is_bad = |item: &Item| modifiers_of(item).is_some_and(|it| it.badfilter);
    let bad: Vec<Item> = lines
        .iter()
        .filter(|line| is_bad(&line.item))
        .map(|line| line.item.clone())
        .collect();
    for line in lines {
        if bad.iter().any(|bad| is_taken_out(&line.item, bad)) {
            line.dropped = Some(Dropped::BadFilter);
        }
    }
}

/// Whether `item` is `bad` or the same without `badfilter`.
fn is_taken_out(item: &Item, bad: &Item) -> bool {
    let said_alike = match (item, bad) {
        (Item::Name(one), Item::Name(other)) => {
            (&one.name, one.reach, one.effect) == (&other.name, other.reach, other.effect)
        }
        (Item::Pattern(one), Item::Pattern(other)) => {
            (one.kind, &one.text, one.effect) == (other.kind, &other.text, other.effect)
        }
        _ => false,
    };
    said_alike && same_but_for_badfilter(modifiers_of(item), modifiers_of(bad))
}

fn modifiers_of(item: &Item) -> Option<&Modifiers> {
    match item {
        Item::Name(entry) => entry.modifiers.as_deref(),
        Item::Pattern(pattern) => pattern.modifiers.as_deref(),
        Item::Address(entry) => entry.modifiers.as_deref(),
        Item::Sealed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use crate::lists::{ListKind, ListSource};
    use crate::name::Name;
    use crate::verdict::Tier;

    fn found(text: &str, name: &str) -> Vec<String> {
        let spec = ListSpec {
            id: "l".to_owned(),
            category: "ads".to_owned(),
            kind: ListKind::Block,
            tier: Tier::Lists,
            source: ListSource::Inline(text.lines().map(str::to_owned).collect()),
            format: Some(crate::lists::ListFormat::Adblock),
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        };
        let name = Name::parse(name).unwrap();
        let protected = ListSpec::protected(std::slice::from_ref(&spec));
        let files = MemoryFiles::new().files();
        let lines = lines_about(&spec, &protected, &files, name.as_ref()).unwrap();
        let told = |line: &Line| format!("{} {} {:?}", line.number, line.item, line.dropped);
        lines.iter().map(told).collect()
    }

    #[test]
    fn names_parents_and_patterns_are_found_and_nothing_else() {
        let list = "||example.org^\n|www.example.org^\n||*.www.example.org^\n@@||www.example.org^\n\
                    ||w*.example.org^\n/^www[.]/\n||other.example^\n/^mail[.]/";
        assert_eq!(
            found(list, "www.example.org"),
            [
                "1 ||example.org^ None",
                "2 |www.example.org^ None",
                "4 @@||www.example.org^ None",
                "5 ||w*.example.org^ None",
                "6 /^www[.]/ None",
            ]
        );
    }

    #[test]
    fn what_does_not_count_is_said() {
        let list = "||github.io^\n||co.uk^\n||a.github.io^\n||a.github.io^$badfilter";
        assert_eq!(
            found(list, "a.github.io"),
            [
                "1 ||github.io^ Some(PublicSuffix)",
                "3 ||a.github.io^ Some(BadFilter)",
                "4 ||a.github.io^$badfilter Some(BadFilter)",
            ]
        );
        assert_eq!(found(list, "github.io"), ["1 ||github.io^ None"]);
        assert_eq!(found(list, "a.co.uk"), ["2 ||co.uk^ Some(PublicSuffix)"]);
    }

    #[test]
    fn a_list_that_matches_a_thousand_times_is_cut() {
        let list = "||example.org^$important\n".repeat(1000);
        assert_eq!(found(&list, "example.org").len(), MOST_LINES);
    }
}
