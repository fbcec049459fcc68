//! Grants against a model too simple to be wrong, and what must not happen.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::requests::{MAX_A_DAY, MAX_WAITING};
use super::*;
use crate::files::MemoryFiles;

const PATH: &str = "/state/grants.json";
/// 2026-12-01T00:00:00Z.
const START: i64 = 1_796_083_200;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn wall(seconds: i64) -> Wall {
    Wall::Set(at(seconds))
}

fn said(what: What, scope: Scope, until: i64) -> Said {
    Said {
        what,
        scope,
        until: at(until),
        by: "anna".into(),
        why: "good marks".into(),
    }
}

fn games() -> Subject {
    Subject::Category("games".into())
}

fn mia() -> Scope {
    Scope::Profile("mia".into())
}

#[test]
fn a_grant_holds_for_its_time_and_for_whom_it_is() {
    let mut grants = Grants::default();
    let id = grants
        .add(said(What::Allow(games()), mia(), 1800), wall(0))
        .unwrap();
    let holding = grants.holding("mia", Some("tablet"), wall(1799));
    assert_eq!(holding.allowed[0].id, id);
    assert_eq!(holding.allowed[0].by, "anna");
    assert!(grants.holding("mia", None, wall(1800)).allowed.is_empty());
    assert!(grants.holding("leo", None, wall(10)).allowed.is_empty());
    assert_eq!(grants.next_change(wall(10)), Some(at(1800)));
    assert_eq!(grants.next_change(wall(1800)), None);
    assert_eq!(grants.next_change(Wall::Unset), None);
}

#[test]
fn without_a_clock_nothing_is_opened_and_a_pause_of_the_internet_stays() {
    let mut grants = Grants::default();
    let tablet = || Scope::Device("tablet".into());
    grants
        .add(said(What::Allow(games()), mia(), 1800), wall(0))
        .unwrap();
    grants
        .add(said(What::PauseFilter, mia(), 1800), wall(0))
        .unwrap();
    let pause = grants
        .add(said(What::PauseInternet, tablet(), 1800), wall(0))
        .unwrap();
    let holding = grants.holding("mia", Some("tablet"), Wall::Unset);
    assert_eq!(holding.internet.unwrap().id, pause);
    assert_eq!((holding.filter, holding.allowed.len()), (None, 0));
    assert_eq!(grants.devices_meant().collect::<Vec<_>>(), ["tablet"]);
    let more = said(What::Allow(games()), mia(), 1800);
    assert_eq!(grants.add(more, Wall::Unset), Err(GrantError::ClockUnset));
    // Whoever paused it can always end it.
    grants.undo(pause, "anna", Wall::Unset).unwrap();
    let holding = grants.holding("mia", Some("tablet"), Wall::Unset);
    assert_eq!(holding, Holding::default());
}

#[test]
fn a_clock_set_back_gives_nothing_twice() {
    let mut grants = Grants::default();
    grants
        .add(said(What::Allow(games()), mia(), 1800), wall(0))
        .unwrap();
    // Back by a day: it would hold for a day longer.
    assert!(
        grants
            .holding("mia", None, wall(-86_400))
            .allowed
            .is_empty()
    );
    assert_eq!(grants.next_change(wall(-86_400)), Some(at(-60)));
    // A correction by seconds ends nothing.
    assert_eq!(grants.holding("mia", None, wall(-5)).allowed.len(), 1);
    // Over is over.
    assert!(grants.tidy(wall(1800)));
    assert!(grants.holding("mia", None, wall(10)).allowed.is_empty());
}

#[test]
fn a_clock_that_is_ahead_for_a_moment_ends_no_pause() {
    let mut grants = Grants::default();
    grants
        .add(said(What::PauseInternet, Scope::Everybody, 1800), wall(0))
        .unwrap();
    grants.tidy(wall(2000));
    assert!(grants.holding("mia", None, wall(2000)).internet.is_none());
    assert!(grants.holding("mia", None, wall(10)).internet.is_some());
    assert!(
        grants
            .holding("mia", None, wall(-90_000))
            .internet
            .is_some()
    );
}

#[test]
fn what_is_said_after_a_pause_opens_it() {
    let mut grants = Grants::default();
    let allow = || said(What::Allow(games()), mia(), 1800);
    grants.add(allow(), wall(0)).unwrap();
    let longest = said(What::PauseInternet, Scope::Everybody, 3600);
    let longest = grants.add(longest, wall(1)).unwrap();
    grants
        .add(said(What::PauseInternet, mia(), 900), wall(2))
        .unwrap();
    let after = grants.add(allow(), wall(3)).unwrap();
    let holding = grants.holding("mia", None, wall(4));
    assert_eq!(holding.internet.unwrap().id, longest);
    assert_eq!(holding.allowed.len(), 1);
    assert_eq!(holding.allowed[0].id, after);
}

#[test]
fn bonus_minutes_add_up() {
    let mut grants = Grants::default();
    let mut give = |minutes, of: Option<&str>| {
        let of = of.map(str::to_owned);
        grants.add(said(What::Bonus { minutes, of }, mia(), 1800), wall(0))
    };
    give(10, Some("games")).unwrap();
    give(5, None).unwrap();
    assert_eq!(give(0, None), Err(GrantError::Minutes { minutes: 0 }));
    let holding = grants.holding("mia", None, wall(1));
    assert_eq!(holding.bonus("games"), Duration::from_secs(900));
    assert_eq!(holding.bonus("video"), Duration::from_secs(300));
}

#[test]
fn what_cannot_be_said_is_refused() {
    let mut grants = Grants::default();
    let mut add = |until| grants.add(said(What::PauseFilter, mia(), until), wall(0));
    assert_eq!(add(0), Err(GrantError::Over { until: at(0) }));
    let month = 31 * 86_400;
    let until = at(month + 1);
    assert_eq!(add(month + 1), Err(GrantError::TooLong { until }));
    for _ in 0..MAX_HOLDING {
        add(month).unwrap();
    }
    assert_eq!(add(5), Err(GrantError::TooMany));
    assert_eq!(
        grants.undo(999, "anna", wall(0)),
        Err(GrantError::Unknown { id: 999 })
    );
    let ended = grants.undo(1, "ben\u{1b}", wall(7)).unwrap();
    assert_eq!(ended.ended.as_ref().unwrap().by.as_deref(), Some("ben "));
    assert_eq!(
        grants.undo(1, "anna", wall(8)).unwrap_err().to_string(),
        "number 1 ended at 2026-12-01T00:00:07Z already"
    );
}

#[test]
fn what_ended_is_remembered_for_a_week() {
    let mut grants = Grants::default();
    grants
        .add(said(What::PauseFilter, mia(), 10), wall(0))
        .unwrap();
    let week = i64::try_from(KEEP.as_secs()).unwrap();
    grants.tidy(wall(10 + week));
    assert_eq!(grants.grants().len(), 1);
    assert!(grants.tidy(wall(11 + week)));
    assert!(grants.grants().is_empty());
}

fn ask(device: &str, service: &str) -> Ask {
    Ask {
        profile: "mia".into(),
        device: device.into(),
        subject: Subject::Service(service.into()),
        why: "please".into(),
    }
}

#[test]
fn a_request_is_counted_granted_denied_and_forgotten() {
    let mut grants = Grants::default();
    let first = grants.ask(ask("tablet", "roblox"), wall(0)).unwrap();
    let Asked::New(id) = first else {
        panic!("{first:?}")
    };
    let again = grants.ask(ask("tablet", "roblox"), wall(1)).unwrap();
    assert_eq!(again, Asked::Again(id));
    assert_eq!(grants.requests()[0].times, 2);
    let grant = grants.grant_request(id, at(600), "anna", "have fun", wall(2));
    let grant = grant.unwrap().clone();
    assert_eq!(grant.what, What::Allow(Subject::Service("roblox".into())));
    assert_eq!((grant.scope, grant.why.as_str()), (mia(), "please"));
    assert_eq!(
        grants.deny_request(id, "anna", "", wall(3)),
        Err(RequestError::Answered { id })
    );
    let Ok(Asked::New(second)) = grants.ask(ask("tablet", "roblox"), wall(4)) else {
        panic!("an answered request is another one")
    };
    let denied = grants.deny_request(second, "ben", "homework\nfirst", wall(5));
    let RequestStatus::Answered(answer) = &denied.unwrap().status else {
        panic!("it is answered")
    };
    assert_eq!(
        (answer.word.as_str(), answer.grant),
        ("homework first", None)
    );
    grants.ask(ask("tablet", "tiktok"), wall(6)).unwrap();
    let week = i64::try_from(KEEP.as_secs()).unwrap();
    grants.tidy(wall(7 + week));
    assert_eq!(grants.requests()[2].status, RequestStatus::Expired);
    grants.tidy(wall(7 + 2 * week));
    assert!(grants.requests().is_empty());
}

#[test]
fn a_grant_that_cannot_be_leaves_its_request_waiting() {
    let mut grants = Grants::default();
    grants.ask(ask("tablet", "roblox"), wall(5)).unwrap();
    let refused = grants.grant_request(1, at(4), "anna", "", wall(5));
    let over = GrantError::Over { until: at(4) };
    assert_eq!(refused, Err(RequestError::Grant(over)));
    assert!(grants.requests()[0].waits());
}

#[test]
fn requests_are_bounded() {
    let mut grants = Grants::default();
    for number in 0..MAX_WAITING {
        grants
            .ask(ask("tablet", &format!("s{number}")), wall(0))
            .unwrap();
    }
    let more = |grants: &mut Grants, time| grants.ask(ask("tablet", "more"), wall(time));
    assert_eq!(more(&mut grants, 0), Err(RequestError::Waiting));
    assert!(grants.ask(ask("phone", "more"), wall(0)).is_ok());
    for number in 0..MAX_A_DAY {
        let waiting = grants.requests().iter();
        let waiting = waiting.filter(|it| it.waits() && it.device == "tablet");
        if let Some(id) = waiting.map(|it| it.id).next() {
            grants.deny_request(id, "anna", "", wall(1)).unwrap();
        }
        if number < MAX_A_DAY - MAX_WAITING {
            grants
                .ask(ask("tablet", &format!("t{number}")), wall(1))
                .unwrap();
        }
    }
    assert_eq!(more(&mut grants, 2), Err(RequestError::Today));
    assert!(more(&mut grants, 86_401).is_ok());
}

#[test]
fn many_devices_cannot_fill_the_memory() {
    let mut grants = Grants::default();
    for number in 0..requests::MAX_REQUESTS {
        let device = format!("d{number}");
        grants.ask(ask(&device, "roblox"), wall(0)).unwrap();
    }
    let last = |grants: &mut Grants, time| grants.ask(ask("last", "roblox"), wall(time));
    assert_eq!(last(&mut grants, 0), Err(RequestError::Full));
    grants.deny_request(7, "anna", "", wall(0)).unwrap();
    assert_eq!(last(&mut grants, 1), Err(RequestError::Full));
    assert!(last(&mut grants, 86_400).is_ok());
    assert!(!grants.requests().iter().any(|request| request.id == 7));
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Add {
        what: u8,
        scope: u8,
        last: i64,
    },
    Undo {
        id: u32,
    },
    Pass {
        seconds: i64,
    },
    /// The power goes after the last write.
    Restart,
    /// The next write fails, and the power goes after it.
    FailedWrite {
        what: u8,
        last: i64,
    },
    Damage,
}

/// One grant of the model: what, scope, from, until, undone.
type Line = (u32, u8, u8, i64, i64, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..4, 0_u8..3, 1_i64..5000)
            .prop_map(|(what, scope, last)| Step::Add { what, scope, last }),
        2 => (1_u32..12).prop_map(|id| Step::Undo { id }),
        4 => (0_i64..3000).prop_map(|seconds| Step::Pass { seconds }),
        2 => Just(Step::Restart),
        1 => (0_u8..4, 1_i64..5000).prop_map(|(what, last)| Step::FailedWrite { what, last }),
        1 => Just(Step::Damage),
    ];
    prop::collection::vec(step, 1..40)
}

fn what_of(what: u8) -> What {
    match what {
        0 => What::Allow(games()),
        1 => What::PauseInternet,
        2 => What::PauseFilter,
        _ => What::Bonus {
            minutes: 5,
            of: None,
        },
    }
}

fn scope_of(scope: u8) -> Scope {
    match scope {
        0 => Scope::Everybody,
        1 => mia(),
        _ => Scope::Device("tablet".into()),
    }
}

/// What the model holds for the tablet of `mia`: ids of what is allowed, of pauses, of bonuses.
fn model_holds(lines: &[Line], now: i64) -> [Vec<u32>; 4] {
    let held = lines
        .iter()
        .filter(|(_, _, _, from, until, undone)| !undone && *from <= now && now < *until);
    let held: Vec<_> = held.collect();
    let ids = |kind: u8| -> Vec<u32> {
        let of_kind = held.iter().filter(|line| line.1 == kind);
        of_kind.map(|line| line.0).collect()
    };
    let newest_pause = ids(1).last().copied().unwrap_or(0);
    let mut allowed = ids(0);
    allowed.retain(|id| *id > newest_pause);
    [allowed, ids(1), ids(2), ids(3)]
}

proptest! {
    #[test]
    fn grants_are_what_the_model_says(steps in steps()) {
        let memory = MemoryFiles::new();
        let (files, path) = (memory.files(), Path::new(PATH));
        let mut grants = Grants::default();
        let mut model: Vec<Line> = Vec::new();
        let mut written = (grants.clone(), model.clone());
        let mut now = 0;
        for step in steps {
            match step {
                Step::Add { what, scope, last } => {
                    let said = said(what_of(what), scope_of(scope), now + last);
                    let id = grants.add(said, wall(now)).unwrap();
                    model.push((id, what, scope, now, now + last, false));
                    store::save(&grants, &files, path).unwrap();
                    written = (grants.clone(), model.clone());
                }
                Step::Undo { id } => {
                    let line = model.iter_mut().find(|line| line.0 == id);
                    let living = line.filter(|line| !line.5 && (now < line.4 || line.1 == 1));
                    let done = grants.undo(id, "ben", wall(now)).is_ok();
                    match living {
                        Some(line) => {
                            // A pause that has just run out may still be taken back.
                            prop_assert!(done || now >= line.4);
                            line.5 = done || line.5;
                        }
                        None => prop_assert!(!done),
                    }
                    store::save(&grants, &files, path).unwrap();
                    written = (grants.clone(), model.clone());
                }
                Step::Pass { seconds } => now += seconds,
                Step::Restart => {
                    let (read, error) = store::load(&files, path);
                    prop_assert!(error.is_none());
                    prop_assert_eq!(&read, &written.0);
                    (grants, model) = (read, written.1.clone());
                }
                Step::FailedWrite { what, last } => {
                    let said = said(what_of(what), mia(), now + last);
                    grants.add(said, wall(now)).unwrap();
                    memory.fail_next(std::io::ErrorKind::StorageFull);
                    prop_assert!(store::save(&grants, &files, path).is_err());
                    memory.recover();
                    let (read, error) = store::load(&files, path);
                    prop_assert!(error.is_none());
                    (grants, model) = (read, written.1.clone());
                }
                Step::Damage => {
                    memory.put(PATH, "{");
                    let (read, error) = store::load(&files, path);
                    prop_assert!(error.is_some());
                    (grants, model) = (read, Vec::new());
                    store::save(&grants, &files, path).unwrap();
                    written = (grants.clone(), Vec::new());
                }
            }
            let holding = grants.holding("mia", Some("tablet"), wall(now));
            let [allowed, internet, filter, bonuses] = model_holds(&model, now);
            let ids = |list: &[&Grant]| list.iter().map(|it| it.id).collect::<Vec<_>>();
            prop_assert_eq!(ids(&holding.allowed), allowed);
            prop_assert_eq!(ids(&holding.bonuses), bonuses);
            prop_assert_eq!(holding.internet.is_some(), !internet.is_empty());
            prop_assert_eq!(holding.filter.is_some(), !filter.is_empty());
            // Nothing changes before the next change.
            let next = grants.next_change(wall(now));
            let next_of_model = model
                .iter()
                .filter(|line| !line.5 && line.4 > now)
                .map(|line| at(line.4))
                .min();
            prop_assert_eq!(next, next_of_model);
            if let Some(next) = next {
                let before = next.checked_sub(Duration::from_nanos(1)).unwrap();
                let still = grants.holding("mia", Some("tablet"), Wall::Set(before));
                prop_assert_eq!(still, holding);
            }
        }
    }
}
