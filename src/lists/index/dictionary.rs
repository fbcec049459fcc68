//! The names, searched and walked where they stand.
//!
//! Names are divided by their top-level label, then into blocks. For each block there is a
//! *separator*, the first twelve symbols of its first name as a number, so that a search reads
//! nothing but separators until it is at the right block. Inside a block names stand in groups. A
//! block begins with a short separator for each group: the next three symbols of its first name,
//! the *head*, behind those that all heads of the block have in common. So a search reads one group.
//! There the head is written without what is in the separator of the block, and each other name as
//! what differs from the name before.
//!
//! The names of a group are divided: first the tokens of all names, the last name's first and each
//! name's last first; then, from the place on that the block tells, all else of them. So both are
//! read from that place, in opposite directions.
//!
//! A search puts no name together: whether a name comes before the wanted one shows in how much it
//! shares with the name before, mostly, and else in the few symbols behind.

use std::cmp::Ordering;
use std::ops::Range;

use super::alphabet::{
    END, KEY_SYMBOLS, ROW, Wanted, from_key, have_in_common, in_common, key, short_key,
};
use super::bits::BitReader;
use super::blocks::{Blocks, Room};
use super::model::{ModelDecoder, SetCode, shared_code};
use super::tokens::Token;

/// How many bits hold how many symbols the heads of a block have in common.
pub(super) const PREFIX_BITS: u32 = 4;
/// How many bits hold the number of bits of an offset in a block.
pub(super) const WIDTH_BITS: u32 = 5;
/// How many bits a short separator has.
pub(super) const SHORT_KEY_BITS: u32 = 16;

/// Every how manieth separator is in memory too, so that a search reads one place of the file to
/// find the right one.
pub(super) const STRIDE: usize = 16;
/// How many places there are for tops that are found at once.
pub(super) const LIKELY_TOPS: usize = 1024;
/// The most octets of a name in a block: tokens of twelve bits, at most one for each symbol, and what else
/// is said of it.
const MAX_NAME_OCTETS: usize = 512;
/// Octets behind a block that are read with it, so that its last bits are loaded like any other.
const BEHIND: usize = 8;

/// The parts of an index that hold names.
#[derive(Clone, Copy)]
pub(super) struct Dictionary<'a> {
    /// How each top begins.
    pub(super) top_keys: &'a [[u8; 8]],
    /// Where each top stands among `tops`.
    pub(super) top_places: &'a [[u8; 4]],
    /// For each [`likely_place`], a top that may be the one; in memory.
    pub(super) likely_tops: &'a [u16; LIKELY_TOPS],
    /// The part that holds the tops, from its begin.
    pub(super) tops: &'a [u8],
    /// The separator of each block.
    pub(super) separators: &'a [Separator],
    /// The number of every [`STRIDE`]th separator, in memory.
    pub(super) strides: &'a [u64],
    /// The blocks.
    pub(super) names: Blocks<'a>,
    pub(super) model: &'a ModelDecoder,
    /// Names in a block, as a power of two.
    pub(super) block_bits: u8,
    /// Names in a group, as a power of two.
    pub(super) group_bits: u8,
}

/// The separator of a block: a number of eight octets, then in four where the block begins among
/// the names.
pub(super) type Separator = [u8; 12];

/// Where the block of a separator begins among the names.
#[inline(always)]
fn separator_place(separator: &Separator) -> usize {
    separator
        .last_chunk()
        .map_or(0, |place| u32::from_le_bytes(*place) as usize)
}

/// The number of a separator.
#[inline(always)]
pub(super) fn separator_key(separator: &Separator) -> u64 {
    separator
        .first_chunk()
        .map_or(0, |key| u64::from_le_bytes(*key))
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
    pub(super) fn top(&self, number: usize) -> Option<Top<'a>> {
        let place = u32::from_le_bytes(*self.top_places.get(number)?);
        let entry = self.tops.get(place as usize..)?;
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
        let wanted = top_key(label);
        let likely = self.likely_tops.get(likely_place(wanted)).copied();
        let likely = likely.and_then(|number| self.top(usize::from(number)));
        if let Some(top) = likely.filter(|top| top.label == label) {
            return Some(top);
        }
        let key_of = |key: &[u8; 8]| u64::from_be_bytes(*key);
        let begin = self.top_keys.partition_point(|key| key_of(key) < wanted);
        let same = self.top_keys.get(begin..)?;
        let number = match same {
            [one, other, ..] if [one, other].map(key_of) == [wanted; 2] => {
                // Labels that begin alike stand in order.
                let several = same.get(..same.partition_point(|key| key_of(key) == wanted))?;
                let is_before = |number: &usize| {
                    self.top(begin + number)
                        .is_some_and(|top| top.label < label)
                };
                let (mut from, mut to) = (0, several.len());
                while from < to {
                    let middle = from + (to - from) / 2;
                    if is_before(&middle) {
                        from = middle + 1;
                    } else {
                        to = middle;
                    }
                }
                begin + from
            }
            _ => begin,
        };
        self.top(number).filter(|top| top.label == label)
    }

    /// What [`Self::likely_tops`] is: for each place the top with the most names.
    pub(super) fn most_likely_tops(&self) -> [u16; LIKELY_TOPS] {
        let mut tops = [(0, 0); LIKELY_TOPS];
        for number in 0..=u16::MAX {
            let Some(top) = self.top(number.into()) else {
                break;
            };
            let place = &mut tops[likely_place(top_key(top.label))];
            if top.names > place.0 {
                *place = (top.names, number);
            }
        }
        tops.map(|(_, number)| number)
    }

    /// The set of a name below `top`.
    pub(super) fn find(&self, top: &Top<'_>, wanted: &Wanted<'_>) -> Option<SetCode> {
        let key = key(wanted.row);
        let mut room = Room::default();
        let blocks = self.blocks_of(top);
        let end = self.first_block(&blocks, |other| other > key)?;
        let last = end.checked_sub(1).filter(|last| *last >= blocks.start)?;
        let mut block = last;
        if separator_key(self.separators.get(last)?) == key {
            // Only the first names of the blocks with this separator can tell which is the one; or
            // it is the block before them.
            let begin = self.first_block(&blocks, |other| other >= key)?;
            let (mut from, mut to) = (begin, end);
            while from < to {
                let middle = from + (to - from) / 2;
                let names = self.names_in_block(top, middle);
                if self.head_is_after(middle, names, wanted, &mut room)? {
                    to = middle;
                } else {
                    from = middle + 1;
                }
            }
            block = from.checked_sub(1).filter(|it| *it >= blocks.start)?;
        }
        let names = self.names_in_block(top, block);
        self.find_in_block(block, names, wanted, key, &mut room)
    }

    /// The first of `blocks` whose separator has this property, which all behind it have too; or
    /// where they end.
    #[inline(always)]
    fn first_block(&self, blocks: &Range<usize>, is_behind: impl Fn(u64) -> bool) -> Option<usize> {
        let strides = blocks.start.div_ceil(STRIDE)..blocks.end.div_ceil(STRIDE);
        let behind = strides.start
            + self
                .strides
                .get(strides)?
                .partition_point(|separator| !is_behind(*separator));
        let end = (behind * STRIDE).min(blocks.end);
        let begin = (behind * STRIDE).saturating_sub(STRIDE).max(blocks.start);
        // They are few: to read all of them is quicker than to look which to read.
        let before = self.separators.get(begin..end)?.iter();
        let before = before.filter(|separator| !is_behind(separator_key(separator)));
        Some(begin + before.count())
    }

    /// Calls `each` with the row, without its end, and the set of every name below `top`, in order.
    pub(super) fn walk(&self, top: &Top<'_>, mut each: impl FnMut(&[u8], SetCode)) {
        let mut room = Room::default();
        for block in self.blocks_of(top) {
            let names = self.names_in_block(top, block);
            if self
                .walk_block(block, names, &mut room, &mut each)
                .is_none()
            {
                return;
            }
        }
    }

    /// The numbers of the blocks of a top.
    fn blocks_of(&self, top: &Top<'_>) -> Range<usize> {
        let count = top.names.div_ceil(1 << self.block_bits);
        top.first_block..top.first_block.saturating_add(count)
    }

    /// How many names a block of a top has.
    fn names_in_block(&self, top: &Top<'_>, block: usize) -> usize {
        let before = block.saturating_sub(top.first_block);
        let before = before.saturating_mul(1 << self.block_bits);
        top.names.saturating_sub(before).min(1 << self.block_bits)
    }

    /// The octets of a block of `names` names, and some behind it, which are no part of it but read with it.
    #[inline(always)]
    fn octets<'b>(&self, block: usize, names: usize, room: &'b mut Room) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let (this, behind) = self.separators.get(block..)?.split_first()?;
        let begin = separator_place(this);
        let end = (behind.first()).map_or(self.names.length, separator_place);
        let end = end.saturating_add(BEHIND).min(self.names.length);
        let most = names * MAX_NAME_OCTETS + BEHIND;
        let length = end.checked_sub(begin).filter(|it| *it <= most)?;
        self.names.read(begin, length, room)
    }

    /// Begins to read a block of `names` names.
    #[inline(always)]
    fn block<'b>(&self, block: usize, names: usize, room: &'b mut Room) -> Option<Block<'b>>
    where
        'a: 'b,
    {
        let separator = separator_key(self.separators.get(block)?);
        let mut reader = BitReader::new(self.octets(block, names, room)?, 0);
        let prefix = reader.take(PREFIX_BITS) as usize;
        let width = reader.take(WIDTH_BITS);
        let others = names.div_ceil(1 << self.group_bits).checked_sub(1)?;
        let keys = reader.place();
        let offsets = keys + others * SHORT_KEY_BITS as usize;
        Some(Block {
            reader,
            separator,
            prefix: prefix.min(KEY_SYMBOLS),
            width,
            others,
            offsets,
            groups: offsets + (others + 1) * width as usize,
        })
    }

    /// Whether the first name of a block, whose separator is that of `wanted`, comes after it.
    #[cold]
    fn head_is_after(
        &self,
        block: usize,
        names: usize,
        wanted: &Wanted<'_>,
        room: &mut Room,
    ) -> Option<bool> {
        let mut block = self.block(block, names, room)?;
        let tokens = block.go_to_group(0);
        self.model.take_set(&mut block.reader);
        let count = self.model.take_count(&mut block.reader);
        let octets = block.reader.octets();
        let (order, _) = self.compare(octets, tokens, count, wanted, block.prefix)?;
        Some(order == Ordering::Greater)
    }

    /// The set of a name in a block of `names` names; `key` is the number that begins the name.
    ///
    /// `matched` is how many symbols the wanted name has in common with the name read last, which
    /// comes before it. A name that shares more with that one than `matched` comes before the wanted
    /// one too; one that shares less comes after it; only where it shares as many do symbols have to
    /// be compared.
    fn find_in_block(
        &self,
        block: usize,
        names: usize,
        wanted: &Wanted<'_>,
        key: u64,
        room: &mut Room,
    ) -> Option<SetCode> {
        let mut block = self.block(block, names, room)?;
        let octets = block.reader.octets();
        let has_prefix = have_in_common(block.separator, key, block.prefix);
        let mut group = if has_prefix {
            block.group_of(wanted)
        } else {
            // The wanted name comes after all heads.
            block.others
        };
        let (mut tokens, mut set, mut matched);
        loop {
            tokens = block.go_to_group(group);
            set = self.model.take_set(&mut block.reader);
            let count = self.model.take_count(&mut block.reader);
            if !has_prefix {
                matched = in_common(block.separator, key);
            } else {
                match self.compare(octets, tokens, count, wanted, block.prefix)? {
                    (Ordering::Less, all) => matched = all,
                    (Ordering::Equal, _) => return Some(set),
                    // Its short separator is the same as that of the wanted name.
                    (Ordering::Greater, _) => {
                        group = group.checked_sub(1)?;
                        continue;
                    }
                }
            }
            tokens = tokens.checked_sub(self.model.bits_of(count))?;
            break;
        }
        let mut shared = 0;
        let reader = &mut block.reader;
        for _ in 1..self.names_in_group(group, names) {
            shared = self.model.take_shared(shared_code(shared), reader)?;
            let count = self.model.take_plain_count(&mut set, reader);
            if shared < matched {
                return None;
            }
            if shared == matched {
                match self.compare(octets, tokens, count, wanted, matched)? {
                    (Ordering::Less, all) => matched = all,
                    (Ordering::Equal, _) => return Some(set),
                    (Ordering::Greater, _) => return None,
                }
            }
            tokens = tokens.checked_sub(self.model.bits_of(count))?;
        }
        None
    }

    /// How a name stands to the wanted one, with which it has `matched` symbols in common before its
    /// tokens, which are so many and end where `tokens` says among `octets`; and how many symbols those
    /// are in all.
    #[inline(always)]
    fn compare(
        &self,
        octets: &[u8],
        tokens: usize,
        count: usize,
        wanted: &Wanted<'_>,
        matched: usize,
    ) -> Option<(Ordering, usize)> {
        let mut place = matched;
        for token in self.tokens(octets, tokens, count) {
            let differing = (token.symbols() ^ wanted.eight(place)?) & token.mask();
            if differing != 0 {
                let symbol = differing.trailing_zeros() / 8;
                place += symbol as usize;
                let its = (token.symbols() >> (8 * symbol)) as u8;
                // No token has an end.
                return Some((its.cmp(wanted.row.get(place)?), place));
            }
            place += token.len();
        }
        let order = match *wanted.row.get(place)? {
            END => Ordering::Equal,
            _ => Ordering::Less,
        };
        Some((order, place))
    }

    /// So many tokens of `octets` from `end` on backwards.
    #[inline(always)]
    fn tokens(&self, octets: &[u8], end: usize, count: usize) -> impl Iterator<Item = Token> {
        (1..=count).map_while(move |number| {
            let place = end.checked_sub(self.model.bits_of(number))?;
            Some(self.model.token(octets, place))
        })
    }

    /// How many names the group with this number in a block of `names` names has.
    fn names_in_group(&self, group: usize, names: usize) -> usize {
        let before = group << self.group_bits;
        names.saturating_sub(before).min(1 << self.group_bits)
    }

    /// Calls `each` for every name of a block of `names` names. None when it cannot be read to its
    /// end.
    fn walk_block(
        &self,
        block: usize,
        names: usize,
        room: &mut Room,
        each: &mut impl FnMut(&[u8], SetCode),
    ) -> Option<()> {
        let mut block = self.block(block, names, room)?;
        let octets = block.reader.octets();
        let mut this = [END; ROW];
        let mut length = block.prefix;
        from_key(block.separator, this.get_mut(..length)?);
        for group in 0..=block.others {
            let mut tokens = block.go_to_group(group);
            let reader = &mut block.reader;
            let mut set = self.model.take_set(reader);
            let mut shared = 0;
            for number in 0..self.names_in_group(group, names) {
                let (begin, count) = if number == 0 {
                    (block.prefix, self.model.take_count(reader))
                } else {
                    shared = self.model.take_shared(shared_code(shared), reader)?;
                    (shared, self.model.take_plain_count(&mut set, reader))
                };
                if begin > length {
                    return None;
                }
                length = begin;
                for token in self.tokens(octets, tokens, count) {
                    let end = length + token.len();
                    let symbols = token.symbols().to_le_bytes();
                    let place = this.get_mut(length..end)?;
                    place.copy_from_slice(symbols.get(..token.len())?);
                    length = end;
                }
                tokens = tokens.checked_sub(self.model.bits_of(count))?;
                each(this.get(..length)?, set);
            }
        }
        Some(())
    }
}

/// A block that is being read.
struct Block<'a> {
    reader: BitReader<'a>,
    separator: u64,
    /// How many symbols all heads have in common; they are those of the separator.
    prefix: usize,
    /// Bits of an offset.
    width: u32,
    /// How many groups there are beside the first.
    others: usize,
    /// Where the offsets of the groups are.
    offsets: usize,
    /// From where the offsets count.
    groups: usize,
}

impl Block<'_> {
    /// The last group whose head does not come after a name that has the prefix, if the short
    /// separators tell; there may be heads with the same one that do.
    #[inline(always)]
    fn group_of(&mut self, wanted: &Wanted<'_>) -> usize {
        let wanted = u32::from(short_key(wanted.row, self.prefix));
        let mut group = 0;
        for number in 1..=self.others {
            if self.reader.take(SHORT_KEY_BITS) > wanted {
                break;
            }
            group = number;
        }
        group
    }

    /// Goes to the first name of a group, and says where that is: there the tokens end.
    #[inline(always)]
    fn go_to_group(&mut self, group: usize) -> usize {
        self.reader
            .go_to(self.offsets + group * self.width as usize);
        let place = self.groups + self.reader.take(self.width) as usize;
        self.reader.go_to(place);
        place
    }
}

/// The place of a top among those that are found at once, from what [`top_key`] says of it.
#[inline]
fn likely_place(key: u64) -> usize {
    // The high bits of a product depend on all bits below.
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - LIKELY_TOPS.ilog2())) as usize
}

/// The first eight octets of a label, filled up with zeroes, as a number that is in their order.
pub(super) fn top_key(label: &[u8]) -> u64 {
    match label.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let key = label
                .iter()
                .fold(0, |key, octet| key << 8 | u64::from(*octet));
            // Less than eight octets; of none the key is zero anyway.
            key << (8 * (8 - label.len()) % 64)
        }
    }
}

/// How many symbols two rows begin with alike.
pub(super) fn matching(left: &[u8], right: &[u8]) -> usize {
    let pairs = left.iter().zip(right);
    pairs.take_while(|(left, right)| left == right).count()
}
