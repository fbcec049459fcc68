//! Refusing a list that would do more harm than good.
//!
//! A list that somebody else keeps can break from one day to the next: a login page instead of a
//! list, half a file, a hundred thousand names where there were fifty, an entry `gov.uk`. [`Guard`]
//! looks at every entry while a list is read and says in the end whether to use it.
//!
//! Some names no subscribed list may take ([`Protected`]): the lifelines, where lists come from, how
//! devices tell that the net is there, well-known school and health sites
//! (`blocklists/protected.txt`). An entry that names one of them or a parent, or is below one that
//! is protected with all below it, is not obeyed, and told. A parent of a lifeline may be listed:
//! nothing blocks a lifeline anyway, and a list of shops has to name one that also keeps a time
//! server.
//!
//! One such entry is somebody's mistake and costs that entry. A list is refused when it has more of
//! them than [`MAX_PROTECTED`] and than one in a thousand, when nothing else is on it,
//! or when a single entry covers more protected names than that: it is not what it says it is.
//! (The worst of the public lists we looked at has twelve in 144,000 entries.)
//!
//! A sealed list has fingerprints instead of names. Where its key is at hand, those of the protected
//! names and of their parents are computed and compared.

mod effort;
mod protected;

use super::parse::Report;
use super::patterns::MAX_PATTERNS;
use super::sealed::SealKey;
use super::{Item, KEPT_ERRORS, LineNote, ListFault, ListKind};

pub use effort::Effort;
pub use protected::{Protected, Protection, SealedGuard, Taken};

/// From how many entries on a list must not shrink by [`MAX_CHANGE`], nor grow from ten times as many
/// on. Small lists are edited by hand and may do what they like.
const LARGE: u64 = 100;

/// By what factor a list may shrink or grow from one version to the next.
const MAX_CHANGE: u64 = 10;

/// How many entries may name what is protected before the list is refused, unless they are fewer
/// than one in a thousand. So many protected names may be covered by one entry.
const MAX_PROTECTED: u64 = 3;

/// Whether a list shrank or grew by so much that it is more likely broken than changed.
pub const fn is_collapse(then: u64, now: u64) -> bool {
    then >= LARGE && now < then / MAX_CHANGE || then >= LARGE * 10 && now / MAX_CHANGE > then
}

/// Why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no list at all.
    #[error(transparent)]
    Unreadable(#[from] ListFault),
    /// Nothing is on it.
    #[error("no entry in it")]
    Empty,
    /// It shrank or grew too much.
    #[error("{now} entries after {then}; that looks cut off or wrong")]
    Changed {
        /// Entries before.
        then: u64,
        /// Entries now.
        now: u64,
    },
    /// It names too much of what is protected.
    #[error("{entries} entries name what no list may take, such as `{first}`")]
    Protected {
        /// Such entries.
        entries: u64,
        /// A protected name among them.
        first: String,
    },
    /// One entry covers too much of what is protected.
    #[error("line {line} covers {names} names that no list may take, such as `{first}`")]
    Covers {
        /// The line, from 1.
        line: u32,
        /// Protected names below the entry.
        names: u64,
        /// One of them.
        first: String,
    },
}

impl Refusal {
    /// What is told of the list `id`: with the way round, where there is one.
    pub fn told(&self, id: &str) -> String {
        match self {
            Self::Changed { .. } => {
                format!("{self}; `hedgerow lists update --force {id}` takes it all the same")
            }
            _ => self.to_string(),
        }
    }
}

/// What a list that may be used lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Entries that name what is protected; they must not be obeyed.
    pub protected: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub notes: Vec<LineNote>,
}

/// Watches one list while it is read.
#[derive(Debug)]
pub struct Guard<'p> {
    protected: &'p Protected,
    kind: ListKind,
    passed: Passed,
    /// The first protected name that was named.
    first: String,
    patterns: usize,
    /// What is left for comparing them with what is protected.
    effort: Effort,
    /// Why the list is refused already.
    covers: Option<Refusal>,
    /// What is protected from a sealed list, if its key is known.
    sealed: SealedGuard<'p>,
}

impl<'p> Guard<'p> {
    /// A guard over a list of `kind`.
    pub fn new(protected: &'p Protected, kind: ListKind) -> Self {
        Self {
            protected,
            kind,
            passed: Passed::default(),
            first: String::new(),
            patterns: 0,
            effort: Effort::of_list(),
            covers: None,
            sealed: SealedGuard::default(),
        }
    }

    /// The same over a sealed list whose fingerprints are made with `key`.
    #[must_use]
    pub fn with_key(mut self, key: &SealKey) -> Self {
        self.sealed = self.protected.sealed_with(key);
        self
    }

    /// Whether `item`, which stands on `line`, may be obeyed.
    pub fn admits(&mut self, line: u32, item: &Item) -> bool {
        if matches!(self.kind, ListKind::Allow | ListKind::Lifeline) {
            return true;
        }
        if matches!(item, Item::Pattern(_)) {
            // An index takes no more.
            self.patterns += 1;
            if self.patterns > MAX_PATTERNS {
                return true;
            }
        }
        let taken = match item {
            Item::Sealed(fingerprint) => self.sealed.taken_by(fingerprint),
            _ => self.protected.taken_within(item, &mut self.effort),
        };
        let Some(taken) = taken else {
            return true;
        };
        if taken.unsure {
            // No mistake of the list; whoever compiles it leaves that out.
            return false;
        }
        if taken.count > MAX_PROTECTED && self.covers.is_none() {
            self.covers = Some(Refusal::Covers {
                line,
                names: taken.count,
                first: taken.name.to_string(),
            });
        }
        if taken.harmless {
            return true;
        }
        if self.passed.protected == 0 {
            self.first = taken.name.to_string();
        }
        self.passed.protected += 1;
        if self.passed.notes.len() < KEPT_ERRORS {
            let text = taken.told(self.kind, item);
            self.passed.notes.push(LineNote { line, text });
        }
        false
    }

    /// Whether the list may be used, now that all of it was read: `report` is what came of that,
    /// `then` how many entries it had before.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(self, report: &Report, then: Option<u64>) -> Result<Passed, Refusal> {
        if let Some(fault) = &report.failure {
            return Err(Refusal::Unreadable(fault.clone()));
        }
        if let Some(refusal) = self.covers {
            return Err(refusal);
        }
        let entries = self.passed.protected;
        // A long list has a few of them by accident.
        let many = entries > MAX_PROTECTED && entries.saturating_mul(1000) > report.entries;
        if many || (entries > 0 && entries == report.entries) {
            return Err(Refusal::Protected {
                entries,
                first: self.first,
            });
        }
        let now = report.entries;
        match then {
            Some(then) if is_collapse(then, now) => Err(Refusal::Changed { then, now }),
            _ => Ok(self.passed),
        }
    }
}

/// What the tests of both files share.
#[cfg(test)]
mod testing {
    use super::*;
    use crate::lists::ListFormat;
    use crate::name::Name;

    pub(super) fn protected() -> Protected {
        let mut protected = Protected::default();
        use Protection::{Exact, Lifeline, Subtree};
        for (name, how) in [
            ("help.example", Subtree),
            ("captive.example.com", Exact),
            ("time.example.com", Exact),
            ("one.gov.test", Exact),
            ("two.gov.test", Exact),
            ("three.gov.test", Exact),
            ("four.gov.test", Subtree),
            ("call.shop.example", Exact),
            ("call.shop.example", Lifeline),
        ] {
            protected.add(Name::parse(name).unwrap().as_ref(), how);
        }
        assert_eq!(protected.len(), 8);
        protected
    }

    /// The items of an adblock line.
    pub(super) fn items(line: &str) -> Vec<Item> {
        let mut items = Vec::new();
        ListFormat::Adblock
            .read_line(line.as_bytes(), &mut items)
            .unwrap();
        items
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{items, protected};
    use super::*;
    use crate::lists::parse::{ReadOptions, read_list};
    use crate::lists::{ListFormat, starter};

    #[test]
    fn a_parent_of_a_lifeline_may_be_listed() {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Block);
        assert!(guard.admits(1, &items("||shop.example^")[0]));
        assert!(!guard.admits(2, &items("||call.shop.example^")[0]));
        assert!(!guard.admits(3, &items("||a.call.shop.example^")[0]));
        assert!(!guard.admits(4, &items("||example.com^")[0]));
        assert_eq!(guard.passed.protected, 3);
    }

    fn judge(list: &str, then: Option<u64>) -> Result<Passed, Refusal> {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Block);
        let report = read_list(
            list.as_bytes(),
            &ReadOptions::format(ListFormat::Domains),
            |line, item| {
                guard.admits(line, item);
            },
        );
        guard.judge(&report, then)
    }

    fn many(count: usize) -> String {
        (0..count)
            .map(|number| format!("n{number}.test\n"))
            .collect()
    }

    #[test]
    fn one_mistake_costs_an_entry_and_four_the_list() {
        let passed = judge("help.example\na.test\n", None).unwrap();
        assert_eq!(passed.protected, 1);
        assert_eq!(
            passed.notes[0].to_string(),
            "line 1: `||help.example^` would take the protected name `help.example`"
        );
        let three = "help.example\na.help.example\nb.help.example\n";
        assert!(judge(&format!("{three}a.test\n"), None).is_ok());
        let four = format!("{three}c.help.example\n");
        let refusal = Refusal::Protected {
            entries: 4,
            first: "help.example".into(),
        };
        assert_eq!(judge(&(many(3_995) + &four), None).unwrap_err(), refusal);
        let passed = judge(&(many(3_996) + &four), None).unwrap();
        assert_eq!(passed.protected, 4);
        assert!(judge(three, None).is_err(), "nothing else is on it");
    }

    #[test]
    fn an_entry_for_half_a_country_costs_the_list() {
        let refusal = judge(&format!("{}gov.test\n", many(1000)), None).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "line 1001 covers 4 names that no list may take, such as `one.gov.test`"
        );
    }

    #[test]
    fn bad_lines_and_leaps_cost_the_list() {
        let bad = "no name\n".repeat(11);
        assert!(judge(&(many(11) + &bad), None).is_ok());
        assert!(matches!(
            judge(&(many(10) + &bad), None),
            Err(Refusal::Unreadable(_))
        ));
        assert!(matches!(
            judge("<html>\n", None),
            Err(Refusal::Unreadable(_))
        ));
        for (then, now, refused) in [
            (5_000, 1, true),
            (5_000, 600, false),
            (5_000, 60_000, true),
            (5_000, 40_000, false),
            (50, 1, false),
            (50, 5_000, false),
        ] {
            assert_eq!(is_collapse(then, now), refused);
        }
        assert_eq!(
            judge(&many(9), Some(100)).unwrap_err(),
            Refusal::Changed { then: 100, now: 9 }
        );
    }

    #[test]
    fn an_allowlist_may_name_what_it_likes() {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Allow);
        assert!(guard.admits(1, &items("||gov.test^")[0]));
    }

    #[test]
    fn no_list_of_ours_takes_what_is_protected() {
        let protected = Protected::starter();
        assert!(protected.len() > 700, "{}", protected.len());
        for &(file, content) in starter::STARTER {
            if ["lifelines.txt", "allow-children.txt", "background.txt"].contains(&file) {
                continue;
            }
            let mut guard = Guard::new(&protected, ListKind::Block);
            let report = read_list(content, &ReadOptions::default(), |line, item| {
                guard.admits(line, item);
            });
            let passed = guard.judge(&report, None);
            assert_eq!(passed, Ok(Passed::default()), "{file}");
        }
    }
}
