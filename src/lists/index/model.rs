//! How a name is written: what it shares with the name before, its set, what it says anew.
//!
//! What it says anew is tokens, and stands apart. Before that come, each in a code: how many symbols
//! it shares with the name before, in a code that depends on how many that name shared; that its
//! set of postings is another than that of the name before, and which, only where it is; how many
//! tokens it has. Of the head of a group the set, which is always there, and the number of tokens:
//! what it shares with others is a matter of its block. So a search goes from name to name quickly
//! and reads the tokens of few.

use super::bits::{BitReader, BitWriter, bits_at};
use super::code::{self, Decoder, Encoder};
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
const OTHER_SET: u8 = COUNTS as u8 - 1;
/// How many symbols the code of sets of postings has: numbers of sets, then these.
pub(super) const SETS: usize = 64;
/// The set with the number that follows, in as many bits as the highest number has.
pub(super) const RARE_SET: u8 = 62;
/// The set at the place that follows in 32 bits.
pub(super) const LONE_SET: u8 = 63;

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
    /// The model for rows like those of the sample, for shared lengths and sets that occur so
    /// often, and so many names that have the set of the name before, or another.
    pub(super) fn fit(
        sample: &Sample,
        shared: &SharedCounts,
        sets: &[u64; SETS],
        [same, other]: [u64; 2],
    ) -> Self {
        let pairs = sample.pairs();
        let tokens = tokens::join(&pairs).unwrap_or_default();
        let divider = Divider::new(tokens);
        // Any count may come.
        let mut counts = [1; COUNTS];
        let mut rows = 0;
        for row in sample.rows() {
            counts[divider.divide(row).len().min(usize::from(MANY))] += 1;
            rows += 1;
        }
        // As often among the rows of the sample as among all names.
        counts[usize::from(OTHER_SET)] += rows * other / (same + other).max(1);
        Self {
            pairs,
            shared: shared.0.map(|counts| code::lengths(&counts)),
            counts: code::lengths(&counts),
            sets: code::lengths(sets),
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

    /// Appends that the set of a name is another than that of the name before, if it is.
    pub(super) fn put_other_set(&self, set: SetCode, out: &mut BitWriter) {
        if set != SetCode::Same {
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
            // Stands in no place of its own.
            SetCode::Same => {}
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
    number.min(u32::from(RARE_SET)) as u8
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

    /// Reads a number of tokens; before it, the set of the name if it is not `set`, that of the name
    /// before.
    #[inline(always)]
    pub(super) fn take_count(&self, set: &mut SetCode, reader: &mut BitReader<'_>) -> usize {
        let mut count = self.counts.take(reader);
        if count == OTHER_SET {
            *set = self.take_set(reader);
            count = self.counts.take(reader);
        }
        match count {
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
