//! Names of which no list says anything, remembered.
//!
//! Most of what a home asks for is the same few hundred names, and of most of them no list speaks. To
//! find that out takes a line of the filter, which is rarely in the processor's cache, and a search
//! for what patterns want; to remember it takes one word.
//!
//! A name is remembered by a keyed hash of 128 bits, of which one half says where and the other what:
//! so the hash stands for the name. Another name passes for it with a chance of one in 2⁷⁵, and nobody
//! outside can look for one, since the key is drawn for each index anew.

use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip128::SipHasher13;

use crate::name::NameRef;

/// How many names are remembered, at most.
const PLACES: usize = 4096;

/// The names. What is remembered of an index goes with it.
pub(super) struct Quiet {
    hasher: SipHasher13,
    /// For each place what the name there is known by; 0 for none.
    known: Box<[AtomicU64; PLACES]>,
}

/// Where a name has its place, and what it is known by.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    place: usize,
    known_by: u64,
}

impl Quiet {
    /// Of no name yet.
    pub(super) fn new() -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(rand::random(), rand::random()),
            known: Box::new([const { AtomicU64::new(0) }; PLACES]),
        }
    }

    /// What `name` is remembered by.
    #[inline]
    pub(super) fn mark(&self, name: NameRef<'_>) -> Mark {
        let hash = self.hasher.hash(name.as_wire());
        Mark {
            place: hash.h2 as usize % PLACES,
            known_by: hash.h1 | 1,
        }
    }

    /// Whether it was found that no list speaks of the name.
    #[inline]
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.known[mark.place].load(Ordering::Relaxed) == mark.known_by
    }

    /// Remembers that no list speaks of the name, in place of another.
    #[inline]
    pub(super) fn remember(&self, mark: Mark) {
        self.known[mark.place].store(mark.known_by, Ordering::Relaxed);
    }

    /// Forgets all of them: the lists say more now.
    pub(super) fn forget(&mut self) {
        self.known.iter_mut().for_each(|it| *it.get_mut() = 0);
    }

    /// Octets it takes in memory.
    pub(super) const fn memory_bytes() -> usize {
        size_of::<[AtomicU64; PLACES]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    #[test]
    fn a_name_is_remembered_until_another_takes_its_place() {
        let mut quiet = Quiet::new();
        let names: Vec<NameBuf> = (0..2 * PLACES)
            .map(|n| NameBuf::parse(&format!("n{n}.example.org")).unwrap())
            .collect();
        let mut last = [usize::MAX; PLACES];
        for (number, name) in names.iter().enumerate() {
            let mark = quiet.mark(name.as_ref());
            assert!(!quiet.has(mark));
            quiet.remember(mark);
            assert!(quiet.has(mark));
            last[mark.place] = number;
        }
        for (number, name) in names.iter().enumerate() {
            let mark = quiet.mark(name.as_ref());
            assert_eq!(quiet.has(mark), last[mark.place] == number);
        }
        quiet.forget();
        assert!(names.iter().all(|it| !quiet.has(quiet.mark(it.as_ref()))));
    }
}
