//! What a household says from day to day, behind the door: grants, pauses, bonus minutes, requests,
//! and how much of each quota is used.

use std::time::Duration;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

use super::child::ChildStatus;
use super::{Boxed, ControlError};
use crate::config::duration_of;
use crate::grants::{self, RequestStatus, Scope, What};
use crate::quota::Shown;
use crate::wall::Wall;

/// What a household says from day to day. The methods without a future answer from memory.
pub trait Family {
    /// What was said: what holds, with `all` also what ended lately.
    fn grants(&self, all: bool) -> Vec<Grant>;

    /// Says something, or takes it back.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for somebody or something nobody knows,
    /// [`ControlError::BadRequest`] for what cannot be, [`ControlError::Unavailable`] when the
    /// clock is not set.
    fn change_grants(
        &self,
        request: GrantRequest,
        by: By,
    ) -> Boxed<'_, Result<GrantChange, ControlError>>;

    /// What children asked for: what waits, with `all` also what was answered lately.
    fn requests(&self, all: bool) -> Vec<AccessRequest>;

    /// Asks for something, or answers.
    ///
    /// # Errors
    /// As for [`Self::change_grants`].
    fn change_requests(
        &self,
        request: RequestRequest,
        by: By,
    ) -> Boxed<'_, Result<RequestChange, ControlError>>;

    /// How much of each quota is used.
    fn quotas(&self) -> Vec<QuotaUse>;

    /// What holds for the child with `device`.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] for a device nobody knows.
    fn child(&self, device: &str) -> Result<ChildStatus, ControlError>;
}

/// Who asks for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// The name that was given.
    pub name: Option<String>,
    /// The account of the other end of the socket.
    pub uid: Option<u32>,
}

/// How long something is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// For so long.
    pub time: Option<Duration>,
    /// Until then, in words.
    pub until: Option<String>,
}

/// A change of what is said, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantRequest {
    /// Something is open.
    Allow {
        /// What, as it was written.
        subject: String,
        /// For whom.
        scope: Scope,
        /// How long.
        term: Term,
        /// Why.
        why: String,
    },
    /// The internet or the filter is paused.
    Pause {
        /// The internet; else the filter.
        what: Paused,
        /// For whom.
        scope: Scope,
        /// How long.
        term: Term,
        /// Why.
        why: String,
    },
    /// More time until the period of the quota ends.
    Bonus {
        /// Whose.
        profile: String,
        /// Which quota; none is each.
        quota: Option<String>,
        /// How much.
        minutes: u32,
        /// Why.
        why: String,
    },
    /// Names are kept in the log for a while.
    Reveal {
        /// Whose.
        profile: String,
        /// How long.
        term: Term,
        /// Why.
        why: String,
    },
    /// Something does not hold any more.
    Undo {
        /// Its number.
        id: u32,
        /// Whether a reveal is meant; else a grant, a pause or a bonus.
        reveal: bool,
    },
}

/// What can be paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Paused {
    /// Nothing but lifelines is open.
    #[default]
    Internet,
    /// The profile's categories do not hold.
    Filter,
}

/// A request or an answer to one, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestRequest {
    /// A child asks.
    Ask {
        /// For what, as it was written.
        subject: String,
        /// On which device.
        device: String,
        /// In the child's words.
        why: String,
    },
    /// It is granted.
    Grant {
        /// The number of the request.
        id: u32,
        /// How long.
        term: Term,
        /// A word to the child.
        word: String,
    },
    /// It is not.
    Deny {
        /// The number of the request.
        id: u32,
        /// A word to the child.
        word: String,
    },
}

/// Whether what is over is wanted too.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct AllQuery {
    /// Also what ended, or was answered, within the last days.
    pub all: bool,
}

/// What to open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AllowQuery {
    /// `everything`, a category, a service, or a name as in a rule.
    pub subject: String,
    /// For the devices of this profile.
    pub profile: Option<String>,
    /// For this device.
    pub device: Option<String>,
    /// How long, as in `30m`.
    pub r#for: Option<String>,
    /// Until when: a time of RFC 3339, `21:30`, `tomorrow` or the name of a schedule.
    pub until: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// What to pause.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct PauseQuery {
    /// `internet` or `filter`.
    pub what: Paused,
    /// For the devices of this profile.
    pub profile: Option<String>,
    /// For this device.
    pub device: Option<String>,
    /// For all devices.
    #[serde(default)]
    pub everybody: bool,
    /// How long, as in `1h`.
    pub r#for: Option<String>,
    /// Until when, as for a grant.
    pub until: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// Which bonus to give.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct BonusQuery {
    /// How many minutes.
    pub minutes: u32,
    /// Whose quota.
    pub profile: String,
    /// Which; without it each of the profile.
    pub quota: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// What to take back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct UndoQuery {
    /// The number of a grant, a pause or a bonus; of a reveal where `reveal` says so.
    pub id: u32,
    /// Whether a reveal is meant.
    #[serde(default)]
    #[cfg_attr(test, param(required = false))]
    pub reveal: bool,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// What to ask for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AskQuery {
    /// As for a grant.
    pub subject: String,
    /// The device of the child.
    pub device: String,
    /// In the child's words.
    pub why: Option<String>,
}

/// How to answer a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct GrantRequestQuery {
    /// The number of the request.
    pub id: u32,
    /// How long, as in `30m`.
    pub r#for: Option<String>,
    /// Until when, as for a grant.
    pub until: Option<String>,
    /// A word to the child.
    pub word: Option<String>,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// How to refuse a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DenyRequestQuery {
    /// The number of the request.
    pub id: u32,
    /// A word to the child.
    pub word: Option<String>,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

/// Something that somebody said for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Grant {
    /// Its number.
    pub id: u32,
    /// `allow`, `pause-internet`, `pause-filter`, `bonus` or `reveal`.
    pub kind: String,
    /// What is allowed.
    pub subject: Option<String>,
    /// Bonus minutes.
    pub minutes: Option<u32>,
    /// The quota they are for; none is each of the profile.
    pub quota: Option<String>,
    /// Whose devices; none with no device either is everybody.
    pub profile: Option<String>,
    /// Which device.
    pub device: Option<String>,
    /// Since when.
    pub since: String,
    /// When it ends, or would have ended, by itself.
    pub until: String,
    /// Who said it.
    pub by: String,
    /// Why.
    pub why: String,
    /// `holds`, `waits` for the clock to be set, `over` or `undone`.
    pub state: String,
    /// When it ended, if it did.
    pub ended: Option<String>,
    /// Who undid it.
    pub undone_by: Option<String>,
}

/// What became of saying something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct GrantChange {
    /// `added` or `undone`.
    pub done: String,
    /// What it is about.
    pub grant: Grant,
    /// What somebody should know, one sentence each.
    pub notes: Vec<String>,
}

/// Something a child asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct AccessRequest {
    /// Its number.
    pub id: u32,
    /// The profile of who asks.
    pub profile: String,
    /// The device.
    pub device: String,
    /// What is asked for.
    pub subject: String,
    /// In the child's words.
    pub why: String,
    /// Since when.
    pub since: String,
    /// How often it was asked for while it waited.
    pub times: u32,
    /// `waiting`, `granted`, `denied` or `expired`.
    pub state: String,
    /// When it was answered.
    pub answered: Option<String>,
    /// By whom.
    pub by: Option<String>,
    /// A word to the child.
    pub word: Option<String>,
    /// The number of the grant it became.
    pub grant: Option<u32>,
}

/// What became of asking or answering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct RequestChange {
    /// `asked`, `counted` (the same waits already), `granted`, `denied`, or `open` for a lifeline: of
    /// that nothing is kept.
    pub done: String,
    /// The request.
    pub request: AccessRequest,
    /// The grant it became.
    pub grant: Option<Grant>,
    /// What somebody should know, one sentence each.
    pub notes: Vec<String>,
}

/// How much of a quota is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct QuotaUse {
    /// Whose.
    pub profile: String,
    /// What is counted together.
    pub quota: String,
    /// Seconds used in the period.
    pub used_s: u64,
    /// Seconds left in it.
    pub left_s: u64,
    /// Seconds that may be used in it, with what follows.
    pub allowance_s: u64,
    /// Of these, carried on from the period before.
    pub carried_s: u64,
    /// Of these, bonus.
    pub bonus_s: u64,
    /// When the period began; none while no clock told it.
    pub since: Option<String>,
    /// When it ends.
    pub until: Option<String>,
    /// By what it was counted: `DNS activity` is an estimate.
    pub counted_by: String,
    /// Seconds by which less may have been used than is shown.
    pub error_s: u64,
    /// Seconds that one query counts.
    pub linger_s: u64,
}

impl Term {
    pub(super) fn parse(time: Option<&str>, until: Option<String>) -> Result<Self, ControlError> {
        let time = time.map(|text| {
            duration_of(text).map_err(|error| {
                let error = format!("`for`: `{}`: {error}", text.escape_debug());
                ControlError::bad_request(error, "as in `--for 30m` or `--for 2h`")
            })
        });
        let term = Self {
            time: time.transpose()?,
            until,
        };
        match (&term.time, &term.until) {
            (None, None) => Err(ControlError::bad_request(
                "neither `for` nor `until` is given",
                "as in `--for 30m` or `--until 21:30`",
            )),
            (Some(_), Some(_)) => Err(ControlError::bad_request(
                "both `for` and `until` are given",
                "",
            )),
            _ => Ok(term),
        }
    }
}

/// For whom, of what can be said.
fn scope(
    profile: Option<String>,
    device: Option<String>,
    everybody: bool,
) -> Result<Option<Scope>, ControlError> {
    match (profile, device, everybody) {
        (Some(profile), None, false) => Ok(Some(Scope::Profile(profile))),
        (None, Some(device), false) => Ok(Some(Scope::Device(device))),
        (None, None, true) => Ok(Some(Scope::Everybody)),
        (None, None, false) => Ok(None),
        _ => Err(ControlError::bad_request(
            "more than one says for whom this is",
            "",
        )),
    }
}

impl TryFrom<AllowQuery> for GrantRequest {
    type Error = ControlError;

    fn try_from(query: AllowQuery) -> Result<Self, ControlError> {
        let missing = || {
            ControlError::bad_request(
                "neither a profile nor a device is given",
                "as in `hedgerow allow games --profile mia --for 30m`",
            )
        };
        Ok(Self::Allow {
            subject: query.subject,
            scope: scope(query.profile, query.device, false)?.ok_or_else(missing)?,
            term: Term::parse(query.r#for.as_deref(), query.until)?,
            why: query.why.unwrap_or_default(),
        })
    }
}

impl TryFrom<PauseQuery> for GrantRequest {
    type Error = ControlError;

    fn try_from(query: PauseQuery) -> Result<Self, ControlError> {
        let missing = || {
            ControlError::bad_request(
                "it is not said for whom this is",
                "name a profile or a device, or say `--everybody`",
            )
        };
        Ok(Self::Pause {
            what: query.what,
            scope: scope(query.profile, query.device, query.everybody)?.ok_or_else(missing)?,
            term: Term::parse(query.r#for.as_deref(), query.until)?,
            why: query.why.unwrap_or_default(),
        })
    }
}

impl From<BonusQuery> for GrantRequest {
    fn from(query: BonusQuery) -> Self {
        Self::Bonus {
            profile: query.profile,
            quota: query.quota,
            minutes: query.minutes,
            why: query.why.unwrap_or_default(),
        }
    }
}

impl From<AskQuery> for RequestRequest {
    fn from(query: AskQuery) -> Self {
        Self::Ask {
            subject: query.subject,
            device: query.device,
            why: query.why.unwrap_or_default(),
        }
    }
}

impl TryFrom<GrantRequestQuery> for RequestRequest {
    type Error = ControlError;

    fn try_from(query: GrantRequestQuery) -> Result<Self, ControlError> {
        Ok(Self::Grant {
            id: query.id,
            term: Term::parse(query.r#for.as_deref(), query.until)?,
            word: query.word.unwrap_or_default(),
        })
    }
}

impl From<DenyRequestQuery> for RequestRequest {
    fn from(query: DenyRequestQuery) -> Self {
        Self::Deny {
            id: query.id,
            word: query.word.unwrap_or_default(),
        }
    }
}

impl Grant {
    /// `grant` as it is at `wall`.
    pub fn of(grant: &grants::Grant, wall: Wall) -> Self {
        let (profile, device) = match &grant.scope {
            Scope::Everybody => (None, None),
            Scope::Profile(name) => (Some(name.clone()), None),
            Scope::Device(name) => (None, Some(name.clone())),
        };
        let mut text = Self {
            id: grant.id,
            profile,
            device,
            since: format!("{:.0}", grant.since),
            until: format!("{:.0}", grant.until),
            by: grant.by.clone(),
            why: grant.why.clone(),
            state: state(grant, wall).to_owned(),
            ..Self::default()
        };
        let kind = match &grant.what {
            What::Allow(subject) => {
                text.subject = Some(subject.to_string());
                "allow"
            }
            What::PauseInternet => "pause-internet",
            What::PauseFilter => "pause-filter",
            What::Reveal => "reveal",
            What::Bonus { minutes, of } => {
                text.minutes = Some(*minutes);
                text.quota.clone_from(of);
                "bonus"
            }
        };
        kind.clone_into(&mut text.kind);
        if let Some(ended) = &grant.ended {
            text.ended = Some(format!("{:.0}", ended.at));
            text.undone_by.clone_from(&ended.by);
        }
        text
    }

    /// Whether it reveals names.
    pub fn is_reveal(&self) -> bool {
        self.kind == "reveal"
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "over" | "undone")
    }
}

fn state(grant: &grants::Grant, wall: Wall) -> &'static str {
    match (&grant.ended, wall) {
        (Some(ended), _) if ended.by.is_some() => "undone",
        (Some(_), _) => "over",
        (None, wall) if grant.holds(wall) => "holds",
        (None, Wall::Set(now)) if grant.until <= now => "over",
        (None, _) => "waits",
    }
}

impl From<&grants::Request> for AccessRequest {
    fn from(request: &grants::Request) -> Self {
        let mut text = Self {
            id: request.id,
            profile: request.profile.clone(),
            device: request.device.clone(),
            subject: request.subject.to_string(),
            why: request.why.clone(),
            since: format!("{:.0}", request.since),
            times: request.times,
            ..Self::default()
        };
        let state = match &request.status {
            RequestStatus::Waiting => "waiting",
            RequestStatus::Expired => "expired",
            RequestStatus::Answered(answer) => {
                text.answered = Some(format!("{:.0}", answer.at));
                text.by = Some(answer.by.clone());
                text.word = Some(answer.word.clone());
                text.grant = answer.grant;
                if answer.grant.is_some() {
                    "granted"
                } else {
                    "denied"
                }
            }
        };
        state.clone_into(&mut text.state);
        text
    }
}

impl From<&Shown> for QuotaUse {
    fn from(shown: &Shown) -> Self {
        Self {
            profile: shown.quota.profile.clone(),
            quota: shown.quota.of.clone(),
            used_s: shown.used.as_secs(),
            left_s: shown.left.as_secs(),
            allowance_s: (shown.quota.time + shown.carried + shown.bonus).as_secs(),
            carried_s: shown.carried.as_secs(),
            bonus_s: shown.bonus.as_secs(),
            since: shown.period.map(|it| it.begin.to_string()),
            until: shown.period.map(|it| it.end.to_string()),
            counted_by: shown.counted_by.to_owned(),
            error_s: shown.error.as_secs(),
            linger_s: shown.quota.linger.as_secs(),
        }
    }
}
