//! What is asked: four mixes, the same for every server, from a seed.

use std::error::Error;

use crate::batch::SIZE;
use crate::wire::{self, A, AAAA, Expect, HTTPS, SIZE_OF_HEAD};

/// Names in `cached`.
const WARM: usize = 1_000;
/// Listed names in `blocked`.
const LISTED: usize = 10_000;
/// Names in `household`, let through and blocked.
const HOUSEHOLD: (usize, usize) = (42_500, 7_500);
/// Of a hundred queries of `household`, those for blocked names and those for names nobody asked for
/// before.
const BLOCKED_PERCENT: u64 = 15;
const NEW_PERCENT: u64 = 2;
/// Of a hundred queries of `household`, those for A and those for AAAA; the others are for HTTPS.
const TYPES: [(u16, u64); 3] = [(A, 55), (AAAA, 25), (HTTPS, 20)];
/// Queries drawn beforehand, then asked again and again.
const DRAWN: usize = 1 << 20;
/// Stands for a new name among the places that were drawn.
const NEW: u32 = u32::MAX;

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }
}

struct Question {
    message: Box<[u8]>,
    expect: Expect,
}

/// An endless row of questions.
pub struct Mix {
    questions: Vec<Question>,
    order: Vec<u32>,
    next: usize,
    fresh: Numbers,
    template: Vec<u8>,
}

impl Mix {
    /// `names` has lines `listed NAME` and `unlisted NAME`; `fresh` is what new names are made from:
    /// another for each run against the same server.
    pub fn new(which: &str, names: &str, seed: u64, fresh: u64) -> Result<Self, Box<dyn Error>> {
        let of = |sort: &'static str, count: usize| -> Result<Vec<&str>, Box<dyn Error>> {
            let found: Vec<_> = names
                .lines()
                .filter_map(|line| line.strip_prefix(sort)?.strip_prefix(' '))
                .take(count)
                .collect();
            if found.len() < count {
                return Err(
                    format!("{} {sort} names where {count} are needed", found.len()).into(),
                );
            }
            Ok(found)
        };
        let mut numbers = Numbers(seed);
        let mut questions = Vec::new();
        let mut add = |names: &[&str], qtypes: &[u16], expect| {
            for name in names {
                for &qtype in qtypes {
                    let message = wire::query(name, qtype).into_boxed_slice();
                    questions.push(Question { message, expect });
                }
            }
        };
        let order: Vec<u32> = match which {
            "cached" => {
                add(&of("unlisted", WARM)?, &[A], Expect::Passed);
                uniform(WARM, &mut numbers)
            }
            "echo" => {
                add(&of("unlisted", WARM)?, &[A], Expect::Echo);
                uniform(WARM, &mut numbers)
            }
            "blocked" => {
                add(&of("listed", LISTED)?, &[A], Expect::Blocked);
                uniform(LISTED, &mut numbers)
            }
            "household" => {
                let qtypes = TYPES.map(|(qtype, _)| qtype);
                add(&of("unlisted", HOUSEHOLD.0)?, &qtypes, Expect::Passed);
                add(&of("listed", HOUSEHOLD.1)?, &qtypes, Expect::Blocked);
                household(&mut numbers)
            }
            "misses" => vec![NEW],
            _ => return Err(format!("no mix `{which}`").into()),
        };
        Ok(Self {
            questions,
            order,
            next: 0,
            fresh: Numbers(fresh),
            template: wire::query("www.consonantvow.com", A),
        })
    }

    /// The next query, with id 0: its length, and what is a right answer.
    pub fn next(&mut self, out: &mut [u8; SIZE]) -> (usize, Expect) {
        let place = self.order[self.next];
        self.next = (self.next + 1) % self.order.len();
        if place == NEW {
            return self.new_name(out);
        }
        self.known(place as usize, out)
    }

    /// Questions whose answers can be kept.
    pub fn known_count(&self) -> usize {
        self.questions.len()
    }

    /// One of them.
    pub fn known(&self, place: usize, out: &mut [u8; SIZE]) -> (usize, Expect) {
        let Question { message, expect } = &self.questions[place];
        out[..message.len()].copy_from_slice(message);
        (message.len(), *expect)
    }

    /// Six syllables that nobody asked for before: of 10^12 names, hardly one comes twice.
    fn new_name(&mut self, out: &mut [u8; SIZE]) -> (usize, Expect) {
        const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
        const VOWELS: &[u8; 5] = b"aeiou";
        let length = self.template.len();
        out[..length].copy_from_slice(&self.template);
        let mut number = self.fresh.draw();
        // Behind the head, `www` and the octets that say how long labels are.
        for syllable in out[SIZE_OF_HEAD + 5..][..12].chunks_exact_mut(2) {
            syllable[0] = CONSONANTS[(number % 20) as usize];
            syllable[1] = VOWELS[(number / 20 % 5) as usize];
            number /= 100;
        }
        (length, Expect::Passed)
    }
}

fn uniform(count: usize, numbers: &mut Numbers) -> Vec<u32> {
    (0..DRAWN)
        .map(|_| numbers.below(count as u64) as u32)
        .collect()
}

/// Zipf's law: the name at rank r is asked for in proportion to 1 / r, among those let through and
/// among the blocked.
fn household(numbers: &mut Numbers) -> Vec<u32> {
    let passed = Zipf::new(HOUSEHOLD.0);
    let blocked = Zipf::new(HOUSEHOLD.1);
    (0..DRAWN)
        .map(|_| {
            let name = match numbers.below(100) {
                it if it < BLOCKED_PERCENT => HOUSEHOLD.0 + blocked.draw(numbers),
                it if it < BLOCKED_PERCENT + NEW_PERCENT => return NEW,
                _ => passed.draw(numbers),
            };
            let mut percent = numbers.below(100);
            let which = TYPES
                .iter()
                .position(|(_, share)| {
                    let is_it = percent < *share;
                    percent = percent.saturating_sub(*share);
                    is_it
                })
                .unwrap_or(0);
            (name * TYPES.len() + which) as u32
        })
        .collect()
}

struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=count)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { cumulative }
    }

    fn draw(&self, numbers: &mut Numbers) -> usize {
        let last = self.cumulative.len() - 1;
        let point = numbers.draw() as f64 / u64::MAX as f64 * self.cumulative[last];
        self.cumulative.partition_point(|it| *it < point).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> String {
        (0..60_000)
            .map(|it| format!("unlisted p{it}.example\nlisted b{it}.example\n"))
            .collect()
    }

    type Drawn = (Vec<u8>, Expect);

    fn drawn(which: &str, seed: u64, count: usize) -> Vec<Drawn> {
        let mut mix = Mix::new(which, &names(), seed, seed).unwrap();
        let mut out = [0; SIZE];
        (0..count)
            .map(|_| {
                let (length, expect) = mix.next(&mut out);
                (out[..length].to_vec(), expect)
            })
            .collect()
    }

    #[test]
    fn a_household_asks_the_same_in_every_run_and_by_its_shares() {
        let all = drawn("household", 7, 100_000);
        assert_eq!(all, drawn("household", 7, 100_000));
        assert_ne!(all, drawn("household", 8, 100_000));
        let share = |is_it: &dyn Fn(&Drawn) -> bool| {
            all.iter().filter(|it| is_it(it)).count() as f64 / all.len() as f64
        };
        let blocked = share(&|it| it.1 == Expect::Blocked);
        assert!((0.14..0.16).contains(&blocked), "{blocked}");
        let new = share(&|it| it.0.windows(4).any(|it| it == b"\x03com"));
        assert!((0.015..0.025).contains(&new), "{new}");
        let https = share(&|it| it.0.ends_with(&[0, 65, 0, 1]));
        assert!((0.18..0.22).contains(&https), "{https}");
        let first = wire::query("p0.example", A);
        let second = wire::query("p1.example", A);
        let ratio = share(&|it| it.0 == first) / share(&|it| it.0 == second);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
    }

    #[test]
    fn new_names_come_once() {
        let mut all: Vec<_> = drawn("misses", 7, 100_000);
        assert_eq!(all[0].0.len(), wire::query("www.bababababaza.com", A).len());
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.dedup();
        assert_eq!(all.len(), 100_000);
    }

    #[test]
    fn too_few_names_are_a_mistake() {
        assert!(Mix::new("cached", "unlisted one.example\n", 1, 1).is_err());
    }
}
