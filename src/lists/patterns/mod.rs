//! Patterns: regular expressions and wildcards, the section of the index and the view of it.

mod fault;

pub use fault::PatternFault;

use super::{Effect, ListId, Pattern, PatternKind};
use crate::name::NameRef;

/// What all patterns of all lists together may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many patterns; at most 65,535.
    pub patterns: usize,
    /// How many of them may be without a literal, so that every name has to be tried.
    pub always: usize,
    /// How many steps all of them may have once compiled.
    pub steps: usize,
    /// How many steps those without a literal may have.
    pub always_steps: usize,
}

/// When a pattern is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// When a text occurs in the name without which it cannot match.
    OnLiteral,
    /// For every name: nothing in it must occur.
    Always,
}

/// A pattern that matches a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternHit {
    /// Its number in the section, for [`Patterns::text`].
    pub number: u32,
    /// Which list.
    pub list: ListId,
    /// What it says about the name.
    pub effect: Effect,
    /// Whether it comes before exceptions of its list that are not important.
    pub important: bool,
    /// What [`Patterns::modifiers`] is to be asked for; none for nearly all.
    pub rule: Option<u32>,
}

/// Whether a pattern can be used at all; what a parser asks before it hands one out.
///
/// # Errors
/// Why not.
pub fn check(pattern: &Pattern) -> Result<Tried, PatternFault> {
    todo!()
}

/// Collects the patterns of all lists.
#[derive(Debug)]
pub struct PatternsBuilder {
    limits: Limits,
}

impl PatternsBuilder {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Takes a pattern of a list and says when it will be tried. One with `badfilter` takes back
    /// the same one without, whichever comes first.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn push(&mut self, list: ListId, pattern: &Pattern) -> Result<Tried, PatternFault> {
        todo!()
    }

    /// How many patterns, and how many of them are tried for every name.
    pub fn counts(&self) -> (usize, usize) {
        todo!()
    }

    /// The section; the same whatever order the patterns came in.
    pub fn finish(self) -> Vec<u8> {
        todo!()
    }
}

/// The patterns of an index, to be searched in the octets of their section.
#[derive(Clone, Debug, Default)]
pub struct Patterns {}

impl Patterns {
    /// Reads what is needed to search a section.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn open(section: &[u8]) -> Result<Self, String> {
        todo!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Calls `each` for every pattern that matches `name`, in the order of their numbers.
    pub fn look_up(&self, section: &[u8], name: NameRef<'_>, mut each: impl FnMut(PatternHit)) {
        todo!()
    }

    /// The encoded modifiers of a hit.
    pub fn modifiers<'s>(&self, section: &'s [u8], rule: u32) -> Option<&'s [u8]> {
        todo!()
    }

    /// How to read a pattern, and its text.
    pub fn text<'s>(&self, section: &'s [u8], number: u32) -> Option<(PatternKind, &'s str)> {
        todo!()
    }
}

/// The longest text of a pattern.
pub const MAX_TEXT: usize = 512;
/// The most steps of a pattern.
pub const MAX_STEPS: usize = 1000;
