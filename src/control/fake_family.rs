//! The day of a household for tests: real grants, at a time that stands still.

use std::time::Duration;

use super::api::QuotaUse;
use super::child::ChildStatus;
use super::fake::FakeHousehold;
use super::family::{
    AccessRequest, By, Family, Grant, GrantChange, GrantRequest, Paused, RequestChange,
    RequestRequest, Term,
};
use super::{Boxed, ControlError};
use crate::clock::Timestamp;
use crate::config::Subject;
use crate::grants::{Ask, Asked, Grants, Said, Scope, What, resolve_until};
use crate::wall::Wall;

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn wrong(error: impl ToString) -> ControlError {
    ControlError::bad_request(error.to_string(), "")
}

fn until(term: &Term) -> Result<Timestamp, ControlError> {
    let named = |word: &str| Err(format!("`{word}` is no time"));
    resolve_until(term.time, term.until.as_deref(), now(), named).map_err(wrong)
}

fn subject(word: &str) -> Result<Subject, ControlError> {
    Subject::parse(word, |id| id == "games", |id| id == "roblox").map_err(wrong)
}

/// The account of the test is not the same everywhere.
fn name(by: By) -> String {
    assert!(by.uid.is_some(), "the kernel knows who asks");
    by.name.unwrap_or_else(|| "somebody".to_owned())
}

impl FakeHousehold {
    fn say(&self, request: GrantRequest, by: By) -> Result<GrantChange, ControlError> {
        let (wall, by) = (Wall::Set(now()), name(by));
        let mut grants = self.family.lock().unwrap();
        let said = |what, scope, until, why| Said {
            what,
            scope,
            until,
            by: by.clone(),
            why,
        };
        let (id, done) = match request {
            GrantRequest::Allow {
                subject: word,
                scope,
                term,
                why,
            } => {
                let what = What::Allow(subject(&word)?);
                let said = said(what, scope, until(&term)?, why);
                (grants.add(said, wall).map_err(wrong)?, "added")
            }
            GrantRequest::Pause {
                what,
                scope,
                term,
                why,
            } => {
                let what = match what {
                    Paused::Internet => What::PauseInternet,
                    Paused::Filter => What::PauseFilter,
                };
                let said = said(what, scope, until(&term)?, why);
                (grants.add(said, wall).map_err(wrong)?, "added")
            }
            GrantRequest::Bonus {
                profile,
                quota: of,
                minutes,
                why,
            } => {
                let until = now().checked_add(Duration::from_hours(8)).unwrap();
                let what = What::Bonus { minutes, of };
                let said = said(what, Scope::Profile(profile), until, why);
                (grants.add(said, wall).map_err(wrong)?, "added")
            }
            GrantRequest::Reveal { profile, term, why } => {
                let scope = Scope::Profile(profile);
                let said = said(What::Reveal, scope, until(&term)?, why);
                (grants.add(said, wall).map_err(wrong)?, "added")
            }
            GrantRequest::Undo { id, reveal } => {
                let undone = match reveal {
                    true => grants.end_reveal(id, &by, wall),
                    false => grants.undo(id, &by, wall),
                };
                let id = undone.map_err(|error| ControlError::not_found(error.to_string(), ""))?;
                (id.id, "undone")
            }
        };
        Ok(GrantChange {
            done: done.into(),
            grant: Grant::of(grants.grant(id).unwrap(), wall),
            notes: vec![],
        })
    }

    fn hear(&self, request: RequestRequest, by: By) -> Result<RequestChange, ControlError> {
        let (wall, by) = (Wall::Set(now()), name(by));
        let mut grants = self.family.lock().unwrap();
        let (id, done, grant) = match request {
            RequestRequest::Ask {
                subject: word,
                device,
                why,
            } => {
                let ask = Ask {
                    profile: "mia".into(),
                    device,
                    subject: subject(&word)?,
                    why,
                };
                match grants.ask(ask, wall).map_err(wrong)? {
                    Asked::New(id) => (id, "asked", None),
                    Asked::Again(id) => (id, "counted", None),
                }
            }
            RequestRequest::Grant { id, term, word } => {
                let grant = grants.grant_request(id, until(&term)?, &by, &word, wall);
                let grant = Grant::of(grant.map_err(wrong)?, wall);
                (id, "granted", Some(grant))
            }
            RequestRequest::Deny { id, word } => {
                let denied = grants.deny_request(id, &by, &word, wall);
                denied.map_err(wrong)?;
                (id, "denied", None)
            }
        };
        let find = |grants: &Grants| {
            let mut all = grants.requests().iter();
            all.find(|it| it.id == id).map(AccessRequest::from)
        };
        Ok(RequestChange {
            done: done.into(),
            request: find(&grants).unwrap(),
            grant,
            notes: vec![],
        })
    }
}

impl Family for FakeHousehold {
    fn grants(&self, all: bool) -> Vec<Grant> {
        let grants = self.family.lock().unwrap();
        let shown = grants.grants().iter();
        let shown = shown.map(|grant| Grant::of(grant, Wall::Set(now())));
        shown.filter(|grant| all || !grant.is_over()).collect()
    }

    fn change_grants(
        &self,
        request: GrantRequest,
        by: By,
    ) -> Boxed<'_, Result<GrantChange, ControlError>> {
        Box::pin(async move { self.say(request, by) })
    }

    fn requests(&self, all: bool) -> Vec<AccessRequest> {
        let grants = self.family.lock().unwrap();
        let shown = grants.requests().iter();
        let shown = shown.filter(|request| all || request.waits());
        shown.map(AccessRequest::from).collect()
    }

    fn change_requests(
        &self,
        request: RequestRequest,
        by: By,
    ) -> Boxed<'_, Result<RequestChange, ControlError>> {
        Box::pin(async move { self.hear(request, by) })
    }

    fn child(&self, device: &str) -> Result<ChildStatus, ControlError> {
        let mut all = Family::grants(self, true);
        all.retain(Grant::is_reveal);
        Ok(ChildStatus {
            device: device.into(),
            profile: "mia".into(),
            preset: "adolescent".into(),
            privacy: "categories".into(),
            seen: "no names".into(),
            reveals: all,
            quotas: self.quotas(),
            ..ChildStatus::default()
        })
    }

    fn quotas(&self) -> Vec<QuotaUse> {
        vec![QuotaUse {
            profile: "mia".into(),
            quota: "games".into(),
            used_s: 4_500,
            left_s: 4_500,
            allowance_s: 9_000,
            carried_s: 900,
            bonus_s: 900,
            since: Some("2026-12-01T03:00:00Z".into()),
            until: Some("2026-12-02T03:00:00Z".into()),
            counted_by: "DNS activity".into(),
            error_s: 360,
            linger_s: 180,
        }]
    }
}
