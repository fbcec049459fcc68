//! Which code a symbol is written in: what is likely depends on what stands before it.
//!
//! A symbol has a *context*. For the first symbol that a name does not share with the name it is
//! compared with, that is the other name's symbol at this place (which it must come after) and the
//! symbol before. For all others it is the two symbols before. Each context belongs to a *class*,
//! and each class has a code. How much a name shares is written in a code that depends on how much
//! the name before shared; the set of postings has one code of its own.

use super::alphabet::{END, GAP, ROW, SYMBOLS};
use super::bits::{BitReader, BitWriter};
use super::code::{self, Decoder, Encoder, Found, LongRows, QUICK};

/// How many contexts of a kind there are.
pub(super) const CONTEXTS: usize = SYMBOLS * SYMBOLS;
/// The most classes.
pub(super) const MAX_CLASSES: usize = 255;
/// How many symbols the codes of shared lengths have: themselves, then [`FAR`].
pub(super) const SHARED: usize = 32;
/// A shared length of this many or more: eight bits follow that hold it.
const FAR: u8 = SHARED as u8 - 1;
/// How many codes for shared lengths there are.
pub(super) const SHARED_CODES: usize = 24;
/// How many symbols the code of sets of postings has.
pub(super) const SETS: usize = 64;
/// The same set as the name before.
pub(super) const SAME_SET: u8 = 0;
/// The set with the number that follows, in as many bits as the highest number has.
pub(super) const RARE_SET: u8 = 62;
/// The set at the place that follows in 32 bits.
pub(super) const LONE_SET: u8 = 63;

/// Where a symbol stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Context {
    /// The first that is not shared.
    First(usize),
    /// Another one.
    Next(usize),
}

/// Calls `each` for the symbols of `row` (its end included) that are not among the `shared` first,
/// with their contexts. `base` is the name it was compared with, none for the head of a group.
pub(super) fn spell(
    row: &[u8],
    shared: usize,
    base: Option<&[u8]>,
    mut each: impl FnMut(Context, u8),
) {
    let before = |back: usize| {
        let place = shared.checked_sub(back);
        let symbol = place.and_then(|place| row.get(place)).copied();
        symbol.unwrap_or(GAP)
    };
    let (mut second, mut last) = (before(2), before(1));
    let mut replaced = base.map(|base| base.get(shared).copied().unwrap_or(END));
    for symbol in row.get(shared..).unwrap_or_default() {
        let context = match replaced.take() {
            Some(other) => Context::First(pair(other, last)),
            None => Context::Next(pair(second, last)),
        };
        each(context, *symbol);
        (second, last) = (last, *symbol);
    }
}

/// The number of a pair of symbols.
const fn pair(first: u8, second: u8) -> usize {
    first as usize * SYMBOLS + second as usize
}

/// The code for the shared length of a name after one that shared `before`.
pub(super) fn shared_code(before: usize) -> usize {
    before.min(SHARED_CODES - 1)
}

/// How often what was written in which context.
pub(super) struct Counts {
    /// For each first context, its symbols.
    pub(super) first: Vec<[u32; SYMBOLS]>,
    /// For each next context, its symbols.
    pub(super) next: Vec<[u32; SYMBOLS]>,
    /// For each code, shared lengths.
    pub(super) shared: [[u64; SHARED]; SHARED_CODES],
}

impl Counts {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            first: vec![[0; SYMBOLS]; CONTEXTS],
            next: vec![[0; SYMBOLS]; CONTEXTS],
            shared: [[0; SHARED]; SHARED_CODES],
        }
    }

    /// Counts a symbol.
    pub(super) fn add(&mut self, context: Context, symbol: u8) {
        let counts = match context {
            Context::First(pair) => self.first.get_mut(pair),
            Context::Next(pair) => self.next.get_mut(pair),
        };
        if let Some(count) = counts.and_then(|counts| counts.get_mut(usize::from(symbol))) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts a shared length.
    pub(super) fn add_shared(&mut self, code: usize, length: usize) {
        if let Some(counts) = self.shared.get_mut(code) {
            counts[length.min(usize::from(FAR))] += 1;
        }
    }
}

/// The classes of contexts and the lengths of all codes: what stands in the file.
pub(super) struct Model {
    /// The class of each first context.
    pub(super) first: Vec<u8>,
    /// The class of each next context.
    pub(super) next: Vec<u8>,
    /// For each class, its code.
    pub(super) classes: Vec<[u8; SYMBOLS]>,
    /// The codes of shared lengths.
    pub(super) shared: [[u8; SHARED]; SHARED_CODES],
    /// The code of sets.
    pub(super) sets: [u8; SETS],
}

impl Model {
    /// The octets of the section: the classes of first and next contexts, an octet each, then the
    /// lengths of all codes, two in an octet, the first in its low half.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [self.first.as_slice(), &self.next].concat();
        let classes = self.classes.iter().flatten();
        let lengths = classes
            .chain(self.shared.iter().flatten())
            .chain(&self.sets);
        let lengths: Vec<u8> = lengths.copied().collect();
        bytes.extend(lengths.chunks(2).map(|two| match two {
            [low, high] => low | high << 4,
            _ => 0,
        }));
        bytes
    }
}

/// Writes names.
pub(super) struct ModelEncoder {
    first: Vec<u8>,
    next: Vec<u8>,
    classes: Vec<Encoder<SYMBOLS>>,
    shared: Vec<Encoder<SHARED>>,
    sets: Encoder<SETS>,
    /// Bits of a set's number.
    set_bits: u32,
}

impl ModelEncoder {
    /// The encoder of a model over so many numbered sets.
    pub(super) fn new(model: &Model, sets: usize) -> Self {
        Self {
            first: model.first.clone(),
            next: model.next.clone(),
            classes: model.classes.iter().map(Encoder::new).collect(),
            shared: model.shared.iter().map(Encoder::new).collect(),
            sets: Encoder::new(&model.sets),
            set_bits: number_bits(sets),
        }
    }

    /// Appends a symbol.
    pub(super) fn put(&self, context: Context, symbol: u8, out: &mut BitWriter) {
        let class = match context {
            Context::First(pair) => self.first.get(pair),
            Context::Next(pair) => self.next.get(pair),
        };
        if let Some(code) = class.and_then(|class| self.classes.get(usize::from(*class))) {
            code.put(symbol, out);
        }
    }

    /// Appends a shared length.
    pub(super) fn put_shared(&self, code: usize, length: usize, out: &mut BitWriter) {
        if let Some(code) = self.shared.get(code) {
            // A row of symbols is shorter than 256.
            code.put(length.min(usize::from(FAR)) as u8, out);
            if length >= usize::from(FAR) {
                out.put(length as u32, 8);
            }
        }
    }

    /// Appends a set.
    pub(super) fn put_set(&self, set: SetCode, out: &mut BitWriter) {
        match set {
            SetCode::Same => self.sets.put(SAME_SET, out),
            SetCode::Number(number) => {
                let symbol = number_symbol(number);
                self.sets.put(symbol, out);
                if symbol == RARE_SET {
                    out.put(number, self.set_bits);
                }
            }
            SetCode::At(place) => {
                self.sets.put(LONE_SET, out);
                out.put(place, 32);
            }
        }
    }
}

/// How a set of postings is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetCode {
    /// As the name before.
    Same,
    /// By its number.
    Number(u32),
    /// By its place in the section of sets.
    At(u32),
}

/// The symbol of a numbered set.
pub(super) fn number_symbol(number: u32) -> u8 {
    // Below `RARE_SET`.
    number.saturating_add(1).min(u32::from(RARE_SET)) as u8
}

/// How many bits the highest of so many numbers has.
fn number_bits(count: usize) -> u32 {
    let highest = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    u32::BITS - highest.leading_zeros()
}

/// Reads names.
pub(super) struct ModelDecoder {
    /// The class of each pair, at 64 times the first and the second.
    first: [u8; PAIRS],
    next: [u8; PAIRS],
    /// For each class, what the next bits begin with.
    quick: Box<[[Found; 1 << QUICK]]>,
    long: Box<[LongRows]>,
    shared: Box<[Decoder]>,
    sets: Decoder,
    set_bits: u32,
}

/// More than the places of pairs, and a power of two, so that a masked place is always there.
const PAIRS: usize = 4096;

impl ModelDecoder {
    /// Reads what [`Model::to_bytes`] wrote, for so many numbered sets; none when it is no model.
    pub(super) fn new(bytes: &[u8], classes: usize, sets: usize) -> Option<Box<Self>> {
        if classes > MAX_CLASSES {
            return None;
        }
        let (first, bytes) = bytes.split_at_checked(CONTEXTS)?;
        let (next, bytes) = bytes.split_at_checked(CONTEXTS)?;
        let is_class = |class: &u8| usize::from(*class) < classes;
        if !first.iter().chain(next).all(is_class) {
            return None;
        }
        let lengths: Vec<u8> = bytes.iter().flat_map(|two| [two & 15, two >> 4]).collect();
        let (of_classes, rest) = lengths.split_at_checked(classes * SYMBOLS)?;
        let (of_shared, of_sets) = rest.split_at_checked(SHARED_CODES * SHARED)?;
        if of_sets.len() != SETS {
            return None;
        }
        let mut quick = Vec::with_capacity(classes);
        let mut long = Vec::with_capacity(classes);
        for lengths in of_classes.chunks(SYMBOLS) {
            let decoder = Decoder::new(lengths)?;
            quick.push(decoder.quick);
            long.push(decoder.long);
        }
        Some(Box::new(Self {
            first: spread(first),
            next: spread(next),
            quick: quick.into_boxed_slice(),
            long: long.into_boxed_slice(),
            shared: of_shared
                .chunks(SHARED)
                .map(Decoder::new)
                .collect::<Option<_>>()?,
            sets: Decoder::new(of_sets)?,
            set_bits: number_bits(sets),
        }))
    }

    /// Octets it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let classes = size_of_val(&*self.quick) + size_of_val(&*self.long);
        size_of::<Self>() + classes + size_of_val(&*self.shared)
    }

    /// Reads the symbols of a name into `row` behind the `shared` first, which stand there, and says
    /// how many the name has, its end not counted. None when it has no end.
    ///
    /// Unless it is the head of a group, `row` holds the name it was compared with, and its end.
    #[inline(always)]
    pub(super) fn take_row(
        &self,
        row: &mut [u8; ROW],
        shared: u8,
        is_head: bool,
        reader: &mut BitReader<'_>,
    ) -> Option<u8> {
        let before = |back| {
            let place = shared.checked_sub(back);
            place.map_or(GAP, |place| row[usize::from(place)])
        };
        let mut pair = place(before(2), before(1));
        let mut class_of_next = if is_head {
            self.next[pair]
        } else {
            self.first[place(row[usize::from(shared)], before(1))]
        };
        let mut at = shared;
        loop {
            let next = reader.peek();
            let class = usize::from(class_of_next);
            let mut found = self.quick.get(class)?[code::beginning(next)];
            if found == 0 {
                found = self.long.get(class)?.find(next);
            }
            reader.pass(code::length(found));
            let symbol = code::symbol(found);
            row[usize::from(at)] = symbol;
            if symbol == END {
                return Some(at);
            }
            at = at.checked_add(1)?;
            pair = (pair << 6 | usize::from(symbol)) & (PAIRS - 1);
            class_of_next = self.next[pair];
        }
    }

    /// Reads a shared length.
    #[inline(always)]
    pub(super) fn take_shared(&self, code: usize, reader: &mut BitReader<'_>) -> Option<u8> {
        let length = self.shared.get(code)?.take(reader);
        Some(match length {
            // Eight bits.
            FAR => reader.take(8) as u8,
            near => near,
        })
    }

    /// Reads a set.
    #[inline(always)]
    pub(super) fn take_set(&self, reader: &mut BitReader<'_>) -> SetCode {
        match self.sets.take(reader) {
            SAME_SET => SetCode::Same,
            RARE_SET => SetCode::Number(reader.take(self.set_bits)),
            LONE_SET => SetCode::At(reader.take(32)),
            symbol => SetCode::Number(u32::from(symbol) - 1),
        }
    }
}

/// Where the class of a pair stands.
const fn place(first: u8, second: u8) -> usize {
    ((first as usize) << 6 | second as usize) & (PAIRS - 1)
}

/// Puts the classes of all pairs to their places.
fn spread(classes: &[u8]) -> [u8; PAIRS] {
    let mut table = [0; PAIRS];
    for (first, row) in (0..).zip(classes.chunks(SYMBOLS)) {
        for (second, class) in (0..).zip(row) {
            table[place(first, second)] = *class;
        }
    }
    table
}

/// The model for these counts.
pub(super) fn fit(counts: &Counts, sets: &[u64; SETS]) -> Model {
    let classes = super::classes::divide(&counts.first, &counts.next);
    let shared = counts.shared.map(|counts| code::lengths(&counts));
    Model {
        first: classes.first,
        next: classes.next,
        classes: classes.counts.iter().map(code::lengths).collect(),
        shared,
        sets: code::lengths(sets),
    }
}
