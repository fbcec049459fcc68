//! What a look-up tells.

use crate::lists::{Effect, Reach};

/// The place of a list in an [`super::Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(pub u16);

/// A line of a list that matches a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which list.
    pub list: ListId,
    /// Which names the line matches.
    pub reach: Reach,
    /// What it says about them.
    pub effect: Effect,
    /// How many labels the name has that the line names; more is more specific. A pattern counts
    /// as the whole name. Of an address, how many bits its prefix has.
    pub labels: u8,
    /// Whether the line comes before exceptions of its list that are not important.
    pub important: bool,
    /// What restricts or changes the line, to be asked of [`super::Index::applies`]; none for
    /// nearly all.
    pub rule: Option<RuleId>,
    /// How the line came to match.
    pub by: Matcher,
}

/// The place of a line's modifiers in an [`super::Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// How a line of a list matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matcher {
    /// It names the name or a parent.
    Name,
    /// Its pattern, the one with this number, matches.
    Pattern(u32),
    /// Its fingerprint is the name's or a parent's. Which must be shown nowhere.
    Fingerprint,
    /// Its prefix holds the address.
    Address,
}
