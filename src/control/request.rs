//! What handlers have in common: parameters, answers, changes that are done as a whole.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ControlError;
#[cfg(test)]
use super::api::ErrorBody;

/// Query parameters, or what is wrong with them in our words.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ControlError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ControlError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            let cause = text
                .split_once(": ")
                .map_or(text.as_str(), |(_, cause)| cause);
            ControlError::bad_request(
                format!(
                    "the parameters can't be understood: {}",
                    cause.escape_debug()
                ),
                "`/api/v1/openapi.json` lists what there is",
            )
        })
    }
}

/// A body, or why there is none.
pub(super) type Answer<T> = Result<axum::Json<T>, ControlError>;

/// Carries out a change in a task of its own: a caller that goes away must not leave it half done.
pub(super) async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, ControlError>> + Send + 'static,
) -> Answer<T> {
    let done = tokio::spawn(change).await.unwrap_or_else(|_| {
        let help = "the daemon's log says more";
        Err(ControlError::unavailable("the change broke off", help))
    });
    done.map(axum::Json)
}

/// Why a change may be refused, for the document.
#[cfg(test)]
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "the document is written from the types alone")]
pub(super) enum ChangeRefused {
    #[response(status = 400, description = "")]
    BadRequest(ErrorBody),
    #[response(status = 404, description = "")]
    NotFound(ErrorBody),
    #[response(status = 503, description = "")]
    Unavailable(ErrorBody),
}
