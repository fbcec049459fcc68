//! Writing the section of sealed lists, in one pass and with little memory.
//!
//! ```text
//! chunks     one after the other: a filter of 64-bit words, then the sorted fingerprints
//! directory  for each chunk: its first fingerprint (10 octets), fingerprints (u16), where it
//!            begins (u32)
//! lists      for each: list (u16), hash (u8, 1), zero (u8), last day (u32, 0 for none), key id
//!            (8 octets), first chunk (u32), chunks (u32), fingerprints (u64)
//! tail       chunks (u32), lists (u32)
//! ```
//!
//! All numbers are little-endian, places are counted from the begin of the section. A chunk holds
//! at most 3,072 fingerprints of one list and a word of the filter for each six of them, so that
//! the filter of a full chunk is a page of memory. A fingerprint is uniformly distributed by
//! itself: octets 2 to 5 select its word, four times six bits of octets 6 to 9 the bits to set in
//! it. About 1.6 % of the names nobody sealed pass the filter; only they touch the fingerprints.
//! No sealed list at all makes an empty section.

use std::io::{self, Write};

use super::key::{Day, KeyId};
use crate::lists::{Fingerprint, ListId};

/// A sealed list, as its section names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedList {
    /// Which list.
    pub list: ListId,
    /// Which key makes its fingerprints.
    pub key_id: KeyId,
    /// The last day on which it should be used.
    pub expires: Option<Day>,
}

/// Writes the section from fingerprints in ascending order. It holds one chunk in memory (35 KiB)
/// and 16 octets for each 3,072 fingerprints.
#[derive(Debug)]
pub struct SealedWriter<W> {
    out: W,
    written: u64,
    lists: Vec<(SealedList, Written)>,
    /// Which of `lists` is being written.
    current: usize,
    chunk: Vec<Fingerprint>,
    directory: Vec<(Fingerprint, u16, u32)>,
}

/// What was written of a list.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    first_chunk: u32,
    chunks: u32,
    fingerprints: u64,
    last: Option<Fingerprint>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins the section of these lists, which are in ascending order.
    pub fn new(out: W, lists: impl IntoIterator<Item = SealedList>) -> Self {
        let lists = lists.into_iter().map(|list| (list, Written::default()));
        Self {
            out,
            written: 0,
            lists: lists.collect(),
            current: 0,
            chunk: Vec::new(),
            directory: Vec::new(),
        }
    }

    /// Takes a fingerprint of a list; the same one twice counts once.
    ///
    /// # Errors
    /// When the fingerprint is not in order of list and value, its list is not one of those, there
    /// are too many for a section of 4 GiB, or `out` fails.
    pub fn push(&mut self, list: ListId, fingerprint: Fingerprint) -> io::Result<()> {
        while self
            .lists
            .get(self.current)
            .is_some_and(|(it, _)| it.list < list)
        {
            self.end_list()?;
        }
        let written = match self.lists.get_mut(self.current) {
            Some((it, written)) if it.list == list => written,
            _ => {
                return Err(io::Error::other(
                    "fingerprints of lists that are not in order",
                ));
            }
        };
        match written.last {
            Some(last) if last == fingerprint => return Ok(()),
            Some(last) if last > fingerprint => {
                return Err(io::Error::other("fingerprints that are not in order"));
            }
            _ => {}
        }
        written.last = Some(fingerprint);
        written.fingerprints += 1;
        self.chunk.push(fingerprint);
        if self.chunk.len() == CHUNK {
            self.write_chunk()?;
        }
        Ok(())
    }

    /// Ends the section; how many octets it has, and `out`.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> io::Result<(u64, W)> {
        while self.current < self.lists.len() {
            self.end_list()?;
        }
        if self.lists.is_empty() {
            return Ok((0, self.out));
        }
        let mut tail = Vec::new();
        for (first, count, place) in &self.directory {
            tail.extend(first.0);
            tail.extend(count.to_le_bytes());
            tail.extend(place.to_le_bytes());
        }
        for (list, written) in &self.lists {
            tail.extend(list.list.0.to_le_bytes());
            tail.extend([HASH_ID, 0]);
            tail.extend(list.expires.map_or(0, |day| day.0).to_le_bytes());
            tail.extend(list.key_id.0);
            tail.extend(written.first_chunk.to_le_bytes());
            tail.extend(written.chunks.to_le_bytes());
            tail.extend(written.fingerprints.to_le_bytes());
        }
        // `write_chunk` bounds the chunks, a `ListId` the lists.
        tail.extend((self.directory.len() as u32).to_le_bytes());
        tail.extend((self.lists.len() as u32).to_le_bytes());
        self.write(&tail)?;
        Ok((self.written, self.out))
    }

    /// Goes on to the next list.
    fn end_list(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        self.current += 1;
        if let Some((_, written)) = self.lists.get_mut(self.current) {
            written.first_chunk = self.directory.len() as u32;
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        let place = u32::try_from(self.written)
            .map_err(|_| io::Error::other("more fingerprints than a section holds"))?;
        let chunk = std::mem::take(&mut self.chunk);
        let Some(first) = chunk.first() else {
            return Ok(());
        };
        let mut filter = vec![0_u64; filter_words(chunk.len())];
        for fingerprint in &chunk {
            let (word, bits) = filter_place(*fingerprint, filter.len());
            if let Some(word) = filter.get_mut(word) {
                *word |= bits;
            }
        }
        // At most `CHUNK`.
        self.directory.push((*first, chunk.len() as u16, place));
        if let Some((_, written)) = self.lists.get_mut(self.current) {
            written.chunks += 1;
        }
        let mut octets: Vec<u8> = filter.iter().flat_map(|word| word.to_le_bytes()).collect();
        octets.extend(chunk.iter().flat_map(|it| it.0));
        self.write(&octets)?;
        self.chunk = chunk;
        self.chunk.clear();
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.out.write_all(octets)?;
        self.written += octets.len() as u64;
        Ok(())
    }
}

/// The most fingerprints of a chunk.
pub(super) const CHUNK: usize = 3072;
/// Octets of a chunk in the directory.
pub(super) const DIRECTORY_ENTRY: usize = 16;
/// Octets of a list in their table.
pub(super) const LIST_ENTRY: usize = 32;
/// Octets at the end.
pub(super) const TAIL: usize = 8;
/// SipHash-2-4 of 128 bits, cut to 80.
pub(super) const HASH_ID: u8 = 1;

/// How many words the filter of a chunk has.
pub(super) const fn filter_words(fingerprints: usize) -> usize {
    fingerprints.div_ceil(6)
}

/// Which word of a filter a fingerprint belongs to, and its bits there.
pub(super) fn filter_place(fingerprint: Fingerprint, words: usize) -> (usize, u64) {
    let [_, _, a, b, c, d, e, f, g, h] = fingerprint.0;
    let hash = u64::from(u32::from_be_bytes([a, b, c, d]));
    let word = ((hash * words as u64) >> 32) as usize;
    let hash = u32::from_be_bytes([e, f, g, h]);
    let bits = [0, 6, 12, 18]
        .iter()
        .fold(0, |bits, shift| bits | 1 << (hash >> shift & 63));
    (word, bits)
}
