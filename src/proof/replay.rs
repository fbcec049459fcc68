//! What a log would have been under another configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::world::{World, standing_at};
use crate::clock::Timestamp;
use crate::device::Origin;
use crate::grants::Scope;
use crate::journal::{LogEntry, parse_qtype};
use crate::name::NameBuf;
use crate::policy::View;
use crate::snapshot::Snapshot;
use crate::standing::Standings;
use crate::verdict::{Tier, Trigger};

/// What came of judging a log again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replay {
    /// Questions that were judged again.
    pub judged: u64,
    /// Those of them that would be decided otherwise.
    pub changed: u64,
    /// Questions whose name the profile's privacy does not keep.
    pub without_name: u64,
    /// Questions that something decided which a configuration does not know: a grant, a pause, what
    /// was used of a quota, or the answer.
    pub undecided: u64,
    /// The names that would be decided otherwise, those asked for most first.
    pub changes: Vec<Change>,
}

/// A name that would be decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The device that asked, as the log calls it.
    pub device: String,
    /// The profile it would have.
    pub profile: String,
    /// The name; none where it would be on a sealed list.
    pub name: Option<String>,
    /// What was done: `allow`, `block` or `rewrite`.
    pub before: String,
    /// What would be done.
    pub after: String,
    /// Why it was done.
    pub reason_before: String,
    /// Why it would be.
    pub reason_after: String,
    /// How often it was asked for.
    pub count: u64,
}

/// Something that opened names for a while without leaving a word in the log: a category or everything
/// was granted, or the filter was paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// For whom.
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// Judges logs again in the world of a snapshot.
#[derive(Debug)]
pub struct Replayer<'s> {
    snapshot: &'s Snapshot,
    openings: Vec<Opening>,
    /// What held at the last question, and from when to when.
    hour: Option<(Standings, Timestamp, Option<Timestamp>)>,
    /// By device, name, and what was and would be done.
    changes: BTreeMap<(String, Option<String>, String, String), Change>,
    replay: Replay,
}

impl<'s> Replayer<'s> {
    /// A log without an entry so far.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            openings: Vec::new(),
            hour: None,
            changes: BTreeMap::new(),
            replay: Replay::default(),
        }
    }

    /// Notes what opened names while the log was written.
    pub fn was_open(&mut self, openings: impl Iterator<Item = Opening>) {
        self.openings.extend(openings);
    }

    /// Judges one entry again.
    pub fn judge(&mut self, entry: &LogEntry) {
        /// What decides in spite of, or beside, any configuration.
        const OF_THE_HOUR: [&str; 5] = ["grant", "pause", "quota", "tunnel", "rebinding"];
        let qtype = entry.qtype.as_deref().and_then(parse_qtype);
        let name = entry.name.as_deref();
        let name = name.and_then(|name| NameBuf::parse(name).ok());
        let (Some(name), Some(qtype), Ok(at)) = (name, qtype, entry.at.parse()) else {
            self.replay.without_name += 1;
            return;
        };
        let snapshot = self.snapshot;
        let world = World::new(snapshot, self.standings(at));
        let view = view_of(&world, entry);
        let verdict = world.judge(name.as_ref(), qtype, &view);
        let (reason, profile) = (verdict.reason(), view.profile.name);
        // Such a question leaves no trace, here neither.
        if reason.tier == Tier::Lifeline {
            return;
        }
        let (before, after) = (entry.verdict.label(), verdict.label());
        if before == after {
            self.replay.judged += 1;
            return;
        }
        let is_of_the_hour = OF_THE_HOUR.contains(&&*entry.category) || self.was_opened(entry, at);
        if entry.trigger != Trigger::Qname.label() || is_of_the_hour {
            self.replay.undecided += 1;
            return;
        }
        self.replay.judged += 1;
        self.replay.changed += 1;
        let name = (reason.tier != Tier::Sealed).then(|| name.to_string());
        let key = (
            entry.device.clone(),
            name.clone(),
            before.to_owned(),
            after.to_owned(),
        );
        let change = self.changes.entry(key).or_insert_with(|| Change {
            device: entry.device.clone(),
            profile: profile.to_owned(),
            name,
            before: before.to_owned(),
            after: after.to_owned(),
            reason_before: String::new(),
            reason_after: String::new(),
            count: 0,
        });
        // The last one counts: it is what people remember.
        let known = entry.reason.as_ref().unwrap_or(&entry.category);
        change.reason_before.clone_from(known);
        change.reason_after = reason.to_string();
        change.count += 1;
    }

    /// Whether something may have let the question through that no configuration knows.
    fn was_opened(&self, entry: &LogEntry, at: Timestamp) -> bool {
        let opens = |it: &Opening| {
            it.since <= at && at < it.until && it.scope.covers(&entry.profile, Some(&entry.device))
        };
        entry.verdict.label() != "block" && self.openings.iter().any(opens)
    }

    /// What came of it.
    pub fn finish(mut self) -> Replay {
        self.replay.changes = self.changes.into_values().collect();
        self.replay
            .changes
            .sort_by_key(|change| std::cmp::Reverse(change.count));
        self.replay
    }

    /// What held at `at` by the configuration.
    fn standings(&mut self, at: Timestamp) -> &Standings {
        let holds = |(_, since, until): &(Standings, Timestamp, Option<Timestamp>)| {
            *since <= at && until.is_none_or(|until| at < until)
        };
        let snapshot = self.snapshot;
        let hour = self.hour.take().filter(holds);
        let (standings, ..) = self.hour.insert(hour.unwrap_or_else(|| {
            let config = &snapshot.config;
            let ends = config
                .schedules
                .iter()
                .filter_map(|schedule| schedule.times.span(at, &config.zone).until);
            let standings = standing_at(config, &snapshot.lists, &snapshot.profiles, at);
            (standings, at, ends.min())
        }));
        standings
    }
}

/// Whose question it would be: the device of that name, else whichever has that address.
fn view_of<'w>(world: &World<'w>, entry: &LogEntry) -> View<'w> {
    let devices = &world.snapshot.devices;
    let client: Option<IpAddr> = entry.client.as_ref().and_then(|text| text.parse().ok());
    let by_address = || {
        let origin = Origin::new(client?, 0, u16::MAX);
        devices.settle(&origin, None)
    };
    let index = devices.find(&entry.device).or_else(by_address);
    let view = match index {
        Some(index) => world.of_device(usize::from(index)),
        None => world.of_guest(),
    };
    View { client, ..view }
}
