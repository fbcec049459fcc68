//! The counts that names are drawn from.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Numbers;

/// What can be drawn, each as often as it was counted.
#[derive(Clone, Debug)]
pub struct Table<T> {
    values: Vec<T>,
    /// The sum of the counts up to and with each value.
    sums: Vec<u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    /// Appends a value and its count.
    pub fn push(&mut self, value: T, count: u64) {
        let before = self.total();
        self.values.push(value);
        self.sums.push(before + count);
    }

    /// All counts together.
    pub fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// One of the values; the table is not empty.
    pub fn draw(&self, numbers: &mut Numbers) -> &T {
        let number = numbers.below(self.total());
        &self.values[self.sums.partition_point(|sum| *sum <= number)]
    }

    /// The values with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&T, u64)> {
        let before = std::iter::once(0).chain(self.sums.iter().copied());
        let counts = self
            .sums
            .iter()
            .zip(before)
            .map(|(sum, before)| sum - before);
        self.values.iter().zip(counts)
    }
}

/// Which registered names have their hosts in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Itself and at most two names below: mostly `www`.
    Site,
    /// At most two names below and not itself: mostly counters and trackers.
    Hosts,
    /// More names below.
    Farm,
}

impl Class {
    /// All, in the order of [`Statistics::classes`].
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Site, "site"),
        (Self::Hosts, "hosts"),
        (Self::Farm, "farm"),
    ];

    /// That of a registered name which is listed itself or not, and `below` names below it.
    pub fn of(itself: bool, below: u32) -> Self {
        match (itself, below) {
            (_, 3..) => Self::Farm,
            (true, _) => Self::Site,
            (false, _) => Self::Hosts,
        }
    }
}

/// What differs between classes.
#[derive(Clone, Debug, Default)]
pub struct ClassTables {
    /// Labels over the registered name.
    pub depths: Table<u32>,
    /// First labels that many have; `*` for all others.
    pub hosts: Table<String>,
}

/// Which octet follows which: for each context the octets and how often.
type Letters = Vec<Table<u8>>;

/// Everything names are drawn from.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// What is behind a registered label: `com`, `co.uk`.
    pub suffixes: Table<String>,
    /// Whether a registered name is listed itself, and how many names below it are; for large
    /// suffixes and, as `*`, the others.
    sizes: BTreeMap<String, Table<(bool, u32)>>,
    /// By [`Class`].
    pub classes: [ClassTables; 3],
    /// Of a thousand names two labels or more below a registered name, those with the same parent
    /// as another.
    pub same_parent: u64,
    /// Octets in registered labels.
    pub own_lengths: Table<usize>,
    /// Octets in labels below them.
    pub below_lengths: Table<usize>,
    own: Letters,
    below: Letters,
    /// To compare with: labels in a name.
    pub name_labels: Table<u32>,
    /// To compare with: octets in a name.
    pub name_octets: Table<usize>,
    /// To compare with: top-level labels.
    pub tops: Table<String>,
}

/// What a label is made of; its begin is the place behind the last.
pub const ALPHABET: &[u8] = b"-0123456789_abcdefghijklmnopqrstuvwxyz";
const BEGIN: usize = ALPHABET.len();
const SYMBOLS: usize = ALPHABET.len() + 1;

impl Statistics {
    /// Those of `statistics.txt`.
    pub fn embedded() -> Self {
        Self::parse(include_str!("statistics.txt")).expect("statistics.txt was made by `learn`")
    }

    /// Reads what `learn` wrote; none if a line is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self {
            own: vec![Table::default(); SYMBOLS * SYMBOLS],
            below: vec![Table::default(); SYMBOLS],
            ..Self::default()
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, rest) = line.split_once(' ')?;
            match key {
                "suffixes" => fill(&mut all.suffixes, rest)?,
                "own-lengths" => fill(&mut all.own_lengths, rest)?,
                "below-lengths" => fill(&mut all.below_lengths, rest)?,
                "name-labels" => fill(&mut all.name_labels, rest)?,
                "name-octets" => fill(&mut all.name_octets, rest)?,
                "tops" => fill(&mut all.tops, rest)?,
                "same-parent" => all.same_parent = rest.parse().ok()?,
                "sizes" => {
                    let (suffix, rest) = rest.split_once(' ')?;
                    let sizes = all.sizes.entry(suffix.to_owned()).or_default();
                    for (size, count) in pairs(rest) {
                        let (itself, below) = size.split_once('+')?;
                        let size = (itself == "1", below.parse().ok()?);
                        sizes.push(size, count?);
                    }
                }
                "own" | "below" => {
                    let (context, followers) = rest.split_once(' ')?;
                    let place = context
                        .bytes()
                        .try_fold(0, |place, octet| Some(place * SYMBOLS + symbol(octet)?))?;
                    let letters = if key == "own" {
                        &mut all.own
                    } else {
                        &mut all.below
                    };
                    let table = letters.get_mut(place)?;
                    for pair in followers.as_bytes().chunks_exact(2) {
                        table.push(pair[0], symbol(pair[1])? as u64);
                    }
                }
                _ => {
                    let (class, kind) = key.split_once('-')?;
                    let place = Class::ALL.iter().position(|(_, name)| *name == class)?;
                    match kind {
                        "depths" => fill(&mut all.classes[place].depths, rest)?,
                        "hosts" => fill(&mut all.classes[place].hosts, rest)?,
                        _ => return None,
                    }
                }
            }
        }
        Some(all)
    }

    /// How many names below a registered name with this suffix are listed, and whether it is too.
    pub fn size(&self, suffix: &str, numbers: &mut Numbers) -> (bool, u32) {
        let sizes = self.sizes.get(suffix).or_else(|| self.sizes.get("*"));
        sizes.map_or((true, 0), |sizes| *sizes.draw(numbers))
    }

    /// A label as people register them, each octet by the two before it.
    pub fn own_label(&self, length: usize, numbers: &mut Numbers) -> String {
        label(length, numbers, |two, numbers| {
            let [first, second] = two;
            let table = &self.own[first * SYMBOLS + second];
            (table.total() > 0).then(|| *table.draw(numbers))
        })
    }

    /// A label below a registered name, each octet by the one before it.
    pub fn below_label(&self, length: usize, numbers: &mut Numbers) -> String {
        label(length, numbers, |[_, last], numbers| {
            let table = &self.below[last];
            (table.total() > 0).then(|| *table.draw(numbers))
        })
    }
}

/// A label of `length` octets, the next of which `draw` takes from the last two; where nothing
/// follows, and at the end of a label that would end in a hyphen, any letter does.
fn label(
    length: usize,
    numbers: &mut Numbers,
    draw: impl Fn([usize; 2], &mut Numbers) -> Option<u8>,
) -> String {
    let mut label = String::with_capacity(length);
    let mut context = [BEGIN; 2];
    for place in 0..length {
        let is_edge = place == 0 || place + 1 == length;
        let octet = draw(context, numbers)
            .filter(|octet| !(is_edge && *octet == b'-'))
            .unwrap_or_else(|| b'a' + numbers.below(26) as u8);
        label.push(char::from(octet));
        context = [context[1], symbol(octet).unwrap_or(BEGIN)];
    }
    label
}

/// The place of an octet in the alphabet; `^` is the begin of a label.
pub fn symbol(octet: u8) -> Option<usize> {
    if octet == b'^' {
        return Some(BEGIN);
    }
    ALPHABET.iter().position(|it| *it == octet)
}

/// `value=count` after `value=count`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, Option<u64>)> {
    text.split(' ').map(|pair| match pair.split_once('=') {
        Some((value, count)) => (value, count.parse().ok()),
        None => (pair, None),
    })
}

fn fill<T: FromStr>(table: &mut Table<T>, text: &str) -> Option<()> {
    for (value, count) in pairs(text) {
        table.push(value.parse().ok()?, count?);
    }
    Some(())
}
