//! The routes of what a household says from day to day.

use axum::Extension;
use axum::extract::State;

#[cfg(test)]
use super::api::ErrorBody;
use super::family::{
    AccessRequest, AllQuery, AllowQuery, AskQuery, BonusQuery, By, DenyRequestQuery, Grant,
    GrantChange, GrantRequest, GrantRequestQuery, PauseQuery, QuotaUse, RequestChange,
    RequestRequest, UndoQuery,
};
#[cfg(test)]
use super::request::ChangeRefused;
use super::request::{Answer, Parameters, whole};
use super::routes::Door;
use super::server::Peer;

/// Grants, pauses and bonus minutes, the oldest first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/grants",
    params(AllQuery),
    responses((status = 200, body = Vec<Grant>), (status = 400, body = ErrorBody))
))]
pub(super) async fn grants(
    State(door): State<Door>,
    Parameters(query): Parameters<AllQuery>,
) -> Answer<Vec<Grant>> {
    Ok(axum::Json(door.household.grants(query.all)))
}

/// Opens something for a while.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/grants",
    params(AllowQuery),
    responses(
        (status = 200, body = GrantChange),
        ChangeRefused
    )
))]
pub(super) async fn allow(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<AllowQuery>,
) -> Answer<GrantChange> {
    let by = peer.named(query.by.clone());
    change(door, query.try_into()?, by).await
}

/// Ends a grant, a pause, a bonus or a reveal before its time.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/grants/undo",
    params(UndoQuery),
    responses(
        (status = 200, body = GrantChange),
        ChangeRefused
    )
))]
pub(super) async fn undo(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<UndoQuery>,
) -> Answer<GrantChange> {
    let undo = GrantRequest::Undo {
        id: query.id,
        reveal: query.reveal,
    };
    change(door, undo, peer.named(query.by)).await
}

/// Pauses the internet or the filter.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/pauses",
    params(PauseQuery),
    responses(
        (status = 200, body = GrantChange),
        ChangeRefused
    )
))]
pub(super) async fn pause(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<PauseQuery>,
) -> Answer<GrantChange> {
    let by = peer.named(query.by.clone());
    change(door, query.try_into()?, by).await
}

/// How much of each quota is used.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/quotas", responses((status = 200, body = Vec<QuotaUse>))))]
pub(super) async fn quotas(State(door): State<Door>) -> axum::Json<Vec<QuotaUse>> {
    axum::Json(door.household.quotas())
}

/// Gives more time until the day or week of a quota ends.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/quotas/bonus",
    params(BonusQuery),
    responses(
        (status = 200, body = GrantChange),
        ChangeRefused
    )
))]
pub(super) async fn bonus(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<BonusQuery>,
) -> Answer<GrantChange> {
    let by = peer.named(query.by.clone());
    change(door, query.into(), by).await
}

/// What children asked for, the oldest first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/requests",
    params(AllQuery),
    responses((status = 200, body = Vec<AccessRequest>), (status = 400, body = ErrorBody))
))]
pub(super) async fn requests(
    State(door): State<Door>,
    Parameters(query): Parameters<AllQuery>,
) -> Answer<Vec<AccessRequest>> {
    Ok(axum::Json(door.household.requests(query.all)))
}

/// Asks for something. The same once more, while it waits, is counted.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/requests",
    params(AskQuery),
    responses(
        (status = 200, body = RequestChange),
        ChangeRefused
    )
))]
pub(super) async fn ask(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<AskQuery>,
) -> Answer<RequestChange> {
    answer(door, query.into(), peer.named(None)).await
}

/// Grants a request, for the devices of its profile.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/requests/grant",
    params(GrantRequestQuery),
    responses(
        (status = 200, body = RequestChange),
        ChangeRefused
    )
))]
pub(super) async fn grant_request(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<GrantRequestQuery>,
) -> Answer<RequestChange> {
    let by = peer.named(query.by.clone());
    answer(door, query.try_into()?, by).await
}

/// Refuses a request.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/requests/deny",
    params(DenyRequestQuery),
    responses(
        (status = 200, body = RequestChange),
        ChangeRefused
    )
))]
pub(super) async fn deny_request(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Parameters(query): Parameters<DenyRequestQuery>,
) -> Answer<RequestChange> {
    let by = peer.named(query.by.clone());
    answer(door, query.into(), by).await
}

pub(super) async fn change(door: Door, request: GrantRequest, by: By) -> Answer<GrantChange> {
    whole(async move { door.household.change_grants(request, by).await }).await
}

async fn answer(door: Door, request: RequestRequest, by: By) -> Answer<RequestChange> {
    whole(async move { door.household.change_requests(request, by).await }).await
}
