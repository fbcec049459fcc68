//! The names, searched and walked where they stand.
//!
//! Names are divided by their top-level label, then into blocks. For each block there is a
//! *separator*, the first twelve symbols of its first name as a number, so that a search reads
//! nothing but separators until it is at the right block. Inside a block names stand in groups. The
//! first name of a group, its *head*, is written as what differs from the head before, so that a
//! search goes from head to head; the other names as what differs from the name before.

use std::cmp::Ordering;

use super::alphabet::{END, ROW};
use super::bits::BitReader;
use super::model::{HEAD_CODE, ModelDecoder, SetCode, shared_code};

/// How many bits hold the number of bits of a length in a block.
pub(super) const WIDTH_BITS: u32 = 5;

/// The parts of an index that hold names.
#[derive(Clone, Copy)]
pub(super) struct Dictionary<'a> {
    /// Where each top is, then the tops.
    pub(super) tops: &'a [u8],
    /// How many tops there are.
    pub(super) top_count: u32,
    /// The separator of each block.
    pub(super) separators: &'a [[u8; 8]],
    /// Where each block begins among `names`.
    pub(super) begins: &'a [[u8; 4]],
    /// The blocks.
    pub(super) names: &'a [u8],
    pub(super) model: &'a ModelDecoder,
    /// Names in a block, as a power of two.
    pub(super) block_bits: u8,
    /// Names in a group, as a power of two.
    pub(super) group_bits: u8,
}

/// A top-level label and the names below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top<'a> {
    pub(super) label: &'a [u8],
    pub(super) first_block: usize,
    /// How many names, itself too if it is one.
    pub(super) names: usize,
}

impl<'a> Dictionary<'a> {
    /// The top with this number.
    pub(super) fn top(&self, number: u32) -> Option<Top<'a>> {
        let place = self.tops.get(number as usize * 4..)?.first_chunk()?;
        let entry = self.tops.get(u32::from_le_bytes(*place) as usize..)?;
        let (first_block, entry) = entry.split_first_chunk()?;
        let (names, entry) = entry.split_first_chunk()?;
        let (length, entry) = entry.split_first()?;
        Some(Top {
            label: entry.get(..usize::from(*length))?,
            first_block: u32::from_le_bytes(*first_block) as usize,
            names: u32::from_le_bytes(*names) as usize,
        })
    }

    /// The top with this label.
    pub(super) fn find_top(&self, label: &[u8]) -> Option<Top<'a>> {
        let (mut from, mut to) = (0, self.top_count);
        while from < to {
            let middle = from + (to - from) / 2;
            let top = self.top(middle)?;
            match top.label.cmp(label) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Some(top),
            }
        }
        None
    }

    /// The set of a name below `top`, given as a row with its end and as the number that begins it.
    pub(super) fn find(&self, top: &Top<'_>, row: &[u8], key: u64) -> Option<SetCode> {
        let blocks = self.blocks_of(top);
        let separators = self.separators.get(blocks.clone())?;
        let key_of = |separator: &[u8; 8]| u64::from_le_bytes(*separator);
        let end = separators.partition_point(|separator| key_of(separator) <= key);
        let last = end.checked_sub(1)?;
        let mut number = last;
        if separators.get(last).map(key_of) == Some(key) {
            // Only the first names of the blocks with this separator can tell which is the one; or
            // it is the block before them.
            let begin = separators.partition_point(|separator| key_of(separator) < key);
            let (mut from, mut to) = (begin, end);
            while from < to {
                let middle = from + (to - from) / 2;
                if self.head_is_after(blocks.start + middle, row)? {
                    to = middle;
                } else {
                    from = middle + 1;
                }
            }
            number = from.checked_sub(1)?;
        }
        let names = self.names_in_block(top, number);
        self.find_in_block(blocks.start + number, names, row)
    }

    /// Calls `each` with the row, without its end, and the set of every name below `top`, in order.
    pub(super) fn walk(&self, top: &Top<'_>, mut each: impl FnMut(&[u8], SetCode)) {
        for (number, block) in self.blocks_of(top).enumerate() {
            if block >= self.begins.len() {
                return;
            }
            let names = self.names_in_block(top, number);
            if self.walk_block(block, names, &mut each).is_none() {
                return;
            }
        }
    }

    /// The numbers of the blocks of a top.
    fn blocks_of(&self, top: &Top<'_>) -> std::ops::Range<usize> {
        let count = top.names.div_ceil(1 << self.block_bits);
        top.first_block..top.first_block.saturating_add(count)
    }

    /// How many names the block with this number among those of a top has.
    fn names_in_block(&self, top: &Top<'_>, number: usize) -> usize {
        let before = number.saturating_mul(1 << self.block_bits);
        top.names.saturating_sub(before).min(1 << self.block_bits)
    }

    /// The bits of a block.
    fn reader(&self, block: usize) -> Option<BitReader<'a>> {
        let begin = u32::from_le_bytes(*self.begins.get(block)?) as usize;
        (begin < self.names.len()).then(|| BitReader::new(self.names, begin))
    }

    /// Whether the first name of a block comes after `row`.
    #[cold]
    fn head_is_after(&self, block: usize, row: &[u8]) -> Option<bool> {
        let mut reader = self.reader(block)?;
        let width = reader.take(WIDTH_BITS);
        if width > 0 {
            reader.take(width);
        }
        let mut head = [END; ROW];
        let length = self.model.take_row(&mut head, 0, true, &mut reader)?;
        Some(&head[..=usize::from(length)] > row)
    }

    /// The set of a name in a block of `names` names.
    ///
    /// `matched` is how many symbols the wanted row has in common with the name read last, which
    /// comes before it. A name that shares more with that one than `matched` comes before the wanted
    /// one too; one that shares less comes after it; only where it shares as many do symbols have to
    /// be compared.
    fn find_in_block(&self, block: usize, names: usize, row: &[u8]) -> Option<SetCode> {
        let mut reader = self.reader(block)?;
        let width = reader.take(WIDTH_BITS);
        let groups = names.div_ceil(1 << self.group_bits);
        let mut next = groups
            .checked_sub(1)
            .map(|more| self.group_end(&mut reader, more, width))?;
        let (mut this, mut other) = (&mut [END; ROW], &mut [END; ROW]);
        let mut length = self.model.take_row(this, 0, true, &mut reader)?;
        let mut matched = match compare(this, length, row, 0) {
            (Ordering::Less, matched) => matched,
            (Ordering::Equal, _) => return Some(self.model.take_set(&mut reader)),
            (Ordering::Greater, _) => return None,
        };
        // The head of this group comes before the wanted name.
        let mut group = 0;
        let mut in_group = reader.clone();
        while group + 1 < groups {
            reader.go_to(next);
            next = self.group_end(&mut reader, groups - group - 2, width);
            let shared = self.model.take_shared(HEAD_CODE, &mut reader)?;
            if usize::from(shared) < matched || shared > length {
                break;
            }
            if usize::from(shared) > matched {
                length = self.model.take_row(this, shared, false, &mut reader)?;
            } else {
                // What is shared is the begin of the wanted row. The head is kept as it is, in case
                // that the next one comes after that.
                other
                    .get_mut(..matched)?
                    .copy_from_slice(row.get(..matched)?);
                other[usize::from(shared)] = this[usize::from(shared)];
                let its = self.model.take_row(other, shared, false, &mut reader)?;
                match compare(other, its, row, matched) {
                    (Ordering::Less, all) => matched = all,
                    (Ordering::Equal, _) => return Some(self.model.take_set(&mut reader)),
                    (Ordering::Greater, _) => break,
                }
                length = its;
                std::mem::swap(&mut this, &mut other);
            }
            group += 1;
            in_group = reader.clone();
        }
        let left = names - (group << self.group_bits);
        let left = left.min(1 << self.group_bits);
        self.find_in_group(&mut in_group, left, this, length, matched, row)
    }

    /// The set of a name in the group whose head, in `this`, was read.
    #[inline(always)]
    fn find_in_group(
        &self,
        reader: &mut BitReader<'_>,
        names: usize,
        this: &mut [u8; ROW],
        mut length: u8,
        mut matched: usize,
        row: &[u8],
    ) -> Option<SetCode> {
        let mut set = self.model.take_set(reader);
        let mut shared = 0;
        for _ in 1..names {
            shared = self.model.take_shared(shared_code(shared.into()), reader)?;
            if usize::from(shared) < matched || shared > length {
                return None;
            }
            length = self.model.take_row(this, shared, false, reader)?;
            match self.model.take_set(reader) {
                SetCode::Same => {}
                other => set = other,
            }
            if usize::from(shared) == matched {
                match compare(this, length, row, matched) {
                    (Ordering::Less, all) => matched = all,
                    (Ordering::Equal, _) => return Some(set),
                    (Ordering::Greater, _) => return None,
                }
            }
        }
        None
    }

    /// Where the group ends that begins here, before `more` others. The last one has no length.
    #[inline(always)]
    fn group_end(&self, reader: &mut BitReader<'_>, more: usize, width: u32) -> usize {
        let bits = if more > 0 { reader.take(width) } else { 0 };
        reader.place().saturating_add(bits as usize)
    }

    /// Calls `each` for every name of a block of `names` names. None when it cannot be read to its
    /// end.
    fn walk_block(
        &self,
        block: usize,
        names: usize,
        each: &mut impl FnMut(&[u8], SetCode),
    ) -> Option<()> {
        let mut reader = self.reader(block)?;
        let width = reader.take(WIDTH_BITS);
        let groups = names.div_ceil(1 << self.group_bits);
        let mut head = [END; ROW];
        let mut head_length = 0;
        for group in 0..groups {
            if group + 1 < groups {
                reader.take(width);
            }
            let mut shared = 0;
            if group > 0 {
                shared = self.model.take_shared(HEAD_CODE, &mut reader)?;
            }
            if shared > head_length {
                return None;
            }
            let is_first = group == 0;
            head_length = self
                .model
                .take_row(&mut head, shared, is_first, &mut reader)?;
            let mut set = self.model.take_set(&mut reader);
            each(&head[..usize::from(head_length)], set);
            let mut this = head;
            let mut length = head_length;
            let mut before = 0;
            let in_group = (names - (group << self.group_bits)).min(1 << self.group_bits);
            for _ in 1..in_group {
                let shared = self.model.take_shared(shared_code(before), &mut reader)?;
                if shared > length {
                    return None;
                }
                before = usize::from(shared);
                length = self.model.take_row(&mut this, shared, false, &mut reader)?;
                match self.model.take_set(&mut reader) {
                    SetCode::Same => {}
                    other => set = other,
                }
                each(&this[..usize::from(length)], set);
            }
        }
        Some(())
    }
}

/// How a name stands to `row`, with which it has `matched` symbols in common, and how many it really
/// has.
#[inline(always)]
fn compare(name: &[u8; ROW], length: u8, row: &[u8], matched: usize) -> (Ordering, usize) {
    let mut place = matched;
    // Both have an end, which is no other symbol.
    while place <= usize::from(length) {
        let (its, wanted) = (name[place], row.get(place).copied().unwrap_or(END));
        match its.cmp(&wanted) {
            Ordering::Equal if its == END => return (Ordering::Equal, place),
            Ordering::Equal => place += 1,
            other => return (other, place),
        }
    }
    (Ordering::Greater, place)
}

/// How many symbols two rows begin with alike.
pub(super) fn matching(left: &[u8], right: &[u8]) -> usize {
    let pairs = left.iter().zip(right);
    pairs.take_while(|(left, right)| left == right).count()
}
