//! Patterns: regular expressions and wildcards, the section of the index and the view of it.
//!
//! The compiler reads a pattern ([`syntax`], [`wildcard`]), makes a program of it ([`program`])
//! and finds texts of which a name must hold one to match ([`literal`]). A look-up goes through
//! the name once and asks of each three octets in a row whether a text of some pattern has them; a
//! bit set answers "no" nearly always. Only where a whole text is in the name, the program of its
//! pattern runs. It does so in the octets of the section: nothing is compiled when an index is
//! opened, and no memory is taken for it, then or later.
//!
//! # The section
//!
//! ```text
//! head      nine numbers (u32): patterns, those tried for every name, bits of the bit set and of
//!           the buckets (as powers of two), texts, octets of these texts, sets, steps, octets of
//!           the patterns as written
//! patterns  for each, 20 octets: list (u16), flags (u8), kind (u8), modifiers (u32), where it is
//!           written (u32) and its length (u16), first step (u32) and number of steps (u16)
//!           Those of lists whose turn is first come first
//! always    the numbers (u16) of patterns that are tried for every name
//! bit set   of the hashes of three octets
//! buckets   where in the texts those with the same first bits of the hash begin (u32), and the end
//! texts     for each, 8 octets: pattern (u16), where in it the three octets are (u8), its length
//!           (u8), where it is written (u32)
//! written   the octets of the texts
//! sets      32 octets each, a bit for each octet there is
//! steps     3 octets each; see `program`
//! written   the patterns
//! table     encoded modifiers, each with its length in front
//! ```
//!
//! All numbers are little-endian. No patterns at all make an empty section.

mod build;
mod fault;
mod literal;
mod program;
mod syntax;
mod view;
mod walk;
mod wildcard;

pub use build::{DroppedPattern, Limits, PatternsBuilder, SinglePattern, Tried, Turn, check};
pub use fault::PatternFault;
pub use view::{PatternHit, Patterns};

use super::PatternKind;

/// The longest text of a pattern, in octets.
pub const MAX_TEXT: usize = 512;
/// The most steps of a pattern.
pub const MAX_STEPS: usize = 1000;
/// The most patterns that an index holds, whatever its limits.
pub const MAX_PATTERNS: usize = 4096;

/// Octets of a pattern's record.
const RECORD: usize = 20;
/// Octets of a text's record.
const TEXT: usize = 8;
/// Numbers in the head.
const HEAD: usize = 9;

/// In a record's flags, beside [`super::addresses`]' effect and importance.
const INVERTED: u8 = 4;
/// The list's [`Turn`] is first.
const FIRST: u8 = 8;

/// The hash of three octets, the first of them in the upper bits; its own first bits are used.
const fn hash_three(three: u32) -> u32 {
    (three & 0x00ff_ffff).wrapping_mul(0x9e37_79b1)
}

/// The first `bits` bits of a hash.
const fn first_bits(hash: u32, bits: u32) -> usize {
    (hash >> (32 - bits)) as usize
}

/// The kinds in the order of their numbers.
const KINDS: [PatternKind; 5] = [
    PatternKind::Regex,
    PatternKind::InvertedRegex,
    PatternKind::WildcardSubtree,
    PatternKind::WildcardExact,
    PatternKind::Substring,
];

#[cfg(test)]
mod tests;
