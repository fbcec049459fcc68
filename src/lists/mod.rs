//! Lists of names: parse them, compile them, search them.
//!
//! Text enters ([`parse`]), an exact [`Index`] leaves that tells for a name every list that names
//! it or a parent of it. One look-up serves every profile, tier and `explain`. The index knows
//! nothing of profiles; [`crate::policy`] decides what a hit means. This part uses no tokio and
//! nothing of the daemon.

use crate::verdict::Tier;

/// What a line of a list says about the names it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// The list's names are blocked (or allowed, for an allowlist): the list speaks.
    Listed,
    /// An exception (`@@`): the list takes back what it says elsewhere.
    Excepted,
}

/// Which names a line matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// The name and everything below it.
    Subtree,
    /// The name alone.
    Exact,
    /// Everything below the name, not the name.
    Below,
}

/// One line of a list, understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The name.
    pub name: crate::name::Name,
    /// Which names it matches.
    pub reach: Reach,
    /// What it says about them.
    pub effect: Effect,
}

/// A list as the index knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListInfo {
    /// Its id.
    pub id: &'static str,
    /// The category it fills.
    pub category: &'static str,
    /// What its names are for.
    pub kind: ListKind,
    /// The weight of its blocks.
    pub tier: Tier,
    /// Where it came from: a path, or `embedded`.
    pub origin: String,
    /// Its syntax, as given or detected.
    pub format: Option<ListFormat>,
    /// Lines understood.
    pub entries: u64,
    /// Lines not understood.
    pub bad_lines: u64,
    /// The first of them.
    pub first_errors: Vec<LineError>,
    /// Why nothing could be loaded, if so.
    pub failure: Option<String>,
}

/// A line that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub error: LineFault,
}

/// What the names of a list are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// Blocked for the profiles that block the category.
    Block,
    /// Allowed for the profiles that use the list.
    Allow,
    /// Never blocked for anybody.
    Lifeline,
}

/// The syntax of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListFormat {
    /// `0.0.0.0 name`.
    Hosts,
    /// A name a line.
    Domains,
    /// `*.name` a line.
    Wildcards,
    /// `||name^`, `@@||name^`.
    Adblock,
}

/// Why a line of a list says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It holds no domain name where one must stand.
    #[error(transparent)]
    Name(#[from] crate::name::NameError),
}
