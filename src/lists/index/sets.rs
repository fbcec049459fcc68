//! Sets of postings: what the lists say about a name.
//!
//! Most names share their set with many others, so a name holds a number and the set stands in the
//! file once. A set is its postings one behind the other: two octets of list, one of flags, and
//! where the line has modifiers, how long they are (seven bits in an octet, the lowest first; the
//! high bit says that more follow) and the modifiers.

use std::collections::HashMap;

use crate::lists::{Effect, ListId, Posting, Reach};

/// Bits of the flags: two of reach, then these.
const EXCEPTED: u8 = 1 << 2;
const IMPORTANT: u8 = 1 << 3;
const MODIFIERS: u8 = 1 << 4;
const MORE: u8 = 1 << 5;

/// Writes a set.
pub(super) fn put(into: &mut Vec<u8>, postings: &[Posting<'_>]) {
    let mut rest = postings.iter().peekable();
    while let Some(posting) = rest.next() {
        into.extend_from_slice(&posting.list.0.to_le_bytes());
        let mut flags = match posting.reach {
            Reach::Subtree => 0,
            Reach::Exact => 1,
            Reach::Below => 2,
        };
        let mut set = |bit: u8, is_set: bool| flags |= if is_set { bit } else { 0 };
        set(EXCEPTED, posting.effect == Effect::Excepted);
        set(IMPORTANT, posting.important);
        set(MODIFIERS, posting.modifiers.is_some());
        set(MORE, rest.peek().is_some());
        into.push(flags);
        if let Some(modifiers) = posting.modifiers {
            put_number(into, modifiers.len() as u64);
            into.extend_from_slice(modifiers);
        }
    }
}

/// Writes a number, seven bits in an octet.
pub(super) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    // Below 128.
    into.push(number as u8);
}

/// The octets that follow a number of at most 32 bits, as many as it says, and where they begin.
fn counted(bytes: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let mut length = 0_usize;
    for (octet, index) in bytes.get(at..)?.iter().zip(0..4) {
        length |= usize::from(octet & 0x7f) << (7 * index);
        if octet & 0x80 == 0 {
            let begin = at + index + 1;
            let octets = bytes.get(begin..begin.checked_add(length)?)?;
            return Some((begin, octets));
        }
    }
    None
}

/// The most octets of a line's modifiers.
pub(super) const MAX_MODIFIERS: usize = (1 << 28) - 1;

/// The modifiers whose length stands at `at`.
pub(super) fn modifiers_at(section: &[u8], at: usize) -> Option<&[u8]> {
    counted(section, at).map(|(_, octets)| octets)
}

/// The postings of the set that begins at `at`, each with the place of its modifiers.
pub(super) struct SetReader<'a> {
    section: &'a [u8],
    /// Where the next posting begins; none after the last.
    at: Option<usize>,
    /// How many more there may be.
    left: usize,
}

/// The most postings of a name.
pub(super) const MAX_POSTINGS: usize = u16::MAX as usize;

impl<'a> SetReader<'a> {
    /// At `at` of the section of sets.
    pub(super) const fn new(section: &'a [u8], at: usize) -> Self {
        Self {
            section,
            at: Some(at),
            left: MAX_POSTINGS,
        }
    }
}

impl<'a> Iterator for SetReader<'a> {
    type Item = (Posting<'a>, Option<u32>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        let [low, high, flags] = *self.section.get(at..)?.first_chunk()?;
        let mut end = at + 3;
        let mut rule = None;
        let mut modifiers = None;
        if flags & MODIFIERS != 0 {
            let (begin, octets) = counted(self.section, end)?;
            rule = Some(u32::try_from(end).ok()?);
            modifiers = Some(octets);
            end = begin + octets.len();
        }
        self.left -= 1;
        self.at = (flags & MORE != 0 && self.left > 0).then_some(end);
        let posting = Posting {
            list: ListId(u16::from_le_bytes([low, high])),
            reach: match flags & 3 {
                0 => Reach::Subtree,
                1 => Reach::Exact,
                _ => Reach::Below,
            },
            effect: if flags & EXCEPTED == 0 {
                Effect::Listed
            } else {
                Effect::Excepted
            },
            important: flags & IMPORTANT != 0,
            modifiers,
        };
        Some((posting, rule))
    }
}

/// The sets that have numbers, while names come in.
///
/// There is room for so many, so that memory stays bounded whatever comes; sets with modifiers have
/// a room of their own, since a list may well write something else behind each name. What finds no
/// room stands in the file as often as it occurs.
#[derive(Debug, Default)]
pub(super) struct SetTable {
    numbers: HashMap<Box<[u8]>, u32>,
    /// How often each occurs, by number.
    counts: Vec<SetCount>,
    plain: Room,
    with_modifiers: Room,
}

/// How often a set occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetCount {
    /// How many names have it.
    pub(super) names: u64,
    /// How many of them are no heads of groups and come behind another one that has it too.
    pub(super) repeated: u64,
}

/// What of a room is taken.
#[derive(Debug, Default)]
struct Room {
    sets: usize,
    octets: usize,
}

impl Room {
    /// Takes a place if there is one.
    fn take(&mut self, octets: usize) -> bool {
        const MAX_SETS: usize = 8192;
        const MAX_OCTETS: usize = 1 << 19;
        const MAX_LENGTH: usize = 4096;
        let is_free =
            self.sets < MAX_SETS && octets <= MAX_LENGTH && self.octets + octets <= MAX_OCTETS;
        if is_free {
            self.sets += 1;
            self.octets += octets;
        }
        is_free
    }
}

impl SetTable {
    /// The number of a set, if there is room for it.
    pub(super) fn number(&mut self, set: &[u8], has_modifiers: bool) -> Option<u32> {
        if let Some(number) = self.numbers.get(set) {
            return Some(*number);
        }
        let room = if has_modifiers {
            &mut self.with_modifiers
        } else {
            &mut self.plain
        };
        if !room.take(set.len()) {
            return None;
        }
        // At most twice the sets of a room.
        let number = self.counts.len() as u32;
        self.numbers.insert(set.into(), number);
        self.counts.push(SetCount::default());
        Some(number)
    }

    /// Counts a name that has this set, as the one before it maybe.
    pub(super) fn count(&mut self, number: u32, is_repeated: bool) {
        if let Some(count) = self.counts.get_mut(number as usize) {
            count.names += 1;
            count.repeated += u64::from(is_repeated);
        }
    }

    /// The sets in the order of their final numbers, the most frequent first, with how often each
    /// occurs; and for each number that was given the final one.
    #[expect(
        clippy::type_complexity,
        reason = "the sets, each with how often, and their new numbers"
    )]
    pub(super) fn finish(self) -> (Vec<(Box<[u8]>, SetCount)>, Vec<u32>) {
        let mut sets: Vec<(Box<[u8]>, u32)> = self.numbers.into_iter().collect();
        let count = |number: u32| {
            self.counts
                .get(number as usize)
                .copied()
                .unwrap_or_default()
        };
        sets.sort_unstable_by(|(left, one), (right, other)| {
            (count(*other).names)
                .cmp(&count(*one).names)
                .then_with(|| left.cmp(right))
        });
        let mut finals = vec![0; sets.len()];
        for ((_, given), last) in sets.iter().zip(0..) {
            if let Some(place) = finals.get_mut(*given as usize) {
                *place = last;
            }
        }
        let counted = sets.into_iter().map(|(set, number)| (set, count(number)));
        (counted.collect(), finals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(list: u16, modifiers: Option<&[u8]>) -> Posting<'_> {
        Posting {
            list: ListId(list),
            reach: Reach::Below,
            effect: Effect::Excepted,
            important: list == 7,
            modifiers,
        }
    }

    #[test]
    fn a_set_comes_back() {
        let long = [3; 300];
        let postings = [
            posting(0, None),
            posting(7, Some(&[])),
            posting(7, Some(&long)),
            posting(65_534, None),
        ];
        let mut bytes = vec![9];
        put(&mut bytes, &postings);
        let read: Vec<_> = SetReader::new(&bytes, 1).collect();
        assert_eq!(
            read.iter().map(|(posting, _)| *posting).collect::<Vec<_>>(),
            postings
        );
        let rules: Vec<_> = read
            .iter()
            .map(|(_, rule)| rule.map(|rule| modifiers_at(&bytes, rule as usize).unwrap()))
            .collect();
        assert_eq!(rules, [None, Some(&[][..]), Some(&long[..]), None]);
        for cut in 0..bytes.len() {
            assert!(SetReader::new(&bytes[..cut], 1).count() < 4);
        }
    }

    #[test]
    fn the_most_frequent_set_comes_first_and_the_room_is_limited() {
        let mut table = SetTable::default();
        let (a, b) = (
            table.number(b"a", false).unwrap(),
            table.number(b"b", false).unwrap(),
        );
        assert_eq!(table.number(b"a", false), Some(a));
        table.count(a, false);
        table.count(b, false);
        table.count(b, true);
        for n in 0_u32..10_000 {
            let number = table.number(&n.to_le_bytes(), true);
            assert_eq!(number.is_some(), n < 8192, "{n}");
            if let Some(number) = number {
                table.count(number, false);
            }
        }
        assert!(table.number(b"c", false).is_some());
        assert_eq!(table.number(&[0; 5000], false), None);
        let (sets, finals) = table.finish();
        let both = SetCount {
            names: 2,
            repeated: 1,
        };
        assert_eq!((&*sets[0].0, sets[0].1), (&b"b"[..], both));
        assert_eq!(
            finals[a as usize],
            sets.iter().position(|(set, _)| &**set == b"a").unwrap() as u32
        );
    }
}
