//! `POST /door/open`: a user of the page wants the door open.
//!
//! The gateway knows who asks and that it is the page who asks for them; who may is
//! decided by whoever takes the request ([`OpenDoor`]). Beside the log-in a request
//! carries the token that the page was told in `station.json`, made anew at each start:
//! a log-in that another page got hold of some other way is not enough, and neither is a
//! request that was recorded before. Nothing opens by GET, whatever it carries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ring::hmac;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::App;
use super::page::logged_in;
use super::serve::Connection;
use crate::clock;
use crate::telemetry::kind;

/// The header with the token.
const TOKEN: &str = "x-door-token";
/// Wishes of one user in a minute: as many as the relay carries out.
const PER_MINUTE: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// How long an answer is waited for; the relay has a second for it.
const ANSWER: Duration = Duration::from_secs(5);

/// A user who is logged in wants the door open.
#[derive(Debug)]
pub struct OpenDoor {
    /// `alice@home.local`.
    pub user: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<(), Closed>>,
}

/// The door stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The user has no right to open it at all.
    pub forbidden: bool,
    /// A word for programs.
    pub code: &'static str,
    /// For people.
    pub reason: &'static str,
}

/// Where wishes go, and what guards them.
pub(super) struct Opening {
    wishes: mpsc::Sender<OpenDoor>,
    key: hmac::Key,
    latest: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

impl Opening {
    pub(super) fn new(wishes: mpsc::Sender<OpenDoor>) -> Self {
        Self {
            wishes,
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            latest: Mutex::default(),
        }
    }

    /// What the page of `user` must send along.
    pub(super) fn token(&self, user: &str) -> String {
        let tag = hmac::sign(&self.key, user.as_bytes());
        tag.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether `headers` carry it: compared by a second hash, whose time tells nothing.
    fn is_of_page(&self, user: &str, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(TOKEN)
            .map_or(&b""[..], |value| value.as_bytes());
        let right = hmac::sign(&self.key, self.token(user).as_bytes());
        hmac::verify(&self.key, sent, right.as_ref()).is_ok()
    }

    /// Counts a wish; `false` if there were too many. Users are few and known, so the
    /// table is small.
    fn may_ask(&self, user: &str, now: Instant) -> bool {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = latest.entry(user.to_owned()).or_default();
        asked.retain(|at| now.saturating_duration_since(*at) < MINUTE);
        if asked.len() >= PER_MINUTE {
            return false;
        }
        asked.push_back(now);
        true
    }
}

/// `POST /door/open`.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let refuse = |status: StatusCode, user: Option<&str>, code: &str, reason: &str| {
        // What the station is told it writes down itself.
        warn!(
            target: "audit",
            message_id = kind::DOOR_REFUSED,
            who = user,
            how = "page",
            door = "refused",
            why = code,
            from = %connection.peer(),
            reason,
            "the door"
        );
        closed(status, code, reason)
    };
    let Some(opening) = &app.opening else {
        return closed(StatusCode::NOT_FOUND, "no_door", "no door is configured");
    };
    let user = match logged_in(&app, &connection, &headers).await {
        Ok(user) => user,
        Err(denied) => {
            refuse(StatusCode::UNAUTHORIZED, None, "login", "not logged in");
            return denied;
        }
    };
    if !opening.is_of_page(&user, &headers) {
        let reason = "the request does not come from the page as it is now";
        return refuse(StatusCode::FORBIDDEN, Some(&user), "token", reason);
    }
    if !opening.may_ask(&user, clock::now()) {
        let reason = "too many wishes in a minute";
        return refuse(
            StatusCode::TOO_MANY_REQUESTS,
            Some(&user),
            "too_often",
            reason,
        );
    }
    let (answer, answered) = oneshot::channel();
    let wish = OpenDoor {
        user: user.clone(),
        answer,
    };
    // Full: more people ask than the relay could serve.
    if opening.wishes.try_send(wish).is_err() {
        let reason = "the station does not take it";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, Some(&user), "busy", reason);
    }
    match tokio::time::timeout(ANSWER, answered).await {
        Ok(Ok(Ok(()))) => Json(json!({ "open": true })).into_response(),
        Ok(Ok(Err(why))) if why.forbidden => closed(StatusCode::FORBIDDEN, why.code, why.reason),
        Ok(Ok(Err(why))) => closed(StatusCode::CONFLICT, why.code, why.reason),
        Ok(Err(_)) | Err(_) => {
            let reason = "the station does not answer";
            closed(StatusCode::SERVICE_UNAVAILABLE, "no_answer", reason)
        }
    }
}

fn closed(status: StatusCode, code: &str, reason: &str) -> Response {
    let body = json!({ "open": false, "code": code, "reason": reason });
    (status, Json(body)).into_response()
}
