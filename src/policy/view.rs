//! What a verdict depends on besides the name.

use std::net::IpAddr;

use super::gate::Gate;
use super::rules::RuleBook;
use super::safe_search::SafeSearch;
use super::voice::{Stance, Voice, precision};
use crate::clock::Moment;
use crate::lists::modifiers::ActionKind;
use crate::lists::{Asker, Effect, Hit, Index, ListInfo, ListKind, Reach};
use crate::name::{Name, NameRef};
use crate::profile::Profile;
use crate::standing::{Marks, Standing};
use crate::verdict::{Cause, Reason, Tier, Trigger};

/// How long a device that must not step round the filter may keep an answer, in seconds. Asking again
/// costs it a millisecond: the answer stays in our cache as long as its owner says.
const KEPT: u32 = 300;

/// All that a verdict depends on besides the name: the lists, the rules, and whose query it is.
#[derive(Clone, Copy, Debug)]
pub struct View<'s> {
    /// All lists.
    pub lists: &'s Index,
    /// The household's own rules of every scope.
    pub rules: &'s RuleBook,
    /// The safe forms of search engines.
    pub safe_search: &'s SafeSearch,
    /// What comes before both.
    pub gate: &'s Gate,
    /// Domains whose answers may point into the home.
    pub private_domains: &'s [Name],
    /// The profile in force.
    pub profile: &'s Profile,
    /// What holds for that profile at this hour.
    pub standing: &'s Standing,
    /// The device, if somebody named it: an index into the snapshot's devices.
    pub device: Option<u16>,
    /// The device's name, for lines of lists that mean one client.
    pub device_name: Option<&'s str>,
    /// The client's address, for the same; none where a device is only spoken of.
    pub client: Option<IpAddr>,
}

impl View<'_> {
    /// Who asks for `qtype`, as lists may tell clients apart.
    const fn asker(&self, qtype: u16) -> Asker<'_> {
        Asker {
            qtype,
            address: self.client,
            device: self.device_name,
            tags: self.profile.tags,
        }
    }

    /// What a line of a list that matches `name` says here, if it speaks at all; `marks` gets what
    /// the standing has to do with the list.
    pub(super) fn voice_of(
        &self,
        hit: &Hit,
        name: NameRef<'_>,
        qtype: u16,
        marks: Option<&mut Marks>,
    ) -> Option<Voice> {
        let list = self.lists.list(hit.list);
        let said = self.stance_of(hit, list);
        let is_marked = || self.standing.is_marked_by(hit.list, list.kind);
        let marks = marks.filter(|_| hit.effect == Effect::Listed && is_marked());
        if said.is_none() && marks.is_none() {
            return None;
        }
        if hit.rule.is_some() {
            let action = self.lists.action(hit);
            // What takes back a rewrite opens nothing, and "only over TCP" closes nothing.
            let is_mute = action == ActionKind::TcpOnly
                || hit.effect == Effect::Excepted && action != ActionKind::Block;
            let asker = self.asker(qtype);
            let allows = matches!(said, Some((Stance::Allow, _)));
            if is_mute
                || !self.lists.applies(hit, name, &asker)
                || allows && self.lists.guesses(hit, &asker)
            {
                return None;
            }
        }
        if let Some(marks) = marks {
            let precision = precision(hit.labels, hit.reach == Reach::Exact);
            self.standing.mark_list(hit.list, precision, marks);
        }
        let (stance, tier) = said?;
        let cause = match list.service {
            None => Cause::List {
                list: list.id,
                category: list.category,
                labels: hit.labels,
            },
            Some(_) if stance == Stance::Allow => Cause::OpenService { service: list.id },
            Some(title) => Cause::Service {
                service: list.id,
                title,
                category: list.category,
                labels: hit.labels,
            },
        };
        Some(Voice {
            stance,
            reason: Reason {
                tier,
                cause,
                trigger: Trigger::Qname,
            },
            target: None,
            precision: precision(hit.labels, hit.reach == Reach::Exact),
            important: hit.important,
        })
    }

    /// Whether a line of `list` is for or against here, and with which weight.
    fn stance_of(&self, hit: &Hit, list: &ListInfo) -> Option<(Stance, Tier)> {
        let blocks = || self.standing.blocks.contains(hit.list);
        match (list.kind, hit.effect) {
            (ListKind::Sealed, Effect::Listed) => Some((Stance::Block, Tier::Sealed)),
            (ListKind::Lifeline, Effect::Listed) => Some((Stance::Allow, Tier::Lifeline)),
            (ListKind::Allow, Effect::Listed) if self.profile.allows.contains(hit.list) => {
                Some((Stance::Allow, Tier::ChildSafety))
            }
            (ListKind::Block, Effect::Listed) if blocks() => Some((Stance::Block, list.tier)),
            (ListKind::Block, Effect::Listed) if self.profile.open_services.contains(hit.list) => {
                Some((Stance::Allow, Tier::ChildSafety))
            }
            (ListKind::Block, Effect::Excepted) if blocks() => Some((Stance::Allow, Tier::Lists)),
            _ => None,
        }
    }

    /// How long a client may keep what it is told at `at`, in seconds: not longer than what holds now,
    /// and where ways round are closed not longer than five minutes. Nobody can take back what a
    /// device was told; so what a parent closes by hand, a pause above all, is closed soon.
    pub fn ttl_ceiling(&self, at: Moment) -> u32 {
        let kept = if self.profile.close_bypass {
            KEPT
        } else {
            u32::MAX
        };
        self.standing.ttl_ceiling(at).min(kept)
    }

    /// Whether the household has resolvers of its own for `name`.
    pub(super) fn is_private(&self, name: NameRef<'_>) -> bool {
        self.private_domains
            .iter()
            .any(|domain| name.is_within(domain.as_ref()))
    }
}
