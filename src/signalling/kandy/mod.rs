//! A client of Kandy Link: one account of the station.
//!
//! ```text
//!              orders                    Request
//!   station ----------> Legs (pure) ------------------> rest --> server
//!      ^                  ^                              |
//!      | news             | Notice         Reply         |
//!      +-----<----- client loop <------------------------+
//!                         |  ^
//!                  Act    v  |  Fact
//!                    Session (pure) ---> ws <---------------- server
//! ```
//!
//! `session` keeps the account registered, `legs` translates between the core's legs
//! and the server's; both are state machines without I/O.
//! `notice` decides which notifications can be trusted. `client` is the loop around
//! them, `rest` and `ws` are the wires.
//!
//! It decides nothing about calls, and media pass through as opaque text.

mod client;
mod legs;
mod notice;
mod parameters;
mod request;
mod rest;
#[cfg(test)]
mod sequences;
mod session;
mod tls;
mod trouble;
mod ws;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument;

use self::client::{Parts, Runner};
use self::legs::Legs;
use self::rest::Rest;
use self::session::Session;
use super::Order;
use super::backoff;
use crate::call::{AccountId, Address, Input};
use crate::ice;
use crate::secret::Secret;
use crate::tasks::Tasks;
use crate::wire::address;

/// The highest pause between attempts towards a server on this machine: it harms
/// nobody to ask it often, and it is the one that lets the door ring (our choice).
const LOCAL_CAP: Duration = Duration::from_secs(3);
/// The longest display name that is sent (our choice).
const LONGEST_NAME: usize = 64;

/// One account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the configuration.
    pub account: AccountId,
    /// `alice@demo.local`.
    pub user: String,
    /// How it proves itself.
    pub login: Login,
    /// Where requests go: `https://host:port`. `http` is taken for this machine only.
    pub rest: String,
    /// Where notifications come from: `wss://host:port`. `ws` likewise.
    pub websocket: String,
    /// How long a subscription shall last; the server may grant another time.
    pub expires: Duration,
    /// Whom it believes that the server is who it should be.
    pub trust: Trust,
    /// The name that others see when we call.
    pub display_name: Option<String>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Those of the public authorities.
    #[default]
    Public,
    /// Those as well that these certificates vouch for, PEM.
    PublicAnd(Vec<u8>),
    /// This certificate alone, DER, whatever names and dates it has.
    Only(Vec<u8>),
}

impl Trust {
    /// The public authorities, and perhaps certificates beside them, PEM.
    pub fn public_and(pem: Option<Vec<u8>>) -> Self {
        pem.map_or(Self::Public, Self::PublicAnd)
    }
}

/// The schemes of protocol section 2.
#[derive(Clone)]
pub enum Login {
    /// HTTP Basic on every request.
    Basic {
        /// Of the user.
        password: Secret,
        /// Replaces the user's name in the credentials, but not in addresses.
        authname: Option<String>,
    },
    /// A token for the log-in, a session for everything after it.
    Hmac {
        /// As issued by the service.
        token: Secret,
    },
    /// A token on every request and on the socket's address.
    Bearer {
        /// As issued by the service.
        token: Secret,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Login::Basic { .. } => "Basic",
            Login::Hmac { .. } => "Hmac",
            Login::Bearer { .. } => "Bearer",
        })
    }
}

/// Why an account cannot be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user is not `local@domain` with characters that a path can hold.
    #[error("user {0:?} is not of the form local@domain")]
    User(String),
    /// A server's address is not a URL of the right kind.
    #[error("server address {url:?} is not of the form {form}")]
    Server {
        /// As given.
        url: String,
        /// As it should be.
        form: &'static str,
    },
    /// Credentials would go over the network in the clear.
    #[error("server address {0:?} is not encrypted; only a server on this machine may be")]
    Clear(String),
    /// A certificate to trust cannot be read.
    #[error("extra certificate authority: {0}")]
    Certificate(String),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// One account's client; see the module.
pub struct Client {
    parts: Parts,
}

impl Client {
    /// Prepares a client that will tell `inbox` what happens and spawn into `tasks`.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot work: see [`Error`].
    pub fn new(
        settings: Settings,
        inbox: mpsc::Sender<Input>,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let user = settings.user;
        let named = user.split_once('@');
        let complete = named.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if !complete || !notice::is_safe_in_path(&user) {
            return Err(Error::User(user));
        }
        let rest_url = server(&settings.rest, ["https", "http"], "https://host:port")?;
        let websocket = server(&settings.websocket, ["wss", "ws"], "wss://host:port")?;
        let local = rest_url.local && websocket.local;
        let tls = tls::config(settings.trust, local)?;
        let rest = Rest::new(
            &rest_url.text,
            &user,
            signature(&user, settings.display_name.as_deref()),
            settings.login,
            settings.expires,
            tls.clone(),
        )?;
        let cap = if rest_url.local {
            LOCAL_CAP
        } else {
            backoff::CAP
        };
        let now = crate::clock::now();
        let session = Session::new(&rest_url.text, cap, rand::random(), now);
        let legs = Legs::new(settings.account.clone(), Address::new(user), rand::random());
        Ok(Self {
            parts: Parts {
                account: settings.account,
                rest: Arc::new(rest),
                websocket: websocket.text,
                tls: Arc::new(tls),
                session,
                legs,
                inbox,
                tasks,
            },
        })
    }

    /// Asks the server for TURN credentials, anew for each call, and supplies `servers`
    /// with them (`serverProvidedTurnCredentials`, protocol section 3.1).
    #[must_use]
    pub fn with_turn(mut self, servers: ice::Servers) -> Self {
        // Nobody else has it before it runs.
        if let Some(rest) = Arc::get_mut(&mut self.parts.rest) {
            rest.turn = Some(servers);
        }
        self
    }

    /// Logs in as the client `name`, the same over restarts (`clientCorrelator`, protocol
    /// section 3.1): what a crash left at the server, a call among it, ends at the next
    /// log-in. Two clients of one account must not share it.
    #[must_use]
    pub fn with_correlator(mut self, name: &str) -> Self {
        // Nobody else has it before it runs.
        if let Some(rest) = Arc::get_mut(&mut self.parts.rest) {
            rest.correlator = Some(name.to_owned());
        }
        self
    }

    /// Serves until the tasks are cancelled; then tells the other ends of live calls,
    /// logs out and closes the socket, all within two seconds.
    ///
    /// Spawn it with [`Tasks::spawn_draining`], so that it may do so.
    pub async fn run(self, orders: mpsc::Receiver<Order>) {
        let span = tracing::debug_span!("account", account = %self.parts.account);
        Runner::new(self.parts).run(orders).instrument(span).await;
    }
}

/// Whom `callee` means for the user `user`, after the rule of Kandy.js 3.41
/// (protocol section 1.1): `bob` is `bob` of the user's own domain, a telephone
/// number loses its separators, a scheme is dropped.
pub fn normalise(callee: &str, user: &Address) -> Address {
    let domain = user
        .as_str()
        .split_once('@')
        .map_or("", |(_, domain)| domain);
    Address::new(address::bare(&address::normalise(callee, domain)))
}

/// A server's address, checked.
struct Server {
    /// Without the slash at its end.
    text: String,
    /// It is this machine.
    local: bool,
}

/// Checks `url`; `schemes` are the encrypted and the clear one.
fn server(url: &str, schemes: [&str; 2], form: &'static str) -> Result<Server, Error> {
    let wrong = || Error::Server {
        url: url.to_owned(),
        form,
    };
    let parsed = reqwest::Url::parse(url).map_err(|_| wrong())?;
    let bare = parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    let Some(host) = parsed.host_str().filter(|_| bare) else {
        return Err(wrong());
    };
    if !schemes.contains(&parsed.scheme()) {
        return Err(wrong());
    }
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if parsed.scheme() == schemes[1] && !local {
        return Err(Error::Clear(url.to_owned()));
    }
    Ok(Server {
        text: url.trim_end_matches('/').to_owned(),
        local,
    })
}

/// How we sign a call: `sip:u@d`, or `Name<sip:u@d>` (protocol section 1).
fn signature(user: &str, name: Option<&str>) -> String {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|char| !char.is_control() && !"<>\"\\".contains(*char))
        .take(LONGEST_NAME)
        .collect();
    match name.trim() {
        "" => format!("sip:{user}"),
        name => format!("{name}<sip:{user}>"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::{Client, Error, Login, Settings, Trust, signature};
    use crate::call::AccountId;
    use crate::secret::Secret;
    use crate::tasks::Tasks;

    #[test]
    fn settings_that_cannot_work_are_refused_with_the_reason() {
        for (user, rest, websocket, reason) in [
            ("alice", "https://h", "wss://h", "user \"alice\""),
            ("a/b@d", "https://h", "wss://h", "user \"a/b@d\""),
            ("@d", "https://h", "wss://h", "user \"@d\""),
            ("a@d", "h:443", "wss://h", "server address \"h:443\""),
            ("a@d", "wss://h", "wss://h", "https://host:port"),
            ("a@d", "https://u:p@h", "wss://h", "https://host:port"),
            ("a@d", "https://h", "https://h", "wss://host:port"),
            ("a@d", "http://192.168.1.5", "wss://h", "not encrypted"),
            ("a@d", "https://h", "ws://door.example", "not encrypted"),
        ] {
            let client = client(user, rest, websocket).map(drop);
            let error = client.expect_err(reason).to_string();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
    }

    #[test]
    fn a_server_on_this_machine_may_be_in_the_clear() {
        for (rest, websocket) in [
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/"),
            ("http://localhost:8080", "ws://[::1]:8080"),
            ("https://door.example", "wss://door.example:8443"),
        ] {
            assert!(client("a@d", rest, websocket).is_ok(), "{rest} {websocket}");
        }
    }

    #[test]
    fn debug_of_settings_shows_no_secret() {
        assert!(!format!("{:?}", settings("a@d", "https://h", "wss://h")).contains("hunter2"));
    }

    #[test]
    fn a_name_cannot_break_out_of_the_signature() {
        assert_eq!(signature("a@d", None), "sip:a@d");
        assert_eq!(signature("a@d", Some("Front Door")), "Front Door<sip:a@d>");
        assert_eq!(
            signature("a@d", Some("x<sip:b@d>\r\n\"")),
            "xsip:b@d<sip:a@d>"
        );
    }

    fn client(user: &str, rest: &str, websocket: &str) -> Result<Client, Error> {
        let (inbox, _) = mpsc::channel(1);
        Client::new(settings(user, rest, websocket), inbox, Tasks::new())
    }

    fn settings(user: &str, rest: &str, websocket: &str) -> Settings {
        Settings {
            account: AccountId::new("home"),
            user: user.to_owned(),
            login: Login::Basic {
                password: Secret::new("hunter2"),
                authname: None,
            },
            rest: rest.to_owned(),
            websocket: websocket.to_owned(),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: None,
        }
    }
}
