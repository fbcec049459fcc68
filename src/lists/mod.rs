//! Lists of names: parse them, compile them, search them.
//!
//! Text enters ([`parse`]), an exact [`Index`] leaves that tells for a name every list that names
//! it or a parent of it. One look-up serves every profile, tier and `explain`. The index knows
//! nothing of profiles; [`crate::policy`] decides what a hit means. This part uses no tokio and
//! nothing of the daemon.
//!
//! Read [`compile`] first: it is the whole way from a list's source to the index.

pub mod addresses;
mod compile;
pub mod export;
mod fault;
pub mod guard;
mod index;
pub mod modifiers;
pub mod parse;
pub mod patterns;
mod posting;
mod rule;
pub mod sealed;
pub mod services;
pub mod starter;

use std::borrow::Cow;
use std::fmt;

use crate::verdict::Tier;

pub use compile::{
    Accepted, CompileError, Difference, Dropped, IndexBuilder, Line, ListSource, ListSpec, Outcome,
    Progress, PublicSuffix, Settings, Stage, Target, VerifyReport, compile, compile_in_memory,
    let_others_go_first, lines_about, open, public_suffix, recipe, take_what_others_leave, verify,
};
pub use fault::{LineFault, ListFault, Unsupported};
pub use index::{
    Contents, Hit, Index, IndexError, IndexFault, IndexWriter, ListId, MakeScratch, Matcher,
    RuleId, Section, Totals, WriteError,
};
pub use modifiers::ActionKind;
pub use parse::Head;
pub use posting::{Posting, canonical_order};
pub use rule::{
    Action, AddressEntry, Asker, Client, Condition, Effect, Entry, Fingerprint, Item, Modifiers,
    Pattern, PatternKind, Reach,
};

/// How many bad lines of a list are kept word for word; the rest is counted.
pub const KEPT_ERRORS: usize = 20;

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
    /// The title of the service whose names it holds, if it is one; the ids are the same.
    pub service: Option<&'static str>,
    /// Where it came from: a path, or `embedded`, or `configuration`.
    pub origin: Cow<'static, str>,
    /// Its syntax, as given or detected.
    pub format: Option<ListFormat>,
    /// What it says of itself, if anything.
    pub head: Option<Box<Head>>,
    /// Entries loaded; a hosts line may hold several.
    pub entries: u64,
    /// Lines not understood.
    pub bad_lines: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub first_errors: Vec<LineNote>,
    /// Lines that were understood and do not count, or not in full: those that would take a
    /// protected name, those there is no room for, and those that name a public suffix of a company
    /// (`github.io`), of which the name alone was taken. Those of registries (`co.uk`) are among the
    /// lines not understood.
    pub flagged_lines: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub first_flags: Vec<LineNote>,
    /// SHA-256 of its source as it was read: of the file, not of what is unpacked from it.
    /// None of a service, which came with the program.
    pub sha256: Option<[u8; 32]>,
    /// Why nothing could be loaded, if so, with the list's path.
    pub failure: Option<String>,
    /// Why what it holds is what it said before, if so: its source cannot be read any more.
    pub stale: Option<String>,
}

impl ListInfo {
    /// Whether its lines stand in the household's configuration.
    pub fn is_own(&self) -> bool {
        self.origin == compile::OWN
    }

    /// A list of which nothing was read yet.
    pub fn new(id: &'static str, category: &'static str, kind: ListKind, tier: Tier) -> Self {
        Self {
            id,
            category,
            kind,
            tier,
            service: None,
            origin: Cow::Borrowed(""),
            format: None,
            head: None,
            entries: 0,
            bad_lines: 0,
            first_errors: Vec::new(),
            flagged_lines: 0,
            first_flags: Vec::new(),
            sha256: None,
            failure: None,
            stale: None,
        }
    }
}

impl fmt::Display for ListInfo {
    /// One line with what was loaded, then one for each bad line that was kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list `{}`", self.id)?;
        match (&self.failure, self.format) {
            (Some(failure), _) => write!(f, " not loaded: {failure}")?,
            (None, Some(format)) => {
                write!(
                    f,
                    " from {}: {} ({format})",
                    self.origin,
                    counted(self.entries, "entry", "entries"),
                )?;
                if self.bad_lines > 0 {
                    let lines = counted(self.bad_lines, "line", "lines");
                    write!(f, ", {lines} not understood")?;
                }
            }
            (None, None) => write!(f, " from {}: not read", self.origin)?,
        }
        for error in &self.first_errors {
            write!(f, "\n  {error}")?;
        }
        match self
            .bad_lines
            .saturating_sub(self.first_errors.len() as u64)
        {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A number with its noun.
fn counted(count: u64, one: &'static str, many: &'static str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{count} {}", if count == 1 { one } else { many }))
}

/// A line that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    #[source]
    pub error: LineFault,
}

/// What is said about a line of a list, in words that can be kept in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineNote {
    /// The line, from 1; 0 where nobody knows.
    pub line: u32,
    /// What is wrong with it; without a character that a terminal would act on.
    pub text: String,
}

impl fmt::Display for LineNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.text),
            line => write!(f, "line {line}: {}", self.text),
        }
    }
}

impl From<&LineError> for LineNote {
    fn from(error: &LineError) -> Self {
        Self {
            line: error.line,
            text: error.error.to_string(),
        }
    }
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
    /// Blocked for everybody, with no household switch: hotline material, legal orders. Its names
    /// are shown nowhere.
    Sealed,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Block, Self::Allow, Self::Lifeline, Self::Sealed];

    /// The word for it in configuration and list heads.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
            Self::Lifeline => "lifeline",
            Self::Sealed => "sealed",
        }
    }
}

/// The syntax of a list.
///
/// In all of them a name covers itself and everything below it, so that the same list in another
/// syntax means the same; `=name` and adblock's `|name^` alone mean the name and nothing more.
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
    /// dnsmasq's `address=/name/`, `server=/name/`, `local=/name/`.
    Dnsmasq,
    /// unbound's `local-zone:` and `local-data:`.
    Unbound,
    /// A response policy zone.
    Rpz,
    /// Pi-hole's regular expressions, one a line.
    Regex,
    /// Fingerprints of names; see [`sealed`].
    Sealed,
}

impl ListFormat {
    /// All of them, the plainest first.
    pub const ALL: [Self; 9] = [
        Self::Domains,
        Self::Hosts,
        Self::Wildcards,
        Self::Adblock,
        Self::Dnsmasq,
        Self::Unbound,
        Self::Rpz,
        Self::Regex,
        Self::Sealed,
    ];

    /// The word for it in configuration and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Domains => "domains",
            Self::Wildcards => "wildcards",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
            Self::Rpz => "rpz",
            Self::Regex => "regex",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for ListFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn an_entry_prints_as_the_rule_it_is() {
        let entry = |reach, effect| Entry {
            name: Name::parse("example.org").unwrap(),
            reach,
            effect,
            modifiers: None,
        };
        for (reach, effect, text) in [
            (Reach::Subtree, Effect::Listed, "||example.org^"),
            (Reach::Exact, Effect::Listed, "|example.org^"),
            (Reach::Below, Effect::Excepted, "@@||*.example.org^"),
        ] {
            assert_eq!(entry(reach, effect).to_string(), text);
        }
    }

    #[test]
    fn a_list_reports_what_it_lost() {
        let mut info = ListInfo::new("ads", "ads", ListKind::Block, Tier::Lists);
        info.origin = "/lists/ads.txt".into();
        assert_eq!(info.to_string(), "list `ads` from /lists/ads.txt: not read");
        info.format = Some(ListFormat::Hosts);
        info.entries = 7;
        info.bad_lines = 2;
        let error = LineError {
            line: 3,
            error: LineFault::NoName,
        };
        info.first_errors = vec![LineNote::from(&error)];
        assert_eq!(
            info.to_string(),
            "list `ads` from /lists/ads.txt: 7 entries (hosts), 2 lines not understood\n  \
             line 3: an address without a name\n  and 1 more"
        );
    }
}
