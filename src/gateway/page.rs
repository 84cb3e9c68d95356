//! The indoor page and what belongs to it.
//!
//! The files are part of the binary and public: they are the log-in page. What the
//! page learns about the station it learns with the user's credentials.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::App;
use super::serve::Connection;

macro_rules! files {
    ($($name:literal => $kind:expr,)*) => {
        &[$(($name, $kind, include_bytes!(concat!("web/", $name)))),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const MANIFEST: &str = "application/manifest+json";

/// Path below `web/`, media type, content.
const FILES: &[(&str, &str, &[u8])] = files! {
    "alerts.js" => JS,
    "app.js" => JS,
    "call.js" => JS,
    "hold.js" => JS,
    "icon-ringing.svg" => SVG,
    "icon.svg" => SVG,
    "index.html" => HTML,
    "kandy.js" => JS,
    "leg.js" => JS,
    "manifest.webmanifest" => MANIFEST,
    "media.js" => JS,
    "notices.js" => JS,
    "opening.js" => JS,
    "picture.js" => JS,
    "rest.js" => JS,
    "screen.js" => JS,
    "sound.js" => JS,
    "stats.js" => JS,
    "store.js" => JS,
    "style.css" => CSS,
    "theme.js" => JS,
    "view.js" => JS,
    "visitors.js" => JS,
    "words.js" => JS,
    "words/de.js" => JS,
    "words/en.js" => JS,
};

/// One file of the page.
#[derive(Debug)]
pub(super) struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
    etag: String,
}

/// The files, each with its entity tag.
pub(super) fn files() -> Vec<File> {
    let file = |&(path, kind, content): &(&'static str, &'static str, &'static [u8])| {
        let digest = ring::digest::digest(&ring::digest::SHA256, content);
        File {
            path,
            kind,
            content,
            etag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..15])),
        }
    };
    FILES.iter().map(file).collect()
}

/// `GET /` and every other file.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = app.files.iter().find(|file| file.path == path) else {
        return (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let unchanged = known
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == file.etag);
    let cache = [
        (header::ETAG, file.etag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.kind)];
    (cache, kind, file.content).into_response()
}

/// `GET /ca.crt` (DER, what Android, iOS and Windows install) and `GET /ca.pem`.
pub(super) async fn ca(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let identity = app.identity.as_ref();
    let content = if uri.path().ends_with(".pem") {
        identity
            .and_then(|i| i.ca_pem())
            .map(|pem| ("application/x-pem-file", pem))
    } else {
        identity
            .and_then(|i| i.ca_der())
            .map(|der| ("application/x-x509-ca-cert", der))
    };
    match content {
        Some((kind, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, bytes.to_vec()).into_response()
        }
        None => {
            let text = "This station has no certificate authority of its own.\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

/// `GET /station.json`: what the page shows before the first call.
pub(super) async fn station(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let user = match logged_in(&app, &connection, &headers).await {
        Ok(user) => user,
        Err(denied) => return denied,
    };
    let opening = app
        .opening
        .as_ref()
        .filter(|_| app.may_open.contains(&user));
    let mut station = json!({
        "door": { "address": app.door.address, "name": app.door.name },
        "iceServers": [],
        "demo": app.bell.is_some(),
    });
    // Who has no right sees no button.
    if let Some(opening) = opening {
        station["openToken"] = opening.token(&user).into();
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(station)).into_response()
}

/// `POST /demo/bell`: presses the bell, in a demonstration only.
pub(super) async fn bell(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let Some(bell) = &app.bell else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(denied) = logged_in(&app, &connection, &headers).await {
        return denied;
    }
    match bell.try_send(()) {
        Ok(()) => Json(json!({ "pressed": true })).into_response(),
        // The bell rings already, or the station is stopping.
        Err(_) => (StatusCode::CONFLICT, Json(json!({ "pressed": false }))).into_response(),
    }
}

pub(super) async fn logged_in(
    app: &App,
    connection: &Connection,
    headers: &HeaderMap,
) -> Result<String, Response> {
    let header = headers.get(header::AUTHORIZATION);
    // No `WWW-Authenticate`: browsers would show their own dialogue over the page.
    app.auth
        .check(header, connection.peer())
        .await
        .map_err(|_| {
            let error = json!({ "error": "wrong user or password" });
            (StatusCode::UNAUTHORIZED, Json(error)).into_response()
        })
}

/// What every answer to the page carries.
pub(super) async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let policy = app.host(request.headers()).map(|host| {
        let scheme = if app.identity.is_some() { "wss" } else { "ws" };
        // Safari before 15.4 does not count its WebSocket as 'self'.
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; \
             img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; \
             connect-src 'self' {scheme}://{host}; manifest-src 'self'; worker-src 'self'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
    });
    let policy = policy.and_then(|policy| HeaderValue::try_from(policy).ok());
    let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut response = next.run(request).await;
    let fixed = HeaderValue::from_static;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    for (name, value) in [
        (
            "permissions-policy",
            "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self), \
             geolocation=(), payment=(), usb=()",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, fixed(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::FILES;

    /// Every file below `web/` is served: one that is added and forgotten here would
    /// be missing from the page.
    #[test]
    fn every_file_of_the_page_is_in_the_table() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway/web");
        let mut dirs = vec![web.clone()];
        let mut found = Vec::new();
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let path = path.strip_prefix(&web).unwrap();
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        let mut served: Vec<_> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        served.sort();
        assert_eq!(served, found);
    }
}
