//! A look so short that it can be had for every name: which small tables surely have nothing to say
//! about it?
//!
//! A household's tables are small, and nearly no name stands in them. Asking each of them about a
//! name and each of its parents costs more than the look-up among a million names that goes with it;
//! so one look at eight octets of each of these, and its length, comes before all of them.

use super::canary::CANARIES;
use super::rules::RuleBook;
use super::safe_search::SafeSearch;
use super::unusual;
use crate::name::NameRef;

/// Places of a gate, an octet each: with a thousand names one look in thirty is in vain.
const PLACES: usize = 1 << 15;

/// A rule may be about the name or one above it.
const RULE: u8 = 1;
/// The name may have a safe form.
const SAFE_FORM: u8 = 1 << 1;
/// The name may be a canary.
const CANARY: u8 = 1 << 2;
/// A name beside it may have a safe form, and so may this one if it only has a number more:
/// `www4.bing.com` is one more machine of `www.bing.com` ([`SafeSearch::find`]).
const SIBLING: u8 = 1 << 5;
/// A label is written in another script (RFC 5890).
const OTHER_SCRIPT: u8 = 1 << 3;
/// A label is so long that it may be an unusual one.
const LONG_LABEL: u8 = 1 << 4;

/// The names of all small tables, in a form that says "surely not", or "perhaps".
#[derive(Clone, Debug)]
pub struct Gate(Box<[u8; PLACES]>);

/// Which tables may have something to say about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speakers(u8);

impl Speakers {
    pub(super) const fn rules(self) -> bool {
        self.0 & RULE != 0
    }

    pub(super) const fn safe_forms(self) -> bool {
        self.0 & SAFE_FORM != 0
    }

    pub(super) const fn canaries(self) -> bool {
        self.0 & CANARY != 0
    }

    /// Whether a label is so long that it may be an unusual one.
    pub(super) const fn has_long_label(self) -> bool {
        self.0 & LONG_LABEL != 0
    }

    /// Whether a label is written in another script.
    pub(super) const fn is_in_other_script(self) -> bool {
        self.0 & OTHER_SCRIPT != 0
    }
}

impl Gate {
    /// The gate before these tables.
    pub fn new(rules: &RuleBook, safe_search: &SafeSearch) -> Self {
        let canaries = CANARIES
            .iter()
            .filter_map(|wire| NameRef::from_wire(wire).ok());
        let tables = (rules.names().map(|name| (RULE, name)))
            .chain(safe_search.names().flat_map(with_siblings))
            .chain(canaries.map(|name| (CANARY, name)));
        Self::of(tables)
    }

    fn of<'n>(names: impl IntoIterator<Item = (u8, NameRef<'n>)>) -> Self {
        let mut marks = vec![0_u8; PLACES].into_boxed_slice();
        for (table, name) in names {
            let wire = name.as_wire();
            // What is shorter is never asked about by itself: see `look`.
            let end = wire.len().min(8);
            let mut word = [0; 8];
            word[..end].copy_from_slice(&wire[..end]);
            marks[place(u64::from_le_bytes(word), wire.len())] |= table;
        }
        Self(marks.try_into().expect("a slice of that many places"))
    }

    /// Which tables may have something to say about `name`.
    #[inline]
    pub(super) fn look(&self, name: NameRef<'_>) -> Speakers {
        let wire = name.as_wire();
        let Some(tail) = wire.last_chunk() else {
            // Shorter than a word, as `x.co`: everybody is asked.
            return Speakers(RULE | SAFE_FORM | CANARY);
        };
        let tail = u64::from_le_bytes(*tail);
        let (mut rest, mut found) = (wire, 0);
        // Only rules are about what is further below a name too.
        let (mut tables, mut next) = (RULE | SAFE_FORM | CANARY, RULE | SIBLING);
        while let Some(length @ 1..) = rest.first().copied() {
            let word = word(rest, tail);
            found |= self.0[place(word, rest.len())] & tables;
            (tables, next) = (next, RULE);
            if (word >> 8) as u32 == u32::from_le_bytes(*b"xn--") {
                found |= OTHER_SCRIPT;
            }
            if usize::from(length) >= unusual::LONG {
                found |= LONG_LABEL;
            }
            rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
        }
        let is_numbered = || {
            let end = usize::from(wire.first().copied().unwrap_or_default());
            wire.get(end).is_some_and(u8::is_ascii_digit)
        };
        if found & SIBLING != 0 && is_numbered() {
            found |= SAFE_FORM;
        }
        Speakers(found)
    }
}

/// A name that has a safe form, and what it has in common with those beside it.
fn with_siblings(name: NameRef<'_>) -> impl Iterator<Item = (u8, NameRef<'_>)> {
    let above = name.parent().map(|above| (SIBLING, above));
    std::iter::once((SAFE_FORM, name)).chain(above)
}

/// The first eight octets of `rest`, the end of a name whose last eight are `tail`; zeros where it is
/// shorter.
#[inline]
fn word(rest: &[u8], tail: u64) -> u64 {
    match rest.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        // The octets that are left are the last of the name's last eight. There is the root's always.
        None => tail >> (64 - 8 * rest.len().max(1)),
    }
}

/// The place of a name by its first eight octets and its length. Names are written in lower case,
/// and none is told from another one by what follows: that only costs a question in vain.
#[inline]
const fn place(first: u64, length: usize) -> usize {
    // Two rounds: names that differ in a digit differ in every bit then.
    let mixed = (first ^ (length as u64).rotate_right(8)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> (64 - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Name, NameBuf};
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn gate(rules: &[Name]) -> Gate {
        Gate::of(rules.iter().map(|name| (RULE, name.as_ref())))
    }

    #[test]
    fn what_is_in_is_never_missed_and_little_else_is_let_through() {
        let held: Vec<Name> = (0..1000)
            .map(|it| name(&format!("rule{it}.p{}.example.com", it % 7)))
            .chain((0..20).map(|it| name(&format!("a{it}.b"))))
            .collect();
        let gate = gate(&held);
        assert!(held.iter().all(|name| gate.look(name.as_ref()).rules()));
        let others = (0..10_000).map(|it| name(&format!("host{it}.example.org")));
        let through = others
            .filter(|name| gate.look(name.as_ref()).rules())
            .count();
        assert!(through < 1000, "{through}");
        assert!(gate.look(NameRef::ROOT).rules(), "too short to say no");
    }

    #[test]
    fn only_rules_are_about_what_is_below() {
        let safe = name("www.google.com");
        let gate = Gate::of([(SAFE_FORM, safe.as_ref())]);
        assert!(gate.look(safe.as_ref()).safe_forms());
        let below = name("a.www.google.com");
        assert!(!gate.look(below.as_ref()).safe_forms());
    }

    #[test]
    fn another_script_is_seen_in_every_label() {
        let gate = gate(&[]);
        for (text, expected) in [
            ("xn--80ak6aa92e.com", true),
            ("www.xn--80ak6aa92e.com", true),
            ("www.example.xn--p1ai", true),
            ("www.axn--80.com", false),
            ("xn-.example.com", false),
            ("www.example.com", false),
        ] {
            let looked = gate.look(name(text).as_ref());
            assert_eq!(looked.is_in_other_script(), expected, "{text}");
        }
    }

    #[test]
    fn a_long_label_is_seen_wherever_it_stands() {
        let gate = gate(&[]);
        for (text, expected) in [
            ("abcdefghijkl.example", true),
            ("www.abcdefghijkl.co.uk", true),
            ("abcdefghijk.example", false),
        ] {
            let looked = gate.look(name(text).as_ref());
            assert_eq!(looked.has_long_label(), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever number stands behind the first label.
        #[test]
        fn no_numbered_name_is_missed(
            first in "[a-z]{1,12}",
            number in "[0-9]{1,9}",
            labels in prop::collection::vec("[a-z0-9]{1,12}", 1..4),
        ) {
            let rest = labels.join(".");
            let held = name(&format!("{first}.{rest}"));
            let asked = NameBuf::parse(&format!("{first}{number}.{rest}")).unwrap();
            let gate = Gate::of(with_siblings(held.as_ref()));
            prop_assert!(gate.look(asked.as_ref()).safe_forms(), "{held} {asked:?}");
        }

        /// Whatever a rule is about, it and all below it get through.
        #[test]
        fn no_rule_is_missed(
            labels in prop::collection::vec("[a-z0-9]{1,12}", 1..5),
            above in 0..5_usize,
        ) {
            let text = labels.join(".");
            let asked = NameBuf::parse(&text).unwrap();
            let about = labels[above.min(labels.len() - 1)..].join(".");
            let gate = gate(&[name(&about)]);
            prop_assert!(gate.look(asked.as_ref()).rules(), "{text} {about}");
        }
    }
}
