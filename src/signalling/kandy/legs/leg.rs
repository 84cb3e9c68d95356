//! One leg: its place in life and its queue of requests.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use crate::signalling::backoff::Backoff;
use crate::signalling::kandy::request::Request;
use crate::signalling::kandy::trouble::Trouble;

/// A server ends a leg that was not audited for about this long (protocol section
/// 5.9, inferred): our end need not be repeated any longer.
const FORGOTTEN: Duration = Duration::from_secs(180);
/// First and highest pause between repetitions of one request (our choice).
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often an answer is sent at most: people wait for it (our choice).
const ANSWER_ATTEMPTS: u32 = 3;

/// Where a leg stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// `callStart` is on its way.
    Starting,
    /// Known to the server.
    Live,
    /// We ended it; the core has forgotten it. Given up at this time.
    Ending(Instant),
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    /// Its id at the server, once known.
    pub(super) session: Option<String>,
    /// They called us.
    pub(super) incoming: bool,
    /// By us (incoming) or by them (outgoing).
    pub(super) answered: bool,
    /// Where it stands.
    pub(super) phase: Phase,
    /// When to send the next audit.
    pub(super) audit: Option<Instant>,
    /// Nothing is sent before this time.
    pub(super) retry: Option<Instant>,
    queue: VecDeque<Request>,
    sent: Option<Request>,
    attempts: u32,
    backoff: Backoff,
}

impl Leg {
    /// A call of ours.
    pub(super) fn outgoing(start: Request) -> Self {
        Self::new(None, Phase::Starting, VecDeque::from([start]))
    }

    /// A call to us.
    pub(super) fn incoming(session: String) -> Self {
        Self::new(Some(session), Phase::Live, VecDeque::new())
    }

    /// Its `callStart` has no reply yet.
    pub(super) fn is_starting(&self) -> bool {
        self.session.is_none()
    }

    /// We ended it.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending(_))
    }

    /// An incoming call that nobody answered here.
    pub(super) fn is_ringing_here(&self) -> bool {
        self.incoming && !self.answered && !self.is_ending()
    }

    /// A request is under way.
    pub(super) fn is_sending(&self) -> bool {
        self.sent.is_some()
    }

    /// Queues a request.
    pub(super) fn push(&mut self, request: Request) {
        self.queue.push_back(request);
    }

    /// Queues a request that has no worth behind others.
    pub(super) fn push_if_idle(&mut self, request: Request) {
        if self.queue.is_empty() && self.sent.is_none() && !self.is_ending() {
            self.queue.push_back(request);
        }
    }

    /// Ends the leg: what waits is dropped, `last` is what remains to be sent.
    pub(super) fn finish(&mut self, last: Request, now: Instant) {
        self.queue.clear();
        self.queue.push_back(last);
        self.phase = Phase::Ending(now + FORGOTTEN);
        self.audit = None;
        self.retry = None;
        self.worked();
    }

    /// The next request to send now, and the leg's id at the server.
    pub(super) fn next(&mut self) -> Option<(String, Request)> {
        if self.sent.is_some() || self.retry.is_some() {
            return None;
        }
        let starts = matches!(self.queue.front(), Some(Request::Start { .. }));
        let session = match &self.session {
            Some(session) => session.clone(),
            None if starts => String::new(),
            None => return None,
        };
        self.sent = self.queue.pop_front();
        self.sent.clone().map(|request| (session, request))
    }

    /// The request that is under way; it is so no longer.
    pub(super) fn take_sent(&mut self) -> Option<Request> {
        self.sent.take()
    }

    /// The latest request was taken.
    pub(super) fn worked(&mut self) {
        self.attempts = 0;
        self.backoff.worked();
    }

    /// `request` is what ends the leg: nothing is to follow it.
    pub(super) fn is_last(&self, request: &Request) -> bool {
        matches!(request, Request::Reject | Request::End(_)) && self.queue.is_empty()
    }

    /// Queues a failed request again if that makes sense; hands it back if not.
    pub(super) fn repeat(
        &mut self,
        request: Request,
        trouble: Trouble,
        now: Instant,
        rng: &mut StdRng,
    ) -> Option<(Request, Trouble)> {
        self.attempts += 1;
        let worth = match request {
            Request::Reject | Request::End(_) => true,
            Request::Answer(_) | Request::Respond(_) => self.attempts < ANSWER_ATTEMPTS,
            Request::Start { .. }
            | Request::Ringing
            | Request::Update(_)
            | Request::Audit
            | Request::State => false,
        };
        let superseded = self.is_ending() && !self.is_last(&request);
        if !worth || superseded || !trouble.may_pass() {
            self.worked();
            return Some((request, trouble));
        }
        self.retry = Some(now + self.backoff.failed(trouble.cause(), rng));
        self.queue.push_front(request);
        None
    }

    /// Its end could not be sent in time.
    pub(super) fn gave_up(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Ending(until) if until <= now) && self.sent.is_none()
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = match self.phase {
            Phase::Ending(until) if self.sent.is_none() => Some(until),
            _ => None,
        };
        [self.audit, self.retry, until].into_iter().flatten().min()
    }

    fn new(session: Option<String>, phase: Phase, queue: VecDeque<Request>) -> Self {
        Self {
            session,
            incoming: phase == Phase::Live,
            answered: false,
            phase,
            audit: None,
            retry: None,
            queue,
            sent: None,
            attempts: 0,
            backoff: Backoff::new(PAUSE, LONGEST_PAUSE),
        }
    }
}
