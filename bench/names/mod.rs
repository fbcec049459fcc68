//! Names as public blocklists have them, any number, from a seed.
//!
//! `statistics.txt` holds counts of real lists and no name of them: how often each suffix occurs,
//! how many names stand below one registered name, how long labels are, which letter follows which.
//! [`Generator`] draws from these counts. The same seed gives the same names on every machine. Uses
//! the standard library alone, so that `rustc` builds it without cargo.
//!
//! What it does not keep: real labels are words, and words share longer beginnings than letters
//! drawn one by one. Whatever exploits that does a little worse on generated names than on real ones.

#![allow(
    dead_code,
    unused_imports,
    reason = "who includes this takes what it needs"
)]

mod statistics;

use std::collections::HashSet;

pub use statistics::{ALPHABET, Class, Statistics, Table, symbol};

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: no division, and no worse than a remainder.
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }
}

/// Spreads what differs over all bits.
fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Sixty-four bits of a name, to tell names apart.
fn fingerprint(name: &str) -> u64 {
    name.bytes()
        .fold(0, |hash, octet| mix(hash ^ u64::from(octet)))
}

/// Many names in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    /// Appends a name.
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        let end = u32::try_from(self.text.len()).expect("fewer than 4 GiB of names");
        self.ends.push(end);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The name at a place below [`Self::len`].
    pub fn get(&self, place: usize) -> &str {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[begin as usize..self.ends[place] as usize]
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.get(place))
    }
}

/// `count` distinct names in no order: those of `known` first of all, as many as there is room for,
/// the rest generated.
pub fn distinct_names(known: &Names, count: usize, seed: u64) -> Names {
    let mut numbers = Numbers(mix(seed));
    let mut all = Names::default();
    let mut seen = HashSet::with_capacity(count);
    for name in known.iter() {
        if all.len() == count {
            break;
        }
        if seen.insert(fingerprint(name)) {
            all.push(name);
        }
    }
    let mut generator = Generator::new(seed);
    while all.len() < count {
        for name in generator.household() {
            if all.len() < count && seen.insert(fingerprint(name)) {
                all.push(name);
            }
        }
    }
    drop(seen);

    let mut places: Vec<u32> = (0..all.ends.len() as u32).collect();
    for place in (1..places.len()).rev() {
        places.swap(place, numbers.below(place as u64 + 1) as usize);
    }
    let mut shuffled = Names::default();
    for place in places {
        shuffled.push(all.get(place as usize));
    }
    shuffled
}

/// Draws registered names, each with what is listed at and below it.
#[derive(Clone, Debug)]
pub struct Generator {
    statistics: Statistics,
    numbers: Numbers,
    names: Vec<String>,
}

impl Generator {
    /// The names of one seed.
    pub fn new(seed: u64) -> Self {
        Self {
            statistics: Statistics::embedded(),
            numbers: Numbers(seed),
            names: Vec::new(),
        }
    }

    /// The listed names of one more registered name: itself, names below it, or both. A name may
    /// have come before, and a few come twice here.
    pub fn household(&mut self) -> &[String] {
        self.names.clear();
        let Self {
            statistics,
            numbers,
            names,
        } = self;
        let suffix = statistics.suffixes.draw(numbers);
        let length = *statistics.own_lengths.draw(numbers);
        let own = format!("{}.{suffix}", statistics.own_label(length, numbers));
        let (itself, below) = statistics.size(suffix, numbers);
        if itself {
            names.push(own.clone());
        }
        let class = Class::of(itself, below);
        let tables = &statistics.classes[class as usize];
        let mut parents: Vec<String> = Vec::new();
        for _ in 0..below {
            let depth = *tables.depths.draw(numbers);
            let parent = if depth == 1 {
                own.clone()
            } else if !parents.is_empty() && numbers.below(1000) < statistics.same_parent {
                parents[numbers.below(parents.len() as u64) as usize].clone()
            } else {
                let mut parent = own.clone();
                for _ in 1..depth {
                    let length = *statistics.below_lengths.draw(numbers);
                    let label = statistics.below_label(length, numbers);
                    if parent.len() + label.len() < 180 {
                        parent = format!("{label}.{parent}");
                    }
                }
                parents.push(parent.clone());
                parent
            };
            let host = match tables.hosts.draw(numbers).as_str() {
                "*" => {
                    let length = *statistics.below_lengths.draw(numbers);
                    statistics.below_label(length, numbers)
                }
                // A household has one `www`.
                host if names.iter().any(|name| {
                    name.strip_prefix(host)
                        .is_some_and(|rest| rest.strip_prefix('.') == Some(&parent))
                }) =>
                {
                    let length = *statistics.below_lengths.draw(numbers);
                    statistics.below_label(length, numbers)
                }
                host => host.to_owned(),
            };
            names.push(format!("{host}.{parent}"));
        }
        names
    }
}
