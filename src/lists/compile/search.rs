//! Which lines of which lists name a name: read from the sources, since the index keeps no lines.

use super::ListSpec;
use super::read::{Taken, open, reach_of};
use crate::files::Files;
use crate::intern::intern;
use crate::lists::parse;
use crate::lists::{Entry, Item, ListKind, Reach};
use crate::name::NameRef;

/// A line that names a name or a parent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The list's id.
    pub list: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// What it says, as an adblock rule.
    pub rule: String,
    /// Whether it says it of the name: it may mean a parent alone, or name a public suffix and not
    /// be taken at its word.
    pub matches: bool,
}

/// What a search brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The lines, in the order of lists and lines; at most [`MOST_FOUND`].
    pub found: Vec<Found>,
    /// How many lines more there are.
    pub more: u64,
    /// Lists that cannot be read, and why.
    pub unread: Vec<(&'static str, String)>,
    /// Sealed lists, whose names are shown nowhere.
    pub sealed: Vec<&'static str>,
}

/// How many lines a search brings at most.
pub const MOST_FOUND: usize = 1000;

/// Reads all lists again and finds the lines that name `name` or a parent of it.
///
/// Lines that say something of the parent alone are found too, so that people see them.
pub fn search(specs: &[ListSpec], files: &Files, name: NameRef<'_>) -> Search {
    let mut search = Search::default();
    for spec in specs {
        let id = intern(&spec.id);
        if spec.kind == ListKind::Sealed {
            search.sealed.push(id);
            continue;
        }
        let source = match open(&spec.source, files) {
            Ok((_, source)) => source,
            Err(why) => {
                search.unread.push((id, why));
                continue;
            }
        };
        let mark = search.found.len();
        let report = parse::read_list(source, &spec.read_options(), |line, item| {
            let matches = match item {
                Item::Name(entry) if name.is_within(entry.name.as_ref()) => {
                    Some(is_about(spec, entry, name))
                }
                Item::Name(_) | Item::Pattern(_) | Item::Address(_) | Item::Sealed(_) => None,
            };
            let Some(matches) = matches else { return };
            if search.found.len() == MOST_FOUND {
                search.more += 1;
                return;
            }
            search.found.push(Found {
                list: id,
                line,
                rule: item.to_string(),
                matches,
            });
        });
        if let Some(fault) = report.failure {
            search.found.truncate(mark);
            search.unread.push((id, fault.to_string()));
        }
    }
    search
}

/// Whether an entry that names `name` or a parent says something of `name`.
fn is_about(spec: &ListSpec, entry: &Entry, name: NameRef<'_>) -> bool {
    let reach = match reach_of(spec, entry) {
        Taken::Whole => entry.reach,
        Taken::NameAlone => Reach::Exact,
        Taken::Nothing => return false,
    };
    let itself = entry.name.as_ref() == name;
    match reach {
        Reach::Subtree => true,
        Reach::Exact => itself,
        Reach::Below => !itself,
    }
}
