//! Whether an index says what its lists say.
//!
//! Every line of every list is read again and asked of the index: the name it names, and a name
//! below it. What the index must *not* say is sampled: for names of each list, and for names that
//! look like them, a plain model made of the same source tells what the list says, and the index
//! must tell the same. Memory stays bounded: one list at a time, and of it only what the sample
//! needs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::group::MOST_SAID;
use super::read::{Held, Made, length, open, reach_of};
use super::{ListSpec, Progress, Stage};
use crate::files::Files;
use crate::lists::addresses::{Addresses, AddressesBuilder};
use crate::lists::guard::{Effort, Protected};
use crate::lists::index::{Hit, Index, ListId, Matcher};
use crate::lists::parse;
use crate::lists::patterns::Patterns;
use crate::lists::sealed::Sealed;
use crate::lists::{Effect, Entry, Item, ListKind, Modifiers, Pattern, Reach, modifiers};
use crate::name::{Name, NameRef};

/// What came of comparing an index with its lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// What lines say, each asked of the index.
    pub replayed: u64,
    /// What lines say and no index holds: it would take what is protected, or is more than there is
    /// room for.
    pub left_out: u64,
    /// Names asked for the sake of what must not be said: those of the sample and near misses.
    pub near_misses: u64,
    /// How often the index says something else.
    pub differences: u64,
    /// The first [`KEPT`] of these.
    pub first: Vec<Difference>,
    /// Lists that could not be compared, and why.
    pub skipped: Vec<(&'static str, String)>,
}

/// How many differences are kept word for word.
const KEPT: usize = 20;

/// Something an index does not say as the list does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The list's id.
    pub list: &'static str,
    /// The line, from 1; none for a name of the sample.
    pub line: Option<u32>,
    /// The rule or the name, and what is different; of a sealed list neither.
    pub text: String,
}

/// Compares `index` with the lists it was compiled from, or with those of the ids `only`, if any.
///
/// A list whose source changed since, or that holds what it said before, is skipped.
pub fn verify(
    specs: &[ListSpec],
    only: &[String],
    files: &Files,
    index: &Index,
    progress: &mut dyn FnMut(Progress),
) -> VerifyReport {
    let mut report = VerifyReport::default();
    let protected = ListSpec::protected(specs);
    let beside = rules_beside(index);
    let mut sample = sample(index);
    let wanted = |spec: &&ListSpec| only.is_empty() || only.contains(&spec.id);
    let wanted = || specs.iter().filter(wanted);
    let total = wanted().map(|spec| length(spec, files)).sum();
    let mut done = 0;
    for spec in wanted() {
        let Some(list) = index.find_spec(spec) else {
            let why = "the index does not have it".to_owned();
            let id = crate::intern::intern(&spec.id);
            report.skipped.push((id, why));
            continue;
        };
        let names = sample
            .get_mut(usize::from(list.0))
            .map(std::mem::take)
            .unwrap_or_default();
        let guard = spec.is_guarded().then_some(&protected);
        let mut one = OneList::new(spec, list, index, guard, names);
        let result = one.replay(files, &mut |octets| {
            done += octets;
            progress(Progress {
                stage: Stage::Reading,
                done: done.min(total),
                total,
            });
        });
        match result {
            Ok(()) => {
                let none = BTreeSet::new();
                one.compare_beside(beside.get(&list).unwrap_or(&none), &mut report);
                one.finish(&mut report);
            }
            Err(why) => report.skipped.push((index.list(list).id, why)),
        }
    }
    report
}

/// The patterns and addresses of each list in the index, as rules.
fn rules_beside(index: &Index) -> HashMap<ListId, BTreeSet<String>> {
    let mut rules: HashMap<ListId, BTreeSet<String>> = HashMap::new();
    let mut add = |list: ListId, item: Item| {
        rules.entry(list).or_default().insert(item.to_string());
    };
    let section = index.patterns_section();
    let view = Patterns::open(section).unwrap_or_default();
    view.walk(section, |list, pattern| add(list, Item::Pattern(pattern)));
    let section = index.addresses_section();
    let view = Addresses::open(section).unwrap_or_default();
    view.walk(section, |list, entry| add(list, Item::Address(entry)));
    rules
}

/// The patterns and addresses that a list says, as the index would say them.
fn rules_of(items: &[(u32, Item)]) -> BTreeSet<String> {
    let (mut rules, mut taken_back) = (BTreeSet::new(), BTreeSet::new());
    let mut addresses = AddressesBuilder::new();
    for (_, item) in items {
        match item {
            Item::Pattern(pattern) => {
                let said = pattern.modifiers.as_deref();
                let encoded = said.map(modifiers::encode).unwrap_or_default();
                let mut modifiers = modifiers::decode(&encoded).unwrap_or_default();
                modifiers.important = said.is_some_and(|it| it.important);
                let rule = Item::Pattern(Pattern {
                    modifiers: (modifiers != Modifiers::default()).then(|| Box::new(modifiers)),
                    ..pattern.clone()
                });
                if said.is_some_and(|it| it.badfilter) {
                    taken_back.insert(rule.to_string());
                } else {
                    rules.insert(rule.to_string());
                }
            }
            // What there is no room for here is not in the index either.
            Item::Address(entry) => drop(addresses.push(ListId(0), entry)),
            Item::Name(_) | Item::Sealed(_) => {}
        }
    }
    let mut rules: BTreeSet<String> = rules.difference(&taken_back).cloned().collect();
    let section = addresses.finish();
    let view = Addresses::open(&section).unwrap_or_default();
    view.walk(&section, |_, entry| {
        rules.insert(Item::Address(entry).to_string());
    });
    rules
}

/// Counts a difference, and keeps it if there is room.
fn tell(
    report: &mut VerifyReport,
    index: &Index,
    list: ListId,
    line: Option<u32>,
    text: impl FnOnce() -> String,
) {
    report.differences += 1;
    if report.first.len() < KEPT {
        let info = index.list(list);
        let text = match info.kind {
            ListKind::Sealed => "(sealed)".to_owned(),
            ListKind::Block | ListKind::Allow | ListKind::Lifeline => text(),
        };
        let list = info.id;
        report.first.push(Difference { list, line, text });
    }
}

/// Names of each list, chosen at random but always the same.
fn sample(index: &Index) -> Vec<Vec<Name>> {
    const ALL: usize = 20_000;
    let count = index.lists().len();
    let each = (ALL / count.max(1)).clamp(4, 500);
    let mut sample: Vec<Vec<Name>> = vec![Vec::new(); count];
    let mut seen = vec![0_u64; count];
    let mut state = 0x4865_6467_6572_6f77_u64;
    index.walk(|name, postings| {
        let mut last = None;
        for posting in postings.iter().filter(|_| !name.is_root()) {
            if last.replace(posting.list) == Some(posting.list) {
                continue;
            }
            let list = usize::from(posting.list.0);
            let (Some(names), Some(seen)) = (sample.get_mut(list), seen.get_mut(list)) else {
                continue;
            };
            *seen += 1;
            // A reservoir: each name stays with the same chance.
            let place = (u128::from(next(&mut state)) * u128::from(*seen)) >> 64;
            if names.len() < each {
                names.push(name.to_name());
            } else if let Some(place) = names.get_mut(place as usize) {
                *place = name.to_name();
            }
        }
    });
    sample
}

/// The next of a row of numbers that look random (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Names near `name`: itself, one below it, its parent, beside it, and one it is the end of.
fn near(name: &Name) -> impl Iterator<Item = Name> {
    let text = name.to_string();
    let parent = text.split_once('.').map(|(_, parent)| parent.to_owned());
    let beside = parent.as_ref().map(|parent| format!("{BELOW}.{parent}"));
    let others = [
        Some(format!("{BELOW}.{text}")),
        Some(format!("{BELOW}{text}")),
        parent,
        beside,
    ];
    let others = others.into_iter().flatten();
    std::iter::once(name.clone()).chain(others.filter_map(|text| Name::parse(&text).ok()))
}

/// The first label of a name asked for because it lies below another.
const BELOW: &str = "zz9";

/// `name` with one more label, if that is a name.
fn below(name: NameRef<'_>) -> Option<Name> {
    Name::parse(&format!("{BELOW}.{name}")).ok()
}

/// What a list says of a name: its effect, whether that is important, the encoded modifiers.
type Word = (Effect, bool, Vec<u8>);

/// What a line says, so that the line its `badfilter` means can be found.
#[derive(PartialEq, Eq, Hash)]
struct Line {
    name: Name,
    reach: Reach,
    word: Word,
}

/// What one line says of one name of the model.
struct Modelled {
    reach: Reach,
    word: Word,
}

/// A list that is being compared.
struct OneList<'i> {
    spec: &'i ListSpec,
    list: ListId,
    index: &'i Index,
    /// What the list may not take.
    guard: Option<&'i Protected>,
    /// What is left for comparing its patterns with that.
    effort: Effort,
    replayed: u64,
    /// What is left out for its own sake.
    left_out: u64,
    /// Names to ask for.
    asked: Vec<Name>,
    /// What the list says of them and their parents.
    model: HashMap<Name, Vec<Modelled>>,
    /// Lines that `badfilter` takes out.
    filtered: HashSet<Line>,
    /// Patterns and addresses, with their lines.
    held: Held,
    /// The sealed lists of the index.
    sealed: Sealed,
    /// Fingerprints of the list, and how many of them the index does not have.
    fingerprints: u64,
    unsealed: u64,
    /// What the index does not say, with the line that says it; such lines may be filtered.
    missing: Vec<(u32, Line)>,
    /// What it does not say either, for which no place was left.
    more_missing: u64,
}

/// How many lines are kept that the index does not know, or that `badfilter` means.
const MOST_LINES: usize = 10_000;

impl<'i> OneList<'i> {
    fn new(
        spec: &'i ListSpec,
        list: ListId,
        index: &'i Index,
        guard: Option<&'i Protected>,
        names: Vec<Name>,
    ) -> Self {
        let asked: Vec<Name> = names.iter().flat_map(near).collect();
        let suffixes = asked
            .iter()
            .flat_map(|name| name.as_ref().suffixes().map(NameRef::to_name));
        Self {
            model: suffixes.map(|name| (name, Vec::new())).collect(),
            spec,
            list,
            index,
            guard,
            effort: Effort::of_list(),
            replayed: 0,
            left_out: 0,
            asked,
            filtered: HashSet::new(),
            held: Held::default(),
            sealed: Sealed::open(index.sealed_section()).unwrap_or_default(),
            fingerprints: 0,
            unsealed: 0,
            missing: Vec::new(),
            more_missing: 0,
        }
    }

    /// Reads the list again; gives why it cannot be compared, if so.
    fn replay(&mut self, files: &Files, advance: &mut dyn FnMut(u64)) -> Result<(), String> {
        let info = self.index.list(self.list);
        if let Some(why) = &info.failure {
            return Err(format!("it was not loaded: {why}"));
        }
        if let Some(why) = &info.stale {
            return Err(format!("it holds what it said before: {why}"));
        }
        let (_, source) = open(&self.spec.source, files)?;
        let mut source = Hashed {
            source,
            advance,
            hash: Sha256::new(),
        };
        let report = parse::read_list(&mut source, &self.spec.read_options(), |line, item| {
            self.check(line, item);
        });
        if let Some(fault) = report.failure {
            return Err(format!("it cannot be read any more: {fault}"));
        }
        io::copy(&mut source, &mut io::sink())
            .map_err(|error| format!("it cannot be read any more: {error}"))?;
        let hash: [u8; 32] = source.hash.finalize().into();
        if info.sha256.is_some_and(|then| then != hash) {
            return Err("its source changed since it was compiled".to_owned());
        }
        Ok(())
    }

    /// Asks the index for what a line says.
    fn check(&mut self, line: u32, item: &Item) {
        match item {
            Item::Name(entry) => {
                let reach = match reach_of(self.spec, self.guard, entry) {
                    Made::Whole => entry.reach,
                    Made::NameAlone => Reach::Exact,
                    Made::Nothing => return,
                    Made::Protected(_) => {
                        self.left_out += 1;
                        return;
                    }
                };
                self.check_name(line, entry, reach);
            }
            Item::Pattern(_) | Item::Address(_) => {
                let effort = &mut self.effort;
                let taken = self
                    .guard
                    .and_then(|guard| guard.taken_within(item, effort));
                if taken.is_some_and(|taken| !taken.harmless) {
                    self.left_out += 1;
                    return;
                }
                if self.held.take(line, item) {
                    self.replayed += 1;
                } else {
                    self.left_out += 1;
                }
            }
            Item::Sealed(fingerprint) => {
                self.replayed += 1;
                self.fingerprints += 1;
                let section = self.index.sealed_section();
                if !self.sealed.contains(section, self.list, *fingerprint) {
                    self.unsealed += 1;
                }
            }
        }
    }

    fn check_name(&mut self, line: u32, entry: &Entry, reach: Reach) {
        self.replayed += 1;
        let modifiers = entry.modifiers.as_deref();
        let important = modifiers.is_some_and(|it| it.important);
        let encoded = modifiers.map(modifiers::encode).unwrap_or_default();
        let word = (entry.effect, important, encoded);
        if modifiers.is_some_and(|it| it.badfilter) {
            if self.filtered.len() < MOST_LINES {
                self.filtered.insert(Line {
                    name: entry.name.clone(),
                    reach,
                    word,
                });
            }
            return;
        }
        let name = entry.name.as_ref();
        let says_it = reach == Reach::Below || self.says(name, &word);
        let says_it = says_it
            && (reach == Reach::Exact
                || below(name).is_none_or(|name| self.says(name.as_ref(), &word)));
        if let Some(modelled) = self.model.get_mut(&entry.name) {
            let word = word.clone();
            modelled.push(Modelled { reach, word });
        }
        if says_it {
            return;
        }
        if self.says_much(name) {
            self.left_out += 1;
            return;
        }
        if self.missing.len() < MOST_LINES {
            let name = entry.name.clone();
            self.missing.push((line, Line { name, reach, word }));
        } else {
            self.more_missing += 1;
        }
    }

    /// Whether the index tells that the list says this of `name`.
    fn says(&self, name: NameRef<'_>, word: &Word) -> bool {
        let mut says = false;
        self.index.look_up(name, |hit| {
            says = says || self.is_ours(&hit) && self.has_word(&hit, word);
        });
        says
    }

    /// Whether the list says as much of `name` and those below it as there is room for.
    fn says_much(&self, name: NameRef<'_>) -> bool {
        let mut hits = 0;
        let below = below(name);
        for name in [Some(name), below.as_ref().map(Name::as_ref)] {
            let Some(name) = name else { continue };
            self.index
                .look_up(name, |hit| hits += usize::from(self.is_ours(&hit)));
        }
        hits >= MOST_SAID
    }

    fn is_ours(&self, hit: &Hit) -> bool {
        hit.list == self.list && hit.by == Matcher::Name
    }

    fn has_word(&self, hit: &Hit, (effect, important, encoded): &Word) -> bool {
        hit.effect == *effect && hit.important == *important && self.modifiers(hit) == *encoded
    }

    fn modifiers(&self, hit: &Hit) -> &[u8] {
        self.index.modifiers(hit).unwrap_or_default()
    }

    /// Compares what `stored` says beside names with what the list says. No more may be missing
    /// than the index tells to have left out.
    fn compare_beside(&mut self, stored: &BTreeSet<String>, report: &mut VerifyReport) {
        let said = rules_of(&self.held.items);
        for rule in stored.difference(&said) {
            self.tell(report, None, || {
                format!("the index says `{rule}`, the list does not")
            });
        }
        let missing = said.difference(stored).count() as u64;
        let told = self.index.list(self.list).flagged_lines;
        if self.left_out + missing <= told {
            self.left_out += missing;
            return;
        }
        for rule in said.difference(stored) {
            self.tell(report, None, || format!("the index does not say `{rule}`"));
        }
    }

    /// Compares the index with the model, and adds what came of all to the report.
    fn finish(self, report: &mut VerifyReport) {
        report.replayed += self.replayed;
        report.left_out += self.left_out;
        for (line, it) in &self.missing {
            if !self.filtered.contains(it) {
                let text = || format!("the index does not say `{}`", it.rule());
                self.tell(report, Some(*line), text);
            }
        }
        let mut lists = self.sealed.lists();
        let stored = lists.find(|info| info.list == self.list);
        let stored = stored.map_or(0, |info| info.fingerprints);
        for _ in 0..self.unsealed.max(stored.abs_diff(self.fingerprints)) {
            self.tell(report, None, || "other fingerprints".to_owned());
        }
        for _ in 0..self.more_missing {
            self.tell(report, None, || {
                "the index does not say more lines".to_owned()
            });
        }
        let asked: BTreeSet<&Name> = self.asked.iter().collect();
        for name in asked {
            report.near_misses += 1;
            let expected = self.expected(name);
            let mut told = BTreeSet::new();
            self.index.look_up(name.as_ref(), |hit| {
                if self.is_ours(&hit) {
                    told.insert((hit.effect, hit.important, self.modifiers(&hit).to_vec()));
                }
            });
            let is_cut = told.is_subset(&expected) && self.says_much(name.as_ref());
            if told != expected && !is_cut {
                let text = || {
                    let (told, expected) = (in_words(&told), in_words(&expected));
                    format!("of `{name}` the index says {told}, the list {expected}")
                };
                self.tell(report, None, text);
            }
        }
    }

    fn tell(&self, report: &mut VerifyReport, line: Option<u32>, text: impl FnOnce() -> String) {
        tell(report, self.index, self.list, line, text);
    }

    /// What the list says of `name` as the model tells it.
    fn expected(&self, name: &Name) -> BTreeSet<Word> {
        let mut words = BTreeSet::new();
        for suffix in name.as_ref().suffixes() {
            for said in self.model.get(suffix.as_wire()).into_iter().flatten() {
                let matches = match said.reach {
                    Reach::Subtree => true,
                    Reach::Exact => suffix == name.as_ref(),
                    Reach::Below => suffix != name.as_ref(),
                };
                let line = Line {
                    name: suffix.to_name(),
                    reach: said.reach,
                    word: said.word.clone(),
                };
                if matches && !self.filtered.contains(&line) {
                    words.insert(line.word);
                }
            }
        }
        words
    }
}

impl Line {
    /// As a rule of a list.
    fn rule(&self) -> Entry {
        let (effect, important, encoded) = &self.word;
        let mut modifiers = modifiers::decode(encoded).unwrap_or_default();
        modifiers.important = *important;
        Entry {
            name: self.name.clone(),
            reach: self.reach,
            effect: *effect,
            modifiers: Some(Box::new(modifiers)),
        }
    }
}

/// What a list says, for people.
fn in_words(words: &BTreeSet<Word>) -> String {
    let words: Vec<&str> = words
        .iter()
        .map(
            |(effect, important, modifiers)| match (effect, important, modifiers.is_empty()) {
                (Effect::Listed, false, true) => "listed",
                (Effect::Listed, true, true) => "listed, important",
                (Effect::Listed, _, false) => "listed with modifiers",
                (Effect::Excepted, false, true) => "excepted",
                (Effect::Excepted, true, true) => "excepted, important",
                (Effect::Excepted, _, false) => "excepted with modifiers",
            },
        )
        .collect();
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.join(" and ")
}

/// A stream that is hashed and counted.
struct Hashed<'a, R> {
    source: R,
    advance: &'a mut dyn FnMut(u64),
    hash: Sha256,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        (self.advance)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
