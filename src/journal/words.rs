//! Small numbers for the few words that entries consist of.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A bounded table of words that live as long as the process, each with a small number.
///
/// A word is found by its address, not by its text: labels come from [`crate::intern`] or from the
/// program itself, so the same word nearly always has the same address, and a query costs one
/// multiplication instead of a hash over the text. A word that shows up at a second address is
/// compared by text once and remembered under both.
#[derive(Debug)]
pub(super) struct Words {
    list: Vec<&'static str>,
    ids: HashMap<(usize, usize), u16, BuildHasherDefault<AddressHasher>>,
    /// Those asked for last, by their addresses: most queries are about the same few words.
    recent: [Recent; RECENT],
    capacity: usize,
}

/// A word's address, its length and its number; a length of 0 is none, for no word is empty.
#[derive(Clone, Copy, Debug)]
struct Recent(usize, usize, u16);

/// Words found at one look, a power of two.
const RECENT: usize = 32;

impl Words {
    /// A table of at most `capacity` words.
    pub(super) fn new(capacity: u16) -> Self {
        Self {
            list: Vec::new(),
            ids: HashMap::default(),
            recent: [Recent(0, 0, 0); RECENT],
            capacity: usize::from(capacity),
        }
    }

    /// The number of `word`, a new one if need be; none when the table is full.
    #[inline]
    pub(super) fn id(&mut self, word: &'static str) -> Option<u16> {
        let (address, length) = (word.as_ptr().addr(), word.len());
        let place = (address >> 3 ^ length) % RECENT;
        let recent = self.recent[place];
        if (recent.0, recent.1) == (address, length) && length > 0 {
            return Some(recent.2);
        }
        let id = self.look_up(word)?;
        self.recent[place] = Recent(address, length, id);
        Some(id)
    }

    #[inline(never)]
    fn look_up(&mut self, word: &'static str) -> Option<u16> {
        let key = (word.as_ptr().addr(), word.len());
        if let Some(&id) = self.ids.get(&key) {
            return Some(id);
        }
        let found = self.list.iter().position(|&known| known == word);
        if found.is_none() && self.list.len() >= self.capacity {
            return None;
        }
        let id = found.unwrap_or_else(|| {
            self.list.push(word);
            self.list.len() - 1
        });
        let id = u16::try_from(id).ok()?;
        if self.ids.len() < 2 * self.capacity {
            self.ids.insert(key, id);
        }
        Some(id)
    }

    /// All words; the number of each is its place.
    pub(super) fn list(&self) -> &[&'static str] {
        &self.list
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.list.capacity() * size_of::<&str>()
            + self.ids.capacity() * (size_of::<((usize, usize), u16)>() + 1)
            + size_of_val(&self.recent)
    }
}

/// One multiplication; enough for addresses, which no client chooses.
#[derive(Debug, Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        // The table takes its place from the low bits, where a product is weakest.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, value: usize) {
        self.0 = (self.0.rotate_left(5) ^ value as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_number_whatever_its_address() {
        let mut words = Words::new(2);
        let copy: &'static str = Box::leak("tablet".to_owned().into_boxed_str());
        assert_eq!(words.id("tablet"), Some(0));
        assert_eq!(words.id(copy), Some(0));
        assert_eq!(words.id("phone"), Some(1));
        assert_eq!(words.id("laptop"), None);
        assert_eq!(words.list(), ["tablet", "phone"]);
    }
}
