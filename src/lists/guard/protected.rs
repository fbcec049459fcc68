//! The names that no subscribed list may take, and what of them an entry would take.

use std::collections::HashMap;

use crate::lists::parse::{ReadOptions, read_list};
use crate::lists::patterns::{self, Patterns, PatternsBuilder};
use crate::lists::{Effect, Entry, Item, ListFormat, ListId, Pattern, Reach, starter};
use crate::name::{Name, NameRef};

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
        // What cannot be used matches nothing either.
        let mut builder = PatternsBuilder::new(patterns::Limits::default());
        builder.push(ListId(0), pattern).ok()?;
        let section = builder.finish();
        let patterns = Patterns::open(&section).ok()?;
        let matches = |guarded: &&Guarded| {
            let mut found = false;
            patterns.look_up(&section, guarded.name.as_ref(), |_| found = true);
            found
        };
        let mut matched = self.names.iter().filter(matches);
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
        let first = u32::try_from(place).unwrap_or(u32::MAX);
        let unknown = || Node {
            itself: None,
            below: 0,
            loses: 0,
            first,
        };
        self.nodes.entry(name.to_name()).or_insert_with(unknown)
    }
}

/// Names that are protected besides the lifelines.
const PROTECTED: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/blocklists/protected.txt"
));

#[cfg(test)]
mod tests {
    use super::super::testing::{items, protected};
    use super::*;
    use crate::lists::{Modifiers, PatternKind};

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

    fn entry(name: &str, reach: Reach, modifiers: Modifiers) -> Item {
        Item::Name(Entry {
            name: Name::parse(name).unwrap(),
            reach,
            effect: Effect::Listed,
            modifiers: Some(Box::new(modifiers)),
        })
    }

    #[test]
    fn an_entry_that_spares_what_is_protected_takes_nothing() {
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

    #[test]
    fn every_line_of_the_protected_names_is_understood() {
        let report = read_list(PROTECTED, &ReadOptions::default(), |_, _| {});
        assert_eq!(report.first_errors, []);
        let protected = Protected::starter();
        let name = Name::parse("www.msftconnecttest.com").unwrap();
        assert!(protected.names().any(|(other, _)| other == name.as_ref()));
    }
}
