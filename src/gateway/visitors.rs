//! `GET /visitors.json` and `GET /visitors/NAME.jpg`: who stood at the door, for users
//! who are logged in and nobody else.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;
use super::page::logged_in;
use super::serve::Connection;
use crate::album::Album;

/// Nobody keeps a visitor's picture on the way.
const FOR_ONE: [(header::HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// `GET /visitors.json`: the pictures that there are, latest first. `call` is the id of
/// the call that the visitor's press began, `time` in milliseconds since the Unix epoch.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let album = match album(&app, &connection, &headers).await {
        Ok(album) => album,
        Err(denied) => return denied,
    };
    let entries = album.entries();
    let visitors = entries.iter().map(|entry| {
        json!({
            "call": entry.name,
            "time": entry.taken_ms(),
            "picture": format!("/visitors/{}.jpg", entry.name),
        })
    });
    let visitors = visitors.collect::<Vec<_>>();
    (FOR_ONE, Json(json!({ "visitors": visitors }))).into_response()
}

/// `GET /visitors/NAME.jpg`.
pub(super) async fn picture(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let album = match album(&app, &connection, &headers).await {
        Ok(album) => album.clone(),
        Err(denied) => return denied,
    };
    let read = move || album.read(file.strip_suffix(".jpg")?);
    match tokio::task::spawn_blocking(read).await {
        Ok(Some(jpeg)) => {
            let kind = [(header::CONTENT_TYPE, "image/jpeg")];
            (FOR_ONE, kind, jpeg).into_response()
        }
        Ok(None) | Err(_) => nothing(),
    }
}

/// The album, for a person who is logged in; the door itself needs no pictures.
async fn album<'a>(
    app: &'a App,
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<&'a Album, Response> {
    let user = logged_in(app, connection, headers).await?;
    if user.eq_ignore_ascii_case(&app.door.address) {
        let error = json!({ "error": "the pictures are for people" });
        return Err((StatusCode::FORBIDDEN, Json(error)).into_response());
    }
    app.album.as_ref().ok_or_else(nothing)
}

fn nothing() -> Response {
    let error = json!({ "error": "there is no such picture" });
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}
