//! What was found about names lately, remembered.
//!
//! Most of what a home asks for is the same few hundred names, and of most of them no list speaks; of
//! the others it is the same trackers again and again. To find out what lists say takes a line of the
//! filter, a search among blocks and what patterns want, all rarely in the processor's cache; to
//! remember it takes two words.
//!
//! A name is remembered by a keyed hash of 128 bits, of which one half says where and the other what:
//! so the hash stands for the name. Another name passes for it with a chance of one in 2⁷⁷, and nobody
//! outside can look for one, since the key is drawn for each index anew.
//!
//! The two words of a place are written by whoever comes, without a lock. The first is the name's half of
//! the hash, by exclusive or with the second: where one of them is another's, they are no name's.

use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip128::SipHasher13;

use crate::name::NameRef;

/// How many names are remembered, at most: as many as some hundred homes ask for in an hour.
const PLACES: usize = 16_384;

/// The names. What is remembered of an index goes with it.
pub(super) struct Remembered {
    hasher: SipHasher13,
    places: Box<[Place]>,
}

#[derive(Default)]
struct Place {
    /// What the name is known by, with what was found; 0 for none.
    known: AtomicU64,
    found: AtomicU64,
}

/// Where a name has its place, and what it is known by.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    place: usize,
    known_by: u64,
}

/// The sets of postings that are about a name, in the order they were found: none, one or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding(u64);

/// A set of postings, and of which parent of the name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where the set stands.
    pub(super) place: usize,
    /// How many labels that parent has.
    pub(super) count: usize,
    /// It is the name itself.
    pub(super) itself: bool,
}

/// Bits of one set: its place, then whether it is the name's own, the labels, and that there is one.
const SET: u32 = 32;
const PLACE: u32 = 23;
const ITSELF: u64 = 1 << PLACE;
const LABELS: u32 = PLACE + 1;
const THERE: u64 = 1 << (SET - 1);
const MOST_LABELS: usize = 127;

impl Finding {
    /// Adds one more; whether there is room for it.
    pub(super) fn add(&mut self, found: Found) -> bool {
        if found.place >> PLACE != 0 || found.count > MOST_LABELS || self.0 >> SET != 0 {
            return false;
        }
        let itself = if found.itself { ITSELF } else { 0 };
        let set = found.place as u64 | itself | (found.count as u64) << LABELS | THERE;
        self.0 = match self.0 {
            0 => set,
            first => first | set << SET,
        };
        true
    }

    /// Those that were added, in their order.
    #[inline]
    pub(super) fn sets(self) -> impl Iterator<Item = Found> {
        let sets = [self.0, self.0 >> SET].into_iter();
        sets.filter(|set| set & THERE != 0).map(|set| Found {
            place: (set & (ITSELF - 1)) as usize,
            count: (set >> LABELS) as usize & MOST_LABELS,
            itself: set & ITSELF != 0,
        })
    }
}

impl Remembered {
    /// Of no name yet.
    pub(super) fn new() -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(rand::random(), rand::random()),
            places: (0..PLACES).map(|_| Place::default()).collect(),
        }
    }

    /// What `name` is remembered by.
    #[inline]
    pub(super) fn mark(&self, name: NameRef<'_>) -> Mark {
        let hash = self.hasher.hash(name.as_wire());
        Mark {
            place: hash.h2 as usize % PLACES,
            // Never 0, which is nobody.
            known_by: hash.h1 | 1,
        }
    }

    /// What was found about the name, if that is remembered.
    #[inline]
    pub(super) fn find(&self, mark: Mark) -> Option<Finding> {
        let place = self.places.get(mark.place)?;
        let found = place.found.load(Ordering::Relaxed);
        let is_known = place.known.load(Ordering::Relaxed) ^ found == mark.known_by;
        is_known.then_some(Finding(found))
    }

    /// Remembers what was found about the name, in place of another.
    #[inline]
    pub(super) fn remember(&self, mark: Mark, finding: Finding) {
        if let Some(place) = self.places.get(mark.place) {
            let known = mark.known_by ^ finding.0;
            place.known.store(known, Ordering::Relaxed);
            place.found.store(finding.0, Ordering::Relaxed);
        }
    }

    /// Forgets all of them: the lists say more now.
    pub(super) fn forget(&mut self) {
        self.places.fill_with(Place::default);
    }

    /// Octets it takes in memory.
    pub(super) const fn memory_bytes() -> usize {
        size_of::<Place>() * PLACES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::NameBuf;

    fn finding(place: usize) -> Finding {
        let mut finding = Finding::default();
        let found = Found {
            place,
            count: 2,
            itself: false,
        };
        assert!(place == 0 || finding.add(found));
        finding
    }

    #[test]
    fn a_name_is_remembered_until_another_takes_its_place() {
        let mut remembered = Remembered::new();
        let names: Vec<NameBuf> = (0..2 * PLACES)
            .map(|n| NameBuf::parse(&format!("n{n}.example.org")).unwrap())
            .collect();
        let mut last = vec![usize::MAX; PLACES];
        for (number, name) in names.iter().enumerate() {
            let mark = remembered.mark(name.as_ref());
            assert_eq!(remembered.find(mark), None);
            remembered.remember(mark, finding(number));
            assert_eq!(remembered.find(mark), Some(finding(number)));
            last[mark.place] = number;
        }
        for (number, name) in names.iter().enumerate() {
            let mark = remembered.mark(name.as_ref());
            let expected = (last[mark.place] == number).then(|| finding(number));
            assert_eq!(remembered.find(mark), expected);
        }
        remembered.forget();
        let mut marks = names.iter().map(|it| remembered.mark(it.as_ref()));
        assert!(marks.all(|it| remembered.find(it).is_none()));
    }

    #[test]
    fn words_of_two_writers_are_no_names() {
        let remembered = Remembered::new();
        let [one, two] = [11, 13].map(|known_by| Mark { place: 5, known_by });
        remembered.remember(one, finding(1));
        let half = remembered.places[5].known.load(Ordering::Relaxed);
        remembered.remember(two, finding(2));
        remembered.places[5].known.store(half, Ordering::Relaxed);
        assert_eq!(remembered.find(one), None);
        assert_eq!(remembered.find(two), None);
    }

    proptest! {
        #[test]
        fn what_was_added_is_there_in_its_order(
            sets in proptest::collection::vec((0_usize..1 << 24, 0_usize..130, any::<bool>()), 0..4),
        ) {
            let mut finding = Finding::default();
            let mut there = Vec::new();
            for (place, count, itself) in sets {
                let found = Found { place, count, itself };
                let fits = place < 1 << 23 && count < 128 && there.len() < 2;
                prop_assert_eq!(finding.add(found), fits);
                there.extend(fits.then_some(found));
            }
            prop_assert_eq!(finding.sets().collect::<Vec<_>>(), there);
        }
    }
}
