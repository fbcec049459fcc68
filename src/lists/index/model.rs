//! How a name is written: what it shares with the name before, what it says anew, its set.
//!
//! A name is four things, one behind the other: how many symbols it shares with the name before, in
//! a code that depends on how many that name shared (not for the head of a group, whose block says
//! it); how many tokens follow, in a code; its set of postings, in a code; the tokens. What comes
//! before the tokens tells where the next name begins, so that a search reads the tokens of few.

use super::bits::{BitReader, BitWriter};
use super::code::{self, Decoder, Encoder};
use super::tokens::{self, Divider, MAX_TOKENS, Sample, Token};

/// How many symbols the codes of shared lengths have: themselves, then [`FAR`].
pub(super) const SHARED: usize = 32;
/// A shared length of this many or more: eight bits follow that hold it.
const FAR: u8 = SHARED as u8 - 1;
/// How many codes for shared lengths there are.
pub(super) const SHARED_CODES: usize = 24;
/// How many symbols the code of counts of tokens has: themselves, then [`MANY`].
const COUNTS: usize = 16;
/// So many tokens or more: eight bits follow that hold how many.
const MANY: u8 = COUNTS as u8 - 1;
/// How many symbols the code of sets of postings has.
pub(super) const SETS: usize = 64;
/// The same set as the name before.
pub(super) const SAME_SET: u8 = 0;
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
    /// often.
    pub(super) fn fit(sample: &Sample, shared: &SharedCounts, sets: &[u64; SETS]) -> Self {
        let pairs = sample.pairs();
        let tokens = tokens::join(&pairs).unwrap_or_default();
        let divider = Divider::new(tokens);
        // Any count may come.
        let mut counts = [1; COUNTS];
        for row in sample.rows() {
            counts[divider.divide(row).len().min(usize::from(MANY))] += 1;
        }
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

    /// Appends what a name says anew, given without its end, and its set.
    pub(super) fn put_rest(&self, rest: &[u8], set: SetCode, out: &mut BitWriter) {
        let tokens = self.divider.divide(rest);
        // A row of symbols is shorter than 256.
        self.counts
            .put(tokens.len().min(usize::from(MANY)) as u8, out);
        if tokens.len() >= usize::from(MANY) {
            out.put(tokens.len() as u32, 8);
        }
        self.put_set(set, out);
        for token in tokens {
            out.put(token.into(), self.token_bits);
        }
    }

    fn put_set(&self, set: SetCode, out: &mut BitWriter) {
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

impl SetCode {
    /// What it means for a name that follows one with the set `before`.
    pub(super) const fn after(self, before: Self) -> Self {
        match self {
            Self::Same => before,
            other => other,
        }
    }
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
    /// The tokens, then such of no symbols.
    tokens: Box<[Token; MAX_TOKENS]>,
    /// Bits of a token's number.
    token_bits: u32,
    shared: Box<[Decoder]>,
    counts: Decoder,
    sets: Decoder,
    set_bits: u32,
}

/// What stands before the tokens of a name.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// How many tokens follow.
    tokens: usize,
    /// Where.
    place: usize,
    /// The set.
    pub(super) set: SetCode,
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

    /// Reads what stands before the tokens of a name, and goes behind them.
    #[inline(always)]
    pub(super) fn take_rest(&self, reader: &mut BitReader<'_>) -> Rest {
        let tokens = match self.counts.take(reader) {
            MANY => reader.take(8) as usize,
            few => few.into(),
        };
        let set = self.take_set(reader);
        let place = reader.place();
        reader.go_to(place + tokens * self.token_bits as usize);
        Rest { tokens, place, set }
    }

    /// The tokens of a name; `reader` stands anywhere in the same octets.
    #[inline(always)]
    pub(super) fn tokens<'a>(
        &'a self,
        rest: Rest,
        reader: &BitReader<'a>,
    ) -> impl Iterator<Item = Token> + use<'a> {
        let mut reader = reader.clone();
        reader.go_to(rest.place);
        (0..rest.tokens).map(move |_| {
            let number = reader.take(self.token_bits) as usize;
            self.tokens[number % MAX_TOKENS]
        })
    }

    /// Reads a set.
    #[inline(always)]
    fn take_set(&self, reader: &mut BitReader<'_>) -> SetCode {
        match self.sets.take(reader) {
            SAME_SET => SetCode::Same,
            RARE_SET => SetCode::Number(reader.take(self.set_bits)),
            LONE_SET => SetCode::At(reader.take(32)),
            symbol => SetCode::Number(u32::from(symbol) - 1),
        }
    }
}
