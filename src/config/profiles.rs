//! Profiles: from what is written to what holds, along `inherits`.
//!
//! Every profile is a [`Layer`] of changes over another one, down to a preset that stands on
//! nothing. A child's profile `mia` that inherits `schoolchild` and says `unblock = ["games"]` is
//! two layers: all that the preset blocks, then games taken away.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::closing::Times;
use super::{
    BlockAnswer, Pattern, Privacy, Profile, Rule, Rules, Speech, WaysRound, WhenClockUnset,
    WhenUnsure, Youtube,
};
use crate::lists::services;

/// What one profile says itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layer {
    /// Categories in place of the inherited ones.
    pub(super) categories: Option<Vec<String>>,
    pub(super) block: Vec<String>,
    pub(super) unblock: Vec<String>,
    pub(super) block_lists: Vec<String>,
    pub(super) allow_lists: Vec<String>,
    pub(super) without_lists: Vec<String>,
    pub(super) rules: Rules,
    pub(super) allow_only: Option<bool>,
    pub(super) safe_search: Option<bool>,
    pub(super) youtube: Option<Youtube>,
    pub(super) close_bypass: Option<bool>,
    pub(super) block_rebinding: Option<bool>,
    pub(super) pinned_egress: Option<bool>,
    pub(super) answer: Option<AnswerKind>,
    pub(super) addresses: Option<Vec<IpAddr>>,
    pub(super) block_ttl: Option<u32>,
    pub(super) when_unsure: Option<WhenUnsure>,
    pub(super) privacy: Option<Privacy>,
    pub(super) look_alikes: Option<bool>,
    pub(super) unusual_types: Option<bool>,
    pub(super) tunnels: Option<bool>,
    pub(super) unusual_names: Option<bool>,
    pub(super) resolvers: Option<u8>,
    pub(super) language: Option<&'static str>,
    pub(super) when_clock_unset: Option<WhenClockUnset>,
    pub(super) times: Times,
}

impl Layer {
    /// What is left of it for a grown-up: what opens, and how one is spoken to and answered. Nothing
    /// that closes.
    pub(super) fn without_controls(&self) -> Self {
        Self {
            unblock: self.unblock.clone(),
            allow_lists: self.allow_lists.clone(),
            without_lists: self.without_lists.clone(),
            rules: Rules {
                allow: self.rules.allow.clone(),
                block: Vec::new(),
            },
            block_rebinding: self.block_rebinding,
            answer: self.answer,
            addresses: self.addresses.clone(),
            block_ttl: self.block_ttl,
            when_unsure: self.when_unsure,
            resolvers: Some(0),
            language: self.language,
            ..Self::default()
        }
    }
}

/// How a block is answered, the addresses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerKind {
    Null,
    NxDomain,
    NoData,
    Refused,
    Addresses,
}

/// The category that [`Profile::block_unsafe_search`] stands for.
pub(super) const UNSAFE_SEARCH: &str = "unsafe-search";

/// A profile while its layers are laid.
struct Laid {
    categories: BTreeSet<String>,
    /// Services blocked by themselves.
    services: BTreeSet<String>,
    /// Services taken out of what is blocked.
    open: BTreeSet<String>,
    block_lists: BTreeSet<String>,
    allow_lists: BTreeSet<String>,
    rules: Rules,
    answer: AnswerKind,
    addresses: Vec<IpAddr>,
    /// Look-alikes, unusual types, tunnels: what was said of each.
    ways_round: [Option<bool>; 3],
    profile: Profile,
}

/// Lays `layers`, the preset's first, and gives what holds for the profile `name`.
pub(super) fn lay<'l>(
    name: &str,
    preset: &str,
    layers: impl IntoIterator<Item = &'l Layer>,
) -> Profile {
    let mut laid = Laid {
        categories: BTreeSet::new(),
        services: BTreeSet::new(),
        open: BTreeSet::new(),
        block_lists: BTreeSet::new(),
        allow_lists: BTreeSet::new(),
        rules: Rules::default(),
        answer: AnswerKind::Null,
        addresses: Vec::new(),
        ways_round: [None; 3],
        profile: bare(name, preset),
    };
    for layer in layers {
        laid.add(layer);
    }
    laid.finish()
}

/// A profile that filters nothing.
fn bare(name: &str, preset: &str) -> Profile {
    Profile {
        name: name.to_owned(),
        preset: preset.to_owned(),
        lineage: Vec::new(),
        growth: None,
        block_categories: Vec::new(),
        block_services: Vec::new(),
        open_services: Vec::new(),
        block_lists: Vec::new(),
        allow_lists: Vec::new(),
        allow_only: false,
        rules: Rules::default(),
        safe_search: false,
        block_unsafe_search: false,
        youtube: Youtube::Off,
        close_bypass: false,
        block_rebinding: true,
        pinned_egress: false,
        block_answer: BlockAnswer::Null,
        when_unsure: WhenUnsure::Block,
        privacy: Privacy::None,
        resolvers: 0,
        block_ttl: 10,
        ways_round: WaysRound::default(),
        speech: Speech::default(),
        closings: Vec::new(),
        quotas: Vec::new(),
        when_clock_unset: WhenClockUnset::Close,
    }
}

impl Laid {
    fn add(&mut self, layer: &Layer) {
        if let Some(words) = &layer.categories {
            self.categories.clear();
            self.services.clear();
            self.open.clear();
            self.block(words);
        }
        self.block(&layer.block);
        self.unblock(&layer.unblock);
        // Of a category and a service in it, said at once, the service is meant as the exception.
        let named = layer.block.iter().filter(|word| is_service(word));
        self.services.extend(named.cloned());
        for list in &layer.without_lists {
            self.block_lists.remove(list);
            self.allow_lists.remove(list);
        }
        self.block_lists.extend(layer.block_lists.iter().cloned());
        self.allow_lists.extend(layer.allow_lists.iter().cloned());
        self.add_rules(&layer.rules);
        let profile = &mut self.profile;
        take(&mut profile.allow_only, layer.allow_only);
        take(&mut profile.safe_search, layer.safe_search);
        take(&mut profile.youtube, layer.youtube);
        take(&mut profile.close_bypass, layer.close_bypass);
        take(&mut profile.block_rebinding, layer.block_rebinding);
        take(&mut profile.pinned_egress, layer.pinned_egress);
        take(&mut profile.block_ttl, layer.block_ttl);
        take(&mut profile.when_unsure, layer.when_unsure);
        take(&mut profile.privacy, layer.privacy);
        take(&mut profile.resolvers, layer.resolvers);
        take(&mut profile.speech.language, layer.language);
        let said = [layer.look_alikes, layer.unusual_types, layer.tunnels];
        for (closing, said) in self.ways_round.iter_mut().zip(said) {
            *closing = said.or(*closing);
        }
        take(&mut profile.ways_round.unusual_names, layer.unusual_names);
        take(&mut profile.when_clock_unset, layer.when_clock_unset);
        let times = &layer.times;
        times.lay_over(&mut profile.closings, &mut profile.quotas);
        take(&mut self.answer, layer.answer);
        take(&mut self.addresses, layer.addresses.clone());
    }

    /// Blocks categories, with all services in them, and services.
    fn block(&mut self, words: &[String]) {
        for word in words {
            if is_service(word) {
                self.open.remove(word);
                self.services.insert(word.clone());
            } else {
                self.open.retain(|id| category_of(id) != Some(word));
                self.categories.insert(word.clone());
            }
        }
    }

    /// Takes back categories, with all services in them, and services.
    fn unblock(&mut self, words: &[String]) {
        for word in words {
            if is_service(word) {
                self.services.remove(word);
                self.open.insert(word.clone());
            } else {
                self.services.retain(|id| category_of(id) != Some(word));
                self.categories.remove(word);
            }
        }
    }

    /// The nearer word counts: a layer's rule replaces the same rule of the layers below,
    /// whichever side it was on.
    fn add_rules(&mut self, own: &Rules) {
        let said: HashSet<&Pattern> = own
            .allow
            .iter()
            .chain(&own.block)
            .map(|rule| &rule.pattern)
            .collect();
        let unsaid = |rule: &Rule| !said.contains(&rule.pattern);
        self.rules.allow.retain(unsaid);
        self.rules.block.retain(unsaid);
        self.rules.allow.extend(own.allow.iter().cloned());
        self.rules.block.extend(own.block.iter().cloned());
    }

    fn finish(self) -> Profile {
        let closing = self
            .ways_round
            .map(|said| said.unwrap_or(self.profile.close_bypass));
        let [look_alikes, unusual_types, tunnels] = closing;
        Profile {
            ways_round: WaysRound {
                look_alikes,
                unusual_types,
                tunnels,
                unusual_names: self.profile.ways_round.unusual_names,
            },
            block_unsafe_search: self.categories.contains(UNSAFE_SEARCH),
            block_categories: self.categories.into_iter().collect(),
            block_services: self.services.into_iter().collect(),
            open_services: self.open.into_iter().collect(),
            block_lists: self.block_lists.into_iter().collect(),
            allow_lists: self.allow_lists.into_iter().collect(),
            rules: self.rules,
            block_answer: match self.answer {
                AnswerKind::Null => BlockAnswer::Null,
                AnswerKind::NxDomain => BlockAnswer::NxDomain,
                AnswerKind::NoData => BlockAnswer::NoData,
                AnswerKind::Refused => BlockAnswer::Refused,
                AnswerKind::Addresses => BlockAnswer::Addresses(self.addresses),
            },
            ..self.profile
        }
    }
}

fn is_service(word: &str) -> bool {
    services::find(word).is_some()
}

fn category_of(service: &str) -> Option<&'static str> {
    services::find(service).map(|service| service.category())
}

fn take<T>(setting: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *setting = said;
    }
}

/// Profiles one profile can stand on, one above the other.
pub(super) const MAX_DEPTH: usize = 32;

/// Who inherits from whom: the parent of each node, by index.
#[derive(Debug, Default)]
pub(super) struct Family {
    parents: Vec<Option<usize>>,
}

impl Family {
    /// A family of nodes with these parents.
    pub(super) const fn new(parents: Vec<Option<usize>>) -> Self {
        Self { parents }
    }

    /// The nodes from the eldest down to `node`, or nothing when its chain never ends or is longer
    /// than anybody could follow.
    pub(super) fn chain(&self, node: usize) -> Option<Vec<usize>> {
        let mut chain = vec![node];
        let mut at = node;
        while let Some(parent) = self.parents[at] {
            if chain.len() > MAX_DEPTH {
                return None;
            }
            chain.push(parent);
            at = parent;
        }
        chain.reverse();
        Some(chain)
    }

    /// Every ring of nodes that inherit from one another, each from its first node.
    pub(super) fn rings(&self) -> Vec<Vec<usize>> {
        // Which walk passed a node.
        let mut walk_of: HashMap<usize, usize> = HashMap::new();
        let mut rings = Vec::new();
        for start in 0..self.parents.len() {
            let mut path = Vec::new();
            let mut at = Some(start);
            while let Some(node) = at {
                match walk_of.get(&node) {
                    Some(walk) if *walk == start => {
                        let from = path.iter().position(|n| *n == node).unwrap_or(0);
                        rings.push(path.split_off(from));
                        break;
                    }
                    Some(_) => break,
                    None => {
                        walk_of.insert(node, start);
                        path.push(node);
                        at = self.parents[node];
                    }
                }
            }
        }
        rings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(letters: &'static str) -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(
            prop::sample::select(letters.split(' ').collect::<Vec<_>>()),
            0..4,
        )
        .prop_map(|words| words.into_iter().map(str::to_owned).collect())
    }

    prop_compose! {
        fn layer()(
            categories in prop::option::of(words("a b c unsafe-search")),
            block in words("a b c d unsafe-search"),
            unblock in words("a b e unsafe-search"),
            block_lists in words("l m n"),
            without_lists in words("l m"),
            safe_search in prop::option::of(any::<bool>()),
            block_ttl in prop::option::of(0u32..100),
        ) -> Layer {
            Layer { categories, block, unblock, block_lists, without_lists, safe_search, block_ttl,
                ..Layer::default() }
        }
    }

    /// Whether `word` holds after `layers`, by asking the nearest layer that speaks of it.
    fn holds(layers: &[Layer], word: &str, speaks: impl Fn(&Layer, &str) -> Option<bool>) -> bool {
        layers
            .iter()
            .rev()
            .find_map(|layer| speaks(layer, word))
            .unwrap_or(false)
    }

    proptest! {
        #[test]
        fn inheritance_is_the_nearest_word(layers in prop::collection::vec(layer(), 1..6)) {
            let profile = lay("p", "q", &layers);
            let has = |words: &[String], word: &str| words.iter().any(|w| w == word);
            for word in ["a", "b", "c", "d", "e", UNSAFE_SEARCH] {
                let expected = holds(&layers, word, |layer, word| {
                    if has(&layer.unblock, word) {
                        Some(false)
                    } else if has(&layer.block, word) {
                        Some(true)
                    } else {
                        layer.categories.as_ref().map(|set| has(set, word))
                    }
                });
                prop_assert_eq!(has(&profile.block_categories, word), expected, "{}", word);
            }
            for list in ["l", "m", "n"] {
                let expected = holds(&layers, list, |layer, list| {
                    if has(&layer.block_lists, list) {
                        Some(true)
                    } else {
                        has(&layer.without_lists, list).then_some(false)
                    }
                });
                prop_assert_eq!(has(&profile.block_lists, list), expected, "{}", list);
            }
            let safe = layers.iter().rev().find_map(|layer| layer.safe_search);
            prop_assert_eq!(profile.safe_search, safe.unwrap_or(false));
            let ttl = layers.iter().rev().find_map(|layer| layer.block_ttl);
            prop_assert_eq!(profile.block_ttl, ttl.unwrap_or(10));
            prop_assert_eq!(
                profile.block_unsafe_search,
                has(&profile.block_categories, UNSAFE_SEARCH)
            );
            prop_assert!(profile.block_categories.is_sorted());
        }

        #[test]
        fn every_node_has_a_chain_or_leads_into_a_ring(
            parents in prop::collection::vec(prop::option::of(0usize..8), 8)
        ) {
            let family = Family::new(parents.clone());
            let rings = family.rings();
            for ring in &rings {
                for (at, node) in ring.iter().enumerate() {
                    prop_assert_eq!(parents[*node], Some(ring[(at + 1) % ring.len()]));
                }
            }
            for node in 0..8 {
                let mut at = node;
                let mut steps = 0;
                while let Some(parent) = parents[at].filter(|_| steps < 20) {
                    at = parent;
                    steps += 1;
                }
                let endless = steps == 20;
                prop_assert_eq!(family.chain(node).is_none(), endless);
                prop_assert_eq!(rings.iter().any(|ring| ring.contains(&at)), endless);
            }
        }
    }

    #[test]
    fn the_nearer_rule_replaces_the_same_rule_below() {
        let rule = |text: &str| super::super::rules::parse_rule(text).unwrap();
        let below = Layer {
            rules: Rules {
                allow: vec![rule("a.example")],
                block: vec![rule("b.example")],
            },
            ..Layer::default()
        };
        let above = Layer {
            rules: Rules {
                allow: vec![rule("B.example")],
                block: vec![rule("c.example")],
            },
            ..Layer::default()
        };
        let profile = lay("p", "q", [&below, &above]);
        assert_eq!(profile.rules.allow, [rule("a.example"), rule("B.example")]);
        assert_eq!(profile.rules.block, [rule("c.example")]);
    }
}
