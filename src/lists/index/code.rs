//! Prefix codes: frequent symbols get short rows of bits.
//!
//! The codes are canonical Huffman codes: the lengths say everything. Symbols are numbered in the
//! order of their lengths, then of themselves, and the rows of bits count up in that order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bits::{BitReader, BitWriter};

/// The longest row of bits for a symbol; a length fits into four bits.
pub(super) const MAX_LENGTH: u32 = 15;
/// The most symbols of a code.
pub(super) const MAX_SYMBOLS: usize = 64;
/// Rows of so many bits or fewer are found in one step.
pub(super) const QUICK: u32 = 8;

/// How long the row of bits of each symbol should be, given how often each occurs; zero for those
/// that do not.
pub(super) fn lengths<const N: usize>(counts: &[u64; N]) -> [u8; N] {
    let mut counts = *counts;
    loop {
        let lengths = unlimited(&counts);
        if lengths
            .iter()
            .all(|length| u32::from(*length) <= MAX_LENGTH)
        {
            return lengths;
        }
        // Flatter counts make shorter rows; equal counts of 64 symbols have six bits.
        for count in counts.iter_mut().filter(|count| **count > 0) {
            *count = (*count / 2).max(1);
        }
    }
}

/// Huffman's lengths.
fn unlimited<const N: usize>(counts: &[u64; N]) -> [u8; N] {
    let mut lengths = [0; N];
    // Two at a time are joined, the rarest first; the number of the joint decides between equals.
    let mut heap: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut parents: Vec<usize> = vec![usize::MAX; N];
    for (symbol, count) in counts.iter().enumerate() {
        if *count > 0 {
            heap.push(Reverse((*count, symbol)));
        }
    }
    if heap.len() == 1
        && let Some(Reverse((_, symbol))) = heap.pop()
    {
        // A row of no bits would be a symbol that takes no place.
        lengths[symbol] = 1;
        return lengths;
    }
    while let (Some(Reverse(one)), Some(Reverse(other))) = (heap.pop(), heap.pop()) {
        let joint = parents.len();
        parents.push(usize::MAX);
        parents[one.1] = joint;
        parents[other.1] = joint;
        if heap.is_empty() {
            break;
        }
        heap.push(Reverse((one.0.saturating_add(other.0), joint)));
    }
    for (symbol, length) in lengths.iter_mut().enumerate() {
        let mut at = parents[symbol];
        while at != usize::MAX {
            *length += 1;
            at = parents[at];
        }
    }
    lengths
}

/// Writes symbols.
#[derive(Debug)]
pub(super) struct Encoder<const N: usize> {
    rows: [(u16, u8); N],
}

impl<const N: usize> Encoder<N> {
    /// The code with these lengths, which must be those of [`lengths`].
    pub(super) fn new(lengths: &[u8; N]) -> Self {
        let mut rows = [(0, 0); N];
        let mut next = 0_u32;
        for length in 1..=MAX_LENGTH {
            next <<= 1;
            for (row, its) in rows.iter_mut().zip(lengths) {
                if u32::from(*its) == length {
                    *row = (next as u16, *its);
                    next += 1;
                }
            }
        }
        Self { rows }
    }

    /// Appends a symbol, which must be one that was counted.
    pub(super) fn put(&self, symbol: u8, out: &mut BitWriter) {
        if let Some((bits, length)) = self.rows.get(usize::from(symbol)) {
            debug_assert!(*length > 0, "symbol {symbol} was not counted");
            out.put(u32::from(*bits), u32::from(*length));
        }
    }
}

/// What the next 16 bits begin with: a symbol, in the high octet, and the length of its row.
pub(super) type Found = u16;

/// The symbol of what was found.
#[inline(always)]
pub(super) const fn symbol(found: Found) -> u8 {
    (found >> 8) as u8
}

/// The length of what was found.
#[inline(always)]
pub(super) const fn length(found: Found) -> u32 {
    (found & 0xff) as u32
}

/// What was found, from its parts.
const fn found(symbol: u8, length: u32) -> Found {
    (symbol as u16) << 8 | length as u16
}

/// Reads symbols.
pub(super) struct Decoder {
    /// For each beginning of [`QUICK`] bits what they begin with; zero where the row is longer.
    pub(super) quick: [Found; 1 << QUICK],
    /// The longer ones.
    pub(super) long: LongRows,
}

/// The rows of bits that are longer than [`QUICK`].
///
/// The length of a row is the first whose `limits` are above the next 16 bits.
pub(super) struct LongRows {
    /// For each length: the first 16 bits behind its last row.
    limits: [u32; MAX_LENGTH as usize + 1],
    /// For each length: how far the first row is from its number among all rows.
    shifts: [i32; MAX_LENGTH as usize + 1],
    /// The symbols in the order of their rows.
    symbols: [u8; MAX_SYMBOLS],
}

impl Decoder {
    /// The code with these lengths; none when there can be no such code.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        if lengths.len() > MAX_SYMBOLS {
            return None;
        }
        let mut quick = [0; 1 << QUICK];
        let mut long = LongRows {
            limits: [0; MAX_LENGTH as usize + 1],
            shifts: [0; MAX_LENGTH as usize + 1],
            symbols: [0; MAX_SYMBOLS],
        };
        let mut next = 0_u32;
        let mut number = 0_usize;
        let places = long.limits.iter_mut().zip(&mut long.shifts);
        for (length, (limit, shift)) in (0..=MAX_LENGTH).zip(places).skip(1) {
            next <<= 1;
            *shift = number as i32 - next as i32;
            for (symbol, _) in lengths
                .iter()
                .enumerate()
                .filter(|(_, its)| u32::from(**its) == length)
            {
                if next >= 1 << length {
                    return None;
                }
                *long.symbols.get_mut(number)? = symbol as u8;
                if length <= QUICK {
                    let begin = (next as usize) << (QUICK - length);
                    let end = begin + (1 << (QUICK - length));
                    quick.get_mut(begin..end)?.fill(found(symbol as u8, length));
                }
                number += 1;
                next += 1;
            }
            *limit = next << (16 - length);
        }
        let fits = lengths.iter().all(|its| u32::from(*its) <= MAX_LENGTH);
        fits.then_some(Self { quick, long })
    }

    /// The next symbol. A row of bits that is none is symbol 0.
    #[inline(always)]
    pub(super) fn take(&self, reader: &mut BitReader<'_>) -> u8 {
        let next = reader.peek();
        let mut found = self.quick[beginning(next)];
        if found == 0 {
            found = self.long.find(next);
        }
        reader.pass(length(found));
        symbol(found)
    }
}

/// The first [`QUICK`] of 16 bits.
#[inline(always)]
pub(super) const fn beginning(next: u16) -> usize {
    (next >> (16 - QUICK)) as usize
}

impl LongRows {
    /// What 16 bits begin with, if their row is long.
    #[inline(never)]
    pub(super) fn find(&self, next: u16) -> Found {
        let mut number = QUICK as usize + 1;
        while let Some(limit) = self.limits.get(number) {
            if u32::from(next) < *limit {
                let shift = self.shifts.get(number).copied().unwrap_or_default();
                let row = i32::from(next >> (16 - number)) + shift;
                let place = usize::try_from(row).unwrap_or_default();
                let symbol = self.symbols.get(place).copied().unwrap_or_default();
                return found(symbol, number as u32);
            }
            number += 1;
        }
        found(0, MAX_LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<const N: usize>(
        counts: &[u64; N],
        symbols: impl Iterator<Item = u8> + Clone,
    ) {
        let lengths = lengths(counts);
        let encoder = Encoder::new(&lengths);
        let decoder = Decoder::new(&lengths).unwrap();
        let mut out = BitWriter::default();
        symbols
            .clone()
            .for_each(|symbol| encoder.put(symbol, &mut out));
        let length = out.len();
        let bytes = out.align().to_vec();
        let mut reader = BitReader::new(&bytes, 0);
        for symbol in symbols {
            assert_eq!(decoder.take(&mut reader), symbol);
        }
        assert_eq!(reader.place(), length);
    }

    #[test]
    fn symbols_come_back_however_uneven_they_are() {
        let even = [1; 64];
        there_and_back(&even, 0..64);
        assert_eq!(lengths(&even), [6; 64]);
        // Each as frequent as the two before together: the deepest tree there is.
        let mut steep = [1_u64; 40];
        for n in 2..40 {
            steep[n] = steep[n - 1] + steep[n - 2];
        }
        assert!(unlimited(&steep).iter().any(|length| *length > 30));
        there_and_back(&steep, (0..40).chain([0, 39, 0, 39]));
        let mut few = [0; 40];
        few[7] = 3;
        there_and_back(&few, [7; 9].into_iter());
        few[9] = 1;
        there_and_back(&few, [7, 9, 9, 7].into_iter());
    }

    #[test]
    fn frequent_symbols_have_short_rows() {
        assert_eq!(lengths(&[8, 4, 2, 1, 1, 0]), [1, 2, 3, 4, 4, 0]);
    }

    #[test]
    fn impossible_lengths_are_refused_and_unknown_rows_are_nothing() {
        assert!(Decoder::new(&[1, 1, 1]).is_none());
        assert!(Decoder::new(&[16, 1]).is_none());
        assert!(Decoder::new(&[1; 65]).is_none());
        let one = Decoder::new(&[0, 0, 3]).unwrap();
        let mut reader = BitReader::new(&[0b0001_1111, 0xff, 0xff], 0);
        assert_eq!(one.take(&mut reader), 2);
        assert_eq!(one.take(&mut reader), 0);
        assert_eq!(reader.place(), 18);
    }
}
