//! How a request to the server or a socket can fail, and what that calls for.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::call::Failure;
use crate::signalling::backoff::Cause;
use crate::wire::status;

/// One failed request or socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// HTTP status of the reply; `None`: there was no reply.
    pub(super) http: Option<u16>,
    /// SPiDR status in the reply's body (protocol section 2).
    pub(super) status: Option<i32>,
    /// How long the server asks to wait: `Retry-After` or `retryAfter`.
    pub(super) retry_after: Option<Duration>,
    /// What happened, to which server, and what to do; no secret in it.
    pub(super) message: String,
}

impl Trouble {
    /// Nothing came back: unreachable, broken off, too slow, or not understood.
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self {
            http: None,
            status: None,
            retry_after: None,
            message: message.into(),
        }
    }

    /// The server refuses our credentials (protocol section 2: 4 and 27 password,
    /// 61 to 63 account).
    pub(super) fn refuses_login(&self) -> bool {
        matches!(self.http, Some(401 | 403)) || matches!(self.status, Some(4 | 27 | 61 | 62 | 63))
    }

    /// The server does not know our subscription (any more).
    pub(super) fn no_subscription(&self) -> bool {
        matches!(
            self.status,
            Some(status::NO_SUBSCRIPTION | status::FORCED_LOG_OUT)
        ) || matches!(self.http, Some(404 | 410))
    }

    /// Somebody else of the account had us thrown out.
    pub(super) fn forced_out(&self) -> bool {
        self.status == Some(status::FORCED_LOG_OUT)
    }

    /// The server does not let us onto this notification channel (any more).
    pub(super) fn refuses_channel(&self) -> bool {
        matches!(self.http, Some(401 | 403 | 404 | 410))
    }

    /// The server does not know this leg (any more). A bare 404 does not say so:
    /// a proxy in front of a server that restarts says it too.
    pub(super) fn no_leg(&self) -> bool {
        matches!(
            self.status,
            Some(status::NO_SESSION | status::SESSION_EXPIRED)
        ) || self.http == Some(410)
    }

    /// The same request may work later.
    pub(super) fn may_pass(&self) -> bool {
        self.http.is_none_or(|http| http >= 500 || http == 429)
    }

    /// For the schedule of logins and sockets.
    pub(super) fn cause(&self) -> Cause {
        match self.retry_after {
            _ if self.refuses_login() => Cause::Refused,
            Some(delay) => Cause::Told(delay),
            None => Cause::Trouble,
        }
    }

    /// For the core and the people behind it, under a code of protocol section
    /// 8.6 (`authentication:4`).
    pub(super) fn under(&self, code: &str) -> Failure {
        Failure {
            code: code.to_owned(),
            message: self.message.clone(),
        }
    }

    /// The same, under the server's own status where it gave one.
    pub(super) fn under_status(&self, otherwise: &str) -> Failure {
        match self.status {
            Some(status) => self.under(&status.to_string()),
            None => self.under(otherwise),
        }
    }
}

/// For people: why `what` cannot be reached, and what to do about it.
pub(super) fn no_connection(what: &str, error: &(dyn Error + 'static)) -> String {
    let cause = innermost(error);
    if is_distrust(error) {
        format!("{what} is not trusted ({cause}); check its address and certificate")
    } else {
        format!("{what} cannot be reached ({cause}); check its address and the network")
    }
}

/// The innermost cause: "connection refused" rather than "error sending request".
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

/// The far end's certificate was refused.
fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let tls = unpack(cause).downcast_ref();
        matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
    })
}

/// What `io::Error`s are wrapped around: they name its source as their own, so
/// that a walk along the sources passes it by.
fn unpack<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => unpack(inner),
        None => error,
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
