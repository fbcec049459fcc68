//! Everything found wrong so far, and the texts it was found in.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Place};
use super::source::Sources;

/// Collects [`Diagnostic`]s; a flood of them ends in a number.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// The texts.
    pub(super) sources: Sources,
    /// Whether a file could not be read whole. What seems missing may then stand in the part that
    /// was not understood, so that absence is no mistake.
    pub(super) incomplete: bool,
    list: Vec<Diagnostic>,
    omitted_errors: usize,
    omitted_warnings: usize,
}

/// More than anybody reads in one go.
const MAX_REPORTS: usize = 200;

impl Problems {
    /// Takes in one.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.list.push(diagnostic);
        } else if diagnostic.is_error() {
            self.omitted_errors += 1;
        } else {
            self.omitted_warnings += 1;
        }
    }

    /// Takes in one that says something is not there, unless it may only be unreadable.
    pub(super) fn report_absence(&mut self, diagnostic: Diagnostic) {
        if !self.incomplete {
            self.report(diagnostic);
        }
    }

    /// How many were taken in so far.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether any of those after the first `count` makes the configuration unusable.
    pub(super) fn any_error_from(&self, count: usize) -> bool {
        self.list[count..].iter().any(Diagnostic::is_error)
    }

    /// Puts those after the first `count` in the order of the files and of their places in them.
    pub(super) fn sort_from(&mut self, count: usize) {
        let sources = &self.sources;
        self.list[count..].sort_by_cached_key(|diagnostic| {
            let place = diagnostic.place.as_ref();
            place.map(|place| (sources.position(&place.file), place.line, place.column))
        });
    }

    /// Whether further ones are only counted; what is costly to find out need not be then.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_REPORTS
    }

    /// File, line and column of a span.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        if self.is_full() {
            return Place::default();
        }
        self.sources.place(span)
    }

    /// `diagnostic` with a guess at the word that was meant.
    pub(super) fn guess<'k>(
        &self,
        diagnostic: Diagnostic,
        word: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Diagnostic {
        if self.is_full() {
            return diagnostic;
        }
        diagnostic.suggest(word, known)
    }

    /// Whether the configuration is unusable.
    pub(super) fn any_error(&self) -> bool {
        self.omitted_errors > 0 || self.list.iter().any(Diagnostic::is_error)
    }

    /// All of them, in the order they were found.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        if self.omitted_errors > 0 {
            let message = format!("{} more errors are not shown", self.omitted_errors);
            self.list.push(Diagnostic::error("too-many", message));
        }
        if self.omitted_warnings > 0 {
            let message = format!("{} more warnings are not shown", self.omitted_warnings);
            self.list.push(Diagnostic::warning("too-many", message));
        }
        self.list
    }
}
