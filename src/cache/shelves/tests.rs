//! What stands on shelves, beside a model, and who has to go.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;
use crate::hash::{Keyed, keyed};
use crate::name::NameBuf;

const NOW: Tick = Tick(0);
const PLAIN: Manner = Manner {
    dnssec_ok: false,
    checking_disabled: false,
    via: 0,
};

fn question(number: usize) -> Question {
    Question {
        qname: NameBuf::parse(&format!("host-{number}.example.org")).unwrap(),
        qtype: 1,
        dnssec_ok: false,
        checking_disabled: false,
        via: 0,
    }
}

/// With so many addresses.
fn answer(question: &Question, addresses: u8) -> Answer {
    let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, addresses, 0, 0, 0, 0];
    wire.extend_from_slice(question.qname.as_ref().as_wire());
    wire.extend_from_slice(&[0, 1, 0, 1]);
    for number in 0..addresses {
        wire.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, number]);
    }
    Answer::from_upstream(&wire, question).unwrap()
}

/// Answers, by numbers in place of names.
struct Numbered {
    shelves: Shelves,
    hash: Keyed,
}

impl Numbered {
    fn new(most: u64) -> Self {
        let (shelves, hash) = (Shelves::new(most), keyed());
        Self { shelves, hash }
    }

    fn spot(&self, number: usize) -> Spot {
        Shelves::spot(self.hash.hash_one(number), PLAIN)
    }

    fn find(&self, number: usize) -> Option<(Answer, Tick)> {
        self.shelves.find(self.spot(number), &question(number))
    }

    fn put(&self, number: usize, addresses: u8, came: Tick) {
        let question = question(number);
        let answer = answer(&question, addresses);
        self.shelves.put(self.spot(number), &question, answer, came);
    }

    fn remove(&self, number: usize) {
        self.shelves.remove(self.spot(number), &question(number));
    }

    /// Asks for each of them, and has the answer stand here.
    fn ask(&self, numbers: Range<usize>, now: Tick) {
        for number in numbers {
            if self.find(number).is_none() {
                self.put(number, 1, now);
            }
        }
    }

    /// How many of them stand here.
    fn count(&self, mut numbers: Range<usize>) -> usize {
        numbers
            .by_ref()
            .filter(|it| self.find(*it).is_some())
            .count()
    }

    /// That all that is counted is so.
    fn check(&self) {
        let Shelves { racks, most, .. } = &self.shelves;
        let (mut octets, mut count) = (0, 0);
        for rack in racks {
            let rack = rack.0.read().unwrap();
            let (mut here, mut kept) = (0, 0);
            for entry in rack
                .shelves
                .iter()
                .flat_map(|it| it.iter())
                .flat_map(|it| it.0.iter().flatten())
            {
                here += weight(&entry.answer);
                count += 1;
                if entry.tag.load(Ordering::Relaxed) & KEPT != 0 {
                    kept += weight(&entry.answer);
                }
            }
            assert_eq!((rack.octets, rack.kept), (here, kept));
            octets += here
                + if rack.shelves.is_some() {
                    OF_SHELVES
                } else {
                    0
                };
        }
        assert_eq!((self.shelves.octets(), self.shelves.len()), (octets, count));
        assert!(octets <= *most, "{octets} of {most}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(usize, u8),
    Find(usize),
    Remove(usize),
    /// Forgets what came in the last so many steps.
    Retain(u32),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || 0..2_000_usize;
    let step = prop_oneof![
        800 => (number(), 0..8_u8).prop_map(|(number, addresses)| Step::Put(number, addresses)),
        400 => number().prop_map(Step::Find),
        40 => number().prop_map(Step::Remove),
        3 => (1..50_u32).prop_map(Step::Retain),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..4_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_found_is_what_was_put_there_last(steps in steps(), racks in 1..40_u64) {
        let shelves = Numbered::new(racks * OCTETS_OF_RACK);
        let mut model: HashMap<usize, (u8, Tick)> = HashMap::new();
        for (step, now) in steps.into_iter().zip((0..).map(Tick)) {
            match step {
                Step::Put(number, addresses) => {
                    shelves.put(number, addresses, now);
                    model.insert(number, (addresses, now));
                    let found = shelves.find(number).expect("what was just put there");
                    prop_assert_eq!(found, (answer(&question(number), addresses), now));
                }
                Step::Find(number) => {
                    if let Some(found) = shelves.find(number) {
                        let (addresses, came) = model[&number];
                        prop_assert_eq!(found, (answer(&question(number), addresses), came));
                    }
                }
                Step::Remove(number) => {
                    shelves.remove(number);
                    model.remove(&number);
                    prop_assert_eq!(shelves.find(number), None);
                }
                Step::Retain(last) => {
                    let since = Tick(now.0.saturating_sub(last));
                    shelves.shelves.retain(|came| came.0 < since.0);
                    model.retain(|_, (_, came)| came.0 < since.0);
                }
                Step::Clear => {
                    shelves.shelves.clear();
                    model.clear();
                    prop_assert_eq!(shelves.shelves.octets(), 0);
                }
            }
            if now.0 % 64 == 0 {
                shelves.check();
            }
        }
        shelves.check();
    }
}

#[test]
fn racks_are_divided_one_after_the_other_and_nothing_is_lost() {
    let shelves = Numbered::new(100 * OCTETS_OF_RACK);
    let racks = shelves.shelves.racks.len();
    let used = || shelves.shelves.extent().used;
    assert_eq!((used(), racks), (7, 112));
    for number in 0..100 * FULL {
        shelves.put(number, 1, NOW);
        if number % 500 == 0 || number == 7 * FULL + 2 {
            shelves.check();
            let left = shelves.count(0..number + 1);
            assert!(left * 1_000 >= number * 997, "{left} of {number}");
        }
    }
    assert_eq!(used(), racks);
    // All hold as many, but for chance.
    for rack in &shelves.shelves.racks {
        let octets = rack.0.read().unwrap().octets;
        let mean = shelves.shelves.octets() / racks as u64 - OF_SHELVES;
        assert!(
            (mean * 3 / 10..mean * 18 / 10).contains(&octets),
            "{octets} for {mean}"
        );
    }
}

#[test]
fn every_size_of_a_cache_has_racks_for_it() {
    for most in [
        0,
        1,
        4_096,
        4_200,
        6_000,
        100_000,
        3 << 20,
        5 << 20,
        256 << 20,
        1 << 40,
    ] {
        let shelves = Numbered::new(most);
        let racks = shelves.shelves.racks.len() as u64;
        for number in 0..30 {
            shelves.put(number, 1, NOW);
        }
        shelves.check();
        assert_eq!(shelves.shelves.len() > 0, most >= 6_000, "{most}");
        let wanted = most
            .div_ceil(OCTETS_OF_RACK)
            .clamp(1, FIRST_RACKS << DIVIDING);
        assert!(
            (wanted..=wanted + wanted / 4).contains(&racks),
            "{racks} for {most}"
        );
    }
}

#[test]
fn as_much_is_held_as_there_is_room_for() {
    let shelves = Numbered::new(1 << 20);
    for number in 0..20_000 {
        shelves.put(number, 2, NOW);
    }
    shelves.check();
    let (octets, count) = (shelves.shelves.octets(), shelves.shelves.len());
    assert!(octets > (1 << 20) * 98 / 100, "{octets}");
    // 128 octets each; a sixth of the room is for places.
    assert!(count > 6_000, "{count}");
}

#[test]
fn names_that_are_asked_for_again_outlast_any_number_of_others() {
    let shelves = Numbered::new(1 << 20);
    let household = || 0..4_000;
    for _ in 0..3 {
        shelves.ask(household(), NOW);
    }
    shelves.ask(10_000..15_000, NOW);
    shelves.ask(household(), NOW);
    shelves.ask(20_000..120_000, NOW);
    shelves.check();
    let left = shelves.count(household());
    assert!(left > 3_900, "{left}");
}

#[test]
fn what_nobody_asks_for_any_more_makes_room() {
    let shelves = Numbered::new(1 << 20);
    for (household, now) in [(0..5_000, 0), (10_000..15_000, 2 * KEPT_FOR)] {
        let now = Tick::of(Moment::from_micros(u64::from(now) * 1_000_000));
        for _ in 0..8 {
            shelves.ask(household.clone(), now);
        }
        let left = shelves.count(household);
        assert!(left > 4_700, "{left}");
    }
    shelves.check();
}

#[test]
fn the_largest_answers_find_room_and_hardly_displace_what_is_kept() {
    let shelves = Numbered::new(3 << 20);
    let household = || 0..4_000;
    for _ in 0..2 {
        shelves.ask(household(), NOW);
    }
    // As for many that came between.
    shelves.ask(20_000..60_000, NOW);
    shelves.ask(household(), NOW);
    shelves.ask(60_000..100_000, NOW);
    for number in 10_000..12_000 {
        shelves.put(number, 250, NOW);
    }
    shelves.check();
    let left = shelves.count(household());
    assert!(left > 3_600, "{left}");
    assert!(shelves.count(10_000..12_000) > 300);
}

#[test]
fn what_is_too_heavy_is_not_there_in_its_old_form_either() {
    let shelves = Numbered::new(3 << 20);
    let question = question(7);
    let spot = shelves.spot(7);
    shelves.put(7, 1, NOW);
    let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 1, 244, 0, 0, 0, 0];
    wire.extend_from_slice(question.qname.as_ref().as_wire());
    wire.extend_from_slice(&[0, 1, 0, 1]);
    for _ in 0..500 {
        wire.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    let heavy = Answer::from_upstream(&wire, &question).unwrap();
    assert!(weight(&heavy) > HEAVIEST);
    shelves.shelves.put(spot, &question, heavy, NOW);
    assert_eq!(shelves.find(7), None);
    shelves.check();
}

#[test]
fn many_threads_find_what_is_there() {
    let shelves = Numbered::new(16 * OCTETS_OF_RACK);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shelves = &shelves;
            scope.spawn(move || {
                for turn in 0..12_000 {
                    let number = (turn * 7 + thread) % 4_000;
                    if let Some((found, _)) = shelves.find(number) {
                        assert!(found.is_to(&question(number)));
                    } else {
                        shelves.put(number, (turn % 5) as u8, NOW);
                    }
                    if turn % 100 == 99 {
                        shelves.remove(number);
                    }
                }
            });
        }
    });
    shelves.check();
}
