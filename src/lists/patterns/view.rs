//! Searching the section of patterns, in place.

use std::ops::Range;

use super::literal::{BEGIN, END, SHORTEST};
use super::program::{self, SET, STEP};
use super::{FIRST, HEAD, INVERTED, KINDS, MAX_PATTERNS, RECORD, TEXT, first_bits, hash_three};
use crate::lists::addresses::{IMPORTANT, effect_of, u32_at};
use crate::lists::modifiers::table;
use crate::lists::{Effect, ListId, PatternKind};
use crate::name::{MAX_NAME, NameRef};

/// A pattern that matches a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternHit {
    /// Its number in the section, for [`Patterns::text`].
    pub number: u32,
    /// Which list.
    pub list: ListId,
    /// What it says about the name.
    pub effect: Effect,
    /// Whether it comes before exceptions of its list that are not important.
    pub important: bool,
    /// What [`Patterns::modifiers`] is to be asked for; none for nearly all.
    pub rule: Option<u32>,
    /// Whether the name costs more than is spent on it, so that nobody knows whether it matches.
    pub unsure: bool,
}

/// The patterns of an index, to be searched in the octets of their section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    count: usize,
    set_bits: u32,
    bucket_bits: u32,
    always: Range<usize>,
    bits: Range<usize>,
    buckets: Range<usize>,
    texts: Range<usize>,
    octets: Range<usize>,
    sets: Range<usize>,
    steps: Range<usize>,
    written: Range<usize>,
}

impl Patterns {
    /// Reads what is needed to search a section.
    ///
    /// # Errors
    /// What is wrong with the section.
    pub fn open(section: &[u8]) -> Result<Self, String> {
        if section.is_empty() {
            return Ok(Self::default());
        }
        let cut = "the section of patterns is cut off";
        let mut head = [0_u32; HEAD];
        for (number, place) in head.iter_mut().enumerate() {
            *place = u32_at(section, number * 4).ok_or(cut)?;
        }
        let [
            count,
            always,
            set_bits,
            bucket_bits,
            texts,
            octets,
            sets,
            steps,
            written,
        ] = head;
        if count == 0 || count > MAX_PATTERNS as u32 {
            return Err(format!("{count} patterns; {MAX_PATTERNS} is the most"));
        }
        if !(3..=25).contains(&set_bits) || !(1..=20).contains(&bucket_bits) {
            return Err("a bit set of patterns that is too large or too small".into());
        }
        let mut end = HEAD * 4;
        let mut part = |entries: u32, size: usize| {
            let begin = end;
            let octets = usize::try_from(entries).ok()?.checked_mul(size)?;
            end = end
                .checked_add(octets)
                .filter(|end| *end <= section.len())?;
            Some(begin..end)
        };
        part(count, RECORD).ok_or(cut)?;
        Ok(Self {
            count: count as usize,
            set_bits,
            bucket_bits,
            always: part(always, 2).ok_or(cut)?,
            bits: part(1 << (set_bits - 3), 1).ok_or(cut)?,
            buckets: part((1 << bucket_bits) + 1, 4).ok_or(cut)?,
            texts: part(texts, TEXT).ok_or(cut)?,
            octets: part(octets, 1).ok_or(cut)?,
            sets: part(sets, SET).ok_or(cut)?,
            steps: part(steps, STEP).ok_or(cut)?,
            written: part(written, 1).ok_or(cut)?,
        })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// How many of them are tried for every name.
    pub fn always(&self) -> usize {
        self.always.len() / 2
    }

    /// Calls `each` for every pattern that matches `name`, in the order of their numbers.
    ///
    /// A name may be made so that trying patterns takes long. Each list whose patterns have to be
    /// tried gets an equal part of the work that is spent on one name, and what those before it
    /// leave. Lists whose [turn](super::Turn) is later share what those whose turn is first leave.
    /// Once it is used up, the list's other patterns are handed out as
    /// [unsure](PatternHit::unsure).
    pub fn look_up(&self, section: &[u8], name: NameRef<'_>, mut each: impl FnMut(PatternHit)) {
        if self.is_empty() {
            return;
        }
        let bits = section.get(self.bits.clone()).unwrap_or_default();
        if !self.always.is_empty() || self.may_hold_text(bits, name) {
            self.consult(section, bits, name, &mut each);
        }
    }

    /// Whether three octets in a row of `name`, the marks around it included, may be of a text.
    fn may_hold_text(&self, bits: &[u8], name: NameRef<'_>) -> bool {
        let mut three = 0;
        let mut before = BEGIN;
        for label in name.labels() {
            three = three << 8 | u32::from(before);
            if self.is_known(bits, three) {
                return true;
            }
            for octet in label {
                three = three << 8 | u32::from(*octet);
                if self.is_known(bits, three) {
                    return true;
                }
            }
            before = b'.';
        }
        self.is_known(bits, three << 8 | u32::from(END))
    }

    /// The encoded modifiers of a hit.
    pub fn modifiers<'s>(&self, section: &'s [u8], rule: u32) -> Option<&'s [u8]> {
        table::at(section.get(self.written.end..)?, rule)
    }

    /// How to read a pattern, and its text.
    pub fn text<'s>(&self, section: &'s [u8], number: u32) -> Option<(PatternKind, &'s str)> {
        let record = self.record(section, usize::try_from(number).ok()?)?;
        let text = section.get(self.written.clone())?.get(record.written)?;
        Some((*KINDS.get(record.kind)?, str::from_utf8(text).ok()?))
    }

    /// The pattern with this number, as a hit of it would be.
    pub(super) fn hit(&self, section: &[u8], number: usize) -> Option<PatternHit> {
        let record = self.record(section, number)?;
        Some(PatternHit {
            number: u32::try_from(number).ok()?,
            list: record.list,
            effect: record.effect,
            important: record.important,
            rule: record.rule,
            unsure: false,
        })
    }

    /// Whether these three octets may be of a pattern's text.
    fn is_known(&self, bits: &[u8], three: u32) -> bool {
        let bit = first_bits(hash_three(three), self.set_bits);
        bits.get(bit >> 3)
            .is_some_and(|octet| octet >> (bit & 7) & 1 == 1)
    }

    /// Runs the programs of all patterns that have a text in `name`, and of those that have none.
    #[inline(never)]
    fn consult(
        &self,
        section: &[u8],
        bits: &[u8],
        name: NameRef<'_>,
        each: &mut impl FnMut(PatternHit),
    ) {
        let mut marked = [0; MAX_NAME + 1];
        let marked = mark(name, &mut marked);
        let mut tried = [0_u64; MAX_PATTERNS / 64];
        let mut mark = |number: u16| {
            if let Some(word) = tried.get_mut(usize::from(number >> 6)) {
                *word |= 1 << (number & 63);
            }
        };
        let always = section.get(self.always.clone()).unwrap_or_default();
        for number in always.as_chunks().0 {
            mark(u16::from_le_bytes(*number));
        }
        let mut three = 0;
        for (at, octet) in marked.iter().enumerate() {
            three = three << 8 | u32::from(*octet);
            if self.is_known(bits, three) {
                self.find_texts(section, marked, at, three, &mut mark);
            }
        }
        let Some(text) = marked.get(1..marked.len().saturating_sub(1)) else {
            return;
        };
        let words = self.count.div_ceil(64);
        let tried = Tried {
            words: tried.get(..words).unwrap_or_default(),
        };
        let list_of = |number: u32| {
            let record = self.record(section, number as usize)?;
            Some((record.is_first, record.list))
        };
        let (mut first, mut later) = (0, 0);
        let mut last = None;
        for list in tried.numbers().filter_map(list_of) {
            if last.replace(list) != Some(list) {
                let (is_first, _) = list;
                *(if is_first { &mut first } else { &mut later }) += 1;
            }
        }
        let (mut left, mut share) = (WORK, 0);
        let mut last = None;
        for number in tried.numbers() {
            let Some(list) = list_of(number) else {
                continue;
            };
            if last.replace(list) != Some(list) {
                let (is_first, _) = list;
                let lists: &mut u32 = if is_first { &mut first } else { &mut later };
                left += share;
                share = left / (*lists).max(1);
                left -= share;
                *lists = lists.saturating_sub(1);
            }
            if let Some(hit) = self.run(section, number, text, &mut share) {
                each(hit);
            }
        }
    }

    /// Marks the patterns that have a text whose hashed octets are `three`, which end at `at`.
    fn find_texts(
        &self,
        section: &[u8],
        marked: &[u8],
        at: usize,
        three: u32,
        mark: &mut impl FnMut(u16),
    ) {
        let bucket = first_bits(hash_three(three), self.bucket_bits);
        let begin = |bucket: usize| {
            let begin = u32_at(section.get(self.buckets.clone())?, bucket * 4)?;
            usize::try_from(begin).ok()?.checked_mul(TEXT)
        };
        let (Some(from), Some(to)) = (begin(bucket), begin(bucket + 1)) else {
            return;
        };
        let texts = section
            .get(self.texts.clone())
            .and_then(|all| all.get(from..to));
        let octets = section.get(self.octets.clone()).unwrap_or_default();
        for text in texts.unwrap_or_default().as_chunks::<TEXT>().0 {
            let [number_low, number_high, ahead, length, place @ ..] = *text;
            let place = u32::from_le_bytes(place) as usize;
            let stands_there = || {
                let from = (at + 1).checked_sub(SHORTEST + usize::from(ahead))?;
                let text = octets.get(place..)?.get(..usize::from(length))?;
                Some(marked.get(from..)?.starts_with(text))
            };
            if stands_there() == Some(true) {
                mark(u16::from_le_bytes([number_low, number_high]));
            }
        }
    }

    /// Runs a pattern's program over a name.
    fn run(&self, section: &[u8], number: u32, text: &[u8], work: &mut u32) -> Option<PatternHit> {
        let record = self.record(section, usize::try_from(number).ok()?)?;
        let steps = section.get(self.steps.clone())?.get(record.steps)?;
        let sets = section.get(self.sets.clone())?;
        let found = program::run(steps, sets, text, work);
        if found.is_none() {
            *work = 0;
        }
        (found != Some(record.inverted)).then_some(PatternHit {
            number,
            list: record.list,
            effect: record.effect,
            important: record.important,
            rule: record.rule,
            unsure: found.is_none(),
        })
    }

    fn record(&self, section: &[u8], number: usize) -> Option<Record> {
        if number >= self.count {
            return None;
        }
        let record = section.get(HEAD * 4 + number * RECORD..)?.get(..RECORD)?;
        let (head, rest) = record.split_first_chunk()?;
        let [list_low, list_high, flags, kind] = *head;
        let length = |at: usize| {
            let octets = rest.get(at..)?.first_chunk()?;
            Some(usize::from(u16::from_le_bytes(*octets)))
        };
        let written = usize::try_from(u32_at(rest, 4)?).ok()?;
        let steps = usize::try_from(u32_at(rest, 10)?).ok()?.checked_mul(STEP)?;
        Some(Record {
            list: ListId(u16::from_le_bytes([list_low, list_high])),
            effect: effect_of(flags),
            important: flags & IMPORTANT != 0,
            inverted: flags & INVERTED != 0,
            is_first: flags & FIRST != 0,
            kind: usize::from(kind),
            rule: table::place_of(u32_at(rest, 0)?),
            written: written..written.checked_add(length(8)?)?,
            steps: steps..steps.checked_add(length(14)? * STEP)?,
        })
    }
}

/// What is spent on one name: 0.3 to 0.6 milliseconds on the machine it was measured on, at 3 to 6
/// nanoseconds for each.
const WORK: u32 = 100_000;

/// The patterns that have to be tried: a bit for each.
struct Tried<'t> {
    words: &'t [u64],
}

impl<'t> Tried<'t> {
    /// Their numbers, ascending.
    fn numbers(&self) -> impl Iterator<Item = u32> + use<'t> {
        let words = (0..).step_by(64).zip(self.words);
        words.flat_map(|(begin, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(begin + bit)
            })
        })
    }
}

/// A pattern as it stands in the section.
struct Record {
    list: ListId,
    effect: Effect,
    important: bool,
    inverted: bool,
    is_first: bool,
    kind: usize,
    rule: Option<u32>,
    written: Range<usize>,
    steps: Range<usize>,
}

/// Writes `name` as people do, between [`BEGIN`] and [`END`].
pub(super) fn mark<'m>(name: NameRef<'_>, marked: &'m mut [u8; MAX_NAME + 1]) -> &'m [u8] {
    let wire = name.as_wire();
    // The wire form has a length where the text has a dot, one of them in front, and a zero behind.
    let length = wire.len().min(MAX_NAME);
    if let Some(room) = marked.get_mut(..length) {
        room.copy_from_slice(wire.get(..length).unwrap_or_default());
    }
    let mut at = 0;
    while let Some(length) = marked.get(at).copied().filter(|length| *length > 0) {
        if let Some(dot) = marked.get_mut(at) {
            *dot = b'.';
        }
        at += 1 + usize::from(length);
    }
    if let Some(first) = marked.first_mut() {
        *first = BEGIN;
    }
    let end = length.max(2) - 1;
    if let Some(last) = marked.get_mut(end) {
        *last = END;
    }
    marked.get(..=end).unwrap_or_default()
}
