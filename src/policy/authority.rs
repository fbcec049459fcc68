//! The order of authority: who may relax whom, as a table and one function of it.
//!
//! Each voice has a [`Rank`] by its cause. [`ORDER`] says of each rank which tier it is of and which
//! ranks it opens when it allows. A block stands unless something that allows and was heard at a
//! rank above opens its rank; within a rank the strongest voice alone counts.
//!
//! What leads round the filter is opened by name: `allow = ["icloud.com"]` is about mail and pictures,
//! and whoever wrote it did not mean the relay at `mask.icloud.com`. So of these two ranks a voice
//! opens only blocks about names no longer than the longest it was heard about.

use super::voice::{Stance, Voice};
use crate::verdict::{Cause, Reason, RewriteTarget, Scope, Tier, Verdict};

/// A place in the order, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// What is never closed.
    Lifeline,
    /// Hotline fingerprints and legal orders.
    Sealed,
    /// The internet is paused.
    Pause,
    /// A name somebody granted for a while.
    GrantedName,
    /// A service somebody granted for a while.
    GrantedService,
    /// The household's own rules.
    Rule,
    /// What closes ways round the filter.
    Bypass,
    /// What schedules and used-up quotas close.
    Closing,
    /// Lists of what no exception for a service reaches.
    Harmful,
    /// Services that the profile takes out of what it blocks.
    OpenService,
    /// Lists and services of the categories that lead round the filter.
    Ways,
    /// Categories, services and allowlists of the profile.
    Category,
    /// Malware, phishing, rebinding.
    Security,
    /// Ads, trackers, and exceptions in subscribed lists.
    Lists,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Whose.
    pub rank: Rank,
    /// Its tier.
    pub tier: Tier,
    /// Who speaks here, for people.
    pub who: &'static str,
    /// Whether voices of this rank may be for.
    pub allows: bool,
    /// Whether voices of this rank may be against.
    pub blocks: bool,
    /// The ranks whose blocks a voice for opens.
    pub opens: &'static [Rank],
    /// Those of which it opens what is no more exact than itself.
    pub opens_by_name: &'static [Rank],
}

/// The order of authority, the highest first.
pub const ORDER: [Row; 14] = {
    use Rank::*;
    const fn allows(rank: Rank, tier: Tier, who: &'static str, opens: &'static [Rank]) -> Row {
        Row {
            rank,
            tier,
            who,
            allows: true,
            blocks: false,
            opens,
            opens_by_name: &[],
        }
    }
    const fn blocks(rank: Rank, tier: Tier, who: &'static str) -> Row {
        Row {
            rank,
            tier,
            who,
            allows: false,
            blocks: true,
            opens: &[],
            opens_by_name: &[],
        }
    }
    const fn both(rank: Rank, tier: Tier, who: &'static str, opens: &'static [Rank]) -> Row {
        Row {
            blocks: true,
            ..allows(rank, tier, who, opens)
        }
    }
    const fn by_name(row: Row, opens_by_name: &'static [Rank]) -> Row {
        Row {
            opens_by_name,
            ..row
        }
    }
    [
        allows(
            Lifeline,
            Tier::Lifeline,
            "lifelines",
            &[
                Sealed,
                Pause,
                GrantedName,
                GrantedService,
                Rule,
                Bypass,
                Closing,
                Harmful,
                OpenService,
                Ways,
                Category,
                Security,
                Lists,
            ],
        ),
        blocks(Sealed, Tier::Sealed, "sealed lists and legal orders"),
        blocks(Pause, Tier::Household, "a pause of the internet"),
        by_name(
            allows(
                GrantedName,
                Tier::Household,
                "a grant of a name",
                &[
                    GrantedService,
                    Rule,
                    Closing,
                    Harmful,
                    OpenService,
                    Category,
                    Security,
                    Lists,
                ],
            ),
            &[Bypass, Ways],
        ),
        // A service is opened for what it is, not for what was put under its names by others.
        by_name(
            allows(
                GrantedService,
                Tier::Household,
                "a grant of a service",
                &[Rule, Closing, Harmful, OpenService, Category, Lists],
            ),
            &[Bypass, Ways],
        ),
        by_name(
            both(
                Rule,
                Tier::Household,
                "rules, for device before profile before household",
                &[Closing, Harmful, OpenService, Category, Security, Lists],
            ),
            &[Bypass, Ways],
        ),
        blocks(Bypass, Tier::ChildSafety, "what closes ways round"),
        blocks(Closing, Tier::ChildSafety, "schedules and used-up quotas"),
        both(
            Harmful,
            Tier::ChildSafety,
            "the category adult, and allowlists",
            &[],
        ),
        by_name(
            allows(
                OpenService,
                Tier::ChildSafety,
                "services the profile unblocks",
                &[Category],
            ),
            &[Ways],
        ),
        both(
            Ways,
            Tier::ChildSafety,
            "the categories `encrypted-dns`, `vpn` and `proxy`, and allowlists",
            &[],
        ),
        // An allowlist says what is suitable, not what is safe.
        both(
            Category,
            Tier::ChildSafety,
            "categories, services and allowlists",
            &[Lists],
        ),
        blocks(Security, Tier::Security, "malware, phishing, rebinding"),
        both(
            Lists,
            Tier::Lists,
            "ads, trackers, exceptions in lists",
            &[],
        ),
    ]
};

/// Categories whose lists no exception for a service opens.
const HARMFUL: [&str; 1] = ["adult"];

/// Categories whose lists name ways round the filter.
const WAYS: [&str; 3] = ["encrypted-dns", "vpn", "proxy"];

/// For each rank a bit for each that it opens.
const OPENS: [u16; ORDER.len()] = {
    let mut opens = [0; ORDER.len()];
    let mut row = 0;
    while row < ORDER.len() {
        opens[row] = bits(ORDER[row].opens);
        row += 1;
    }
    opens
};

/// For each rank a bit for each that it opens by name.
const OPENS_BY_NAME: [u16; ORDER.len()] = {
    let mut opens = [0; ORDER.len()];
    let mut row = 0;
    while row < ORDER.len() {
        opens[row] = bits(ORDER[row].opens_by_name);
        row += 1;
    }
    opens
};

const fn bits(ranks: &[Rank]) -> u16 {
    let (mut bits, mut at) = (0, 0);
    while at < ranks.len() {
        bits |= 1 << ranks[at] as u16;
        at += 1;
    }
    bits
}

impl Rank {
    /// Where a voice with this reason speaks.
    pub fn of(reason: &Reason) -> Self {
        match reason.cause {
            Cause::List { category, .. }
            | Cause::Service { category, .. }
            | Cause::LookAlike { category, .. } => match reason.tier {
                Tier::Lifeline => Self::Lifeline,
                Tier::Sealed => Self::Sealed,
                Tier::Household => Self::Rule,
                Tier::ChildSafety if HARMFUL.contains(&category) => Self::Harmful,
                Tier::ChildSafety if WAYS.contains(&category) => Self::Ways,
                Tier::ChildSafety => Self::Category,
                Tier::Security => Self::Security,
                Tier::Lists => Self::Lists,
            },
            Cause::OpenService { .. } => Self::OpenService,
            Cause::Schedule { .. } | Cause::Quota { .. } => Self::Closing,
            Cause::Grant {
                is_service: false, ..
            } => Self::GrantedName,
            Cause::Grant {
                is_service: true, ..
            } => Self::GrantedService,
            Cause::Pause { .. } => Self::Pause,
            Cause::Rule { .. } => Self::Rule,
            Cause::Canary | Cause::UnusualType | Cause::Tunnel => Self::Bypass,
            Cause::AllowOnly
            | Cause::Unsure { .. }
            | Cause::UnusualName
            | Cause::SafeSearch { .. } => Self::Category,
            Cause::Rebinding => Self::Security,
            Cause::Unlisted | Cause::SpecialUse => Self::Lists,
        }
    }

    /// Its row.
    pub const fn row(self) -> &'static Row {
        &ORDER[self as usize]
    }

    /// Whether something that allows at this rank opens blocks of `other`.
    pub const fn opens(self, other: Self) -> bool {
        OPENS[self as usize] >> other as u16 & 1 == 1
    }

    /// Whether it does so for blocks that are no more exact than itself.
    pub const fn opens_by_name(self, other: Self) -> bool {
        OPENS_BY_NAME[self as usize] >> other as u16 & 1 == 1
    }
}

/// Whether what let a name through also lets through a block at `rank` on what it leads to.
pub(super) fn relaxes(allowed: &Reason, rank: Rank) -> bool {
    let by = Rank::of(allowed);
    // The safe form changes how a name is allowed and opens nothing.
    !matches!(allowed.cause, Cause::Unlisted | Cause::SafeSearch { .. })
        && (by.opens(rank) || by.opens_by_name(rank))
}

/// The voices that may still count, one place for each rank.
#[derive(Debug, Default)]
pub(super) struct Panel {
    strongest: [Option<Voice>; ORDER.len()],
    /// How exact the most exact voice for was, for each rank.
    reach: [u16; ORDER.len()],
    /// A bit for each rank at which somebody spoke.
    heard: u16,
    /// The safe form, which changes how a name is allowed and never opens one.
    rewrite: Option<(RewriteTarget, Reason)>,
}

impl Panel {
    /// Keeps the voice if it is the strongest of its rank so far.
    pub(super) fn hear(&mut self, voice: Voice) {
        if let Some(target) = voice.target {
            self.rewrite = Some((target, voice.reason));
            return;
        }
        let rank = voice.rank();
        self.keep(rank, voice);
        // An allowlist speaks wherever lists of the profile do.
        if rank == Rank::Category && voice.stance == Stance::Allow {
            self.keep(Rank::Harmful, voice);
            self.keep(Rank::Ways, voice);
        }
    }

    fn keep(&mut self, rank: Rank, voice: Voice) {
        if voice.stance == Stance::Allow {
            let reach = &mut self.reach[rank as usize];
            *reach = voice.precision.max(*reach);
        }
        let place = &mut self.strongest[rank as usize];
        if place.is_none_or(|other| outweighs(&voice, &other)) {
            *place = Some(voice);
            self.heard |= 1 << rank as u16;
        }
    }

    /// What the voices come to but for the safe form.
    pub(super) fn without_rewrite(&self) -> Verdict {
        let mut allowed = Reason::UNLISTED;
        let mut opened = 0;
        let mut allowing = 0;
        let mut ranks = self.heard;
        while ranks != 0 {
            let place = ranks.trailing_zeros() as usize;
            ranks &= ranks - 1;
            let (Some(voice), opens) = (&self.strongest[place], OPENS[place]) else {
                continue;
            };
            let rank = voice.rank();
            if voice.stance == Stance::Block {
                let is_opened = opened >> rank as u16 & 1 == 1
                    || self.is_opened_by_name(rank, voice.precision, allowing);
                if !is_opened {
                    return Verdict::Block(voice.reason);
                }
                continue;
            }
            opened |= opens;
            allowing |= 1 << place as u16;
            // Of several, the answer is judged by the first, or by the one that opens most.
            let opens_more = |rank: Rank| rank.opens(Rank::Security);
            let is_first = allowed.cause == Cause::Unlisted;
            if is_first || opens_more(rank) && !opens_more(Rank::of(&allowed)) {
                allowed = voice.reason;
            }
        }
        Verdict::Allow(allowed)
    }

    /// Whether one of the ranks of `allowing` opens a block of `rank` that is so exact.
    fn is_opened_by_name(&self, rank: Rank, precision: u16, allowing: u16) -> bool {
        OPENS_BY_NAME
            .iter()
            .zip(self.reach)
            .enumerate()
            .any(|(above, (opens, reach))| {
                allowing >> above & 1 == 1 && opens >> rank as u16 & 1 == 1 && reach >= precision
            })
    }

    /// What the voices come to.
    pub(super) fn verdict(&self) -> Verdict {
        match (self.without_rewrite(), self.rewrite) {
            // A parent who allows a video site wants the child to see it, in its restricted form:
            // only the setting itself takes the restriction away.
            (Verdict::Allow(allowed), Some((target, reason))) if allowed.tier != Tier::Lifeline => {
                Verdict::Rewrite(target, reason)
            }
            (verdict, _) => verdict,
        }
    }
}

/// Whether `voice` counts more than `other` of the same rank.
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
    use crate::verdict::Trigger;
    use proptest::prelude::*;

    /// A voice of each kind of cause, with what it may say.
    fn voices() -> Vec<Voice> {
        let list = |tier, category| {
            let cause = Cause::List {
                list: "l",
                category,
                labels: 2,
            };
            (tier, cause)
        };
        let rule = |scope| Cause::Rule { scope, rule: "r" };
        let grant = |is_service| Cause::Grant {
            of: "g",
            is_service,
        };
        use Stance::{Allow, Block};
        let kinds = [
            (list(Tier::Lifeline, "lifelines"), &[Allow][..]),
            (list(Tier::Sealed, "sealed"), &[Block]),
            ((Tier::Household, Cause::Pause { by: "p" }), &[Block]),
            ((Tier::Household, grant(false)), &[Allow]),
            ((Tier::Household, grant(true)), &[Allow]),
            ((Tier::Household, rule(Scope::Device)), &[Allow, Block]),
            ((Tier::Household, rule(Scope::Profile)), &[Allow, Block]),
            ((Tier::Household, rule(Scope::Household)), &[Allow, Block]),
            ((Tier::ChildSafety, Cause::Canary), &[Block]),
            (list(Tier::ChildSafety, "vpn"), &[Block]),
            (
                (
                    Tier::ChildSafety,
                    Cause::Schedule {
                        schedule: "s",
                        of: "everything",
                    },
                ),
                &[Block],
            ),
            (
                (
                    Tier::ChildSafety,
                    Cause::Quota {
                        quota: "q",
                        of: "games",
                    },
                ),
                &[Block],
            ),
            (list(Tier::ChildSafety, "adult"), &[Block]),
            (
                (Tier::ChildSafety, Cause::OpenService { service: "s" }),
                &[Allow],
            ),
            (list(Tier::ChildSafety, "games"), &[Allow, Block]),
            ((Tier::ChildSafety, Cause::AllowOnly), &[Block]),
            ((Tier::ChildSafety, Cause::Unsure { list: "l" }), &[Block]),
            ((Tier::ChildSafety, Cause::UnusualName), &[Block]),
            (
                (
                    Tier::ChildSafety,
                    Cause::Service {
                        service: "s",
                        title: "S",
                        category: "games",
                        labels: 2,
                    },
                ),
                &[Block],
            ),
            (list(Tier::Security, "malware"), &[Block]),
            ((Tier::Security, Cause::Rebinding), &[Block]),
            (list(Tier::Lists, "ads"), &[Allow, Block]),
        ];
        let voice = |((tier, cause), stances): &((Tier, Cause), &'static [Stance])| {
            let reason = Reason {
                tier: *tier,
                cause: *cause,
                trigger: Trigger::Qname,
            };
            let one = move |stance: &Stance| Voice {
                stance: *stance,
                reason,
                target: None,
                precision: 4,
                important: false,
            };
            stances.iter().map(one).collect::<Vec<_>>()
        };
        kinds.iter().flat_map(voice).collect()
    }

    fn verdict(voices: &[Voice]) -> Verdict {
        let mut panel = Panel::default();
        voices.iter().for_each(|voice| panel.hear(*voice));
        panel.verdict()
    }

    #[test]
    fn the_table_is_in_order_and_opens_nothing_above() {
        for (place, row) in ORDER.iter().enumerate() {
            assert_eq!(row.rank as usize, place);
            assert_eq!(row.rank.row().who, row.who);
            assert!(row.allows || row.opens.is_empty() && row.opens_by_name.is_empty());
            for opened in row.opens.iter().chain(row.opens_by_name) {
                assert!(*opened > row.rank, "{:?} opens {opened:?}", row.rank);
            }
            assert!(row.opens.iter().all(|it| !row.opens_by_name.contains(it)));
        }
        assert!(ORDER.is_sorted_by_key(|row| row.tier));
        let tiers: Vec<Tier> = ORDER.iter().map(|row| row.tier).collect();
        assert!(Tier::ALL.iter().all(|tier| tiers.contains(tier)));
    }

    /// Whether a voice is about a way round the filter.
    fn is_way_round(voice: &Voice) -> bool {
        let category = |it: &str| ["encrypted-dns", "vpn", "proxy"].contains(&it);
        match voice.reason.cause {
            Cause::Canary | Cause::UnusualType | Cause::Tunnel => true,
            Cause::List { category: of, .. } => category(of),
            _ => false,
        }
    }

    /// What the design says of a voice for and a voice against, in words of its own; where both are
    /// about the same name, unless the one against is about a way round.
    fn may_open(allow: &Voice, block: &Voice) -> bool {
        let (above, below) = (allow.reason, block.reason);
        let is_lifeline = above.tier == Tier::Lifeline;
        if is_way_round(block) && !is_lifeline && allow.precision < block.precision {
            return false;
        }
        let is_rule = |reason: &Reason| matches!(reason.cause, Cause::Rule { .. });
        match (above.tier, below.tier) {
            (Tier::Lifeline, _) => true,
            (_, Tier::Lifeline | Tier::Sealed) => false,
            (Tier::Household, Tier::Household) => match (above.cause, below.cause) {
                (_, Cause::Pause { .. }) => false,
                (Cause::Grant { .. }, _) => true,
                // Of two rules about the same name the nearer scope counts, then the block.
                (Cause::Rule { scope: one, .. }, Cause::Rule { scope: other, .. }) => one < other,
                _ => unreachable!("{above:?} {below:?}"),
            },
            (Tier::Household, Tier::Security) => {
                is_rule(&above)
                    || matches!(above.cause, Cause::Grant { is_service, .. } if !is_service)
            }
            (Tier::Household, _) => true,
            (Tier::ChildSafety, Tier::ChildSafety) => match (above.cause, below.cause) {
                (Cause::OpenService { .. }, Cause::List { category, .. }) => category != "adult",
                (
                    Cause::OpenService { .. },
                    Cause::Service { .. }
                    | Cause::AllowOnly
                    | Cause::UnusualName
                    | Cause::Unsure { .. },
                ) => true,
                // Of an allowlist and a blocklist about the same name, the block counts.
                _ => false,
            },
            // An allowlist opens ads; a service that is open opens its category alone.
            (Tier::ChildSafety, Tier::Lists) => matches!(above.cause, Cause::List { .. }),
            (Tier::Lists, Tier::Lists) => true,
            _ => false,
        }
    }

    #[test]
    fn every_pair_of_voices_comes_to_what_the_design_says() {
        let voices = voices();
        let mut pairs = 0;
        for allow in voices.iter().filter(|voice| voice.stance == Stance::Allow) {
            for block in voices.iter().filter(|voice| voice.stance == Stance::Block) {
                for pair in [[*allow, *block], [*block, *allow]] {
                    let expected = !may_open(allow, block);
                    assert_eq!(
                        verdict(&pair).is_block(),
                        expected,
                        "{} against {}",
                        allow.reason,
                        block.reason
                    );
                    pairs += 1;
                }
            }
        }
        assert_eq!(pairs, 2 * 9 * 18);
    }

    /// `allow = ["icloud.com"]` against the canary `mask.icloud.com`, and the like.
    #[test]
    fn a_way_round_is_opened_by_its_name_alone() {
        let voices = voices();
        let says = |stance| move |voice: &&Voice| voice.stance == stance;
        let mut pairs = 0;
        for allow in voices.iter().filter(says(Stance::Allow)) {
            // An allowlist weighs against a category by the length of names, ways round or not.
            if Rank::of(&allow.reason) == Rank::Category {
                continue;
            }
            for block in voices
                .iter()
                .filter(says(Stance::Block))
                .filter(|it| is_way_round(it))
            {
                for precision in 0..8 {
                    let allow = Voice {
                        precision,
                        ..*allow
                    };
                    let expected = !may_open(&allow, block);
                    for pair in [[allow, *block], [*block, allow]] {
                        assert_eq!(
                            verdict(&pair).is_block(),
                            expected,
                            "{} ({precision}) against {}",
                            allow.reason,
                            block.reason
                        );
                        pairs += 1;
                    }
                }
            }
        }
        assert_eq!(pairs, 2 * 8 * 2 * 8);
    }

    #[test]
    fn the_most_exact_rule_opens_a_way_round_whosever_the_nearest_is() {
        let voices = voices();
        let find = |cause| move |it: &&Voice| it.reason.cause == cause;
        let canary = voices.iter().find(find(Cause::Canary)).unwrap();
        let rule = |scope, stance, precision| {
            let cause = Cause::Rule { scope, rule: "r" };
            let voice = voices.iter().find(find(cause)).unwrap();
            Voice {
                stance,
                precision,
                ..*voice
            }
        };
        let near = rule(Scope::Device, Stance::Allow, 2);
        let exact = rule(Scope::Household, Stance::Allow, 4);
        let against = rule(Scope::Device, Stance::Block, 2);
        assert!(verdict(&[near, *canary]).is_block());
        assert!(!verdict(&[near, exact, *canary]).is_block());
        assert!(verdict(&[against, exact, *canary]).is_block());
    }

    proptest! {
        /// However many speak: the order they are heard in does not matter; a lifeline is never
        /// closed; what is sealed is opened by nothing else; and one more block opens nothing that
        /// was closed but in the lowest tier, whose exceptions it may outweigh.
        #[test]
        fn many_voices_keep_the_order(
            picks in prop::collection::vec((0..27_usize, 0..4_u16), 0..8),
            shift in 0..8_usize,
        ) {
            let all = voices();
            let said: Vec<Voice> = picks
                .iter()
                .map(|(pick, more)| Voice { precision: 2 + more, ..all[pick % all.len()] })
                .collect();
            let one = verdict(&said);
            let mut turned = said.clone();
            turned.rotate_left(shift % said.len().max(1));
            prop_assert_eq!(one.is_block(), verdict(&turned).is_block());
            let has = |rank| said.iter().any(|voice| voice.rank() == rank);
            if has(Rank::Lifeline) {
                prop_assert!(!one.is_block());
            } else if has(Rank::Sealed) || has(Rank::Pause) {
                prop_assert!(one.is_block());
            }
            let blocks = said.iter().any(|voice| voice.stance == Stance::Block);
            prop_assert!(blocks || !one.is_block());
            let opened = said.iter().any(|voice| voice.stance == Stance::Allow);
            prop_assert!(opened || one.is_block() == blocks);
            // The naive model: a block stands unless the strongest voice of a rank above it is for
            // and opens its rank, or the strongest of its own rank is for.
            let strongest = |rank: Rank| {
                let mut best: Option<Voice> = None;
                for voice in said.iter().filter(|voice| {
                    let is_allowlist =
                        voice.rank() == Rank::Category && voice.stance == Stance::Allow;
                    let speaks_too = matches!(rank, Rank::Harmful | Rank::Ways);
                    voice.rank() == rank || speaks_too && is_allowlist
                }) {
                    if best.is_none_or(|best| outweighs(voice, &best)) {
                        best = Some(*voice);
                    }
                }
                best
            };
            // Ways round: if some voice for, of that rank above, is about no shorter a name.
            let is_as_exact = |above: Rank, block: &Voice| {
                let mut all = said.iter().filter(|voice| voice.rank() == above);
                all.any(|it| it.stance == Stance::Allow && it.precision >= block.precision)
            };
            let stands = |row: &Row| {
                let block = strongest(row.rank).filter(|voice| voice.stance == Stance::Block);
                block.is_some_and(|block| {
                    !ORDER.iter().any(|above| {
                        strongest(above.rank).is_some_and(|voice| voice.stance == Stance::Allow)
                            && (above.opens.contains(&row.rank)
                                || above.opens_by_name.contains(&row.rank)
                                    && is_as_exact(above.rank, &block))
                    })
                })
            };
            prop_assert_eq!(one.is_block(), ORDER.iter().any(stands));
        }
    }
}
