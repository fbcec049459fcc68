//! What schedules, quotas, grants and pauses say from now on: the spans of each profile, and of the
//! devices of which something was said alone.

use std::sync::Arc;
use std::time::Duration;

use super::{Closer, Closing, Count, Grant, Meter, Pause, StandingInput, Standings};
use crate::clock::{Moment, Timestamp};
use crate::config::{self, Config, Period, Subject, WhenClockUnset};
use crate::grants::{Grants, What};
use crate::lists::Index;
use crate::profile::Profile;
use crate::quota::{self, Quota, Rhythm};
use crate::wall::Wall;

/// How far ahead is looked, though never less than to the next change.
const AHEAD: Duration = Duration::from_hours(6);
/// Spans that one row has at most; who keeps the time makes new ones before the last ends.
const MAX_SPANS: usize = 8;
/// How long a span lasts while nobody knows the time: it may be known any moment.
const CLOCKLESS: Duration = Duration::from_secs(120);

/// All that says what holds.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Profiles with their closings and quotas, and schedules.
    pub config: &'a Config,
    /// What somebody said for a while.
    pub grants: &'a Grants,
    /// How the quotas stand.
    pub quotas: &'a [QuotaState],
    /// The time.
    pub wall: Wall,
    /// The same moment on the monotonic clock.
    pub at: Moment,
}

/// How a quota stands.
#[derive(Clone, Debug)]
pub struct QuotaState {
    /// Whose.
    pub profile: String,
    /// What it is called.
    pub of: String,
    /// Whether its time is used up.
    pub is_spent: bool,
    /// When its day or week ends; none if nobody knows.
    pub until: Option<Timestamp>,
    /// What counts it.
    pub meter: Arc<quota::Meter>,
}

/// The quotas of a configuration, as they are counted.
pub fn quotas_of(config: &Config) -> Vec<Quota> {
    let of_profile = |profile: &config::Profile| -> Vec<Quota> {
        let count = |quota: &config::Quota| Quota {
            profile: profile.name.clone(),
            of: quota.label(),
            words: quota.words(),
            formerly: as_written(&quota.of),
            rhythm: Rhythm {
                reset: quota.reset,
                week_begins: match quota.per {
                    Period::Day => None,
                    Period::Week(day) => Some(day),
                },
            },
            time: quota.time,
            roll_over: quota.roll_over,
            linger: quota.linger,
        };
        profile.quotas.iter().map(count).collect()
    };
    config.profiles.iter().flat_map(of_profile).collect()
}

/// These subjects, one after the other.
fn as_written(of: &[Subject]) -> String {
    let words: Vec<String> = of.iter().map(Subject::to_string).collect();
    words.join(", ")
}

impl Plan<'_> {
    /// What holds from now on, where `profiles` were compiled from the configuration.
    pub fn standings(&self, profiles: &[Profile], lists: &Index) -> Standings {
        let of_profile = |profile| self.timeline(profile, None);
        let inputs: Vec<_> = self.config.profiles.iter().map(of_profile).collect();
        let meant: Vec<&str> = self.grants.devices_meant().collect();
        let devices = (0..).zip(&self.config.devices);
        let devices = devices.filter(|(_, device)| meant.contains(&device.name.as_str()));
        let devices = devices.filter_map(|(index, device)| {
            let profile = self.config.profiles.get(device.profile)?;
            let compiled = profiles.get(device.profile)?;
            Some((index, compiled, self.timeline(profile, Some(&device.name))))
        });
        Standings::compile(profiles, &inputs, lists).with_devices(devices, lists)
    }

    /// The spans of a profile, or of a device that has it; none if nothing ever holds but the
    /// profile's own settings.
    fn timeline(&self, profile: &config::Profile, device: Option<&str>) -> Vec<StandingInput> {
        let Wall::Set(now) = self.wall else {
            return vec![StandingInput {
                ends: Some(self.at.after(CLOCKLESS)),
                ..self.input(profile, device, None)
            }];
        };
        let horizon = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let mut spans = Vec::new();
        let mut begin = now;
        loop {
            let next = self.next_change(profile, device, begin);
            spans.push(StandingInput {
                since: (begin > now).then_some(begin),
                until: next,
                ends: next.map(|next| self.at.after(between(now, next))),
                ..self.input(profile, device, Some(begin))
            });
            match next {
                Some(next) if next < horizon && spans.len() < MAX_SPANS => begin = next,
                _ => break,
            }
        }
        match spans.as_slice() {
            [only] if only.until.is_none() && only.is_empty() => Vec::new(),
            _ => spans,
        }
    }

    /// What holds at `time`; none is a clock that is not set.
    fn input(
        &self,
        profile: &config::Profile,
        device: Option<&str>,
        time: Option<Timestamp>,
    ) -> StandingInput {
        let wall = time.map_or(Wall::Unset, Wall::Set);
        let holding = self.grants.holding(&profile.name, device, wall);
        let closings = profile.closings.iter();
        let mut input = StandingInput {
            closings: closings
                .filter_map(|it| self.closing(it, profile, time))
                .collect(),
            ..StandingInput::default()
        };
        for quota in &profile.quotas {
            self.add_quota(quota, profile, time, &mut input);
        }
        let pause = |grant: &crate::grants::Grant| Pause {
            by: grant.by.clone(),
            made: u64::from(grant.id),
            since: Some(grant.since),
            until: Some(grant.until),
        };
        input.internet_pause = holding.internet.map(pause);
        input.filter_pause = holding.filter.map(pause);
        input.grants = holding
            .allowed
            .iter()
            .filter_map(|grant| match &grant.what {
                What::Allow(subject) => Some(Grant {
                    subject: subject.clone(),
                    made: u64::from(grant.id),
                    since: Some(grant.since),
                    until: Some(grant.until),
                }),
                What::PauseInternet | What::PauseFilter | What::Bonus { .. } | What::Reveal => None,
            })
            .collect();
        input
    }

    /// What a closing of the profile closes at `time`, if anything.
    fn closing(
        &self,
        closing: &config::Closing,
        profile: &config::Profile,
        time: Option<Timestamp>,
    ) -> Option<Closing> {
        let schedule = self.config.schedules.get(closing.schedule)?;
        let (since, until) = match time {
            Some(time) => {
                let span = schedule.times.span(time, &self.config.zone);
                span.holds.then_some((span.since, span.until))?
            }
            None if profile.when_clock_unset == WhenClockUnset::Close => (None, None),
            None => return None,
        };
        Some(Closing {
            by: Closer::Schedule(schedule.name.clone()),
            close: closing.close.clone(),
            open: closing.open.clone(),
            since,
            until,
        })
    }

    /// Counts the names of a quota, and closes them where its time is used up at `time`.
    fn add_quota(
        &self,
        quota: &config::Quota,
        profile: &config::Profile,
        time: Option<Timestamp>,
        input: &mut StandingInput,
    ) {
        let of = quota.label();
        let state = self.state_of(&profile.name, &of);
        let until = state.and_then(|state| state.until);
        // In the next day or week nothing is used yet.
        let is_later = time.zip(until).is_some_and(|(time, until)| time >= until);
        let is_spent = match state {
            Some(state) if !is_later => state.is_spent,
            _ => quota.time.is_zero(),
        };
        input.meters.push(Meter {
            of: quota.of.clone(),
            used_up_at: None,
            count: state.map(|state| Count {
                meter: Arc::clone(&state.meter),
                is_spent,
            }),
        });
        if is_spent {
            input.closings.push(Closing {
                by: Closer::Quota(of),
                close: quota.of.clone(),
                open: Vec::new(),
                since: None,
                until: until.filter(|_| !is_later),
            });
        }
    }

    fn state_of(&self, profile: &str, of: &str) -> Option<&QuotaState> {
        let mut states = self.quotas.iter();
        states.find(|state| state.profile == profile && state.of == of)
    }

    /// When something will be different after `time`.
    fn next_change(
        &self,
        profile: &config::Profile,
        device: Option<&str>,
        time: Timestamp,
    ) -> Option<Timestamp> {
        let closings = profile.closings.iter();
        let schedules = closings.filter_map(|it| self.config.schedules.get(it.schedule));
        let schedules = schedules.filter_map(|it| it.times.span(time, &self.config.zone).until);
        let quotas = self.quotas.iter().filter(|it| it.profile == profile.name);
        let quotas = quotas.filter_map(|it| it.until);
        let grants = self.grants.next_change_for(&profile.name, device, time);
        let all = schedules.chain(quotas).chain(grants);
        all.filter(|change| *change > time).min()
    }
}

impl StandingInput {
    /// Whether nothing speaks here.
    fn is_empty(&self) -> bool {
        self.closings.is_empty()
            && self.grants.is_empty()
            && self.internet_pause.is_none()
            && self.filter_pause.is_none()
            && self.meters.is_empty()
    }
}

/// How long after `now` `then` is.
fn between(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}
