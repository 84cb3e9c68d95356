//! The account's legs: orders in, requests out; notifications in, news out.
//!
//! Pure: no I/O, no clock. One leg has at most one request under way, so its
//! requests arrive in order; legs do not wait for each other.
//!
//! * A notification may overtake the reply to the `callStart` that it belongs to;
//!   it is kept until the reply says whose it is.
//! * A leg that we end is silent from then on, and its end is repeated until the
//!   server took it or must have found out by itself.
//! * A leg that is answered is audited: the server's only way to find a dead
//!   client, and ours to find a dead leg (protocol section 5.9).

mod leg;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::leg::{Leg, Phase};
use super::notice::{IncomingCall, News, is_safe_in_path};
use super::request::{Reply, Request};
use super::trouble::Trouble;
use crate::call::{AccountId, Address, Incoming, Input, LegId, Signal, SignalOrder};
use crate::wire::address;

/// First audit after the call is up (protocol section 5.9; observed).
const FIRST_AUDIT: Duration = Duration::from_secs(3);
/// How long a notification waits for the reply that explains it (protocol section
/// 5.1; read in the SDK).
const EARLY: Duration = Duration::from_secs(30);
/// How many wait at most: a busy house has a handful (our choice).
const MOST_EARLY: usize = 64;
/// More incoming calls at once are refused: a door has one visitor (our choice).
const MOST_LEGS: usize = 32;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// Send this request; hand in its end with [`Legs::replied`].
    Send {
        /// For this leg.
        leg: LegId,
        /// Its id at the server; empty for a start.
        session: String,
        /// The request.
        request: Request,
    },
    /// Tell the core.
    Tell(Input),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Legs {
    account: AccountId,
    own: Address,
    rng: StdRng,
    legs: BTreeMap<LegId, Leg>,
    by_session: BTreeMap<String, LegId>,
    early: VecDeque<(Instant, String, News)>,
}

impl Legs {
    /// No legs yet, for the account of the user `own`.
    pub(super) fn new(account: AccountId, own: Address, seed: u64) -> Self {
        Self {
            account,
            own,
            rng: StdRng::seed_from_u64(seed),
            legs: BTreeMap::new(),
            by_session: BTreeMap::new(),
            early: VecDeque::new(),
        }
    }

    /// Takes one order of the core.
    pub(super) fn order(&mut self, id: LegId, order: SignalOrder, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        if let SignalOrder::Start {
            target,
            offer,
            parameters,
        } = order
        {
            let to = address::normalise(target.to.as_str(), domain(&self.own));
            let start = Request::Start {
                to,
                offer,
                parameters,
            };
            self.start(id, start, &mut acts);
            return acts;
        }
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_ending()) else {
            tracing::debug!(call_id = id.call(), leg = %id, "order for a leg that is over");
            return acts;
        };
        match order {
            SignalOrder::Start { .. } => {}
            SignalOrder::Ring => leg.push(Request::Ringing),
            SignalOrder::Answer(answer) => {
                leg.answered = true;
                leg.push(Request::Answer(answer));
            }
            SignalOrder::Update(offer) => leg.push(Request::Update(offer)),
            SignalOrder::Respond(answer) => leg.push(Request::Respond(answer)),
            SignalOrder::Reject => leg.finish(Request::Reject, now),
            SignalOrder::End(reason) => leg.finish(Request::End(reason), now),
            // Not yet known to the server: nobody but us can end what the reply
            // will tell of.
            SignalOrder::Forget if leg.session.is_none() => {
                leg.finish(Request::End("Call cancelled".to_owned()), now);
            }
            SignalOrder::Forget => {
                self.remove(&id);
                return acts;
            }
        }
        self.send_next(&id, &mut acts);
        acts
    }

    /// Takes a call that arrives.
    pub(super) fn called(&mut self, call: IncomingCall, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        if let Some(leg) = self.by_session.get(&call.session) {
            tracing::debug!(call_id = leg.call(), %leg, "call announced twice");
            return acts;
        }
        let id = LegId::incoming(&uuid::Uuid::new_v4().to_string());
        let mut leg = Leg::incoming(call.session.clone());
        self.by_session.insert(call.session, id.clone());
        if self.legs.len() >= MOST_LEGS {
            tracing::warn!(call_id = id.call(), leg = %id, "refusing a call: {MOST_LEGS} calls are up already");
            leg.finish(Request::Reject, now);
            self.legs.insert(id.clone(), leg);
            self.send_next(&id, &mut acts);
            return acts;
        }
        self.legs.insert(id.clone(), leg);
        let to = if call.to.is_empty() {
            self.own.clone()
        } else {
            Address::new(call.to)
        };
        acts.push(Act::Tell(Input::Incoming(Incoming {
            account: self.account.clone(),
            leg: id,
            from: call.from,
            from_name: call.from_name,
            to,
            offer: call.offer,
            parameters: call.parameters,
        })));
        acts
    }

    /// Takes news of the leg that the server calls `session`.
    pub(super) fn heard(&mut self, session: String, news: News, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        if let Some(id) = self.by_session.get(&session).cloned() {
            self.news(&id, news, now, &mut acts);
        } else if self.legs.values().any(Leg::is_starting) {
            if self.early.len() == MOST_EARLY {
                tracing::debug!("too many early notifications; dropping the oldest");
                self.early.pop_front();
            }
            self.early.push_back((now, session, news));
        } else {
            tracing::debug!("notification for a leg that is over or unknown");
        }
        acts
    }

    /// Takes the end of the request that is under way for `id`.
    pub(super) fn replied(
        &mut self,
        id: &LegId,
        result: Result<Reply, Trouble>,
        now: Instant,
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(leg) = self.legs.get_mut(id) else {
            tracing::debug!(call_id = id.call(), leg = %id, "reply for a leg that is over");
            return acts;
        };
        let Some(request) = leg.take_sent() else {
            return acts;
        };
        if result.is_ok() {
            leg.worked();
        }
        match result {
            Ok(reply) => self.accepted(id, request, reply, now, &mut acts),
            Err(trouble) => self.failed(id, request, trouble, now, &mut acts),
        }
        self.send_next(id, &mut acts);
        acts
    }

    /// Time has passed: audits, repetitions, old early notifications.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        while let Some((came, ..)) = self.early.front()
            && *came + EARLY <= now
        {
            tracing::debug!("early notification that no leg claimed");
            self.early.pop_front();
        }
        for id in self.legs.keys().cloned().collect::<Vec<_>>() {
            let Some(leg) = self.legs.get_mut(&id) else {
                continue;
            };
            if leg.gave_up(now) {
                tracing::debug!(call_id = id.call(), leg = %id, "its end could not be sent");
                self.remove(&id);
                continue;
            }
            if leg.audit.is_some_and(|audit| audit <= now) {
                leg.audit = Some(now + audit_pause(&mut self.rng));
                leg.push_if_idle(Request::Audit);
            }
            if leg.retry.is_some_and(|retry| retry <= now) {
                leg.retry = None;
            }
            self.send_next(&id, &mut acts);
        }
        acts
    }

    /// The connection is back: asks how each leg stands, and repeats at once what
    /// could not be sent.
    pub(super) fn resync(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        for id in self.legs.keys().cloned().collect::<Vec<_>>() {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.retry = None;
                if leg.session.is_some() && !leg.is_ending() {
                    leg.push_if_idle(Request::State);
                }
            }
            self.send_next(&id, &mut acts);
        }
        acts
    }

    /// Ends every leg that is not ending yet.
    pub(super) fn stop(&mut self, reason: &str, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        for id in self.legs.keys().cloned().collect::<Vec<_>>() {
            if let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_ending()) {
                if leg.incoming && !leg.answered {
                    leg.finish(Request::Reject, now);
                } else {
                    leg.finish(Request::End(reason.to_owned()), now);
                }
            }
            self.send_next(&id, &mut acts);
        }
        acts
    }

    /// When to call [`Legs::tick`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        let early = self.early.front().map(|(came, ..)| *came + EARLY);
        let legs = self.legs.values().filter_map(Leg::deadline).min();
        [early, legs].into_iter().flatten().min()
    }

    /// No legs are left.
    pub(super) fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    fn start(&mut self, id: LegId, request: Request, acts: &mut Vec<Act>) {
        if self.legs.contains_key(&id) {
            tracing::warn!(call_id = id.call(), leg = %id, "started twice");
            return;
        }
        self.legs.insert(id.clone(), Leg::outgoing(request));
        self.send_next(&id, acts);
    }

    fn news(&mut self, id: &LegId, news: News, now: Instant, acts: &mut Vec<Act>) {
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        if leg.is_ending() {
            tracing::debug!(call_id = id.call(), leg = %id, "notification for a leg that we end");
            if matches!(news, News::Ended { .. } | News::Cancelled) && !leg.is_sending() {
                self.remove(id);
            }
            return;
        }
        let signal = match news {
            News::Ringing => Signal::Ringing,
            News::Progress(sdp) => Signal::Progress(sdp),
            News::Responded(sdp) => {
                leg.answered = true;
                leg.audit.get_or_insert(now + FIRST_AUDIT);
                Signal::Responded(sdp)
            }
            News::Glare(delay) => Signal::UpdateRefused {
                retry_after: Some(delay),
                failure: Trouble::unreachable("both ends offered new media at once").under("49"),
            },
            News::UpdateOffered(sdp) => Signal::UpdateOffered(sdp),
            News::Ended { code, reason } => Signal::Ended { code, reason },
            News::Cancelled if leg.incoming && !leg.answered => Signal::AnsweredElsewhere,
            News::Cancelled => {
                tracing::debug!(call_id = id.call(), leg = %id, "cancelled outside ringing");
                return;
            }
        };
        self.tell(id, signal, acts);
    }

    fn accepted(
        &mut self,
        id: &LegId,
        request: Request,
        reply: Reply,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        match request {
            Request::Start { .. } => self.started(id, reply.session, now, acts),
            Request::Answer(_) => {
                if let Some(leg) = self.legs.get_mut(id) {
                    leg.audit.get_or_insert(now + FIRST_AUDIT);
                }
            }
            Request::Reject | Request::End(_) => self.remove(id),
            Request::State => {
                let elsewhere = reply.state.as_deref() == Some("ANSWERED")
                    && self.legs.get(id).is_some_and(Leg::is_ringing_here);
                if elsewhere {
                    self.tell(id, Signal::AnsweredElsewhere, acts);
                }
            }
            Request::Ringing | Request::Update(_) | Request::Respond(_) | Request::Audit => {}
        }
    }

    fn started(&mut self, id: &LegId, session: Option<String>, now: Instant, acts: &mut Vec<Act>) {
        let session = session.filter(|session| is_safe_in_path(session));
        let Some(session) = session.filter(|session| !self.by_session.contains_key(session)) else {
            let message = "the server took the call but gave it no usable sessionData";
            tracing::warn!(call_id = id.call(), leg = %id, message);
            let failure = Trouble::unreachable(message).under("call:2");
            self.tell(id, Signal::StartFailed(failure), acts);
            return;
        };
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        leg.session = Some(session.clone());
        self.by_session.insert(session.clone(), id.clone());
        if !leg.is_ending() {
            leg.phase = Phase::Live;
            self.tell(id, Signal::Started, acts);
        }
        let early = std::mem::take(&mut self.early);
        for (came, whose, news) in early {
            if whose == session {
                self.news(id, news, now, acts);
            } else {
                self.early.push_back((came, whose, news));
            }
        }
        if !self.legs.values().any(Leg::is_starting) {
            self.early.clear();
        }
    }

    fn failed(
        &mut self,
        id: &LegId,
        request: Request,
        trouble: Trouble,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        tracing::debug!(call_id = id.call(), leg = %id, http = ?trouble.http, status = ?trouble.status, %trouble.message, "request failed");
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        let start = matches!(request, Request::Start { .. });
        if leg.is_ending() {
            // A start that failed left nothing at the server to end.
            let nothing_left = start || trouble.no_leg();
            let refused = leg.is_last(&request) && !trouble.may_pass();
            if nothing_left || refused {
                self.remove(id);
            } else {
                leg.repeat(request, trouble, now, &mut self.rng);
            }
            return;
        }
        if start {
            let failure = trouble.under_status("call:2");
            self.tell(id, Signal::StartFailed(failure), acts);
            return;
        }
        if trouble.no_leg() {
            let code = trouble.status.map_or("42".to_owned(), |it| it.to_string());
            let reason = "The server does not know the call any more".to_owned();
            self.tell(id, Signal::Ended { code, reason }, acts);
            return;
        }
        let Some((request, trouble)) = leg.repeat(request, trouble, now, &mut self.rng) else {
            return;
        };
        match request {
            Request::Answer(_) => {
                // The leg is lost; the caller should not wait for its time-out.
                leg.finish(Request::End("Failed to answer".to_owned()), now);
                let failure = trouble.under_status("call:2");
                let signal = Signal::AnswerFailed(failure);
                acts.push(Act::Tell(Input::Signal(id.clone(), signal)));
            }
            Request::Update(_) => {
                let signal = Signal::UpdateRefused {
                    retry_after: trouble.retry_after,
                    failure: trouble.under_status("call:2"),
                };
                self.tell(id, signal, acts);
            }
            Request::Respond(_) => {
                tracing::warn!(call_id = id.call(), leg = %id, http = ?trouble.http, status = ?trouble.status, "the answer to the peer's update was not taken");
            }
            Request::Start { .. }
            | Request::Ringing
            | Request::Reject
            | Request::End(_)
            | Request::Audit
            | Request::State => {}
        }
    }

    fn tell(&mut self, id: &LegId, signal: Signal, acts: &mut Vec<Act>) {
        let over = matches!(
            signal,
            Signal::StartFailed(_) | Signal::Ended { .. } | Signal::AnsweredElsewhere
        );
        acts.push(Act::Tell(Input::Signal(id.clone(), signal)));
        if over {
            self.remove(id);
        }
    }

    fn send_next(&mut self, id: &LegId, acts: &mut Vec<Act>) {
        let Some((session, request)) = self.legs.get_mut(id).and_then(Leg::next) else {
            return;
        };
        acts.push(Act::Send {
            leg: id.clone(),
            session,
            request,
        });
    }

    fn remove(&mut self, id: &LegId) {
        let session = self.legs.remove(id).and_then(|leg| leg.session);
        if let Some(session) = session {
            self.by_session.remove(&session);
        }
    }
}

/// 25 to 30 s (protocol section 5.9: 5.2 and 3.x; our jitter between them).
fn audit_pause(rng: &mut StdRng) -> Duration {
    rng.random_range(Duration::from_secs(25)..=Duration::from_secs(30))
}

/// What follows the first `@` (protocol section 1).
fn domain(user: &Address) -> &str {
    user.as_str()
        .split_once('@')
        .map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests;
