//! Every thing under every preset that must let it work, judged in process.

use hedgerow::clock::Moment;
use hedgerow::device::Origin;
use hedgerow::message::{Fact, rtype};
use hedgerow::name::Name;
use hedgerow::policy::{View, judge_answer, judge_name, reason_to_allow};
use hedgerow::verdict::Verdict;

use crate::{Thing, devices, things, world};

/// What a browser asks for.
const TYPES: [u16; 3] = [rtype::A, rtype::AAAA, rtype::HTTPS];

/// What is wrong with `thing` for the one whose `view` this is, a line each; counts what was judged.
fn alarms(thing: &Thing, view: &View<'_>, judged: &mut usize) -> Vec<String> {
    let mut alarms = Vec::new();
    let parse = |name: &String| Name::parse(name).unwrap();
    let targets: Vec<Name> = thing.leads_to.iter().map(parse).collect();
    let facts: Vec<Fact<'_>> = targets
        .iter()
        .map(Name::as_ref)
        .flat_map(|name| [Fact::Cname(name), Fact::SvcbTarget(name)])
        .chain(thing.addresses.iter().map(|it| Fact::Address(*it)))
        .chain(thing.addresses.iter().map(|it| Fact::SvcbHint(*it)))
        .collect();
    for text in &thing.names {
        let name = parse(text);
        let name = name.as_ref();
        for qtype in TYPES {
            *judged += 1;
            let reason = match judge_name(name, qtype, view) {
                Verdict::Allow(reason) => reason,
                Verdict::Rewrite(..) if thing.safe_form => reason_to_allow(name, qtype, view),
                other => {
                    alarms.push(format!(
                        "{text}: {}: {}",
                        other.label(),
                        other.reason().label()
                    ));
                    break;
                }
            };
            for fact in &facts {
                let verdict = judge_answer(name, qtype, [*fact], reason, view);
                if !matches!(verdict, Verdict::Allow(_)) {
                    let reason = verdict.reason().label();
                    alarms.push(format!("{text} leads to {fact:?}: {reason}"));
                }
            }
        }
    }
    alarms
}

#[test]
fn ordinary_things_work_under_every_preset() {
    let world = world(&devices());
    let hour = world.at(Moment::default());
    let (mut worked, mut judged, mut wrong) = (0, 0, Vec::new());
    for thing in things() {
        for (preset, address) in thing.askers() {
            let origin = Origin::new(address.parse().unwrap(), 0, 0);
            let (_, view) = hour.identify(&origin);
            assert_eq!(view.profile.name, preset);
            let found = alarms(&thing, &view, &mut judged);
            wrong.extend(
                found
                    .iter()
                    .map(|it| format!("{preset}: {}: {it}", thing.thing)),
            );
        }
        worked += 1;
    }
    println!("{worked} things, {judged} verdicts on names");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(worked >= 250 && judged > 10_000, "{worked}, {judged}");
}

#[test]
fn what_a_preset_is_for_is_an_alarm() {
    let world = world(&devices());
    let hour = world.at(Moment::default());
    for (address, name, leads_to) in [
        ("127.0.0.3", "www.tiktok.com", ""),
        ("127.0.0.2", "www.example.org", ""),
        ("127.0.0.4", "www.tipico.de", ""),
        ("127.0.0.5", "malware.hedgerow.test", ""),
        ("127.0.0.9", "www.example.org", "adult.hedgerow.test"),
    ] {
        let origin = Origin::new(address.parse().unwrap(), 0, 0);
        let (_, view) = hour.identify(&origin);
        let thing = Thing {
            thing: name.into(),
            names: vec![name.into()],
            leads_to: [leads_to]
                .into_iter()
                .filter(|it| !it.is_empty())
                .map(Into::into)
                .collect(),
            addresses: Vec::new(),
            safe_form: false,
            presets: None,
        };
        assert!(!alarms(&thing, &view, &mut 0).is_empty(), "{name}");
    }
}
