//! One account's life at its server: login, notification socket, renewal.
//!
//! Pure: no I/O, no clock. [`Session::handle`] takes what happened and returns what
//! to do; [`Session::deadline`] says when to hand in [`Fact::Time`]. Requests carry
//! a [`Ticket`]; a reply with an old ticket is ignored, so nothing that comes late
//! can disturb what was begun since.
//!
//! ```text
//!             Subscribe             Open                opened
//!  Resting ------------> Subscribing ----> Opening ------------> Open
//!    ^  ^     failed          |               |                   |
//!    |  +---------------------+               |                   |
//!    |        failed: the same channel again; |                   |
//!    |        refused: subscribe afresh       |                   |
//!    +----------------------------------------+                   |
//!    |        lost: the same channel; gone, closed with 1000,     |
//!    |        lapsed: subscribe afresh                            |
//!    +------------------------------------------------------------+
//! ```
//!
//! It never gives up, and it is silent about retries: the core hears of a change
//! of the connection, not of each attempt.

mod event;
mod subscription;
mod wanted;

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

pub(super) use self::event::{Act, Fact, Ticket};
pub(super) use self::subscription::Granted;
use self::subscription::Subscription;
use super::trouble::Trouble;
use crate::call::Connection;
use crate::signalling::backoff::{BASE, Backoff, Cause};

/// The JSON ping, as every Kandy.js sends it (protocol section 4; read in the SDK).
const PING: Duration = Duration::from_secs(30);
/// Our WebSocket-level ping: the server answers nothing to the JSON ping, so
/// this is how a dead peer is told from a quiet one (our choice).
const PROBE: Duration = Duration::from_secs(10);
/// Nothing heard for so long, pongs included: the socket is dead. Two probes
/// unanswered, and below the 30 s in which it must be noticed (our choice).
const SILENCE: Duration = Duration::from_secs(25);
/// A connection this old was a success; a younger one counts on in the back-off
/// (our choice).
const STEADY: Duration = Duration::from_secs(30);
/// The same after the server ended a subscription of ours: two stations that use one
/// account throw each other out, and neither may take a quiet minute for a success
/// (our choice).
const STEADY_AFTER_END: Duration = Duration::from_secs(600);

/// Close code of a server that does not want this channel back (protocol 4.1).
const NORMAL_CLOSURE: u16 = 1000;
/// Close code of a server that goes down, and tells all its clients so at once
/// (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    /// The server's address, for messages.
    server: String,
    rng: StdRng,
    backoff: Backoff,
    link: Link,
    subscription: Option<Subscription>,
    told: Option<Connection>,
    tickets: u64,
    /// Seen on any socket of this account: silence means something.
    answers_probes: bool,
    /// The server ended a subscription of ours not long ago.
    ended: bool,
    stopping: bool,
}

#[derive(Debug)]
enum Link {
    /// `idle`: as long as nobody needs the connection.
    Resting {
        until: Instant,
        idle: bool,
    },
    Subscribing {
        ticket: Ticket,
        sent: Instant,
    },
    Opening(Ticket),
    Open(Open),
    Over,
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    ping: Instant,
    probe: Instant,
    heard: Instant,
    /// When the connection counts as a success; `None`: it did.
    steady: Option<Instant>,
}

impl Session {
    /// A session that logs in at once; the highest delay between attempts is `cap`.
    pub(super) fn new(server: &str, cap: Duration, seed: u64, now: Instant) -> Self {
        Self {
            server: server.to_owned(),
            rng: StdRng::seed_from_u64(seed),
            backoff: Backoff::new(BASE, cap),
            link: Link::Resting {
                until: now,
                idle: false,
            },
            subscription: None,
            told: None,
            tickets: 0,
            answers_probes: false,
            ended: false,
            stopping: false,
        }
    }

    /// Takes one fact; returns what to do, in this order.
    pub(super) fn handle(&mut self, fact: Fact, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        match fact {
            Fact::Subscribed(ticket, result) => self.subscribed(ticket, result, now, &mut acts),
            Fact::Renewed(ticket, result) => self.renewed(ticket, result, now, &mut acts),
            Fact::Opened(ticket, result) => self.opened(ticket, result, now, &mut acts),
            Fact::Heard { socket, pong } => self.heard(socket, pong, now),
            Fact::Closed(ticket, code) => self.closed(ticket, code, now, &mut acts),
            Fact::Gone { retry_after } => self.gone(retry_after, now, &mut acts),
            Fact::Needed => self.needed(now),
            Fact::Stale => self.stale(now, &mut acts),
            Fact::Time => self.time(now, &mut acts),
            Fact::Stop => self.stop(&mut acts),
        }
        acts
    }

    /// When to hand in [`Fact::Time`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        let link = match &self.link {
            Link::Resting { until, .. } => Some(*until),
            Link::Subscribing { .. } | Link::Opening(_) => None,
            Link::Open(open) => {
                let silence = self.answers_probes.then(|| open.heard + SILENCE);
                [Some(open.ping), Some(open.probe), silence, open.steady]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Link::Over => return None,
        };
        let subscription = self.subscription.as_ref().map(Subscription::deadline);
        [link, subscription].into_iter().flatten().min()
    }

    /// Logged out: nothing more will come of it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.link, Link::Over)
    }

    /// The socket that is open now.
    pub(super) fn socket(&self) -> Option<Ticket> {
        match &self.link {
            Link::Open(open) => Some(open.ticket),
            _ => None,
        }
    }

    fn subscribed(
        &mut self,
        ticket: Ticket,
        result: Result<Granted, Trouble>,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        let sent = match self.link {
            Link::Subscribing { ticket: ours, sent } if ours == ticket => sent,
            _ => return,
        };
        match result {
            Ok(granted) if self.stopping => {
                acts.push(Act::Unsubscribe(granted.path));
                self.link = Link::Over;
            }
            Err(_) if self.stopping => self.link = Link::Over,
            Ok(granted) => {
                self.subscription = Some(Subscription::new(granted, sent, now, &mut self.rng));
                self.open(acts);
            }
            Err(trouble) => {
                let failure = trouble.under("authentication:4");
                let news = if trouble.refuses_login() {
                    Connection::Refused(failure)
                } else {
                    Connection::Lost(failure)
                };
                self.tell(news, acts);
                self.rest(trouble.cause(), now);
            }
        }
    }

    fn renewed(
        &mut self,
        ticket: Ticket,
        result: Result<Duration, Trouble>,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        let Some(subscription) = &mut self.subscription else {
            return;
        };
        let Some((_, sent)) = subscription
            .renewing
            .take_if(|(renewing, _)| *renewing == ticket)
        else {
            return;
        };
        match result {
            Ok(expires) => subscription.extend(expires, sent, now, &mut self.rng),
            Err(trouble) if trouble.forced_out() => {
                let message = self.ended_by_server("the registration");
                self.start_afresh(&message, Cause::Trouble, now, acts);
            }
            Err(trouble) if trouble.no_subscription() => {
                self.start_afresh(&trouble.message, Cause::Trouble, now, acts);
            }
            Err(trouble) => {
                tracing::debug!(attempt = subscription.attempt, %trouble.message, "renewal failed");
                let online = matches!(self.link, Link::Open(_));
                subscription.try_again(online, now, &mut self.rng);
            }
        }
    }

    fn opened(
        &mut self,
        ticket: Ticket,
        result: Result<(), Trouble>,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        if !matches!(self.link, Link::Opening(ours) if ours == ticket) {
            return;
        }
        match result {
            Ok(()) => {
                self.link = Link::Open(Open {
                    ticket,
                    ping: now + PING,
                    probe: now + PROBE,
                    heard: now,
                    steady: Some(now + if self.ended { STEADY_AFTER_END } else { STEADY }),
                });
                if let Some(subscription) = &mut self.subscription {
                    subscription.catch_up(now);
                }
                acts.extend([Act::Ping, Act::Probe]);
                self.tell(Connection::Connected, acts);
                acts.push(Act::Resync);
            }
            Err(trouble) => {
                self.tell(Connection::Lost(trouble.under("authentication:2")), acts);
                if trouble.refuses_channel() {
                    // The server is there again but has forgotten us: no reason to
                    // wait any longer.
                    if self.subscription.as_ref().is_some_and(|it| it.proven) {
                        self.backoff.worked();
                    }
                    self.abandon(acts);
                    self.rest(Cause::Trouble, now);
                } else {
                    self.rest(trouble.cause(), now);
                }
            }
        }
    }

    fn heard(&mut self, socket: Ticket, pong: bool, now: Instant) {
        let Link::Open(open) = &mut self.link else {
            return;
        };
        if open.ticket == socket {
            open.heard = now;
            self.answers_probes |= pong;
        }
    }

    fn closed(&mut self, ticket: Ticket, code: Option<u16>, now: Instant, acts: &mut Vec<Act>) {
        if self.socket() != Some(ticket) {
            return;
        }
        let server = &self.server;
        let (message, cause) = match code {
            Some(NORMAL_CLOSURE) => {
                let message = self.ended_by_server("the connection");
                self.abandon(acts);
                (message, Cause::Dropped)
            }
            Some(GOING_AWAY) => {
                let message = format!("the server {server} goes down; trying again");
                (message, Cause::Leaving)
            }
            Some(_) | None => {
                let message = format!("the connection to the server {server} broke; trying again");
                (message, Cause::Dropped)
            }
        };
        self.lose(&message, cause, now, acts);
    }

    /// Says so, and whether it happened before: then somebody else may be to blame.
    fn ended_by_server(&mut self, what: &str) -> String {
        let server = &self.server;
        if std::mem::replace(&mut self.ended, true) {
            format!(
                "the server {server} ended {what} again; does another device use this account? \
                 logging in again"
            )
        } else {
            format!("the server {server} ended {what}; logging in again")
        }
    }

    fn gone(&mut self, retry_after: Option<Duration>, now: Instant, acts: &mut Vec<Act>) {
        if self.subscription.is_none() {
            return;
        }
        let message = self.ended_by_server("the registration");
        let cause = retry_after.map_or(Cause::Dropped, Cause::Told);
        self.start_afresh(&message, cause, now, acts);
    }

    fn stop(&mut self, acts: &mut Vec<Act>) {
        self.stopping = true;
        match self.link {
            // Its reply tells what to unsubscribe.
            Link::Subscribing { .. } | Link::Over => return,
            Link::Resting { .. } | Link::Opening(_) => self.abandon(acts),
            Link::Open(_) => {
                self.abandon(acts);
                acts.push(Act::Close);
            }
        }
        self.link = Link::Over;
    }

    fn time(&mut self, now: Instant, acts: &mut Vec<Act>) {
        if self.is_over() {
            return;
        }
        self.keep_subscription(now, acts);
        match &mut self.link {
            Link::Resting { until, .. } if *until <= now => {
                if self.told.is_none() {
                    self.tell(Connection::Connecting, acts);
                }
                if self.subscription.is_some() {
                    self.open(acts);
                } else {
                    let ticket = self.ticket();
                    self.link = Link::Subscribing { ticket, sent: now };
                    acts.push(Act::Subscribe(ticket));
                }
            }
            Link::Open(_) => self.keep_socket(now, acts),
            Link::Resting { .. } | Link::Subscribing { .. } | Link::Opening(_) | Link::Over => {}
        }
    }

    fn keep_subscription(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let Some(subscription) = &mut self.subscription else {
            return;
        };
        if subscription.lapse <= now {
            let message = format!(
                "the registration at the server {} ran out; logging in again",
                self.server
            );
            self.start_afresh(&message, Cause::Trouble, now, acts);
        } else if subscription.renewing.is_none() && subscription.renew <= now {
            self.renew(now, acts);
        }
    }

    fn keep_socket(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let Link::Open(open) = &mut self.link else {
            return;
        };
        if open.steady.is_some_and(|steady| steady <= now) {
            open.steady = None;
            self.ended = false;
            self.backoff.worked();
            if let Some(subscription) = &mut self.subscription {
                subscription.proven = true;
            }
        }
        if self.answers_probes && open.heard + SILENCE <= now {
            acts.push(Act::Close);
            let message = format!("the server {} is silent; connecting again", self.server);
            self.lose(&message, Cause::Dropped, now, acts);
            return;
        }
        if open.ping <= now {
            open.ping = now + PING;
            acts.push(Act::Ping);
        }
        if open.probe <= now {
            open.probe = now + PROBE;
            acts.push(Act::Probe);
        }
    }

    /// The subscription is no more: closes what is open and logs in again.
    fn start_afresh(&mut self, message: &str, cause: Cause, now: Instant, acts: &mut Vec<Act>) {
        self.subscription = None;
        match self.link {
            Link::Open(_) => {
                acts.push(Act::Close);
                self.lose(message, cause, now, acts);
            }
            Link::Opening(_) => self.lose(message, cause, now, acts),
            // The delay that runs already is the one to keep.
            Link::Resting { .. } | Link::Subscribing { .. } | Link::Over => {}
        }
    }

    /// Forgets the subscription and tells the server, should it still know it.
    fn abandon(&mut self, acts: &mut Vec<Act>) {
        if let Some(subscription) = self.subscription.take() {
            acts.push(Act::Unsubscribe(subscription.granted.path));
        }
    }

    fn lose(&mut self, message: &str, cause: Cause, now: Instant, acts: &mut Vec<Act>) {
        let failure = Trouble::unreachable(message).under("subscription:1");
        self.tell(Connection::Lost(failure), acts);
        self.rest(cause, now);
    }

    fn rest(&mut self, cause: Cause, now: Instant) {
        let delay = self.backoff.failed(cause, &mut self.rng);
        tracing::debug!(
            delay_ms = delay.as_millis() as u64,
            ?cause,
            "waiting before the next attempt"
        );
        self.link = Link::Resting {
            until: now + delay,
            idle: cause == Cause::Dropped,
        };
    }

    fn open(&mut self, acts: &mut Vec<Act>) {
        let ticket = self.ticket();
        let subscription = self
            .subscription
            .as_ref()
            .expect("a socket is opened for a subscription only");
        acts.push(Act::Open(ticket, subscription.granted.channel.clone()));
        self.link = Link::Opening(ticket);
    }

    fn tell(&mut self, news: Connection, acts: &mut Vec<Act>) {
        if self.told.as_ref() != Some(&news) {
            self.told = Some(news.clone());
            acts.push(Act::Tell(news));
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

#[cfg(test)]
mod tests;
