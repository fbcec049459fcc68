//! How a name is written: what it shares with the name before, its set, what it says anew.
//!
//! What it says anew is tokens, and stands apart. Before that come, each in a code: how many symbols
//! it shares with the name before, in a code that depends on how many that name shared; that its
//! set of postings is another than that of the name before, and which, only where it is; how many
//! tokens it has. Where most names have another set than the one before, each says its own. Of the
//! head of a group the set, which is always there, and the number of tokens: what it shares with
//! others is a matter of its block. So a search goes from name to name quickly and reads the tokens
//! of few.

use super::bits::{BitReader, BitWriter, bits_at};
use super::code::{self, Decoder, Encoder};
use super::sets::SetCount;
use super::tokens::{self, Divider, MAX_TOKENS, Sample, Token};

/// How many symbols the codes of shared lengths have: themselves, then [`FAR`].
pub(super) const SHARED: usize = 32;
/// A shared length of this many or more: eight bits follow that hold it.
const FAR: u8 = SHARED as u8 - 1;
/// How many codes for shared lengths there are.
pub(super) const SHARED_CODES: usize = 24;
/// How many symbols the code of counts of tokens has: themselves, then [`MANY`], then [`OTHER_SET`].
const COUNTS: usize = 32;
/// So many tokens or more: eight bits follow that hold how many.
const MANY: u8 = COUNTS as u8 - 2;
/// In place of a count: the set follows, which is not that of the name before, and then the count.
/// Where this has no row of bits, each name says its set in front of its count.
const OTHER_SET: u8 = COUNTS as u8 - 1;
/// How many symbols the code of sets of postings has: numbers of sets, then these.
const SETS: usize = 64;
/// The set with the number that follows, in as many bits as the highest number has.
const RARE_SET: u8 = 62;
/// The set at the place that follows in 32 bits.
const LONE_SET: u8 = 63;

/// The code for the shared length of a name after one that shared `before`.
pub(super) fn shared_code(before: usize) -> usize {
    before.min(SHARED_CODES - 1)
}

/// How often each shared length was written in each code.
pub(super) struct SharedCounts([[u64; SHARED]; SHARED_CODES]);

impl SharedCounts {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self([[0; SHARED]; SHARED_CODES])
    }

    /// Counts a shared length.
    pub(super) fn add(&mut self, code: usize, length: usize) {
        if let Some(counts) = self.0.get_mut(code) {
            counts[length.min(usize::from(FAR))] += 1;
        }
    }
}

/// How often each set is written, for either way to write them.
pub(super) struct Occurrences {
    /// Names that are no heads of groups, and those that have another set than the one before.
    plain_names: u64,
    other_sets: u64,
    /// How often each symbol is written if a name says its set only where that is another one.
    others: [u64; SETS],
    /// The same if each name says its set.
    all: [u64; SETS],
    /// How many sets have a number.
    sets: usize,
}

impl Occurrences {
    /// So many names that are no heads of groups, so many of them with the set of the name before,
    /// and so many of all names with a set that has no number.
    pub(super) const fn new(plain_names: u64, repeated: u64, lone: u64) -> Self {
        let mut symbols = [0; SETS];
        symbols[LONE_SET as usize] = lone;
        Self {
            plain_names,
            other_sets: plain_names - repeated,
            others: symbols,
            all: symbols,
            sets: 0,
        }
    }

    /// Adds the set with the next number.
    pub(super) fn add(&mut self, number: u32, count: SetCount) {
        let symbol = usize::from(number_symbol(number));
        self.others[symbol] += count.names - count.repeated;
        self.all[symbol] += count.names;
        self.sets += 1;
    }

    /// The bits of all sets where the symbols occur so often.
    fn bits(&self, symbols: &[u64; SETS]) -> u128 {
        let numbers =
            u128::from(symbols[usize::from(RARE_SET)]) * u128::from(number_bits(self.sets));
        bits_of_symbols(symbols, &code::lengths(symbols)) + numbers
    }
}

/// The bits of symbols that occur so often, each of so many bits.
fn bits_of_symbols<const N: usize>(counts: &[u64; N], lengths: &[u8; N]) -> u128 {
    let pairs = counts.iter().zip(lengths);
    pairs
        .map(|(count, length)| u128::from(*count) * u128::from(*length))
        .sum()
}

/// The tokens and the lengths of all codes: what stands in the file.
pub(super) struct Model {
    /// The pairs that make the tokens behind those of the symbols.
    pub(super) pairs: Vec<[u16; 2]>,
    /// The codes of shared lengths.
    shared: [[u8; SHARED]; SHARED_CODES],
    /// The code of counts of tokens.
    counts: [u8; COUNTS],
    /// The code of sets.
    sets: [u8; SETS],
    divider: Divider,
}

impl Model {
    /// The model for rows like those of the sample, and for shared lengths and sets that occur so
    /// often.
    pub(super) fn fit(sample: &Sample, shared: &SharedCounts, sets: &Occurrences) -> Self {
        let pairs = sample.pairs();
        let tokens = tokens::join(&pairs).unwrap_or_default();
        let divider = Divider::new(tokens);
        // Any count may come.
        let mut alone = [1; COUNTS];
        alone[usize::from(OTHER_SET)] = 0;
        let mut rows = 0;
        for row in sample.rows() {
            alone[divider.divide(row).len().min(usize::from(MANY))] += 1;
            rows += 1;
        }
        let mut marked = alone;
        // As often among the rows of the sample as among all names.
        marked[usize::from(OTHER_SET)] = 1 + rows * sets.other_sets / sets.plain_names.max(1);
        // What takes less, all names said.
        let bits = |counts: &[u64; COUNTS], symbols| {
            let of_sample = bits_of_symbols(counts, &code::lengths(counts));
            of_sample * u128::from(sets.plain_names) + sets.bits(symbols) * u128::from(rows)
        };
        let (counts, sets) = if bits(&alone, &sets.all) < bits(&marked, &sets.others) {
            (alone, sets.all)
        } else {
            (marked, sets.others)
        };
        Self {
            pairs,
            shared: shared.0.map(|counts| code::lengths(&counts)),
            counts: code::lengths(&counts),
            sets: code::lengths(&sets),
            divider,
        }
    }

    /// The octets of the section: the pairs, two octets for each half, then the lengths of all
    /// codes, two in an octet, the first in its low half.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let halves = self.pairs.as_flattened().iter();
        let mut bytes: Vec<u8> = halves.flat_map(|half| half.to_le_bytes()).collect();
        let shared = self.shared.as_flattened().iter();
        let lengths = shared.chain(&self.counts).chain(&self.sets);
        let lengths: Vec<u8> = lengths.copied().collect();
        bytes.extend(lengths.chunks(2).map(|two| match two {
            [low, high] => low | high << 4,
            _ => 0,
        }));
        bytes
    }
}

/// Writes names.
pub(super) struct ModelEncoder<'a> {
    divider: &'a Divider,
    /// Bits of a token's number.
    token_bits: u32,
    shared: Vec<Encoder<SHARED>>,
    counts: Encoder<COUNTS>,
    sets: Encoder<SETS>,
    /// Whether each name says its set.
    says_each_set: bool,
    /// Bits of a set's number.
    set_bits: u32,
}

impl<'a> ModelEncoder<'a> {
    /// The encoder of a model over so many numbered sets.
    pub(super) fn new(model: &'a Model, sets: usize) -> Self {
        Self {
            divider: &model.divider,
            token_bits: tokens::token_bits(model.pairs.len()),
            shared: model.shared.iter().map(Encoder::new).collect(),
            counts: Encoder::new(&model.counts),
            sets: Encoder::new(&model.sets),
            says_each_set: says_each_set(&model.counts),
            set_bits: number_bits(sets),
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

    /// Appends the set of a name that is no head, or nothing where that of the name before, if it
    /// has a number, is the same.
    pub(super) fn put_plain_set(&self, set: SetCode, is_repeated: bool, out: &mut BitWriter) {
        if self.says_each_set {
            self.put_set(set, out);
        } else if !is_repeated {
            self.counts.put(OTHER_SET, out);
            self.put_set(set, out);
        }
    }

    /// Appends a number of tokens.
    pub(super) fn put_count(&self, count: usize, out: &mut BitWriter) {
        // A row of symbols is shorter than 256.
        self.counts.put(count.min(usize::from(MANY)) as u8, out);
        if count >= usize::from(MANY) {
            out.put(count as u32, 8);
        }
    }

    /// The tokens of what a name says anew, given without its end.
    pub(super) fn tokens(&self, rest: &[u8]) -> Vec<u16> {
        self.divider.divide(rest)
    }

    /// Appends a token.
    pub(super) fn put_token(&self, token: u16, out: &mut BitWriter) {
        out.put(token.into(), self.token_bits);
    }

    /// Appends a set.
    pub(super) fn put_set(&self, set: SetCode, out: &mut BitWriter) {
        match set {
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
    /// By its number.
    Number(u32),
    /// By its place in the section of sets.
    At(u32),
}

/// The symbol of a numbered set.
fn number_symbol(number: u32) -> u8 {
    number.min(u32::from(RARE_SET)) as u8
}

/// Whether each name says its set, as the lengths of the code of counts tell.
fn says_each_set(counts: &[u8]) -> bool {
    counts.get(usize::from(OTHER_SET)) == Some(&0)
}

/// How many bits the highest of so many numbers has.
fn number_bits(count: usize) -> u32 {
    let highest = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    u32::BITS - highest.leading_zeros()
}

/// Reads names.
pub(super) struct ModelDecoder {
    /// The tokens, then such of no symbols.
    tokens: Box<[Token; MAX_TOKENS]>,
    /// Bits of a token's number.
    token_bits: u32,
    shared: Box<[Decoder]>,
    counts: Decoder,
    sets: Decoder,
    /// Whether each name says its set.
    says_each_set: bool,
    set_bits: u32,
}

impl ModelDecoder {
    /// Reads what [`Model::to_bytes`] wrote, for so many pairs and numbered sets; none when it is no
    /// model.
    pub(super) fn new(bytes: &[u8], pairs: usize, sets: usize) -> Option<Box<Self>> {
        if pairs > MAX_TOKENS {
            return None;
        }
        let (halves, bytes) = bytes.split_at_checked(pairs * 4)?;
        let half = |octets: &[u8; 2]| u16::from_le_bytes(*octets);
        let (halves, _) = halves.as_chunks::<2>();
        let (pairs, _) = halves.as_chunks::<2>();
        let pairs: Vec<[u16; 2]> = pairs
            .iter()
            .map(|[first, second]| [half(first), half(second)])
            .collect();
        let token_bits = tokens::token_bits(pairs.len());
        let mut tokens = tokens::join(&pairs)?;
        tokens.resize(MAX_TOKENS, Token::default());
        let lengths: Vec<u8> = bytes.iter().flat_map(|two| [two & 15, two >> 4]).collect();
        let (of_shared, rest) = lengths.split_at_checked(SHARED_CODES * SHARED)?;
        let (of_counts, of_sets) = rest.split_at_checked(COUNTS)?;
        if of_sets.len() != SETS {
            return None;
        }
        Some(Box::new(Self {
            tokens: tokens.try_into().ok()?,
            token_bits,
            shared: of_shared
                .chunks(SHARED)
                .map(Decoder::new)
                .collect::<Option<_>>()?,
            counts: Decoder::new(of_counts)?,
            sets: Decoder::new(of_sets)?,
            says_each_set: says_each_set(of_counts),
            set_bits: number_bits(sets),
        }))
    }

    /// Octets it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.tokens) + size_of_val(&*self.shared)
    }

    /// Reads a shared length.
    #[inline(always)]
    pub(super) fn take_shared(&self, code: usize, reader: &mut BitReader<'_>) -> Option<usize> {
        let length = self.shared.get(code)?.take(reader);
        Some(match length {
            FAR => reader.take(8) as usize,
            near => near.into(),
        })
    }

    /// Reads the number of tokens of a name that is no head; before it, its set, if it is not
    /// `set`, that of the name before, or if each name says its own.
    #[inline(always)]
    pub(super) fn take_plain_count(&self, set: &mut SetCode, reader: &mut BitReader<'_>) -> usize {
        if self.says_each_set {
            *set = self.take_set(reader);
            return self.take_count(reader);
        }
        let count = self.counts.take(reader);
        if count == OTHER_SET {
            *set = self.take_set(reader);
            return self.take_count(reader);
        }
        Self::whole_count(count, reader)
    }

    /// Reads a number of tokens.
    #[inline(always)]
    pub(super) fn take_count(&self, reader: &mut BitReader<'_>) -> usize {
        let count = self.counts.take(reader);
        Self::whole_count(count, reader)
    }

    /// A number of tokens that begins with this symbol.
    #[inline(always)]
    fn whole_count(symbol: u8, reader: &mut BitReader<'_>) -> usize {
        match symbol {
            MANY => reader.take(8) as usize,
            few => few.into(),
        }
    }

    /// How many bits so many tokens take.
    #[inline(always)]
    pub(super) const fn bits_of(&self, tokens: usize) -> usize {
        tokens * self.token_bits as usize
    }

    /// The token at `place` of `names`.
    #[inline(always)]
    pub(super) fn token(&self, names: &[u8], place: usize) -> Token {
        let number = bits_at(names, place, self.token_bits);
        self.tokens[number as usize % MAX_TOKENS]
    }

    /// Reads a set.
    #[inline(always)]
    pub(super) fn take_set(&self, reader: &mut BitReader<'_>) -> SetCode {
        match self.sets.take(reader) {
            RARE_SET => SetCode::Number(reader.take(self.set_bits)),
            LONE_SET => SetCode::At(reader.take(32)),
            symbol => SetCode::Number(symbol.into()),
        }
    }
}
