//! Which rules hold for a device: a profile of the configuration, compiled against the lists of one
//! snapshot so that a query compares bits.

use std::net::IpAddr;

use crate::config::{self, BlockAnswer, Privacy, WaysRound, WhenUnsure, Youtube};
use crate::intern::intern;
use crate::language::Language;
use crate::lists::{Index, ListId, ListInfo, ListKind};

/// The rules of one child or group.
#[derive(Debug)]
pub struct Profile {
    /// Its place among the snapshot's profiles.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// The preset it comes from.
    pub preset: &'static str,
    /// Lists whose names are blocked.
    pub blocks: ListSet,
    /// Allowlists it uses.
    pub allows: ListSet,
    /// Only what is on an allowlist or in the rules.
    pub allow_only: bool,
    /// Search engines in their safe form.
    pub safe_search: bool,
    /// The video service's restriction.
    pub youtube: Youtube,
    /// The ways round are closed.
    pub close_bypass: bool,
    /// Public names that point into the home are not answered.
    pub block_rebinding: bool,
    /// Its devices reach only what was answered to them.
    pub pinned_egress: bool,
    /// How a block is answered.
    pub block_answer: BlockAnswer,
    /// Seconds a client may keep an answer of our own.
    pub block_ttl: u32,
    /// What doubt means.
    pub when_unsure: WhenUnsure,
    /// A list it needs that could not be loaded: the doubt.
    pub missing_list: Option<&'static str>,
    /// What is remembered of its queries.
    pub privacy: Privacy,
    /// Which ways round are closed beyond those every `close_bypass` closes.
    pub ways_round: WaysRound,
    /// How a block is explained.
    pub speech: Speech,
}

/// How a block is explained to whoever asked.
#[derive(Clone, Copy, Debug)]
pub struct Speech {
    /// The sentences.
    pub language: &'static Language,
    /// Where access can be asked for: URIs in quotes with commas between them, as they stand in
    /// JSON.
    pub contacts: &'static str,
}

impl Speech {
    fn compile(config: &config::Speech) -> Self {
        // Reading them made sure that they can stand in JSON as they are.
        let quoted: Vec<String> = config
            .contact
            .iter()
            .map(|it| format!("\"{it}\""))
            .collect();
        Self {
            language: Language::find(config.language).unwrap_or_else(Language::english),
            contacts: intern(&quoted.join(",")),
        }
    }
}

impl Profile {
    /// Compiles `config`'s profile against the lists there are.
    pub fn compile(id: u16, config: &config::Profile, lists: &Index) -> Self {
        let blocks = ListSet::of(lists, |list| {
            list.kind == ListKind::Block
                && (contains(&config.block_categories, list.category)
                    || contains(&config.block_lists, list.id)
                    || config.block_unsafe_search && list.category == "unsafe-search")
        });
        let allows = ListSet::of(lists, |list| {
            list.kind == ListKind::Allow
                && (contains(&config.allow_lists, list.category)
                    || contains(&config.allow_lists, list.id))
        });
        let missing_list = lists
            .lists()
            .find(|(id, list)| {
                list.failure.is_some() && (blocks.contains(*id) || allows.contains(*id))
            })
            .map(|(_, list)| list.id);
        Self {
            id,
            name: intern(&config.name),
            preset: intern(&config.preset),
            blocks,
            allows,
            allow_only: config.allow_only,
            safe_search: config.safe_search,
            youtube: config.youtube,
            close_bypass: config.close_bypass,
            block_rebinding: config.block_rebinding,
            pinned_egress: config.pinned_egress,
            block_answer: config.block_answer.clone(),
            block_ttl: config.block_ttl,
            when_unsure: config.when_unsure,
            missing_list,
            privacy: config.privacy,
            ways_round: config.ways_round,
            speech: Speech::compile(&config.speech),
        }
    }

    /// The addresses of our own with which this profile answers blocks.
    pub fn block_addresses(&self) -> &[IpAddr] {
        match &self.block_answer {
            BlockAnswer::Addresses(addresses) => addresses,
            _ => &[],
        }
    }
}

fn contains(words: &[String], word: &str) -> bool {
    words.iter().any(|known| known == word)
}

/// A set of lists, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSet(Box<[u64]>);

impl ListSet {
    /// The lists of `lists` for which `belongs` holds.
    fn of(lists: &Index, belongs: impl Fn(&ListInfo) -> bool) -> Self {
        let mut words = vec![0_u64; lists.lists().count().div_ceil(64)];
        for (id, list) in lists.lists() {
            if belongs(list) {
                words[usize::from(id.0) / 64] |= 1 << (id.0 % 64);
            }
        }
        Self(words.into_boxed_slice())
    }

    /// Whether the list is in it.
    pub fn contains(&self, list: ListId) -> bool {
        self.0
            .get(usize::from(list.0) / 64)
            .is_some_and(|word| word >> (list.0 % 64) & 1 == 1)
    }
}
