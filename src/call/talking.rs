//! The answered call: its media come up, it is held and taken back, it ends.
//!
//! One change of media is under way at a time ([`Exchange`]). A wish to hold that
//! comes meanwhile is kept and carried out next; of two wishes the later counts.

use std::time::Duration;

use super::active::{Call, Cx, Stage};
use super::{
    Event, Failure, Flow, LegId, Media, MediaOrder, Sdp, Signal, SignalOrder, State, Timer,
};

/// A peer that does not answer our change within this time never will.
const UPDATE: Duration = Duration::from_secs(15);

/// What an answered call knows.
pub(super) struct Talking {
    pub(super) leg: LegId,
    /// We hold the peer.
    held_by_us: bool,
    /// The peer holds us.
    held_by_peer: bool,
    exchange: Exchange,
    /// Hold (`true`) or take back, as soon as the exchange is over.
    next: Option<bool>,
    /// Our picture is to come or to go, as soon as the exchange is over.
    picture: Option<bool>,
    /// The peer's offer that crossed ours.
    crossed: Option<Option<Sdp>>,
}

/// The change of media that is under way.
#[derive(Clone, Copy, PartialEq)]
enum Exchange {
    /// None.
    Idle,
    /// Media make the answer (or, with a slow start, the offer) of an incoming
    /// call; nothing was sent yet.
    Answering,
    /// Our offer in place of an answer is out (slow start).
    SlowStart,
    /// Media take the answer of the peer to our first offer.
    Applying,
    /// Media make our new offer.
    Offering { hold: bool },
    /// Our new offer is out.
    Offered { hold: bool },
    /// Media take the peer's answer to it.
    Settling { hold: bool },
    /// Media answer the peer's new offer.
    Reanswering,
    /// The peer asked us to offer; media make the offer.
    OfferingBack,
}

impl Talking {
    /// We called and were answered.
    pub(super) fn called(leg: LegId) -> Self {
        Self::new(leg, Exchange::Applying)
    }

    /// They called and we answer; `slow_start` if we make the offer.
    pub(super) fn answering(leg: LegId, slow_start: bool) -> Self {
        Self::new(
            leg,
            if slow_start {
                Exchange::SlowStart
            } else {
                Exchange::Answering
            },
        )
    }

    fn new(leg: LegId, exchange: Exchange) -> Self {
        Self {
            leg,
            held_by_us: false,
            held_by_peer: false,
            exchange,
            next: None,
            picture: None,
            crossed: None,
        }
    }

    fn state(&self) -> State {
        match (self.held_by_us, self.held_by_peer) {
            (true, _) => State::OnHold,
            (false, true) => State::OnRemoteHold,
            (false, false) => State::InCall,
        }
    }

    /// Hold really stops media: nothing of the house leaves it. A peer that holds
    /// us may send music.
    fn flow(&self, send_video: bool, muted: bool) -> Flow {
        let talk = !self.held_by_us && !self.held_by_peer;
        Flow {
            microphone: talk && !muted,
            picture: talk && send_video,
            speaker: !self.held_by_us,
        }
    }
}

impl Call {
    /// The moment of the answer: people can talk as soon as transports are up.
    pub(super) fn talk(&mut self, cx: &mut Cx<'_>) {
        self.record.started = Some(cx.now);
        self.timers
            .start(Timer::MediaUp, cx.now + cx.settings.media_up);
        self.timers
            .start(Timer::MaxCall, cx.now + cx.settings.max_call);
        self.settle(cx);
    }

    pub(super) fn talking_signal(&mut self, signal: Signal, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        match signal {
            Signal::Ended { code, reason } => self.over_by_peer(&code, &reason, cx),
            Signal::AnswerFailed(failure) => {
                let reason = failure.message.clone();
                self.failed(failure, cx);
                self.end("9900", &reason, cx);
            }
            Signal::Responded(answer) => match talking.exchange {
                Exchange::Offered { hold } => {
                    talking.exchange = Exchange::Settling { hold };
                    cx.media(&talking.leg, MediaOrder::Apply(answer));
                }
                Exchange::SlowStart => {
                    talking.exchange = Exchange::Applying;
                    cx.media(&talking.leg, MediaOrder::Apply(answer));
                }
                // An answer to an offer that is not out: a repeat, or nonsense.
                Exchange::Idle
                | Exchange::Answering
                | Exchange::Applying
                | Exchange::Offering { .. }
                | Exchange::Settling { .. }
                | Exchange::Reanswering
                | Exchange::OfferingBack => {}
            },
            Signal::UpdateOffered(offer) => match talking.exchange {
                Exchange::Idle => self.take_offer(offer, cx),
                Exchange::Answering
                | Exchange::SlowStart
                | Exchange::Applying
                | Exchange::Offering { .. }
                | Exchange::Offered { .. }
                | Exchange::Settling { .. }
                | Exchange::Reanswering
                | Exchange::OfferingBack => talking.crossed = Some(offer),
            },
            Signal::UpdateRefused {
                retry_after,
                failure,
            } => self.update_refused(retry_after, failure, cx),
            Signal::Started
            | Signal::StartFailed(_)
            | Signal::Ringing
            | Signal::Progress(_)
            | Signal::AnsweredElsewhere
            | Signal::Told(_) => {}
        }
    }

    pub(super) fn talking_media(&mut self, media: Media, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        let leg = talking.leg.clone();
        let answered = self.record.started.unwrap_or(self.record.made);
        match media {
            Media::OfferReady(offer) => self.offer_ready(&leg, offer, cx),
            Media::AnswerReady { answer, held } => {
                talking.held_by_peer = held;
                match talking.exchange {
                    Exchange::Answering => {
                        talking.exchange = Exchange::Idle;
                        cx.order(&leg, SignalOrder::Answer(answer));
                        self.timers.stop(Timer::Setup);
                        self.talk(cx);
                        self.next_change(cx);
                    }
                    Exchange::Reanswering => {
                        talking.exchange = Exchange::Idle;
                        cx.order(&leg, SignalOrder::Respond(answer));
                        self.timers.stop(Timer::Update);
                        self.settle(cx);
                        self.next_change(cx);
                    }
                    Exchange::Idle
                    | Exchange::SlowStart
                    | Exchange::Applying
                    | Exchange::Offering { .. }
                    | Exchange::Offered { .. }
                    | Exchange::Settling { .. }
                    | Exchange::OfferingBack => {}
                }
            }
            Media::AnswerApplied { held } => {
                match talking.exchange {
                    Exchange::Settling { hold } => {
                        talking.held_by_us = hold;
                        // An answer to our hold says nothing of the peer's own.
                        if !hold {
                            talking.held_by_peer = held;
                        }
                    }
                    Exchange::Applying => {}
                    Exchange::Idle
                    | Exchange::Answering
                    | Exchange::SlowStart
                    | Exchange::Offering { .. }
                    | Exchange::Offered { .. }
                    | Exchange::Reanswering
                    | Exchange::OfferingBack => return,
                }
                talking.exchange = Exchange::Idle;
                self.timers.stop(Timer::Update);
                self.settle(cx);
                self.next_change(cx);
            }
            Media::Failed(failure) => self.change_failed(failure, cx),
            Media::Connected => {
                self.timers.stop(Timer::MediaUp);
                self.moment("answer_to_connected", answered, cx);
            }
            Media::FirstSound => self.moment("answer_to_first_sound", answered, cx),
            Media::FirstPictureSent => self.moment("answer_to_first_picture_sent", answered, cx),
            Media::Away => self.look_for_a_way(cx),
            Media::Lost(why) => {
                self.error("call:2", format!("sound and picture were lost: {why}"), cx);
                self.end("9900", "Sound and picture were lost", cx);
            }
            Media::Digit(digit) => {
                let call = self.record.id.clone();
                cx.event(Event::Digit { call, digit });
            }
            Media::DigitsFailed(failure) => self.failed(failure, cx),
            Media::FarEndClosed => self.far_end_closed(cx),
            Media::Figures(_) => {}
        }
    }

    /// Holds or takes back, now or as soon as the change under way is over.
    pub(super) fn hold(&mut self, hold: bool, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            self.error("call:6", "only an answered call can be held", cx);
            return;
        };
        talking.next = Some(hold);
        self.next_change(cx);
    }

    /// Begins or ceases to send our picture, as soon as the change under way is over.
    pub(super) fn video(&mut self, on: bool, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            self.error(
                "call:6",
                "the picture of an answered call alone can change",
                cx,
            );
            return;
        };
        let last = talking.picture.unwrap_or(self.wish.send_video);
        if last != on {
            talking.picture = Some(on);
            self.next_change(cx);
        }
    }

    pub(super) fn update_timed_out(&mut self, cx: &mut Cx<'_>) {
        let message = "the other side did not answer the change of media";
        self.change_failed(
            Failure {
                code: "call:2".to_owned(),
                message: message.to_owned(),
            },
            cx,
        );
    }

    pub(super) fn retry_update(&mut self, cx: &mut Cx<'_>) {
        self.next_change(cx);
    }

    fn offer_ready(&mut self, leg: &LegId, offer: Sdp, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        match talking.exchange {
            Exchange::SlowStart => {
                cx.order(leg, SignalOrder::Answer(offer));
                self.timers.stop(Timer::Setup);
                self.talk(cx);
            }
            Exchange::Offering { hold } => {
                talking.exchange = Exchange::Offered { hold };
                cx.order(leg, SignalOrder::Update(offer));
            }
            Exchange::OfferingBack => {
                talking.exchange = Exchange::Offered {
                    hold: talking.held_by_us,
                };
                cx.order(leg, SignalOrder::Respond(offer));
            }
            Exchange::Idle
            | Exchange::Answering
            | Exchange::Applying
            | Exchange::Offered { .. }
            | Exchange::Settling { .. }
            | Exchange::Reanswering => {}
        }
    }

    /// Offers anew without a change of who holds whom: the media engine looks for
    /// another way to a far end that is away. An exchange under way does it, too.
    fn look_for_a_way(&mut self, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        if talking.exchange != Exchange::Idle {
            return;
        }
        let hold = talking.held_by_us;
        talking.exchange = Exchange::Offering { hold };
        cx.media(&talking.leg, MediaOrder::Reoffer { hold });
        self.timers.start(Timer::Update, cx.now + UPDATE);
    }

    fn take_offer(&mut self, offer: Option<Sdp>, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        self.timers.start(Timer::Update, cx.now + UPDATE);
        match offer {
            Some(offer) => {
                talking.exchange = Exchange::Reanswering;
                cx.media(&talking.leg, MediaOrder::Reanswer(offer));
            }
            None => {
                talking.exchange = Exchange::OfferingBack;
                let hold = talking.held_by_us;
                cx.media(&talking.leg, MediaOrder::Reoffer { hold });
            }
        }
    }

    /// Begins what waited for the exchange to be over: the peer's crossed offer
    /// first, then our wish.
    fn next_change(&mut self, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        if talking.exchange != Exchange::Idle {
            return;
        }
        if let Some(offer) = talking.crossed.take() {
            return self.take_offer(offer, cx);
        }
        let Some(hold) = talking.next.take() else {
            return self.change_picture(cx);
        };
        if hold != talking.held_by_us {
            talking.exchange = Exchange::Offering { hold };
            cx.media(&talking.leg, MediaOrder::Reoffer { hold });
            self.timers.start(Timer::Update, cx.now + UPDATE);
        } else {
            self.change_picture(cx);
        }
    }

    /// Offers what was wished of our picture; one that goes stops at once.
    fn change_picture(&mut self, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        let Some(on) = talking.picture.take() else {
            return;
        };
        let hold = talking.held_by_us;
        talking.exchange = Exchange::Offering { hold };
        self.wish.send_video = on;
        self.timers.start(Timer::Update, cx.now + UPDATE);
        let leg = talking.leg.clone();
        self.settle(cx);
        cx.media(&leg, MediaOrder::Picture(on));
        cx.media(&leg, MediaOrder::Reoffer { hold });
    }

    fn update_refused(&mut self, retry_after: Option<Duration>, failure: Failure, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        let (Exchange::Offering { hold } | Exchange::Offered { hold }) = talking.exchange else {
            return;
        };
        self.timers.stop(Timer::Update);
        talking.exchange = Exchange::Idle;
        match retry_after {
            Some(delay) => {
                if hold == talking.held_by_us {
                    // It was the picture that changed.
                    talking.picture = talking.picture.or(Some(self.wish.send_video));
                } else {
                    talking.next = talking.next.or(Some(hold));
                }
                self.timers.start(Timer::Retry, cx.now + delay);
                // Our wish waits for the timer; only the peer's offer goes on now.
                if let Some(offer) = talking.crossed.take() {
                    self.take_offer(offer, cx);
                }
            }
            None => {
                self.failed(failure, cx);
                self.next_change(cx);
            }
        }
    }

    /// A change that fails before the call was ever up ends it; a later one only
    /// leaves things as they were.
    fn change_failed(&mut self, failure: Failure, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &mut self.stage else {
            return;
        };
        self.timers.stop(Timer::Update);
        match talking.exchange {
            Exchange::Answering | Exchange::SlowStart | Exchange::Applying => {
                let reason = failure.message.clone();
                self.failed(failure, cx);
                self.end("9900", &reason, cx);
            }
            Exchange::Idle
            | Exchange::Offering { .. }
            | Exchange::Offered { .. }
            | Exchange::Settling { .. }
            | Exchange::Reanswering
            | Exchange::OfferingBack => {
                talking.exchange = Exchange::Idle;
                self.failed(failure, cx);
                self.next_change(cx);
            }
        }
    }

    /// Shows the state that follows from who holds whom, and lets just that much
    /// media through.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) {
        let Stage::Talking(talking) = &self.stage else {
            return;
        };
        let (leg, state) = (talking.leg.clone(), talking.state());
        let flow = talking.flow(self.wish.send_video, self.record.muted);
        cx.media(&leg, MediaOrder::Flow(flow));
        self.set_state(state, None, None, cx);
    }
}
