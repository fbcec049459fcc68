//! A world at an hour that need not be now.

use crate::clock::Timestamp;
use crate::config::Config;
use crate::lists::Index;
use crate::name::NameRef;
use crate::policy::{Rank, Stance, View, Voice, judge_name, survey};
use crate::profile::Profile;
use crate::snapshot::Snapshot;
use crate::standing::{Closer, Closing, Standing, StandingInput, Standings};
use crate::verdict::{Cause, Reason, Tier, Verdict};

/// What holds for each profile at `at` by the configuration alone: without grants and pauses, and
/// with nothing used of any quota.
pub fn standing_at(
    config: &Config,
    lists: &Index,
    profiles: &[Profile],
    at: Timestamp,
) -> Standings {
    standing_in(config, lists, profiles, Some(at))
}

/// The same at an hour in which no schedule holds.
pub fn standing_unclosed(config: &Config, lists: &Index, profiles: &[Profile]) -> Standings {
    standing_in(config, lists, profiles, None)
}

fn standing_in(
    config: &Config,
    lists: &Index,
    profiles: &[Profile],
    at: Option<Timestamp>,
) -> Standings {
    let schedules = at.map_or(&[][..], |_| &config.schedules);
    let spans: Vec<_> = schedules
        .iter()
        .map(|schedule| schedule.times.span(at.unwrap_or_default(), &config.zone))
        .collect();
    let inputs: Vec<Vec<StandingInput>> = config
        .profiles
        .iter()
        .map(|profile| {
            let during = profile.closings.iter().filter_map(|closing| {
                let span = spans.get(closing.schedule).filter(|span| span.holds)?;
                Some(Closing {
                    by: Closer::Schedule(config.schedules[closing.schedule].name.clone()),
                    close: closing.close.clone(),
                    open: closing.open.clone(),
                    since: span.since,
                    until: span.until,
                })
            });
            let without_time = profile.quotas.iter().filter(|quota| quota.time.is_zero());
            let used_up = without_time.map(|quota| Closing {
                by: Closer::Quota(quota.label()),
                close: quota.of.clone(),
                open: Vec::new(),
                since: None,
                until: None,
            });
            let closings = during.chain(used_up).collect();
            vec![StandingInput {
                closings,
                ..StandingInput::default()
            }]
        })
        .collect();
    Standings::compile(profiles, &inputs, lists)
}

/// A snapshot and what holds in it at some hour.
#[derive(Clone, Copy, Debug)]
pub struct World<'w> {
    /// The snapshot.
    pub snapshot: &'w Snapshot,
    standings: &'w Standings,
}

impl<'w> World<'w> {
    /// `snapshot` with `standings`, which are of its profiles.
    pub const fn new(snapshot: &'w Snapshot, standings: &'w Standings) -> Self {
        Self {
            snapshot,
            standings,
        }
    }

    /// What verdicts on the device with this index depend on.
    pub fn of_device(&self, index: usize) -> View<'w> {
        let index = u16::try_from(index).ok();
        let device = index.and_then(|index| self.snapshot.devices.device(index));
        let profile = self.snapshot.profile_of(index);
        View {
            device: index.filter(|_| device.is_some()),
            device_name: device.map(|device| device.name),
            ..self.view(profile)
        }
    }

    /// What verdicts on any device of the profile with this index depend on.
    pub fn of_profile(&self, index: usize) -> View<'w> {
        let guest = || self.snapshot.profile_of(None);
        let profile = self.snapshot.profiles.get(index);
        self.view(profile.unwrap_or_else(guest))
    }

    /// What verdicts on a device nobody named depend on.
    pub fn of_guest(&self) -> View<'w> {
        self.view(self.snapshot.profile_of(None))
    }

    fn view(&self, profile: &'w Profile) -> View<'w> {
        let snapshot = self.snapshot;
        let standing: &Standing =
            self.standings
                .at(profile.id, None, crate::clock::Moment::default());
        View {
            lists: &snapshot.lists,
            rules: &snapshot.rules,
            safe_search: &snapshot.safe_search,
            gate: &snapshot.gate,
            private_domains: &snapshot.private_domains,
            profile,
            standing,
            device: None,
            device_name: None,
            client: None,
        }
    }

    /// The verdict on a name.
    pub fn judge(&self, name: NameRef<'_>, qtype: u16, view: &View<'_>) -> Verdict {
        judge_name(name, qtype, view)
    }

    /// Whether a name is on a sealed list that speaks here, whatever comes of it.
    pub fn is_sealed(&self, name: NameRef<'_>, qtype: u16, view: &View<'_>) -> bool {
        let mut is_sealed = false;
        survey(name, qtype, view, |voice| {
            is_sealed |= voice.reason.tier == Tier::Sealed;
        });
        is_sealed
    }

    /// Why `verdict` came of it: the voice that decided, then the others in the order of authority.
    /// Of what is on a sealed list none is quoted: rules call it by its name.
    pub fn chain(
        &self,
        name: NameRef<'_>,
        qtype: u16,
        view: &View<'_>,
        verdict: &Verdict,
    ) -> Vec<String> {
        let reason = verdict.reason();
        let mut others: Vec<(Rank, u16, Voice)> = Vec::new();
        survey(name, qtype, view, |voice| {
            if voice.reason != reason {
                others.push((voice.rank(), u16::MAX - voice.precision, voice));
            }
        });
        others.sort_by_key(|(rank, precision, _)| (*rank, *precision));
        let times = view.standing.times_of(&reason.cause).unwrap_or_default();
        let zone = &self.snapshot.config.zone;
        let is_sealed = self.is_sealed(name, qtype, view);
        let told = |reason: Reason| match (reason.tier, reason.cause) {
            (Tier::Sealed, _) => "a sealed list".to_owned(),
            (_, Cause::Rule { .. }) if is_sealed => "a rule".to_owned(),
            _ => reason.to_string(),
        };
        let mut first = format!("{} [{}]", told(reason), reason.tier.label());
        if let Some(until) = times.until {
            first.push_str(&format!(" until {}", zone.written(until)));
        }
        let others = others.into_iter().map(|(_, _, voice)| {
            let says = match voice.stance {
                Stance::Allow => "for",
                Stance::Block => "against",
                Stance::Rewrite => "for the safe form",
            };
            let tier = voice.reason.tier.label();
            format!("{says}: {} [{tier}]", told(voice.reason))
        });
        std::iter::once(first).chain(others).collect()
    }
}
