//! `[profile.NAME]`: what each profile says itself, and on which one it stands.
//!
//! How these layers become one profile is in [`super::profiles`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;

use super::closing::times;
use super::diagnostic::Diagnostic;
use super::growth::{Birth, Growth, Stage};
use super::household::Known;
use super::presets::{LIFELINES, PRESETS, UNKNOWN, is_preset};
use super::problems::Problems;
use super::profiles::{AnswerKind, Family, Layer, MAX_DEPTH, UNSAFE_SEARCH, lay};
use super::read::{FileKind, Written, read_file};
use super::resolve::report_address;
use super::resolvers::HOUSEHOLD;
use super::spec::{ProfileSpec, Text, Word};
use super::speech::language;
use super::words::{blocked_words, choice, duration, known_words, label, rules};
use super::{Privacy, Profile, WhenClockUnset, WhenUnsure, Youtube};

/// A profile as written, and what it stands on.
pub(super) struct Node {
    pub(super) name: String,
    span: Range<usize>,
    pub(super) spec: ProfileSpec,
    whole: bool,
    parent: Option<usize>,
    /// A preset that a profile of the same name replaced.
    replaced: bool,
    birth: Option<Birth>,
}

/// All profiles: the presets first, then those written.
pub(super) fn nodes(written: &Written, problems: &mut Problems) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (name, text) in PRESETS {
        let path = format!("built-in/profiles/{name}.toml");
        let base = problems.sources.add(Path::new(&path), text.to_owned());
        let mut preset = Written::default();
        read_file(base, FileKind::Profiles, &mut preset, problems);
        for (word, entry) in preset.profiles {
            by_name.insert(name.to_owned(), nodes.len());
            nodes.push(Node {
                name: name.to_owned(),
                span: word.span(),
                spec: entry.spec,
                whole: entry.whole,
                parent: None,
                replaced: false,
                birth: None,
            });
        }
    }
    let presets = nodes.len();
    for (word, entry) in &written.profiles {
        let name = word.text();
        if !label(word, "a profile", problems) {
            continue;
        }
        if name == UNKNOWN {
            problems.report(
                Diagnostic::error("bad-name", "a profile cannot be named `unknown`")
                    .at(problems.place(&word.span()), "stands for the guest profile")
                    .help("change `[profile.guest]`, or name another one by `guest-profile`"),
            );
            continue;
        }
        let mut parent = None;
        if let Some(&earlier) = by_name.get(name) {
            if earlier >= presets {
                let first = problems.place(&nodes[earlier].span);
                let second = problems.place(&word.span());
                let message = format!("profile `{name}` is defined twice");
                problems.report(Diagnostic::error("duplicate", message).twice(second, first));
                continue;
            }
            nodes[earlier].replaced = true;
            parent = Some(earlier);
        }
        by_name.insert(name.to_owned(), nodes.len());
        nodes.push(Node {
            name: name.to_owned(),
            span: word.span(),
            spec: entry.spec.clone(),
            whole: entry.whole,
            parent,
            replaced: false,
            birth: birth(&entry.spec, problems),
        });
    }
    find_parents(&mut nodes, presets, &by_name, problems);
    nodes
}

fn find_parents(
    nodes: &mut [Node],
    presets: usize,
    by_name: &HashMap<String, usize>,
    problems: &mut Problems,
) {
    let mut names: Vec<&str> = by_name.keys().map(String::as_str).collect();
    names.sort_unstable();
    for node in &mut nodes[presets..] {
        let Some(word) = &node.spec.inherits else {
            let is_named = node.parent.is_some();
            if let (Some(born), true) = (&node.spec.born, is_named) {
                let message = "a profile that is named like a preset does not grow up";
                problems.report(
                    Diagnostic::error("contradiction", message)
                        .at(problems.place(&born.span()), "of another preset one day")
                        .help("give the profile the child's name"),
                );
            }
            if !is_named && node.whole && node.spec.born.is_none() {
                problems.report_absence(
                    Diagnostic::error(
                        "missing-key",
                        format!("profile `{}` does not say what it starts from", node.name),
                    )
                    .at(
                        problems.place(&node.span),
                        "needs `inherits = …` or `born = …`",
                    )
                    .known("presets", PRESETS.iter().map(|(name, _)| *name)),
                );
            }
            continue;
        };
        if let Some(born) = node.spec.born.as_ref().filter(|_| is_preset(word.text())) {
            let message = "`born` chooses the preset, and so does `inherits`";
            let (here, there) = (problems.place(&word.span()), problems.place(&born.span()));
            problems.report(
                Diagnostic::error("contradiction", message)
                    .against(here, there, "chosen by age here")
                    .help(
                        "take `inherits` out to have the preset follow the age, or `born` to stay \
                         with this one",
                    ),
            );
        }
        // `unknown` would make what a profile is depend on which one is the guests'.
        node.parent = by_name.get(word.text()).copied();
        if node.parent.is_none() {
            let message = format!("unknown profile `{}`", word.text());
            let diagnostic = Diagnostic::error("unknown-profile", message)
                .at(problems.place(&word.span()), "no profile has this name");
            let known = || names.iter().copied();
            let diagnostic = problems.guess(diagnostic, word.text(), known());
            problems.report_absence(diagnostic.known("known profiles", known()));
        }
    }
}

/// What holds for each profile; those whose chain is broken are left out.
pub(super) fn profiles(
    nodes: &[Node],
    layers: &[Layer],
    language: &'static str,
    today: Date,
    problems: &mut Problems,
) -> Vec<Profile> {
    let household = Layer {
        language: Some(language),
        ..Layer::default()
    };
    let family = Family::new(nodes.iter().map(|node| node.parent).collect());
    let rings = family.rings();
    for ring in &rings {
        let Some(first) = ring.first().map(|at| &nodes[*at]) else {
            continue;
        };
        let chain: Vec<String> = ring
            .iter()
            .chain(ring.first())
            .map(|at| format!("`{}`", nodes[*at].name))
            .collect();
        let place = first
            .spec
            .inherits
            .as_ref()
            .map_or_else(|| first.span.clone(), Word::span);
        let mut diagnostic = Diagnostic::error(
            "inheritance-cycle",
            format!("profile `{}` inherits from itself", first.name),
        )
        .at(problems.place(&place), "the circle begins here")
        .note(chain.join(" → "));
        if ring.len() == 1 && PRESETS.iter().any(|(name, _)| *name == first.name) {
            diagnostic =
                diagnostic.help("take `inherits` out: it starts from the preset of its name");
        }
        problems.report(diagnostic);
    }
    let mut profiles = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        if node.replaced {
            continue;
        }
        let Some(chain) = family.chain(at) else {
            if rings.is_empty() {
                let message = format!("profile `{}` inherits over too many others", node.name);
                problems.report(
                    Diagnostic::error("inheritance-depth", message)
                        .at(problems.place(&node.span), format!("more than {MAX_DEPTH}")),
                );
            }
            continue;
        };
        let growth = growth(nodes, &chain, today, problems);
        let (chain, own) = match growth {
            None => (chain, 0),
            Some(growth) => grown(nodes, &family, &chain, growth.stage),
        };
        let preset = chain.first().map_or("", |root| &nodes[*root].name);
        let is_grown_up = growth.is_some_and(|it| it.stage == Stage::Adult);
        let (of_preset, own) = chain.split_at(own);
        let of_preset = of_preset.iter().map(|at| Cow::Borrowed(&layers[*at]));
        let own = own.iter().map(|at| match is_grown_up {
            true => Cow::Owned(layers[*at].without_controls()),
            false => Cow::Borrowed(&layers[*at]),
        });
        let laid: Vec<_> = of_preset.chain(own).collect();
        let laid = std::iter::once(&household).chain(laid.iter().map(Cow::as_ref));
        let mut profile = lay(&node.name, preset, laid);
        profile.growth = growth;
        let ancestors = chain.iter().rev().skip(1);
        profile.lineage = ancestors.map(|at| nodes[*at].name.clone()).collect();
        check_answer(node, &profile, problems);
        let below: Vec<_> = chain
            .iter()
            .filter(|below| **below != at)
            .map(|below| &layers[*below].times)
            .collect();
        let times = &layers[at].times;
        times.check_effect(&below, problems);
        times.check_number(&profile.closings, &profile.quotas, problems);
        profiles.push(profile);
    }
    profiles
}

/// The birth date a profile says, if it is one.
fn birth(spec: &ProfileSpec, problems: &mut Problems) -> Option<Birth> {
    let word = spec.born.as_ref()?;
    match Birth::parse(word.text()) {
        Ok(birth) => Some(birth),
        Err(error) => {
            let message = format!("`{}` is not a birth date", word.text().escape_debug());
            let place = problems.place(&word.span());
            problems.report(Diagnostic::error("bad-date", message).at(place, error.to_string()));
            None
        }
    }
}

/// How the profile at the end of `chain` grows up. A birth date is not inherited: a brother would
/// be grown up with his sister.
fn growth(nodes: &[Node], chain: &[usize], today: Date, problems: &mut Problems) -> Option<Growth> {
    let (own, above) = chain.split_last()?;
    let own = &nodes[*own];
    let mut nearest = above.iter().rev().map(|at| &nodes[*at]);
    let growing = nearest.find(|node| node.spec.born.is_some());
    let Some(born) = &own.spec.born else {
        if let (Some(elder), Some(word)) = (growing, &own.spec.inherits) {
            let message = format!("profile `{}` would grow up with `{}`", own.name, elder.name);
            problems.report(
                Diagnostic::error("missing-key", message)
                    .at(problems.place(&word.span()), "has a birth date")
                    .help(
                        "say `born` here too, or put what both share into a profile without a \
                         birth date",
                    ),
            );
        }
        if let Some(keeps) = &own.spec.keep_controls {
            problems.report_absence(
                Diagnostic::warning("no-effect", "`keep-controls` has no effect").at(
                    problems.place(&keeps.span()),
                    "without `born` nothing ends at 18",
                ),
            );
        }
        return None;
    };
    let birth = own.birth?;
    if birth.date() > today {
        let message = format!("`{}` is still to come", born.text());
        problems.report(Diagnostic::warning("bad-date", message).at(
            problems.place(&born.span()),
            "the preset for the youngest holds",
        ));
    }
    let keeps = chain
        .iter()
        .rev()
        .find_map(|at| nodes[*at].spec.keep_controls.as_ref());
    let keeps_controls = keeps.is_some_and(|word| *word.value());
    Some(Growth {
        birth,
        keeps_controls,
        stage: birth.stage(today, keeps_controls),
    })
}

/// `chain` on the preset of `stage`, in place of the one at its bottom, and how many of it are that
/// preset and what it stands on.
fn grown(nodes: &[Node], family: &Family, chain: &[usize], stage: Stage) -> (Vec<usize>, usize) {
    let is_stage = |node: &Node| node.name == stage.preset() && !node.replaced;
    let preset = nodes.iter().position(is_stage);
    let mut grown = preset.and_then(|at| family.chain(at)).unwrap_or_default();
    let of_preset = grown.len();
    let own = chain.iter().skip_while(|at| is_preset(&nodes[**at].name));
    grown.extend(own);
    (grown, of_preset)
}

/// An address to answer with must be there when it is asked for, and of use when it is there.
fn check_answer(node: &Node, profile: &Profile, problems: &mut Problems) {
    use super::BlockAnswer::Addresses;
    let spec = &node.spec;
    match (
        &profile.block_answer,
        &spec.block_answer,
        &spec.block_addresses,
    ) {
        (Addresses(addresses), word, own) if addresses.is_empty() => {
            let span = match (word, own) {
                (Some(word), _) => word.span(),
                (None, Some(own)) => own.span(),
                // The profile it inherits from was told already.
                (None, None) => return,
            };
            problems.report_absence(
                Diagnostic::error(
                    "missing-value",
                    "blocks are answered by an address, and none is given",
                )
                .at(problems.place(&span), "which address?")
                .help("name it: `block-addresses = [\"192.0.2.1\"]`"),
            );
        }
        (Addresses(_), _, _) | (_, _, None) => {}
        (_, _, Some(own)) => problems.report(
            Diagnostic::warning("no-effect", "`block-addresses` has no effect")
                .at(problems.place(&own.span()), "not used by `block-answer`")
                .help("`block-answer = \"address\"` uses it"),
        ),
    }
}

/// What one profile says itself.
pub(super) fn layer(spec: &ProfileSpec, known: &Known<'_>, problems: &mut Problems) -> Layer {
    let why = "no list provides this category, and no service is called so";
    let category = |key: &Option<Vec<Text>>, problems: &mut Problems| {
        let lifelines = key.iter().flatten().filter(|word| word.text() == LIFELINES);
        for word in lifelines.clone() {
            problems.report(
                Diagnostic::error("lifelines", "lifelines cannot be blocked or opened").at(
                    problems.place(&word.span()),
                    "always reachable, for everybody",
                ),
            );
        }
        let rest = key.as_ref().map(|words| {
            let others = words.iter().filter(|word| word.text() != LIFELINES);
            others.cloned().collect::<Vec<_>>()
        });
        blocked_words(rest.as_ref(), known, why, problems)
    };
    let categories = spec
        .categories
        .is_some()
        .then(|| category(&spec.categories, problems));
    let mut block = category(&spec.block, problems);
    let mut unblock = category(&spec.unblock, problems);
    contradictions(spec, known, problems);
    match spec.block_unsafe_search.as_ref().map(Word::value) {
        Some(true) => block.push(UNSAFE_SEARCH.to_owned()),
        Some(false) => unblock.push(UNSAFE_SEARCH.to_owned()),
        None => {}
    }
    let no_list = "no list has this id";
    let block_lists = known_words(
        spec.block_lists.as_ref(),
        "blocklist",
        &known.blocklists,
        no_list,
        problems,
    );
    let why = "no allowlist has this id or category";
    let allow_lists = known_words(
        spec.allow_lists.as_ref(),
        "allowlist",
        &known.allowlists,
        why,
        problems,
    );
    let without_lists = known_words(
        spec.without_lists.as_ref(),
        "list",
        &known.lists,
        no_list,
        problems,
    );
    let hour = Duration::from_hours(1);
    let ten = Duration::from_secs(10);
    let block_ttl = spec.block_ttl.as_ref().map(|word| {
        let time = duration(
            Some(word),
            "block-ttl",
            Duration::ZERO..=hour,
            ten,
            problems,
        );
        // At most an hour, by the range.
        time.as_secs() as u32
    });
    Layer {
        categories,
        block,
        unblock,
        block_lists,
        allow_lists,
        without_lists,
        rules: rules(
            spec.allow.as_ref(),
            spec.block_names.as_ref(),
            &known.categories,
            problems,
        ),
        allow_only: spec.allow_only,
        safe_search: spec.safe_search,
        youtube: choice(spec.youtube.as_ref(), "youtube", &YOUTUBE, problems),
        close_bypass: spec.close_bypass,
        block_rebinding: spec.block_rebinding,
        pinned_egress: spec.pinned_egress,
        answer: choice(
            spec.block_answer.as_ref(),
            "block-answer",
            &ANSWERS,
            problems,
        ),
        addresses: addresses(spec, problems),
        block_ttl,
        when_unsure: choice(spec.when_unsure.as_ref(), "when-unsure", &UNSURE, problems),
        privacy: choice(spec.privacy.as_ref(), "privacy", &PRIVACY, problems),
        resolvers: spec
            .resolvers
            .as_ref()
            .and_then(|word| group(word, known, problems)),
        look_alikes: spec.look_alikes,
        unusual_types: spec.unusual_types,
        tunnels: spec.tunnels,
        unusual_names: spec.unusual_names,
        language: language(spec.language.as_ref(), problems),
        when_clock_unset: choice(
            spec.when_clock_unset.as_ref(),
            "when-clock-unset",
            &CLOCK_UNSET,
            problems,
        ),
        times: times(spec.during.as_ref(), spec.quota.as_ref(), known, problems),
    }
}

/// Which group of resolvers `word` names.
fn group(word: &Text, known: &Known<'_>, problems: &mut Problems) -> Option<u8> {
    if word.text() == HOUSEHOLD {
        return Some(0);
    }
    let mut groups = (1..=u8::MAX).zip(&known.resolvers);
    let found = groups.find(|(_, name)| **name == word.text());
    if found.is_none() {
        let message = format!("unknown resolvers `{}`", word.text().escape_debug());
        let mut names = known.resolvers.clone();
        names.push(HOUSEHOLD);
        names.sort_unstable();
        names.dedup();
        let known = || names.iter().copied();
        let diagnostic = Diagnostic::error("unknown-value", message)
            .at(
                problems.place(&word.span()),
                "no group of resolvers has this name",
            )
            .help(format!(
                "`[resolvers.{}]` would be one",
                word.text().escape_debug()
            ));
        let diagnostic = problems.guess(diagnostic, word.text(), known());
        problems.report_absence(diagnostic.known("known resolvers", known()));
    }
    found.map(|(at, _)| at)
}

const YOUTUBE: [(&str, Youtube); 3] = [
    ("off", Youtube::Off),
    ("moderate", Youtube::Moderate),
    ("strict", Youtube::Strict),
];
const ANSWERS: [(&str, AnswerKind); 5] = [
    ("null", AnswerKind::Null),
    ("nxdomain", AnswerKind::NxDomain),
    ("nodata", AnswerKind::NoData),
    ("refused", AnswerKind::Refused),
    ("address", AnswerKind::Addresses),
];
const UNSURE: [(&str, WhenUnsure); 2] =
    [("allow", WhenUnsure::Allow), ("block", WhenUnsure::Block)];
const CLOCK_UNSET: [(&str, WhenClockUnset); 2] = [
    ("close", WhenClockUnset::Close),
    ("open", WhenClockUnset::Open),
];
const PRIVACY: [(&str, Privacy); 3] = [
    ("names", Privacy::Names),
    ("categories", Privacy::Categories),
    ("none", Privacy::None),
];

/// Tells of categories and lists that one profile both takes and leaves.
fn contradictions(spec: &ProfileSpec, known: &Known<'_>, problems: &mut Problems) {
    let mut blocked: HashMap<&str, Range<usize>> = HashMap::new();
    // Lifelines were told already.
    let named = |word: &&Text| word.text() != LIFELINES;
    for word in spec.block.iter().flatten().filter(named) {
        blocked.insert(word.text(), word.span());
    }
    let mut unblocked: HashMap<&str, Range<usize>> = HashMap::new();
    for word in spec.unblock.iter().flatten().filter(named) {
        unblocked.insert(word.text(), word.span());
        if let Some(there) = blocked.get(word.text()) {
            let (here, there) = (problems.place(&word.span()), problems.place(there));
            let what = match known.services.binary_search(&word.text()) {
                Ok(_) => "service",
                Err(_) => "category",
            };
            let message = format!("{what} `{}` is both blocked and unblocked", word.text());
            problems.report(Diagnostic::error("contradiction", message).against(
                here,
                there,
                "blocked here",
            ));
        }
    }
    if let Some(flag) = &spec.block_unsafe_search {
        let (other, what) = if *flag.value() {
            (unblocked.get(UNSAFE_SEARCH), "unblocked here")
        } else {
            (blocked.get(UNSAFE_SEARCH), "blocked here")
        };
        if let Some(there) = other {
            let (here, there) = (problems.place(&flag.span()), problems.place(there));
            let message = "`block-unsafe-search` and category `unsafe-search` disagree";
            problems.report(Diagnostic::error("contradiction", message).against(here, there, what));
        }
    }
}

fn addresses(spec: &ProfileSpec, problems: &mut Problems) -> Option<Vec<std::net::IpAddr>> {
    let words = spec.block_addresses.as_ref()?;
    let mut addresses = Vec::new();
    for word in words.value() {
        match word.text().parse::<std::net::IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => {
                let error = super::endpoint::AddressError::NotAddress;
                report_address(word, "address", &error, problems);
            }
        }
    }
    Some(addresses)
}
