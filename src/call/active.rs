//! One call from its first moment to its last: what all stages share.
//!
//! The stages themselves are in `calling` (ours, unanswered) and `talking`;
//! an incoming call that nobody has answered yet is small enough to live here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use super::calling::Calling;
use super::door::{Party, Standing};
use super::summary::{Summary, Unsettled};
use super::talking::Talking;
use super::timer::Timers;
use super::{
    AccountId, Address, CallId, CallView, Connection, Direction, Event, Failure, Figures, Incoming,
    LastCall, LegId, Make, Media, MediaOrder, Output, Record, Sdp, Settings, Signal, SignalOrder,
    State, Target, Timer, Wish,
};

/// Making an offer and having `callStart` accepted; making an answer. Both take
/// milliseconds; the limit is the REST time-out of the client (10 s) and a bit.
pub(super) const SETUP: Duration = Duration::from_secs(12);
/// The gateway ends a ringing call after 60 s (protocol section 9); a server that
/// does not must not keep us ringing.
const ALERTING: Duration = Duration::from_secs(110);
/// Between the far end's DTLS close (4-6 ms after a hang-up, measured) and its
/// `callEnd`.
const FAR_END_CLOSED: Duration = Duration::from_secs(1);

/// What a transition needs beside the call.
pub(super) struct Cx<'a> {
    pub(super) now: Instant,
    pub(super) settings: &'a Settings,
    pub(super) connections: &'a BTreeMap<AccountId, Connection>,
    pub(super) out: &'a mut Vec<Output>,
}

impl Cx<'_> {
    /// Our own address where `target` is called.
    pub(super) fn own(&self, target: &Target) -> Address {
        let own = self.settings.users.get(&target.account);
        own.cloned().unwrap_or(Address::new(""))
    }

    /// `target` can be rung now.
    pub(super) fn reaches(&self, target: &Target) -> bool {
        let connection = self.connections.get(&target.account);
        connection.is_some_and(Connection::may_ring)
    }

    pub(super) fn order(&mut self, leg: &LegId, order: SignalOrder) {
        self.out.push(Output::Signal(leg.clone(), order));
    }

    pub(super) fn media(&mut self, leg: &LegId, order: MediaOrder) {
        self.out.push(Output::Media(leg.clone(), order));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
}

/// The call that is up.
pub(super) struct Call {
    pub(super) record: Record,
    pub(super) wish: Wish,
    /// The other end, once it is one: who called, or who answered.
    pub(super) target: Option<Target>,
    pub(super) timers: Timers,
    pub(super) stage: Stage,
    /// How long each step took.
    moments: BTreeMap<&'static str, Duration>,
    /// The leg that was answered, once the call is over.
    talked_with: Option<LegId>,
}

/// Each stage with just its own data.
pub(super) enum Stage {
    /// We called, nobody answered yet.
    Calling(Calling),
    /// They called, nobody here answered yet.
    Alerting { leg: LegId, offer: Option<Sdp> },
    /// Answered.
    Talking(Talking),
    /// Over, and how.
    Over { code: String, reason: String },
}

impl Call {
    pub(super) fn make(id: CallId, make: Make, cx: &mut Cx<'_>) -> Self {
        let mut call = Self {
            record: Record {
                direction: Direction::Outgoing,
                state: State::Initiating,
                from: Address::new(""),
                to: Address::new(""),
                muted: false,
                parameters: make.parameters,
                made: cx.now,
                started: None,
                ended: None,
                id: id.clone(),
            },
            wish: make.wish,
            target: None,
            timers: Timers::default(),
            stage: Stage::Calling(Calling::new(id, make.plan)),
            moments: BTreeMap::new(),
            talked_with: None,
        };
        call.next_step(cx);
        call
    }

    pub(super) fn receive(id: CallId, incoming: Incoming, cx: &mut Cx<'_>) -> Self {
        let Incoming {
            account,
            leg,
            from,
            to,
            offer,
            parameters,
            ..
        } = incoming;
        let target = Target {
            account,
            to: from.clone(),
        };
        cx.event(Event::Receive {
            call: id.clone(),
            from: from.clone(),
            parameters: parameters.clone(),
        });
        cx.order(&leg, SignalOrder::Ring);
        let mut timers = Timers::default();
        timers.start(Timer::Alerting, cx.now + ALERTING);
        Self {
            record: Record {
                id,
                direction: Direction::Incoming,
                state: State::Ringing,
                from,
                to,
                muted: false,
                parameters,
                made: cx.now,
                started: None,
                ended: None,
            },
            wish: cx.settings.wish,
            target: Some(target),
            timers,
            stage: Stage::Alerting { leg, offer },
            moments: BTreeMap::new(),
            talked_with: None,
        }
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
    }

    pub(super) fn view(&self) -> CallView {
        let peers = match &self.stage {
            Stage::Calling(calling) => calling.peers(),
            Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => {
                vec![self.peer()]
            }
        };
        CallView {
            id: self.record.id.clone(),
            direction: self.record.direction,
            state: self.record.state,
            peers,
            made: self.record.made,
            started: self.record.started,
        }
    }

    pub(super) fn over(&self) -> Option<LastCall> {
        let Stage::Over { code, reason } = &self.stage else {
            return None;
        };
        Some(LastCall {
            id: self.record.id.clone(),
            direction: self.record.direction,
            ended: self.record.ended.unwrap_or(self.record.made),
            code: code.clone(),
            reason: reason.clone(),
            answered: self.record.started.is_some(),
        })
    }

    /// The summary of a call that is over, without figures yet.
    pub(super) fn unsettled(&self) -> Option<Unsettled> {
        let Stage::Over { code, .. } = &self.stage else {
            return None;
        };
        let Record { started, ended, .. } = self.record;
        let talked = started.zip(ended);
        Some(Unsettled {
            call: self.record.id.clone(),
            talked_with: self.talked_with.clone(),
            summary: Summary {
                direction: self.record.direction,
                talked: talked.map(|(from, to)| to.saturating_duration_since(from)),
                code: code.clone(),
                moments: self.moments.clone(),
                figures: Figures::default(),
            },
        })
    }

    pub(super) fn signal(&mut self, leg: &LegId, signal: Signal, cx: &mut Cx<'_>) {
        match &mut self.stage {
            Stage::Calling(calling) if calling.has(leg) => self.calling_signal(leg, signal, cx),
            Stage::Alerting { leg: ours, .. } if ours == leg => match signal {
                Signal::Ended { code, reason } => self.over_by_peer(&code, &reason, cx),
                Signal::AnsweredElsewhere => self.answered_elsewhere(cx),
                // Nothing else makes sense for a call that we have not answered.
                Signal::Started
                | Signal::StartFailed(_)
                | Signal::Ringing
                | Signal::Progress(_)
                | Signal::Responded(_)
                | Signal::UpdateOffered(_)
                | Signal::UpdateRefused { .. }
                | Signal::AnswerFailed(_)
                | Signal::Told(_) => {}
            },
            Stage::Talking(talking) if talking.leg == *leg => self.talking_signal(signal, cx),
            Stage::Calling(_) | Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => {
            }
        }
    }

    pub(super) fn media(&mut self, leg: &LegId, media: Media, cx: &mut Cx<'_>) {
        match &mut self.stage {
            Stage::Calling(calling) if calling.has(leg) => self.calling_media(leg, media, cx),
            Stage::Talking(talking) if talking.leg == *leg => self.talking_media(media, cx),
            Stage::Calling(_) | Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => {
            }
        }
    }

    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) {
        while let Some(timer) = self.timers.take_due(cx.now) {
            match timer {
                Timer::Setup => {
                    self.error("call:3", "the call could not be set up in time", cx);
                    self.step_over("9900", "The call could not be set up", cx);
                }
                Timer::NoAnswer => self.step_over("480", "Nobody answered", cx),
                Timer::Alerting => self.end("480", "Nobody answered", cx),
                Timer::MediaUp => {
                    let waited = cx.settings.media_up.as_secs();
                    let message = format!("sound and picture did not connect within {waited} s");
                    self.error("call:3", message, cx);
                    self.end("9900", "Sound and picture did not connect", cx);
                }
                Timer::MaxCall => self.end("9901", "The longest call time is over", cx),
                Timer::Update => self.update_timed_out(cx),
                Timer::Retry => self.retry_update(cx),
                Timer::FarEndClosed => self.end("200", "The other side hung up", cx),
                // The door's, never started by a call.
                Timer::HangUp | Timer::OpenTooLong => {}
            }
        }
    }

    /// Takes the incoming call.
    pub(super) fn answer(&mut self, wish: Wish, cx: &mut Cx<'_>) {
        let Stage::Alerting { leg, offer } = &mut self.stage else {
            return;
        };
        let (leg, offer) = (leg.clone(), offer.take());
        self.wish = wish;
        self.timers.stop(Timer::Alerting);
        self.timers.start(Timer::Setup, cx.now + SETUP);
        let order = match &offer {
            Some(offer) => MediaOrder::Answer(offer.clone(), wish),
            None => MediaOrder::Offer(wish),
        };
        cx.media(&leg, order);
        self.stage = Stage::Talking(Talking::answering(leg, offer.is_none()));
    }

    pub(super) fn reject(&mut self, cx: &mut Cx<'_>) {
        match &self.stage {
            Stage::Alerting { leg, .. } => {
                cx.order(leg, SignalOrder::Reject);
                self.finish(State::Ended, "9902", "Rejected by local user", cx);
            }
            Stage::Calling(_) | Stage::Talking(_) => self.end("9901", "Ended by local user", cx),
            Stage::Over { .. } => {}
        }
    }

    /// Stops ringing here and tells nobody; the caller goes on ringing.
    pub(super) fn ignore(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Alerting { leg, .. } = &self.stage {
            cx.order(leg, SignalOrder::Forget);
            self.finish(State::Ended, "9903", "Ignored", cx);
        }
    }

    /// Ends the call from this side, whatever its stage.
    pub(super) fn end(&mut self, code: &str, reason: &str, cx: &mut Cx<'_>) {
        match &self.stage {
            Stage::Calling(calling) => calling.end_all(reason, cx),
            Stage::Alerting { leg, .. } => cx.order(leg, SignalOrder::Reject),
            Stage::Talking(talking) => {
                cx.order(&talking.leg, SignalOrder::End(reason.to_owned()));
                cx.media(&talking.leg, MediaOrder::Close);
            }
            Stage::Over { .. } => return,
        }
        self.finish(State::Ended, code, reason, cx);
    }

    /// The far end, or its server, ended the only leg that is left.
    pub(super) fn over_by_peer(&mut self, code: &str, reason: &str, cx: &mut Cx<'_>) {
        if let Stage::Talking(talking) = &self.stage {
            cx.media(&talking.leg, MediaOrder::Close);
        }
        self.finish(State::Ended, code, reason, cx);
    }

    fn answered_elsewhere(&mut self, cx: &mut Cx<'_>) {
        self.finish(State::Cancelled, "9904", "Answered on another device", cx);
    }

    /// The last transition: nothing is ordered after it.
    pub(super) fn finish(&mut self, state: State, code: &str, reason: &str, cx: &mut Cx<'_>) {
        self.timers.stop_all();
        self.record.ended = Some(cx.now);
        self.set_state(state, Some(code), Some(reason), cx);
        if let Stage::Talking(talking) = &self.stage {
            self.talked_with = Some(talking.leg.clone());
        }
        self.stage = Stage::Over {
            code: code.to_owned(),
            reason: reason.to_owned(),
        };
        let talked = self.record.started.map(|started| cx.now - started);
        cx.event(Event::Over {
            call: self.record.id.clone(),
            direction: self.record.direction,
            peer: self.peer(),
            talked,
            code: code.to_owned(),
            reason: reason.to_owned(),
        });
    }

    pub(super) fn set_state(
        &mut self,
        state: State,
        code: Option<&str>,
        reason: Option<&str>,
        cx: &mut Cx<'_>,
    ) {
        let previous = std::mem::replace(&mut self.record.state, state);
        if previous != state {
            cx.event(Event::StateChange {
                call: self.record.id.clone(),
                previous,
                state,
                code: code.map(str::to_owned),
                reason: reason.map(str::to_owned),
            });
        }
    }

    pub(super) fn error(&self, code: &str, message: impl Into<String>, cx: &mut Cx<'_>) {
        cx.event(Event::CallError {
            call: self.record.id.clone(),
            failure: Failure {
                code: code.to_owned(),
                message: message.into(),
            },
        });
    }

    pub(super) fn failed(&self, failure: Failure, cx: &mut Cx<'_>) {
        cx.event(Event::CallError {
            call: self.record.id.clone(),
            failure,
        });
    }

    /// Tells how long a step took, the first time that it is reached.
    pub(super) fn moment(&mut self, name: &'static str, since: Instant, cx: &mut Cx<'_>) {
        if let Entry::Vacant(vacant) = self.moments.entry(name) {
            let took = *vacant.insert(cx.now.saturating_duration_since(since));
            cx.event(Event::Moment {
                call: self.record.id.clone(),
                name,
                took,
            });
        }
    }

    pub(super) fn far_end_closed(&mut self, cx: &mut Cx<'_>) {
        self.timers
            .start(Timer::FarEndClosed, cx.now + FAR_END_CLOSED);
    }

    /// The other end of `leg`, if it is of this call.
    pub(super) fn party(&self, leg: &LegId) -> Option<Party> {
        let target = match &self.stage {
            Stage::Calling(calling) => Some(calling.target(leg)?.clone()),
            Stage::Alerting { leg: ours, .. } if ours == leg => self.target.clone(),
            Stage::Talking(talking) if talking.leg == *leg => self.target.clone(),
            Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => return None,
        };
        let standing = match self.record.state {
            State::InCall => Standing::Established,
            State::OnHold | State::OnRemoteHold => Standing::Held,
            State::Initiating | State::Initiated | State::Ringing | State::EarlyMedia => {
                Standing::Early
            }
            State::Cancelled | State::Ended => Standing::Over,
        };
        Some(Party {
            target,
            call: self.record.id.clone(),
            standing,
        })
    }

    pub(super) fn peer(&self) -> super::Address {
        match self.record.direction {
            Direction::Incoming => self.record.from.clone(),
            Direction::Outgoing => self.record.to.clone(),
        }
    }
}
