//! What a child can see of the rules for it, and reveals: names of a profile kept for a while.

use super::household::Daemon;
use crate::config::{self, Growth, Privacy, Stage};
use crate::control::ControlError;
use crate::control::child::ChildStatus;
use crate::control::family::{AccessRequest, Grant, QuotaUse};
use crate::grants::{Grants, Scope, What};
use crate::journal::Reveal;
use crate::wall::Wall;

/// Whether the names of `profile` can be revealed.
pub(super) fn check_reveal(profile: Option<&config::Profile>) -> Result<(), ControlError> {
    let is_grown_up = |growth: Growth| growth.stage == Stage::Adult;
    match profile {
        Some(profile) if profile.growth.is_some_and(is_grown_up) => Err(ControlError::bad_request(
            format!("`{}` is grown up", profile.name.escape_debug()),
            "what is remembered of a grown-up is for the grown-up to say, in the configuration",
        )),
        Some(profile) if profile.privacy == Privacy::Names => Err(ControlError::bad_request(
            format!(
                "the names `{}` asks for are in the log already",
                profile.name.escape_debug()
            ),
            "`hedgerow log --profile NAME` shows them",
        )),
        _ => Ok(()),
    }
}

impl Daemon {
    /// Tells the journal whose names are revealed at `wall`.
    pub(super) fn renew_reveals(&self, wall: Wall) {
        let at = self.clock.now();
        let mut reveals = Vec::new();
        if let Some(now) = wall.time() {
            let snapshot = self.resolver.snapshot();
            let mut grants = self.families.grants();
            if note_devices(&mut grants, &snapshot.config, wall) {
                self.families.save_soon();
            }
            for grant in grants.revealing(wall) {
                let Scope::Profile(profile) = &grant.scope else {
                    continue;
                };
                let passed = now.duration_since(grant.since).as_micros();
                let passed = u64::try_from(passed).unwrap_or_default();
                let left = grant.until.duration_since(now);
                reveals.push(Reveal {
                    profile: profile.clone(),
                    from: at.before(passed),
                    until: at.after(left.try_into().unwrap_or_default()),
                });
            }
        }
        self.journal.set_reveals(reveals);
    }

    /// What holds for the child with `device`.
    pub(super) fn child_status(&self, device: &str) -> Result<ChildStatus, ControlError> {
        let snapshot = self.resolver.snapshot();
        let config = &snapshot.config;
        let known = config.devices.iter().find(|it| it.name == device);
        let Some(profile) = known.and_then(|it| config.profiles.get(it.profile)) else {
            let text = format!("there is no device `{}`", device.escape_debug());
            let help = "`hedgerow device list` shows those there are";
            return Err(ControlError::not_found(text, help));
        };
        let wall = self.families.look().wall;
        let grants = self.families.grants();
        let of_child = grants.grants().iter();
        // A reveal is found by whom it concerned, also after the device got another profile.
        let of_child = of_child.filter(|it| {
            it.scope.covers(&profile.name, Some(device)) || it.devices.iter().any(|it| it == device)
        });
        let (reveals, others): (Vec<_>, Vec<_>) =
            of_child.partition(|grant| grant.what == What::Reveal);
        let text = |grant: &&crate::grants::Grant| Grant::of(grant, wall);
        let requests = grants.requests().iter().filter(|it| it.device == device);
        let requests = requests.map(AccessRequest::from).collect();
        let here = |grant: &&crate::grants::Grant| grant.scope.covers(&profile.name, Some(device));
        let revealed = match reveals
            .iter()
            .filter(|it| here(it))
            .any(|it| it.holds(wall))
        {
            true => Revealed::Now,
            false if !reveals.is_empty() => Revealed::Before,
            false => Revealed::Never,
        };
        let status = ChildStatus {
            device: device.to_owned(),
            profile: profile.name.clone(),
            preset: profile.preset.clone(),
            growth: self.growth_text(config, profile),
            privacy: super::profile::privacy_word(profile.privacy).to_owned(),
            seen: seen(profile.privacy, revealed).to_owned(),
            reveals: reveals.iter().map(text).collect(),
            grants: others
                .iter()
                .map(text)
                .filter(|grant| !grant.is_over())
                .collect(),
            requests,
            quotas: Vec::new(),
        };
        drop(grants);
        let shown = self.families.meters.shown(self.clock.now());
        let own = shown.iter().filter(|it| it.quota.profile == profile.name);
        Ok(ChildStatus {
            quotas: own.map(QuotaUse::from).collect(),
            ..status
        })
    }
}

/// Remembers which devices the reveals of this moment concern; says whether that is new.
fn note_devices(grants: &mut Grants, config: &config::Config, wall: Wall) -> bool {
    let revealing = grants.revealing(wall);
    let revealing: Vec<_> = revealing.map(|it| (it.id, it.scope.clone())).collect();
    let mut is_new = false;
    for (id, scope) in revealing {
        let concerned = config.devices.iter().filter(|device| {
            let profile = config.profiles.get(device.profile);
            profile.is_some_and(|it| scope.covers(&it.name, None))
        });
        is_new |= grants.note_devices(id, concerned.map(|it| it.name.as_str()));
    }
    is_new
}

/// Whether names of a child are kept although its profile says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revealed {
    /// They are.
    Now,
    /// They were, and may still be in the log.
    Before,
    /// Not within memory.
    Never,
}

/// What others see of a profile, for the child.
const fn seen(privacy: Privacy, revealed: Revealed) -> &'static str {
    match (privacy, revealed) {
        (Privacy::Names, _) => {
            "the names you ask for can be read at home, with their times; never those of help lines"
        }
        (_, Revealed::Now) => {
            "the names you ask for are written down until the reveal below ends; never those of help \
             lines"
        }
        (Privacy::Categories, Revealed::Before) => {
            "when you asked for something and what kind of thing was blocked can be read at home; names \
             only from the time of a reveal below, until newer entries push them out of the log"
        }
        (Privacy::Categories, Revealed::Never) => {
            "when you asked for something and what kind of thing was blocked can be read at home; no \
             names"
        }
        (Privacy::None, Revealed::Before) => {
            "nothing you ask for can be read at home, but for names from the time of a reveal below, \
             until newer entries push them out of the log; it counts in the home's totals"
        }
        (Privacy::None, Revealed::Never) => {
            "nothing you ask for can be read at home; it counts in the home's totals"
        }
    }
}
