//! Making the section of patterns.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::literal::{SHORTEST, literals, rarest};
use super::program::{STEP, Step, compile, run};
use super::syntax::{Node, OctetSet, parse};
use super::view::mark;
use super::{
    FIRST, HEAD, INVERTED, KINDS, MAX_PATTERNS, MAX_TEXT, PatternFault, RECORD, TEXT, first_bits,
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

/// Whose patterns get room, and work for a name, where there is not enough of it for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Those that protect a child, and the household's own.
    First,
    /// What the first leave.
    Later,
}

/// A pattern by itself, compared with one name after the other.
#[derive(Clone, Debug)]
pub struct SinglePattern {
    steps: Vec<u8>,
    sets: Vec<u8>,
    inverted: bool,
    /// See [`Program::texts`].
    texts: Option<Vec<Vec<u8>>>,
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
            texts: program.texts,
        })
    }

    /// Whether it matches `name`; none if `work` is used up before that is known. What is counted
    /// takes some nanoseconds each.
    pub fn matches_within(&self, name: NameRef<'_>, work: &mut u32) -> Option<bool> {
        let mut marked = [0; MAX_NAME + 1];
        let marked = mark(name, &mut marked);
        let mut compare = || {
            if let Some(texts) = &self.texts {
                // Most texts differ in the first octet, and so many of these take as long as one step.
                let looking = texts.len() * marked.len() / 4;
                *work = work.checked_sub(u32::try_from(looking).ok()?)?;
                let has = |text: &Vec<u8>| marked.windows(text.len().max(1)).any(|it| it == text);
                if !texts.iter().any(has) {
                    return Some(false);
                }
            }
            let text = marked.get(1..marked.len().saturating_sub(1));
            let found = run(&self.steps, &self.sets, text.unwrap_or_default(), work);
            Some(found? != self.inverted)
        };
        let matches = compare();
        if matches.is_none() {
            *work = 0;
        }
        matches
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
#[derive(Clone, Debug)]
pub struct PatternsBuilder {
    limits: Limits,
    patterns: BTreeMap<Key, Program>,
    taken_back: BTreeSet<Key>,
    /// Lists whose turn is first.
    first: BTreeSet<ListId>,
    /// What the patterns of each list cost.
    used: BTreeMap<ListId, Cost>,
    /// How many texts of each list have a hash with the same first bits.
    alike: BTreeMap<usize, BTreeMap<ListId, usize>>,
    dropped: Vec<DroppedPattern>,
}

/// A pattern that was taken and had to make room: for one of a list that has fewer, or whose turn is
/// before its own.
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

/// Something of which there is not enough for all patterns.
#[derive(Clone, Copy, Debug)]
enum Scarce {
    /// What the one of [`Limits::each`] with this number limits.
    Limit(usize),
    /// Texts whose hashes have these first bits.
    Alike(usize),
}

/// What a pattern wants of something scarce.
#[derive(Debug)]
struct Claim {
    what: Scarce,
    count: usize,
    /// How much of it there is.
    limit: usize,
    /// What is told where that is too little.
    fault: PatternFault,
}

/// A pattern as its list says it; in the order in which they stand in the section.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    turn: Turn,
    list: ListId,
    kind: PatternKind,
    text: String,
    effect: Effect,
    important: bool,
    modifiers: Vec<u8>,
}

/// A pattern, compiled.
#[derive(Clone, Debug)]
struct Program {
    steps: Vec<Step>,
    /// The sets that the steps number.
    sets: Vec<OctetSet>,
    /// The texts of which one must be in the name.
    texts: Option<Vec<Vec<u8>>>,
    /// The first bits of the hashes of its texts, and of how many each; once it is in a section.
    alike: BTreeMap<usize, usize>,
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

    /// How much of something scarce it takes.
    fn takes(&self, what: Scarce) -> usize {
        match what {
            Scarce::Limit(which) => self.cost()[which],
            Scarce::Alike(bits) => self.alike.get(&bits).copied().unwrap_or_default(),
        }
    }
}

impl PatternsBuilder {
    /// None yet.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            patterns: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            first: BTreeSet::new(),
            used: BTreeMap::new(),
            alike: BTreeMap::new(),
            dropped: Vec::new(),
        }
    }

    /// Lets the turn of a list be first. To be called before any pattern of it is taken.
    pub fn put_first(&mut self, list: ListId) {
        self.first.insert(list);
    }

    fn turn_of(&self, list: ListId) -> Turn {
        if self.first.contains(&list) {
            Turn::First
        } else {
            Turn::Later
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
    /// place of the last one of the list that has most, unless its own list would then have more.
    /// Lists whose turn is later have only what those before them leave. See
    /// [`Self::take_dropped`].
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
        for text in program.texts.iter().flatten() {
            let bits = first_bits(hash_of(text).1, ALIKE_BITS);
            *program.alike.entry(bits).or_default() += 1;
        }
        let tried = program.tried();
        let modifiers = pattern.modifiers.as_deref();
        let key = Key {
            turn: self.turn_of(list),
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

    /// Counts a program of `list` in, at the cost of others where there is no room.
    fn make_room(&mut self, list: ListId, program: &Program) -> Result<(), PatternFault> {
        let claims = self.claims(program);
        for claim in &claims {
            let own = self.used_by(list, claim.what) + claim.count;
            if matches!(claim.what, Scarce::Alike(_)) && own > MOST_ALIKE_OF_LIST {
                return Err(claim.fault.clone());
            }
        }
        // First whether there will be room, so that none is dropped for nothing.
        for claim in &claims {
            let over = (self.total(claim.what) + claim.count).saturating_sub(claim.limit);
            let mine = self.turn_of(list);
            let share = self.used_by(list, claim.what) + claim.count;
            let others = self.users(claim.what).into_iter();
            let spare = others.filter(|(other, _)| *other != list);
            let spare = spare.map(|(other, used)| match self.turn_of(other).cmp(&mine) {
                Ordering::Greater => used,
                Ordering::Equal => used.saturating_sub(share),
                Ordering::Less => 0,
            });
            if over > spare.sum() {
                return Err(claim.fault.clone());
            }
        }
        for claim in &claims {
            while self.total(claim.what) + claim.count > claim.limit {
                if !self.drop_one(list, claim) {
                    return Err(claim.fault.clone());
                }
            }
        }
        for (bits, count) in &program.alike {
            let used = self.alike.entry(*bits).or_default();
            *used.entry(list).or_default() += count;
        }
        let used = self.used.entry(list).or_default();
        for (used, cost) in used.iter_mut().zip(program.cost()) {
            *used += cost;
        }
        Ok(())
    }

    /// What a program wants of what is scarce.
    fn claims(&self, program: &Program) -> Vec<Claim> {
        let limits = self.limits.each().into_iter().enumerate();
        let limits = limits.map(|(which, (limit, fault))| (Scarce::Limit(which), limit, fault));
        let alike = program.alike.keys().map(|bits| {
            let fault = PatternFault::TooManyAlike(MOST_ALIKE);
            (Scarce::Alike(*bits), MOST_ALIKE, fault)
        });
        let claims = limits.chain(alike).map(|(what, limit, fault)| Claim {
            what,
            count: program.takes(what),
            limit,
            fault,
        });
        claims.filter(|claim| claim.count > 0).collect()
    }

    /// How much of something each list has.
    fn users(&self, what: Scarce) -> Vec<(ListId, usize)> {
        match what {
            Scarce::Limit(which) => {
                let used = self.used.iter();
                used.map(|(list, used)| (*list, used[which])).collect()
            }
            Scarce::Alike(bits) => {
                let used = self.alike.get(&bits).into_iter().flatten();
                used.map(|(list, used)| (*list, *used)).collect()
            }
        }
    }

    fn used_by(&self, list: ListId, what: Scarce) -> usize {
        let used = match what {
            Scarce::Limit(which) => self.used.get(&list).map(|used| used[which]),
            Scarce::Alike(bits) => self.alike.get(&bits).and_then(|it| it.get(&list)).copied(),
        };
        used.unwrap_or_default()
    }

    /// How much of something is used up.
    fn total(&self, what: Scarce) -> usize {
        match what {
            Scarce::Limit(which) => self.used.values().map(|used| used[which]).sum(),
            Scarce::Alike(bits) => self.alike.get(&bits).map_or(0, |it| it.values().sum()),
        }
    }

    /// Drops the last pattern that takes of what `list` claims, of the list that has most of it:
    /// one whose turn is later, or, of the same turn, one that has more than `list` would have.
    /// Whether there is one. Of the same turn no list loses its only pattern.
    fn drop_one(&mut self, list: ListId, claim: &Claim) -> bool {
        let what = claim.what;
        let mine = self.turn_of(list);
        let share = self.used_by(list, what) + claim.count;
        let most = self.users(what).into_iter().filter(|(other, used)| {
            let has_others = || self.used_by(*other, Scarce::Limit(0)) > 1;
            match self.turn_of(*other).cmp(&mine) {
                Ordering::Greater => *used > 0,
                Ordering::Equal => *used > share && has_others(),
                Ordering::Less => false,
            }
        });
        let most = most.map(|(other, used)| (self.turn_of(other), used, other));
        let Some((turn, _, other)) = most.max() else {
            return false;
        };
        let of_list = self.patterns.iter();
        let of_list = of_list.filter(|(key, _)| (key.turn, key.list) == (turn, other));
        let counts = of_list.filter(|(_, program)| program.takes(what) > 0);
        let last = counts.max_by_key(|(_, program)| program.line);
        let Some(key) = last.map(|(key, _)| key.clone()) else {
            return false;
        };
        let Some(program) = self.patterns.remove(&key) else {
            return false;
        };
        for (bits, count) in &program.alike {
            let used = self.alike.get_mut(bits);
            if let Some(used) = used.and_then(|used| used.get_mut(&other)) {
                *used -= count;
            }
        }
        if let Some(used) = self.used.get_mut(&other) {
            for (used, cost) in used.iter_mut().zip(program.cost()) {
                *used -= cost;
            }
        }
        self.dropped.push(DroppedPattern {
            list: other,
            line: program.line,
            fault: claim.fault.clone(),
        });
        true
    }
}

/// The most texts whose hashes begin with the same [`ALIKE_BITS`]: all of them are compared where
/// a name has such three octets.
const MOST_ALIKE: usize = 256;
/// How many of them one list may have.
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
        alike: BTreeMap::new(),
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
        if key.turn == Turn::First {
            flags |= FIRST;
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
