//! Our call before anybody answered: several legs, of which the first to answer
//! wins, and further steps of the ring plan if nobody does.

use std::collections::{BTreeMap, VecDeque};

use super::active::{Call, Cx, SETUP, Stage};
use super::policy::more_telling;
use super::talking::Talking;
use super::{
    Address, CallId, Event, LegId, Media, MediaOrder, RingStep, Sdp, Signal, SignalOrder, State,
    Target, Timer,
};

/// The legs that still ring, and the most telling ending so far.
pub(super) struct Calling {
    call: CallId,
    legs: BTreeMap<LegId, Leg>,
    /// Legs so far, of all steps.
    begun: usize,
    /// The steps of the plan that are still to come.
    rest: VecDeque<RingStep>,
    ending: (String, String),
}

struct Leg {
    target: Target,
    step: Step,
}

#[derive(PartialEq)]
enum Step {
    /// Media make the offer; the server knows nothing yet.
    Offering,
    /// `callStart` is under way or accepted.
    Started,
}

impl Calling {
    pub(super) fn new(call: CallId, plan: Vec<RingStep>) -> Self {
        Self {
            call,
            legs: BTreeMap::new(),
            begun: 0,
            rest: plan.into(),
            ending: ("503".to_owned(), "Nobody could be rung".to_owned()),
        }
    }

    /// A leg for each of `targets`.
    fn begin(&mut self, targets: Vec<Target>) {
        for target in targets {
            let id = LegId::new(format!("{}/{}", self.call, self.begun));
            self.begun += 1;
            let step = Step::Offering;
            self.legs.insert(id, Leg { target, step });
        }
    }

    pub(super) fn has(&self, leg: &LegId) -> bool {
        self.legs.contains_key(leg)
    }

    pub(super) fn target(&self, leg: &LegId) -> Option<&Target> {
        self.legs.get(leg).map(|leg| &leg.target)
    }

    pub(super) fn peers(&self) -> Vec<Address> {
        self.legs
            .values()
            .map(|leg| leg.target.to.clone())
            .collect()
    }

    /// Cancels every leg.
    pub(super) fn end_all(&self, reason: &str, cx: &mut Cx<'_>) {
        for (id, leg) in &self.legs {
            leg.end(id, reason, cx);
        }
    }
}

impl Leg {
    fn end(&self, id: &LegId, reason: &str, cx: &mut Cx<'_>) {
        if self.step != Step::Offering {
            cx.order(id, SignalOrder::End(reason.to_owned()));
        }
        cx.media(id, MediaOrder::Close);
    }
}

impl Call {
    /// Begins the next step in which anybody can be rung; after the last one the
    /// call is over.
    pub(super) fn next_step(&mut self, cx: &mut Cx<'_>) {
        while let Stage::Calling(calling) = &mut self.stage {
            let Some(step) = calling.rest.pop_front() else {
                let (code, reason) = calling.ending.clone();
                return self.finish(State::Ended, &code, &reason, cx);
            };
            if let Some(first) = step.targets.first() {
                self.record.from = cx.own(first);
                self.record.to = first.to.clone();
            }
            let (targets, away): (Vec<_>, Vec<_>) = step
                .targets
                .into_iter()
                .partition(|target| cx.reaches(target));
            if !targets.is_empty() {
                calling.begin(targets);
                for leg in calling.legs.keys() {
                    cx.media(leg, MediaOrder::Offer(self.wish));
                }
            }
            let begun = !calling.legs.is_empty();
            for target in away {
                let message = format!("{} cannot be rung: not connected", target.to);
                self.error("call:2", message, cx);
            }
            if begun {
                self.timers.start(Timer::NoAnswer, cx.now + step.time);
                if self.record.state == State::Initiating {
                    self.timers.start(Timer::Setup, cx.now + SETUP);
                }
                return;
            }
        }
    }

    /// Nobody of this step answered, or it could not be set up: the next one, or
    /// the end with this code.
    pub(super) fn step_over(&mut self, code: &str, reason: &str, cx: &mut Cx<'_>) {
        match &mut self.stage {
            Stage::Calling(calling) if !calling.rest.is_empty() => {
                calling.end_all(reason, cx);
                calling.legs.clear();
                let ending = (code.to_owned(), reason.to_owned());
                calling.ending = more_telling(&ending, &calling.ending).clone();
                self.next_step(cx);
            }
            Stage::Calling(_) | Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => {
                self.end(code, reason, cx);
            }
        }
    }

    pub(super) fn calling_signal(&mut self, id: &LegId, signal: Signal, cx: &mut Cx<'_>) {
        match signal {
            Signal::Started => self.started(cx),
            Signal::Ringing => {
                self.started(cx);
                self.ringing(cx);
            }
            // Kandy's early media is shown but not played: a station never asked
            // for it (protocol section 7.12).
            Signal::Progress(_) => {
                self.started(cx);
                self.set_state(State::EarlyMedia, None, None, cx);
            }
            Signal::Responded(answer) => self.answered(id, answer, cx),
            Signal::StartFailed(failure) => {
                let code = failure.code.clone();
                let reason = failure.message.clone();
                self.failed(failure, cx);
                self.leg_over(id, code, reason, cx);
            }
            Signal::Ended { code, reason } => self.leg_over(id, code, reason, cx),
            // Only a callee is told so, and only a callee has offers to refuse.
            Signal::AnsweredElsewhere
            | Signal::UpdateOffered(_)
            | Signal::UpdateRefused { .. }
            | Signal::AnswerFailed(_)
            | Signal::Told(_) => {}
        }
    }

    pub(super) fn calling_media(&mut self, id: &LegId, media: Media, cx: &mut Cx<'_>) {
        let Stage::Calling(calling) = &mut self.stage else {
            return;
        };
        match media {
            Media::OfferReady(offer) => {
                let Some(leg) = calling.legs.get_mut(id) else {
                    return;
                };
                leg.step = Step::Started;
                let target = leg.target.clone();
                let parameters = self.record.parameters.clone();
                cx.order(
                    id,
                    SignalOrder::Start {
                        target,
                        offer,
                        parameters,
                    },
                );
                let made = self.record.made;
                self.moment("press_to_offer", made, cx);
            }
            Media::Failed(failure) => {
                let reason = failure.message.clone();
                self.failed(failure, cx);
                if let Stage::Calling(calling) = &self.stage
                    && let Some(leg) = calling.legs.get(id)
                    && leg.step != Step::Offering
                {
                    cx.order(id, SignalOrder::End(reason.clone()));
                }
                self.leg_over(id, "9900".to_owned(), reason, cx);
            }
            Media::AnswerReady { .. }
            | Media::AnswerApplied { .. }
            | Media::Connected
            | Media::FirstSound
            | Media::FirstPictureSent
            | Media::Digit(_)
            | Media::DigitsFailed(_)
            | Media::Away
            | Media::Lost(_)
            | Media::FarEndClosed
            | Media::Figures(_) => {}
        }
    }

    fn started(&mut self, cx: &mut Cx<'_>) {
        if self.record.state == State::Initiating {
            self.timers.stop(Timer::Setup);
            cx.event(Event::Start(self.record.id.clone()));
            self.set_state(State::Initiated, None, None, cx);
        }
    }

    fn ringing(&mut self, cx: &mut Cx<'_>) {
        self.set_state(State::Ringing, None, None, cx);
        let made = self.record.made;
        self.moment("press_to_ringing", made, cx);
    }

    /// The first answer: this leg stays, the others are cancelled.
    fn answered(&mut self, id: &LegId, answer: Sdp, cx: &mut Cx<'_>) {
        let Stage::Calling(calling) = &mut self.stage else {
            return;
        };
        let Some(winner) = calling.legs.remove(id) else {
            return;
        };
        calling.end_all("Answered by somebody else", cx);
        self.record.from = cx.own(&winner.target);
        self.record.to = winner.target.to.clone();
        self.target = Some(winner.target);
        cx.media(id, MediaOrder::Apply(answer));
        self.stage = Stage::Talking(Talking::called(id.clone()));
        self.timers.stop(Timer::Setup);
        self.timers.stop(Timer::NoAnswer);
        self.talk(cx);
    }

    fn leg_over(&mut self, id: &LegId, code: String, reason: String, cx: &mut Cx<'_>) {
        let Stage::Calling(calling) = &mut self.stage else {
            return;
        };
        if calling.legs.remove(id).is_none() {
            return;
        }
        cx.media(id, MediaOrder::Close);
        let ending = (code, reason);
        calling.ending = more_telling(&ending, &calling.ending).clone();
        if calling.legs.is_empty() {
            self.next_step(cx);
        }
    }
}
