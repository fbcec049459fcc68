//! Which rules hold for a device: a profile of the configuration, compiled against the lists of one
//! snapshot so that a query compares bits.

use std::net::IpAddr;

use crate::config::{self, BlockAnswer, Privacy, WaysRound, WhenUnsure, Youtube};
use crate::intern::intern;
use crate::language::Language;
use crate::lists::{Index, ListId, ListInfo, ListKind, services};
use crate::name::{Name, NameRef};

/// The rules of one child or group.
#[derive(Debug)]
pub struct Profile {
    /// Its place among the snapshot's profiles.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// The preset it comes from.
    pub preset: &'static str,
    /// What lists call whoever it is for; none where nobody can know.
    pub tags: &'static [&'static str],
    /// Lists whose names are blocked whatever the hour; services are lists too.
    pub blocks: ListSet,
    /// Services taken out of what is blocked.
    pub open_services: ServiceSet,
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
    /// Whether it has any list: it is in doubt where what they say cannot be read.
    pub has_lists: bool,
    /// What is remembered of its queries.
    pub privacy: Privacy,
    /// Which resolvers are asked for it, as in [`crate::message::Question::via`].
    pub resolvers: u8,
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
        let open_services = ServiceSet::new(&config.open_services, lists);
        let blocks = ListSet::of(lists, |list| {
            list.kind == ListKind::Block
                && !(list.service.is_some() && contains(&config.open_services, list.id))
                && (contains(&config.block_categories, list.category)
                    || list.service.is_some() && contains(&config.block_services, list.id)
                    || list.service.is_none() && contains(&config.block_lists, list.id)
                    || config.block_unsafe_search && list.category == "unsafe-search")
        });
        let allows = ListSet::of(lists, |list| {
            list.kind == ListKind::Allow
                && (contains(&config.allow_lists, list.category)
                    || contains(&config.allow_lists, list.id))
        });
        let its_own = || {
            let is_its_own = |id| blocks.contains(id) || allows.contains(id);
            lists.lists().filter(move |(id, _)| is_its_own(*id))
        };
        let mut missing = its_own().filter(|(_, list)| list.failure.is_some());
        let missing_list = missing.next().map(|(_, list)| list.id);
        let has_lists = its_own().next().is_some();
        Self {
            id,
            name: intern(&config.name),
            preset: intern(&config.preset),
            tags: tags_of(&config.preset),
            blocks,
            open_services,
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
            has_lists,
            privacy: config.privacy,
            resolvers: config.resolvers,
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

/// What lists call those a preset is for (`ctag`). Of a guest nobody knows who it is.
fn tags_of(preset: &str) -> &'static [&'static str] {
    match preset {
        "preschooler" | "schoolchild" | "adolescent" => &["user_child"],
        "adult" => &["user_regular"],
        _ => &[],
    }
}

fn contains(words: &[String], word: &str) -> bool {
    words.iter().any(|known| known == word)
}

/// Services to open: their lists, and the names that they share with others.
#[derive(Clone, Debug, Default)]
pub struct ServiceSet {
    lists: ListSet,
    /// Each list's service.
    ids: Box<[(ListId, &'static str)]>,
    /// Names with all below them, each with its service.
    shared: Box<[(Name, &'static str)]>,
}

impl ServiceSet {
    /// The services with these ids.
    pub fn new<I: AsRef<str>>(ids: &[I], lists: &Index) -> Self {
        let known = || ids.iter().filter_map(|id| services::find(id.as_ref()));
        let shared = known().flat_map(|service| {
            let names = service.shared().filter_map(|it| Name::parse(it.name).ok());
            names.map(move |name| (name, service.id))
        });
        let is_one = |id: &str| ids.iter().any(|one| one.as_ref() == id);
        let set = ListSet::of(lists, |list| list.service.is_some() && is_one(list.id));
        let named = lists.lists().filter(|(id, _)| set.contains(*id));
        Self {
            ids: named.map(|(id, list)| (id, list.id)).collect(),
            lists: set,
            shared: shared.collect(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.shared.is_empty()
    }

    /// Whether the list is one of theirs.
    pub fn contains(&self, list: ListId) -> bool {
        self.lists.contains(list)
    }

    /// The service whose list it is.
    pub fn first_with(&self, list: ListId) -> Option<&'static str> {
        let place = self.ids.binary_search_by_key(&list, |(id, _)| *id).ok()?;
        Some(self.ids[place].1)
    }

    /// A service that shares `name` with others.
    pub fn sharing(&self, name: NameRef<'_>) -> Option<&'static str> {
        let mut all = self.shared.iter();
        all.find_map(|(shared, service)| name.is_within(shared.as_ref()).then_some(*service))
    }
}

/// A set of lists, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSet(Box<[u64]>);

impl ListSet {
    /// The lists of `lists` for which `belongs` holds.
    pub fn of(lists: &Index, belongs: impl Fn(&ListInfo) -> bool) -> Self {
        let mut words = vec![0_u64; lists.lists().count().div_ceil(64)];
        for (id, list) in lists.lists() {
            if belongs(list) {
                words[usize::from(id.0) / 64] |= 1 << (id.0 % 64);
            }
        }
        if words.iter().all(|word| *word == 0) {
            return Self::default();
        }
        Self(words.into_boxed_slice())
    }

    /// Whether no list is in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lists of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (long, short) = match self.0.len() < other.0.len() {
            true => (other, self),
            false => (self, other),
        };
        let mut words = long.0.clone();
        for (word, more) in words.iter_mut().zip(&short.0) {
            *word |= more;
        }
        Self(words)
    }

    /// The lists that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// The lists of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut words = self.0.clone();
        for (word, less) in words.iter_mut().zip(&other.0) {
            *word &= !less;
        }
        if words.iter().all(|word| *word == 0) {
            return Self::default();
        }
        Self(words)
    }

    /// Whether the list is in it.
    pub fn contains(&self, list: ListId) -> bool {
        self.0
            .get(usize::from(list.0) / 64)
            .is_some_and(|word| word >> (list.0 % 64) & 1 == 1)
    }
}
