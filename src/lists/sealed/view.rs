//! Searching the section of sealed lists, in place.

use std::fmt;

use super::key::{Day, KeyId, SealKey, SealKeys};
use super::section::{
    CHUNK, DIRECTORY_ENTRY, HASH_ID, LIST_ENTRY, TAIL, filter_place, filter_words,
};
use crate::lists::addresses::u32_at;
use crate::lists::{Fingerprint, ListId};
use crate::name::NameRef;

/// The sealed lists of an index, to be searched in the octets of their section.
///
/// They find nothing until [`Self::unlock`] was given their keys.
#[derive(Clone, Default)]
pub struct Sealed {
    lists: Vec<Opened>,
    /// Where the directory of chunks begins.
    directory: usize,
}

/// A sealed list and its key, once it is there.
#[derive(Clone)]
pub(super) struct Opened {
    info: SealedInfo,
    /// The chunks, by their numbers in the directory.
    chunks: std::ops::Range<usize>,
    key: Option<SealKey>,
}

/// What may be told of a sealed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedInfo {
    /// Which list.
    pub list: ListId,
    /// Which key makes its fingerprints.
    pub key_id: KeyId,
    /// The last day on which it should be used.
    pub expires: Option<Day>,
    /// How many fingerprints it has.
    pub fingerprints: u64,
    /// Whether its key is there: without it, it finds nothing.
    pub unlocked: bool,
}

/// A sealed name found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedHit {
    /// Which list.
    pub list: ListId,
    /// How many labels the sealed name has.
    pub labels: u8,
}

impl Sealed {
    /// Reads what is needed to search a section.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn open(section: &[u8]) -> Result<Self, String> {
        if section.is_empty() {
            return Ok(Self::default());
        }
        let cut = "the section of sealed lists is cut off";
        let number = |at| u32_at(section, at).and_then(|it| usize::try_from(it).ok());
        let tail = section.len().checked_sub(TAIL).ok_or(cut)?;
        let chunks = number(tail).ok_or(cut)?;
        let count = number(tail + 4).ok_or(cut)?;
        let before = |end: usize, entries: usize, size: usize| {
            entries.checked_mul(size).and_then(|it| end.checked_sub(it))
        };
        let table = before(tail, count, LIST_ENTRY).ok_or(cut)?;
        let directory = before(table, chunks, DIRECTORY_ENTRY).ok_or(cut)?;
        let mut lists: Vec<Opened> = Vec::with_capacity(count);
        for entry in section
            .get(table..tail)
            .ok_or(cut)?
            .chunks_exact(LIST_ENTRY)
        {
            let opened = read_list(entry).ok_or("a sealed list with another hash")?;
            let expected = lists.last().map_or(0, |list| list.chunks.end);
            if opened.chunks.start != expected || opened.chunks.end > chunks {
                return Err("the chunks of sealed lists do not follow one another".into());
            }
            lists.push(opened);
        }
        let this = Self { lists, directory };
        let mut end = 0;
        for number in 0..chunks {
            let (_, begin, count) = this.chunk(section, number).ok_or(cut)?;
            if begin != end || count == 0 || count > CHUNK {
                return Err("the chunks of sealed lists do not follow one another".into());
            }
            end += filter_words(count) * 8 + count * FINGERPRINT;
        }
        if end != directory {
            return Err("the chunks of sealed lists do not reach to their directory".into());
        }
        Ok(this)
    }

    /// Gives every list its key, as far as `keys` has it; the lists whose key is missing find
    /// nothing, which somebody must be told.
    pub fn unlock(&mut self, keys: &SealKeys) -> Vec<SealedInfo> {
        for list in &mut self.lists {
            list.key = keys.get(list.info.key_id).cloned();
            list.info.unlocked = list.key.is_some();
        }
        self.lists().filter(|info| !info.unlocked).collect()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// What may be told of the lists.
    pub fn lists(&self) -> impl Iterator<Item = SealedInfo> {
        self.lists.iter().map(|list| list.info)
    }

    /// Calls `each` for every list in which `name` or a parent of it is sealed: once for each of
    /// those names, the longest first.
    pub fn look_up(&self, section: &[u8], name: NameRef<'_>, mut each: impl FnMut(SealedHit)) {
        for list in &self.lists {
            let Some(key) = &list.key else { continue };
            for (labels, fingerprint) in key.fingerprints(name) {
                if self.holds(section, list, fingerprint) {
                    each(SealedHit {
                        list: list.info.list,
                        // At most `MAX_LABELS`.
                        labels: labels as u8,
                    });
                }
            }
        }
    }

    /// The chunks of a list.
    pub(super) fn chunks_of(&self, list: ListId) -> std::ops::Range<usize> {
        self.opened(list).map_or(0..0, |it| it.chunks.clone())
    }

    pub(super) fn opened(&self, list: ListId) -> Option<&Opened> {
        self.lists.iter().find(|it| it.info.list == list)
    }

    /// Whether a list has this fingerprint.
    pub(super) fn holds(&self, section: &[u8], list: &Opened, fingerprint: Fingerprint) -> bool {
        self.find(section, list, fingerprint).unwrap_or(false)
    }

    /// The same; none where the section is not what [`Self::open`] saw.
    fn find(&self, section: &[u8], list: &Opened, wanted: Fingerprint) -> Option<bool> {
        // The last chunk whose first fingerprint is not greater.
        let (mut low, mut high) = (list.chunks.start, list.chunks.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let (first, _, _) = self.chunk(section, middle)?;
            if first <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == list.chunks.start {
            return Some(false);
        }
        let (_, begin, count) = self.chunk(section, low - 1)?;
        let words = filter_words(count);
        let (word, bits) = filter_place(wanted, words);
        let (filter, _) = section.get(begin + word * 8..)?.split_first_chunk()?;
        if u64::from_le_bytes(*filter) & bits != bits {
            return Some(false);
        }
        let begin = begin + words * 8;
        let fingerprints = section.get(begin..begin + count * FINGERPRINT)?;
        let (fingerprints, _) = fingerprints.as_chunks::<FINGERPRINT>();
        Some(fingerprints.binary_search(&wanted.0).is_ok())
    }

    /// A chunk: its first fingerprint, where it begins, how many fingerprints it has.
    pub(super) fn chunk(
        &self,
        section: &[u8],
        number: usize,
    ) -> Option<(Fingerprint, usize, usize)> {
        let entry = section.get(self.directory + number * DIRECTORY_ENTRY..)?;
        let (first, rest) = entry.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let begin = usize::try_from(u32_at(rest, 0)?).ok()?;
        let count = usize::from(u16::from_le_bytes(*count));
        Some((Fingerprint(*first), begin, count))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lists()).finish()
    }
}

/// Octets of a fingerprint.
pub(super) const FINGERPRINT: usize = 10;

fn read_list(entry: &[u8]) -> Option<Opened> {
    let (list, rest) = entry.split_first_chunk()?;
    let ([HASH_ID, 0], rest) = rest.split_first_chunk()? else {
        return None;
    };
    let expires = u32_at(rest, 0)?;
    let (key_id, rest) = rest.get(4..)?.split_first_chunk()?;
    let first = usize::try_from(u32_at(rest, 0)?).ok()?;
    let count = usize::try_from(u32_at(rest, 4)?).ok()?;
    let (fingerprints, _) = rest.get(8..)?.split_first_chunk()?;
    Some(Opened {
        info: SealedInfo {
            list: ListId(u16::from_le_bytes(*list)),
            key_id: KeyId(*key_id),
            expires: (expires != 0).then_some(Day(expires)),
            fingerprints: u64::from_le_bytes(*fingerprints),
            unlocked: false,
        },
        chunks: first..first.checked_add(count)?,
        key: None,
    })
}
