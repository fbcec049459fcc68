//! Where answers stand: on shelves of sixteen.
//!
//! An answer is found by a hash of its question, which selects a *rack*, a shelf in it and which quarter of
//! that is looked at first; each quarter is a line of the processor's cache. So a look takes the line of the
//! rack, which has a lock of its own, mostly one of the shelf, and the answer. And an answer costs sixteen
//! octets beside its own, and the places that stay free.
//!
//! So that few answers stand together, few racks are in use at first. When these are full there will be
//! twice as many: with each answer that comes one more takes half of another's, until all were divided.
//!
//! # Who goes
//!
//! When there are more octets than there may be, a hand goes round the rack that has just got one more
//! answer, if that has more than its share, or else round the next that has. An answer that was asked for
//! since the hand last came stays, and is *kept* from then on; one that was not, and is not kept, goes. Those
//! that are kept are passed by; but where they are more than seven eighths of the rack, or came more than an
//! hour ago, they are kept no longer. So whatever is asked for once and never again (a scan, names somebody
//! makes up) displaces hardly anything but its like. Where a shelf is full the same is asked of those that
//! stand there.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{LockResult, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use super::{Manner, Tick};
use crate::message::{Answer, Question};

/// Places in a line of the processor's cache.
const IN_A_LINE: usize = 4;
const LINES: usize = 4;
const ON_A_SHELF: usize = IN_A_LINE * LINES;
const SHELVES: usize = 16;
/// Places in a rack.
const PLACES: usize = SHELVES * ON_A_SHELF;
/// Octets of the bound for each rack: what it takes itself, and some 22 KiB of answers. An ordinary answer
/// weighs some 140, so that six of ten places are taken.
const OCTETS_OF_RACK: u64 = 26 << 10;
/// Answers for each rack in use before there are more: so that hardly any shelf is full.
const FULL: usize = PLACES * 3 / 10;
/// The most racks to begin with.
const FIRST_RACKS: u64 = 8;
/// Octets of the heaviest answer: with heavier ones, of which all over UDP have less, anybody could displace
/// what is kept.
const HEAVIEST: u64 = 6 << 10;
/// Of eight parts of a rack, how many may be kept.
const KEPT_OF_EIGHT: u64 = 7;
/// Seconds after which one is kept no longer that was not asked for lately.
const KEPT_FOR: u32 = 3600;

/// All answers.
#[derive(Debug)]
pub(super) struct Shelves {
    racks: Box<[Rack]>,
    /// How many are in use at least.
    first: usize,
    /// An [`Extent`].
    extent: AtomicU64,
    /// Held while another rack comes into use.
    growing: Mutex<()>,
    /// Octets there may be.
    most: u64,
    /// Octets there are, racks included.
    octets: AtomicU64,
    count: AtomicUsize,
}

/// A part of the answers, with a lock of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Rack(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// None before the first answer.
    shelves: Option<Box<[Shelf; SHELVES]>>,
    /// Octets of its answers.
    octets: u64,
    /// Octets of those that are kept.
    kept: u64,
    /// The place where the hand is.
    hand: usize,
}

/// Places side by side, in whole lines of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shelf([Option<Entry>; ON_A_SHELF]);

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Shelf>() == 64 * LINES && size_of::<Rack>() == 64);

#[derive(Debug)]
struct Entry {
    answer: Answer,
    /// What of its question does not stand in the answer, some bits of the hash, and two marks.
    tag: AtomicU32,
    came: Tick,
}

/// It was asked for since the hand came by.
const ASKED: u32 = 1;
/// It was asked for again before.
const KEPT: u32 = 1 << 1;
const MARKS: u32 = ASKED | KEPT;
/// Where the rest of the tag begins: of what is asked of whom, then of the hash, which selects the rack.
const MANNER: u32 = 2;
const HASH: u32 = MANNER + Manner::BITS;
/// Bits of the hash by which racks are divided; those before them select one of the first.
const DIVIDING: u32 = 12;
const SELECTING: u32 = u32::BITS - HASH - DIVIDING;

/// How many racks are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    used: usize,
    /// How many times all of them were divided.
    divided: u32,
}

impl From<u64> for Extent {
    #[inline]
    fn from(packed: u64) -> Self {
        Self {
            used: packed as u32 as usize,
            divided: (packed >> 32) as u32,
        }
    }
}

impl From<Extent> for u64 {
    fn from(Extent { used, divided }: Extent) -> Self {
        used as Self | Self::from(divided) << 32
    }
}

/// Where the answer to a question stands, if there is one, and what is known of it there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    shelf: usize,
    /// The place on it that is looked at first.
    begin: usize,
    tag: u32,
}

impl Shelves {
    /// None yet; never more than `most` octets.
    pub(super) fn new(most: u64) -> Self {
        let wanted = most.div_ceil(OCTETS_OF_RACK).max(1);
        let divided = wanted.div_ceil(FIRST_RACKS).next_power_of_two().ilog2();
        let divided = divided.min(DIVIDING);
        // No more than that.
        let first = (wanted.div_ceil(1 << divided)).min(FIRST_RACKS) as usize;
        let racks = first << divided;
        let extent = Extent {
            used: first,
            divided: 0,
        };
        Self {
            racks: (0..racks).map(|_| Rack::default()).collect(),
            first,
            extent: AtomicU64::new(extent.into()),
            growing: Mutex::new(()),
            most: most.saturating_sub((racks * size_of::<Rack>()) as u64),
            octets: AtomicU64::new(0),
            count: AtomicUsize::new(0),
        }
    }

    /// The spot of a question with this hash, asked in this manner.
    #[inline]
    pub(super) fn spot(hash: u64, manner: Manner) -> Spot {
        // Fast hashes are not alike in all their bits; the high ones of a product depend on all.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (high, low) = ((mixed >> 32) as u32, mixed as u32);
        Spot {
            shelf: high as usize % SHELVES,
            begin: (low >> 16) as usize % LINES * IN_A_LINE,
            tag: high >> HASH << HASH | manner.bits() << MANNER,
        }
    }

    /// The answer to `question`, and when it came.
    #[inline]
    pub(super) fn find(&self, spot: Spot, question: &Question) -> Option<(Answer, Tick)> {
        let rack = self.rack_of(spot, RwLock::read)?;
        let entry = rack.shelf(spot)?.find(spot, question)?;
        if entry.tag.load(Ordering::Relaxed) & ASKED == 0 {
            entry.tag.fetch_or(ASKED, Ordering::Relaxed);
        }
        Some((entry.answer.clone(), entry.came))
    }

    /// Puts the answer to `question` there, in place of the one before; others go if there is no room.
    pub(super) fn put(&self, spot: Spot, question: &Question, answer: Answer, came: Tick) {
        let weight = weight(&answer);
        if weight > HEAVIEST || weight > self.most.saturating_sub(OF_SHELVES) / 4 {
            // Not worth all that would have to go; where there is hardly room for a rack, none is.
            self.remove(spot, question);
            return;
        }
        self.grow();
        let Some(mut rack) = self.rack_of(spot, RwLock::write) else {
            return;
        };
        self.build(&mut rack);
        let Some(place) = rack.place_for(spot, question, came) else {
            return;
        };
        let mut tag = spot.tag;
        let stood = rack.shelf_mut(spot).and_then(|it| it.0.get_mut(place));
        if let Some(before) = stood.and_then(Option::take) {
            if before.is_to(spot, question) {
                // It is asked for as often as the one before.
                tag |= before.tag.load(Ordering::Relaxed) & MARKS;
            }
            self.is_gone(&mut rack, before);
        }
        // Room comes first, so that it is no new one that has to go.
        self.displace_from(&mut rack, weight, came);
        if let Some(free) = rack.shelf_mut(spot).and_then(|it| it.0.get_mut(place)) {
            *free = Some(Entry {
                answer,
                tag: AtomicU32::new(tag),
                came,
            });
            rack.octets += weight;
            if tag & KEPT != 0 {
                rack.kept += weight;
            }
            self.octets.fetch_add(weight, Ordering::Relaxed);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        drop(rack);
        // Racks that had less than their share keep what they have.
        let extent = self.extent();
        let here = self.rack_number(spot.tag, extent);
        for beyond in 1..extent.used {
            if !self.is_over(0) {
                return;
            }
            if let Some(mut rack) = self.write((here + beyond) % extent.used) {
                self.displace_from(&mut rack, 0, came);
            }
        }
    }

    /// Brings another rack into use, if those that are hold many answers.
    fn grow(&self) {
        if self.next_extent().is_none() {
            return;
        }
        let Ok(_only_one) = self.growing.try_lock() else {
            return;
        };
        let Some(next) = self.next_extent() else {
            return;
        };
        let Extent { used, divided } = self.extent();
        let from = used - (self.first << divided);
        if let (Some(mut old), Some(mut new)) = (self.write(from), self.write(used)) {
            self.build(&mut new);
            old.divide(&mut new, |tag| self.rack_number(tag, next) == used);
            self.extent.store(next.into(), Ordering::Release);
        }
    }

    /// With one more rack, if there is to be one.
    fn next_extent(&self) -> Option<Extent> {
        let Extent { used, divided } = self.extent();
        let is_amid = used > self.first << divided;
        if used >= self.racks.len() || !is_amid && self.len() < used * FULL {
            return None;
        }
        let used = used + 1;
        let are_all_divided = used == self.first << (divided + 1);
        Some(Extent {
            used,
            divided: divided + u32::from(are_all_divided),
        })
    }

    /// The rack of a tag.
    #[inline]
    fn rack_number(&self, tag: u32, Extent { used, divided }: Extent) -> usize {
        let hash = (tag >> HASH) as usize;
        let first = ((hash >> DIVIDING) * self.first) >> SELECTING;
        let part = |divided: u32| first + (hash & ((1_usize << divided) - 1)) * self.first;
        match part(divided + 1) {
            number if number < used => number,
            // It was not divided yet.
            _ => part(divided),
        }
    }

    /// Puts shelves into a rack, if it has none.
    fn build(&self, rack: &mut Inner) {
        if rack.shelves.is_none() {
            rack.shelves = Some(Box::new([const { Shelf::EMPTY }; SHELVES]));
            self.octets.fetch_add(OF_SHELVES, Ordering::Relaxed);
        }
    }

    /// Takes the answer to `question` away.
    pub(super) fn remove(&self, spot: Spot, question: &Question) {
        let Some(mut rack) = self.rack_of(spot, RwLock::write) else {
            return;
        };
        let shelf = rack.shelf_mut(spot);
        let place =
            shelf.and_then(|it| it.place_of(spot, question).and_then(|at| it.0.get_mut(at)));
        if let Some(entry) = place.and_then(Option::take) {
            self.is_gone(&mut rack, entry);
        }
    }

    /// Takes all away for which this is not so, by when they came.
    pub(super) fn retain(&self, stays: impl Fn(Tick) -> bool) {
        for number in 0..self.racks.len() {
            let Some(mut rack) = self.write(number) else {
                continue;
            };
            for at in 0..PLACES {
                let entry = rack.place_mut(at);
                if let Some(entry) = entry.and_then(|it| it.take_if(|it| !stays(it.came))) {
                    self.is_gone(&mut rack, entry);
                }
            }
        }
    }

    /// Takes all away, and the shelves.
    pub(super) fn clear(&self) {
        self.retain(|_| false);
        for number in 0..self.racks.len() {
            if let Some(mut rack) = self.write(number)
                && rack.octets == 0
                && rack.shelves.take().is_some()
            {
                self.octets.fetch_sub(OF_SHELVES, Ordering::Relaxed);
            }
        }
    }

    /// How many answers there are.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Octets they take.
    pub(super) fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Whether there are too many octets once so many have been added.
    fn is_over(&self, added: u64) -> bool {
        self.octets() + added > self.most
    }

    /// Which racks are in use.
    #[inline]
    fn extent(&self) -> Extent {
        self.extent.load(Ordering::Acquire).into()
    }

    /// The rack of a spot, under this lock.
    #[inline]
    fn rack_of<'a, G>(
        &'a self,
        spot: Spot,
        lock: impl Fn(&'a RwLock<Inner>) -> LockResult<G>,
    ) -> Option<G> {
        let mut extent = self.extent();
        loop {
            let number = self.rack_number(spot.tag, extent);
            let Rack(rack) = self.racks.get(number)?;
            let guard = lock(rack).unwrap_or_else(PoisonError::into_inner);
            // Whoever divided it meanwhile said so before it was let go.
            let before = std::mem::replace(&mut extent, self.extent());
            if extent == before || self.rack_number(spot.tag, extent) == number {
                return Some(guard);
            }
        }
    }

    fn write(&self, rack: usize) -> Option<RwLockWriteGuard<'_, Inner>> {
        let Rack(rack) = self.racks.get(rack)?;
        Some(rack.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes from a rack what has to go for so many octets more, as far as it has more than its share.
    fn displace_from(&self, rack: &mut Inner, added: u64, now: Tick) {
        let share = self.most / self.extent().used as u64;
        while self.is_over(added)
            && rack.octets + added + OF_SHELVES > share
            && let Some(entry) = rack.displaced(now)
        {
            self.is_gone(rack, entry);
        }
    }

    /// Counts out what was taken from a rack.
    fn is_gone(&self, rack: &mut Inner, entry: Entry) {
        let weight = weight(&entry.answer);
        rack.octets -= weight;
        if entry.tag.load(Ordering::Relaxed) & KEPT != 0 {
            rack.kept -= weight;
        }
        self.octets.fetch_sub(weight, Ordering::Relaxed);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Octets of the shelves of a rack.
const OF_SHELVES: u64 = size_of::<[Shelf; SHELVES]>() as u64;

/// Octets an answer takes, its place apart.
fn weight(answer: &Answer) -> u64 {
    answer.weight() as u64
}

impl Inner {
    /// Moves to `other`, which is empty, what belongs there by its tag.
    fn divide(&mut self, other: &mut Self, belongs_there: impl Fn(u32) -> bool) {
        for at in 0..PLACES {
            let goes = |it: &mut Entry| belongs_there(*it.tag.get_mut());
            let entry = self.place_mut(at).and_then(|it| it.take_if(goes));
            let Some(entry) = entry else {
                continue;
            };
            let weight = weight(&entry.answer);
            self.octets -= weight;
            other.octets += weight;
            if entry.tag.load(Ordering::Relaxed) & KEPT != 0 {
                self.kept -= weight;
                other.kept += weight;
            }
            if let Some(place) = other.place_mut(at) {
                *place = Some(entry);
            }
        }
    }

    #[inline]
    fn shelf(&self, spot: Spot) -> Option<&Shelf> {
        self.shelves.as_ref()?.get(spot.shelf)
    }

    fn shelf_mut(&mut self, spot: Spot) -> Option<&mut Shelf> {
        self.shelves.as_mut()?.get_mut(spot.shelf)
    }

    fn place_mut(&mut self, at: usize) -> Option<&mut Option<Entry>> {
        let Shelf(places) = self.shelves.as_mut()?.get_mut(at / ON_A_SHELF)?;
        places.get_mut(at % ON_A_SHELF)
    }

    /// The next to go, if there is any.
    fn displaced(&mut self, now: Tick) -> Option<Entry> {
        // The first round may find all of them asked for, the second all of them kept; in the third one
        // goes.
        for _ in 0..3 * PLACES + 1 {
            let at = self.hand;
            self.hand = (at + 1) % PLACES;
            if self.has_to_go(at, now) {
                return self.place_mut(at)?.take();
            }
        }
        None
    }

    /// Whether who stands at this place has to go when the hand is there.
    fn has_to_go(&mut self, at: usize, now: Tick) -> bool {
        let is_too_much = self.kept * 8 > self.octets * KEPT_OF_EIGHT;
        let Some(entry) = self.place_mut(at).and_then(Option::as_mut) else {
            return false;
        };
        let tag = entry.tag.get_mut();
        match *tag & MARKS {
            0 => return true,
            KEPT if is_too_much || entry.came.until(now) > KEPT_FOR => {
                *tag &= !KEPT;
                let weight = weight(&entry.answer);
                self.kept -= weight;
            }
            KEPT => {}
            ASKED => {
                *tag ^= MARKS;
                let weight = weight(&entry.answer);
                self.kept += weight;
            }
            _ => *tag &= !ASKED,
        }
        false
    }

    /// The place on its shelf for the answer to `question`: where it is, where nothing is, or where
    /// somebody has to go.
    fn place_for(&mut self, spot: Spot, question: &Question, now: Tick) -> Option<usize> {
        let shelf = self.shelf(spot)?;
        let places = || (0..ON_A_SHELF).map(|turn| (spot.begin + turn) % ON_A_SHELF);
        let is_free = |place: &usize| shelf.0.get(*place).is_some_and(Option::is_none);
        let its_own = shelf.place_of(spot, question);
        if let Some(place) = its_own.or_else(|| places().find(is_free)) {
            return Some(place);
        }
        let whole = spot.shelf * ON_A_SHELF;
        let mut rounds = places().chain(places());
        let place = rounds.find(|it| self.has_to_go(whole + it, now));
        // All of them are kept.
        Some(place.unwrap_or(spot.begin))
    }
}

impl Shelf {
    const EMPTY: Self = Self([const { None }; ON_A_SHELF]);

    #[inline]
    fn find(&self, spot: Spot, question: &Question) -> Option<&Entry> {
        self.0.get(self.place_of(spot, question)?)?.as_ref()
    }

    /// Where the answer to `question` is.
    #[inline]
    fn place_of(&self, spot: Spot, question: &Question) -> Option<usize> {
        for line in 0..LINES {
            let begin = (spot.begin + line * IN_A_LINE) % ON_A_SHELF;
            let places = self.0.get(begin..begin + IN_A_LINE)?;
            // The tags first, all of them: an answer is a line of its own.
            let has_tag = |(at, place): (usize, &Option<Entry>)| match place {
                Some(it) => u32::from(it.has_tag(spot)) << at,
                None => 0,
            };
            let mut maybe = places.iter().enumerate().map(has_tag).sum::<u32>();
            while maybe != 0 {
                let at = begin + maybe.trailing_zeros() as usize;
                maybe &= maybe - 1;
                let entry = self.0.get(at)?.as_ref()?;
                if entry.answer.is_to(question) {
                    return Some(at);
                }
            }
        }
        None
    }
}

impl Entry {
    #[inline]
    fn has_tag(&self, spot: Spot) -> bool {
        self.tag.load(Ordering::Relaxed) & !MARKS == spot.tag
    }

    fn is_to(&self, spot: Spot, question: &Question) -> bool {
        self.has_tag(spot) && self.answer.is_to(question)
    }
}

#[cfg(test)]
mod tests;
