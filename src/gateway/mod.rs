//! The embedded gateway: a Kandy Link server and the indoor page, in the station's
//! own process, so that it works with nothing but itself.
//!
//! ```text
//!   TCP -- serve (TLS, HTTP/1.1) --+-- rest   Kandy Link requests  --\
//!                                  +-- notify one WebSocket a client --> hub --> broker
//!                                  +-- page   the indoor page                 (pure)
//! ```
//!
//! The station is a client like any other: it logs in with a user of its own. The
//! gateway knows nothing of cameras, buttons or doors; it does not look into SDP.
//!
//! What satisfies the unmodified Kandy.js SDKs 3.1 to 5.2 is listed in protocol
//! section 10; each rule is in the module that it concerns.

mod auth;
pub mod broker;
mod door;
mod error;
mod guesses;
mod hub;
mod notify;
mod origin;
mod page;
mod reply;
mod rest;
mod serve;
mod settings;
mod stall;
mod tls;
mod visitors;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{any, get, post, put};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use auth::Auth;
pub use auth::Password;
use broker::{Broker, Directory, Person, Rules};
use door::Opening;
pub use door::{Closed, OpenDoor};
pub use error::Error;
use hub::{Hub, RandomIds};
pub use origin::Cors;
use origin::Hosts;
pub use settings::{Door, Limits, Settings, User};
use tls::Identity;
pub use tls::{
    CertificateEnd, Tls, authority_of, certificate_end, certificate_of, first_certificate,
};

use crate::album::Album;
use crate::clock;
use crate::tasks::Tasks;

/// Where a browser finds the page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    listens: SocketAddr,
    secure: bool,
}

impl Page {
    /// `https://192.168.1.7:8443/`. An address that stands for all of the machine's is
    /// replaced by the one that it has towards its network now: a station may start
    /// before its network does.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let mut address = self.listens;
        if address.ip().is_unspecified() {
            address.set_ip(tls::outward_address().unwrap_or(Ipv4Addr::LOCALHOST.into()));
        }
        format!("{scheme}://{address}/")
    }
}

/// What all handlers share.
struct App {
    hub: Hub,
    directory: Arc<Directory>,
    auth: Auth,
    identity: Option<Identity>,
    hosts: Hosts,
    cors: Cors,
    door: Door,
    bell: Option<mpsc::Sender<()>>,
    opening: Option<Opening>,
    /// The visitors' pictures, if any are kept.
    album: Option<Album>,
    /// Users who are shown the button.
    may_open: BTreeSet<String>,
    limits: Limits,
    files: Vec<page::File>,
    tasks: Tasks,
}

/// A gateway that listens; [`Gateway::run`] serves.
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    app: Arc<App>,
}

impl Gateway {
    /// Checks the settings, makes or reads the certificates, and listens.
    ///
    /// # Errors
    ///
    /// Says which address, user or file is wrong, and what to do.
    pub async fn bind(settings: Settings, tasks: Tasks) -> Result<Self, Error> {
        let listen = settings.listen;
        if matches!(settings.tls, Tls::Off) && !listen.ip().to_canonical().is_loopback() {
            return Err(Error::PlainBeyondLoopback { address: listen });
        }
        settings.check_users()?;
        let people = settings.users.iter().map(|user| Person {
            address: user.address.clone(),
            name: user.name.clone(),
            max_calls: user.max_calls,
        });
        let may_open = settings.users.iter().filter(|user| user.may_open);
        let may_open = may_open.map(|user| user.address.clone()).collect();
        let directory = Arc::new(Directory::new(&settings.domain, people));
        let passwords = settings.users.iter();
        let passwords = passwords.map(|user| (user.address.clone(), user.password.clone()));
        let auth = Auth::new(directory.clone(), passwords)?;

        let identity = open_identity(settings.tls.clone(), listen).await?;
        let listener = TcpListener::bind(listen).await;
        let refused = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = listener.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;

        let mut hosts = tls::host_names();
        if let Tls::Local { names, .. } = &settings.tls {
            hosts.extend(names.iter().map(|name| name.to_ascii_lowercase()));
        }
        let rules = Rules {
            ring_time: settings.ring_time,
            grant_expires: settings.grant_expires,
            max_sdp: settings.limits.sdp,
            max_calls: settings.limits.calls,
            max_subscriptions: settings.limits.subscriptions,
        };
        let broker = Broker::new(rules, Directory::clone(&directory), Box::new(RandomIds));
        let app = App {
            hub: Hub::new(broker),
            directory,
            auth,
            identity,
            hosts: Hosts(hosts),
            cors: settings.cors,
            door: settings.door,
            bell: settings.bell,
            opening: settings.opening.map(Opening::new),
            album: settings.album,
            may_open,
            limits: settings.limits,
            files: page::files(),
            tasks,
        };
        Ok(Self {
            listener,
            local_addr,
            app: Arc::new(app),
        })
    }

    /// Where it listens; the port is real even if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where a browser finds the page.
    pub fn page(&self) -> Page {
        Page {
            listens: self.local_addr,
            secure: self.app.identity.is_some(),
        }
    }

    /// The certificate of the local CA in PEM, with [`Tls::Local`]: what a client must
    /// trust.
    pub fn ca_pem(&self) -> Option<&[u8]> {
        self.app.identity.as_ref().and_then(Identity::ca_pem)
    }

    /// The certificate that the page shows, in DER, with [`Tls::Files`]: it is made out to the
    /// door's name in the network, which nobody may be able to ask for yet.
    pub fn own_certificate(&self) -> Option<Vec<u8>> {
        let identity = self.app.identity.as_ref()?;
        match identity.ca_pem() {
            Some(_) => None,
            None => identity.leaf().cert.first().map(|leaf| leaf.to_vec()),
        }
    }

    /// Until when the page's certificate is good; `None` without TLS.
    pub fn certificate_end(&self) -> Option<CertificateEnd> {
        self.app.identity.as_ref().map(Identity::end)
    }

    /// Serves until the tasks given to [`Gateway::bind`] are cancelled; then closes
    /// every socket (code 1001) and returns within a second or so.
    pub async fn run(self) {
        let app = self.app;
        let tls = app.identity.as_ref();
        let tls = tls.map(|identity| TlsAcceptor::from(identity.config.clone()));
        let timer = app.clone();
        app.tasks.spawn("gateway-timer", async move {
            let pulse = timer.tasks.pulse("gateway-broker");
            timer.hub.run_timer(|| pulse.beat()).await;
        });
        let fresh = app.clone();
        app.tasks.spawn("gateway-certificate", async move {
            if let Some(identity) = &fresh.identity {
                identity.keep_fresh().await;
            }
        });
        let router = router(app.clone());
        let max = app.limits.connections;
        serve::serve(self.listener, tls, router, max, &app.tasks).await;
    }
}

/// Key generation and files, away from the async threads.
async fn open_identity(tls: Tls, listen: SocketAddr) -> Result<Option<Identity>, Error> {
    let open = move || Identity::open(&tls, listen.ip(), clock::wall());
    tokio::task::spawn_blocking(open)
        .await
        .expect("opening certificates does not panic")
}

fn router(app: Arc<App>) -> Router {
    let user = "/rest/version/{version}/user/{user}";
    let kandy = Router::new()
        .route(&format!("{user}/subscription"), post(rest::subscribe))
        .route(
            &format!("{user}/subscription/{{id}}"),
            put(rest::renew).delete(rest::unsubscribe),
        )
        .route(
            &format!("{user}/subscription/clientCorrelator/{{id}}"),
            put(rest::renew_correlator).delete(rest::unsubscribe_correlator),
        )
        .route(&format!("{user}/callControl"), post(rest::start))
        .route(
            &format!("{user}/callControl/callSessions/{{id}}"),
            put(rest::control).get(rest::state).delete(rest::end),
        )
        .route(&format!("{user}/calldisposition"), post(rest::disposition))
        .method_not_allowed_fallback(rest::nothing)
        .route("/rest/{*path}", any(rest::nothing))
        .route("/notification/websocket/{channel}", get(notify::upgrade))
        .layer(from_fn(reply::headers))
        .layer(from_fn_with_state(app.clone(), origin::kandy))
        .layer(map_response(no_store));
    let page = Router::new()
        .route("/station.json", get(page::station))
        .route("/demo/bell", post(page::bell))
        .route("/door/open", post(door::open))
        .route("/visitors.json", get(visitors::list))
        .route("/visitors/{file}", get(visitors::picture))
        .route("/ca.crt", get(page::ca))
        .route("/ca.pem", get(page::ca))
        .fallback(page::file)
        .layer(from_fn_with_state(app.clone(), origin::own_page))
        .layer(from_fn(reply::headers))
        .layer(from_fn_with_state(app.clone(), page::headers));
    page.merge(kandy).with_state(app)
}

/// Replies to requests are for the one who asked, now.
async fn no_store(mut response: axum::response::Response) -> axum::response::Response {
    use axum::http::{HeaderValue, header};
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_where_a_browser_gets_to() {
        let page = |listens: &str, secure| Page {
            listens: listens.parse().unwrap(),
            secure,
        };
        assert_eq!(page("192.0.2.7:80", false).url(), "http://192.0.2.7:80/");
        assert_eq!(page("[::1]:8443", true).url(), "https://[::1]:8443/");
        let anywhere = page("0.0.0.0:8443", true).url();
        assert!(!anywhere.contains("//0.0.0.0"), "{anywhere}");
    }
}
