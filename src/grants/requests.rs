//! What a child asks for: stored, counted, answered, forgotten.

use std::time::Duration;

use super::{
    Grant, GrantError, Grants, KEEP, MAX_BY, MAX_WHY, Said, Scope, What, age, bounded_words,
};
use crate::clock::Timestamp;
use crate::config::Subject;
use crate::wall::Wall;

/// How many requests of a device may wait.
pub const MAX_WAITING: usize = 10;
/// How many a device may make in a day.
pub const MAX_A_DAY: usize = 20;
/// How many requests are remembered, of all devices.
pub const MAX_REQUESTS: usize = 200;
const DAY: Duration = Duration::from_hours(24);

/// A request for access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub id: u32,
    /// The profile of who asks.
    pub profile: String,
    /// The device.
    pub device: String,
    /// What is asked for.
    pub subject: Subject,
    /// In the child's words; empty without.
    pub why: String,
    /// When.
    pub since: Timestamp,
    /// How often it was asked for while it waited.
    pub times: u32,
    /// Whether it was answered.
    pub status: Status,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody answered yet.
    Waiting,
    /// Somebody did.
    Answered(Answer),
    /// Nobody did in time.
    Expired,
}

/// What somebody said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// The grant it became; none when it was denied.
    pub grant: Option<u32>,
    /// A word to the child.
    pub word: String,
}

/// What is asked for, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The profile of who asks.
    pub profile: String,
    /// The device.
    pub device: String,
    /// What is asked for.
    pub subject: Subject,
    /// In the child's words.
    pub why: String,
}

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is a new request.
    New(u32),
    /// The same waits already; it was counted.
    Again(u32),
}

/// Why something cannot be asked for or answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody could tell how old it is.
    #[error("the household's clock is not set; try again in a minute")]
    ClockUnset,
    /// Too many wait.
    #[error("{MAX_WAITING} requests of this device wait for an answer already")]
    Waiting,
    /// Too many today.
    #[error("this device made {MAX_A_DAY} requests within a day")]
    Today,
    /// Too many of all.
    #[error("{MAX_REQUESTS} requests were made lately")]
    Full,
    /// There is none of that number.
    #[error("there is no request number {id}")]
    Unknown {
        /// The number.
        id: u32,
    },
    /// It was answered, or is too old.
    #[error("request number {id} does not wait for an answer any more")]
    Answered {
        /// The number.
        id: u32,
    },
    /// The grant cannot be.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

impl Request {
    /// Whether it waits for an answer.
    pub const fn waits(&self) -> bool {
        matches!(self.status, Status::Waiting)
    }
}

impl Grants {
    /// Takes a request, or counts it if the same waits already.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn ask(&mut self, ask: Ask, wall: Wall) -> Result<Asked, RequestError> {
        let now = wall.time().ok_or(RequestError::ClockUnset)?;
        self.tidy(wall);
        let same = self.requests.iter_mut().find(|request| {
            request.waits() && request.device == ask.device && request.subject == ask.subject
        });
        if let Some(request) = same {
            request.times = request.times.saturating_add(1);
            return Ok(Asked::Again(request.id));
        }
        let of_device = || self.requests.iter().filter(|it| it.device == ask.device);
        if of_device().filter(|request| request.waits()).count() >= MAX_WAITING {
            return Err(RequestError::Waiting);
        }
        if of_device().filter(|it| age(it.since, now) < DAY).count() >= MAX_A_DAY {
            return Err(RequestError::Today);
        }
        if self.requests.len() >= MAX_REQUESTS && !self.forget_one(now) {
            return Err(RequestError::Full);
        }
        let id = self.next_id();
        self.requests.push(Request {
            id,
            profile: ask.profile,
            device: ask.device,
            subject: ask.subject,
            why: bounded_words(&ask.why, MAX_WHY),
            since: now,
            times: 1,
            status: Status::Waiting,
        });
        Ok(Asked::New(id))
    }

    /// Grants a request until `until`, to its profile.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn grant_request(
        &mut self,
        id: u32,
        until: Timestamp,
        by: &str,
        word: &str,
        wall: Wall,
    ) -> Result<&Grant, RequestError> {
        let now = wall.time().ok_or(RequestError::ClockUnset)?;
        self.tidy(wall);
        let request = self.waiting(id)?;
        let said = Said {
            what: What::Allow(request.subject.clone()),
            scope: Scope::Profile(request.profile.clone()),
            until,
            by: by.to_owned(),
            why: request.why.clone(),
        };
        let grant = self.add(said, wall)?;
        self.answer(id, now, by, word, Some(grant))?;
        Ok(self.grants.last().expect("one was added above"))
    }

    /// Denies a request with a word to the child.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn deny_request(
        &mut self,
        id: u32,
        by: &str,
        word: &str,
        wall: Wall,
    ) -> Result<&Request, RequestError> {
        self.tidy(wall);
        let since = self.waiting(id)?.since;
        let at = wall.time().unwrap_or(since);
        self.answer(id, at, by, word, None)
    }

    /// All requests that are remembered, the oldest first.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    fn answer(
        &mut self,
        id: u32,
        at: Timestamp,
        by: &str,
        word: &str,
        grant: Option<u32>,
    ) -> Result<&Request, RequestError> {
        let request = self.waiting(id)?;
        request.status = Status::Answered(Answer {
            at,
            by: bounded_words(by, MAX_BY),
            grant,
            word: bounded_words(word, MAX_WHY),
        });
        Ok(request)
    }

    fn waiting(&mut self, id: u32) -> Result<&mut Request, RequestError> {
        let request = self.requests.iter_mut().find(|request| request.id == id);
        let request = request.ok_or(RequestError::Unknown { id })?;
        if request.waits() {
            Ok(request)
        } else {
            Err(RequestError::Answered { id })
        }
    }

    /// Ends and forgets what is too old.
    pub(super) fn tidy_requests(&mut self, now: Timestamp) -> bool {
        let before = self.requests.len();
        let mut is_changed = false;
        self.requests
            .retain(|request| age(request.since, now) <= 2 * KEEP);
        for request in &mut self.requests {
            if request.waits() && age(request.since, now) > KEEP {
                request.status = Status::Expired;
                is_changed = true;
            }
        }
        is_changed || self.requests.len() != before
    }

    /// Forgets the oldest request that waits for nothing and counts for nobody's day.
    fn forget_one(&mut self, now: Timestamp) -> bool {
        let goes = |it: &Request| !it.waits() && age(it.since, now) >= DAY;
        let place = self.requests.iter().position(goes);
        place.map(|place| self.requests.remove(place)).is_some()
    }
}
