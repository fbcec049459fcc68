//! The names that no subscribed list may take, and what of them an entry would take.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::effort::Effort;
use crate::lists::modifiers::decode;
use crate::lists::parse::{ReadOptions, read_list};
use crate::lists::patterns::SinglePattern;
use crate::lists::sealed::SealKey;
use crate::lists::{
    Effect, Entry, Fingerprint, Item, ListFormat, ListKind, Modifiers, Pattern, Posting, Reach,
    starter,
};
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
    /// Whether nobody knows: it takes too long to find out.
    pub unsure: bool,
}

impl Taken<'_> {
    /// What is told of `item`, which takes it, of a list of `kind`.
    pub fn told(&self, kind: ListKind, item: impl fmt::Display) -> String {
        let name = self.name;
        match kind {
            _ if self.unsure && kind != ListKind::Sealed => {
                format!("`{item}` takes too long to be compared with the protected names")
            }
            // What stands on a sealed list is shown nowhere; what it must not take is no secret.
            ListKind::Sealed => format!("an entry would take the protected name `{name}`"),
            _ => format!("`{item}` would take the protected name `{name}`"),
        }
    }
}

/// What is protected, by the fingerprints that one key makes.
#[derive(Clone, Debug, Default)]
pub struct SealedGuard<'p>(HashMap<Fingerprint, Taken<'p>>);

impl<'p> SealedGuard<'p> {
    /// What an entry of a sealed list takes that it may not.
    pub fn taken_by(&self, fingerprint: &Fingerprint) -> Option<Taken<'p>> {
        self.0.get(fingerprint).copied()
    }

    /// The protected names that a list takes which has the fingerprints of which `is_listed` says so,
    /// one for each.
    pub fn taken(&self, is_listed: impl Fn(&Fingerprint) -> bool) -> Vec<NameRef<'p>> {
        let listed = self
            .0
            .iter()
            .filter(|(fingerprint, _)| is_listed(fingerprint));
        listed.map(|(_, taken)| taken.name).collect()
    }
}

impl Protected {
    /// The lifelines and the names of `blocklists/protected.txt`. They are read once, which takes
    /// milliseconds on a router, and cost some 100 kB from then on.
    pub fn starter() -> Self {
        static STARTER: LazyLock<Protected> = LazyLock::new(Protected::read_starter);
        STARTER.clone()
    }

    fn read_starter() -> Self {
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
        for parent in name.suffixes().skip(1).chain([NameRef::ROOT]) {
            let node = self.node(parent, place);
            node.below += u32::from(before.is_none());
            node.loses += u32::from(is_lost);
            node.loses -= u32::from(was_lost);
        }
    }

    /// The same, and the servers of these addresses (`https://…`): where lists come from.
    pub fn with_servers<'u>(urls: impl IntoIterator<Item = &'u str>) -> Self {
        let mut protected = Self::starter();
        urls.into_iter().for_each(|url| protected.add_server(url));
        protected
    }

    /// Protects the server of an address; one whose host is no name is passed over.
    fn add_server(&mut self, url: &str) {
        let host = || {
            let (_, rest) = url.split_once("://")?;
            let server = rest.split(['/', '?', '#']).next()?;
            server.rsplit('@').next()?.split(':').next()
        };
        if let Some(Ok(name)) = host().map(Name::parse) {
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

    /// A hash over what is protected, and how.
    pub fn hash(&self) -> [u8; 32] {
        let mut all: Vec<(&[u8], Protection)> = self
            .names
            .iter()
            .map(|guarded| (guarded.name.as_ref().as_wire(), guarded.how))
            .collect();
        all.sort_unstable();
        let mut hash = Sha256::new();
        for (wire, how) in all {
            hash.update(wire);
            hash.update([how as u8]);
        }
        hash.finalize().into()
    }

    /// What `item` of a blocklist takes that it may not; none for nearly all.
    pub fn taken_by(&self, item: &Item) -> Option<Taken<'_>> {
        self.taken_within(item, &mut Effort::of_list())
    }

    /// The same of an item of a list that has that `effort` left.
    pub fn taken_within(&self, item: &Item, effort: &mut Effort) -> Option<Taken<'_>> {
        match item {
            Item::Name(entry) => self.taken_by_entry(entry, entry.reach),
            Item::Pattern(pattern) => self.taken_by_pattern(pattern, effort),
            Item::Address(_) | Item::Sealed(_) => None,
        }
    }

    /// What `entry` of a blocklist takes that it may not, where `reach` is what is made of its own.
    pub fn taken_by_entry(&self, entry: &Entry, reach: Reach) -> Option<Taken<'_>> {
        let name = entry.name.as_ref();
        let (itself, above) = self.find(name);
        if itself.is_none() && above.is_none() {
            return None;
        }
        let modifiers = entry.modifiers.as_deref();
        if entry.effect == Effect::Excepted || modifiers.is_some_and(|it| it.badfilter) {
            return None;
        }
        if modifiers.is_some_and(|it| !it.denyallow.is_empty()) {
            return self.taken_sparingly(entry, reach, above);
        }
        let from_above = itself.and_then(|node| self.taken_from_above(reach, node));
        match above {
            // Whatever is below it, too.
            Some(above) => Some(Taken {
                name: self.name_of(above)?,
                count: from_above.map_or(1, |taken| taken.count + 1),
                harmless: false,
                unsure: false,
            }),
            None => from_above,
        }
    }

    /// What an index says of `name` that it may not: it was compiled when less was protected.
    pub fn taken_by_posting(&self, name: NameRef<'_>, posting: &Posting<'_>) -> Option<Taken<'_>> {
        let (itself, above) = self.find(name);
        if itself.is_none() && above.is_none() {
            return None;
        }
        let entry = Entry {
            name: name.to_name(),
            reach: posting.reach,
            effect: posting.effect,
            modifiers: posting.modifiers.and_then(decode).map(Box::new),
        };
        self.taken_by_entry(&entry, posting.reach)
    }

    /// What fingerprints made with `key` would take: each covers a name with all below it. Names
    /// below a protected one have fingerprints that nobody can tell.
    pub fn sealed_with(&self, key: &SealKey) -> SealedGuard<'_> {
        let harms = self.nodes.iter().filter_map(|(name, node)| {
            let taken = self.taken_from_above(Reach::Subtree, node)?;
            let fingerprint = key.fingerprint(name.as_ref());
            (!taken.harmless).then_some((fingerprint, taken))
        });
        SealedGuard(harms.collect())
    }

    /// What is known of `name`, and of the parent of it that is protected with all below it.
    fn find(&self, name: NameRef<'_>) -> (Option<&Node>, Option<&Node>) {
        let wire = name.as_wire();
        let mut begins = [0_u8; 128];
        let (mut at, mut labels) = (0, 0);
        while let Some(length) = wire.get(at).filter(|length| **length > 0)
            && let Some(place) = begins.get_mut(labels)
        {
            // A name has at most 255 octets.
            *place = at as u8;
            at += 1 + usize::from(*length);
            labels += 1;
        }
        let mut above = None;
        let mut known = self.nodes.get(NameRef::ROOT.as_wire());
        // From the root down: below a name that is no parent of a protected one, none is.
        for begin in begins.iter().take(labels).rev() {
            let Some(parent) = known else {
                return (None, above);
            };
            if matches!(parent.itself, Some(how) if how != Protection::Exact) {
                above = above.or(Some(parent));
            }
            known = self
                .nodes
                .get(wire.get(usize::from(*begin)..).unwrap_or_default());
        }
        (known, above)
    }

    fn name_of(&self, node: &Node) -> Option<NameRef<'_>> {
        let guarded = self.names.get(node.first as usize)?;
        Some(guarded.name.as_ref())
    }

    /// What an entry takes that is a protected name or a parent of one, of which `node` is known.
    fn taken_from_above(&self, reach: Reach, node: &Node) -> Option<Taken<'_>> {
        let (below, loses) = match reach {
            Reach::Exact => (0, 0),
            Reach::Subtree | Reach::Below => (node.below, node.loses),
        };
        let itself = match (reach, node.itself) {
            (_, None) | (Reach::Below, Some(Protection::Exact)) => false,
            (_, Some(_)) => true,
        };
        let count = u64::from(below) + u64::from(itself);
        let name = self.name_of(node)?;
        (count > 0).then_some(Taken {
            name,
            count,
            harmless: !itself && loses == 0,
            unsure: false,
        })
    }

    /// What an entry takes that spares some names (`denyallow`) and lies below the protected name
    /// `above`, if below one.
    fn taken_sparingly(
        &self,
        entry: &Entry,
        reach: Reach,
        above: Option<&Node>,
    ) -> Option<Taken<'_>> {
        let name = entry.name.as_ref();
        let spared = |name: NameRef<'_>| is_spared(entry.modifiers.as_deref(), name);
        // Whatever it spares below itself: the rest of it is below a protected name.
        let from_below = above.filter(|_| !spared(name));
        let takes = |guarded: &&Guarded| {
            let protected = guarded.name.as_ref();
            let reached = match reach {
                Reach::Exact => protected == name,
                Reach::Below if protected == name => guarded.how != Protection::Exact,
                Reach::Subtree | Reach::Below => protected.is_within(name),
            };
            reached && !spared(protected)
        };
        let taken = self.names.iter().filter(takes);
        let from_above = gather(taken.map(|guarded| (guarded, guarded.name.as_ref() == name)));
        match from_below {
            Some(above) => Some(Taken {
                name: self.name_of(above)?,
                count: from_above.map_or(1, |taken| taken.count + 1),
                harmless: false,
                unsure: false,
            }),
            None => from_above,
        }
    }

    /// What a pattern of a list takes that it may not, where the list has that `effort` left.
    pub fn taken_by_pattern(&self, pattern: &Pattern, effort: &mut Effort) -> Option<Taken<'_>> {
        let ineffective = pattern.modifiers.as_ref().is_some_and(|it| it.badfilter);
        if pattern.effect == Effect::Excepted || ineffective {
            return None;
        }
        // What cannot be used matches nothing either.
        let single = SinglePattern::new(pattern).ok()?;
        let mut part = effort.of_pattern();
        let mut taken = Vec::new();
        for guarded in &self.names {
            let name = guarded.name.as_ref();
            match part.matches(&single, name) {
                None => {
                    return Some(Taken {
                        name,
                        count: 1,
                        harmless: false,
                        unsure: true,
                    });
                }
                Some(true) if !is_spared(pattern.modifiers.as_deref(), name) => {
                    taken.push((guarded, false));
                }
                Some(_) => {}
            }
        }
        gather(taken.into_iter())
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

/// Whether an entry with these modifiers spares `name`.
fn is_spared(modifiers: Option<&Modifiers>, name: NameRef<'_>) -> bool {
    let mut spared = modifiers.iter().flat_map(|it| &it.denyallow);
    spared.any(|spared| name.is_within(spared.as_ref()))
}

/// These names together; beside each whether it is the entry's own, which does harm to a lifeline
/// too.
fn gather<'p>(taken: impl Iterator<Item = (&'p Guarded, bool)>) -> Option<Taken<'p>> {
    let mut all: Option<Taken<'p>> = None;
    for (guarded, its_own) in taken {
        let before = all.take();
        all = Some(Taken {
            name: before.map_or(guarded.name.as_ref(), |it| it.name),
            count: before.map_or(0, |it| it.count) + 1,
            harmless: before.is_none_or(|it| it.harmless)
                && guarded.how == Protection::Lifeline
                && !its_own,
            unsure: false,
        });
    }
    all
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
    use crate::lists::PatternKind;

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
    fn what_an_entry_below_a_protected_name_spares_does_not_save_it() {
        let denyallow = |text: &str| Modifiers {
            denyallow: vec![Name::parse(text).unwrap()],
            ..Modifiers::default()
        };
        let protected = protected();
        for (name, reach, spared, count) in [
            ("www.help.example", Reach::Subtree, "x.www.help.example", 1),
            ("www.help.example", Reach::Subtree, "other.example", 1),
            ("www.help.example", Reach::Below, "x.www.help.example", 1),
            ("help.example", Reach::Subtree, "www.help.example", 1),
            ("help.example", Reach::Below, "www.help.example", 1),
            ("www.help.example", Reach::Subtree, "help.example", 0),
            ("captive.example.com", Reach::Below, "a.example.com", 0),
            ("example.com", Reach::Exact, "a.example.com", 0),
            // Only the lifeline is left, and that does no harm.
            ("shop.example", Reach::Subtree, "a.example", 1),
        ] {
            let item = entry(name, reach, denyallow(spared));
            let taken = protected.taken_by(&item);
            let found = taken.map_or(0, |taken| taken.count);
            assert_eq!(found, count, "{name} {reach:?} {spared}");
            let harmless = taken.is_some_and(|taken| taken.harmless);
            assert_eq!(harmless, name == "shop.example", "{name}");
        }
        let item = entry("call.shop.example", Reach::Subtree, denyallow("a.example"));
        assert!(!protected.taken_by(&item).unwrap().harmless);
        let item = Item::Pattern(Pattern {
            kind: PatternKind::Substring,
            text: "gov".to_owned(),
            effect: Effect::Listed,
            modifiers: Some(Box::new(denyallow("one.gov.test"))),
        });
        assert_eq!(protected.taken_by(&item).unwrap().count, 3);
    }

    #[test]
    fn where_lists_come_from_is_protected() {
        let protected = Protected::with_servers([
            "https://lists.test/a.txt?x=http://other.test/",
            "http://user@signed.test:8080",
            "https://[2001:db8::1]/list",
            "no address",
        ]);
        let has = |name: &str| {
            let item = entry(name, Reach::Subtree, Modifiers::default());
            protected.taken_by(&item).is_some()
        };
        assert!(has("lists.test") && has("signed.test"));
        assert!(!has("other.test") && !has("user"));
        assert_eq!(protected.len(), Protected::starter().len() + 2);
        assert_ne!(protected.hash(), Protected::starter().hash());
        assert_eq!(
            Protected::starter().hash(),
            Protected::with_servers([]).hash()
        );
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
