//! Tokens: frequent rows of symbols, each written as one number.
//!
//! The first tokens are the symbols themselves. Each other one is two earlier tokens in a row, so
//! that `c` and `om` make `com`. All numbers of an index have as many bits, so that a reader finds
//! the tenth token without the nine before it, and reads several symbols at once.

use std::collections::HashMap;

use super::alphabet::{END, ROW, SYMBOLS};

/// The most symbols of a token.
pub(super) const TOKEN_SYMBOLS: usize = 7;
/// The most bits of a token's number.
pub(super) const MAX_TOKEN_BITS: u32 = 12;
/// The most tokens.
pub(super) const MAX_TOKENS: usize = 1 << MAX_TOKEN_BITS;
/// Two tokens in a row become one if they occur at least so often: fewer would save no more than
/// what the new one takes in the file.
const LEAST: u64 = 6;

/// Symbols in a row, the first in the lowest octet; how many there are in the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Token(u64);

impl Token {
    /// The token of one symbol. The end is written in no token: its own has no symbols.
    const fn of(symbol: u8) -> Self {
        match symbol {
            END => Self(0),
            other => Self(other as u64 | 1 << 56),
        }
    }

    /// This token and then another; none when those are too many symbols.
    fn then(self, other: Self) -> Option<Self> {
        let length = self.len() + other.len();
        let symbols = self.symbols() | other.symbols() << (8 * self.len());
        (length <= TOKEN_SYMBOLS).then_some(Self(symbols | (length as u64) << 56))
    }

    /// How many symbols there are.
    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// The symbols, then zeroes.
    #[inline(always)]
    pub(super) const fn symbols(self) -> u64 {
        self.0 & ((1 << 56) - 1)
    }

    /// The bits of eight octets that stand where its symbols are.
    #[inline(always)]
    pub(super) const fn mask(self) -> u64 {
        // At most 56 bits.
        (1 << (8 * (self.0 >> 56))) - 1
    }
}

/// The tokens that these pairs of earlier ones make, behind those of the symbols; none when there
/// can be no such tokens.
pub(super) fn join(pairs: &[[u16; 2]]) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = (0..SYMBOLS as u8).map(Token::of).collect();
    if tokens.len() + pairs.len() > MAX_TOKENS {
        return None;
    }
    for [first, second] in pairs {
        let is_there = |number: &u16| tokens.get(usize::from(*number)).copied();
        let joined = is_there(first)?.then(is_there(second)?)?;
        tokens.push(joined);
    }
    Some(tokens)
}

/// How many bits the number of a token has, given how many pairs there are.
pub(super) const fn token_bits(pairs: usize) -> u32 {
    (SYMBOLS + pairs).next_power_of_two().trailing_zeros()
}

/// Some of many rows of symbols, evenly spread and so few that they fit into a bounded room.
#[derive(Debug)]
pub(super) struct Sample {
    /// Each with its end.
    rows: Vec<u8>,
    /// How many rows came.
    seen: u64,
    /// Every how manieth is here: a power of three, since the groups of names repeat after a power
    /// of two.
    every: u64,
}

/// Octets of a sample.
const SAMPLE: usize = 3 << 17;

impl Sample {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            rows: Vec::new(),
            seen: 0,
            every: 1,
        }
    }

    /// Takes note of a row, given without its end.
    pub(super) fn add(&mut self, row: &[u8]) {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(self.every) {
            return;
        }
        if self.rows.len() + row.len() >= SAMPLE {
            let mut number = 0_usize;
            self.rows.retain(|symbol| {
                let is_kept = number.is_multiple_of(3);
                number += usize::from(*symbol == END);
                is_kept
            });
            self.every *= 3;
            if !number.is_multiple_of(3) {
                return;
            }
        }
        self.rows.extend_from_slice(row);
        self.rows.push(END);
    }

    /// The rows, without their ends.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let rows = self.rows.strip_suffix(&[END]);
        rows.into_iter()
            .flat_map(|rows| rows.split(|symbol| *symbol == END))
    }

    /// Which pairs of tokens are worth a token of their own.
    ///
    /// Begins with the symbols and makes one token of the two that most often stand next to each
    /// other, again and again. To be quick, some at a time.
    pub(super) fn pairs(&self) -> Vec<[u16; 2]> {
        const PARTS: u16 = 4;
        const END_TOKEN: u16 = END as u16;
        let mut tokens: Vec<Token> = (0..SYMBOLS as u8).map(Token::of).collect();
        let mut numbers: HashMap<Token, u16> = tokens.iter().copied().zip(0..).collect();
        let mut pairs = Vec::new();
        let mut text: Vec<u16> = self.rows.iter().copied().map(u16::from).collect();
        let mut found: Vec<u32> = Vec::with_capacity(text.len() / usize::from(PARTS));
        // What is once in a sample may be so by chance.
        let least = LEAST.div_ceil(self.every).max(2) as u32;
        loop {
            let mut counts: Vec<(u32, u32)> = Vec::new();
            // Part after part, each a quarter of the memory of all.
            for part in 0..PARTS {
                found.clear();
                found.extend(text.windows(2).filter_map(|two| match two {
                    [END_TOKEN, _] | [_, END_TOKEN] => None,
                    [first, second] if first % PARTS == part => {
                        Some(u32::from(*first) << 16 | u32::from(*second))
                    }
                    _ => None,
                }));
                found.sort_unstable();
                let same = found.chunk_by(|left, right| left == right);
                // A sample is smaller than 4 GiB.
                let counted = same.map(|same| (same.len() as u32, same[0]));
                counts.extend(counted.filter(|(count, pair)| {
                    let [first, second] = halves(*pair).map(|number| tokens[usize::from(number)]);
                    *count >= least && first.then(second).is_some()
                }));
            }
            counts.sort_unstable_by_key(|(count, pair)| (std::cmp::Reverse(*count), *pair));
            let room = MAX_TOKENS - tokens.len();
            counts.truncate(room.min(64.max(tokens.len() / 4)));
            if counts.is_empty() {
                return pairs;
            }
            // For each first token, with what it is joined, and to which.
            let mut joined: Vec<Vec<(u16, u16)>> = vec![Vec::new(); tokens.len()];
            for (_, pair) in counts {
                let [first, second] = halves(pair);
                let Some(token) = tokens[usize::from(first)].then(tokens[usize::from(second)])
                else {
                    continue;
                };
                let number = *numbers.entry(token).or_insert_with(|| {
                    tokens.push(token);
                    pairs.push([first, second]);
                    // Less than `MAX_TOKENS`.
                    (tokens.len() - 1) as u16
                });
                joined[usize::from(first)].push((second, number));
            }
            replace(&mut text, &joined);
        }
    }
}

/// The two halves of a number.
const fn halves(pair: u32) -> [u16; 2] {
    [(pair >> 16) as u16, pair as u16]
}

/// Joins tokens from left to right where `joined` says so.
fn replace(text: &mut Vec<u16>, joined: &[Vec<(u16, u16)>]) {
    let mut to = 0;
    let mut from = 0;
    while let Some(first) = text.get(from).copied() {
        from += 1;
        let partners = joined.get(usize::from(first));
        let partners = partners.map(Vec::as_slice).unwrap_or_default();
        let next = text.get(from).copied();
        let pair = partners.iter().find(|(second, _)| Some(*second) == next);
        text[to] = pair.map_or(first, |(_, number)| *number);
        from += usize::from(pair.is_some());
        to += 1;
    }
    text.truncate(to);
}

/// Divides rows into as few tokens as there can be.
pub(super) struct Divider {
    tokens: Vec<Token>,
    /// The symbols of all tokens as a tree: for each node, where each symbol leads; zero where
    /// there is no such token.
    nodes: Vec<[u16; SYMBOLS]>,
    /// For each node, the token that ends there; zero for none.
    ends: Vec<u16>,
}

impl Divider {
    /// With tokens that [`join`] made.
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        let mut nodes = vec![[0; SYMBOLS]];
        let mut ends = vec![0];
        for (token, number) in tokens.iter().zip(0..) {
            let symbols = token.symbols().to_le_bytes();
            let mut at = 0;
            for symbol in symbols.iter().take(token.len()) {
                let place = usize::from(*symbol);
                at = match nodes[at][place] {
                    0 => {
                        // Tokens have 28,672 symbols at most.
                        let node = nodes.len();
                        nodes[at][place] = node as u16;
                        nodes.push([0; SYMBOLS]);
                        ends.push(0);
                        node
                    }
                    node => usize::from(node),
                };
            }
            ends[at] = number;
        }
        Self {
            tokens,
            nodes,
            ends,
        }
    }

    /// The tokens of a row, given without its end.
    pub(super) fn divide(&self, row: &[u8]) -> Vec<u16> {
        // For each place of the row, into how many tokens the rest of it divides and the first of
        // them; the longest where there are several.
        let mut best = [(0_u16, 0_u16); ROW];
        for begin in (0..row.len()).rev() {
            let mut node = 0;
            let mut least = (u16::MAX, 0);
            for (symbol, (rest, _)) in row[begin..].iter().zip(&best[begin + 1..]) {
                node = usize::from(self.nodes[node][usize::from(*symbol)]);
                if node == 0 {
                    break;
                }
                if self.ends[node] > 0 && *rest < least.0 {
                    least = (rest + 1, self.ends[node]);
                }
            }
            best[begin] = least;
        }
        let mut divided = Vec::with_capacity(best[0].0.into());
        let mut at = 0;
        while at < row.len() {
            let number = best[at].1;
            divided.push(number);
            at += self.tokens[usize::from(number)].len().max(1);
        }
        divided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rows: &[&[u8]]) -> Sample {
        let mut sample = Sample::new();
        rows.iter().for_each(|row| sample.add(row));
        sample
    }

    fn text(tokens: &[Token], numbers: &[u16]) -> Vec<u8> {
        let of = |number: &u16| {
            let token = tokens[usize::from(*number)];
            token.symbols().to_le_bytes().into_iter().take(token.len())
        };
        numbers.iter().flat_map(of).collect()
    }

    #[test]
    fn frequent_rows_become_tokens_and_come_back() {
        let rows: [&[u8]; 4] = [&[5, 6, 7, 8], &[9, 5, 6, 7], &[5, 6, 9], &[]];
        let rows: Vec<&[u8]> = rows.into_iter().cycle().take(100).collect();
        let sample = sample(&rows);
        assert_eq!(sample.rows().collect::<Vec<_>>(), rows);
        let pairs = sample.pairs();
        let tokens = join(&pairs).unwrap();
        let known = |row: &[u8]| {
            let all = (0..tokens.len() as u16).map(|number| text(&tokens, &[number]));
            all.into_iter().any(|token| token == row)
        };
        assert!(known(&[5, 6]) && known(&[5, 6, 7, 8]) && !known(&[6, 9, 5]));
        let divider = Divider::new(tokens.clone());
        for row in rows
            .into_iter()
            .chain([&[39, 1, 2, 5, 6, 7][..], &[3; 255]])
        {
            let divided = divider.divide(row);
            assert_eq!(text(&tokens, &divided), row);
        }
        assert_eq!(divider.divide(&[5, 6, 7, 8]).len(), 1);
        assert!(divider.divide(&[]).is_empty());
    }

    #[test]
    fn tokens_are_few_and_short() {
        // Every pair of symbols often enough for a token.
        let mut symbols = Vec::new();
        let mut next = 1_u32;
        for _ in 0..200_000 {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            symbols.push((1 + (next >> 16) % 39) as u8);
        }
        let rows: Vec<&[u8]> = symbols.chunks(20).collect();
        let pairs = sample(&rows).pairs();
        let tokens = join(&pairs).unwrap();
        assert!(tokens.len() <= MAX_TOKENS && tokens.len() > 1000);
        assert!(tokens.iter().all(|token| token.len() <= TOKEN_SYMBOLS));
        let mut texts: Vec<u64> = tokens.iter().map(|token| token.symbols()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), tokens.len());
        // One symbol over and over.
        let same = [7; 250];
        let pairs = sample(&[&same[..]; 500]).pairs();
        assert!(join(&pairs).unwrap().len() < SYMBOLS + TOKEN_SYMBOLS);
    }

    #[test]
    fn a_sample_stays_small_and_is_spread_evenly() {
        let mut sample = Sample::new();
        for number in 0_u32..200_000 {
            let row = [number >> 12, number >> 6, number].map(|part| 1 + (part & 63) as u8);
            sample.add(&row);
        }
        assert!(sample.rows.len() <= SAMPLE);
        let numbers: Vec<u32> = sample
            .rows()
            .map(|row| {
                row.iter()
                    .fold(0, |all, part| all << 6 | u32::from(part - 1))
            })
            .collect();
        assert!(numbers.len() > SAMPLE / 4 / 3, "{}", numbers.len());
        let expected = (0..200_000).step_by(sample.every as usize);
        assert!(numbers.iter().copied().eq(expected));
    }

    #[test]
    fn what_makes_no_token_is_refused() {
        assert_eq!(join(&[]).unwrap().len(), SYMBOLS);
        // Itself, one that comes later, too many symbols, too many tokens.
        assert!(join(&[[40, 1]]).is_none());
        assert!(join(&[[1, 41], [1, 1]]).is_none());
        let doubles: Vec<[u16; 2]> = [[1, 1], [40, 40], [41, 40], [42, 1]].to_vec();
        assert_eq!(join(&doubles[..3]).unwrap()[42].len(), 6);
        assert_eq!(join(&doubles).unwrap()[43].len(), 7);
        assert!(join(&[&doubles[..], &[[43, 1]]].concat()).is_none());
        assert!(join(&[[1, 1]; MAX_TOKENS - SYMBOLS]).is_some());
        assert!(join(&[[1, 1]; MAX_TOKENS - SYMBOLS + 1]).is_none());
        // The end has no symbols wherever it stands.
        assert_eq!(join(&[[0, 5]]).unwrap()[40], Token::of(5));
        assert_eq!(token_bits(0), 6);
        assert_eq!(token_bits(24), 6);
        assert_eq!(token_bits(25), 7);
        assert_eq!(token_bits(MAX_TOKENS - SYMBOLS), MAX_TOKEN_BITS);
    }
}
