//! The texts a configuration was read from, and places in them.
//!
//! All texts lie behind one another in one space of byte offsets, so that a span alone says which
//! file it is in: the second file of 100 bytes begins at offset 101 when the first has 100.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::diagnostic::{Excerpt, Place};

/// All texts read so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
    next: usize,
}

/// One text.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// Offset of its first byte in the common space.
    base: usize,
    /// Offsets in `text` at which lines begin.
    lines: Vec<usize>,
}

impl Sources {
    /// Takes in a text and gives the offset of its first byte in the common space.
    pub(super) fn add(&mut self, path: &Path, text: String) -> usize {
        let base = self.next;
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        // The gap keeps the end of one text apart from the start of the next.
        self.next = base + text.len() + 1;
        self.list.push(Source {
            path: path.to_path_buf(),
            text,
            base,
            lines,
        });
        base
    }

    /// The text that begins at `base`.
    pub(super) fn text(&self, base: usize) -> &str {
        self.source_of(base).map_or("", |source| &source.text)
    }

    /// How many files were read before `path`.
    pub(super) fn position(&self, path: &Path) -> Option<usize> {
        self.list.iter().position(|source| source.path == path)
    }

    /// The line of `offset` in its file, from 0; cheaper than a whole place.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.source_of(offset).map_or(0, |source| {
            let at = offset - source.base;
            source.lines.partition_point(|&start| start <= at)
        })
    }

    /// File, line and column of `span`, with the line itself.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let Some(source) = self.source_of(span.start) else {
            return Place::default();
        };
        let start = floor_boundary(&source.text, span.start - source.base);
        let end = floor_boundary(&source.text, span.end.saturating_sub(source.base)).max(start);
        let line = source.lines.partition_point(|&at| at <= start).max(1) - 1;
        let line_start = source.lines[line];
        let line_end = source
            .lines
            .get(line + 1)
            .map_or(source.text.len(), |next| next - 1);
        let text = source.text[line_start..line_end].trim_end_matches('\r');
        let within = |at: usize| floor_boundary(text, (at - line_start).min(text.len()));
        let column = text[..within(start)].chars().count();
        let columns = text[within(start)..within(end)].chars().count();
        Place {
            file: source.path.clone(),
            line: line as u32 + 1,
            column: column as u32 + 1,
            end_column: (column + columns) as u32 + 1,
            excerpt: Excerpt::cut(text, column, columns),
        }
    }

    fn source_of(&self, offset: usize) -> Option<&Source> {
        let after = self.list.partition_point(|source| source.base <= offset);
        self.list.get(after.checked_sub(1)?)
    }
}

/// The nearest char boundary of `text` at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_file_line_and_column() {
        let mut sources = Sources::default();
        let first = sources.add(Path::new("a"), "one\n".to_owned());
        let second = sources.add(Path::new("b"), "x = 1\r\nä = 2".to_owned());
        assert_eq!((first, second), (0, 5));
        let place = sources.place(&(second + 7..second + 9));
        assert_eq!(
            (
                place.file.as_path(),
                place.line,
                place.column,
                place.end_column
            ),
            (Path::new("b"), 2, 1, 2)
        );
        let place = sources.place(&(4..4));
        assert_eq!((place.line, place.column), (2, 1));
    }

    #[test]
    fn spans_outside_or_inside_a_char_do_no_harm() {
        let mut sources = Sources::default();
        assert_eq!(sources.place(&(3..9)), Place::default());
        sources.add(Path::new("a"), "ä".to_owned());
        assert_eq!(sources.place(&(1..99)).column, 1);
    }
}
