//! What was found about names lately, remembered.
//!
//! Most of what a home asks for is the same few hundred names, and of most of them no list speaks; of
//! the others it is the same trackers again and again. To find out what lists say takes a line of the
//! filter, a search among blocks and what patterns want, all rarely in the processor's cache; to
//! remember it takes two words.
//!
//! A name is remembered by a keyed hash of 128 bits, of which one half says where and the other what:
//! so the hash stands for the name. Another name passes for it with a chance of one in 2⁷⁶, and nobody
//! outside can look for one, since the key is drawn for each index anew.
//!
//! Four names share a shelf, one line of the processor's cache. A name no list speaks of takes a listed
//! one's place but rarely, since to find that again costs ten times as much.
//!
//! The two words of a place are written by whoever comes, without a lock. The first is the name's half of
//! the hash, by exclusive or with the second: where one of them is another's, they are no name's. A name of
//! which lists speak at more than two of its parents has more places, each on another shelf.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use siphasher::sip128::SipHasher13;

use crate::name::NameRef;

/// How many names are remembered, at most: as many as some hundred homes ask for in an hour.
const PLACES: usize = SHELVES * ON_A_SHELF;
/// Sets of places, in one of which a name is.
const SHELVES: usize = 8_192;
const ON_A_SHELF: usize = 4;
/// Of how many names that are not listed one takes a listed one's place: without any, whoever asks for
/// enough made-up names below a listed one would leave no place to others.
const ONE_OF: u32 = 32;

/// The names. What is remembered of an index goes with it.
pub(super) struct Remembered {
    hasher: SipHasher13,
    shelves: Box<[Shelf]>,
    /// Names that found none but listed ones on their shelf.
    crowded_out: AtomicU32,
}

/// A line of the processor's cache.
#[derive(Default)]
#[repr(align(64))]
struct Shelf([Place; ON_A_SHELF]);

#[derive(Default)]
struct Place {
    /// What the name is known by, with what was found; 0 for none.
    known: AtomicU64,
    found: AtomicU64,
}

/// Where a name has its place, and what it is known by.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    shelf: usize,
    /// Never 0, which is nobody.
    known_by: u64,
}

/// The sets of postings that are about a name, in the order they were found, two in each place it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding([u64; MOST_PLACES]);

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

/// How many places one name may take.
const MOST_PLACES: usize = 4;
/// Bits of one set: its place, then whether it is the name's own, then one more than the labels, which is
/// never 0.
const SET: u32 = 32;
const PLACE: u32 = 23;
const ITSELF: u64 = 1 << PLACE;
const LABELS: u32 = PLACE + 1;
const MOST_LABELS: usize = 126;
/// In one place's second set: there is another place.
const MORE: u64 = 1 << 63;

impl Finding {
    /// Adds one more; whether there is room for it.
    pub(super) fn add(&mut self, found: Found) -> bool {
        if found.place >> PLACE != 0 || found.count > MOST_LABELS {
            return false;
        }
        let itself = if found.itself { ITSELF } else { 0 };
        let set = found.place as u64 | itself | (found.count as u64 + 1) << LABELS;
        let mut before: Option<&mut u64> = None;
        for two in &mut self.0 {
            if *two == 0 {
                *two = set;
                if let Some(before) = before {
                    *before |= MORE;
                }
                return true;
            }
            if *two >> SET == 0 {
                *two |= set << SET;
                return true;
            }
            before = Some(two);
        }
        false
    }

    /// Those that were added, in their order.
    #[inline]
    pub(super) fn sets(self) -> impl Iterator<Item = Found> {
        let sets = self.0.into_iter().flat_map(|two| [two, two >> SET]);
        // Behind the last there is none.
        let labels = |set: u64| (set >> LABELS) as usize & (MOST_LABELS + 1);
        sets.take_while(move |set| labels(*set) != 0)
            .map(move |set| Found {
                place: (set & (ITSELF - 1)) as usize,
                count: labels(set) - 1,
                itself: set & ITSELF != 0,
            })
    }
}

impl Mark {
    /// The mark of the place after this one, if the name has several.
    const fn next(self) -> Self {
        Self {
            shelf: (self.shelf + 1) % SHELVES,
            known_by: self.known_by.rotate_left(1) | 1,
        }
    }
}

impl Place {
    /// What was found about the name of `mark`, if this is its place.
    #[inline]
    fn find(&self, mark: Mark) -> Option<u64> {
        let found = self.found.load(Ordering::Relaxed);
        let is_known = self.known.load(Ordering::Relaxed) ^ found == mark.known_by;
        is_known.then_some(found)
    }

    fn fill(&self, mark: Mark, found: u64) {
        self.known.store(mark.known_by ^ found, Ordering::Relaxed);
        self.found.store(found, Ordering::Relaxed);
    }

    fn is_listed(&self) -> bool {
        self.found.load(Ordering::Relaxed) != 0
    }

    fn is_empty(&self) -> bool {
        !self.is_listed() && self.known.load(Ordering::Relaxed) == 0
    }
}

impl Remembered {
    /// Of no name yet.
    pub(super) fn new() -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(rand::random(), rand::random()),
            shelves: (0..SHELVES).map(|_| Shelf::default()).collect(),
            crowded_out: AtomicU32::new(0),
        }
    }

    /// What `name` is remembered by.
    #[inline]
    pub(super) fn mark(&self, name: NameRef<'_>) -> Mark {
        let hash = self.hasher.hash(name.as_wire());
        Mark {
            shelf: hash.h2 as usize % SHELVES,
            known_by: hash.h1 | 1,
        }
    }

    /// What was found about the name, if that is remembered.
    #[inline]
    pub(super) fn find(&self, mark: Mark) -> Option<Finding> {
        let first = self.find_two(mark)?;
        let mut finding = Finding::default();
        finding.0[0] = first;
        if first & MORE != 0 {
            self.find_more(mark, &mut finding)?;
        }
        Some(finding)
    }

    /// What stands in the places after the first.
    #[cold]
    fn find_more(&self, mut mark: Mark, finding: &mut Finding) -> Option<()> {
        let mut before = MORE;
        for two in finding.0.iter_mut().skip(1) {
            if before & MORE == 0 {
                break;
            }
            mark = mark.next();
            *two = self.find_two(mark)?;
            before = *two;
        }
        Some(())
    }

    #[inline]
    fn find_two(&self, mark: Mark) -> Option<u64> {
        let Shelf(places) = self.shelves.get(mark.shelf)?;
        places.iter().find_map(|it| it.find(mark))
    }

    /// Remembers what was found about the name, if need be in place of another: of one that is not
    /// listed first, of any if it is listed itself or it is its turn.
    pub(super) fn remember(&self, mut mark: Mark, Finding(all): Finding) {
        for found in all {
            // Of several places one may have been lost.
            if self.find_two(mark).is_none() {
                self.remember_two(mark, found);
            }
            if found & MORE == 0 {
                return;
            }
            mark = mark.next();
        }
    }

    fn remember_two(&self, mark: Mark, found: u64) {
        let Some(Shelf(places)) = self.shelves.get(mark.shelf) else {
            return;
        };
        // The hash is as good as chance, and who comes after somebody has another.
        let begin = (mark.known_by >> 1) as usize;
        let turns = || (0..ON_A_SHELF).filter_map(|turn| places.get((begin + turn) % ON_A_SHELF));
        let place = turns().find(|it| it.is_empty());
        let place = place.or_else(|| turns().find(|it| !it.is_listed()));
        let place = place.or_else(|| {
            let may = found != 0 || self.is_ones_turn();
            turns().next().filter(|_| may)
        });
        if let Some(place) = place {
            place.fill(mark, found);
        }
    }

    /// Whether a name that is not listed takes a listed one's place, once in [`ONE_OF`] times.
    fn is_ones_turn(&self) -> bool {
        let before = self.crowded_out.fetch_add(1, Ordering::Relaxed);
        before % ONE_OF == ONE_OF - 1
    }

    /// Forgets all of them: the lists say more now.
    pub(super) fn forget(&mut self) {
        self.shelves.fill_with(Shelf::default);
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

    fn names(count: usize) -> impl Iterator<Item = NameBuf> {
        (0..count).map(|n| NameBuf::parse(&format!("n{n}.example.org")).unwrap())
    }

    #[test]
    fn what_is_remembered_is_what_was_found_last() {
        let mut remembered = Remembered::new();
        let names: Vec<_> = names(3 * PLACES).collect();
        for (number, name) in names.iter().enumerate() {
            let mark = remembered.mark(name.as_ref());
            assert_eq!(remembered.find(mark), None);
            remembered.remember(mark, finding(number + 1));
            let expected = Some(finding(number + 1));
            assert_eq!(remembered.find(mark), expected, "a listed one has a place");
        }
        let mut kept = 0;
        for (number, name) in names.iter().enumerate() {
            let found = remembered.find(remembered.mark(name.as_ref()));
            assert!(found.is_none_or(|found| found == finding(number + 1)));
            kept += usize::from(found.is_some());
        }
        assert!((PLACES * 9 / 10..=PLACES).contains(&kept), "{kept}");
        remembered.forget();
        let mut marks = names.iter().map(|it| remembered.mark(it.as_ref()));
        assert!(marks.all(|it| remembered.find(it).is_none()));
    }

    #[test]
    fn as_many_as_there_are_places_for_are_not_forgotten_but_few() {
        let remembered = Remembered::new();
        let names: Vec<_> = names(PLACES * 6 / 10).collect();
        let mut anew = 0;
        for _ in 0..3 {
            anew = 0;
            for name in &names {
                let mark = remembered.mark(name.as_ref());
                if remembered.find(mark).is_none() {
                    anew += 1;
                    remembered.remember(mark, finding(1));
                }
            }
        }
        // It is every ninth; with one place for each hash it would be nearly every second.
        assert!(anew * 7 < names.len(), "{anew}");
    }

    /// The marks of names on one shelf, the next of which all begin with the same place.
    fn marks() -> impl Iterator<Item = Mark> {
        (1..).map(|it| Mark {
            shelf: 7,
            known_by: it * 8 + 1,
        })
    }

    #[test]
    fn a_shelf_is_filled_before_a_name_is_forgotten() {
        let remembered = Remembered::new();
        for mark in marks().take(4) {
            remembered.remember(mark, Finding::default());
        }
        assert!(marks().take(4).all(|it| remembered.find(it).is_some()));
        let fifth = marks().nth(4).unwrap();
        assert_eq!(remembered.find(fifth), None);
        remembered.remember(fifth, Finding::default());
        let kept = marks().take(5).filter(|it| remembered.find(*it).is_some());
        assert_eq!(kept.count(), 4);
    }

    #[test]
    fn names_that_nothing_is_said_of_rarely_take_a_listed_ones_place() {
        let remembered = Remembered::new();
        for mark in marks().take(9) {
            remembered.remember(mark, Finding::default());
            assert_eq!(remembered.find(mark), Some(Finding::default()));
        }
        let listed: Vec<_> = marks().skip(9).take(4).collect();
        for (number, mark) in listed.iter().enumerate() {
            remembered.remember(*mark, finding(number + 1));
        }
        let others: Vec<_> = marks().skip(13).take(ONE_OF as usize).collect();
        for (number, mark) in others.iter().enumerate() {
            for (number, mark) in listed.iter().enumerate() {
                assert_eq!(remembered.find(*mark), Some(finding(number + 1)));
            }
            remembered.remember(*mark, Finding::default());
            let has_place = remembered.find(*mark).is_some();
            assert_eq!(has_place, number + 1 == others.len(), "{number}");
        }
        let kept = listed.iter().filter(|it| remembered.find(**it).is_some());
        assert_eq!(kept.count(), 3);
    }

    #[test]
    fn words_of_two_writers_are_no_names() {
        let remembered = Remembered::new();
        let [one, two] = [11, 19].map(|known_by| Mark { shelf: 5, known_by });
        let place = &remembered.shelves[5].0[0];
        place.fill(one, finding(1).0[0]);
        let half = place.known.load(Ordering::Relaxed);
        place.fill(two, finding(2).0[0]);
        assert_eq!(remembered.find(two), Some(finding(2)));
        place.known.store(half, Ordering::Relaxed);
        assert_eq!(remembered.find(one), None);
        assert_eq!(remembered.find(two), None);
    }

    #[test]
    fn of_a_name_with_several_places_all_are_there_or_none() {
        let remembered = Remembered::new();
        let mut finding = Finding::default();
        for count in (1..=5).rev() {
            let itself = count == 5;
            assert!(finding.add(Found {
                place: 40 + count,
                count,
                itself,
            }));
        }
        let mark = marks().next().unwrap();
        for lost in 0..3 {
            remembered.remember(mark, finding);
            assert_eq!(remembered.find(mark), Some(finding));
            let other = Mark {
                shelf: mark.shelf + lost,
                ..marks().nth(1).unwrap()
            };
            for place in &remembered.shelves[other.shelf].0 {
                place.fill(other, 1);
            }
            assert_eq!(remembered.find(mark), None, "{lost}");
        }
    }

    proptest! {
        #[test]
        fn what_was_added_is_there_in_its_order(
            sets in proptest::collection::vec((0_usize..1 << 24, 0_usize..130, any::<bool>()), 0..10),
        ) {
            let mut finding = Finding::default();
            let mut there = Vec::new();
            for (place, count, itself) in sets {
                let found = Found { place, count, itself };
                let fits = place < 1 << 23 && count < 127 && there.len() < 2 * MOST_PLACES;
                prop_assert_eq!(finding.add(found), fits);
                there.extend(fits.then_some(found));
            }
            prop_assert_eq!(finding.sets().collect::<Vec<_>>(), there);
            let remembered = Remembered::new();
            let mark = remembered.mark(NameBuf::parse("www.example.org").unwrap().as_ref());
            remembered.remember(mark, finding);
            prop_assert_eq!(remembered.find(mark), Some(finding));
        }
    }
}
