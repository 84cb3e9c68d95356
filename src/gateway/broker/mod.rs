//! The broker: who is registered, who calls whom, who must be told what.
//!
//! It has no I/O and no clock. [`Broker::request`] takes what a logged-in user asks
//! and returns the reply together with what the gateway shall do; [`Broker::open`]
//! and [`Broker::event`] take what happens to sockets; [`Broker::deadline`] says
//! when [`Event::Timeout`] is due. The same inputs give the same outputs, with
//! the ids that the injected [`Ids`] makes.
//!
//! It does not look into SDP: that is relayed untouched (section 10, item 8).
//!
//! ```text
//!            callStart                 callAnswer
//!  (nothing) ---------> Ringing ------------------------> Up
//!                          |  reject 603, cancel 487,      |  end 200,
//!                          |  ring time 480                |  no audit 408
//!                          v                               v
//!                        over: callEnd to both legs, callCancel to the callee's
//!                        other clients when one of them answered
//! ```
//!
//! A *leg* is one party's end of a call, named by its `sessionData`. A call has one
//! leg of the caller, whose events go to all the caller's subscriptions (a request
//! does not say which of them it came from), and, while it rings, one leg (*fork*)
//! for each subscription of the callee.

mod calls;
mod directory;
mod messages;
mod notice;
mod operations;
mod outbox;
mod registrations;
mod subscribing;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use calls::Calls;
pub use directory::{Directory, Person};
pub use messages::{
    Close, Event, Granted, Output, Refusal, Reply, Request, SocketId, Start, SubscriptionName,
    Wishes,
};
use notice::Ending;
use registrations::Registrations;

/// What the broker goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long a call rings before both sides hear 480.
    pub ring_time: Duration,
    /// The bounds of what a subscription may ask for.
    pub grant_expires: RangeInclusive<Duration>,
    /// Longest description that is relayed, in bytes.
    pub max_sdp: usize,
    /// Calls at one time, of all users.
    pub max_calls: usize,
    /// Subscriptions at one time, of one user.
    pub max_subscriptions: usize,
}

/// Makes ids. They are the only credential of a notification channel, so a real
/// implementation takes at least 128 random bits; they appear in paths, so they are
/// made of `[A-Za-z0-9_-]`.
pub trait Ids: Send {
    /// A `sessionData`.
    fn leg(&mut self) -> String;
    /// A subscription, and its notification channel.
    fn channel(&mut self) -> String;
    /// An `eventId`.
    fn event(&mut self) -> String;
}

/// See the module.
pub struct Broker {
    rules: Rules,
    directory: Directory,
    registrations: Registrations,
    calls: Calls,
    /// Sockets whose subscription is over, and when to close them.
    closing: BTreeMap<SocketId, Instant>,
    /// What is still to be returned.
    outputs: Vec<Output>,
}

impl Broker {
    /// A broker without subscriptions and calls.
    pub fn new(rules: Rules, directory: Directory, ids: Box<dyn Ids>) -> Self {
        Self {
            rules,
            directory,
            registrations: Registrations::new(ids),
            calls: Calls::default(),
            closing: BTreeMap::new(),
            outputs: Vec::new(),
        }
    }

    /// Carries out what `user` (the one spelling of the directory) asks.
    pub fn request(&mut self, user: &str, request: Request, now: Instant) -> (Reply, Vec<Output>) {
        self.run_timers(now);
        self.registrations.requester = Some(user.to_owned());
        let reply = match request {
            Request::Subscribe(wishes) => self.subscribe(user, wishes, now),
            Request::Renew(name, wishes) => self.renew(user, &name, wishes, now),
            Request::Unsubscribe(name) => self.unsubscribe(user, &name, now),
            Request::Start(start) => self.start(user, start, now),
            Request::Control { leg, request } => self.control(user, &leg, request, now),
            Request::Reject { leg } => self.reject(user, &leg, now),
            Request::Forward { leg, to } => self.forward(user, &leg, &to, now),
            Request::End { leg, reason } => self.end(user, &leg, reason, now),
            Request::State { leg } => self.state(user, &leg),
        };
        let outputs = self.finish_turn(now);
        (reply.unwrap_or_else(Reply::Refused), outputs)
    }

    /// Whether `channel` belongs to a subscription.
    pub fn knows(&self, channel: &str) -> bool {
        self.registrations.contains(channel)
    }

    /// A client has opened `socket` on `channel`. `None`: there is no such channel.
    pub fn open(&mut self, channel: &str, socket: SocketId, now: Instant) -> Option<Vec<Output>> {
        let subscription = self.registrations.by_id(channel)?;
        if let Some(old) = subscription.outbox.socket_opened(socket) {
            self.outputs.push(Output::Close(old, Close::Replaced));
        }
        Some(self.finish_turn(now))
    }

    /// Takes what happened to a socket, or that time has passed.
    pub fn event(&mut self, event: Event, now: Instant) -> Vec<Output> {
        match event {
            Event::Confirmed(socket, sequence) => {
                if let Some(subscription) = self.registrations.by_socket(socket) {
                    subscription.outbox.confirmed(sequence);
                }
            }
            Event::Lost(socket) => {
                self.closing.remove(&socket);
                if let Some(subscription) = self.registrations.by_socket(socket) {
                    subscription.outbox.socket_lost(socket);
                }
            }
            Event::Timeout => {}
        }
        self.finish_turn(now)
    }

    /// When [`Event::Timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        [
            self.registrations.deadline(),
            self.calls.deadline(),
            self.closing.values().min().copied(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How many calls there are.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Runs what is due, lets out what may leave, and hands over all outputs.
    fn finish_turn(&mut self, now: Instant) -> Vec<Output> {
        self.run_timers(now);
        self.registrations.requester = None;
        while let Some(due) = self.registrations.pop_due(now) {
            self.calls.delivered(&due.notification, now);
            self.outputs.push(Output::Notify {
                socket: due.socket,
                sequence: due.sequence,
                notification: Box::new(due.notification),
            });
        }
        std::mem::take(&mut self.outputs)
    }

    fn run_timers(&mut self, now: Instant) {
        for id in self.registrations.expired(now) {
            self.drop_subscription(&id, subscribing::Farewell::Gone, now);
        }
        for call in self.calls.to_announce(now) {
            self.announce(call, now);
        }
        for call in self.calls.unanswered(now) {
            self.finish(call, &Ending::unavailable(), now);
        }
        for call in self.calls.silent(now) {
            self.finish(call, &Ending::silent(), now);
        }
        while let Some(id) = self.registrations.take_overflowed() {
            self.drop_subscription(&id, subscribing::Farewell::Gone, now);
        }
        self.closing.retain(|&socket, &mut at| {
            let due = at <= now;
            if due {
                self.outputs.push(Output::Close(socket, Close::Finished));
            }
            !due
        });
    }
}
