//! From what is written to what it means: lists, profiles, devices, and how they name one another.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::endpoint::parse_net;
use super::presets::{self, LIFELINES, PRESETS, UNKNOWN};
use super::problems::Problems;
use super::profiles::{AnswerKind, Family, Layer, MAX_DEPTH, UNSAFE_SEARCH, lay};
use super::read::{Entry, FileKind, Written, read_file};
use super::resolve::{Around, missing, report_address};
use super::spec::{DeviceSpec, ListSpec, ProfileSpec, Text, Word};
use super::words::{choice, duration, id, known_words, label, rules};
use super::{
    CATEGORIES, Device, DeviceMatch, List, ListSource, Privacy, Profile, Rules, WhenUnsure, Youtube,
};
use crate::lists::{ListFormat, ListKind};

/// Everybody and everything in the home.
pub(super) struct Household {
    pub(super) rules: Rules,
    pub(super) profiles: Vec<Profile>,
    pub(super) guest: usize,
    pub(super) devices: Vec<Device>,
    pub(super) lists: Vec<List>,
}

/// Resolves everything that refers to one another.
pub(super) fn resolve(
    written: &Written,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Household> {
    let lists = lists(written, around, problems);
    let known = Known::of(&lists);
    let rules = rules(
        written.household.allow.as_ref(),
        written.household.block.as_ref(),
        &known.categories,
        problems,
    );
    let nodes = nodes(written, problems);
    let layers: Vec<Layer> = nodes
        .iter()
        .map(|node| layer(&node.spec, &known, problems))
        .collect();
    let profiles = profiles(&nodes, &layers, problems);
    let index: HashMap<&str, usize> = profiles
        .iter()
        .enumerate()
        .map(|(at, profile)| (profile.name.as_str(), at))
        .collect();
    // Names of all profiles, those too whose chain is broken: naming one is then no mistake.
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let guest = match &written.household.guest_profile {
        None => index.get("guest").copied(),
        Some(word) => profile_of(word, &names, &index, None, problems),
    };
    let devices = devices(written, around, &names, &index, guest, &known, problems);
    unused_categories(&lists, &profiles, written, problems);
    Some(Household {
        rules,
        guest: guest?,
        profiles,
        devices,
        lists,
    })
}

/// The words a profile can refer to, each set sorted.
struct Known<'l> {
    /// Categories that can be blocked.
    categories: Vec<&'l str>,
    /// Ids of blocklists.
    blocklists: Vec<&'l str>,
    /// Ids and categories of allowlists.
    allowlists: Vec<&'l str>,
    /// Ids of both and categories of allowlists.
    lists: Vec<&'l str>,
}

impl<'l> Known<'l> {
    fn of(lists: &'l [List]) -> Self {
        let mut categories: BTreeSet<&str> = CATEGORIES.iter().map(|(name, _)| *name).collect();
        // The preset for small children refers to it, whether or not its list is switched on.
        let mut allowlists = BTreeSet::from(["children"]);
        let mut blocklists = BTreeSet::new();
        for list in lists {
            match list.kind {
                ListKind::Block => {
                    categories.insert(&list.category);
                    blocklists.insert(list.id.as_str());
                }
                ListKind::Allow => {
                    allowlists.insert(&list.id);
                    allowlists.insert(&list.category);
                }
                ListKind::Lifeline => {}
            }
        }
        Self {
            categories: categories.into_iter().collect(),
            lists: blocklists.union(&allowlists).copied().collect(),
            blocklists: blocklists.into_iter().collect(),
            allowlists: allowlists.into_iter().collect(),
        }
    }
}

// ---- lists

fn lists(written: &Written, around: &Around<'_>, problems: &mut Problems) -> Vec<List> {
    let mut lists = presets::lists(written.starter.starter.unwrap_or(true));
    let reserved: BTreeSet<String> = presets::lists(true)
        .into_iter()
        .map(|list| list.id)
        .collect();
    let mut seen: HashMap<String, Range<usize>> = HashMap::new();
    for entry in &written.lists {
        let Some(list) = list(entry, around, problems) else {
            continue;
        };
        let Some(word) = &entry.spec.id else {
            continue;
        };
        if reserved.contains(&list.id) {
            problems.report(
                Diagnostic::error(
                    "duplicate",
                    format!("list `{}` came with the program", list.id),
                )
                .at(problems.place(&word.span()), "this id is taken")
                .help("choose another id; lists of one category add up"),
            );
            continue;
        }
        if let Some(first) = seen.get(&list.id) {
            let (second, first) = (problems.place(&word.span()), problems.place(first));
            let message = format!("list `{}` is defined twice", list.id);
            problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            continue;
        }
        seen.insert(list.id.clone(), word.span());
        lists.push(list);
    }
    lists
}

fn list(entry: &Entry<ListSpec>, around: &Around<'_>, problems: &mut Problems) -> Option<List> {
    let spec = &entry.spec;
    let kinds = [
        ("block", ListKind::Block),
        ("allow", ListKind::Allow),
        ("lifeline", ListKind::Lifeline),
    ];
    let formats = [
        ("hosts", ListFormat::Hosts),
        ("domains", ListFormat::Domains),
        ("wildcards", ListFormat::Wildcards),
        ("adblock", ListFormat::Adblock),
    ];
    let kind = match &spec.kind {
        None => Some(ListKind::Block),
        word => choice(word.as_ref(), "kind", &kinds, problems),
    };
    let format = choice(spec.format.as_ref(), "format", &formats, problems);
    let source = source(entry, around, problems);
    let Some(name) = &spec.id else {
        missing(entry, "list", "id", problems);
        return None;
    };
    let named = id(name, "a list", problems);
    let category = match &spec.category {
        Some(word) => id(word, "a category", problems).then(|| word.text().to_owned()),
        None if kind == Some(ListKind::Lifeline) => Some(LIFELINES.to_owned()),
        None => {
            missing(entry, "list", "category", problems);
            None
        }
    };
    if let (Some(word), Some(kind)) = (&spec.category, kind)
        && (word.text() == LIFELINES) != (kind == ListKind::Lifeline)
    {
        problems.report(
            Diagnostic::error("contradiction", "lifelines are a category of their own")
                .at(problems.place(&word.span()), "does not go with its `kind`")
                .help("`kind = \"lifeline\"` needs no category, and no other kind can fill `lifelines`"),
        );
        return None;
    }
    let (true, Some(category), Some(kind), Some(source)) = (named, category, kind, source) else {
        return None;
    };
    Some(List {
        id: name.text().to_owned(),
        category,
        kind,
        source,
        format,
    })
}

fn source(
    entry: &Entry<ListSpec>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<ListSource> {
    match (&entry.spec.file, &entry.spec.lines) {
        (Some(file), None) => {
            let path = around.path(file);
            // The daemon must start without it: the last good copy, or the profile's word on
            // doubt, stands in. So this is only told.
            if let Err(error) = around.files.open(&path) {
                problems.report(
                    Diagnostic::warning(
                        "missing-file",
                        format!("list file `{}` cannot be read", file.text()),
                    )
                    .at(problems.place(&file.span()), error.source.to_string())
                    .note(format!("looked for {}", path.display())),
                );
            }
            Some(ListSource::File(path))
        }
        (None, Some(lines)) => {
            let lines = lines.value().iter().map(|line| line.text().to_owned());
            Some(ListSource::Inline(lines.collect()))
        }
        (Some(file), Some(lines)) => {
            let (here, there) = (problems.place(&lines.span()), problems.place(&file.span()));
            problems.report(
                Diagnostic::error("contradiction", "a list has both `lines` and `file`")
                    .against(here, there, "`file` here")
                    .help("make two lists of it; those of one category add up"),
            );
            None
        }
        (None, None) if !entry.whole => None,
        (None, None) => {
            problems.report_absence(Diagnostic::error("missing-key", "a list without names").at(
                problems.place(&entry.span),
                "needs `file = …` or `lines = […]`",
            ));
            None
        }
    }
}

/// Tells of lists in a category of the admin's own that no profile blocks.
fn unused_categories(
    lists: &[List],
    profiles: &[Profile],
    written: &Written,
    problems: &mut Problems,
) {
    let mut used: HashSet<&str> = CATEGORIES.iter().map(|(name, _)| *name).collect();
    for profile in profiles {
        used.extend(profile.block_categories.iter().map(String::as_str));
        used.extend(profile.block_lists.iter().map(String::as_str));
    }
    let words: HashMap<&str, &Text> = written
        .lists
        .iter()
        .filter_map(|entry| {
            Some((
                entry.spec.id.as_ref()?.text(),
                entry.spec.category.as_ref()?,
            ))
        })
        .collect();
    for list in lists.iter().filter(|list| list.kind == ListKind::Block) {
        if used.contains(list.id.as_str()) || used.contains(list.category.as_str()) {
            continue;
        }
        if let Some(word) = words.get(list.id.as_str()) {
            let message = format!("no profile blocks category `{}`", list.category);
            let diagnostic = Diagnostic::warning("no-effect", message)
                .at(problems.place(&word.span()), "a new category");
            let brought = CATEGORIES.iter().map(|(name, _)| *name);
            problems.report(problems.guess(diagnostic, &list.category, brought));
        }
    }
}

// ---- profiles

/// A profile as written, and what it stands on.
struct Node {
    name: String,
    span: Range<usize>,
    spec: ProfileSpec,
    whole: bool,
    parent: Option<usize>,
    /// A preset that a profile of the same name replaced.
    replaced: bool,
}

/// All profiles: the presets first, then those written.
fn nodes(written: &Written, problems: &mut Problems) -> Vec<Node> {
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
            if node.parent.is_none() && node.whole {
                problems.report_absence(
                    Diagnostic::error(
                        "missing-key",
                        format!("profile `{}` does not say what it starts from", node.name),
                    )
                    .at(problems.place(&node.span), "needs `inherits = …`")
                    .known("presets", PRESETS.iter().map(|(name, _)| *name)),
                );
            }
            continue;
        };
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
fn profiles(nodes: &[Node], layers: &[Layer], problems: &mut Problems) -> Vec<Profile> {
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
        let preset = chain.first().map_or("", |root| &nodes[*root].name);
        let profile = lay(&node.name, preset, chain.iter().map(|at| &layers[*at]));
        check_answer(node, &profile, problems);
        profiles.push(profile);
    }
    profiles
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
fn layer(spec: &ProfileSpec, known: &Known<'_>, problems: &mut Problems) -> Layer {
    let why = "no list provides this category";
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
        known_words(rest.as_ref(), "category", &known.categories, why, problems)
    };
    let categories = spec
        .categories
        .is_some()
        .then(|| category(&spec.categories, problems));
    let mut block = category(&spec.block, problems);
    let mut unblock = category(&spec.unblock, problems);
    contradictions(spec, problems);
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
    }
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
const PRIVACY: [(&str, Privacy); 3] = [
    ("names", Privacy::Names),
    ("categories", Privacy::Categories),
    ("none", Privacy::None),
];

/// Tells of categories and lists that one profile both takes and leaves.
fn contradictions(spec: &ProfileSpec, problems: &mut Problems) {
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
            let message = format!("category `{}` is both blocked and unblocked", word.text());
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

/// The index of the profile that `word` names; none is told, or was when its chain is broken.
fn profile_of(
    word: &Text,
    names: &BTreeSet<&str>,
    index: &HashMap<&str, usize>,
    guest: Option<usize>,
    problems: &mut Problems,
) -> Option<usize> {
    let name = word.text();
    if name == UNKNOWN && guest.is_some() {
        return guest;
    }
    if !names.contains(name) {
        let diagnostic = Diagnostic::error("unknown-profile", format!("unknown profile `{name}`"))
            .at(problems.place(&word.span()), "no profile has this name");
        let known = || names.iter().copied();
        let diagnostic = problems.guess(diagnostic, name, known());
        problems.report_absence(diagnostic.known("known profiles", known()));
    }
    index.get(name).copied()
}

// ---- devices

fn devices(
    written: &Written,
    around: &Around<'_>,
    names: &BTreeSet<&str>,
    index: &HashMap<&str, usize>,
    guest: Option<usize>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Vec<Device> {
    let mut listeners: Vec<&str> = written
        .listeners
        .iter()
        .filter_map(|entry| entry.spec.name.as_ref().map(Text::text))
        .collect();
    listeners.sort_unstable();
    let interfaces = interfaces(around);
    let mut seen_names: HashMap<&str, Range<usize>> = HashMap::new();
    let mut seen_matches: HashMap<DeviceMatch, Range<usize>> = HashMap::new();
    let mut devices = Vec::new();
    for entry in &written.devices {
        let spec = &entry.spec;
        match &spec.name {
            None => missing(entry, "device", "name", problems),
            Some(name) if !label(name, "a device", problems) => {}
            Some(name) => {
                if let Some(first) = seen_names.get(name.text()) {
                    let (second, first) = (problems.place(&name.span()), problems.place(first));
                    let message = format!("device `{}` is defined twice", name.text());
                    problems.report(Diagnostic::error("duplicate", message).twice(second, first));
                } else {
                    seen_names.insert(name.text(), name.span());
                }
            }
        }
        let matches = matches(entry, &listeners, &interfaces, problems);
        for (device_match, span) in &matches {
            if let Some(first) = seen_matches.get(device_match) {
                let (second, first) = (problems.place(span), problems.place(first));
                let message = match device_match {
                    DeviceMatch::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                        format!("address `{}` belongs to two devices", net.addr())
                    }
                    DeviceMatch::Net(net) => format!("prefix `{net}` belongs to two devices"),
                    DeviceMatch::Interface(name) => {
                        format!("interface `{name}` belongs to two devices")
                    }
                    DeviceMatch::Listener(name) => {
                        format!("listener `{name}` belongs to two devices")
                    }
                };
                problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            } else {
                seen_matches.insert(device_match.clone(), span.clone());
            }
        }
        let words = &known.categories;
        let rules = rules(spec.allow.as_ref(), spec.block.as_ref(), words, problems);
        let profile = match &spec.profile {
            None => {
                missing(entry, "device", "profile", problems);
                None
            }
            Some(word) => profile_of(word, names, index, guest, problems),
        };
        if let (Some(name), Some(profile)) = (&spec.name, profile) {
            devices.push(Device {
                name: name.text().to_owned(),
                profile,
                matches: matches
                    .into_iter()
                    .map(|(device_match, _)| device_match)
                    .collect(),
                rules,
            });
        }
    }
    devices
}

/// How one device is recognised, with the places that say so.
fn matches(
    entry: &Entry<DeviceSpec>,
    listeners: &[&str],
    interfaces: &[String],
    problems: &mut Problems,
) -> Vec<(DeviceMatch, Range<usize>)> {
    let spec = &entry.spec;
    let mut matches = Vec::new();
    for word in spec.address.iter().flat_map(|words| words.value()) {
        match parse_net(word.text()) {
            Ok(net) => matches.push((DeviceMatch::Net(net), word.span())),
            Err(error) => report_address(word, "address or prefix", &error, problems),
        }
    }
    if let Some(word) = &spec.interface
        && interface(word, interfaces, problems)
    {
        matches.push((DeviceMatch::Interface(word.text().to_owned()), word.span()));
    }
    if let Some(word) = &spec.listener {
        if listeners.binary_search(&word.text()).is_ok() {
            matches.push((DeviceMatch::Listener(word.text().to_owned()), word.span()));
        } else {
            let message = format!("unknown listener `{}`", word.text());
            let diagnostic = Diagnostic::error("unknown-listener", message).at(
                problems.place(&word.span()),
                "no `[[listener]]` has this name",
            );
            let known = || listeners.iter().copied();
            let diagnostic = problems.guess(diagnostic, word.text(), known());
            problems.report_absence(diagnostic.known("known listeners", known()));
        }
    }
    let none = spec.interface.is_none() && spec.listener.is_none() && entry.whole;
    if none
        && spec
            .address
            .as_ref()
            .is_none_or(|words| words.value().is_empty())
    {
        let name = spec.name.as_ref().map_or("", Text::text);
        problems.report_absence(
            Diagnostic::error(
                "missing-key",
                format!("device `{name}` cannot be recognised"),
            )
            .at(
                problems.place(&entry.span),
                "needs `address`, `interface` or `listener`",
            ),
        );
    }
    matches
}

/// The interfaces of this machine, as far as it tells.
fn interfaces(around: &Around<'_>) -> Vec<String> {
    let paths = around
        .files
        .list(Path::new("/sys/class/net"))
        .unwrap_or_default();
    let names = paths.iter().filter_map(|path| path.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Checks the name of an interface. One that is not there may come later, so that is only told.
fn interface(word: &Text, interfaces: &[String], problems: &mut Problems) -> bool {
    let name = word.text();
    let place = problems.place(&word.span());
    // The kernel's own rule: 15 octets, neither slash nor blank.
    let fine = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != ':';
    if name.is_empty() || name.len() > 15 || !name.chars().all(fine) {
        problems.report(
            Diagnostic::error("bad-name", format!("`{name}` cannot be an interface"))
                .at(place, "1 to 15 characters without blanks"),
        );
        return false;
    }
    let known = || interfaces.iter().map(String::as_str);
    if !interfaces.is_empty() && !known().any(|known| known == name) {
        problems.report(
            Diagnostic::warning(
                "unknown-interface",
                format!("no interface `{name}` at the moment"),
            )
            .at(place, "matches nothing until it appears")
            .suggest(name, known())
            .known("interfaces", known()),
        );
    }
    true
}
