//! What the TOML parser found wrong, told in our form.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::tree::shift;

/// Syntax errors told of one file; after these the rest mostly follows from the first.
const MAX_SYNTAX: usize = 20;

/// Tells the syntax errors of the file at `base`, one for each line.
pub(super) fn report(
    errors: Vec<Error>,
    base: usize,
    text: &str,
    table: &DeTable<'_>,
    problems: &mut Problems,
) {
    let mut last_line = None;
    let mut told = 0;
    // The table that stands twice, by its line: its keys are not told again one by one.
    let mut twice = None;
    for error in errors {
        problems.incomplete = true;
        let span = shift(error.span().unwrap_or(0..0), base);
        let line = problems.sources.line(span.start);
        if last_line == Some(line) {
            continue;
        }
        let written = line_at(text, span.start - base);
        if error.message() == DUPLICATE {
            if header(written).is_some() {
                twice = Some(span.start - base);
            } else if let Some(from) = twice
                && !text
                    .get(from..span.start - base)
                    .unwrap_or_default()
                    .lines()
                    .skip(1)
                    .any(|l| header(l).is_some())
            {
                continue;
            }
        }
        last_line = Some(line);
        told += 1;
        let place = problems.place(&span);
        if told > MAX_SYNTAX {
            problems.report(
                Diagnostic::error("syntax", "more lines of this file are not TOML")
                    .at(place, "and on from here"),
            );
            return;
        }
        problems.report(match error.message() {
            DUPLICATE => duplicate(&span, base, text, table, problems),
            message if in_array(message) && begins_anew(written) => {
                // Everything after this would be told as an element of the array.
                problems.report(
                    Diagnostic::error("syntax", "an array is not closed")
                        .at(place, "a `]` is missing before this"),
                );
                return;
            }
            message => Diagnostic::error("syntax", describe(message)).at(place, ""),
        });
    }
}

/// Where something new begins although an array is still open, at the start of a line.
pub(super) fn unclosed_array(errors: &[Error], text: &str) -> Option<usize> {
    errors
        .iter()
        .filter(|error| in_array(error.message()))
        .filter_map(|error| Some(error.span()?.start))
        .filter(|at| begins_anew(line_at(text, *at)))
        .map(|at| start_of_line(text, at))
        .min()
        .filter(|at| *at > 0)
}

/// The first line at or behind `at` that is a header.
pub(super) fn next_header(text: &str, at: usize) -> Option<usize> {
    let mut here = at;
    for line in text.get(at..)?.split_inclusive('\n') {
        if line.starts_with('[') {
            return Some(here);
        }
        here += line.len();
    }
    None
}

/// What the parser says of a key or table that stands twice.
pub(super) const DUPLICATE: &str = "duplicate key";

/// Where the line that holds `at` begins.
fn start_of_line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |nl| nl + 1)
}

/// The line of `text` that holds `at`.
fn line_at(text: &str, at: usize) -> &str {
    let start = start_of_line(text, at);
    text[start..].lines().next().unwrap_or_default()
}

/// Whether the parser was inside an array.
fn in_array(message: &str) -> bool {
    message.starts_with("missing comma between array elements")
        || message.starts_with("unexpected `=` in array")
        || message.starts_with("unclosed array")
}

/// Whether a line looks like the start of something new: a header or a key with its value.
fn begins_anew(line: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let rest = line.trim_start().trim_start_matches(word).trim_start();
    rest.starts_with('=') && !line.trim_start().starts_with('=') || line.starts_with('[')
}

/// The parser's words in the form of ours.
fn describe(message: &str) -> String {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let what = match what {
        "string values must be quoted" => "a text must stand in quotes",
        "invalid float" | "invalid boolean" => "not a number; a text must stand in quotes",
        "key with no value" => "a key without a value",
        "extra assignment between key-value pairs" | "extra `=`" => "one `=` too many",
        "unexpected content" => "nothing more can stand on this line",
        "unexpected key or value" => "only one key and value can stand on a line",
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            "nested too deeply"
        }
        other => other,
    };
    if ["", "nothing", "key", "literal string", "`inf`"].contains(&expected) {
        what.to_owned()
    } else {
        format!("{what}: expected {}", expected.replace("'`'", "a backtick"))
    }
}

/// A key or table that stands twice in one file.
fn duplicate(
    span: &Range<usize>,
    base: usize,
    text: &str,
    table: &DeTable<'_>,
    problems: &Problems,
) -> Diagnostic {
    let local = span.start - base;
    let key = text.get(local..span.end - base).unwrap_or_default();
    let line_start = start_of_line(text, local);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let place = problems.place(span);
    if let Some(header) = header(line) {
        // The parser keeps the later header; the first one is found in the text.
        let mut at = 0;
        let first = text[..line_start]
            .split_inclusive('\n')
            .find_map(|earlier| {
                let start = at + (earlier.len() - earlier.trim_start().len());
                at += earlier.len();
                let inside = header_words(header);
                (self::header(earlier).map(header_words) == Some(inside)).then_some(start)
            });
        let name = header.trim_matches(['[', ']']);
        let message = match name.strip_prefix("profile.") {
            Some(profile) => format!("profile `{profile}` is defined twice"),
            None => format!("`{header}` stands twice"),
        };
        let diagnostic = Diagnostic::error("duplicate", message);
        return match first {
            Some(start) => {
                // Point at the same word of the header as the second place does.
                let within = local - line_start - (line.len() - line.trim_start().len());
                let start = base + start + within;
                let first = problems.place(&(start..start + key.len()));
                diagnostic.twice(place, first)
            }
            None => diagnostic.at(place, "defined before"),
        };
    }
    let diagnostic = Diagnostic::error("duplicate", format!("key `{key}` stands twice"));
    match first_of(table, key, span) {
        Some(first) => diagnostic.twice(place, problems.place(&first)),
        None => diagnostic.at(place, "defined before"),
    }
}

/// The header in `line`, brackets included, if it is one.
fn header(line: &str) -> Option<&str> {
    let line = line.trim();
    let end = line.find(']')?;
    let header = line.starts_with('[').then(|| line.get(..=end))??;
    Some(header)
}

/// What a header names, without blanks.
fn header_words(header: &str) -> String {
    header.replace([' ', '\t', '"', '\''], "")
}

/// The nearest place before `span` where the same key was accepted.
fn first_of(table: &DeTable<'_>, key: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let name = key.trim_matches(['"', '\'']);
    table
        .iter()
        .filter_map(|(candidate, value)| {
            let here = candidate.span();
            let own = (candidate.get_ref() == name && here.end <= span.start).then_some(here);
            own.max_by_start(first_in(value.get_ref(), key, span))
        })
        .max_by_key(|found| found.start)
}

fn first_in(value: &DeValue<'_>, key: &str, span: &Range<usize>) -> Option<Range<usize>> {
    match value {
        DeValue::Table(table) => first_of(table, key, span),
        DeValue::Array(array) => array
            .iter()
            .filter_map(|item| first_in(item.get_ref(), key, span))
            .max_by_key(|found| found.start),
        _ => None,
    }
}

/// The later of two places.
trait Later {
    fn max_by_start(self, other: Self) -> Self;
}

impl Later for Option<Range<usize>> {
    fn max_by_start(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(if a.start >= b.start { a } else { b }),
            (a, b) => a.or(b),
        }
    }
}
