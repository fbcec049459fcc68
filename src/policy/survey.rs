//! Hearing everything that speaks about a name.

use super::authority::Panel;
use super::canary::is_canary;
use super::connectivity::is_connectivity_check;
use super::special::SpecialUse;
use super::view::View;
use super::voice::{Stance, Voice, precision};
use super::{lookalike, types, unusual};
use crate::config::WhenUnsure;
use crate::lists::starter;
use crate::message::rtype;
use crate::name::NameRef;
use crate::standing::Marks;
use crate::verdict::{Cause, Reason, RewriteTarget, Tier, Trigger, Verdict};

/// Hears every voice about `name`, in no particular order.
pub fn survey(name: NameRef<'_>, qtype: u16, view: &View<'_>, mut each: impl FnMut(Voice)) {
    let profile = view.profile;
    let speakers = view.gate.look(name);
    let may_be_named = speakers.rules();
    view.rules
        .survey(name, may_be_named, profile.id, view.device, &mut each);
    let mut on_allowlist = false;
    let mut marks = (!view.standing.is_plain()).then(Marks::default);
    let is_whole = view.lists.look_up(name, |hit| {
        if let Some(voice) = view.voice_of(&hit, name, qtype, marks.as_mut()) {
            on_allowlist |= voice.stance == Stance::Allow && voice.reason.tier == Tier::ChildSafety;
            each(voice);
        }
    });
    if !is_whole && let Some(voice) = of_our_lifelines(name) {
        each(voice);
    }
    if let Some(service) = profile.open_services.sharing(name) {
        on_allowlist = true;
        let cause = Cause::OpenService { service };
        each(about(Stance::Allow, cause, None, 1));
    }
    // A category that was granted is as good as one on the allowlist.
    on_allowlist |= marks.is_some_and(|marks| marks.is_granted());
    if let Some(mut marks) = marks {
        view.standing.mark_name(name, &mut marks);
        survey_standing(name, qtype, view, &marks, &mut each);
    }
    if profile.close_bypass && speakers.canaries() && is_canary(name) {
        // At most 127 labels.
        let about_it = precision(name.label_count() as u8, false);
        each(about(Stance::Block, Cause::Canary, None, about_it));
    }
    if profile.ways_round.unusual_types && types::is_unusual(name, qtype) {
        // About a way of asking: whoever opens a name opens it for every type.
        each(about(Stance::Block, Cause::UnusualType, None, 1));
    }
    if profile.ways_round.look_alikes
        && speakers.is_in_other_script()
        && let Some(voice) = against_look_alike(name, qtype, view)
    {
        each(voice);
    }
    if view.standing.filter_paused {
        return;
    }
    // The safe form stands in where addresses are asked for; mail and text records are not search.
    let leads_to_addresses = matches!(
        qtype,
        rtype::A | rtype::AAAA | rtype::HTTPS | rtype::SVCB | rtype::ANY
    );
    let may_have_safe_form = speakers.safe_forms() && leads_to_addresses;
    let (search, video) = (profile.safe_search, profile.youtube);
    if let Some((engine, target)) = may_have_safe_form
        .then(|| view.safe_search.find(name, search, video))
        .flatten()
    {
        let cause = Cause::SafeSearch { engine };
        each(about(Stance::Rewrite, cause, Some(target), u16::MAX));
    }
    let is_unusual =
        profile.ways_round.unusual_names && speakers.has_long_label() && unusual::is_unusual(name);
    let doubt = match profile.missing_list {
        Some(list) => Some(Cause::Unsure { list }),
        None => (!is_whole && profile.has_lists).then_some(Cause::Unreadable),
    };
    let is_chosen = profile.allow_only || doubt.is_some() || is_unusual;
    let unlisted = !on_allowlist && is_chosen;
    if !unlisted || !is_of_the_web(name, qtype, view) {
        return;
    }
    if profile.allow_only {
        each(about(Stance::Block, Cause::AllowOnly, None, 0));
    }
    if is_unusual {
        each(about(Stance::Block, Cause::UnusualName, None, 0));
    }
    if let Some(cause) = doubt.filter(|_| profile.when_unsure == WhenUnsure::Block) {
        each(about(Stance::Block, cause, None, 0));
    }
}

/// What speaks for a name that stands among the lifelines of this program, where the index of lists cannot be
/// read.
#[cold]
fn of_our_lifelines(name: NameRef<'_>) -> Option<Voice> {
    let labels = starter::lifeline_labels(name)?;
    let cause = Cause::List {
        list: "starter-lifelines",
        category: "lifelines",
        labels,
    };
    let voice = about(Stance::Allow, cause, None, precision(labels, false));
    Some(Voice {
        reason: Reason {
            tier: Tier::Lifeline,
            ..voice.reason
        },
        ..voice
    })
}

/// What speaks against a name in another script that looks like a blocked one.
fn against_look_alike(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Option<Voice> {
    let form = lookalike::plain_form(name)?;
    let plain = form.name.as_ref();
    let mut panel = Panel::default();
    let (profile, device) = (view.profile.id, view.device);
    let may_be_named = view.gate.look(plain).rules();
    view.rules
        .survey(plain, may_be_named, profile, device, &mut |voice| {
            panel.hear(voice);
        });
    view.lists.look_up(plain, |hit| {
        let list = view.lists.list(hit.list);
        if form.is_accented && list.service.is_none() && !list.is_own() {
            return;
        }
        if let Some(voice) = view.voice_of(&hit, plain, qtype, None) {
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
        Cause::Service {
            service, category, ..
        } => (service, category),
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

/// Hears what schedules, quotas, grants and pauses say of a name with these marks.
fn survey_standing(
    name: NameRef<'_>,
    qtype: u16,
    view: &View<'_>,
    marks: &Marks,
    each: &mut impl FnMut(Voice),
) {
    let standing = view.standing;
    let household = |stance, cause, precision| Voice {
        reason: Reason {
            tier: Tier::Household,
            cause,
            trigger: Trigger::Qname,
        },
        ..about(stance, cause, None, precision)
    };
    for (cause, labels, is_exact) in standing.granted_names(name) {
        each(household(Stance::Allow, cause, precision(labels, is_exact)));
    }
    if let Some((cause, precision)) = standing.granted_service(marks) {
        each(household(Stance::Allow, cause, precision));
    }
    let closes_all = standing.may_close_everything()
        && is_of_the_web(name, qtype, view)
        && !is_connectivity_check(name);
    for (cause, is_everything) in standing.closings(marks) {
        if closes_all || !is_everything {
            each(about(Stance::Block, cause, None, u16::from(!is_everything)));
        }
    }
    if let Some(cause) = standing.pause(marks).filter(|_| closes_all) {
        each(household(Stance::Block, cause, 0));
    }
}

/// A voice of the child-safety tier.
const fn about(
    stance: Stance,
    cause: Cause,
    target: Option<RewriteTarget>,
    precision: u16,
) -> Voice {
    Voice {
        stance,
        reason: Reason {
            tier: Tier::ChildSafety,
            cause,
            trigger: Trigger::Qname,
        },
        target,
        precision,
        important: false,
    }
}

/// Whether `name` is part of what an allowlist chooses from and a bedtime closes. What is at home is
/// not; nor is what only proves or describes the network and opens no site: signatures' keys
/// (RFC 4035) and the name by which a device learns of NAT64 (RFC 7050).
///
/// Keys are needed from the root down to what somebody has registered, which is few names. Below it
/// they would carry kilobytes for names with data in them, so there only what is open has keys.
fn is_of_the_web(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> bool {
    let is_key = matches!(qtype, rtype::DS | rtype::DNSKEY) && name == name.registrable_guess();
    let is_plumbing = is_key || name.as_wire() == b"\x08ipv4only\x04arpa\x00";
    !is_plumbing && SpecialUse::of(name).is_none() && !view.is_private(name)
}

/// What the standing has to do with `name`: the quotas it counts for, above all. Asks the lists
/// once more, where anything is counted at all.
pub fn marks_of(name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Marks {
    let mut marks = Marks::default();
    if !view.standing.is_plain() {
        view.lists.look_up(name, |hit| {
            let _voice = view.voice_of(&hit, name, qtype, Some(&mut marks));
        });
        view.standing.mark_name(name, &mut marks);
    }
    marks
}
