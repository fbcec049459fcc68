//! The order against the words of the design, pair by pair and at random.

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
        ((Tier::ChildSafety, Cause::Unreadable), &[Block]),
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
            is_rule(&above) || matches!(above.cause, Cause::Grant { is_service, .. } if !is_service)
        }
        (Tier::Household, _) => true,
        (Tier::ChildSafety, Tier::ChildSafety) => match (above.cause, below.cause) {
            (Cause::OpenService { .. }, Cause::List { category, .. }) => category != "adult",
            (
                Cause::OpenService { .. },
                Cause::Service { .. }
                | Cause::AllowOnly
                | Cause::UnusualName
                | Cause::Unreadable
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
    assert_eq!(pairs, 2 * 9 * 19);
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
