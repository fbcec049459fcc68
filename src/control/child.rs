//! What holds for a child, for the child: what others see of it, what was revealed and why, how much
//! time is left, what changes when it grows.

#![cfg_attr(
    test,
    allow(
        unused_qualifications,
        reason = "what the macro of the document writes for types of this file"
    )
)]

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

use super::ControlError;
#[cfg(test)]
use super::api::ErrorBody;
use super::api::Growth;
use super::family::{AccessRequest, AllQuery, Grant, GrantChange, GrantRequest, QuotaUse, Term};
use super::family_routes::change;
#[cfg(test)]
use super::request::ChangeRefused;
use super::request::{Answer, Parameters};
use super::routes::Door;
use super::server::Peer;

/// What holds for the child with a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ChildStatus {
    /// The device.
    pub device: String,
    /// Its profile.
    pub profile: String,
    /// The preset the profile comes from.
    pub preset: String,
    /// How the profile grows up, where it has a birth date.
    pub growth: Option<Growth>,
    /// What is remembered of its queries: `names`, `categories`, `none`.
    pub privacy: String,
    /// The same in a sentence, and whether names are revealed now.
    pub seen: String,
    /// Reveals of names, past and present, the oldest first: who, why, from when to when.
    pub reveals: Vec<Grant>,
    /// What was said for a while and holds for the device.
    pub grants: Vec<Grant>,
    /// What the device asked for, the oldest first.
    pub requests: Vec<AccessRequest>,
    /// How much of each quota is used.
    pub quotas: Vec<QuotaUse>,
}

/// Which child.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ChildQuery {
    /// A device of the child.
    pub device: String,
}

/// Whose names to reveal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct RevealQuery {
    /// The profile.
    pub profile: String,
    /// How long, 10 minutes to 24 hours.
    pub r#for: String,
    /// Why; the child reads it.
    pub why: String,
    /// Who says so, beside the account of the caller.
    pub by: Option<String>,
}

impl TryFrom<RevealQuery> for GrantRequest {
    type Error = ControlError;

    fn try_from(query: RevealQuery) -> Result<Self, ControlError> {
        Ok(Self::Reveal {
            profile: query.profile,
            term: Term::parse(Some(&query.r#for), None)?,
            why: query.why,
        })
    }
}

/// What holds for the child with a device.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/child",
    params(ChildQuery),
    responses(
        (status = 200, body = ChildStatus),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)
    )
))]
pub(super) async fn child(
    State(door): State<Door>,
    Parameters(query): Parameters<ChildQuery>,
) -> Answer<ChildStatus> {
    let device = query.device;
    door.household.child(&device).map(axum::Json)
}

/// Reveals of names, the oldest first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/reveals",
    params(AllQuery),
    responses((status = 200, body = Vec<Grant>), (status = 400, body = ErrorBody))
))]
pub(super) async fn reveals(
    State(door): State<Door>,
    Parameters(query): Parameters<AllQuery>,
) -> Answer<Vec<Grant>> {
    let mut reveals = door.household.grants(query.all);
    reveals.retain(Grant::is_reveal);
    Ok(axum::Json(reveals))
}

/// Lets the names of a profile be kept in the log from now on, for a while.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/reveals",
    params(RevealQuery),
    responses(
        (status = 200, body = GrantChange),
        ChangeRefused
    )
))]
pub(super) async fn reveal(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<RevealQuery>,
) -> Answer<GrantChange> {
    let by = peer.named(query.by.clone());
    change(door, query.try_into()?, by).await
}
