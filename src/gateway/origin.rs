//! Which hosts we answer for and which web pages may talk to us.
//!
//! *Host*: a page of somebody else's name that resolves to our address (DNS
//! rebinding) has that name in its `Host`; we answer only to names that are ours
//! and to bare addresses, which cannot be rebound. *Origin*: the indoor page's
//! own routes answer to itself only; the Kandy routes answer to the pages that the
//! settings allow, because they carry explicit credentials and no cookies.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;

use super::App;

/// Which other web pages may use the Kandy routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// Every page: what a Kandy Link server does.
    #[default]
    Any,
    /// Pages of these origins (`https://door.example.org`), and our own.
    Only(Vec<String>),
}

/// The names that are ours, whatever the certificate says.
#[derive(Debug)]
pub(super) struct Hosts(pub(super) BTreeSet<String>);

impl App {
    /// The `Host` of a request if it is ours.
    pub(super) fn host<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return None;
        };
        let host = host.to_str().ok()?;
        self.is_ours(host).then_some(host)
    }

    fn is_ours(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if host.contains('@') {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() || self.hosts.0.contains(&name) {
            return true;
        }
        let Some(identity) = &self.identity else {
            return false;
        };
        let leaf = identity.leaf();
        let Some(Ok(leaf)) = leaf.cert.first().map(ParsedCertificate::try_from) else {
            return false;
        };
        ServerName::try_from(name)
            .is_ok_and(|name| rustls::client::verify_server_name(&leaf, &name).is_ok())
    }

    /// `scheme://host` of this station as the request names it.
    fn own_origin(&self, host: &str) -> String {
        let scheme = if self.identity.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{host}").to_ascii_lowercase()
    }

    /// Whether a request comes from the indoor page itself, or from no page at all.
    fn is_own_page(&self, headers: &HeaderMap, host: &str) -> bool {
        match headers.get(header::ORIGIN) {
            None => true,
            Some(origin) => origin
                .to_str()
                .is_ok_and(|origin| origin.eq_ignore_ascii_case(&self.own_origin(host))),
        }
    }

    fn may_use_kandy(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        match &self.cors {
            Cors::Any => true,
            Cors::Only(origins) => {
                let Ok(origin) = origin.to_str() else {
                    return false;
                };
                let own = self.host(headers).map(|host| self.own_origin(host));
                let allowed = origins.iter().chain(&own);
                allowed.into_iter().any(|o| o.eq_ignore_ascii_case(origin))
            }
        }
    }
}

/// Lets only requests of our own hosts and our own page through.
pub(super) async fn own_page(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let Some(host) = app.host(headers) else {
        let text = "This station does not go by that name. Open it by its address, or \
                    add the name to its settings.\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    };
    if !app.is_own_page(headers, host) {
        return (StatusCode::FORBIDDEN, "Not from another site.\n").into_response();
    }
    next.run(request).await
}

/// Adds what browsers want to see before a page of another origin may use the Kandy
/// routes, and answers their pre-flights (section 2).
pub(super) async fn kandy(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return if request.method() == Method::OPTIONS {
            preflight(&request)
        } else {
            next.run(request).await
        };
    };
    if !app.may_use_kandy(&origin, request.headers()) {
        return (StatusCode::FORBIDDEN, "This origin is not allowed.\n").into_response();
    }
    let mut response = if request.method() == Method::OPTIONS {
        preflight(&request)
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    // Nothing here goes by cookies; but a page whose requests are made "with
    // credentials" is shown no reply without this.
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Retry-After"),
    );
    response
}

fn preflight(request: &Request) -> Response {
    const METHODS: &str = "GET,POST,PUT,DELETE,OPTIONS";
    /// Seconds that a browser need not ask again: one call. Chromium's own limit is
    /// two hours.
    const MAX_AGE: &str = "600";
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed(MAX_AGE));
    let asked = request.headers();
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    // Chromium asks this when a public page talks to a private address.
    let private = HeaderName::from_static("access-control-request-private-network");
    if asked.contains_key(private) {
        let allow = HeaderName::from_static("access-control-allow-private-network");
        headers.insert(allow, fixed("true"));
    }
    response
}
