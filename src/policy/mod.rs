//! Verdicts: on a name, and on what an answer contains.
//!
//! Plain functions of their arguments: no I/O, no clock, nothing that waits. [`survey`] hears every
//! voice about a name; [`judge_name`] keeps the one that counts, `explain` shows them all: the same
//! code. [`judge_answer`] does for an answer what [`judge_name`] does for a question.
//!
//! # The order of authority
//! A voice may only be relaxed by a tier above its own ([`Tier::ALL`], highest first). Within a
//! tier the voice about the longer name counts, and of two about the same name the block; within
//! the household's tier a device's word comes before its profile's, that before the household's.
//! Two things an approving voice of a list does not do: an allowlist says what is suitable, not
//! what is safe, so it does not open what the security tier blocks; and an exception (`@@`) in a
//! subscribed list speaks in the lowest tier whatever the list, so it lifts ads and trackers only.

mod lookalike;
mod resolvers;
mod rules;
mod safe_search;
mod special;
mod tunnel;
mod types;

pub use resolvers::resolvers;
pub use rules::{RuleBook, RuleOwner};
pub use safe_search::{SafeSearch, SafeSearchError};
pub use special::SpecialUse;
pub use tunnel::Tunnels;

use std::net::IpAddr;

use crate::config::WhenUnsure;
use crate::lists::modifiers::ActionKind;
use crate::lists::{Asker, Effect, Hit, Index, ListKind, Reach};
use crate::message::{Fact, rtype};
use crate::name::NameRef;
use crate::profile::Profile;
use crate::verdict::{Cause, Reason, RewriteTarget, Scope, Tier, Trigger, Verdict};

/// All that a verdict depends on besides the name: the lists, the rules, and whose query it is.
#[derive(Clone, Copy, Debug)]
pub struct View<'s> {
    /// All lists.
    pub lists: &'s Index,
    /// The household's own rules of every scope.
    pub rules: &'s RuleBook,
    /// The safe forms of search engines.
    pub safe_search: &'s SafeSearch,
    /// Domains whose answers may point into the home.
    pub private_domains: &'s [crate::name::Name],
    /// The profile that holds now.
    pub profile: &'s Profile,
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
            tags: &[],
        }
    }

    /// What a line of a list that matches `name` says here, if it speaks at all.
    fn voice_of(&self, hit: &Hit, name: NameRef<'_>, qtype: u16) -> Option<Voice> {
        let list = self.lists.list(hit.list);
        let (stance, tier) = match (list.kind, hit.effect) {
            (ListKind::Sealed, Effect::Listed) => (Stance::Block, Tier::Sealed),
            (ListKind::Lifeline, Effect::Listed) => (Stance::Allow, Tier::Lifeline),
            (ListKind::Allow, Effect::Listed) if self.profile.allows.contains(hit.list) => {
                (Stance::Allow, Tier::ChildSafety)
            }
            (ListKind::Block, Effect::Listed) if self.profile.blocks.contains(hit.list) => {
                (Stance::Block, list.tier)
            }
            (ListKind::Block, Effect::Excepted) if self.profile.blocks.contains(hit.list) => {
                (Stance::Allow, Tier::Lists)
            }
            _ => return None,
        };
        if hit.rule.is_some() {
            let action = self.lists.action(hit);
            // What takes back a rewrite opens nothing, and "only over TCP" closes nothing.
            let is_mute = action == ActionKind::TcpOnly
                || hit.effect == Effect::Excepted && action != ActionKind::Block;
            if is_mute || !self.lists.applies(hit, name, &self.asker(qtype)) {
                return None;
            }
        }
        Some(Voice {
            stance,
            reason: Reason {
                tier,
                cause: Cause::List {
                    list: list.id,
                    category: list.category,
                    labels: hit.labels,
                },
                trigger: Trigger::Qname,
            },
            target: None,
            precision: precision(hit.labels, hit.reach == Reach::Exact),
            important: hit.important,
        })
    }

    /// Whether the household has resolvers of its own for `name`.
    fn is_private(&self, name: NameRef<'_>) -> bool {
        self.private_domains
            .iter()
            .any(|domain| name.is_within(domain.as_ref()))
    }
}

/// Whether a voice is for or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// Let it through.
    Allow,
    /// Block it.
    Block,
    /// Answer with the restricted name.
    Rewrite,
}

/// One voice about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// What it says.
    pub stance: Stance,
    /// Its weight and where it comes from.
    pub reason: Reason,
    /// The restricted name, for a rewrite.
    pub target: Option<RewriteTarget>,
    /// How much of the name it is about: labels, doubled, and one more if it means the name alone.
    pub precision: u16,
    /// Whether it comes before exceptions that are not important; heard in the lowest tier only.
    pub important: bool,
}

/// The names by which software asks whether it may use a resolver of its own (Firefox's canary,
/// Apple's private relay, Chrome's prefetch proxy). They must be answered "no such name"; a null address would mean yes.
const CANARIES: [&[u8]; 6] = [
    b"\x13use-application-dns\x03net\x00",
    b"\x04mask\x06icloud\x03com\x00",
    b"\x07mask-h2\x06icloud\x03com\x00",
    b"\x08mask-api\x06icloud\x03com\x00",
    b"\x04mask\x09apple-dns\x03net\x00",
    b"\x10dns-tunnel-check\x09googlezip\x03net\x00",
];

/// Whether `name` is one by which software asks whether it may use a resolver of its own; such a
/// name must never be answered with an address.
pub fn is_canary(name: NameRef<'_>) -> bool {
    CANARIES.contains(&name.as_wire())
}

/// Judges a question: may `name` be asked for records of `qtype` by the one whose `view` this is?
pub fn judge_name(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Verdict {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| panel.hear(voice));
    panel.verdict()
}

/// What lets `name` through when its safe form does not count: the reason to judge the answer of a
/// rewritten name by, so that a parent's rule reaches what stands behind the safe form too.
pub fn reason_to_allow(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Reason {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| panel.hear(voice));
    panel.rewrite = None;
    panel.verdict().reason()
}

/// Judges an answer to a question for `qtype` that `allowed` let through: every alias, address,
/// service target and hint in it like the question itself.
pub fn judge_answer(
    name: NameRef<'_>,
    qtype: u16,
    facts: &[Fact],
    allowed: Reason,
    view: &View<'_>,
) -> Verdict {
    for fact in facts {
        let target = |target: NameRef<'_>, trigger| judge_target(target, qtype, trigger, view);
        let address = |address, trigger| judge_address(name, qtype, address, trigger, view);
        let verdict = match fact {
            Fact::Cname(name) => target(name.as_ref(), Trigger::Cname),
            Fact::SvcbTarget(name) => target(name.as_ref(), Trigger::SvcbTarget),
            Fact::Address(found) => address(*found, Trigger::Address),
            Fact::SvcbHint(found) => address(*found, Trigger::SvcbHint),
        };
        if let Some(reason) = verdict.filter(|reason| !relaxes(allowed, reason.tier)) {
            return Verdict::Block(reason);
        }
    }
    Verdict::Allow(allowed)
}

/// Whether what let a name through also lets through a block of `tier` on what it leads to.
const fn relaxes(allowed: Reason, tier: Tier) -> bool {
    match allowed.cause {
        Cause::Unlisted | Cause::SafeSearch { .. } => false,
        // An allowlist says what is suitable, not what is safe.
        Cause::List { .. } if !matches!(allowed.tier, Tier::Lifeline) => {
            matches!(allowed.tier, Tier::ChildSafety) && matches!(tier, Tier::Lists)
        }
        _ => (allowed.tier as u8) < (tier as u8),
    }
}

/// What is against a name that an answer leads to. Only what speaks about the name itself counts:
/// that it is missing from an allowlist is no reason, since the alias was not the child's choice.
fn judge_target(
    name: NameRef<'_>,
    qtype: u16,
    trigger: Trigger,
    view: &View<'_>,
) -> Option<Reason> {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| {
        let about_the_name = matches!(voice.reason.cause, Cause::List { .. } | Cause::Rule { .. });
        if about_the_name {
            panel.hear(voice);
        }
    });
    match panel.verdict() {
        Verdict::Block(reason) => Some(Reason { trigger, ..reason }),
        Verdict::Allow(_) | Verdict::Rewrite(..) => None,
    }
}

/// What is against an address in the answer for `name`: a list that names it; and a public name
/// must not point into the home, or a web page could reach the router behind the family's back (DNS
/// rebinding).
fn judge_address(
    name: NameRef<'_>,
    qtype: u16,
    address: IpAddr,
    trigger: Trigger,
    view: &View<'_>,
) -> Option<Reason> {
    let mut panel = Panel::default();
    view.lists.look_up_address(address, |hit| {
        // What the household's own resolvers say of its own names is nobody else's business.
        if view.is_private(name) {
            return;
        }
        if let Some(voice) = view.voice_of(&hit, name, qtype) {
            panel.hear(voice);
        }
    });
    if view.profile.close_bypass && resolvers::is_resolver(address) && !view.is_private(name) {
        panel.hear(Voice {
            stance: Stance::Block,
            reason: Reason {
                tier: Tier::ChildSafety,
                cause: Cause::List {
                    list: resolvers::LIST,
                    category: resolvers::CATEGORY,
                    labels: 0,
                },
                trigger,
            },
            target: None,
            precision: 0,
            important: false,
        });
    }
    let at_home = view.profile.block_rebinding && points_inside(address) && !view.is_private(name);
    let listed = match panel.verdict() {
        Verdict::Block(reason) => Some(Reason { trigger, ..reason }),
        Verdict::Allow(_) | Verdict::Rewrite(..) => None,
    };
    // Both may speak; the weightier one cannot be relaxed where the other could.
    let rebinding = at_home.then_some(Reason {
        tier: Tier::Security,
        cause: Cause::Rebinding,
        trigger,
    });
    match (listed, rebinding) {
        (Some(listed), Some(rebinding)) if rebinding.tier < listed.tier => Some(rebinding),
        (Some(listed), _) => Some(listed),
        (None, rebinding) => rebinding,
    }
}

/// Whether `address` is one that only means something inside a home or a machine.
fn points_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || first == 100 && second & 0xc0 == 64
                // 0.0.0.0 is how others say "blocked"; the rest of its network is "this host".
                || first == 0 && !v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            // IPv4 addresses in IPv6 clothes: mapped and compatible (RFC 4291), the translation
            // prefixes (RFC 6052, RFC 8215), 6to4 (RFC 3056).
            let embedded = match v6.segments() {
                [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
                | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
                | [0x64, 0xff9b, 1, _, _, _, high, low]
                | [0x2002, high, low, ..]
                    if (high, low) != (0, 0) && (high, low) != (0, 1) =>
                {
                    Some(u32::from(high) << 16 | u32::from(low))
                }
                _ => None,
            };
            // Site-local addresses were withdrawn (RFC 3879) and still lead nowhere but home.
            let is_site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
            embedded.is_some_and(|v4| points_inside(IpAddr::V4(v4.into())))
                || v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || is_site_local
        }
    }
}

/// Hears every voice about `name`, in no particular order.
pub fn survey(name: NameRef<'_>, qtype: u16, view: &View<'_>, mut each: impl FnMut(Voice)) {
    let profile = view.profile;
    view.rules.survey(name, profile.id, view.device, &mut each);
    let mut on_allowlist = false;
    view.lists.look_up(name, |hit| {
        if let Some(voice) = view.voice_of(&hit, name, qtype) {
            on_allowlist |= voice.stance == Stance::Allow && voice.reason.tier == Tier::ChildSafety;
            each(voice);
        }
    });
    if profile.ways_round.look_alikes
        && let Some(voice) = against_look_alike(name, qtype, view)
    {
        each(voice);
    }
    let mut child_safety = |stance, cause, target, precision| {
        each(Voice {
            stance,
            reason: Reason {
                tier: Tier::ChildSafety,
                cause,
                trigger: Trigger::Qname,
            },
            target,
            precision,
            important: false,
        });
    };
    if profile.close_bypass && is_canary(name) {
        child_safety(Stance::Block, Cause::Canary, None, u16::MAX);
    }
    if profile.ways_round.unusual_types && types::is_unusual(name, qtype) {
        child_safety(Stance::Block, Cause::UnusualType, None, u16::MAX);
    }
    // The safe form stands in where addresses are asked for; mail and text records are not search.
    let leads_to_addresses = matches!(
        qtype,
        rtype::A | rtype::AAAA | rtype::HTTPS | rtype::SVCB | rtype::ANY
    );
    if let Some((engine, target)) = view
        .safe_search
        .find(name, profile.safe_search, profile.youtube)
        .filter(|_| leads_to_addresses)
    {
        let cause = Cause::SafeSearch { engine };
        child_safety(Stance::Rewrite, cause, Some(target), u16::MAX);
    }
    // What is at home is no part of the web that an allowlist chooses from.
    let at_home = || SpecialUse::of(name).is_some() || view.is_private(name);
    // What only proves or describes the network opens no site: signatures' keys (RFC 4035) and the
    // name by which a device learns of NAT64 (RFC 7050).
    let is_plumbing =
        matches!(qtype, rtype::DS | rtype::DNSKEY) || name.as_wire() == b"\x08ipv4only\x04arpa\x00";
    let unlisted = !on_allowlist && (profile.allow_only || profile.missing_list.is_some());
    if !unlisted || is_plumbing || at_home() {
        return;
    }
    if profile.allow_only {
        child_safety(Stance::Block, Cause::AllowOnly, None, 0);
    }
    if let Some(list) = profile
        .missing_list
        .filter(|_| profile.when_unsure == WhenUnsure::Block)
    {
        child_safety(Stance::Block, Cause::Unsure { list }, None, 0);
    }
}

/// What speaks against a name in another script that looks like a blocked one.
fn against_look_alike(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Option<Voice> {
    let plain = lookalike::plain_form(name)?;
    let plain = plain.as_ref();
    let mut panel = Panel::default();
    let (profile, device) = (view.profile.id, view.device);
    view.rules
        .survey(plain, profile, device, &mut |voice| panel.hear(voice));
    view.lists.look_up(plain, |hit| {
        if let Some(voice) = view.voice_of(&hit, plain, qtype) {
            panel.hear(voice);
        }
    });
    let Verdict::Block(reason) = panel.verdict() else {
        return None;
    };
    let (of, category) = match reason.cause {
        // A sealed list is about its own names and gives nothing else away.
        _ if reason.tier == Tier::Sealed => return None,
        Cause::List { list, category, .. } => (list, category),
        Cause::Rule { rule, .. } => (rule, "rule"),
        _ => return None,
    };
    Some(Voice {
        stance: Stance::Block,
        reason: Reason {
            // A rule about the very name comes before what another name is.
            tier: reason.tier.max(Tier::ChildSafety),
            cause: Cause::LookAlike { of, category },
            trigger: Trigger::Qname,
        },
        target: None,
        precision: 0,
        important: false,
    })
}

/// See [`Voice::precision`].
pub(crate) fn precision(labels: u8, name_alone: bool) -> u16 {
    u16::from(labels) * 2 + u16::from(name_alone)
}

/// The voices that may still count, one place for each tier.
#[derive(Default)]
struct Panel {
    strongest: [Option<Voice>; Tier::ALL.len()],
    /// The safe form, which changes how a name is allowed and never opens one.
    rewrite: Option<(RewriteTarget, Reason)>,
}

impl Panel {
    /// Keeps the voice if it is the strongest of its tier so far.
    fn hear(&mut self, voice: Voice) {
        if let Some(target) = voice.target {
            self.rewrite = Some((target, voice.reason));
            return;
        }
        let place = &mut self.strongest[voice.reason.tier as usize];
        if place.is_none_or(|other| outweighs(&voice, &other)) {
            *place = Some(voice);
        }
    }

    /// What the voices come to.
    fn verdict(&self) -> Verdict {
        let mut allowed = Reason::UNLISTED;
        for voice in self.strongest.iter().flatten() {
            let reason = voice.reason;
            if voice.stance == Stance::Block {
                if !relaxes(allowed, reason.tier) {
                    return Verdict::Block(reason);
                }
            } else if allowed.cause == Cause::Unlisted {
                allowed = reason;
            }
        }
        match self.rewrite {
            // A parent who allows a video site wants the child to see it, in its restricted form:
            // only the setting itself takes the restriction away.
            Some((target, reason)) if allowed.tier != Tier::Lifeline => {
                Verdict::Rewrite(target, reason)
            }
            _ => Verdict::Allow(allowed),
        }
    }
}

/// Whether `voice` counts more than `other` of the same tier.
fn outweighs(voice: &Voice, other: &Voice) -> bool {
    let scope = |voice: &Voice| match voice.reason.cause {
        Cause::Rule { scope, .. } => scope,
        _ => Scope::Household,
    };
    let is_block = |voice: &Voice| voice.stance == Stance::Block;
    if voice.reason.tier == Tier::Lists {
        // An exception takes back what lists of this tier say, however precise, unless the line is
        // important and the exception is not (adblock syntax).
        let rank = |voice: &Voice| (voice.important, !is_block(voice), voice.precision);
        return rank(voice) > rank(other);
    }
    scope(other)
        .cmp(&scope(voice))
        .then(voice.precision.cmp(&other.precision))
        .then(is_block(voice).cmp(&is_block(other)))
        .is_gt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, BlockAnswer, Pattern, Privacy, Rule, Rules, Youtube};
    use crate::lists::{Entry, IndexBuilder, ListFormat, ListInfo, Reach};
    use crate::name::{Name, NameBuf};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn list(
        builder: &mut IndexBuilder,
        id: &'static str,
        kind: ListKind,
        tier: Tier,
        lines: &[&str],
    ) {
        let entries = lines.iter().zip(1..).map(|(line, number)| {
            let (text, effect) = match line.strip_prefix("@@") {
                Some(text) => (text, Effect::Excepted),
                None => (*line, Effect::Listed),
            };
            let entry = Entry {
                name: name(text),
                reach: Reach::Subtree,
                effect,
                modifiers: None,
            };
            (number, entry)
        });
        builder
            .add_list(ListInfo::new(id, id, kind, tier), entries)
            .unwrap();
    }

    fn rules(allow: &[&str], block: &[&str]) -> Rules {
        let read = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| Rule {
                    text: (*line).to_owned(),
                    written_in: None,
                    pattern: match line.strip_prefix('=') {
                        Some(exact) => Pattern::Exact(name(exact)),
                        None if line.contains('*') => Pattern::Glob((*line).to_owned()),
                        None => Pattern::Subtree(name(line)),
                    },
                })
                .collect()
        };
        Rules {
            allow: read(allow),
            block: read(block),
        }
    }

    struct Home {
        lists: Index,
        rules: RuleBook,
        safe_search: SafeSearch,
        profile: Profile,
    }

    impl Home {
        fn new(change: impl FnOnce(&mut config::Profile), owned: &[(RuleOwner, Rules)]) -> Self {
            let mut builder = IndexBuilder::new();
            let b = &mut builder;
            list(
                b,
                "lifelines",
                ListKind::Lifeline,
                Tier::Lifeline,
                &["help.example"],
            );
            list(
                b,
                "adult",
                ListKind::Block,
                Tier::ChildSafety,
                &[
                    "help.example",
                    "bad.example",
                    "wide.example",
                    "cdn.bad.example",
                    "@@trick.example",
                ],
            );
            list(
                b,
                "malware",
                ListKind::Block,
                Tier::Security,
                &["virus.example", "games.example"],
            );
            list(
                b,
                "ads",
                ListKind::Block,
                Tier::Lists,
                &[
                    "ads.example",
                    "@@ok.ads.example",
                    "@@bad.example",
                    "@@virus.example",
                    "fonts.example",
                ],
            );
            list(
                b,
                "children",
                ListKind::Allow,
                Tier::ChildSafety,
                &["games.example", "kids.wide.example", "fonts.example"],
            );
            let lists = builder.build();
            let mut profile = Self::profile();
            change(&mut profile);
            Self {
                profile: Profile::compile(0, &profile, &lists),
                lists,
                rules: RuleBook::new(owned.iter().map(|(owner, rules)| (*owner, rules))),
                safe_search: SafeSearch::embedded().unwrap(),
            }
        }

        fn profile() -> config::Profile {
            config::Profile {
                name: "mia".to_owned(),
                preset: "schoolchild".to_owned(),
                lineage: vec![],
                block_categories: ["adult", "malware", "ads"].map(str::to_owned).to_vec(),
                block_lists: vec![],
                allow_lists: vec![],
                allow_only: false,
                rules: Rules::default(),
                safe_search: false,
                block_unsafe_search: false,
                youtube: Youtube::Off,
                close_bypass: false,
                block_rebinding: true,
                pinned_egress: false,
                block_answer: BlockAnswer::Null,
                when_unsure: WhenUnsure::Allow,
                privacy: Privacy::Names,
                block_ttl: 10,
                ways_round: config::WaysRound::default(),
                speech: config::Speech::default(),
                closings: vec![],
                quotas: vec![],
                when_clock_unset: config::WhenClockUnset::Close,
            }
        }

        fn view(&self) -> View<'_> {
            View {
                lists: &self.lists,
                rules: &self.rules,
                safe_search: &self.safe_search,
                private_domains: &[],
                profile: &self.profile,
                device: Some(0),
                device_name: None,
                client: None,
            }
        }

        fn judge(&self, text: &str) -> String {
            let verdict = judge_name(name(text).as_ref(), rtype::A, &self.view());
            format!("{}: {}", verdict.label(), verdict.reason().label())
        }

        fn judge_facts(&self, asked: &str, facts: &[Fact]) -> Verdict {
            let asked = name(asked);
            let verdict = judge_name(asked.as_ref(), rtype::A, &self.view());
            judge_answer(
                asked.as_ref(),
                rtype::A,
                facts,
                verdict.reason(),
                &self.view(),
            )
        }
    }

    #[test]
    fn each_tier_yields_to_those_above_it_only() {
        let home = Home::new(|_| {}, &[]);
        for (text, expected) in [
            ("www.help.example", "allow: lifelines"),
            ("www.bad.example", "block: adult"),
            ("virus.example", "block: malware"),
            ("ads.example", "block: ads"),
            ("ok.ads.example", "allow: ads"),
            ("open.example", "allow: unlisted"),
        ] {
            assert_eq!(home.judge(text), expected, "{text}");
        }
    }

    #[test]
    fn the_households_word_opens_what_lists_close_but_closes_no_lifeline() {
        let everybody = rules(
            &["bad.example", "virus.example"],
            &["help.example", "open.example"],
        );
        let home = Home::new(|_| {}, &[(RuleOwner::Household, everybody)]);
        for (text, expected) in [
            ("help.example", "allow: lifelines"),
            ("www.bad.example", "allow: rule"),
            ("virus.example", "allow: rule"),
            ("www.open.example", "block: rule"),
        ] {
            assert_eq!(home.judge(text), expected, "{text}");
        }
    }

    #[test]
    fn a_device_speaks_before_its_profile_and_that_before_the_household() {
        let owned = [
            (
                RuleOwner::Household,
                rules(&[], &["one.example", "two.example", "=www.three.example"]),
            ),
            (
                RuleOwner::Profile(0),
                rules(&["one.example"], &["two.example"]),
            ),
            (RuleOwner::Profile(1), rules(&["bad.example"], &[])),
            (RuleOwner::Device(0), rules(&["two.example"], &[])),
            (RuleOwner::Device(1), rules(&["bad.example"], &[])),
        ];
        let home = Home::new(|_| {}, &owned);
        for (text, expected) in [
            ("one.example", "allow: rule"),
            ("two.example", "allow: rule"),
            ("bad.example", "block: adult"),
            ("www.three.example", "block: rule"),
            ("three.example", "allow: unlisted"),
            ("a.www.three.example", "allow: unlisted"),
        ] {
            assert_eq!(home.judge(text), expected, "{text}");
        }
    }

    #[test]
    fn in_one_scope_the_longer_name_counts() {
        let everybody = rules(
            &["school.wide.example", "cdn*.glob.example"],
            &["wide.example", "glob.example"],
        );
        let home = Home::new(|_| {}, &[(RuleOwner::Household, everybody)]);
        assert_eq!(home.judge("a.school.wide.example"), "allow: rule");
        assert_eq!(home.judge("a.wide.example"), "block: rule");
        assert_eq!(
            home.judge("cdn7.glob.example"),
            "block: rule",
            "a tie is a block"
        );
    }

    #[test]
    fn allow_only_opens_the_allowlist_and_nothing_else() {
        let young = |profile: &mut config::Profile| {
            profile.allow_only = true;
            profile.allow_lists = vec!["children".to_owned()];
        };
        let home = Home::new(
            young,
            &[(RuleOwner::Household, rules(&["open.example"], &[]))],
        );
        for (text, expected) in [
            ("fonts.example", "allow: children"),
            ("kids.wide.example", "allow: children"),
            ("open.example", "allow: rule"),
            ("help.example", "allow: lifelines"),
            ("other.example", "block: allow-only"),
            ("wide.example", "block: adult"),
            ("games.example", "block: malware"),
            ("www.google.com", "block: allow-only"),
        ] {
            assert_eq!(home.judge(text), expected, "{text}");
        }
    }

    #[test]
    fn an_exception_in_a_list_opens_ads_and_nothing_more() {
        let home = Home::new(|_| {}, &[]);
        assert_eq!(home.judge("bad.example"), "block: adult");
        assert_eq!(home.judge("virus.example"), "block: malware");
    }

    #[test]
    fn the_safe_form_changes_an_allow_and_opens_nothing() {
        let strict = |profile: &mut config::Profile| {
            profile.safe_search = true;
            profile.youtube = Youtube::Strict;
        };
        let home = Home::new(
            strict,
            &[(RuleOwner::Household, rules(&["youtube.com"], &["bing.com"]))],
        );
        assert_eq!(home.judge("www.google.de"), "rewrite: safe-search");
        assert_eq!(home.judge("www.youtube.com"), "rewrite: safe-search");
        assert_eq!(home.judge("www.bing.com"), "block: rule");
        let view = home.view();
        let mail = judge_name(name("google.de").as_ref(), 15, &view);
        assert_eq!(mail, Verdict::Allow(Reason::UNLISTED), "mail is not search");
    }

    #[test]
    fn a_rule_reaches_what_stands_behind_the_safe_form() {
        let safe = |profile: &mut config::Profile| profile.safe_search = true;
        let behind = [Fact::Cname(name("x.bad.example"))];
        let asked = name("www.bing.com");
        for (allow, blocked) in [(&["bing.com"][..], false), (&[], true)] {
            let home = Home::new(safe, &[(RuleOwner::Household, rules(allow, &[]))]);
            let view = home.view();
            let verdict = judge_name(asked.as_ref(), rtype::A, &view);
            assert_eq!(verdict.label(), "rewrite");
            let allowed = reason_to_allow(asked.as_ref(), rtype::A, &view);
            let verdict = judge_answer(asked.as_ref(), rtype::A, &behind, allowed, &view);
            assert_eq!(verdict.is_block(), blocked);
        }
    }

    /// A household with a list of adblock and RPZ lines.
    fn home_with(lines: &str, addresses: &str) -> Home {
        let mut items = Vec::new();
        for (format, text) in [(ListFormat::Adblock, lines), (ListFormat::Rpz, addresses)] {
            for line in text.lines() {
                format.read_line(line.as_bytes(), &mut items).unwrap();
            }
        }
        let mut home = Home::new(|_| {}, &[]);
        let mut builder = IndexBuilder::new();
        let info = ListInfo::new("l", "ads", ListKind::Block, Tier::Lists);
        builder.add_list(info, (1..).zip(items)).unwrap();
        home.lists = builder.build();
        let profile = &config::Profile {
            block_lists: vec!["l".to_owned()],
            ..Home::profile()
        };
        home.profile = Profile::compile(0, profile, &home.lists);
        home
    }

    #[test]
    fn what_an_answer_leads_to_is_judged_by_the_type_that_was_asked_for() {
        let home = home_with(
            "||alias.example^$dnstype=AAAA\n||service.example^$dnstype=HTTPS",
            "",
        );
        let asked = name("a.example");
        for (qtype, alias, service) in [
            (rtype::A, false, false),
            (rtype::AAAA, true, false),
            (rtype::HTTPS, false, true),
        ] {
            for (fact, expected) in [
                (Fact::Cname(name("x.alias.example")), alias),
                (Fact::SvcbTarget(name("service.example")), service),
            ] {
                let facts = std::slice::from_ref(&fact);
                let view = home.view();
                let verdict = judge_answer(asked.as_ref(), qtype, facts, Reason::UNLISTED, &view);
                assert_eq!(verdict.is_block(), expected, "{qtype} {fact:?}");
            }
        }
    }

    #[test]
    fn what_the_households_own_resolvers_say_of_its_names_is_no_lists_business() {
        let home = home_with("", "32.1.113.0.203.rpz-ip CNAME .");
        let private = [name("home.example")];
        let facts = [Fact::Address("203.0.113.1".parse().unwrap())];
        for (asked, expected) in [
            ("www.example.org", true),
            ("nas.home.example", false),
            ("home.example", false),
            ("nothome.example", true),
        ] {
            let asked = name(asked);
            let view = View {
                private_domains: &private,
                ..home.view()
            };
            let verdict = judge_answer(asked.as_ref(), rtype::A, &facts, Reason::UNLISTED, &view);
            assert_eq!(verdict.is_block(), expected, "{}", asked.as_ref());
        }
    }

    #[test]
    fn an_answer_is_judged_like_the_question() {
        let home = Home::new(
            |_| {},
            &[(RuleOwner::Household, rules(&["mine.example"], &[]))],
        );
        let cname = |text: &str| Fact::Cname(name(text));
        let service = |text: &str| Fact::SvcbTarget(name(text));
        let address = |text: &str| Fact::Address(text.parse().unwrap());
        for (asked, fact, blocked_by) in [
            ("a.example", cname("x.bad.example"), Some(Tier::ChildSafety)),
            (
                "a.example",
                service("x.bad.example"),
                Some(Tier::ChildSafety),
            ),
            ("a.example", cname("ads.example"), Some(Tier::Lists)),
            ("a.example", cname("fine.example"), None),
            ("mine.example", cname("x.bad.example"), None),
            ("help.example", cname("x.bad.example"), None),
            ("a.example", address("192.168.1.1"), Some(Tier::Security)),
            (
                "a.example",
                address("::ffff:10.0.0.1"),
                Some(Tier::Security),
            ),
            (
                "a.example",
                address("64:ff9b::7f00:1"),
                Some(Tier::Security),
            ),
            ("a.example", address("fe80::1"), Some(Tier::Security)),
            ("a.example", address("::1"), Some(Tier::Security)),
            ("a.example", address("::192.168.1.1"), Some(Tier::Security)),
            (
                "a.example",
                address("2002:c0a8:101::1"),
                Some(Tier::Security),
            ),
            (
                "a.example",
                address("64:ff9b:1::c0a8:101"),
                Some(Tier::Security),
            ),
            ("a.example", address("fec0::1"), Some(Tier::Security)),
            ("a.example", address("2002:cb00:7101::1"), None),
            ("a.example", address("::"), None),
            ("a.example", address("100.64.3.2"), Some(Tier::Security)),
            (
                "a.example",
                Fact::SvcbHint("127.0.0.1".parse().unwrap()),
                Some(Tier::Security),
            ),
            ("a.example", address("0.0.0.0"), None),
            ("a.example", address("203.0.113.1"), None),
            ("mine.example", address("192.168.1.1"), None),
        ] {
            let verdict = home.judge_facts(asked, std::slice::from_ref(&fact));
            let tier = verdict.is_block().then(|| verdict.reason().tier);
            assert_eq!(tier, blocked_by, "{asked} {fact:?}");
        }
    }

    #[test]
    fn canaries_are_answered_only_where_ways_round_are_closed() {
        let closed = Home::new(|profile| profile.close_bypass = true, &[]);
        let open = Home::new(|_| {}, &[]);
        assert_eq!(CANARIES.len(), 6);
        for canary in CANARIES {
            let (buf, _) = NameBuf::read_wire(canary).unwrap();
            assert_eq!(closed.judge(&buf.to_string()), "block: canary");
            assert_eq!(open.judge(&buf.to_string()), "allow: unlisted");
        }
    }

    #[test]
    fn a_name_that_looks_like_a_blocked_one_is_blocked_for_that_reason() {
        let closing = config::WaysRound {
            look_alikes: true,
            ..config::WaysRound::default()
        };
        let owned = [(
            RuleOwner::Household,
            rules(
                &["xn--bd-mia.example", "open.virus.example"],
                &["school.example"],
            ),
        )];
        let closed = Home::new(|profile| profile.ways_round = closing, &owned);
        let open = Home::new(|_| {}, &owned);
        for (asked, expected) in [
            // `bаd`, `vіrus`, `ѕсhооl`, each with Cyrillic letters.
            ("www.xn--bd-7kc.example", "block: look-alike"),
            ("xn--vrus-l9d.example", "block: look-alike"),
            ("xn--hl-fmcam3j.example", "block: look-alike"),
            // What the household opens itself, and what looks like something that is open.
            ("xn--bd-mia.example", "allow: rule"),
            ("xn--fne-rma.example", "allow: unlisted"),
            ("bad.example", "block: adult"),
        ] {
            assert_eq!(closed.judge(asked), expected, "{asked}");
            if expected.ends_with("look-alike") {
                assert_eq!(open.judge(asked), "allow: unlisted", "{asked}");
            }
        }
        let asked = name("www.xn--bd-7kc.example");
        let verdict = judge_name(asked.as_ref(), rtype::A, &closed.view());
        assert_eq!(
            verdict.reason().to_string(),
            "looks like a name that is blocked: adult (adult)"
        );
    }

    #[test]
    fn a_name_that_points_to_a_public_resolver_is_blocked_where_ways_round_are_closed() {
        let closed = Home::new(|profile| profile.close_bypass = true, &[]);
        let open = Home::new(|_| {}, &[]);
        let facts = [Fact::SvcbHint("9.9.9.9".parse().unwrap())];
        let verdict = closed.judge_facts("mine.example", &facts);
        assert!(verdict.is_block());
        assert_eq!(
            verdict.reason().to_string(),
            "encrypted-dns (list resolver-addresses), found in the answer (svcb-hint)"
        );
        assert!(!open.judge_facts("mine.example", &facts).is_block());
        assert!(!closed.judge_facts("help.example", &facts).is_block());
    }

    #[test]
    fn unusual_types_are_closed_by_their_switch() {
        let closing = config::WaysRound {
            unusual_types: true,
            ..config::WaysRound::default()
        };
        let closed = Home::new(|profile| profile.ways_round = closing, &[]);
        let asked = name("t.example");
        let verdict = |qtype, home: &Home| judge_name(asked.as_ref(), qtype, &home.view()).label();
        assert_eq!(verdict(10, &closed), "block");
        assert_eq!(verdict(65_399, &closed), "block");
        assert_eq!(verdict(16, &closed), "allow");
        assert_eq!(verdict(10, &Home::new(|_| {}, &[])), "allow");
        let asked = name("help.example");
        let verdict = judge_name(asked.as_ref(), 10, &closed.view());
        assert_eq!(verdict.label(), "allow", "a lifeline stays open");
    }

    /// The household's allow, a category block, malware and ads for the same name, in all
    /// combinations: the highest tier that speaks decides.
    #[test]
    fn all_combinations_of_tiers_obey_the_order() {
        let mut cases = 0;
        for set in 0..32_u8 {
            let has = |bit: u8| set >> bit & 1 == 1;
            let mut builder = IndexBuilder::new();
            let listed: &[&str] = &["x.example"];
            let empty: &[&str] = &[];
            for (bit, id, kind, tier) in [
                (0, "life", ListKind::Lifeline, Tier::Lifeline),
                (2, "adult", ListKind::Block, Tier::ChildSafety),
                (3, "malware", ListKind::Block, Tier::Security),
                (4, "ads", ListKind::Block, Tier::Lists),
            ] {
                list(
                    &mut builder,
                    id,
                    kind,
                    tier,
                    if has(bit) { listed } else { empty },
                );
            }
            let allow = if has(1) {
                rules(listed, &[])
            } else {
                Rules::default()
            };
            let mut home = Home::new(|_| {}, &[(RuleOwner::Household, allow)]);
            home.lists = builder.build();
            let config = config::Profile {
                block_categories: ["adult", "malware", "ads"].map(str::to_owned).to_vec(),
                ..profile_like(&home.profile)
            };
            home.profile = Profile::compile(0, &config, &home.lists);
            let expected = match (0..5).find(|&bit| has(bit)) {
                None => "allow: unlisted",
                Some(0) => "allow: life",
                Some(1) => "allow: rule",
                Some(2) => "block: adult",
                Some(3) => "block: malware",
                Some(_) => "block: ads",
            };
            assert_eq!(home.judge("x.example"), expected, "{set:05b}");
            cases += 1;
        }
        assert_eq!(cases, 32);
    }

    fn profile_like(profile: &Profile) -> config::Profile {
        config::Profile {
            name: profile.name.to_owned(),
            preset: profile.preset.to_owned(),
            lineage: vec![],
            block_categories: vec![],
            block_lists: vec![],
            allow_lists: vec![],
            allow_only: profile.allow_only,
            rules: Rules::default(),
            safe_search: profile.safe_search,
            block_unsafe_search: false,
            youtube: profile.youtube,
            close_bypass: profile.close_bypass,
            block_rebinding: profile.block_rebinding,
            pinned_egress: profile.pinned_egress,
            block_answer: profile.block_answer.clone(),
            when_unsure: profile.when_unsure,
            privacy: profile.privacy,
            block_ttl: profile.block_ttl,
            ways_round: profile.ways_round,
            speech: config::Speech::default(),
            closings: vec![],
            quotas: vec![],
            when_clock_unset: config::WhenClockUnset::Close,
        }
    }
}
