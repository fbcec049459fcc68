//! Names that are kept for a while: from then on, for that time, for that profile.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hedgerow::clock::{Clock, Moment, Timestamp};
use hedgerow::config::Privacy;
use hedgerow::files::MemoryFiles;
use hedgerow::grants::{GrantError, Grants, MAX_ENDED, MAX_REVEALS, Said, Scope, What, store};
use hedgerow::journal::{Journal, LogFilter, Outcome, Reveal, Source, Transport};
use hedgerow::name::NameBuf;
use hedgerow::verdict::{Cause, Reason, Tier, Trigger, Verdict};
use hedgerow::wall::Wall;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_hours(24);

fn outcome(profile: &'static str, privacy: Privacy, tier: Tier, micros: u64) -> Outcome {
    Outcome {
        at: Moment::from_micros(micros),
        transport: Transport::Udp,
        device: "phone",
        client: IpAddr::from([192, 0, 2, 1]),
        profile,
        privacy,
        qname: NameBuf::read_wire(b"\x07example\x03org\x00").unwrap().0,
        qtype: 1,
        verdict: Verdict::Allow(Reason {
            tier,
            cause: Cause::Unlisted,
            trigger: Trigger::Qname,
        }),
        of_lifeline: false,
        source: Source::Own,
        rcode: 0,
        took: Duration::ZERO,
    }
}

/// How many names the log holds after `outcome`, recorded while mia's are revealed from 100 to 200.
fn names_of(outcome: &Outcome) -> usize {
    let journal = Journal::new(1 << 20, Clock::system());
    journal.set_reveals(vec![Reveal {
        profile: "mia".to_owned(),
        from: Moment::from_micros(100),
        until: Moment::from_micros(200),
    }]);
    journal.record(outcome);
    let page = journal.log(None, 10, &LogFilter::default());
    let text = serde_json::to_string(&page).unwrap();
    text.matches("example.org").count()
}

#[test]
fn a_reveal_is_of_one_profile_from_its_first_moment_to_its_last() {
    let mut cases = 0;
    for (profile, at, expected) in [
        ("mia", 99, 0),
        ("mia", 100, 1),
        ("mia", 199, 1),
        ("mia", 200, 0),
        ("leo", 150, 0),
    ] {
        for privacy in [Privacy::Categories, Privacy::None] {
            let names = names_of(&outcome(profile, privacy, Tier::Lists, at));
            assert_eq!(names, expected, "{profile} {privacy:?} at {at}");
            cases += 1;
        }
    }
    assert_eq!(cases, 10);
    let of = |tier| names_of(&outcome("mia", Privacy::Categories, tier, 150));
    assert_eq!((of(Tier::Lifeline), of(Tier::Sealed)), (0, 0));
}

fn said(now: Timestamp, time: Duration, why: &str) -> Said {
    Said {
        what: What::Reveal,
        scope: Scope::Profile("mia".to_owned()),
        until: now.checked_add(time).unwrap(),
        by: "anna".to_owned(),
        why: why.to_owned(),
    }
}

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

#[test]
fn a_reveal_needs_a_reason_and_a_time_within_bounds() {
    let wall = Wall::Set(now());
    let mut grants = Grants::default();
    for (time, why, is_fine) in [
        (10 * MINUTE, "why", true),
        (DAY, "why", true),
        (10 * MINUTE - Duration::from_secs(1), "why", false),
        (DAY + Duration::from_secs(1), "why", false),
        (10 * MINUTE, " \t", false),
        (10 * MINUTE, "\u{200e}", false),
        (10 * MINUTE, "\u{3164} .", false),
    ] {
        let added = grants.add(said(now(), time, why), wall);
        assert_eq!(added.is_ok(), is_fine, "{time:?} {why:?}: {added:?}");
    }
    let unset = grants.add(said(now(), DAY, "why"), Wall::Unset);
    assert_eq!(unset, Err(GrantError::ClockUnset));
}

#[test]
fn a_reveal_ends_by_itself_and_is_remembered_across_a_restart() {
    let mut grants = Grants::default();
    grants
        .add(said(now(), 30 * MINUTE, "why"), Wall::Set(now()))
        .unwrap();
    let at = |time: Duration| Wall::Set(now().checked_add(time).unwrap());
    let phone = || ["phone"].into_iter();
    assert!(grants.note_devices(1, phone()));
    assert!(!grants.note_devices(1, phone()), "that is known");
    assert!(!grants.note_devices(2, phone()), "there is none");
    let memory = MemoryFiles::new();
    let path = Path::new("/state/grants.json");
    store::save(&grants, &memory.files(), path).unwrap();
    let (mut grants, trouble) = store::load(&memory.files(), path);
    assert!(trouble.is_none(), "{trouble:?}");
    assert_eq!(grants.revealing(at(29 * MINUTE)).count(), 1);
    assert_eq!(grants.grants()[0].devices, ["phone"]);
    assert_eq!(grants.revealing(at(30 * MINUTE)).count(), 0);
    assert_eq!(grants.revealing(Wall::Unset).count(), 0);
    let later = at(30 * MINUTE).time();
    assert_eq!(grants.next_change(at(MINUTE)), later);
    grants.tidy(at(89 * DAY));
    assert_eq!(grants.grants().len(), 1, "a child finds it for 90 days");
    grants.tidy(at(91 * DAY));
    assert_eq!(grants.grants().len(), 0);
}

#[test]
fn no_other_grant_makes_a_reveal_forgotten() {
    let wall = Wall::Set(now());
    let mut grants = Grants::default();
    let end = |grants: &mut Grants, said: Said| {
        let is_reveal = said.what == What::Reveal;
        let id = grants.add(said, wall).unwrap();
        let (one, other) = (
            Err(GrantError::IsReveal { id }),
            Err(GrantError::NoReveal { id }),
        );
        match is_reveal {
            true => {
                assert_eq!(grants.undo(id, "anna", wall).cloned(), one);
                grants.end_reveal(id, "anna", wall).unwrap();
            }
            false => {
                assert_eq!(grants.end_reveal(id, "anna", wall).cloned(), other);
                grants.undo(id, "anna", wall).unwrap();
            }
        }
        id
    };
    let first = end(&mut grants, said(now(), DAY, "the first"));
    for _ in 0..MAX_ENDED + 10 {
        let what = What::PauseFilter;
        end(
            &mut grants,
            Said {
                what,
                ..said(now(), DAY, "")
            },
        );
    }
    grants.tidy(wall);
    assert!(grants.grant(first).is_some());
    for _ in 0..MAX_REVEALS + 10 {
        end(&mut grants, said(now(), DAY, "more"));
    }
    grants.tidy(wall);
    let reveals = grants.grants().iter().filter(|it| it.what == What::Reveal);
    assert_eq!(reveals.count(), MAX_REVEALS);
}
