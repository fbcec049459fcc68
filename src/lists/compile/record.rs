//! What is sorted: one line's word about one name, as octets that compare like the index is ordered.
//!
//! A record is `key 0 list flags modifiers`. The key holds the labels of the name from the root
//! down with an octet 1 between them; names of lists consist of `-`, digits, `_` and letters, so
//! that `memcmp` of two keys is [`canonical_order`](super::super::canonical_order), and `memcmp`
//! of two records puts the postings of a name in the order of [`Posting`](super::super::Posting).
//! The list is big-endian for the same reason; see [`Flags`] for the octet behind it.

use crate::lists::{Effect, ListId, Reach};
use crate::name::{MAX_NAME, NameBuf, NameRef};

/// Between two labels of a key.
pub(super) const SEPARATOR: u8 = 1;
/// Behind the last label of a key.
const END: u8 = 0;
/// Octets of a record behind its key, modifiers not counted: the end mark, the list, the flags.
const TAIL: usize = 4;
/// The longest record: a name has no more than 253 octets of key, and a line of 4,096 octets does
/// not say more than this in modifiers.
pub(super) const MAX_RECORD: usize = u16::MAX as usize;

/// What the flags of a record say, the weightiest bit first, so that they compare as the fields of
/// a posting do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) reach: Reach,
    pub(super) effect: Effect,
    pub(super) important: bool,
    /// Whether modifiers follow.
    pub(super) modified: bool,
    /// Whether it takes the same record without this flag out of its list.
    pub(super) badfilter: bool,
    /// Whether it comes from the index before, because the list itself cannot be read.
    pub(super) kept: bool,
}

impl Flags {
    const EXCEPTED: u8 = 1 << 4;
    const IMPORTANT: u8 = 1 << 3;
    const MODIFIED: u8 = 1 << 2;
    const BADFILTER: u8 = 1 << 1;
    const KEPT: u8 = 1;

    const fn to_octet(self) -> u8 {
        const fn bit(set: bool, bit: u8) -> u8 {
            if set { bit } else { 0 }
        }
        let reach = match self.reach {
            Reach::Subtree => 0,
            Reach::Exact => 1,
            Reach::Below => 2,
        };
        reach << 5
            | bit(matches!(self.effect, Effect::Excepted), Self::EXCEPTED)
            | bit(self.important, Self::IMPORTANT)
            | bit(self.modified, Self::MODIFIED)
            | bit(self.badfilter, Self::BADFILTER)
            | bit(self.kept, Self::KEPT)
    }

    const fn from_octet(octet: u8) -> Self {
        Self {
            reach: match octet >> 5 {
                0 => Reach::Subtree,
                1 => Reach::Exact,
                _ => Reach::Below,
            },
            effect: if octet & Self::EXCEPTED == 0 {
                Effect::Listed
            } else {
                Effect::Excepted
            },
            important: octet & Self::IMPORTANT != 0,
            modified: octet & Self::MODIFIED != 0,
            badfilter: octet & Self::BADFILTER != 0,
            kept: octet & Self::KEPT != 0,
        }
    }
}

/// A record, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    pub(super) list: ListId,
    pub(super) flags: Flags,
    /// Encoded; empty unless [`Flags::modified`].
    pub(super) modifiers: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes the octets of one record apart; none where they are none.
    pub(super) fn parse(octets: &'a [u8]) -> Option<Self> {
        let end = octets.iter().position(|octet| *octet == END)?;
        let (key, tail) = octets.split_at_checked(end)?;
        let (&[_, high, low, flags], modifiers) = tail.split_first_chunk()?;
        Some(Self {
            key,
            list: ListId(u16::from_be_bytes([high, low])),
            flags: Flags::from_octet(flags),
            modifiers,
        })
    }
}

/// Writes a record behind what stands in `into`; false, and nothing written, for a name that holds
/// an octet no name of a list has, and for modifiers beyond all measure.
pub(super) fn write(
    name: NameRef<'_>,
    list: ListId,
    flags: Flags,
    modifiers: &[u8],
    into: &mut Vec<u8>,
) -> bool {
    let begin = into.len();
    if modifiers.len() > MAX_RECORD - MAX_NAME - TAIL || !write_key(name, into) {
        into.truncate(begin);
        return false;
    }
    let [high, low] = list.0.to_be_bytes();
    into.extend_from_slice(&[END, high, low, flags.to_octet()]);
    into.extend_from_slice(modifiers);
    true
}

/// Writes the key of `name`; false where it has none.
pub(super) fn write_key(name: NameRef<'_>, into: &mut Vec<u8>) -> bool {
    let mut begins = [0_u8; 128];
    let mut count = 0;
    let mut at = 0;
    let wire = name.as_wire();
    for place in &mut begins {
        let length = wire.get(at).copied().unwrap_or_default();
        if length == 0 {
            break;
        }
        // A name has at most 255 octets.
        *place = at as u8;
        at += 1 + usize::from(length);
        count += 1;
    }
    let from = into.len();
    for begin in begins.iter().take(count).rev() {
        let Some((length, rest)) = wire
            .get(usize::from(*begin)..)
            .and_then(|rest| rest.split_first())
        else {
            return false;
        };
        let label = rest.get(..usize::from(*length)).unwrap_or_default();
        if label.iter().any(|octet| SYMBOLS[usize::from(*octet)] < 2) {
            return false;
        }
        if into.len() > from {
            into.push(SEPARATOR);
        }
        into.extend_from_slice(label);
    }
    true
}

/// The name of a key.
pub(super) fn name_of(key: &[u8]) -> Option<NameBuf> {
    let mut wire = [0_u8; MAX_NAME];
    let mut at = 0;
    // The root has no label.
    let labels = key.rsplit(|octet| *octet == SEPARATOR);
    for label in labels.filter(|label| !label.is_empty()) {
        // Checked by `NameRef::from_wire` below.
        *wire.get_mut(at)? = label.len() as u8;
        wire.get_mut(at + 1..=at + label.len())?
            .copy_from_slice(label);
        at += 1 + label.len();
    }
    let name = NameRef::from_wire(wire.get(..=at)?).ok()?;
    Some(NameBuf::from(name))
}

/// Whether the name of `key` lies below that of `ancestor`.
pub(super) fn is_below(key: &[u8], ancestor: &[u8]) -> bool {
    match key.strip_prefix(ancestor) {
        Some(rest) if ancestor.is_empty() => !rest.is_empty(),
        Some(rest) => rest.first() == Some(&SEPARATOR),
        None => false,
    }
}

/// The next symbols of a record from `skip` on as a number that compares like them; what is behind
/// the end of the key counts nothing.
///
/// Names consist of 38 different octets; with the separator and the end that makes 40 symbols, of
/// which twelve go into 64 bits where eight octets would.
pub(super) fn prefix(record: &[u8], skip: usize) -> u64 {
    let mut number: u64 = 0;
    let mut ended = false;
    let octets = record.get(skip..).unwrap_or_default();
    for at in 0..PREFIX {
        let octet = octets.get(at).copied().unwrap_or(END);
        ended |= octet == END;
        let symbol = if ended {
            0
        } else {
            SYMBOLS[usize::from(octet)]
        };
        number = number * 40 + u64::from(symbol);
    }
    number
}

/// Symbols of [`prefix`]: 40 to the twelfth power is below 2 to the 64th.
pub(super) const PREFIX: usize = 12;

/// The symbol of each octet: 0 for the end (and for what stands in no key), 1 for the separator,
/// then the octets of names in their order.
static SYMBOLS: [u8; 256] = {
    let mut table = [0; 256];
    table[SEPARATOR as usize] = 1;
    let mut symbol = 2;
    let mut octet = 0;
    while octet < 256 {
        let is_of_names = matches!(octet as u8, b'-' | b'0'..=b'9' | b'_' | b'a'..=b'z');
        if is_of_names {
            table[octet] = symbol;
            symbol += 1;
        }
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::lists::{Posting, canonical_order};
    use crate::name::Name;

    fn flags(octet: u8) -> Flags {
        Flags::from_octet(octet)
    }

    fn record(name: &str, list: u16, octet: u8, modifiers: &[u8]) -> Vec<u8> {
        let mut into = Vec::new();
        let name = Name::parse(name).unwrap();
        assert!(write(
            name.as_ref(),
            ListId(list),
            flags(octet),
            modifiers,
            &mut into
        ));
        into
    }

    #[test]
    fn a_record_keeps_what_it_was_given() {
        for octet in 0..0x60 {
            assert_eq!(flags(octet).to_octet(), octet);
            let octets = record("www.example.org", 0x0102, octet, b"\0\x01x");
            let parsed = Record::parse(&octets).unwrap();
            assert_eq!(parsed.key, b"org\x01example\x01www");
            assert_eq!((parsed.list, parsed.flags), (ListId(0x0102), flags(octet)));
            assert_eq!(parsed.modifiers, b"\0\x01x");
            let name = name_of(parsed.key).unwrap();
            assert_eq!(name.to_string(), "www.example.org");
        }
        assert_eq!(Record::parse(b"org\0\0"), None);
        assert_eq!(Record::parse(b"org"), None);
    }

    #[test]
    fn the_root_and_the_longest_name_have_keys() {
        let longest = "a.".repeat(125) + "bcd";
        for text in [".", "org", &longest] {
            let mut key = Vec::new();
            let name = Name::parse(text).unwrap();
            assert!(write_key(name.as_ref(), &mut key));
            assert_eq!(name_of(&key).unwrap().as_ref(), name.as_ref());
        }
    }

    #[test]
    fn a_name_no_list_can_hold_has_no_record() {
        for wire in [&b"\x01\x01\0"[..], b"\x01.\0", b"\x01A\0", b"\x02a\0\0"] {
            let name = NameRef::from_wire(wire).unwrap();
            let mut into = b"before".to_vec();
            assert!(!write(name, ListId(0), flags(0), b"", &mut into));
            assert_eq!(into, b"before");
        }
    }

    #[test]
    fn below_is_below() {
        for (key, ancestor, expected) in [
            ("org\u{1}a", "org", true),
            ("org\u{1}a", "org\u{1}a", false),
            ("orga", "org", false),
            ("org", "", true),
            ("", "", false),
        ] {
            let is = is_below(key.as_bytes(), ancestor.as_bytes());
            assert_eq!(is, expected, "{key:?} {ancestor:?}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let label = prop_oneof!["[ab_-]{1,3}", "[a-z0-9_-]{1,20}", Just("0".to_owned())];
        prop::collection::vec(label, 1..6).prop_map(|labels| labels.join("."))
    }

    proptest! {
        #[test]
        fn records_compare_as_the_index_is_ordered(
            one in (name(), 0_u16..300, 0_u8..0x18, prop::option::of(".{0,3}")),
            two in (name(), 0_u16..300, 0_u8..0x18, prop::option::of(".{0,3}")),
            same_name in any::<bool>(),
        ) {
            let two = if same_name { (one.0.clone(), two.1, two.2, two.3) } else { two };
            // What is neither kept nor a `badfilter`, with the flag of modifiers where there are any.
            let octets = |(name, list, bits, modifiers): &(String, u16, u8, Option<String>)| {
                let flag = if modifiers.is_some() { Flags::MODIFIED } else { 0 };
                let octet = (bits & 0x18).wrapping_add(bits << 5 & 0x20) | flag;
                record(name, *list, octet, modifiers.as_deref().unwrap_or_default().as_bytes())
            };
            let (left, right) = (octets(&one), octets(&two));
            let (a, b) = (Record::parse(&left).unwrap(), Record::parse(&right).unwrap());
            let posting = |record: &Record<'_>| Posting {
                list: record.list,
                reach: record.flags.reach,
                effect: record.flags.effect,
                important: record.flags.important,
                modifiers: None,
            };
            let (x, y) = (Name::parse(&one.0).unwrap(), Name::parse(&two.0).unwrap());
            let modifiers = |record: &Record<'_>| record.flags.modified.then(|| record.modifiers.to_vec());
            let expected = canonical_order(x.as_ref(), y.as_ref())
                .then(posting(&a).cmp(&posting(&b)))
                .then(modifiers(&a).cmp(&modifiers(&b)));
            prop_assert_eq!(left.cmp(&right), expected);
            let by_prefix = prefix(&left, 0).cmp(&prefix(&right, 0));
            if by_prefix != Ordering::Equal {
                prop_assert_eq!(by_prefix, expected);
            }
            prop_assert_eq!(is_below(a.key, b.key), x.as_ref().is_within(y.as_ref()) && x != y);
        }
    }
}
