//! What somebody in the household said for a while: grants, pauses, bonus minutes, reveals; and what
//! a child asks for.
//!
//! [`Grants`] is plain data that is told the time: [`Grants::holding`] says what holds for a profile
//! and a device now, [`Grants::next_change`] when that will be different by itself. [`requests`]
//! is the other half, [`store`] writes both to the state folder.
//!
//! Each of them ends at a time by the household's clock. What opens something holds only while that
//! clock is set and not before it was said, so that no clock that is set back gives it twice; a pause
//! of the internet holds until its end whatever the clock shows. Ended is ended: nothing comes back.

pub mod requests;
mod reveal;
pub mod store;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Subject;
use crate::wall::Wall;

pub use requests::{Answer, Ask, Asked, Request, RequestError, Status as RequestStatus};
pub use reveal::{LONGEST_REVEAL, MAX_REVEALS, SHORTEST_REVEAL};
pub use words::{bounded_words, resolve_until, time_of_day};

/// How many may hold at a time.
pub const MAX_HOLDING: usize = 100;
/// How many that ended are remembered.
pub const MAX_ENDED: usize = 100;
/// How long those are.
pub const KEEP: Duration = Duration::from_hours(7 * 24);
/// The longest that something may be said for.
pub const LONGEST: Duration = Duration::from_hours(31 * 24);
/// The most octets of a reason.
pub const MAX_WHY: usize = 200;
/// The most octets of a name of whoever said it.
pub const MAX_BY: usize = 64;
/// The most bonus minutes at a time.
pub const MAX_BONUS: u32 = 24 * 60;
/// How far a clock may be put right backwards without ending what was said just before.
const SLACK: Duration = Duration::from_secs(60);

/// For whom something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All devices.
    Everybody,
    /// The devices of a profile.
    Profile(String),
    /// One device.
    Device(String),
}

impl Scope {
    /// Whether `device`, which has `profile`, is meant.
    pub fn covers(&self, profile: &str, device: Option<&str>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Profile(name) => name == profile,
            Self::Device(name) => device == Some(name.as_str()),
        }
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// This is open.
    Allow(Subject),
    /// Nothing but lifelines is open.
    PauseInternet,
    /// The profile's categories do not hold.
    PauseFilter,
    /// A quota has more time.
    Bonus {
        /// How much more.
        minutes: u32,
        /// Which quota; none is every quota of the profile.
        of: Option<String>,
    },
    /// The names a profile asks for are kept in the log.
    Reveal,
}

impl What {
    /// Whether it takes something away instead of giving it.
    pub const fn closes(&self) -> bool {
        matches!(self, Self::PauseInternet)
    }
}

/// Something somebody said for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number; a later one is larger.
    pub id: u32,
    /// What.
    pub what: What,
    /// For whom.
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Who said it.
    pub by: String,
    /// Why; empty when nobody said.
    pub why: String,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// Devices whose names it revealed: they find it whatever profile they have later.
    pub devices: Vec<String>,
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Who undid it; none when its time was over.
    pub by: Option<String>,
}

impl Grant {
    /// Whether it holds at `wall`.
    pub fn holds(&self, wall: Wall) -> bool {
        if self.ended.is_some() {
            return false;
        }
        match wall {
            Wall::Unset => self.what.closes(),
            Wall::Set(now) if self.what.closes() => now < self.until,
            Wall::Set(now) => self.begins() <= now && now < self.until,
        }
    }

    /// From when on it can hold.
    fn begins(&self) -> Timestamp {
        self.since.checked_sub(SLACK).unwrap_or(Timestamp::MIN)
    }
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub what: What,
    /// For whom.
    pub scope: Scope,
    /// When it ends.
    pub until: Timestamp,
    /// Who says it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Why something cannot be said or taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Nobody knows when it would end.
    #[error("the household's clock is not set, so nobody could tell when this ends")]
    ClockUnset,
    /// It would be over at once.
    #[error("`{until}` is over already")]
    Over {
        /// Its end.
        until: Timestamp,
    },
    /// It would go on for too long.
    #[error("until `{until}` is longer than {} days", LONGEST.as_secs() / 86_400)]
    TooLong {
        /// Its end.
        until: Timestamp,
    },
    /// Bonus minutes that make no sense.
    #[error("{minutes} bonus minutes: 1 to {MAX_BONUS} can be given at a time")]
    Minutes {
        /// How many.
        minutes: u32,
    },
    /// Names are revealed without a reason.
    #[error("names are revealed for a reason only, which the child can read")]
    NoReason,
    /// Names are revealed for a time that cannot be.
    #[error("until `{until}`: names are revealed for {} minutes to {} hours",
        SHORTEST_REVEAL.as_secs() / 60, LONGEST_REVEAL.as_secs() / 3600)]
    RevealTime {
        /// Its end.
        until: Timestamp,
    },
    /// There are too many.
    #[error("{MAX_HOLDING} grants and pauses hold already")]
    TooMany,
    /// There is none of that number.
    #[error("there is no grant or pause number {id}")]
    Unknown {
        /// The number.
        id: u32,
    },
    /// It is of the other kind, which is ended in another way.
    #[error("number {id} is a reveal; `hedgerow reveals end {id}` ends it")]
    IsReveal {
        /// The number.
        id: u32,
    },
    /// The same the other way round.
    #[error("number {id} is no reveal; `hedgerow grants undo {id}` ends it")]
    NoReveal {
        /// The number.
        id: u32,
    },
    /// It does not hold any more.
    #[error("number {id} ended at {at:.0} already")]
    Ended {
        /// The number.
        id: u32,
        /// When.
        at: Timestamp,
    },
}

/// What holds for somebody now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding<'a> {
    /// The pause of the internet that goes on the longest.
    pub internet: Option<&'a Grant>,
    /// The pause of the filter that goes on the longest.
    pub filter: Option<&'a Grant>,
    /// What is open, in the order it was said. Where the internet is paused, only what was said
    /// after the newest pause.
    pub allowed: Vec<&'a Grant>,
    /// Bonus minutes.
    pub bonuses: Vec<&'a Grant>,
}

impl Holding<'_> {
    /// The bonus for the quota that is called `of`.
    pub fn bonus(&self, of: &str) -> Duration {
        let minutes = self.bonuses.iter().map(|grant| match &grant.what {
            What::Bonus { minutes, of: quota } if quota.as_deref().is_none_or(|it| it == of) => {
                u64::from(*minutes)
            }
            _ => 0,
        });
        Duration::from_secs(60 * minutes.sum::<u64>())
    }
}

/// All that was said and asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The number of the last.
    last_id: u32,
    /// In the order they were said.
    grants: Vec<Grant>,
    /// What was asked for, in that order.
    requests: Vec<Request>,
}

impl Grants {
    /// Puts `said` in force, and gives its number.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn add(&mut self, said: Said, wall: Wall) -> Result<u32, GrantError> {
        let now = wall.time().ok_or(GrantError::ClockUnset)?;
        let until = said.until;
        if until <= now {
            return Err(GrantError::Over { until });
        }
        if now.checked_add(LONGEST).is_ok_and(|latest| until > latest) {
            return Err(GrantError::TooLong { until });
        }
        if let What::Bonus { minutes, .. } = said.what
            && !(1..=MAX_BONUS).contains(&minutes)
        {
            return Err(GrantError::Minutes { minutes });
        }
        if said.what == What::Reveal {
            reveal::check(&said, now)?;
        }
        self.tidy(wall);
        if self.grants.iter().filter(|it| it.ended.is_none()).count() >= MAX_HOLDING {
            return Err(GrantError::TooMany);
        }
        let id = self.next_id();
        self.grants.push(Grant {
            id,
            what: said.what,
            scope: said.scope,
            since: now,
            until,
            by: bounded_words(&said.by, MAX_BY),
            why: bounded_words(&said.why, MAX_WHY),
            ended: None,
            devices: Vec::new(),
        });
        Ok(id)
    }

    /// Ends the grant, the pause or the bonus with the number `id` before its time.
    ///
    /// # Errors
    /// [`GrantError::Unknown`], [`GrantError::IsReveal`], [`GrantError::Ended`].
    pub fn undo(&mut self, id: u32, by: &str, wall: Wall) -> Result<&Grant, GrantError> {
        match self.grant(id) {
            Some(grant) if grant.what == What::Reveal => Err(GrantError::IsReveal { id }),
            _ => self.end(id, by, wall),
        }
    }

    /// Ends the reveal with the number `id` before its time.
    ///
    /// # Errors
    /// [`GrantError::Unknown`], [`GrantError::NoReveal`], [`GrantError::Ended`].
    pub fn end_reveal(&mut self, id: u32, by: &str, wall: Wall) -> Result<&Grant, GrantError> {
        match self.grant(id) {
            Some(grant) if grant.what != What::Reveal => Err(GrantError::NoReveal { id }),
            _ => self.end(id, by, wall),
        }
    }

    fn end(&mut self, id: u32, by: &str, wall: Wall) -> Result<&Grant, GrantError> {
        self.tidy(wall);
        let place = self.grants.iter().position(|grant| grant.id == id);
        let grant = &mut self.grants[place.ok_or(GrantError::Unknown { id })?];
        if let Some(ended) = &grant.ended {
            return Err(GrantError::Ended { id, at: ended.at });
        }
        // Of a pause that is undone without a clock nobody knows when; not after its end.
        let at = wall.time().unwrap_or(grant.since).min(grant.until);
        grant.ended = Some(Ended {
            at,
            by: Some(bounded_words(by, MAX_BY)),
        });
        Ok(grant)
    }

    /// What holds at `wall` for a device of `profile`.
    pub fn holding(&self, profile: &str, device: Option<&str>, wall: Wall) -> Holding<'_> {
        let mut holding = Holding::default();
        let mut newest_pause = 0;
        let covered = |grant: &&Grant| grant.scope.covers(profile, device) && grant.holds(wall);
        for grant in self.grants.iter().filter(covered) {
            let pause = match grant.what {
                What::Allow(_) => {
                    holding.allowed.push(grant);
                    continue;
                }
                What::Bonus { .. } => {
                    holding.bonuses.push(grant);
                    continue;
                }
                What::Reveal => continue,
                What::PauseFilter => &mut holding.filter,
                What::PauseInternet => {
                    newest_pause = grant.id;
                    &mut holding.internet
                }
            };
            if pause.is_none_or(|before| before.until <= grant.until) {
                *pause = Some(grant);
            }
        }
        holding.allowed.retain(|grant| grant.id > newest_pause);
        holding
    }

    /// Has what is said and asked for `before` be for `after`, a profile or a device that got another
    /// name. Says whether there was anything.
    pub fn rename(&mut self, before: &Scope, after: &Scope) -> bool {
        let mut is_changed = false;
        for grant in self.grants.iter_mut().filter(|it| it.scope == *before) {
            grant.scope.clone_from(after);
            is_changed = true;
        }
        for request in &mut self.requests {
            let (was, name, is) = match (before, after) {
                (Scope::Profile(was), Scope::Profile(is)) => (was, &mut request.profile, is),
                (Scope::Device(was), Scope::Device(is)) => (was, &mut request.device, is),
                _ => continue,
            };
            if was == name {
                name.clone_from(is);
                is_changed = true;
            }
        }
        is_changed
    }

    /// The devices of which something is said that is not said of their profiles.
    pub fn devices_meant(&self) -> impl Iterator<Item = &str> {
        let living = self.grants.iter().filter(|grant| grant.ended.is_none());
        living.filter_map(|grant| match &grant.scope {
            Scope::Device(name) => Some(name.as_str()),
            Scope::Everybody | Scope::Profile(_) => None,
        })
    }

    /// When what holds will be different by itself; none if never, or if nobody knows.
    pub fn next_change(&self, wall: Wall) -> Option<Timestamp> {
        let now = wall.time()?;
        let living = self.grants.iter().filter(|grant| grant.ended.is_none());
        living
            .flat_map(|grant| [grant.begins(), grant.until])
            .filter(|change| *change > now)
            .min()
    }

    /// The same of what is said for a device of `profile`.
    pub fn next_change_for(
        &self,
        profile: &str,
        device: Option<&str>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let living = self.grants.iter().filter(|grant| grant.ended.is_none());
        living
            .filter(|grant| grant.scope.covers(profile, device))
            .flat_map(|grant| [grant.begins(), grant.until])
            .filter(|change| *change > now)
            .min()
    }

    /// The one with the number `id`.
    pub fn grant(&self, id: u32) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.id == id)
    }

    /// All that is remembered, the oldest first.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Ends what is over and forgets what ended long ago. Says whether anything was different.
    ///
    /// A pause of the internet that is over is left as it is until it is old, so that a clock that
    /// was ahead for a moment does not end it.
    pub fn tidy(&mut self, wall: Wall) -> bool {
        let Some(now) = wall.time() else {
            return false;
        };
        let mut is_changed = self.tidy_requests(now);
        for grant in &mut self.grants {
            let over = grant.ended.is_none() && grant.until <= now;
            let is_sure = !grant.what.closes() || age(grant.until, now) > Duration::from_hours(1);
            if over && is_sure {
                is_changed = true;
                grant.ended = Some(Ended {
                    at: grant.until,
                    by: None,
                });
            }
        }
        let before = self.grants.len();
        self.grants.retain(|grant| {
            let ended = grant.ended.as_ref();
            ended.is_none_or(|ended| age(ended.at, now) <= reveal::keep(&grant.what))
        });
        // Those of one kind never push out the other: no grant makes a reveal forgotten.
        for (is_reveal, most) in [(false, MAX_ENDED), (true, MAX_REVEALS)] {
            let is_meant =
                |grant: &Grant| grant.ended.is_some() && (grant.what == What::Reveal) == is_reveal;
            let ended = self.grants.iter().filter(|grant| is_meant(grant)).count();
            let mut surplus = ended.saturating_sub(most);
            self.grants.retain(|grant| {
                let goes = surplus > 0 && is_meant(grant);
                surplus -= usize::from(goes);
                !goes
            });
        }
        is_changed || self.grants.len() != before
    }

    fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }
}

/// How long before `now` `then` was; zero if it was not before it.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
