//! Surely not listed? A Bloom filter with blocks of a cache line, one of which nearly always tells
//! of a name and all its parents.
//!
//! A name has a hash of 64 bits, computed label by label from the right, so that one pass over
//! `www.example.org` gives those of `org`, `example.org` and itself. Its low bits select a bit in
//! each of the eight words of a block. Which block is a matter of its *home*: the parent with two
//! labels, the high half of whose hash selects the block. So `example.org` and all that is listed
//! below it stand in the same one.
//!
//! Below `co.uk` or `blogspot.com` there are more names than a block has room for. Such a parent is
//! *crowded*, of which its block holds a mark: the hash of a label of no octets below it. Names
//! below it have the parent with one more label as their home, and so on.

use std::ops::Range;

/// Octets of a block: those of a cache line.
pub(super) const BLOCK: usize = 64;
/// Bits for each name: of hashes that are not there, one in 150 gets through; of names with three
/// labels that are not listed, of which two are asked for, one in 75.
const BITS_PER_NAME: u64 = 11;
/// Labels of the largest home.
pub(super) const NEAREST_HOME: usize = 2;
/// Labels of the smallest home: it is never crowded.
pub(super) const FARTHEST_HOME: usize = 8;
/// The most names of a home that is not crowded, itself counted.
const MOST_AT_HOME: usize = 16;

/// The hash of the root. The same in every index: who knows it can make up unlisted names that get
/// through, and each of them costs a search that finds nothing.
pub(super) const SEED: u64 = 0x243f_6a88_85a3_08d3;

/// What a hash is multiplied by.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A filter as it stands in the file.
pub(super) type Filter = [[u8; BLOCK]];

/// How many blocks a filter for so many names has.
pub(super) const fn blocks(names: u64) -> u64 {
    let bits = names.saturating_mul(BITS_PER_NAME);
    let blocks = bits.div_ceil(8 * BLOCK as u64);
    // The high half of a hash selects one.
    if blocks > u32::MAX as u64 {
        u32::MAX as u64
    } else {
        blocks
    }
}

/// The hash of a name from that of its parent and its first label in wire format, its length
/// included, which stands at `label` of `wire`. Eight octets at a time, the last ones filled up
/// with zeroes, are multiplied into it; both halves of the product are used.
#[inline]
pub(super) fn hash_label(parent: u64, wire: &[u8], label: Range<usize>) -> u64 {
    let Range { mut start, end } = label;
    let mut hash = parent;
    while end.saturating_sub(start) > 8 {
        hash = mix(hash, up_to_eight(wire, start..start + 8));
        start += 8;
    }
    mix(hash, up_to_eight(wire, start..end))
}

/// The mark that a name with this hash is crowded.
#[inline]
pub(super) fn mark(hash: u64) -> u64 {
    mix(hash, 0)
}

/// One to eight octets of `wire` as a number, little-endian. How many they are is hard to foresee,
/// so that no jump depends on it, but on where they stand.
#[inline]
fn up_to_eight(wire: &[u8], octets: Range<usize>) -> u64 {
    let missing = 8 * (8_usize.saturating_sub(octets.len()) % 8);
    if let Some(eight) = wire.get(octets.start..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*eight) & u64::MAX >> missing;
    }
    let wire = wire.get(..octets.end).unwrap_or_default();
    if let Some(eight) = wire.last_chunk() {
        return u64::from_le_bytes(*eight) >> missing;
    }
    let octets = wire.get(octets.start..).unwrap_or_default().iter();
    octets
        .rev()
        .fold(0, |all, octet| all << 8 | u64::from(*octet))
}

/// Multiplies a word into a hash.
#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(ODD);
    ((product >> 64) as u64 ^ product as u64).rotate_left(23)
}

/// The block of a home with this hash among so many.
#[inline]
pub(super) const fn block_of(home: u64, blocks: u64) -> u64 {
    ((home >> 32) * blocks) >> 32
}

/// The bits of a hash in its block: for each word, which, in the first half of the words and in the
/// other.
#[inline]
fn bits_of(hash: u64) -> [[u32; 4]; 2] {
    // The high bits of a product depend on all bits below.
    let mixed = hash.wrapping_mul(ODD);
    let (high, low) = ((mixed >> 32) as u32, (mixed >> 8) as u32);
    let four = |bits: u32| [bits >> 26, bits >> 20 & 63, bits >> 14 & 63, bits >> 8 & 63];
    [four(high), four(low)]
}

/// Whether a block may hold a hash.
#[inline]
fn may_hold(block: &[u8; BLOCK], hash: u64) -> bool {
    let (halves, _) = block.as_chunks::<{ BLOCK / 2 }>();
    let [first, second] = bits_of(hash);
    let all_of = |half: Option<&[u8; BLOCK / 2]>, [a, b, c, d]: [u32; 4]| {
        let (words, _) = half.map_or(&[][..], |half| half).as_chunks::<8>();
        let [first, second, third, fourth] = words else {
            return false;
        };
        let at = |word: &[u8; 8], bit| u64::from_le_bytes(*word) >> bit;
        at(first, a) & at(second, b) & at(third, c) & at(fourth, d) & 1 == 1
    };
    // What is not in the block is in no more than half of it mostly.
    all_of(halves.first(), first) && all_of(halves.last(), second)
}

/// Puts a hash into its block.
pub(super) fn put(block: &mut [u8; BLOCK], hash: u64) {
    let (words, _) = block.as_chunks_mut::<8>();
    for (word, bit) in words.iter_mut().zip(bits_of(hash).as_flattened()) {
        *word = (u64::from_le_bytes(*word) | 1 << bit).to_le_bytes();
    }
}

/// Which parents of a name, itself one of them, may be in the filter, those with fewer than `fewest`
/// labels left out: bit *n* for that with *n* labels. Its labels begin at `begins` of `wire` and end
/// at `root`.
#[inline]
pub(super) fn ask(filter: &Filter, wire: &[u8], begins: &[u8], root: usize, fewest: usize) -> u128 {
    let mut labels = (1..).zip(begins.iter().rev());
    let (mut hash, mut end) = (SEED, root);
    let mut maybe = 0;
    // Each time round is for another home.
    while let Some((count, begin)) = labels.next() {
        let begin = usize::from(*begin);
        hash = hash_label(hash, wire, begin..end);
        end = begin;
        if count < fewest.min(NEAREST_HOME) {
            continue;
        }
        let place = block_of(hash, filter.len() as u64);
        let Some(block) = filter.get(place as usize) else {
            return 0;
        };
        if may_hold(block, hash) {
            maybe |= 1 << count;
        }
        if count < NEAREST_HOME {
            continue;
        }
        let mut below = (hash, end);
        for (count, begin) in labels.clone() {
            let begin = usize::from(*begin);
            below = (hash_label(below.0, wire, begin..below.1), begin);
            if may_hold(block, below.0) {
                maybe |= 1 << count;
            }
        }
        if count >= FARTHEST_HOME || !may_hold(block, mark(hash)) {
            break;
        }
    }
    // A name has at most 127 labels.
    maybe & u128::MAX.unbounded_shl(fewest as u32)
}

/// Finds the homes of names that come in canonical order.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// The hashes of the parents of the name that came last, itself included, the one with one
    /// label first.
    last: Vec<u64>,
    /// The names that came last and have the parent with `labels` labels in common, which is not
    /// known to be crowded: for each its hashes from that on.
    waiting: Vec<Vec<u64>>,
    labels: usize,
    /// Rows that wait for use.
    spare: Vec<Vec<u64>>,
}

impl Homes {
    /// Takes the hashes of the parents of the next name, itself included, the one with one label
    /// first. `each` is called with the hash of a home and what is put into its block.
    pub(super) fn put(&mut self, name: &[u64], each: &mut impl FnMut(u64, u64)) {
        let own = |labels: usize| labels.checked_sub(1).and_then(|place| name.get(place));
        let last = |labels: usize| labels.checked_sub(1).and_then(|place| self.last.get(place));
        let parts = (NEAREST_HOME..self.labels + 1).find(|labels| own(*labels) != last(*labels));
        if parts.is_some() || self.labels == 0 {
            let labels = parts.unwrap_or(NEAREST_HOME);
            self.settle(self.waiting.len(), each);
            self.labels = labels;
        }
        self.last.clear();
        self.last.extend_from_slice(name);
        if let (true, Some(hash)) = (name.len() < self.labels, name.last()) {
            // It has too few labels to have another home than itself.
            each(*hash, *hash);
            return;
        }
        let mut row = self.spare.pop().unwrap_or_default();
        row.clear();
        row.extend_from_slice(name.get(self.labels - 1..).unwrap_or_default());
        self.waiting.push(row);
        while self.waiting.len() > MOST_AT_HOME && self.labels < FARTHEST_HOME {
            self.part(each);
        }
        if self.waiting.len() > MOST_AT_HOME {
            self.settle(self.waiting.len(), each);
        }
    }

    /// Takes note that no more names come.
    pub(super) fn end(&mut self, each: &mut impl FnMut(u64, u64)) {
        self.settle(self.waiting.len(), each);
        self.labels = 0;
        self.last.clear();
    }

    /// Divides those that wait, whose home is crowded, by one more label.
    fn part(&mut self, each: &mut impl FnMut(u64, u64)) {
        if let Some(home) = self.waiting.first().and_then(|row| row.first()) {
            each(*home, mark(*home));
        }
        let next = self.waiting.last().and_then(|row| row.get(1)).copied();
        let is_among = |row: &Vec<u64>| next.is_some() && row.get(1).copied() == next;
        let begin = self.waiting.iter().rposition(|row| !is_among(row));
        let begin = begin.map_or(0, |place| place + 1);
        for row in self.waiting.iter_mut() {
            if row.len() > 1 {
                row.remove(0);
            }
        }
        self.settle(begin, each);
        self.labels += 1;
    }

    /// Puts the first of those that wait, so many, into the blocks of their homes.
    fn settle(&mut self, count: usize, each: &mut impl FnMut(u64, u64)) {
        let count = count.min(self.waiting.len());
        for row in self.waiting.drain(..count) {
            if let (Some(home), Some(hash)) = (row.first(), row.last()) {
                each(*home, *hash);
            }
            self.spare.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::posting::canonical_order;
    use crate::name::{Name, NameRef};

    /// The hashes of all parents of a name.
    fn hashes(name: &Name) -> Vec<u64> {
        let parents: Vec<_> = name.as_ref().suffixes().collect();
        let mut hashes = vec![];
        for parent in parents.iter().rev() {
            let wire = parent.as_wire();
            let above = hashes.last().copied().unwrap_or(SEED);
            hashes.push(hash_label(above, wire, 0..1 + usize::from(wire[0])));
        }
        hashes
    }

    /// Sorts names as they come from the compiler.
    fn sort(names: &mut Vec<Name>) {
        names.sort_by(|left, right| canonical_order(left.as_ref(), right.as_ref()));
        names.dedup();
    }

    fn filter(names: &[Name]) -> Vec<[u8; BLOCK]> {
        let count = blocks(names.len() as u64);
        let mut filter = vec![[0; BLOCK]; count as usize];
        let mut homes = Homes::default();
        let mut each = |home, hash| put(&mut filter[block_of(home, count) as usize], hash);
        for name in names {
            homes.put(&hashes(name), &mut each);
        }
        homes.end(&mut each);
        filter
    }

    fn asked(filter: &Filter, name: &Name, fewest: usize) -> u128 {
        let name = name.as_ref();
        let wire = name.as_wire();
        let begin = |it: NameRef<'_>| (wire.len() - it.as_wire().len()) as u8;
        let begins: Vec<u8> = name.suffixes().map(begin).collect();
        ask(filter, wire, &begins, wire.len() - 1, fewest)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn what_is_in_is_found_and_little_else() {
        let names: Vec<Name> = (0..20_000).map(|n| name(&format!("{n:08}.org"))).collect();
        let whole = filter(&names);
        assert!(
            names
                .iter()
                .all(|name| asked(&whole, name, 0) >> 2 & 1 == 1)
        );
        let others = (100_000..200_000).map(|n| name(&format!("{n:08}.org")));
        let through = others.filter(|name| asked(&whole, name, 2) > 0).count();
        // A block has 46.5 of them, a Poisson distribution around that; with *n* in a block a bit of
        // it is set with 1 - (63/64)^n, and all eight that are asked for in 6.57 of 1,000 cases.
        assert!((550..750).contains(&through), "{through}");
        assert_eq!(asked(&[], &names[0], 0), 0);
    }

    #[test]
    fn however_crowded_a_parent_is_all_below_it_is_found() {
        let mut names = vec![name("com"), name("few.com"), name("many.com")];
        for n in 0..40 {
            names.push(name(&format!("{n:03}.many.com")));
        }
        names.push(name("deep.many.com"));
        for n in 0..17 {
            names.push(name(&format!("{n:03}.deep.many.com")));
        }
        let deepest = "f.e.d.c.b.a.org";
        for n in 0..60 {
            names.push(name(&format!("x.{n:03}.{deepest}")));
            names.push(name(&format!("x.y.z.{n:03}.{deepest}")));
        }
        names.push(name("test"));
        for n in 0..16 {
            names.push(name(&format!("{n:03}.some.test")));
        }
        sort(&mut names);
        let mut marks = Vec::new();
        let mut homes = Homes::default();
        let mut each = |home, hash| {
            if hash == mark(home) {
                marks.push(home);
            }
        };
        names
            .iter()
            .for_each(|name| homes.put(&hashes(name), &mut each));
        homes.end(&mut each);
        let hash = |text: &str| *hashes(&name(text)).last().unwrap();
        let mut expected = vec![hash("many.com"), hash("deep.many.com")];
        // The last of seven labels is crowded; what has eight is not said to be.
        for begin in (0..deepest.len()).step_by(2).take(6) {
            expected.push(hash(&deepest[begin..]));
        }
        marks.sort_unstable();
        expected.sort_unstable();
        assert_eq!(marks, expected);
        let whole = filter(&names);
        for name in &names {
            let labels = name.as_ref().label_count();
            assert!(asked(&whole, name, 1) >> labels & 1 == 1, "{name}");
            assert_eq!(asked(&whole, name, labels + 1), 0);
        }
    }

    #[test]
    fn names_of_any_shape_are_found() {
        let mut random = 1_u64;
        let mut draw = |below: u64| {
            random = mix(random, below);
            random % below
        };
        let mut names = Vec::new();
        // Few labels crowd in many places, and many names have listed parents.
        for variety in [1, 2, 3, 30] {
            for _ in 0..3_000 {
                let labels: Vec<_> = (0..=draw(12)).map(|_| draw(variety).to_string()).collect();
                names.push(name(&labels.join(".")));
            }
        }
        sort(&mut names);
        assert!(names.len() > 5_000, "{}", names.len());
        let whole = filter(&names);
        for name in &names {
            let labels = name.as_ref().label_count();
            assert!(asked(&whole, name, 1) >> labels & 1 == 1, "{name}");
        }
    }

    #[test]
    fn the_words_of_a_hash_are_what_the_format_says() {
        let wire: Vec<u8> = (0..40).map(|n: u8| n.wrapping_mul(37)).collect();
        for (begin, end) in (0..40).flat_map(|begin| (begin + 1..=40).map(move |end| (begin, end)))
        {
            let mut expected = 99;
            for chunk in wire[begin..end].chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                expected = mix(expected, u64::from_le_bytes(word));
            }
            for wire in [&wire[..], &wire[..end]] {
                assert_eq!(hash_label(99, wire, begin..end), expected);
            }
        }
    }
}
