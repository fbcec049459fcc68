//! Files that are not believed since they shrank or grew a lot, and since when they are as they are.
//!
//! One that stays so for a day is believed. The day goes on over a restart: when it began is kept in
//! a small file beside the index, by the household's clock. That clock may be unset, or be put right
//! at any moment, so within one run the time that passes counts, whatever it shows; and what an
//! earlier run noted counts only where the clock is set and comes to no more than [`MOST`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::RELEASED;
use crate::clock::{Clock, Moment, Timestamp};
use crate::files::{FileError, Files, Stamp};
use crate::lists::{Accepted, Index, ListSpec};
use crate::verdict::Tier;

/// For how long a file has to stay as it is before it is believed although it shrank or grew a lot.
pub(super) const DOUBT: Duration = Duration::from_hours(24);
/// The longest wait that a clock is believed to have seen between two runs.
const MOST: Duration = Duration::from_hours(24 * 14);
/// How often somebody looks whether the clock is set by now.
const LOOK: Duration = Duration::from_hours(1);
/// By how many seconds the beginning may move before it is written again.
const JITTER: u64 = 60;
/// The most octets of the file.
const MAX_FILE: u64 = 64 * 1024;

/// The files that are not believed, by the ids of their lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts {
    doubted: BTreeMap<String, Doubt>,
    /// When [`Self::note`] looked last.
    looked: Moment,
    /// What the file says, if there is one.
    kept: String,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    stamp: Stamp,
    /// The first moment of this run.
    since: Moment,
    /// When it began by the household's clock, in seconds since 1970.
    began: Option<u64>,
    /// Whether an earlier run says that.
    inherited: bool,
}

/// What the file says of a list.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    began: u64,
    stamp: Stamp,
}

impl Doubts {
    /// What an earlier run left in the file at `path`; nothing if nobody can read it.
    pub(super) fn load(path: &Path, files: &Files, clock: &Clock) -> Self {
        let now = clock.now();
        let kept = files.read(path, MAX_FILE).unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept).into_owned();
        let lists: BTreeMap<String, Kept> = serde_json::from_str(&kept).unwrap_or_default();
        let doubt = |kept: Kept| Doubt {
            stamp: kept.stamp,
            since: now,
            began: Some(kept.began),
            inherited: true,
        };
        Self {
            doubted: lists.into_iter().map(|(id, it)| (id, doubt(it))).collect(),
            looked: now,
            kept,
        }
    }

    /// Notes which of `sources` the index `lists` does not believe.
    pub(super) fn note(
        &mut self,
        sources: &[(ListSpec, Option<Stamp>)],
        lists: &Index,
        clock: &Clock,
    ) {
        let before = std::mem::take(&mut self.doubted);
        for (spec, stamp) in sources {
            let list = lists.find_spec(spec).map(|list| lists.list(list));
            let is_doubted = list.is_some_and(|list| list.stale.is_some());
            // What protects a child stays until somebody says otherwise.
            let may_change = spec.tier == Tier::Lists && spec.urls.is_empty();
            let Some(stamp) = stamp.filter(|it| it.length > 0 && is_doubted && may_change) else {
                continue;
            };
            let known = before.get(&spec.id).filter(|doubt| doubt.stamp == stamp);
            let doubt = known.copied().unwrap_or_else(|| Doubt {
                stamp,
                since: clock.now(),
                began: None,
                inherited: false,
            });
            self.doubted.insert(spec.id.clone(), doubt);
        }
        self.look(clock);
    }

    /// Forgets these, which were taken: whatever else is wrong with them begins another day.
    pub(super) fn forget(&mut self, taken: &[Accepted]) {
        let was_taken = |id: &String| taken.iter().any(|it| it.id == *id);
        self.doubted.retain(|id, _| !was_taken(id));
    }

    /// Looks what the clock says of when it began.
    pub(super) fn look(&mut self, clock: &Clock) {
        self.looked = clock.now();
        if let Some(wall) = set(clock) {
            for doubt in self.doubted.values_mut() {
                doubt.look(clock.now(), wall);
            }
        }
    }

    /// Writes to the file at `path` what it does not say yet.
    ///
    /// # Errors
    /// With path and cause.
    pub(super) fn keep(&mut self, path: &Path, files: &Files) -> Result<(), FileError> {
        let began = |(id, doubt): (&String, &Doubt)| {
            let (began, stamp) = (doubt.began?, doubt.stamp);
            Some((id.clone(), Kept { began, stamp }))
        };
        let lists: BTreeMap<String, Kept> = self.doubted.iter().filter_map(began).collect();
        let text = if lists.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&lists).unwrap_or_default()
        };
        if text != self.kept {
            if text.is_empty() {
                files.remove(path)?;
            } else {
                files.replace(path, text.as_bytes())?;
            }
            self.kept = text;
        }
        Ok(())
    }

    /// The files that stayed as `sources` say for so long that they are believed.
    pub(super) fn believed(
        &self,
        sources: &[(ListSpec, Option<Stamp>)],
        clock: &Clock,
    ) -> Vec<Accepted> {
        let believed = |(spec, stamp): &(ListSpec, Option<Stamp>)| {
            let doubt = self.doubted.get(&spec.id)?;
            let is_long = Some(doubt.stamp) == *stamp && doubt.waited(clock) >= DOUBT;
            is_long.then(|| Accepted {
                id: spec.id.clone(),
                stamp: doubt.stamp,
            })
        };
        sources.iter().filter_map(believed).collect()
    }

    /// When one of them is believed, or the clock is looked at again; none without any.
    pub(super) fn due(&self, clock: &Clock) -> Option<Moment> {
        let left = |doubt: &Doubt| DOUBT.saturating_sub(doubt.waited(clock));
        let believed = self.doubted.values().map(left).min()?;
        let believed = clock.now().after(believed);
        let has_begun = self.doubted.values().all(|doubt| doubt.began.is_some());
        Some(if has_begun && set(clock).is_some() {
            believed
        } else {
            believed.min(self.looked.after(LOOK))
        })
    }
}

impl Doubt {
    /// For how long the file is as it is.
    fn waited(&self, clock: &Clock) -> Duration {
        let here = clock.now().since(self.since);
        let inherited = set(clock).and_then(|wall| self.inherited_at(wall));
        inherited.map_or(here, |before| before.max(here))
    }

    /// How long ago an earlier run says that it began, if that can be.
    fn inherited_at(&self, wall: u64) -> Option<Duration> {
        let began = self.began.filter(|began| *began >= RELEASED)?;
        let ago = Duration::from_secs(wall.checked_sub(began)?);
        (self.inherited && ago <= MOST).then_some(ago)
    }

    /// The same for good: where it cannot be, it began when this run saw it.
    fn look(&mut self, now: Moment, wall: u64) {
        if self.inherited_at(wall).is_some() {
            return;
        }
        let here = wall.saturating_sub(now.since(self.since).as_secs());
        let is_noted = |began: u64| !self.inherited && began.abs_diff(here) <= JITTER;
        if !self.began.is_some_and(is_noted) {
            (self.began, self.inherited) = (Some(here), false);
        }
    }
}

/// What the household's clock shows, in seconds since 1970; none if it is not set.
fn set(clock: &Clock) -> Option<u64> {
    let wall: Timestamp = clock.wall();
    let seconds = u64::try_from(wall.as_second()).ok()?;
    (seconds >= RELEASED).then_some(seconds)
}
