//! What a session is told, and what it asks for.

use std::time::Duration;

use super::Granted;
use crate::call::Connection;
use crate::secret::Secret;
use crate::signalling::kandy::trouble::Trouble;

/// Names one request or socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Ticket(pub(super) u64);

/// What happened.
#[derive(Debug)]
pub(in super::super) enum Fact {
    /// Reply to [`Act::Subscribe`].
    Subscribed(Ticket, Result<Granted, Trouble>),
    /// Reply to [`Act::Renew`]: how long it lasts from now on.
    Renewed(Ticket, Result<Duration, Trouble>),
    /// [`Act::Open`] came to its end.
    Opened(Ticket, Result<(), Trouble>),
    /// A frame arrived; a pong proves that the server answers probes.
    Heard {
        /// On which socket.
        socket: Ticket,
        /// It was a pong.
        pong: bool,
    },
    /// The socket is closed, with this code if the server sent one.
    Closed(Ticket, Option<u16>),
    /// The server ended the subscription (protocol section 4.2).
    Gone {
        /// Not before this time has passed.
        retry_after: Option<Duration>,
    },
    /// A call is up or begins: the connection is wanted now.
    Needed,
    /// A call begins: it wants what only a renewal brings (TURN credentials).
    Stale,
    /// The deadline is reached.
    Time,
    /// Log out.
    Stop,
}

/// What to do.
#[derive(Clone, Debug)]
pub(in super::super) enum Act {
    /// POST a subscription.
    Subscribe(Ticket),
    /// PUT this path.
    Renew(Ticket, String),
    /// DELETE this path; nobody waits for the reply.
    Unsubscribe(String),
    /// Open the socket of this channel.
    Open(Ticket, Secret),
    /// Send the JSON ping.
    Ping,
    /// Send a WebSocket ping.
    Probe,
    /// Close the socket.
    Close,
    /// The socket is open again: ask how each call stands.
    Resync,
    /// Tell the core.
    Tell(Connection),
}
