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
//! them than [`GuardLimits::max_protected`] and than one in a thousand, when nothing else is on it,
//! or when a single entry covers more protected names than that: it is not what it says it is.
//! (The worst of the public lists we looked at has twelve in 144,000 entries.)

use std::collections::HashMap;

use super::parse::{ReadOptions, Report, read_list};
use super::patterns::{MAX_PATTERNS, SinglePattern};
use super::{
    Effect, Entry, Item, KEPT_ERRORS, LineNote, ListFault, ListFormat, ListKind, Pattern, Reach,
    starter,
};
use crate::name::{Name, NameRef};

/// From how many entries on a list must not shrink by [`GuardLimits::max_change`]. Small lists are
/// edited by hand and may do what they like.
const LARGE: u64 = 100;

/// What a new version of a list must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// By what factor a list may shrink (from 100 entries on) or grow (from 1,000 on) from one
    /// version to the next; 0 for any.
    pub max_change: u64,
    /// The most lines in a hundred that need not be understood. Of a short list ten may be bad.
    pub max_bad_percent: u8,
    /// How many entries may name what is protected before the list is refused, unless they are
    /// fewer than one in a thousand. So many protected names may be covered by one entry.
    pub max_protected: u64,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            max_change: 10,
            max_bad_percent: 50,
            max_protected: 3,
        }
    }
}

impl GuardLimits {
    /// Whether a list shrank or grew by so much that it is more likely broken than changed.
    pub const fn is_collapse(&self, then: u64, now: u64) -> bool {
        let factor = self.max_change;
        if factor == 0 {
            return false;
        }
        then >= LARGE && now < then / factor || then >= LARGE * 10 && now / factor > then
    }
}

/// Why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no list at all.
    #[error(transparent)]
    Unreadable(#[from] ListFault),
    /// Too little of it was understood.
    #[error("{bad} of {lines} lines not understood; {percent} in a hundred is the most")]
    BadLines {
        /// Lines not understood.
        bad: u64,
        /// Lines that are neither blank nor comments.
        lines: u64,
        /// The bound.
        percent: u8,
    },
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

/// Names that no subscribed list may take.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    /// The protected names and all their parents.
    nodes: HashMap<Name, Node>,
    names: Vec<Guarded>,
}

/// A protected name.
#[derive(Clone, Debug)]
struct Guarded {
    name: Name,
    how: Protection,
}

/// How a name is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// The name alone.
    Exact,
    /// The name and all below it.
    Subtree,
    /// The same, and nothing blocks it in the end.
    Lifeline,
}

/// What is known of a name that is protected or above one that is.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// How the name itself is protected, if it is.
    itself: Option<Protection>,
    /// How many protected names are below it.
    below: u32,
    /// How many of them would be lost if it were listed: those that are no lifelines.
    loses: u32,
    /// One of those that are meant, as a place in `names`.
    first: u32,
}

/// What an entry takes that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<'p> {
    /// A protected name that it takes.
    pub name: NameRef<'p>,
    /// How many.
    pub count: u64,
    /// Whether it does no harm: only lifelines are below it.
    pub harmless: bool,
}

impl Protected {
    /// The lifelines and the names of `blocklists/protected.txt`.
    pub fn starter() -> Self {
        let mut protected = Self::default();
        let mut read = |list: &[u8], how| {
            let options = ReadOptions::format(ListFormat::Domains);
            read_list(list, &options, |_, item| {
                if let Item::Name(entry) = item {
                    let exact = entry.reach == Reach::Exact;
                    let how = if exact { Protection::Exact } else { how };
                    protected.add(entry.name.as_ref(), how);
                }
            });
        };
        let lifelines = starter::content("lifelines.txt").unwrap_or_default();
        read(lifelines, Protection::Lifeline);
        read(PROTECTED, Protection::Subtree);
        protected
    }

    /// Protects `name`; of two ways the stronger holds.
    pub fn add(&mut self, name: NameRef<'_>, how: Protection) {
        if name.is_root() {
            return;
        }
        let place = self.names.len();
        let node = self.node(name, place);
        let before = node.itself.replace(how);
        if before.is_some_and(|before| before >= how) {
            node.itself = before;
            return;
        }
        match before {
            Some(_) => {
                let place = node.first as usize;
                if let Some(guarded) = self.names.get_mut(place) {
                    guarded.how = how;
                }
            }
            None => {
                node.first = u32::try_from(place).unwrap_or(u32::MAX);
                self.names.push(Guarded {
                    name: name.to_name(),
                    how,
                });
            }
        }
        let was_lost = before.is_some_and(|before| before != Protection::Lifeline);
        let is_lost = how != Protection::Lifeline;
        for parent in name.suffixes().skip(1) {
            let node = self.node(parent, place);
            node.below += u32::from(before.is_none());
            node.loses += u32::from(is_lost);
            node.loses -= u32::from(was_lost);
        }
    }

    /// Protects the server that a list comes from; a text that is no name is passed over.
    pub fn add_host(&mut self, host: &str) {
        if let Ok(name) = Name::parse(host) {
            self.add(name.as_ref(), Protection::Exact);
        }
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What is protected, and how.
    pub fn names(&self) -> impl Iterator<Item = (NameRef<'_>, Protection)> {
        self.names
            .iter()
            .map(|guarded| (guarded.name.as_ref(), guarded.how))
    }

    /// What `item` of a blocklist takes that it may not; none for nearly all.
    pub fn taken_by(&self, item: &Item) -> Option<Taken<'_>> {
        match item {
            Item::Name(entry) => self.taken_by_entry(entry),
            Item::Pattern(pattern) => self.taken_by_pattern(pattern),
            Item::Address(_) | Item::Sealed(_) => None,
        }
    }

    fn taken_by_entry(&self, entry: &Entry) -> Option<Taken<'_>> {
        if entry.effect == Effect::Excepted {
            return None;
        }
        let taken = self
            .taken_from_above(entry)
            .or_else(|| self.taken_from_below(entry.name.as_ref()))?;
        let Some(modifiers) = &entry.modifiers else {
            return Some(taken);
        };
        if modifiers.badfilter {
            return None;
        }
        if modifiers.denyallow.is_empty() {
            return Some(taken);
        }
        let spared = |name: NameRef<'_>| {
            let mut denied = modifiers.denyallow.iter();
            denied.any(|denied| name.is_within(denied.as_ref()))
        };
        let mut left = self
            .names
            .iter()
            .map(|guarded| guarded.name.as_ref())
            .filter(|name| name.is_within(entry.name.as_ref()) && !spared(*name));
        let name = left.next()?;
        let count = 1 + left.count() as u64;
        Some(Taken {
            name,
            count,
            ..taken
        })
    }

    /// What an entry takes that is a protected name or a parent of one.
    fn taken_from_above(&self, entry: &Entry) -> Option<Taken<'_>> {
        let node = self.nodes.get(entry.name.as_ref().as_wire())?;
        let (below, loses) = match entry.reach {
            Reach::Exact => (0, 0),
            Reach::Subtree | Reach::Below => (node.below, node.loses),
        };
        let itself = match (entry.reach, node.itself) {
            (_, None) | (Reach::Below, Some(Protection::Exact)) => false,
            (_, Some(_)) => true,
        };
        let count = u64::from(below) + u64::from(itself);
        let name = self.names.get(node.first as usize)?.name.as_ref();
        (count > 0).then_some(Taken {
            name,
            count,
            harmless: !itself && loses == 0,
        })
    }

    /// What an entry takes that lies below a protected name.
    fn taken_from_below(&self, name: NameRef<'_>) -> Option<Taken<'_>> {
        let above = name.suffixes().skip(1).find_map(|parent| {
            let node = self.nodes.get(parent.as_wire())?;
            (node.itself? != Protection::Exact).then_some(node)
        })?;
        Some(Taken {
            name: self.names.get(above.first as usize)?.name.as_ref(),
            count: 1,
            harmless: false,
        })
    }

    fn taken_by_pattern(&self, pattern: &Pattern) -> Option<Taken<'_>> {
        let ineffective = pattern.modifiers.as_ref().is_some_and(|it| it.badfilter);
        if pattern.effect == Effect::Excepted || ineffective {
            return None;
        }
        // One that cannot be used takes nothing.
        let pattern = SinglePattern::new(pattern).ok()?;
        let mut matched = self
            .names
            .iter()
            .filter(|guarded| pattern.matches(guarded.name.as_ref()));
        let first = matched.next()?;
        let (mut count, mut harmless) = (1, first.how == Protection::Lifeline);
        for guarded in matched {
            count += 1;
            harmless &= guarded.how == Protection::Lifeline;
        }
        Some(Taken {
            name: first.name.as_ref(),
            count,
            harmless,
        })
    }

    fn node(&mut self, name: NameRef<'_>, place: usize) -> &mut Node {
        self.nodes.entry(name.to_name()).or_insert(Node {
            itself: None,
            below: 0,
            loses: 0,
            first: u32::try_from(place).unwrap_or(u32::MAX),
        })
    }
}

/// Names that are protected besides the lifelines.
const PROTECTED: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/blocklists/protected.txt"
));

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
    limits: GuardLimits,
    passed: Passed,
    /// The first protected name that was named.
    first: String,
    patterns: usize,
    /// Why the list is refused already.
    covers: Option<Refusal>,
}

impl<'p> Guard<'p> {
    /// A guard over a list of `kind`.
    pub fn new(protected: &'p Protected, kind: ListKind, limits: GuardLimits) -> Self {
        Self {
            protected,
            kind,
            limits,
            passed: Passed::default(),
            first: String::new(),
            patterns: 0,
            covers: None,
        }
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
        let Some(taken) = self.protected.taken_by(item) else {
            return true;
        };
        if taken.count > self.limits.max_protected && self.covers.is_none() {
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
            // What stands on a sealed list is shown nowhere; what it must not take is no secret.
            let rule = match self.kind {
                ListKind::Sealed => "an entry".to_owned(),
                _ => format!("`{item}`"),
            };
            self.passed.notes.push(LineNote {
                line,
                text: format!("{rule} would take the protected name `{}`", taken.name),
            });
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
        let (bad, lines) = (report.bad_lines, report.lines);
        let percent = self.limits.max_bad_percent;
        if bad > 10 && bad.saturating_mul(100) > lines.saturating_mul(u64::from(percent)) {
            return Err(Refusal::BadLines {
                bad,
                lines,
                percent,
            });
        }
        if let Some(refusal) = self.covers {
            return Err(refusal);
        }
        let entries = self.passed.protected;
        // A long list has a few of them by accident.
        let many =
            entries > self.limits.max_protected && entries.saturating_mul(1000) > report.entries;
        if many || (entries > 0 && entries == report.entries) {
            return Err(Refusal::Protected {
                entries,
                first: self.first,
            });
        }
        let now = report.entries;
        match then {
            Some(then) if self.limits.is_collapse(then, now) => Err(Refusal::Changed { then, now }),
            _ => Ok(self.passed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::PatternKind;

    fn protected() -> Protected {
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
    fn items(line: &str) -> Vec<Item> {
        let mut items = Vec::new();
        ListFormat::Adblock
            .read_line(line.as_bytes(), &mut items)
            .unwrap();
        items
    }

    fn taken(line: &str) -> Option<(String, u64)> {
        let protected = protected();
        let items = items(line);
        let taken = protected.taken_by(&items[0])?;
        Some((taken.name.to_string(), taken.count))
    }

    #[test]
    fn what_is_protected_is_found_from_above_and_from_below() {
        for (line, name, count) in [
            ("||captive.example.com^", "captive.example.com", 1),
            ("|captive.example.com^", "captive.example.com", 1),
            ("||example.com^", "captive.example.com", 2),
            ("||gov.test^", "one.gov.test", 4),
            ("||help.example^", "help.example", 1),
            ("||www.help.example^", "help.example", 1),
            ("|a.b.help.example^", "help.example", 1),
        ] {
            assert_eq!(taken(line), Some((name.into(), count)), "{line}");
        }
        for line in [
            "||www.captive.example.com^",
            "|example.com^",
            "||help.example.com^",
            "||ads.example.com^",
            "||nothelp.example^",
            "@@||help.example^",
        ] {
            assert_eq!(taken(line), None, "{line}");
        }
    }

    #[test]
    fn a_parent_of_a_lifeline_may_be_listed() {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Block, GuardLimits::default());
        assert!(guard.admits(1, &items("||shop.example^")[0]));
        assert!(!guard.admits(2, &items("||call.shop.example^")[0]));
        assert!(!guard.admits(3, &items("||a.call.shop.example^")[0]));
        assert!(!guard.admits(4, &items("||example.com^")[0]));
        assert_eq!(guard.passed.protected, 3);
    }

    fn entry(name: &str, reach: Reach, modifiers: super::super::Modifiers) -> Item {
        Item::Name(Entry {
            name: Name::parse(name).unwrap(),
            reach,
            effect: Effect::Listed,
            modifiers: Some(Box::new(modifiers)),
        })
    }

    #[test]
    fn an_entry_that_spares_what_is_protected_takes_nothing() {
        use super::super::Modifiers;
        let denyallow = |names: &[&str]| Modifiers {
            denyallow: names
                .iter()
                .map(|name| Name::parse(name).unwrap())
                .collect(),
            ..Modifiers::default()
        };
        let protected = protected();
        let spared = denyallow(&["captive.example.com", "time.example.com"]);
        let item = entry("example.com", Reach::Subtree, spared);
        assert_eq!(protected.taken_by(&item), None);
        let item = entry(
            "example.com",
            Reach::Subtree,
            denyallow(&["time.example.com"]),
        );
        assert_eq!(protected.taken_by(&item).unwrap().count, 1);
        let badfilter = Modifiers {
            badfilter: true,
            ..Modifiers::default()
        };
        let item = entry("help.example", Reach::Subtree, badfilter);
        assert_eq!(protected.taken_by(&item), None);
        let item = entry("captive.example.com", Reach::Below, Modifiers::default());
        assert_eq!(protected.taken_by(&item), None);
    }

    #[test]
    fn patterns_are_held_against_what_is_protected() {
        let protected = protected();
        let count = |kind, text: &str| {
            let item = Item::Pattern(Pattern {
                kind,
                text: text.to_owned(),
                effect: Effect::Listed,
                modifiers: None,
            });
            protected.taken_by(&item).map_or(0, |taken| taken.count)
        };
        for (kind, text, expected) in [
            (PatternKind::Regex, "^captive\\.", 1),
            (PatternKind::Regex, "GOV", 4),
            (PatternKind::Regex, "(", 0),
            (PatternKind::InvertedRegex, "gov", 4),
            (PatternKind::WildcardSubtree, "*.test", 4),
            (PatternKind::WildcardSubtree, "t*.example.com", 1),
            (PatternKind::WildcardExact, "captive*com", 1),
            (PatternKind::Substring, "|t*.", 3),
            (PatternKind::Substring, "-ads-", 0),
        ] {
            assert_eq!(count(kind, text), expected, "{kind:?} {text}");
        }
    }

    fn judge(list: &str, then: Option<u64>) -> Result<Passed, Refusal> {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Block, GuardLimits::default());
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
        let limits = GuardLimits {
            max_bad_percent: 5,
            ..GuardLimits::default()
        };
        let protected = Protected::default();
        let guard = Guard::new(&protected, ListKind::Block, limits);
        let list = format!("{}{bad}", many(100));
        let report = read_list(
            list.as_bytes(),
            &ReadOptions::format(ListFormat::Domains),
            |_, _| {},
        );
        assert_eq!(
            guard.judge(&report, None).unwrap_err().to_string(),
            "11 of 111 lines not understood; 5 in a hundred is the most"
        );
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
            assert_eq!(GuardLimits::default().is_collapse(then, now), refused);
        }
        assert_eq!(
            judge(&many(9), Some(100)).unwrap_err(),
            Refusal::Changed { then: 100, now: 9 }
        );
    }

    #[test]
    fn an_allowlist_may_name_what_it_likes() {
        let protected = protected();
        let mut guard = Guard::new(&protected, ListKind::Allow, GuardLimits::default());
        assert!(guard.admits(1, &items("||gov.test^")[0]));
    }

    #[test]
    fn no_list_of_ours_takes_what_is_protected() {
        let protected = Protected::starter();
        assert!(protected.len() > 700, "{}", protected.len());
        for &(file, content) in starter::STARTER {
            if ["lifelines.txt", "allow-children.txt"].contains(&file) {
                continue;
            }
            let mut guard = Guard::new(&protected, ListKind::Block, GuardLimits::default());
            let report = read_list(content, &ReadOptions::default(), |line, item| {
                guard.admits(line, item);
            });
            let passed = guard.judge(&report, None);
            assert_eq!(passed, Ok(Passed::default()), "{file}");
        }
    }

    #[test]
    fn every_line_of_the_protected_names_is_understood() {
        let list = include_bytes!("../../blocklists/protected.txt");
        let report = read_list(&list[..], &ReadOptions::default(), |_, _| {});
        assert_eq!(report.first_errors, []);
        let protected = Protected::starter();
        let name = Name::parse("www.msftconnecttest.com").unwrap();
        assert!(protected.names().any(|(other, _)| other == name.as_ref()));
    }
}
