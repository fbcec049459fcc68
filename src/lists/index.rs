//! The compiled lists: which lists name this name or a parent of it?

use std::fmt;

use super::{Effect, ListInfo, Reach};
use crate::name::NameRef;

/// The place of a list in an [`Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(pub u16);

/// A line of a list that matches a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which list.
    pub list: ListId,
    /// Which names the line matches.
    pub reach: Reach,
    /// What it says about them.
    pub effect: Effect,
    /// How many labels the name has that the line names; more is more specific. A pattern counts
    /// as the whole name.
    pub labels: u8,
    /// Whether the line comes before exceptions of its list that are not important.
    pub important: bool,
    /// What restricts or changes the line, to be asked of [`Index::applies`]; none for nearly all.
    pub rule: Option<RuleId>,
    /// How the line came to match.
    pub by: Matcher,
}

/// The place of a line's modifiers in an [`Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// How a line of a list matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matcher {
    /// It names the name or a parent.
    Name,
    /// Its pattern, the one with this number, matches.
    Pattern(u32),
    /// Its fingerprint is the name's or a parent's. Which must be shown nowhere.
    Fingerprint,
    /// Its prefix holds the address.
    Address,
}

/// All lists, compiled: immutable, exact, searched without allocation.
///
/// # How it is built
///
/// Each different name is stored once, as an *item*: its length, its labels in wire format
/// without the root, then a record of six octets for each line that names it. A record is the
/// list, the line, its reach and effect, and whether another record follows.
///
/// A name has a 64-bit hash. It is computed label by label from the right, so that one pass over
/// `www.example.org` gives the hashes of `org`, `example.org` and `www.example.org` on the way.
///
/// The items stand in the order of their hashes. The first eight bits of a hash select one of 256
/// *shards*; inside a shard the following bits select a *bucket* of two items on average, and a
/// table holds where each bucket begins. To find a name is to compute its hash, go to the bucket,
/// and compare the few names there octet by octet: a hash that happens to be equal never makes a
/// name listed. Two numbers, the fewest and the most labels of any name listed, keep us from
/// searching for `org` where nothing so short is listed, and for the hundred parents of a name
/// somebody made up to keep us busy.
///
/// # A small example
///
/// List 0 says `||example.org^` in line 7 and `||ads.test^` in line 8; list 1 says
/// `@@||example.org^` in line 1. Say their hashes begin `05 91…` and `05 c0…`: both are in
/// shard 5, which has one bucket:
///
/// ```text
/// starts  0 38
/// items   12 |7 example 3 org| list 0, line 7, subtree, listed, more | list 1, line 1, subtree, excepted
///         9  |3 ads 4 test|    list 0, line 8, subtree, listed
/// ```
///
/// The question `www.example.org` has three labels; two is the most here. `example.org` leads to
/// shard 5, its one bucket, the first item, and two hits; `org` is not looked for, because every
/// name here has two labels.
///
/// # Size
///
/// Names have some 18 octets; with one record that makes an item of 25, and two octets more for
/// its half of a bucket. The hash depends on a key drawn when the index is built, so that nobody
/// who publishes a list can fill one bucket on purpose.
pub struct Index {
    pub(super) key: u64,
    pub(super) lists: Vec<ListInfo>,
    pub(super) shards: Box<[Shard]>,
    pub(super) names: usize,
    /// The fewest labels of a name here.
    pub(super) fewest_labels: usize,
    /// The most labels of a name here.
    pub(super) most_labels: usize,
}

impl Index {
    /// Calls `each` for every line of every list that matches `name`: the lines that name it
    /// first, then those that name its parents, the nearest parent first.
    pub fn look_up(&self, name: NameRef<'_>, mut each: impl FnMut(Hit)) {
        // Few lists name anything deeper; the short walk clears 150 bytes of stack, not 1,200.
        const FEW: usize = 16;
        let labels = name.label_count();
        let most = labels.min(self.most_labels);
        if most < self.fewest_labels {
            return;
        }
        if most < FEW {
            self.walk::<FEW>(name, labels, most, &mut each);
        } else {
            self.walk::<{ MAX_LABELS + 1 }>(name, labels, most, &mut each);
        }
    }

    /// Looks for the parents of `name` that have at most `most` labels, which is less than `N`.
    fn walk<const N: usize>(
        &self,
        name: NameRef<'_>,
        labels: usize,
        most: usize,
        each: &mut impl FnMut(Hit),
    ) {
        // Without the root label. `begins[n]` is where the parent with n labels begins in it,
        // `hashes[n]` its hash.
        let wire = name.as_wire();
        let wire = wire.get(..wire.len() - 1).unwrap_or_default();
        let mut begins = [0_u8; N];
        let mut hashes = [self.key; N];
        if let Some(root) = begins.first_mut() {
            // A name has at most 255 octets, so all these fit.
            *root = wire.len() as u8;
        }
        let known = begins.get_mut(1..=most).unwrap_or_default();
        let suffixes = name.suffixes().skip(labels - most);
        for (begin, suffix) in known.iter_mut().rev().zip(suffixes) {
            *begin = (wire.len() + 1 - suffix.as_wire().len()) as u8;
        }
        let mut hash = self.key;
        let places = begins.iter().zip(begins.iter().skip(1));
        for ((end, begin), place) in places.zip(hashes.iter_mut().skip(1)).take(most) {
            let label = wire.get(usize::from(*begin)..usize::from(*end));
            hash = hash_label(hash, label.unwrap_or_default());
            *place = hash;
        }
        let from_root = begins.iter().zip(&hashes).enumerate();
        let listed = from_root
            .skip(self.fewest_labels)
            .take(most + 1 - self.fewest_labels);
        for (count, (begin, hash)) in listed.rev() {
            let suffix = wire.get(usize::from(*begin)..).unwrap_or_default();
            let itself = count == labels;
            for record in self.shard(*hash).records(*hash, suffix) {
                let matches = match record.reach {
                    Reach::Subtree => true,
                    Reach::Exact => itself,
                    Reach::Below => !itself,
                };
                if matches {
                    each(Hit {
                        list: record.list,
                        reach: record.reach,
                        effect: record.effect,
                        // At most 127.
                        labels: count as u8,
                        important: false,
                        rule: None,
                        by: Matcher::Name,
                    });
                }
            }
        }
    }

    /// Whether a line that was hit speaks to `asker` about `name`: whether what restricts it allows.
    pub const fn applies(&self, _hit: &Hit, _name: NameRef<'_>, _asker: &super::Asker<'_>) -> bool {
        true
    }

    /// Calls `each` for every line of every list whose prefix holds `address`.
    pub fn look_up_address(&self, _address: std::net::IpAddr, _each: impl FnMut(Hit)) {}

    /// Calls `each` for everything one list says, in no particular order: its line, name, reach
    /// and effect. Walks the whole index.
    pub fn entries_of(&self, list: ListId, mut each: impl FnMut(u32, NameRef<'_>, Reach, Effect)) {
        let mut wire = [0_u8; crate::name::MAX_NAME];
        for shard in &self.shards {
            let mut items = &*shard.items;
            while let Some((length, rest)) = items.split_first() {
                let Some((stored, rest)) = rest.split_at_checked(usize::from(*length)) else {
                    break;
                };
                let mut records = Records {
                    bytes: rest,
                    more: true,
                };
                // The root label is not stored.
                let name = wire.get_mut(..=stored.len()).and_then(|room| {
                    room[..stored.len()].copy_from_slice(stored);
                    room[stored.len()] = 0;
                    NameRef::from_wire(room).ok()
                });
                for record in records.by_ref() {
                    if let Some(name) = name.filter(|_| record.list == list) {
                        each(record.line, name, record.reach, record.effect);
                    }
                }
                items = records.bytes;
            }
        }
    }

    /// What is known of a list.
    ///
    /// # Panics
    /// When `list` comes from another index with more lists.
    pub fn list(&self, list: ListId) -> &ListInfo {
        &self.lists[usize::from(list.0)]
    }

    /// All lists, in the order of their ids; those that could not be loaded too.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = (ListId, &ListInfo)> {
        // `IndexBuilder` takes no more than 65,535.
        let ids = (0..=u16::MAX).map(ListId);
        self.lists.iter().zip(ids).map(|(info, id)| (id, info))
    }

    /// The list with this id in the configuration.
    pub fn find(&self, id: &str) -> Option<ListId> {
        self.lists()
            .find_map(|(list, info)| (info.id == id).then_some(list))
    }

    /// How many different names are listed.
    pub const fn name_count(&self) -> usize {
        self.names
    }

    /// Memory the names take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let table = size_of_val(&*self.shards);
        let shards = self.shards.iter().map(Shard::memory_bytes);
        table + shards.sum::<usize>()
    }

    /// The shard in which a name with this hash stands; there is one for every octet.
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[shard_of(hash)]
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("lists", &self.lists.len())
            .field("names", &self.names)
            .field("memory_bytes", &self.memory_bytes())
            .finish()
    }
}

/// The names whose hash begins with the same eight bits; see [`Index`].
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// The items, in the order of their hashes.
    items: Box<[u8]>,
    /// Where each bucket begins among them, and where the last one ends.
    starts: Box<[u32]>,
}

impl Shard {
    /// Puts items together that were sorted by hash; `ends` holds the hash of each and where it
    /// ends among `items`.
    pub(super) fn new(items: Box<[u8]>, ends: &[(u64, u32)]) -> Self {
        let buckets = ends.len().div_ceil(ITEMS_IN_BUCKET);
        let mut starts = Vec::with_capacity(buckets + 1);
        let mut rest = ends.iter().peekable();
        let mut at = 0;
        for bucket in 0..buckets {
            starts.push(at);
            while let Some((_, end)) = rest.next_if(|(hash, _)| bucket_of(*hash, buckets) == bucket)
            {
                at = *end;
            }
        }
        starts.push(at);
        Self {
            items,
            starts: starts.into_boxed_slice(),
        }
    }

    /// The records of a name, given without the root label, and its hash.
    fn records(&self, hash: u64, name: &[u8]) -> Records<'_> {
        let bucket = bucket_of(hash, self.starts.len().saturating_sub(1));
        let mut items = match self.starts.get(bucket..) {
            Some([start, end, ..]) => self
                .items
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
            _ => &[],
        };
        while let Some((length, rest)) = items.split_first() {
            let Some((stored, rest)) = rest.split_at_checked(usize::from(*length)) else {
                break;
            };
            let mut records = Records {
                bytes: rest,
                more: true,
            };
            if stored == name {
                return records;
            }
            while records.next().is_some() {}
            items = records.bytes;
        }
        Records::default()
    }

    /// Memory it takes besides itself.
    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.items) + size_of_val(&*self.starts)
    }
}

/// What a line says about a name, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The list.
    pub(super) list: ListId,
    /// The line, at most [`MAX_LINE_NUMBER`].
    pub(super) line: u32,
    /// Which names it matches.
    pub(super) reach: Reach,
    /// What it says about them.
    pub(super) effect: Effect,
}

/// Octets of a stored record.
pub(super) const RECORD: usize = 6;
/// The last line a record can name; those beyond are given this number.
pub(super) const MAX_LINE_NUMBER: u32 = (1 << 28) - 1;
/// The bit that says that another record follows.
const MORE: u32 = 1 << 3;
/// The bit of an exception.
const EXCEPTED: u32 = 1 << 2;

impl Record {
    /// Two octets of list; then line, more, effect and reach in 28, 1, 1 and 2 bits.
    pub(super) fn to_bytes(self, more: bool) -> [u8; RECORD] {
        let reach = match self.reach {
            Reach::Subtree => 0,
            Reach::Exact => 1,
            Reach::Below => 2,
        };
        let effect = match self.effect {
            Effect::Listed => 0,
            Effect::Excepted => EXCEPTED,
        };
        let more = if more { MORE } else { 0 };
        let [a, b] = self.list.0.to_le_bytes();
        let [c, d, e, f] =
            (self.line.min(MAX_LINE_NUMBER) << 4 | more | effect | reach).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// The record, and whether another follows.
    pub(super) fn from_bytes([a, b, c, d, e, f]: [u8; RECORD]) -> (Self, bool) {
        let packed = u32::from_le_bytes([c, d, e, f]);
        let record = Self {
            list: ListId(u16::from_le_bytes([a, b])),
            line: packed >> 4,
            reach: match packed & 3 {
                0 => Reach::Subtree,
                1 => Reach::Exact,
                _ => Reach::Below,
            },
            effect: if packed & EXCEPTED == 0 {
                Effect::Listed
            } else {
                Effect::Excepted
            },
        };
        (record, packed & MORE != 0)
    }
}

/// The records of one item; what is left of `bytes` after the last is the next item.
#[derive(Default)]
struct Records<'a> {
    bytes: &'a [u8],
    more: bool,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if !self.more {
            return None;
        }
        let (record, rest) = self.bytes.split_first_chunk()?;
        let (record, more) = Record::from_bytes(*record);
        (self.bytes, self.more) = (rest, more);
        Some(record)
    }
}

/// The most labels of a name: 127 of one octet and its length make 254, and the root 255.
const MAX_LABELS: usize = 127;
/// How many items share a bucket on average.
const ITEMS_IN_BUCKET: usize = 2;
/// Number of shards, one for each first octet of a hash.
pub(super) const SHARDS: usize = 256;

/// The shard of a hash: its first eight bits.
pub(super) const fn shard_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// The bucket of a hash inside its shard: the next 32 bits, spread evenly over `buckets` and in
/// the same order as the hashes.
const fn bucket_of(hash: u64, buckets: usize) -> usize {
    let next = (hash << 8) >> 32;
    ((next * buckets as u64) >> 32) as usize
}

/// The hash of a name given without the root label; [`Index::look_up`] gets it on the way.
pub(super) fn hash_name(key: u64, name: &[u8]) -> u64 {
    let mut begins = [0_u8; MAX_LABELS];
    let mut count = 0;
    let mut at = 0;
    for place in &mut begins {
        let Some(length) = name.get(at) else { break };
        // A name has at most 255 octets.
        *place = at as u8;
        at += 1 + usize::from(*length);
        count += 1;
    }
    let mut hash = key;
    let mut end = name.len();
    for begin in begins.iter().take(count).rev() {
        let begin = usize::from(*begin);
        hash = hash_label(hash, name.get(begin..end).unwrap_or_default());
        end = begin;
    }
    hash
}

/// The hash of a name from that of its parent and its first label, length octet included.
///
/// Eight octets at a time are multiplied into the hash; both halves of the product are used.
fn hash_label(parent: u64, label: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = label.as_chunks();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest
        .iter()
        .fold(0, |word, octet| word << 8 | u64::from(*octet));
    let mut hash = parent;
    for word in words.chain([rest]) {
        let product = u128::from(hash ^ word) * u128::from(ODD);
        hash = ((product >> 64) as u64 ^ product as u64).rotate_left(23);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_what_it_was_given() {
        for reach in [Reach::Subtree, Reach::Exact, Reach::Below] {
            for effect in [Effect::Listed, Effect::Excepted] {
                for (line, more) in [(0, true), (1, false), (MAX_LINE_NUMBER, true)] {
                    let list = ListId(0xabcd);
                    let record = Record {
                        list,
                        line,
                        reach,
                        effect,
                    };
                    assert_eq!(Record::from_bytes(record.to_bytes(more)), (record, more));
                }
            }
        }
        let far = Record {
            list: ListId(0),
            line: u32::MAX,
            reach: Reach::Subtree,
            effect: Effect::Listed,
        };
        assert_eq!(
            Record::from_bytes(far.to_bytes(false)).0.line,
            MAX_LINE_NUMBER
        );
    }

    #[test]
    fn buckets_are_even_and_in_order() {
        let hashes: Vec<u64> = (0..1000_u64)
            .map(|n| hash_label(7, format!("{n}").as_bytes()))
            .collect();
        let mut sorted: Vec<u64> = hashes.iter().map(|hash| hash << 8 >> 8).collect();
        sorted.sort_unstable();
        assert!(sorted.is_sorted_by_key(|hash| bucket_of(*hash, 50)));
        let mut counts = [0; 50];
        hashes
            .iter()
            .for_each(|hash| counts[bucket_of(*hash, 50)] += 1);
        assert!(
            counts.iter().all(|count| (5..45).contains(count)),
            "{counts:?}"
        );
    }
}
