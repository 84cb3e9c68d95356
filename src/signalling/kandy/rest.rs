//! The requests over HTTP (protocol sections 2, 3 and 5).

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::utf8_percent_encode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use rustls::ClientConfig;
use serde_json::Value;

use super::request::{OnWire, Reply, Request, UNRESERVED, json};
use super::session::Granted;
use super::trouble::{Trouble, innermost, no_connection};
use super::{Error, Login};
use crate::ice;
use crate::secret::Secret;
use crate::wire::{
    CallControlResponse, SubscribeRequest, SubscribeResponse, Subscription, TurnCredentials, status,
};

/// One request, reply included (our choice).
const TIMEOUT: Duration = Duration::from_secs(10);
/// The connection alone (our choice).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the idle time-outs of servers (our gateway: 10 s), so that a request does
/// not meet a connection that is just being closed (our choice).
const IDLE: Duration = Duration::from_secs(8);
/// The longest reply that is read (our choice; replies are below 2 KiB).
const LONGEST_REPLY: usize = 64 * 1024;
/// The longest path that a server may give us (our choice).
const LONGEST_PATH: usize = 1024;
/// How this client names itself, in the header that newer Kandy.js send too.
const AGENT: &str = concat!("doorstation/", env!("CARGO_PKG_VERSION"));

/// The HTTP side of one account.
pub(super) struct Rest {
    http: reqwest::Client,
    /// `https://host:port`, for addresses and messages.
    server: String,
    user: String,
    /// How calls are signed: a SIP URI, with a name before it or not.
    from: String,
    login: Login,
    expires: Duration,
    /// Where TURN credentials of the server go; `None`: they are not asked for.
    pub(super) turn: Option<ice::Servers>,
    /// `clientCorrelator`: the same client after a restart.
    pub(super) correlator: Option<String>,
    /// The session of the HMAC scheme (protocol section 2).
    session: Mutex<Option<Secret>>,
}

/// Which credentials a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Login,
    After,
}

impl Rest {
    /// Speaks to `server` as `user`.
    pub(super) fn new(
        server: &str,
        user: &str,
        from: String,
        login: Login,
        expires: Duration,
        tls: ClientConfig,
    ) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(AGENT)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            // Credentials stay with the server that they are for.
            .redirect(reqwest::redirect::Policy::none())
            // The WebSocket would not go through it either.
            .no_proxy()
            .build()
            .map_err(|error| Error::Tls(innermost(&error)))?;
        Ok(Self {
            http,
            server: server.to_owned(),
            user: user.to_owned(),
            from,
            login,
            expires,
            turn: None,
            correlator: None,
            session: Mutex::new(None),
        })
    }

    /// 3.1: subscribes to calls.
    pub(super) async fn subscribe(&self) -> Result<Granted, Trouble> {
        let path = format!("/rest/version/1/user/{}/subscription", self.user);
        let body = json(&self.subscription());
        let request = self.request(Method::POST, &path, body, Step::Login);
        let reply = self.send("log in", request).await?;
        let reply = self.subscribed("log in", &reply)?;
        let unusable = |field: &str| {
            Trouble::unreachable(format!(
                "the server {} took the login but gave no usable {field}",
                self.server
            ))
        };
        let params = reply
            .subscription_params
            .ok_or_else(|| unusable("subscriptionParams"))?;
        if !params.service.iter().any(|service| service == "call") {
            tracing::warn!("the server did not grant the service \"call\" (authentication:12)");
        }
        let path = reply.subscription.filter(|path| is_path(path));
        let granted = Granted {
            path: path.ok_or_else(|| unusable("subscription"))?,
            channel: Some(params.notification_channel)
                .filter(|path| is_path(path))
                .map(Secret::new)
                .ok_or_else(|| unusable("notificationChannel"))?,
            expires: Duration::from_secs(params.expires),
        };
        *self.session.lock().expect("nothing panics under this lock") =
            params.session_id.map(Secret::new);
        self.take_turn(params.turn_credentials);
        Ok(granted)
    }

    /// 3.2: how long the subscription lasts from now on.
    pub(super) async fn renew(&self, path: &str) -> Result<Duration, Trouble> {
        let body = json(&self.subscription());
        let request = self.request(Method::PUT, path, body, Step::After);
        let reply = self.send("renew the registration", request).await?;
        let reply = self.subscribed("renew the registration", &reply)?;
        let Some(params) = reply.subscription_params else {
            return Ok(self.expires);
        };
        self.take_turn(params.turn_credentials);
        Ok(Duration::from_secs(params.expires))
    }

    /// Passes credentials on that came without being asked for to nobody.
    fn take_turn(&self, credentials: Option<TurnCredentials>) {
        if let (Some(servers), Some(given)) = (&self.turn, credentials) {
            servers.log_in(ice::Login {
                username: given.username,
                password: Secret::new(given.password),
            });
        }
    }

    /// 3.3.
    pub(super) async fn unsubscribe(&self, path: &str) -> Result<(), Trouble> {
        let request = self.request(Method::DELETE, path, None, Step::After);
        self.send("log out", request).await.map(drop)
    }

    /// 5: one request of the leg that the server calls `session`.
    pub(super) async fn leg(&self, session: &str, request: &Request) -> Result<Reply, Trouble> {
        let what = purpose(request);
        let OnWire { method, path, body } = request.on_wire(session, &self.from);
        let path = format!("/rest/version/1/user/{}{path}", self.user);
        let request = self.request(method, &path, body, Step::After);
        let body = self.send(what, request).await?;
        // Newer SDKs take a success without body too.
        let reply = serde_json::from_slice::<CallControlResponse>(&body)
            .map(|reply| reply.call_control_response)
            .unwrap_or_default();
        Ok(Reply {
            session: reply.session_data,
            state: reply.state,
        })
    }

    /// The query that the notification socket of a token scheme carries.
    pub(super) fn channel_query(&self) -> String {
        match &self.login {
            Login::Bearer { token } => {
                let token = utf8_percent_encode(token.expose(), UNRESERVED);
                format!("?access_token={token}")
            }
            Login::Basic { .. } | Login::Hmac { .. } => String::new(),
        }
    }

    fn subscription(&self) -> Subscription {
        Subscription {
            subscribe_request: SubscribeRequest {
                expires: self.expires.as_secs(),
                service: vec!["call".to_owned()],
                localization: "English_US".to_owned(),
                use_turn: self.turn.is_some(),
                notification_type: "WebSocket".to_owned(),
                supported: vec!["RingingFeedback".to_owned()],
                force_log_out: None,
                client_correlator: self.correlator.clone(),
            },
        }
    }

    fn subscribed(&self, what: &str, body: &[u8]) -> Result<crate::wire::SubscribeReply, Trouble> {
        let reply = serde_json::from_slice::<SubscribeResponse>(body).map_err(|_| {
            Trouble::unreachable(format!(
                "the server {} does not speak Kandy Link (tried to {what}); check the address",
                self.server
            ))
        })?;
        Ok(reply.subscribe_response)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        step: Step,
    ) -> RequestBuilder {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.server))
            .header(ACCEPT, "application/json")
            .header("x-cpaas-agent", AGENT);
        if let Some((name, value)) = self.credentials(step) {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request
    }

    /// The header that says who we are; never shown by `Debug`.
    fn credentials(&self, step: Step) -> Option<(&'static str, HeaderValue)> {
        let (name, text) = match &self.login {
            Login::Basic { password, authname } => {
                let name = authname.as_deref().unwrap_or(&self.user);
                let pair = format!("{name}:{}", password.expose());
                let text = format!("Basic {}", STANDARD.encode(pair));
                (AUTHORIZATION.as_str(), text)
            }
            Login::Bearer { token } => {
                (AUTHORIZATION.as_str(), format!("Bearer {}", token.expose()))
            }
            Login::Hmac { token } if step == Step::Login => ("x-token", token.expose().to_owned()),
            Login::Hmac { .. } => {
                let session = self.session.lock().expect("nothing panics under this lock");
                ("x-session", session.as_ref()?.expose().to_owned())
            }
        };
        // Only a token with control characters fails; the server then refuses us.
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    /// Sends; returns the body of a success.
    async fn send(&self, what: &str, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let response = request
            .send()
            .await
            .map_err(|error| self.no_reply(what, error))?;
        let http = response.status();
        let header = retry_after(&response);
        let body = self.body(what, response).await?;
        let (status, retry_after) = statuses(&body);
        let done = matches!(
            status,
            None | Some(status::OK | status::SUBSCRIPTION_UPDATED)
        );
        if http.is_success() && done {
            return Ok(body);
        }
        let mut trouble = Trouble {
            http: Some(http.as_u16()),
            status,
            retry_after: retry_after.or(header),
            message: String::new(),
        };
        let server = &self.server;
        let codes = match status {
            Some(status) => format!("HTTP {}, status {status}", http.as_u16()),
            None => format!("HTTP {}", http.as_u16()),
        };
        trouble.message = if trouble.refuses_login() {
            format!("the server {server} refuses our user name or password ({codes}); check both")
        } else {
            format!("the server {server} refused to {what} ({codes})")
        };
        Err(trouble)
    }

    async fn body(&self, what: &str, mut response: Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.no_reply(what, error))?
        {
            if body.len() + chunk.len() > LONGEST_REPLY {
                let server = &self.server;
                tracing::warn!(longest = LONGEST_REPLY, "reply too long");
                return Err(Trouble::unreachable(format!(
                    "the server {server} sent a reply of more than {LONGEST_REPLY} bytes (tried to {what})"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn no_reply(&self, what: &str, error: reqwest::Error) -> Trouble {
        let server = &self.server;
        let message = if error.is_timeout() {
            let seconds = TIMEOUT.as_secs();
            format!(
                "the server {server} did not answer within {seconds} s (tried to {what}); trying again"
            )
        } else {
            no_connection(&format!("the server {server}"), &error.without_url())
        };
        Trouble::unreachable(message)
    }
}

/// For messages: "refused to ...".
fn purpose(request: &Request) -> &'static str {
    match request {
        Request::Start { .. } => "start the call",
        Request::Ringing => "pass on that we ring",
        Request::Answer(_) => "take our answer",
        Request::Reject => "reject the call",
        Request::End(_) => "end the call",
        Request::Update(_) => "pass on our new offer",
        Request::Respond(_) => "take our answer to the new offer",
        Request::Audit => "keep the call",
        Request::State => "tell the state of the call",
    }
}

/// `statusCode` and `retryAfter` in whatever wrapper the reply has.
fn statuses(body: &[u8]) -> (Option<i32>, Option<Duration>) {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return (None, None);
    };
    let wrapper = members
        .values()
        .find(|inner| inner.get("statusCode").is_some());
    let number = |name: &str| wrapper?.get(name)?.as_i64();
    let status = number("statusCode").and_then(|status| i32::try_from(status).ok());
    let delay = number("retryAfter").and_then(|seconds| u64::try_from(seconds).ok());
    (status, delay.map(Duration::from_secs))
}

/// Seconds; the form with a date is not worth a calendar.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// A path that can follow scheme and host without becoming something else.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= LONGEST_PATH
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_path, statuses};

    #[test]
    fn the_status_is_found_in_any_wrapper() {
        for (body, want) in [
            (r#"{"subscribeResponse":{"statusCode":4}}"#, (Some(4), None)),
            (
                r#"{"callControlResponse":{"statusCode":49,"retryAfter":3}}"#,
                (Some(49), Some(3)),
            ),
            (
                r#"{"callDispositionResponse":{"statusCode":0}}"#,
                (Some(0), None),
            ),
            ("<html>forbidden</html>", (None, None)),
            ("", (None, None)),
            (r#"{"x":{"statusCode":99999999999}}"#, (None, None)),
            (r#"{"x":{"statusCode":1,"retryAfter":-5}}"#, (Some(1), None)),
        ] {
            let want = (want.0, want.1.map(Duration::from_secs));
            assert_eq!(statuses(body.as_bytes()), want, "{body}");
        }
    }

    #[test]
    fn a_path_stays_on_its_server() {
        assert!(is_path(
            "/rest/version/1/user/alice@demo.local/subscription/S4"
        ));
        assert!(is_path("/notification/websocket/S4?a=b"));
        for path in [
            "",
            "x",
            "@evil.example/x",
            ".evil.example",
            "/a b",
            "/a\r\nHost: x",
            "/ä",
            "/a#b",
        ] {
            assert!(!is_path(path), "{path:?}");
        }
    }
}
