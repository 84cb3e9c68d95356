//! Replies as HTTP: JSON always, in the wrapper that the client expects for the path
//! (section 2).

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::broker::Refusal;
use crate::wire::status;

/// The three families of requests, each with its wrapper. Kandy.js 3.1 reads
/// inside the wrapper without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Subscribe,
    Control,
    Disposition,
}

impl Family {
    /// The family of a path below `/rest/version/{version}/user/{user}`.
    pub(super) fn of(path: &str) -> Self {
        match path.trim_start_matches('/').split('/').nth(5) {
            Some("callControl") => Self::Control,
            Some("calldisposition") => Self::Disposition,
            _ => Self::Subscribe,
        }
    }

    fn wrapper(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribeResponse",
            Self::Control => "callControlResponse",
            Self::Disposition => "callDispositionResponse",
        }
    }
}

/// A failure in the wrapper of `family`.
pub(super) fn failure(
    family: Family,
    http: StatusCode,
    status_code: i32,
    retry_after: Option<u64>,
) -> Response {
    let mut inner = json!({ "statusCode": status_code });
    if let Some(seconds) = retry_after {
        inner["retryAfter"] = Value::from(seconds);
    }
    let mut response = (http, Json(json!({ family.wrapper(): inner }))).into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What the broker refused.
pub(super) fn refused(family: Family, refusal: Refusal) -> Response {
    /// One offer and its answer take well below this; a client tries again once.
    const GLARE_RETRY: u64 = 2;
    /// Calls end within minutes.
    const BUSY_RETRY: u64 = 10;
    let (http, code, retry) = match refusal {
        Refusal::NoSubscription => (StatusCode::NOT_FOUND, status::NO_SUBSCRIPTION, None),
        Refusal::NoSession => (StatusCode::NOT_FOUND, status::NO_SESSION, None),
        Refusal::SessionExpired => (StatusCode::NOT_FOUND, status::SESSION_EXPIRED, None),
        Refusal::Glare => (StatusCode::CONFLICT, status::GLARE, Some(GLARE_RETRY)),
        Refusal::WrongState => (StatusCode::CONFLICT, status::BAD_REQUEST, None),
        Refusal::NoRoom => (
            StatusCode::SERVICE_UNAVAILABLE,
            status::BUSY,
            Some(BUSY_RETRY),
        ),
        Refusal::TooManyClients => (StatusCode::FORBIDDEN, status::TOO_MANY_CLIENTS, None),
        Refusal::Incomplete => (StatusCode::BAD_REQUEST, status::INVALID_BODY, None),
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, status::INVALID_BODY, None),
    };
    failure(family, http, code, retry)
}

/// Bytes of a request's line and headers.
const MAX_HEADERS: usize = 16 * 1024;

/// Refuses requests whose line and headers are longer than [`MAX_HEADERS`], in the
/// wrapper of their path.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let line = request.uri().path_and_query();
    let line = line.map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    // Each with its colon, blank and line end.
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if line + headers <= MAX_HEADERS {
        return next.run(request).await;
    }
    let family = Family::of(request.uri().path());
    let http = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    failure(family, http, status::BAD_REQUEST, None)
}

/// Success in the wrapper of `family`.
pub(super) fn done(family: Family) -> Response {
    Json(json!({ family.wrapper(): { "statusCode": status::OK } })).into_response()
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn every_path_has_its_wrapper() {
        let user = "/rest/version/1/user/a@b";
        for (path, family) in [
            ("/subscription", Family::Subscribe),
            ("/subscription/x", Family::Subscribe),
            ("/callControl", Family::Control),
            ("/callControl/callSessions/x", Family::Control),
            ("/calldisposition", Family::Disposition),
            ("", Family::Subscribe),
        ] {
            assert_eq!(Family::of(&format!("{user}{path}")), family, "{path}");
        }
    }
}
