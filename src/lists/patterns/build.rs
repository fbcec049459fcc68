//! Making the section of patterns.

use std::collections::{BTreeMap, BTreeSet};

use super::literal::{SHORTEST, literals, rarest};
use super::program::{STEP, Step, compile, run};
use super::syntax::{Node, OctetSet, parse};
use super::view::mark;
use super::{
    HEAD, INVERTED, KINDS, MAX_PATTERNS, MAX_TEXT, PatternFault, RECORD, TEXT, first_bits,
    hash_three, wildcard,
};
use crate::lists::addresses::flags;
use crate::lists::modifiers::{self, table::ModifierTable};
use crate::lists::{Effect, ListId, Modifiers, Pattern, PatternKind};
use crate::name::{MAX_NAME, NameRef};

/// What all patterns of all lists together may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many patterns; at most [`MAX_PATTERNS`].
    pub patterns: usize,
    /// How many of them may be tried for every name.
    pub always: usize,
    /// How many steps all of them may have once compiled; a text that is looked for counts as one.
    pub steps: usize,
    /// How many steps those may have that are tried for every name.
    pub always_steps: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patterns: 2000,
            always: 100,
            steps: 200_000,
            always_steps: 2500,
        }
    }
}

/// When a pattern is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// When a text occurs in the name without which it cannot match.
    OnText,
    /// For every name: it may match whatever occurs in it.
    Always,
}

/// Whether a pattern can be used at all, and when it would be tried; what a parser asks before it
/// hands one out.
///
/// # Errors
/// Why not.
pub fn check(pattern: &Pattern) -> Result<Tried, PatternFault> {
    understand(pattern).map(|program| program.tried())
}

/// A pattern by itself, compared with one name after the other.
#[derive(Clone, Debug)]
pub struct SinglePattern {
    steps: Vec<u8>,
    sets: Vec<u8>,
    inverted: bool,
}

impl SinglePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(pattern: &Pattern) -> Result<Self, PatternFault> {
        let program = understand(pattern)?;
        Ok(Self {
            steps: program.steps.iter().flat_map(|it| it.to_bytes()).collect(),
            sets: program.sets.iter().flat_map(|it| it.to_bytes()).collect(),
            inverted: pattern.kind == PatternKind::InvertedRegex,
        })
    }

    /// Whether it matches `name`.
    pub fn matches(&self, name: NameRef<'_>) -> bool {
        let mut marked = [0; MAX_NAME + 1];
        let marked = mark(name, &mut marked);
        let text = marked.get(1..marked.len().saturating_sub(1));
        let found = run(&self.steps, &self.sets, text.unwrap_or_default(), &mut {
            u32::MAX
        });
        found != Some(self.inverted)
    }
}

/// Collects the patterns of all lists.
#[derive(Debug)]
pub struct PatternsBuilder {
    limits: Limits,
    patterns: BTreeMap<Key, Program>,
    taken_back: BTreeSet<Key>,
    /// What the patterns of each list cost.
    used: BTreeMap<ListId, Cost>,
    /// How many texts have a hash with the same first bits.
    alike: BTreeMap<usize, usize>,
    /// The same for the texts of one list.
    alike_of_list: BTreeMap<(ListId, usize), usize>,
    dropped: Vec<DroppedPattern>,
}

/// A pattern that was taken and had to make room for one of a list that has fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPattern {
    /// Whose.
    pub list: ListId,
    /// On which line, as it was given.
    pub line: u32,
    /// What there is too much of.
    pub fault: PatternFault,
}

/// What patterns cost of each of the [`Limits`], in their order.
type Cost = [usize; 4];

impl Limits {
    /// The most of each, and what is told where that is too little.
    fn each(self) -> [(usize, PatternFault); 4] {
        let patterns = self.patterns.min(MAX_PATTERNS);
        [
            (patterns, PatternFault::TooMany(patterns)),
            (self.always, PatternFault::TooManyAlways(self.always)),
            (self.steps, PatternFault::TooManySteps(self.steps)),
            (
                self.always_steps,
                PatternFault::TooManyAlwaysSteps(self.always_steps),
            ),
        ]
    }
}

/// A pattern as its list says it; in the order in which they stand in the section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    list: ListId,
    kind: PatternKind,
    text: String,
    effect: Effect,
    important: bool,
    modifiers: Vec<u8>,
}

/// A pattern, compiled.
#[derive(Debug)]
struct Program {
    steps: Vec<Step>,
    /// The sets that the steps number.
    sets: Vec<OctetSet>,
    /// The texts of which one must be in the name.
    texts: Option<Vec<Vec<u8>>>,
    /// Where its list says it.
    line: u32,
}

impl Program {
    const fn tried(&self) -> Tried {
        if self.texts.is_some() {
            Tried::OnText
        } else {
            Tried::Always
        }
    }

    fn cost(&self) -> Cost {
        let steps = self.steps.len() + self.texts.as_ref().map_or(0, Vec::len);
        let always = self.tried() == Tried::Always;
        [
            1,
            usize::from(always),
            steps,
            if always { steps } else { 0 },
        ]
    }

    /// The first bits of the hashes of its texts.
    fn kinds_of_texts(&self) -> impl Iterator<Item = usize> {
        let texts = self.texts.iter().flatten();
        texts.map(|text| first_bits(hash_of(text).1, ALIKE_BITS))
    }
}

impl PatternsBuilder {
    /// None yet.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            patterns: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            used: BTreeMap::new(),
            alike: BTreeMap::new(),
            alike_of_list: BTreeMap::new(),
            dropped: Vec::new(),
        }
    }

    /// Takes a pattern of a list and says when it will be tried. One with `badfilter` takes back
    /// the same one without, whichever comes first.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn push(&mut self, list: ListId, pattern: &Pattern) -> Result<Tried, PatternFault> {
        self.push_line(list, 0, pattern)
    }

    /// The same, of the line of its list on which it stands.
    ///
    /// What all lists may have together is shared out: where it is used up, a pattern takes the
    /// place of the last one of the list that has most, unless its own list would then have more;
    /// see [`Self::take_dropped`].
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn push_line(
        &mut self,
        list: ListId,
        line: u32,
        pattern: &Pattern,
    ) -> Result<Tried, PatternFault> {
        let mut program = understand(pattern)?;
        program.line = line;
        let tried = program.tried();
        let modifiers = pattern.modifiers.as_deref();
        let key = Key {
            list,
            kind: pattern.kind,
            text: pattern.text.clone(),
            effect: pattern.effect,
            important: modifiers.is_some_and(|it| it.important),
            modifiers: modifiers.map(modifiers::encode).unwrap_or_default(),
        };
        if modifiers.is_some_and(|it| it.badfilter) {
            if self.taken_back.len() >= MAX_PATTERNS {
                return Err(PatternFault::TooMany(MAX_PATTERNS));
            }
            self.taken_back.insert(key);
            return Ok(tried);
        }
        if self.patterns.contains_key(&key) {
            return Ok(tried);
        }
        self.make_room(list, &program)?;
        self.patterns.insert(key, program);
        Ok(tried)
    }

    /// How many patterns there are, and how many of them are tried for every name.
    pub fn counts(&self) -> (usize, usize) {
        let always = self.used.values().map(|[_, always, ..]| always).sum();
        (self.patterns.len(), always)
    }

    /// Patterns that had to make room since this was last asked.
    pub fn take_dropped(&mut self) -> Vec<DroppedPattern> {
        std::mem::take(&mut self.dropped)
    }

    /// The section; the same whatever order the patterns came in.
    pub fn finish(mut self) -> Vec<u8> {
        let taken_back = std::mem::take(&mut self.taken_back);
        self.patterns.retain(|key, _| !taken_back.contains(key));
        if self.patterns.is_empty() {
            return Vec::new();
        }
        let mut writer = Writer::default();
        for (key, program) in self.patterns {
            writer.add(key, program);
        }
        writer.finish()
    }

    /// Counts a program of `list` in, at the cost of lists that have more where there is no room.
    fn make_room(&mut self, list: ListId, program: &Program) -> Result<(), PatternFault> {
        let cost = program.cost();
        let own = self.used.get(&list).copied().unwrap_or_default();
        let limits = self.limits.each();
        let is_full = |kind: &usize| {
            let of_list = self.alike_of_list.get(&(list, *kind));
            self.alike.get(kind).is_some_and(|it| *it >= MOST_ALIKE)
                || of_list.is_some_and(|it| *it >= MOST_ALIKE_OF_LIST)
        };
        if program.kinds_of_texts().any(|kind| is_full(&kind)) {
            return Err(PatternFault::TooManyAlike(MOST_ALIKE));
        }
        // First whether there will be room, so that none is dropped for nothing.
        for (which, (limit, fault)) in limits.iter().enumerate() {
            let over = (self.total(which) + cost[which]).saturating_sub(*limit);
            let share = own[which] + cost[which];
            let others = self.used.iter().filter(|(other, _)| **other != list);
            let spare = others.map(|(_, used)| used[which].saturating_sub(share));
            if cost[which] > 0 && over > spare.sum() {
                return Err(fault.clone());
            }
        }
        for (which, (limit, fault)) in limits.iter().enumerate() {
            let share = own[which] + cost[which];
            while cost[which] > 0 && self.total(which) + cost[which] > *limit {
                if !self.drop_one(which, share, fault) {
                    return Err(fault.clone());
                }
            }
        }
        for kind in program.kinds_of_texts() {
            *self.alike.entry(kind).or_default() += 1;
            *self.alike_of_list.entry((list, kind)).or_default() += 1;
        }
        let used = self.used.entry(list).or_default();
        for (used, cost) in used.iter_mut().zip(cost) {
            *used += cost;
        }
        Ok(())
    }

    /// How much of a limit is used up.
    fn total(&self, which: usize) -> usize {
        self.used.values().map(|used| used[which]).sum()
    }

    /// Drops the last pattern of the list that has most of what `which` limits, and more than
    /// `share`; whether there is one. No list loses its only pattern.
    fn drop_one(&mut self, which: usize, share: usize, fault: &PatternFault) -> bool {
        let has_more = |(_, used): &(&ListId, &Cost)| used[which] > share && used[0] > 1;
        let most = self
            .used
            .iter()
            .filter(has_more)
            .map(|(list, used)| (used[which], *list));
        let Some((_, list)) = most.max() else {
            return false;
        };
        let of_list = self.patterns.iter().filter(|(key, _)| key.list == list);
        let counts = of_list.filter(|(_, program)| program.cost()[which] > 0);
        let last = counts.max_by_key(|(_, program)| program.line);
        let Some(key) = last.map(|(key, _)| key.clone()) else {
            return false;
        };
        let Some(program) = self.patterns.remove(&key) else {
            return false;
        };
        for kind in program.kinds_of_texts() {
            if let Some(count) = self.alike.get_mut(&kind) {
                *count -= 1;
            }
            if let Some(count) = self.alike_of_list.get_mut(&(list, kind)) {
                *count -= 1;
            }
        }
        if let Some(used) = self.used.get_mut(&list) {
            for (used, cost) in used.iter_mut().zip(program.cost()) {
                *used -= cost;
            }
        }
        self.dropped.push(DroppedPattern {
            list,
            line: program.line,
            fault: fault.clone(),
        });
        true
    }
}

/// The most texts whose hashes begin with the same [`ALIKE_BITS`]: all of them are compared where
/// a name has such three octets.
const MOST_ALIKE: usize = 256;
/// How many of them one list may have, so that none takes the place of another's.
const MOST_ALIKE_OF_LIST: usize = 96;
const ALIKE_BITS: u32 = 10;

/// Where in `text` the three octets are by which it is found, and their hash.
fn hash_of(text: &[u8]) -> (usize, u32) {
    let at = rarest(text);
    let three = text.iter().skip(at).take(SHORTEST);
    let three = three.fold(0, |three, octet| three << 8 | u32::from(*octet));
    (at, hash_three(three))
}

/// Reads and compiles a pattern.
fn understand(pattern: &Pattern) -> Result<Program, PatternFault> {
    if pattern.text.len() > MAX_TEXT {
        return Err(PatternFault::TooLong(pattern.text.len()));
    }
    let node: Node = match pattern.kind {
        PatternKind::Regex | PatternKind::InvertedRegex => parse(&pattern.text)?,
        kind => wildcard::parse(kind, &pattern.text)?,
    };
    let mut sets = Vec::new();
    let steps = compile(&node, &mut sets)?;
    let inverted = pattern.kind == PatternKind::InvertedRegex;
    let restricted = pattern.modifiers.as_deref().is_some_and(restricts);
    if !inverted && !restricted && matches_everything(&steps, &sets) {
        return Err(PatternFault::Everything);
    }
    Ok(Program {
        steps,
        sets,
        // One that must not be found matches above all where nothing of it occurs.
        texts: literals(&node).filter(|_| !inverted),
        line: 0,
    })
}

/// Whether a rule with these modifiers holds for some questions only, so that it may be about
/// every name.
const fn restricts(modifiers: &Modifiers) -> bool {
    !(modifiers.denyallow.is_empty()
        && modifiers.types.is_empty()
        && modifiers.clients.is_empty()
        && modifiers.tags.is_empty())
}

/// Whether a program finds something in names that have nothing in common but a dot.
fn matches_everything(steps: &[Step], sets: &[OctetSet]) -> bool {
    const NAMES: [&str; 5] = [
        "a1b.cd",
        "xyz-k.ef.gh",
        "0qjw.uv",
        "m.n.op.ru",
        "example.org",
    ];
    let steps: Vec<u8> = steps.iter().flat_map(|step| step.to_bytes()).collect();
    let sets: Vec<u8> = sets.iter().flat_map(|set| set.to_bytes()).collect();
    let finds = |name: &&str| run(&steps, &sets, name.as_bytes(), &mut { u32::MAX }) == Some(true);
    NAMES.iter().all(finds)
}

/// The parts of the section.
#[derive(Debug, Default)]
struct Writer {
    records: Vec<u8>,
    always: Vec<u16>,
    texts: Vec<Text>,
    sets: Vec<OctetSet>,
    steps: Vec<u8>,
    written: Vec<u8>,
    modifiers: ModifierTable,
}

/// A text of a pattern; in the order in which they stand in the section.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    hash: u32,
    octets: Vec<u8>,
    pattern: u16,
    /// Where in it the three octets are that were hashed.
    at: usize,
}

impl Writer {
    fn add(&mut self, key: Key, program: Program) {
        // At most `MAX_PATTERNS`.
        let number = (self.records.len() / RECORD) as u16;
        let mut flags = flags(key.effect, key.important);
        if key.kind == PatternKind::InvertedRegex {
            flags |= INVERTED;
        }
        let kind = KINDS.iter().position(|kind| *kind == key.kind);
        self.records.extend(key.list.0.to_le_bytes());
        self.records.extend([flags, kind.unwrap_or_default() as u8]);
        let place = self.modifiers.place(key.modifiers);
        self.records.extend(place.to_le_bytes());
        // `MAX_PATTERNS` of `MAX_TEXT` octets and `MAX_STEPS` steps fit easily.
        self.records
            .extend((self.written.len() as u32).to_le_bytes());
        self.records.extend((key.text.len() as u16).to_le_bytes());
        let begin = (self.steps.len() / STEP) as u32;
        self.records.extend(begin.to_le_bytes());
        self.records
            .extend((program.steps.len() as u16).to_le_bytes());
        self.written.extend(key.text.into_bytes());
        for step in program.steps {
            let step = self.with_own_set(step, &program.sets);
            self.steps.extend(step.to_bytes());
        }
        match program.texts {
            None => self.always.push(number),
            Some(texts) => self.texts.extend(texts.into_iter().map(|octets| {
                let (at, hash) = hash_of(&octets);
                Text {
                    hash,
                    octets,
                    pattern: number,
                    at,
                }
            })),
        }
    }

    /// `step` with the number that its set has among those of all patterns.
    fn with_own_set(&mut self, step: Step, sets: &[OctetSet]) -> Step {
        let Step::Set(number) = step else { return step };
        let Some(set) = sets.get(usize::from(number)) else {
            return step;
        };
        let known = self.sets.iter().position(|known| known == set);
        let number = known.unwrap_or_else(|| {
            self.sets.push(*set);
            self.sets.len() - 1
        });
        Step::Set(number as u16)
    }

    fn finish(mut self) -> Vec<u8> {
        self.texts.sort_unstable();
        // One text in eight bits, one bucket a text, and no bucket larger than `MOST_ALIKE`.
        let least = if self.texts.len() > MOST_ALIKE {
            ALIKE_BITS
        } else {
            1
        };
        let bucket_bits = self.texts.len().next_power_of_two().ilog2();
        let bucket_bits = bucket_bits.clamp(least, 20);
        let set_bits = (bucket_bits + 5).max(9);
        let mut bits = vec![0_u8; 1 << (set_bits - 3)];
        let mut begins = vec![0_u32; (1 << bucket_bits) + 1];
        let (mut texts, mut octets) = (Vec::new(), Vec::new());
        for text in &self.texts {
            let bit = first_bits(text.hash, set_bits);
            if let Some(octet) = bits.get_mut(bit >> 3) {
                *octet |= 1 << (bit & 7);
            }
            let bucket = first_bits(text.hash, bucket_bits);
            if let Some(count) = begins.get_mut(bucket + 1) {
                *count += 1;
            }
            texts.extend(text.pattern.to_le_bytes());
            // Texts are short; see `literal`.
            texts.extend([text.at as u8, text.octets.len() as u8]);
            texts.extend((octets.len() as u32).to_le_bytes());
            octets.extend_from_slice(&text.octets);
        }
        let mut before = 0;
        for begin in &mut begins {
            before += *begin;
            *begin = before;
        }
        let head: [usize; HEAD] = [
            self.records.len() / RECORD,
            self.always.len(),
            set_bits as usize,
            bucket_bits as usize,
            texts.len() / TEXT,
            octets.len(),
            self.sets.len(),
            self.steps.len() / STEP,
            self.written.len(),
        ];
        let mut section = Vec::new();
        section.extend(
            head.iter()
                .flat_map(|number| (*number as u32).to_le_bytes()),
        );
        section.extend(self.records);
        section.extend(self.always.iter().flat_map(|number| number.to_le_bytes()));
        section.extend(bits);
        section.extend(begins.iter().flat_map(|begin| begin.to_le_bytes()));
        section.extend(texts);
        section.extend(octets);
        section.extend(self.sets.iter().flat_map(|set| set.to_bytes()));
        section.extend(self.steps);
        section.extend(self.written);
        section.extend(self.modifiers.into_octets());
        section
    }
}
