//! Names that lists say twice are stored once, and no verdict changes by it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::LazyLock;

use hedgerow::config::{self, BlockAnswer, Privacy, Rules, WhenUnsure, Youtube};
use hedgerow::lists::patterns::{Limits, PatternsBuilder};
use hedgerow::lists::{
    Condition, Contents, Effect, Entry, Index, IndexBuilder, IndexWriter, Item, ListId, ListInfo,
    ListKind, Modifiers, Pattern, PatternKind, Posting, Reach, Section, canonical_order, modifiers,
};
use hedgerow::message::rtype;
use hedgerow::name::Name;
use hedgerow::policy::{Gate, RuleBook, SafeSearch, View, judge_name};
use hedgerow::profile::Profile;
use hedgerow::standing::Standing;
use hedgerow::verdict::Tier;
use proptest::prelude::*;
use proptest::sample::select;

/// A list: what it is for, and its lines.
#[derive(Clone, Debug)]
struct List {
    kind: ListKind,
    tier: Tier,
    lines: Vec<Entry>,
    patterns: Vec<Pattern>,
}

impl List {
    /// What an index knows of it; lists of one kind fill one category.
    fn info(&self) -> ListInfo {
        ListInfo::new("list", self.kind.label(), self.kind, self.tier)
    }
}

/// The lists, compiled as they always are.
fn folded(lists: &[List]) -> Index {
    let mut builder = IndexBuilder::new();
    for list in lists {
        let names = list.lines.iter().cloned().map(Item::Name);
        let patterns = list.patterns.iter().cloned().map(Item::Pattern);
        builder
            .add_list(list.info(), (1..).zip(names.chain(patterns)))
            .unwrap();
    }
    builder.build()
}

/// The lists with every word they say.
#[expect(
    clippy::type_complexity,
    reason = "names in the order of the index, and what is said of each"
)]
fn unfolded(lists: &[List]) -> Index {
    let mut words: BTreeMap<Vec<u8>, (Name, Vec<(ListId, &Entry)>)> = BTreeMap::new();
    for (list, number) in lists.iter().zip(0..) {
        for line in &list.lines {
            let wire = line.name.as_ref().as_wire().to_vec();
            let (_, said) = words
                .entry(wire)
                .or_insert_with(|| (line.name.clone(), Vec::new()));
            said.push((ListId(number), line));
        }
    }
    let mut words: Vec<_> = words.into_values().collect();
    words.sort_by(|(left, _), (right, _)| canonical_order(left.as_ref(), right.as_ref()));
    let mut scratch = || Ok(Box::new(Cursor::new(Vec::new())) as _);
    let mut writer = IndexWriter::new(&mut scratch, 1 << 20).unwrap();
    for (name, said) in words {
        let encoded: Vec<Vec<u8>> = said
            .iter()
            .map(|(_, line)| line.modifiers.as_deref().map(modifiers::encode))
            .map(Option::unwrap_or_default)
            .collect();
        let postings = said.iter().zip(&encoded);
        let mut postings: Vec<Posting<'_>> = postings
            .map(|((list, line), encoded)| Posting {
                list: *list,
                reach: line.reach,
                effect: line.effect,
                important: line.modifiers.as_ref().is_some_and(|it| it.important),
                modifiers: (!encoded.is_empty()).then_some(encoded.as_slice()),
            })
            .collect();
        postings.sort();
        postings.dedup();
        writer.push(name.as_ref(), &postings).unwrap();
    }
    let mut patterns = PatternsBuilder::new(Limits::default());
    for (list, number) in lists.iter().zip(0..) {
        for pattern in &list.patterns {
            patterns.push(ListId(number), pattern).unwrap();
        }
    }
    let patterns = patterns.finish();
    let infos: Vec<ListInfo> = lists.iter().map(List::info).collect();
    let contents = Contents {
        lists: &infos,
        recipe: [0; 32],
        patterns: Section::from(patterns.as_slice()),
        addresses: Section::empty(),
        sealed: Section::empty(),
    };
    let mut out = Cursor::new(Vec::new());
    writer.finish(contents, &mut scratch, &mut out).unwrap();
    Index::from_bytes(out.into_inner()).unwrap()
}

/// A child for whom all blocklists and allowlists count.
fn profile(allow_only: bool, lists: &Index) -> Profile {
    let profile = config::Profile {
        name: "mia".to_owned(),
        preset: "schoolchild".to_owned(),
        lineage: vec![],
        growth: None,
        block_categories: vec!["block".to_owned()],
        block_services: vec![],
        open_services: vec![],
        block_lists: vec![],
        allow_lists: vec!["allow".to_owned(), "list".to_owned()],
        allow_only,
        rules: Rules::default(),
        safe_search: false,
        block_unsafe_search: false,
        youtube: Youtube::Off,
        close_bypass: false,
        block_rebinding: true,
        pinned_egress: false,
        closings: Vec::new(),
        quotas: Vec::new(),
        when_clock_unset: config::WhenClockUnset::Close,
        block_answer: BlockAnswer::Null,
        when_unsure: WhenUnsure::Allow,
        privacy: Privacy::Names,
        resolvers: 0,
        block_ttl: 10,
        ways_round: config::WaysRound::default(),
        speech: config::Speech::default(),
    };
    Profile::compile(0, &profile, lists)
}

static GATE: LazyLock<Gate> =
    LazyLock::new(|| Gate::new(&RuleBook::new(std::iter::empty()), &SAFE_SEARCH));
static SAFE_SEARCH: LazyLock<SafeSearch> = LazyLock::new(|| SafeSearch::embedded().unwrap());

/// What becomes of a name.
fn verdict(index: &Index, name: &Name, qtype: u16, allow_only: bool) -> (&'static str, Tier) {
    let profile = profile(allow_only, index);
    let view = View {
        lists: index,
        rules: &RuleBook::new(std::iter::empty()),
        safe_search: &SAFE_SEARCH,
        gate: &GATE,
        private_domains: &[],
        profile: &profile,
        standing: &Standing::plain(&profile),
        device: None,
        device_name: None,
        client: None,
    };
    let verdict = judge_name(name.as_ref(), qtype, &view);
    (verdict.label(), verdict.reason().tier)
}

/// Names of few labels from a small alphabet, so that they often are parents of each other.
fn name() -> impl Strategy<Value = Name> {
    let label = select(vec!["a", "b", "ab"]);
    prop::collection::vec(label, 1..=4)
        .prop_map(|labels| Name::parse(&format!("{}.x", labels.join("."))).unwrap())
}

fn modifiers() -> impl Strategy<Value = Option<Box<Modifiers>>> {
    let some = (any::<bool>(), any::<bool>(), prop::option::of(name())).prop_map(
        |(important, only_aaaa, denied)| {
            let types = only_aaaa.then_some(Condition {
                negated: false,
                value: rtype::AAAA,
            });
            Some(Box::new(Modifiers {
                important,
                types: types.into_iter().collect(),
                denyallow: denied.into_iter().collect(),
                ..Modifiers::default()
            }))
        },
    );
    prop_oneof![6 => Just(None), 1 => some]
}

fn line() -> impl Strategy<Value = Entry> {
    (
        name(),
        select(vec![
            Reach::Subtree,
            Reach::Subtree,
            Reach::Exact,
            Reach::Below,
        ]),
        select(vec![Effect::Listed, Effect::Listed, Effect::Excepted]),
        modifiers(),
    )
        .prop_map(|(name, reach, effect, modifiers)| Entry {
            name,
            reach,
            effect,
            modifiers,
        })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let texts = select(vec!["^q[.]", "ab[.]", "^b"]);
    (texts, select(vec![Effect::Listed, Effect::Excepted])).prop_map(|(text, effect)| Pattern {
        kind: PatternKind::Regex,
        text: text.to_owned(),
        effect,
        modifiers: None,
    })
}

fn list() -> impl Strategy<Value = List> {
    let kind = select(vec![
        (ListKind::Block, Tier::ChildSafety),
        (ListKind::Block, Tier::ChildSafety),
        (ListKind::Block, Tier::Security),
        (ListKind::Block, Tier::Lists),
        (ListKind::Allow, Tier::ChildSafety),
        (ListKind::Allow, Tier::ChildSafety),
        (ListKind::Lifeline, Tier::Lifeline),
        (ListKind::Sealed, Tier::Sealed),
    ]);
    (
        kind,
        prop::collection::vec(line(), 0..12),
        prop::option::weighted(0.1, pattern()),
    )
        .prop_map(|((kind, tier), lines, pattern)| List {
            kind,
            tier,
            lines,
            patterns: pattern.into_iter().collect(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_verdict_changes_by_folding(
        lists in prop::collection::vec(list(), 1..5),
        allow_only in any::<bool>(),
    ) {
        let (folded, unfolded) = (folded(&lists), unfolded(&lists));
        let listed = lists.iter().flat_map(|list| &list.lines).map(|line| line.name.clone());
        let mut asked: Vec<Name> = listed.collect();
        for name in asked.clone() {
            asked.push(Name::parse(&format!("q.{name}")).unwrap());
        }
        for name in &asked {
            for qtype in [rtype::A, rtype::AAAA] {
                let (with, without) = (
                    verdict(&folded, name, qtype, allow_only),
                    verdict(&unfolded, name, qtype, allow_only),
                );
                prop_assert_eq!(with, without, "{}", name);
            }
        }
    }
}

#[test]
fn what_is_said_twice_is_stored_once_unless_somebody_objects() {
    let entry = |text: &str, reach| Entry {
        name: Name::parse(text).unwrap(),
        reach,
        effect: Effect::Listed,
        modifiers: None,
    };
    let list = |kind, lines: &[&str]| List {
        kind,
        tier: Tier::ChildSafety,
        lines: lines
            .iter()
            .map(|text| match text.strip_prefix('=') {
                Some(name) => entry(name, Reach::Exact),
                None => entry(text, Reach::Subtree),
            })
            .collect(),
        patterns: vec![],
    };
    let block = list(
        ListKind::Block,
        &[
            "a.example",
            "www.a.example",
            "=a.example",
            "x.www.a.example",
        ],
    );
    let stored = |lists: &[List]| {
        let mut names = Vec::new();
        folded(lists).walk(|name, postings| {
            names.push(format!("{name} {}", postings.len()));
        });
        names
    };
    assert_eq!(stored(std::slice::from_ref(&block)), ["a.example 1"]);
    // The allowlist lies between: the line below it must go on outweighing it.
    let allow = list(ListKind::Allow, &["www.a.example"]);
    assert_eq!(
        stored(&[block.clone(), allow]),
        ["a.example 1", "www.a.example 2", "x.www.a.example 1"]
    );
    // Below all lines of the blocklist it outweighs them all.
    let allow = list(ListKind::Allow, &["y.x.www.a.example"]);
    assert_eq!(
        stored(&[block.clone(), allow]),
        ["a.example 1", "y.x.www.a.example 1"]
    );
    // At the same name the block counts, the more so for the name alone.
    let allow = list(ListKind::Allow, &["a.example"]);
    assert_eq!(
        stored(&[block.clone(), allow]),
        ["a.example 3", "www.a.example 1"]
    );
    // A pattern counts as the whole name, so all lines must stay that may outweigh it.
    let mut allow = list(ListKind::Allow, &[]);
    allow.patterns.push(Pattern {
        kind: PatternKind::Regex,
        text: "^www[.]".to_owned(),
        effect: Effect::Listed,
        modifiers: None,
    });
    assert_eq!(
        stored(&[block, allow]),
        ["a.example 2", "www.a.example 1", "x.www.a.example 1"]
    );
}
