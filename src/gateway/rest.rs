//! The Kandy Link requests: parse, ask the broker, answer (sections 3 and 5).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::App;
use super::broker::{Granted, Refusal, Reply, Request as Ask, Start, SubscriptionName, Wishes};
use super::reply::{Family, done, failure, refused};
use super::serve::Connection;
use crate::clock;
use crate::wire::{
    CallControl, CallControlReply, CallControlRequest, CallControlResponse, CallDisposition,
    SubscribeReply, SubscribeRequest, SubscribeResponse, Subscription, SubscriptionParams,
    TurnCredentials, status,
};

/// A body that is not complete after this time is not waited for.
const BODY_TIME: Duration = Duration::from_secs(15);

/// The logged-in user, who may only use paths of its own name.
pub(super) struct User(String);

#[derive(Deserialize)]
struct UserPath {
    user: String,
}

impl FromRequestParts<Arc<App>> for User {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let family = Family::of(parts.uri.path());
        let denied = |http| failure(family, http, status::NOT_AUTHORISED, None);
        let connection = parts.extensions.get::<Connection>();
        let peer = connection.map(Connection::peer);
        let peer = peer.ok_or_else(|| denied(StatusCode::UNAUTHORIZED))?;
        let header = parts.headers.get(header::AUTHORIZATION);
        // No `WWW-Authenticate`: browsers would show their own dialogue over the page.
        let user = app.auth.check(header, peer).await;
        let user = user.map_err(|_| denied(StatusCode::UNAUTHORIZED))?;
        let path = Path::<UserPath>::from_request_parts(parts, app).await;
        let named = path.ok().and_then(|Path(path)| {
            let person = app.directory.find(&path.user)?;
            Some(person.address.clone())
        });
        if named.as_deref() == Some(user.as_str()) {
            Ok(Self(user))
        } else {
            Err(denied(StatusCode::FORBIDDEN))
        }
    }
}

/// The last element of a path.
#[derive(Deserialize)]
pub(super) struct Id {
    id: String,
}

/// `POST .../subscription`.
pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    User(user): User,
    request: Request,
) -> Result<Response, Response> {
    let body: Subscription = read(&app, Family::Subscribe, request).await?;
    let turn = body.subscribe_request.use_turn;
    let ask = Ask::Subscribe(wishes(body.subscribe_request));
    Ok(subscribed(&app, &user, ask, turn))
}

/// `PUT .../subscription/{id}`.
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id }): Path<Id>,
    request: Request,
) -> Result<Response, Response> {
    renew_named(&app, &user, SubscriptionName::Id(id), request).await
}

/// `PUT .../subscription/clientCorrelator/{id}`.
pub(super) async fn renew_correlator(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id }): Path<Id>,
    request: Request,
) -> Result<Response, Response> {
    renew_named(&app, &user, SubscriptionName::Correlator(id), request).await
}

async fn renew_named(
    app: &App,
    user: &str,
    name: SubscriptionName,
    request: Request,
) -> Result<Response, Response> {
    let body: Subscription = read(app, Family::Subscribe, request).await?;
    let turn = body.subscribe_request.use_turn;
    let ask = Ask::Renew(name, wishes(body.subscribe_request));
    Ok(subscribed(app, user, ask, turn))
}

/// `DELETE .../subscription/{id}`.
pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id }): Path<Id>,
) -> Response {
    let ask = Ask::Unsubscribe(SubscriptionName::Id(id));
    subscribed(&app, &user, ask, false)
}

/// `DELETE .../subscription/clientCorrelator/{id}`.
pub(super) async fn unsubscribe_correlator(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id }): Path<Id>,
) -> Response {
    let ask = Ask::Unsubscribe(SubscriptionName::Correlator(id));
    subscribed(&app, &user, ask, false)
}

/// `POST .../callControl`.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    User(user): User,
    request: Request,
) -> Result<Response, Response> {
    let body: CallControl = read(&app, Family::Control, request).await?;
    let CallControlRequest::CallStart {
        from,
        to,
        sdp,
        custom_parameters,
        supported: _,
    } = body.call_control_request
    else {
        return Err(refused(Family::Control, Refusal::Incomplete));
    };
    let start = Start {
        display_name: display_name(&from),
        to,
        sdp,
        custom_parameters,
    };
    Ok(control_reply(app.hub.request(&user, Ask::Start(start))))
}

/// `PUT .../callControl/callSessions/{id}`.
pub(super) async fn control(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id: leg }): Path<Id>,
    request: Request,
) -> Result<Response, Response> {
    let body: CallControl = read(&app, Family::Control, request).await?;
    let request = body.call_control_request;
    let reply = app.hub.request(&user, Ask::Control { leg, request });
    Ok(control_reply(reply))
}

/// `GET .../callControl/callSessions/{id}`.
pub(super) async fn state(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id: leg }): Path<Id>,
) -> Response {
    control_reply(app.hub.request(&user, Ask::State { leg }))
}

/// The query of [`end`].
#[derive(Deserialize)]
pub(super) struct Reason {
    #[serde(rename = "reasonText")]
    reason_text: Option<String>,
}

/// `DELETE .../callControl/callSessions/{id}[?reasonText=...]`. Kandy.js 3.x sends a
/// body (`{}`), which nobody needs.
pub(super) async fn end(
    State(app): State<Arc<App>>,
    User(user): User,
    Path(Id { id: leg }): Path<Id>,
    query: Result<Query<Reason>, QueryRejection>,
) -> Response {
    let reason = query.ok().and_then(|Query(reason)| reason.reason_text);
    control_reply(app.hub.request(&user, Ask::End { leg, reason }))
}

/// `POST .../calldisposition`.
pub(super) async fn disposition(
    State(app): State<Arc<App>>,
    User(user): User,
    request: Request,
) -> Result<Response, Response> {
    let family = Family::Disposition;
    let body: CallDisposition = read(&app, family, request).await?;
    let asked = body.call_disposition_request;
    let leg = asked.session_data;
    let ask = match (asked.action.as_str(), asked.address) {
        ("reject", _) => Ask::Reject { leg },
        ("forward", Some(to)) => Ask::Forward { leg, to },
        _ => return Err(refused(family, Refusal::Incomplete)),
    };
    Ok(match app.hub.request(&user, ask) {
        Reply::Refused(refusal) => refused(family, refusal),
        _ => done(family),
    })
}

/// Any other path or method below `/rest`.
pub(super) async fn nothing(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let family = Family::of(request.uri().path());
    let header = request.headers().get(header::AUTHORIZATION);
    if app.auth.check(header, connection.peer()).await.is_err() {
        let http = StatusCode::UNAUTHORIZED;
        return failure(family, http, status::NOT_AUTHORISED, None);
    }
    failure(family, StatusCode::NOT_FOUND, status::BAD_REQUEST, None)
}

fn wishes(request: SubscribeRequest) -> Wishes {
    Wishes {
        expires: Duration::from_secs(request.expires),
        service: request.service,
        force_log_out: request.force_log_out.as_deref() == Some("true"),
        // An empty one names nothing: two such clients are two.
        correlator: request.client_correlator.filter(|name| !name.is_empty()),
    }
}

fn subscribed(app: &App, user: &str, ask: Ask, turn: bool) -> Response {
    match app.hub.request(user, ask) {
        Reply::Subscribed(granted) => {
            let subscribe_response = granted_reply(granted, turn);
            Json(SubscribeResponse { subscribe_response }).into_response()
        }
        Reply::Refused(refusal) => refused(Family::Subscribe, refusal),
        Reply::Done | Reply::Started { .. } | Reply::State(_) => done(Family::Subscribe),
    }
}

fn granted_reply(granted: Granted, turn: bool) -> SubscribeReply {
    let Granted {
        id, user, expires, ..
    } = granted;
    let params = SubscriptionParams {
        expires: expires.as_secs(),
        service: granted.service,
        notification_type: "WebSocket".to_owned(),
        notification_channel: format!("/notification/websocket/{id}"),
        session_id: Some(id.clone()),
        turn_active: turn.then(|| "true".to_owned()),
        turn_credentials: turn.then(|| turn_credentials(&user, expires)),
    };
    SubscribeReply {
        status_code: if granted.renewed {
            status::SUBSCRIPTION_UPDATED
        } else {
            status::OK
        },
        subscription: Some(format!("/rest/version/1/user/{user}/subscription/{id}")),
        subscription_params: Some(params),
        retry_after: None,
    }
}

/// A log-in in the form of the TURN REST API, as clients that ask for one expect it
/// in the reply (section 3.1). The station runs no relay: nothing takes it.
fn turn_credentials(user: &str, expires: Duration) -> TurnCredentials {
    use base64::Engine as _;
    let until = clock::wall_ms() / 1000 + expires.as_secs();
    let password = rand::random::<[u8; 9]>();
    TurnCredentials {
        username: format!("{until}:{user}"),
        password: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(password),
    }
}

fn control_reply(reply: Reply) -> Response {
    let (session_data, state) = match reply {
        Reply::Refused(refusal) => return refused(Family::Control, refusal),
        Reply::Started { leg } => (Some(leg), None),
        Reply::State(state) => (None, Some(state.to_owned())),
        Reply::Done | Reply::Subscribed(_) => (None, None),
    };
    let call_control_response = CallControlReply {
        status_code: status::OK,
        session_data,
        state,
        retry_after: None,
    };
    Json(CallControlResponse {
        call_control_response,
    })
    .into_response()
}

/// `First Last` of `First Last<sip:alice@demo.local>`.
fn display_name(from: &str) -> Option<String> {
    let (name, _) = from.split_once('<')?;
    let name = name.trim().trim_matches('"').trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The body as `T`.
async fn read<T: DeserializeOwned>(
    app: &App,
    family: Family,
    request: Request<Body>,
) -> Result<T, Response> {
    let fail = |http| failure(family, http, status::INVALID_BODY, None);
    let body = axum::body::to_bytes(request.into_body(), app.limits.message);
    let bytes = match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            tracing::debug!(%error, "body is too long or was cut off");
            return Err(fail(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Err(_) => return Err(fail(StatusCode::REQUEST_TIMEOUT)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        tracing::debug!(%error, "body is not understood");
        fail(StatusCode::BAD_REQUEST)
    })
}

#[cfg(test)]
mod tests {
    use super::display_name;

    #[test]
    fn the_name_before_the_address_is_the_callers_name() {
        for (from, name) in [
            ("sip:alice@demo.local", None),
            ("<sip:alice@demo.local>", None),
            ("Alice A<sip:alice@demo.local>", Some("Alice A")),
            ("\"Alice A\" <sip:alice@demo.local>", Some("Alice A")),
        ] {
            assert_eq!(display_name(from).as_deref(), name, "{from}");
        }
    }
}
