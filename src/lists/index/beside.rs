//! What the index tells beside names: patterns, addresses, sealed names, and what restricts a line.

use std::net::IpAddr;

use super::layout::Part;
use super::{Hit, Index, ListId, Matcher, RuleId, sets};
use crate::lists::guard::Protected;
use crate::lists::modifiers::{self, ActionKind};
use crate::lists::sealed::{SealKeys, SealedInfo};
use crate::lists::{
    Asker, Effect, Fingerprint, KEPT_ERRORS, LineNote, ListKind, PatternKind, Reach,
};
use crate::name::NameRef;

/// Octets of a name in wire format beyond which it is taken for made up.
const LONG: usize = 120;

impl Index {
    pub(super) fn look_up_patterns(
        &self,
        name: NameRef<'_>,
        labels: usize,
        each: &mut impl FnMut(Hit),
    ) {
        self.patterns
            .look_up(self.part(Part::Patterns), name, |hit| {
                let Some(list) = self.lists.get(usize::from(hit.list.0)) else {
                    return;
                };
                // A name so long that nobody honest has it is blocked in doubt, and nothing is opened.
                // Shorter ones are not: patterns that are slow together would take what none of
                // them says.
                let blocks = matches!(list.kind, ListKind::Block | ListKind::Sealed)
                    && hit.effect == Effect::Listed
                    && name.as_wire().len() > LONG;
                if !hit.unsure || blocks {
                    each(Hit {
                        list: hit.list,
                        reach: Reach::Subtree,
                        effect: hit.effect,
                        // At most 127.
                        labels: labels as u8,
                        important: hit.important,
                        rule: hit.rule.map(RuleId),
                        by: Matcher::Pattern(hit.number),
                    });
                }
            });
    }

    pub(super) fn look_up_sealed(&self, name: NameRef<'_>, each: &mut impl FnMut(Hit)) {
        self.sealed.look_up(self.part(Part::Sealed), name, |hit| {
            if usize::from(hit.list.0) < self.lists.len() {
                each(Hit {
                    list: hit.list,
                    reach: Reach::Subtree,
                    effect: Effect::Listed,
                    labels: hit.labels,
                    important: false,
                    rule: None,
                    by: Matcher::Fingerprint,
                });
            }
        });
    }

    /// Calls `each` for every line of every list whose prefix holds `address`, the longest prefix
    /// first. `labels` of these hits is the length of the prefix in bits.
    pub fn look_up_address(&self, address: IpAddr, mut each: impl FnMut(Hit)) {
        if self.addresses.is_empty() {
            return;
        }
        let section = self.part(Part::Addresses);
        self.addresses.look_up(section, address, |hit| {
            if usize::from(hit.list.0) < self.lists.len() {
                each(Hit {
                    list: hit.list,
                    reach: Reach::Subtree,
                    effect: hit.effect,
                    labels: hit.prefix_len,
                    important: hit.important,
                    rule: hit.rule.map(RuleId),
                    by: Matcher::Address,
                });
            }
        });
    }

    /// Whether a line that was hit holds when `asker` asks for `name`: whether what restricts it
    /// allows it.
    pub fn applies(&self, hit: &Hit, name: NameRef<'_>, asker: &Asker<'_>) -> bool {
        hit.rule.is_none()
            || self
                .modifiers(hit)
                .is_some_and(|encoded| modifiers::applies(encoded, name, asker))
    }

    /// Whether a line that was hit holds for `asker` only since nobody knows better: it is for all but
    /// those with a tag that `asker` may have.
    pub fn guesses(&self, hit: &Hit, asker: &Asker<'_>) -> bool {
        self.modifiers(hit)
            .is_some_and(|encoded| modifiers::guesses(encoded, asker))
    }

    /// What a line that was hit wants to be answered.
    pub fn action(&self, hit: &Hit) -> ActionKind {
        self.modifiers(hit)
            .map_or_else(ActionKind::default, modifiers::action)
    }

    /// The encoded modifiers of a line that was hit; [`modifiers::decode`] reads them.
    pub fn modifiers(&self, hit: &Hit) -> Option<&[u8]> {
        let RuleId(rule) = hit.rule?;
        match hit.by {
            Matcher::Name => sets::modifiers_at(self.part(Part::Sets), rule as usize),
            Matcher::Pattern(_) => self.patterns.modifiers(self.part(Part::Patterns), rule),
            Matcher::Address => self.addresses.modifiers(self.part(Part::Addresses), rule),
            Matcher::Fingerprint => None,
        }
    }

    /// How to read a pattern, and its text as its list writes it.
    pub fn pattern(&self, number: u32) -> Option<(PatternKind, &str)> {
        self.patterns.text(self.part(Part::Patterns), number)
    }

    /// How many patterns there are, and how many of them are tried for every name.
    pub fn pattern_counts(&self) -> (usize, usize) {
        (self.patterns.len(), self.patterns.always())
    }

    /// Gives the sealed lists their keys. Gives those whose key is not among them: they find
    /// nothing, which somebody must be told.
    pub fn set_seal_keys(&mut self, keys: &SealKeys) -> Vec<SealedInfo> {
        self.remembered.forget();
        self.sealed.unlock(keys)
    }

    /// Tells in what is known of each sealed list which of the names of `protected` it takes, where
    /// its key among `keys` was not known when it was compiled; how many there are of each.
    ///
    /// It takes them all the same: nothing is above a sealed list but the lifelines.
    pub fn tell_protected(
        &mut self,
        keys: &SealKeys,
        protected: &Protected,
    ) -> Vec<(ListId, LineNote)> {
        let mut told = Vec::new();
        for info in self.sealed.lists() {
            let Some(key) = keys.get(info.key_id) else {
                continue;
            };
            let guard = protected.sealed_with(key);
            let section = self.part(Part::Sealed);
            let is_listed = |it: &Fingerprint| self.sealed.contains(section, info.list, *it);
            let mut names = guard.taken(is_listed);
            names.sort_unstable();
            told.extend(names.into_iter().map(|name| {
                let text = format!("an entry takes the protected name `{name}`");
                (info.list, LineNote { line: 0, text })
            }));
        }
        for (list, note) in &told {
            if let Some(info) = self.lists.get_mut(usize::from(list.0))
                && !info.first_flags.contains(note)
            {
                info.flagged_lines += 1;
                if info.first_flags.len() < KEPT_ERRORS {
                    info.first_flags.push(note.clone());
                }
            }
        }
        told
    }

    /// What may be told of the sealed lists.
    pub fn sealed_lists(&self) -> impl Iterator<Item = SealedInfo> {
        self.sealed.lists()
    }
}
