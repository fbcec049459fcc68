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
            | Cause::Unreadable
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
        // Of most names nobody speaks.
        if self.heard == 0 && self.rewrite.is_none() {
            return Verdict::Allow(Reason::UNLISTED);
        }
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
mod tests;
