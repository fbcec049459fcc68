//! Judging what an answer contains.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::authority::{Panel, Rank, relaxes};
use super::resolvers;
use super::survey::survey;
use super::view::View;
use super::voice::{Stance, Voice};
use crate::message::Fact;
use crate::name::NameRef;
use crate::verdict::{Cause, Reason, Tier, Trigger, Verdict};

/// Judges an answer to a question for `qtype` that `allowed` let through: every alias, address,
/// service target and hint in it like the question itself.
pub fn judge_answer<'a>(
    name: NameRef<'_>,
    qtype: u16,
    facts: impl IntoIterator<Item = Fact<'a>>,
    allowed: Reason,
    view: &View<'_>,
) -> Verdict {
    for fact in facts {
        let target = |target: NameRef<'_>, trigger| judge_target(target, qtype, trigger, view);
        let address = |address, trigger| judge_address(name, qtype, address, trigger, view);
        let verdict = match fact {
            Fact::Cname(name) => target(name, Trigger::Cname),
            Fact::SvcbTarget(name) => target(name, Trigger::SvcbTarget),
            Fact::Address(found) => address(found, Trigger::Address),
            Fact::SvcbHint(found) => address(found, Trigger::SvcbHint),
        };
        if let Some(reason) = verdict.filter(|reason| !relaxes(&allowed, Rank::of(reason))) {
            return Verdict::Block(reason);
        }
    }
    Verdict::Allow(allowed)
}

/// What is against a name that an answer leads to. Only what speaks about the name itself counts:
/// that it is missing from an allowlist, or that everything is closed at this hour,
/// is no reason, since the alias was not the child's choice.
fn judge_target(
    name: NameRef<'_>,
    qtype: u16,
    trigger: Trigger,
    view: &View<'_>,
) -> Option<Reason> {
    let mut panel = Panel::default();
    survey(name, qtype, view, |voice| {
        let is_about_settings = matches!(voice.reason.cause, Cause::Canary);
        if voice.precision > 0 && !is_about_settings && voice.target.is_none() {
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
        if let Some(voice) = view.voice_of(&hit, name, qtype, None) {
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
pub(super) fn points_inside(address: IpAddr) -> bool {
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
            // Site-local addresses were withdrawn (RFC 3879) and still lead nowhere but home.
            let is_site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
            embedded(v6).is_some_and(|v4| points_inside(IpAddr::V4(v4)))
                || v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || is_site_local
        }
    }
}

/// The IPv4 address in IPv6 clothes: mapped and compatible (RFC 4291), the translation prefixes
/// (RFC 6052, RFC 8215), 6to4 (RFC 3056).
pub(super) fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..]
            if (high, low) != (0, 0) && (high, low) != (0, 1) =>
        {
            Some((u32::from(high) << 16 | u32::from(low)).into())
        }
        _ => None,
    }
}
