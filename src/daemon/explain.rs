//! Why a name is answered as it is, told from the same voices that decide on the path of a query.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::newcomers::{interface_text, macs_of};
use crate::clock::{Clock, Moment, can_be};
use crate::config::BlockAnswer;
use crate::control::api::{
    ExplainedDevice, ExplainedProfile, ExplainedQuestion, Explanation, Voice as TextVoice,
    VoiceEffect,
};
use crate::control::{Asker, ControlError, ExplainRequest};
use crate::device::{Asking, Confidence, Devices, HomeAnswer, KnownBy, Origin};
use crate::files::Files;
use crate::grants::Grants;
use crate::journal::qtype_label;
use crate::lists::{Effect, ListKind, ListSpec, lines_about, services};
use crate::message::{Question, rtype};
use crate::name::{NameBuf, NameRef};
use crate::policy::{Rank, SpecialUse, Stance, View, Voice, is_canary, judge_name, survey};
use crate::profile::Profile;
use crate::reload::list_spec;
use crate::snapshot::Snapshot;
use crate::standing::{Plan, Standings};
use crate::upstream::{Client, Failure};
use crate::verdict::{Cause, Scope, Tier, Verdict};
use crate::wall::Wall;

/// Explains a question where no daemon runs: by the schedules of the configuration, for nobody knows
/// here what was granted, paused and used.
///
/// # Errors
/// [`ControlError::NotFound`] for a device nobody knows.
pub fn explain_offline(
    snapshot: &Snapshot,
    files: &Files,
    request: &ExplainRequest,
    clock: &Clock,
) -> Result<Explanation, ControlError> {
    let (now, time) = (clock.now(), clock.wall());
    let time = request.at.unwrap_or(time);
    let is_set = request.at.is_some() || can_be(time);
    let plan = Plan {
        config: &snapshot.config,
        grants: &Grants::default(),
        quotas: &[],
        wall: if is_set { Wall::Set(time) } else { Wall::Unset },
        at: now,
    };
    let standings = Arc::new(plan.standings(&snapshot.profiles, &snapshot.lists));
    let mut explanation = explain(snapshot, standings, files, request, now)?;
    let has_times = |it: &crate::config::Profile| !it.closings.is_empty() || !it.quotas.is_empty();
    if snapshot.config.profiles.iter().any(has_times) {
        let note = "only the daemon knows what was granted, paused and used of quotas";
        explanation.notes.push(note.to_owned());
    }
    Ok(explanation)
}

/// Explains a question in the world of `snapshot` while `standings` hold, without asking anybody.
/// Reads the lists that speak again, to say which line it was.
///
/// # Errors
/// [`ControlError::NotFound`] for a device nobody knows.
pub fn explain(
    snapshot: &Snapshot,
    standings: Arc<Standings>,
    files: &Files,
    request: &ExplainRequest,
    now: Moment,
) -> Result<Explanation, ControlError> {
    let recognised = recognise(snapshot, &request.asker)?;
    let index = recognised.index;
    let client = match request.asker {
        Asker::Client(address, _) => Some(address.to_canonical()),
        Asker::Guest | Asker::Device(_) => None,
    };
    let hour = snapshot.in_hour(standings, now);
    let (device, view) = hour.view_of(index, client);
    let name = request.qname.as_ref();
    let verdict = judge_name(name, request.qtype, &view);
    let mut voices = Vec::new();
    survey(name, request.qtype, &view, |voice| {
        let text = describe(snapshot, &view, &voice, &verdict);
        voices.push((rank(&voice), with_line(text, snapshot, files, &voice, name)));
    });
    voices.extend(unused_voices(snapshot, &view, request));
    voices.sort_by_key(|(rank, _)| *rank);
    // Whoever asks typed the name; it must not stand in what is printed, saved or sent on. Neither
    // must what others say of it, who may call it by its name.
    let is_sealed = voices.iter().any(|((rank, ..), _)| *rank == Rank::Sealed);
    if is_sealed {
        voices.iter_mut().for_each(|(_, voice)| withhold(voice));
    }
    let mut notes = Vec::new();
    let special = SpecialUse::of(name).filter(|_| !snapshot.is_forwarded(name));
    // What would be asked of an upstream, and of which.
    let qname = match verdict {
        Verdict::Rewrite(target, _) => NameBuf::from(snapshot.safe_search.target(target)),
        Verdict::Allow(_) | Verdict::Block(_) => request.qname,
    };
    let of_lifeline = verdict.reason().tier == Tier::Lifeline;
    let question = Question {
        qname,
        qtype: request.qtype,
        dnssec_ok: false,
        checking_disabled: false,
        via: snapshot.via(view.profile, qname.as_ref(), of_lifeline),
    };
    let asking = Asking {
        client,
        hears_all: index.is_some() || client.is_none_or(|client| client.is_loopback()),
    };
    let home = snapshot.ask_home(&question, asking);
    let is_own = special.is_some() || home.is_some();
    let reason = match &verdict {
        Verdict::Allow(_) if is_own => crate::resolve::SPECIAL_USE,
        _ => verdict.reason(),
    };
    if is_sealed {
        notes.push("a sealed list holds it; such names are shown nowhere".to_owned());
    }
    if !verdict.is_block() && !is_own {
        notes.push(
            "the answer is judged too, once it is there: aliases, addresses and hints".to_owned(),
        );
    }
    if !verdict.is_block() && !is_own && !is_sealed {
        notes.extend(validation_note(snapshot, &question, now));
    }
    if matches!(request.asker, Asker::Client(..)) && index.is_none() {
        notes.push(
            "a device known by its interface or by the address it asks cannot be told from an \
             address alone"
                .to_owned(),
        );
        if !snapshot.devices.neighbours().is_watching() && has_macs(snapshot) {
            notes.push(
                "nobody tells here which MAC address is behind an address, so a device known by \
                 its MAC address cannot be told either"
                    .to_owned(),
            );
        }
    }
    if !verdict.is_block() && !is_own && view.profile.resolvers != 0 {
        notes.push(match question.via {
            0 if snapshot.is_forwarded(qname.as_ref()) => {
                "asked of the resolvers of its domain".to_owned()
            }
            0 => "asked of the household's resolvers".to_owned(),
            via => {
                let group = snapshot.config.upstream.resolvers(via);
                format!("asked of the resolvers `{group}`")
            }
        });
    }
    if view.standing.filter_paused {
        notes.push("the filter is paused for this profile".to_owned());
    }
    if let Some(list) = view.profile.missing_list {
        notes.push(format!(
            "list `{list}`, which this profile needs, could not be loaded"
        ));
    }
    Ok(Explanation {
        question: ExplainedQuestion {
            name: if is_sealed {
                "(withheld)".to_owned()
            } else {
                name.to_string()
            },
            qtype: qtype_label(request.qtype).into_owned(),
            at: request.at.map(|at| at.to_string()),
        },
        device: ExplainedDevice {
            label: device.map_or("guest", |device| device.name).to_owned(),
            known_by: recognised.known_by,
            confidence: recognised.confidence.label().to_owned(),
            chain: recognised.chain,
        },
        profile: ExplainedProfile {
            name: view.profile.name.to_owned(),
            preset: view.profile.preset.to_owned(),
            inherits: super::household::lineage(snapshot, view.profile),
        },
        voices: voices.into_iter().map(|(_, voice)| voice).collect(),
        verdict: verdict.label().to_owned(),
        reason: match reason.cause {
            Cause::Rule { .. } if is_sealed => reason.tier.label().to_owned(),
            _ => reason.to_string(),
        },
        answer: match (&verdict, home) {
            (Verdict::Allow(_), Some(home)) if request.qtype != rtype::ANY => home_text(&home),
            _ => answer_text(snapshot, &view, request, &verdict),
        },
        ttl: verdict
            .is_block()
            .then_some(view.profile.block_ttl.min(view.standing.ttl_ceiling(now))),
        notes,
    })
}

/// Whether signatures of the answer are checked, and what came of it a moment ago.
fn validation_note(snapshot: &Snapshot, question: &Question, now: Moment) -> Option<String> {
    snapshot.config.upstream.validation.as_ref()?;
    // What is bogus is so for every client.
    let anybody = Client::Address(Ipv4Addr::LOCALHOST.into());
    let failed = snapshot.upstream.recent_failure(question, anybody, now);
    if let Some(failure) = failed.filter(Failure::is_bogus) {
        return Some(format!(
            "signatures are checked; what upstream says is not answered: {failure}"
        ));
    }
    Some(
        match snapshot.upstream.is_checked(question.qname.as_ref()) {
            true => "signatures are checked: what is bogus is not answered".to_owned(),
            false => "signatures are not checked here, by `[[forward]]` or a negative trust anchor"
                .to_owned(),
        },
    )
}

/// Who asks, and how that is known.
struct Recognised {
    index: Option<u16>,
    known_by: String,
    confidence: Confidence,
    /// From what was seen to the profile.
    chain: Vec<String>,
}

fn recognise(snapshot: &Snapshot, asker: &Asker) -> Result<Recognised, ControlError> {
    let devices = &snapshot.devices;
    let (index, known_by, confidence, mut chain) = match asker {
        Asker::Guest => {
            let nothing = KnownBy::Nothing;
            (None, nothing.to_string(), Confidence::None, Vec::new())
        }
        Asker::Device(name) => {
            let found = devices.find(name);
            let unknown = || {
                ControlError::not_found(
                    format!("no device is called `{}`", name.escape_debug()),
                    "`hedgerow device list` shows those there are",
                )
            };
            let index = Some(found.ok_or_else(unknown)?);
            (index, "its name".to_owned(), Confidence::High, Vec::new())
        }
        Asker::Client(address, interface) => {
            let origin = origin_at(devices, *address, interface.as_deref());
            let known_by = devices.known_by(&origin, None);
            let index = devices.settle(&origin, None);
            let text = known_by.to_string();
            let chain = seen(devices, &origin, &known_by);
            (index, text, known_by.confidence(), chain)
        }
    };
    if matches!(asker, Asker::Client(..)) {
        let device = index.and_then(|index| snapshot.devices.device(index));
        let profile = snapshot.profile_of(index).name;
        chain.push(match device {
            Some(device) => device.name.to_owned(),
            None => "nobody named it".to_owned(),
        });
        chain.push(match device {
            Some(_) => format!("profile {profile}"),
            None => format!("guest, profile {profile}"),
        });
    }
    Ok(Recognised {
        index,
        known_by,
        confidence,
        chain,
    })
}

/// What was seen of a client, one thing after the other.
fn seen(devices: &Devices, origin: &Origin, known_by: &KnownBy) -> Vec<String> {
    let zone = if is_link_local(origin) && origin.interface != 0 {
        format!("%{}", interface_text(origin.interface))
    } else {
        String::new()
    };
    let mut chain = vec![format!("{}{zone}", origin.client)];
    if let Some((mac, witness)) = devices.mac_of(origin) {
        let made_up = if mac.is_made_up() {
            ", made up by the device"
        } else {
            ""
        };
        chain.push(format!("MAC address {mac} ({}{made_up})", witness.label()));
        let neighbours = devices.neighbours();
        if neighbours
            .id(mac)
            .is_some_and(|id| neighbours.is_shared(id))
        {
            chain.push("several machines behind it".to_owned());
        }
    }
    match known_by {
        // Said already.
        KnownBy::Mac(..) | KnownBy::Address(_) | KnownBy::Nothing => {}
        other => chain.push(other.to_string()),
    }
    chain
}

/// Where a client that is named by its address would ask from; none for others.
pub(super) fn origin_of(devices: &Devices, asker: &Asker) -> Option<Origin> {
    match asker {
        Asker::Client(address, interface) => {
            Some(origin_at(devices, *address, interface.as_deref()))
        }
        Asker::Guest | Asker::Device(_) => None,
    }
}

fn origin_at(devices: &Devices, address: IpAddr, interface: Option<&str>) -> Origin {
    let mut origin = Origin::new(address.to_canonical(), 0, u16::MAX);
    origin.interface = match interface {
        Some(name) => {
            let number = nix::net::if_::if_nametoindex(name).ok();
            number.or_else(|| name.parse().ok()).unwrap_or(0)
        }
        // Where it is seen on one interface only, that is the one.
        None if is_link_local(&origin) => {
            let all = devices.neighbours().all();
            let places = all.iter().map(|(place, _)| place.address());
            let mut on = places.filter(|(address, _)| *address == origin.client);
            match (on.next(), on.next()) {
                (Some((_, Some(interface))), None) => interface,
                _ => 0,
            }
        }
        None => 0,
    };
    origin
}

fn is_link_local(origin: &Origin) -> bool {
    matches!(origin.client, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether any device is known by MAC address.
fn has_macs(snapshot: &Snapshot) -> bool {
    let devices = snapshot.config.devices.iter();
    devices.flat_map(macs_of).next().is_some()
}

/// Where a voice stands in the order of authority: rank, then scope, then the longer name.
fn rank(voice: &Voice) -> (Rank, Scope, u16) {
    let scope = match voice.reason.cause {
        Cause::Rule { scope, .. } => scope,
        _ => Scope::Household,
    };
    (voice.rank(), scope, u16::MAX - voice.precision)
}

fn describe(snapshot: &Snapshot, view: &View<'_>, voice: &Voice, verdict: &Verdict) -> TextVoice {
    let decisive = verdict.reason() == voice.reason;
    let times = view
        .standing
        .times_of(&voice.reason.cause)
        .unwrap_or_default();
    let effect = match (voice.stance, voice.reason.tier, voice.reason.cause) {
        (Stance::Block, ..) => VoiceEffect::Block,
        (Stance::Rewrite, ..) => VoiceEffect::Rewrite,
        (Stance::Allow, Tier::Lists, Cause::List { .. }) => VoiceEffect::Exception,
        (Stance::Allow, ..) => VoiceEffect::Allow,
    };
    let mut text = TextVoice {
        tier: voice.reason.tier.label().to_owned(),
        effect,
        decisive,
        note: (!decisive).then(|| "another voice counts more".to_owned()),
        since: times.since.map(|at| at.to_string()),
        until: times.until.map(|at| at.to_string()),
        ..TextVoice::default()
    };
    match voice.reason.cause {
        Cause::List { list, category, .. } => {
            text.who = format!("list {list}");
            text.category = Some(category.to_owned());
            let info = snapshot.lists.find(list).map(|id| snapshot.lists.list(id));
            if voice.reason.tier != Tier::Sealed {
                text.file = info.map(|info| info.origin.to_string());
            }
        }
        Cause::Rule { scope, rule } => {
            text.who = match scope {
                Scope::Device => "rule of this device".to_owned(),
                Scope::Profile => format!("rule of profile {}", view.profile.name),
                Scope::Household => "rule of the household".to_owned(),
            };
            text.text = Some(rule.to_owned());
            if let Some((file, line)) = place_of_rule(snapshot, view, scope, rule) {
                text.file = Some(file.display().to_string());
                text.line = Some(line);
            }
        }
        Cause::Service {
            service,
            title,
            category,
            ..
        } => {
            text.who = format!("service {service} ({title})");
            text.category = Some(category.to_owned());
            text.file = Some(services::ORIGIN.to_owned());
        }
        Cause::OpenService { service } => {
            text.who = format!("profile {}: unblock {service}", view.profile.name);
        }
        Cause::Schedule { schedule, of } => {
            text.who = format!("schedule {schedule}");
            text.text = Some(of.to_owned());
        }
        Cause::Quota { quota, of } => {
            text.who = format!("quota of {quota}");
            text.text = Some(of.to_owned());
        }
        Cause::Grant { of, .. } => {
            text.who = "grant".to_owned();
            text.text = Some(of.to_owned());
        }
        Cause::Pause { by } => text.who = format!("pause of the internet by {by}"),
        Cause::AllowOnly => text.who = format!("profile {}: allow-only", view.profile.name),
        Cause::SafeSearch { engine } => text.who = format!("safe search: {engine}"),
        Cause::Canary => text.who = format!("profile {}: close-bypass", view.profile.name),
        Cause::Unsure { list } => {
            text.who = format!(
                "profile {}: when-unsure, list {list} is missing",
                view.profile.name
            );
        }
        Cause::Unreadable => {
            text.who = format!(
                "profile {}: when-unsure, what the lists say of it cannot be read",
                view.profile.name
            );
        }
        Cause::LookAlike { .. } => {
            text.who = format!("profile {}: look-alikes", view.profile.name);
            text.note = Some(voice.reason.to_string());
        }
        Cause::UnusualName => {
            text.who = format!("profile {}: unusual-names", view.profile.name);
        }
        Cause::UnusualType => {
            text.who = format!("profile {}: unusual-types", view.profile.name);
        }
        Cause::Unlisted | Cause::Rebinding | Cause::SpecialUse | Cause::Tunnel => {
            text.who = voice.reason.to_string();
        }
    }
    text
}

/// Adds what the list says and where, if it can be read and still says so.
fn with_line(
    mut text: TextVoice,
    snapshot: &Snapshot,
    files: &Files,
    voice: &Voice,
    name: NameRef<'_>,
) -> TextVoice {
    let (specs, id): (Vec<ListSpec>, _) = match voice.reason.cause {
        Cause::List { list, .. } => {
            let lists = snapshot.config.lists.iter();
            (lists.map(list_spec).collect(), list)
        }
        Cause::Service { service, .. } => {
            let service = services::find(service);
            let specs = service.iter().map(ListSpec::service).collect();
            (specs, service.map_or("", |service| service.id))
        }
        _ => return text,
    };
    if voice.reason.tier == Tier::Sealed {
        return text;
    }
    let excepts = text.effect == VoiceEffect::Exception;
    let lines = specs.iter().find(|spec| spec.id == id).map(|spec| {
        let protected = ListSpec::protected(&specs);
        lines_about(spec, &protected, files, name).unwrap_or_default()
    });
    let fitting = lines.unwrap_or_default().into_iter();
    let wanted = if excepts {
        Effect::Excepted
    } else {
        Effect::Listed
    };
    let mut fitting = fitting.filter(|line| line.effect() == Some(wanted));
    if let Some(line) = fitting.next() {
        text.text = Some(line.item.to_string());
        text.line = Some(line.number);
    }
    text
}

/// Leaves of a voice who it is and what it wants.
fn withhold(voice: &mut TextVoice) {
    (voice.text, voice.file, voice.line) = (None, None, None);
}

/// Where a rule stands that spoke in `scope`.
fn place_of_rule(
    snapshot: &Snapshot,
    view: &View<'_>,
    scope: Scope,
    text: &str,
) -> Option<(std::path::PathBuf, u32)> {
    let config = &snapshot.config;
    let rules = match scope {
        Scope::Household => &config.household,
        Scope::Profile => &config.profiles.get(usize::from(view.profile.id))?.rules,
        Scope::Device => &config.devices.get(usize::from(view.device?))?.rules,
    };
    let all = rules.allow.iter().chain(&rules.block);
    all.filter(|rule| rule.text == text)
        .find_map(|rule| rule.written_in.clone())
}

/// Lists that name it too but do not speak for this profile: what a parent wants to know who
/// wonders why a sibling is blocked.
fn unused_voices(
    snapshot: &Snapshot,
    view: &View<'_>,
    request: &ExplainRequest,
) -> Vec<((Rank, Scope, u16), TextVoice)> {
    let profile: &Profile = view.profile;
    let mut voices = Vec::new();
    snapshot.lists.look_up(request.qname.as_ref(), |hit| {
        let list = snapshot.lists.list(hit.list);
        let used = match list.kind {
            ListKind::Lifeline | ListKind::Sealed => true,
            ListKind::Block => {
                view.standing.blocks.contains(hit.list) || profile.open_services.contains(hit.list)
            }
            ListKind::Allow => profile.allows.contains(hit.list),
        };
        if used || hit.effect == Effect::Excepted {
            return;
        }
        let voice = TextVoice {
            tier: list.tier.label().to_owned(),
            who: match list.service {
                None => format!("list {}", list.id),
                Some(title) => format!("service {} ({title})", list.id),
            },
            category: Some(list.category.to_owned()),
            file: Some(list.origin.to_string()),
            effect: VoiceEffect::None,
            note: Some(match list.service {
                None => format!("profile {} does not use this list", profile.name),
                Some(_) => format!("profile {} does not block this service", profile.name),
            }),
            ..TextVoice::default()
        };
        voices.push(((Rank::Lists, Scope::Household, u16::MAX), voice));
    });
    voices
}

fn answer_text(
    snapshot: &Snapshot,
    view: &View<'_>,
    request: &ExplainRequest,
    verdict: &Verdict,
) -> String {
    let name = request.qname.as_ref();
    match verdict {
        Verdict::Block(_) if is_canary(name) => "NXDOMAIN".to_owned(),
        Verdict::Block(_) => match (&view.profile.block_answer, request.qtype) {
            (BlockAnswer::Null, rtype::A) => "0.0.0.0".to_owned(),
            (BlockAnswer::Null, rtype::AAAA) => "::".to_owned(),
            (BlockAnswer::Null | BlockAnswer::NoData, _) => "no data".to_owned(),
            (BlockAnswer::NxDomain, _) => "NXDOMAIN".to_owned(),
            (BlockAnswer::Refused, _) => "REFUSED".to_owned(),
            (BlockAnswer::Addresses(addresses), kind) => {
                let fitting = addresses.iter().filter(|address| {
                    kind == if address.is_ipv4() {
                        rtype::A
                    } else {
                        rtype::AAAA
                    }
                });
                let texts: Vec<String> = fitting.map(ToString::to_string).collect();
                if texts.is_empty() {
                    "no data".to_owned()
                } else {
                    texts.join(", ")
                }
            }
        },
        Verdict::Rewrite(target, _) => {
            format!("alias to {}", snapshot.safe_search.target(*target))
        }
        Verdict::Allow(_) if request.qtype == rtype::ANY => "a short HINFO (RFC 8482)".to_owned(),
        Verdict::Allow(_) => match SpecialUse::of(name) {
            Some(special) if !snapshot.is_forwarded(name) => match special {
                SpecialUse::Localhost => "this machine's own address".to_owned(),
                SpecialUse::Nowhere => {
                    "NXDOMAIN: a name that means something at home only".to_owned()
                }
                SpecialUse::NoData => "no data".to_owned(),
            },
            _ => "asked of upstream".to_owned(),
        },
    }
}

/// What the home answers of its own devices.
fn home_text(answer: &HomeAnswer) -> String {
    match answer {
        HomeAnswer::Addresses(addresses) => {
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            texts.join(", ")
        }
        HomeAnswer::Pointer(name) => name.to_string(),
        HomeAnswer::NoData => "no data".to_owned(),
        HomeAnswer::Nowhere => "NXDOMAIN: nobody at home".to_owned(),
    }
}
