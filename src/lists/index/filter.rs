//! Surely not listed? A Bloom filter with one block of 32 octets for each name.
//!
//! A name has a hash of 64 bits, computed label by label from the right, so that one pass over
//! `www.example.org` gives those of `org`, `example.org` and itself. The high half selects a block;
//! four times six bits of the low half select a bit in each of the block's four words. A listed
//! name has all four set.

use std::ops::Range;

/// Octets of a block.
pub(super) const BLOCK: usize = 32;
/// Bits for each name: one name in 120 that is not listed gets through.
const BITS_PER_NAME: u64 = 12;

/// The hash of the root. The same in every index: who knows it can make up unlisted names that get
/// through, and each of them costs a search that finds nothing.
pub(super) const SEED: u64 = 0x243f_6a88_85a3_08d3;

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
    let mut hash = parent;
    for begin in label.clone().step_by(8) {
        hash = mix(hash, up_to_eight(wire, begin..label.end.min(begin + 8)));
    }
    hash
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
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(hash ^ word) * u128::from(ODD);
    ((product >> 64) as u64 ^ product as u64).rotate_left(23)
}

/// The block of a hash among so many.
#[inline]
pub(super) const fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

/// The bits of a hash in its block: for each word, which.
#[inline]
const fn bits_of(hash: u64) -> [u32; 4] {
    // The high bits of a product depend on all bits below.
    let mixed = (hash as u32).wrapping_mul(0x9e37_79b1);
    [
        mixed >> 26,
        mixed >> 20 & 63,
        mixed >> 14 & 63,
        mixed >> 8 & 63,
    ]
}

/// Whether a name with this hash may be in the filter.
#[inline]
pub(super) fn may_hold(filter: &[[u8; BLOCK]], hash: u64) -> bool {
    let place = block_of(hash, filter.len() as u64);
    let Some(block) = filter.get(place as usize) else {
        return false;
    };
    let (words, _) = block.as_chunks::<8>();
    let bits = bits_of(hash);
    let all = words
        .iter()
        .zip(bits)
        .fold(1, |all, (word, bit)| all & u64::from_le_bytes(*word) >> bit);
    all & 1 == 1
}

/// Puts a name into its block.
pub(super) fn put(block: &mut [u8; BLOCK], hash: u64) {
    let (words, _) = block.as_chunks_mut::<8>();
    for (word, bit) in words.iter_mut().zip(bits_of(hash)) {
        *word = (u64::from_le_bytes(*word) | 1 << bit).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_is_found_and_little_else() {
        let names = 20_000;
        let hash = |n: u32| hash_label(SEED, format!("\x08{n:08}").as_bytes(), 0..9);
        let count = blocks(names);
        let mut filter = vec![[0; BLOCK]; count as usize];
        for n in 0..names as u32 {
            put(&mut filter[block_of(hash(n), count) as usize], hash(n));
        }
        assert!((0..names as u32).all(|n| may_hold(&filter, hash(n))));
        let others = 100_000..200_000;
        let through = others.filter(|n| may_hold(&filter, hash(*n))).count();
        assert!((400..1_200).contains(&through), "{through}");
        assert!(!may_hold(&[], 7));
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
