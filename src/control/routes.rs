//! Which request is answered by what.
//!
//! [`table`] is the whole of it. A test holds it against the OpenAPI document, so that neither
//! knows a path the other does not.

#![cfg_attr(
    test,
    expect(
        unused_qualifications,
        reason = "what `utoipa::path` expands to names its parameters by their full paths"
    )
)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
#[cfg(test)]
use utoipa::{IntoParams, OpenApi};

#[cfg(test)]
use super::api::LogEntry;
use super::api::{
    Device, DeviceChange, ErrorBody, Explanation, Flushed, Invitation, List, ListSearch,
    ListUpdateReport, LogPage, NewDevice, Profile, ReloadReport, Status, Top,
};
use super::child;
use super::devices::{AssignDeviceQuery, DeviceRequest, ForgetDeviceQuery, NameDeviceQuery};
use super::encrypted::{InviteQuery, RevokeQuery};
use super::explain::ExplainQuery;
use super::family_routes as family;
use super::follow::Follow;
use super::lists::{ListSearchQuery, ListUpdateQuery};
#[cfg(test)]
use super::request::ChangeRefused;
use super::request::{Answer, Parameters, whole};
use super::server::{MAX_BODY_BYTES, READ_TIMEOUT};
use super::{ControlError, ExplainRequest, Household};
use crate::journal::LogFilter;

/// Followers of the log at a time, so that there is always a connection left for others.
const MAX_FOLLOWERS: usize = 16;
/// Entries in a page unless the request says.
const DEFAULT_ENTRIES: usize = 100;
/// Entries in a page at most.
const MAX_ENTRIES: usize = 1000;
/// Places in a ranking unless the request says.
const DEFAULT_PLACES: usize = 10;
/// Places in a ranking at most.
const MAX_PLACES: usize = 100;

/// What every handler can reach.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) household: Arc<dyn Household>,
    followers: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

/// The document that describes the API, in OpenAPI 3.1, as it follows from this code. A test holds
/// [`openapi`] against it: making it takes half a megabyte of program, holding it a tenth.
#[cfg(test)]
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hedgerow control API",
        description = "The one door into a running daemon, on its local socket."
    ),
    paths(
        status,
        devices,
        new_devices,
        name_device,
        assign_device,
        forget_device,
        invite_device,
        revoke_device,
        profiles,
        lists,
        search_lists,
        update_lists,
        log,
        log_stream,
        top,
        explain,
        reload,
        flush_cache,
        family::grants,
        family::allow,
        family::undo,
        family::pause,
        family::quotas,
        family::bonus,
        family::requests,
        family::ask,
        family::grant_request,
        family::deny_request,
        child::child,
        child::reveals,
        child::reveal,
        document
    ),
    components(schemas(LogEntry, super::family::Paused))
)]
struct Document;

/// The OpenAPI document as JSON.
pub const fn openapi() -> &'static str {
    include_str!("openapi.json")
}

/// The same as it follows from the code.
#[cfg(test)]
pub(super) fn generated_openapi() -> String {
    Document::openapi().to_pretty_json().unwrap() + "\n"
}

/// Every route: method, path, handler.
pub(super) fn table() -> [(Method, &'static str, MethodRouter<Door>); 32] {
    [
        (Method::GET, "/api/v1/status", get(status)),
        (Method::GET, "/api/v1/devices", get(devices)),
        (Method::GET, "/api/v1/devices/new", get(new_devices)),
        (Method::POST, "/api/v1/devices/name", post(name_device)),
        (Method::POST, "/api/v1/devices/assign", post(assign_device)),
        (Method::POST, "/api/v1/devices/forget", post(forget_device)),
        (Method::POST, "/api/v1/devices/invite", post(invite_device)),
        (Method::POST, "/api/v1/devices/revoke", post(revoke_device)),
        (Method::GET, "/api/v1/profiles", get(profiles)),
        (Method::GET, "/api/v1/lists", get(lists)),
        (Method::GET, "/api/v1/lists/search", get(search_lists)),
        (Method::POST, "/api/v1/lists/update", post(update_lists)),
        (Method::GET, "/api/v1/log", get(log)),
        (Method::GET, "/api/v1/log/stream", get(log_stream)),
        (Method::GET, "/api/v1/top", get(top)),
        (Method::GET, "/api/v1/explain", get(explain)),
        (Method::POST, "/api/v1/reload", post(reload)),
        (Method::POST, "/api/v1/cache/flush", post(flush_cache)),
        (Method::GET, "/api/v1/grants", get(family::grants)),
        (Method::POST, "/api/v1/grants", post(family::allow)),
        (Method::POST, "/api/v1/grants/undo", post(family::undo)),
        (Method::POST, "/api/v1/pauses", post(family::pause)),
        (Method::GET, "/api/v1/quotas", get(family::quotas)),
        (Method::POST, "/api/v1/quotas/bonus", post(family::bonus)),
        (Method::GET, "/api/v1/requests", get(family::requests)),
        (Method::POST, "/api/v1/requests", post(family::ask)),
        (
            Method::POST,
            "/api/v1/requests/grant",
            post(family::grant_request),
        ),
        (
            Method::POST,
            "/api/v1/requests/deny",
            post(family::deny_request),
        ),
        (Method::GET, "/api/v1/child", get(child::child)),
        (Method::GET, "/api/v1/reveals", get(child::reveals)),
        (Method::POST, "/api/v1/reveals", post(child::reveal)),
        (Method::GET, "/api/v1/openapi.json", get(document)),
    ]
}

/// All routes before `household`.
pub(super) fn router(household: Arc<dyn Household>, stopped: watch::Receiver<bool>) -> Router {
    let door = Door {
        household,
        followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        stopped,
    };
    let mut router = Router::new();
    for (_, path, handler) in table() {
        router = router.route(path, handler);
    }
    with_errors(router).with_state(door)
}

/// Gives `router` the answers for what it does not know and the bounds on what is sent to it.
pub(super) fn with_errors<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn(without_body))
}

async fn unknown_path(request: Request) -> Response {
    let error = format!("there is no `{}`", request.uri().path().escape_debug());
    failure(
        StatusCode::NOT_FOUND,
        ErrorBody::new(error, "`/api/v1/openapi.json` lists what there is"),
    )
}

async fn wrong_method(request: Request) -> Response {
    let error = format!(
        "`{}` does not take {}",
        request.uri().path().escape_debug(),
        request.method()
    );
    failure(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorBody::new(error, "reading is GET, changing is POST"),
    )
}

/// The body of a request that takes no options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// No request of this version has options in its body: reads it within its bounds and lets
/// nothing or `{}` pass, so that an option of a later version is not silently ignored.
async fn without_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let reading = axum::body::to_bytes(body, MAX_BODY_BYTES);
    let Ok(read) = tokio::time::timeout(READ_TIMEOUT, reading).await else {
        return failure(
            StatusCode::REQUEST_TIMEOUT,
            ErrorBody::new("the request's body took too long to arrive", ""),
        );
    };
    let Ok(bytes) = read else {
        let error = format!("the request's body is larger than {MAX_BODY_BYTES} bytes");
        return failure(StatusCode::PAYLOAD_TOO_LARGE, ErrorBody::new(error, ""));
    };
    if !bytes.trim_ascii().is_empty()
        && let Err(error) = serde_json::from_slice::<NoOptions>(&bytes)
    {
        let error = format!("the request's body can't be understood: {error}");
        let help = "leave it empty, or send `{}`";
        return failure(StatusCode::BAD_REQUEST, ErrorBody::new(error, help));
    }
    next.run(Request::from_parts(head, Body::empty())).await
}

fn failure(status: StatusCode, body: ErrorBody) -> Response {
    (status, axum::Json(body)).into_response()
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        match self {
            Self::BadRequest(body) => failure(StatusCode::BAD_REQUEST, body),
            Self::NotFound(body) => failure(StatusCode::NOT_FOUND, body),
            Self::Unavailable(body) => failure(StatusCode::SERVICE_UNAVAILABLE, body),
        }
    }
}

/// How the daemon is doing.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status))))]
async fn status(State(door): State<Door>) -> axum::Json<Status> {
    axum::Json(door.household.status())
}

/// All devices.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/devices", responses((status = 200, body = Vec<Device>))))]
async fn devices(State(door): State<Door>) -> axum::Json<Vec<Device>> {
    axum::Json(door.household.devices())
}

/// Those who asked and whom nobody named.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/devices/new",
    responses((status = 200, body = Vec<NewDevice>))
))]
async fn new_devices(State(door): State<Door>) -> axum::Json<Vec<NewDevice>> {
    axum::Json(door.household.new_devices())
}

/// Gives a new device a name, or another one to a device that has one. A new device keeps what
/// guests get until it is assigned.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/devices/name",
    params(NameDeviceQuery),
    responses(
        (status = 200, body = DeviceChange),
        ChangeRefused
    )
))]
async fn name_device(
    State(door): State<Door>,
    Parameters(query): Parameters<NameDeviceQuery>,
) -> Answer<DeviceChange> {
    change_device(door, query.into()).await
}

/// Gives a device its profile, or one more MAC address.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/devices/assign",
    params(AssignDeviceQuery),
    responses(
        (status = 200, body = DeviceChange),
        ChangeRefused
    )
))]
async fn assign_device(
    State(door): State<Door>,
    Parameters(query): Parameters<AssignDeviceQuery>,
) -> Answer<DeviceChange> {
    change_device(door, query.try_into()?).await
}

/// Takes a device's name away, so that it is a guest; or forgets that a new one asked.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/devices/forget",
    params(ForgetDeviceQuery),
    responses(
        (status = 200, body = DeviceChange),
        ChangeRefused
    )
))]
async fn forget_device(
    State(door): State<Door>,
    Parameters(query): Parameters<ForgetDeviceQuery>,
) -> Answer<DeviceChange> {
    change_device(door, query.into()).await
}

/// Tells what a device needs to ask us wherever it is; one that has no id yet gets one.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/devices/invite",
    params(InviteQuery),
    responses(
        (status = 200, body = Invitation),
        ChangeRefused
    )
))]
async fn invite_device(
    State(door): State<Door>,
    Parameters(query): Parameters<InviteQuery>,
) -> Answer<Invitation> {
    whole(async move { door.household.invite(query).await }).await
}

/// Takes all ids of a device back: whoever shows one gets no answer from now on.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/devices/revoke",
    params(RevokeQuery),
    responses(
        (status = 200, body = DeviceChange),
        ChangeRefused
    )
))]
async fn revoke_device(
    State(door): State<Door>,
    Parameters(query): Parameters<RevokeQuery>,
) -> Answer<DeviceChange> {
    change_device(door, query.into()).await
}

async fn change_device(door: Door, request: DeviceRequest) -> Answer<DeviceChange> {
    whole(async move { door.household.change_device(request).await }).await
}

/// All profiles.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/profiles", responses((status = 200, body = Vec<Profile>))))]
async fn profiles(State(door): State<Door>) -> axum::Json<Vec<Profile>> {
    axum::Json(door.household.profiles())
}

/// All lists.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/lists", responses((status = 200, body = Vec<List>))))]
async fn lists(State(door): State<Door>) -> axum::Json<Vec<List>> {
    axum::Json(door.household.lists())
}

/// Which lists name a name or a parent of it, with the lines that do.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/lists/search",
    params(ListSearchQuery),
    responses(
        (status = 200, body = ListSearch),
        (status = 400, body = ErrorBody),
        (status = 503, body = ErrorBody)
    )
))]
async fn search_lists(
    State(door): State<Door>,
    Parameters(query): Parameters<ListSearchQuery>,
) -> Answer<ListSearch> {
    let name = query.parse()?;
    door.household.search_lists(name).await.map(axum::Json)
}

/// Looks for new versions of lists and puts them in force. A list that cannot be had, or that must
/// not be believed, leaves the version before in use; the report says so for each.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/lists/update",
    params(ListUpdateQuery),
    responses(
        (status = 200, body = ListUpdateReport),
        ChangeRefused
    )
))]
async fn update_lists(
    State(door): State<Door>,
    Parameters(query): Parameters<ListUpdateQuery>,
) -> Answer<ListUpdateReport> {
    let request = query.request();
    // A task of its own: a caller that goes away must not leave an update half done.
    let updating = tokio::spawn(async move { door.household.update_lists(request).await });
    updating
        .await
        .unwrap_or_else(|_| {
            Err(ControlError::unavailable(
                "the update broke off",
                "the lists before still hold; the daemon's log says more",
            ))
        })
        .map(axum::Json)
}

/// Which entries of the log are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
struct LogQuery {
    /// Only what came after this entry; without it, the newest.
    after: Option<u64>,
    /// How many at most; default 100, never more than 1000.
    limit: Option<usize>,
    /// Only of this device.
    device: Option<String>,
    /// Only of this profile.
    profile: Option<String>,
    /// Only what was blocked.
    blocked: bool,
}

impl LogQuery {
    fn filter(&self) -> LogFilter {
        LogFilter {
            device: self.device.clone(),
            profile: self.profile.clone(),
            blocked: self.blocked,
        }
    }
}

/// A page of the query log, the oldest entry first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/log",
    params(LogQuery),
    responses((status = 200, body = LogPage), (status = 400, body = ErrorBody))
))]
async fn log(State(door): State<Door>, Parameters(query): Parameters<LogQuery>) -> Answer<LogPage> {
    let limit = query.limit.unwrap_or(DEFAULT_ENTRIES).min(MAX_ENTRIES);
    let page = door.household.log(query.after, limit, &query.filter());
    Ok(axum::Json(page))
}

/// Which entries of the log are followed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
struct FollowQuery {
    /// Begin after this entry; without it, with what comes from now on. The header
    /// `Last-Event-ID` goes before it.
    after: Option<u64>,
    /// Only of this device.
    device: Option<String>,
    /// Only of this profile.
    profile: Option<String>,
    /// Only what was blocked.
    blocked: bool,
}

/// The query log as it grows, as server-sent events: an entry each, and `gap` with the number of
/// entries that were gone before they could be sent.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/log/stream",
    params(FollowQuery),
    responses(
        (status = 200, body = LogEntry, content_type = "text/event-stream"),
        (status = 400, body = ErrorBody),
        (status = 503, body = ErrorBody)
    )
))]
async fn log_stream(
    State(door): State<Door>,
    headers: HeaderMap,
    Parameters(query): Parameters<FollowQuery>,
) -> Result<Response, ControlError> {
    let place = Arc::clone(&door.followers)
        .try_acquire_owned()
        .map_err(|_| {
            ControlError::unavailable(
                format!("{MAX_FOLLOWERS} readers follow the log already"),
                "end one of them, or read pages with `/api/v1/log`",
            )
        })?;
    let last_seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let filter = LogFilter {
        device: query.device,
        profile: query.profile,
        blocked: query.blocked,
    };
    let after = last_seen.or(query.after);
    let follow = Follow::new(door.household, after, filter, door.stopped, place);
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::new(follow)).into_response())
}

/// How long rankings are to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
struct TopQuery {
    /// Places in each; default 10, never more than 100.
    limit: Option<usize>,
}

/// What was asked for most, over what the log holds.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/top",
    params(TopQuery),
    responses((status = 200, body = Top), (status = 400, body = ErrorBody))
))]
async fn top(State(door): State<Door>, Parameters(query): Parameters<TopQuery>) -> Answer<Top> {
    let limit = query.limit.unwrap_or(DEFAULT_PLACES);
    Ok(axum::Json(door.household.top(limit.min(MAX_PLACES))))
}

/// Why a name would be answered as it would.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/explain",
    params(ExplainQuery),
    responses(
        (status = 200, body = Explanation),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)
    )
))]
async fn explain(
    State(door): State<Door>,
    Parameters(query): Parameters<ExplainQuery>,
) -> Answer<Explanation> {
    let request = ExplainRequest::parse(&query)?;
    door.household.explain(request).await.map(axum::Json)
}

/// Reads configuration and lists again. The report says whether they hold now; if not, the ones
/// before still do.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/reload",
    responses((status = 200, body = ReloadReport), (status = 503, body = ErrorBody))
))]
async fn reload(State(door): State<Door>) -> Answer<ReloadReport> {
    // A task of its own: a caller that goes away must not leave a reload half done.
    let reloading = tokio::spawn(async move { door.household.reload().await });
    reloading.await.map(axum::Json).map_err(|_| {
        ControlError::unavailable(
            "the reload broke off",
            "the configuration before still holds; the daemon's log says more",
        )
    })
}

/// Empties the cache.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/cache/flush",
    responses((status = 200, body = Flushed))
))]
async fn flush_cache(State(door): State<Door>) -> axum::Json<Flushed> {
    axum::Json(door.household.flush_cache())
}

/// This document.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    responses((status = 200, body = String, content_type = "application/json"))
))]
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}
