//! What the core orders, and what it lets everybody know.

use std::time::Duration;

use super::{
    Address, CallId, Device, Digit, Digits, Direction, DoorNews, DoorOrder, Failure, Figures,
    LegId, Parameter, Refused, Sdp, State, Summary, Target, Wish,
};

/// One order or piece of news.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To the signalling adapter of the leg's account.
    Signal(LegId, SignalOrder),
    /// To the media adapter.
    Media(LegId, MediaOrder),
    /// To the door's relay.
    Door(DoorOrder),
    /// To whoever wanted the door open with this ticket.
    Answer(u64, Result<(), Refused>),
    /// To whoever listens: log, JSON lines, control socket, page.
    Event(Event),
}

/// What a signalling adapter shall do for a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalOrder {
    /// Send `callStart`. The first order for an outgoing leg.
    Start {
        /// Through which account, to whom.
        target: Target,
        /// Our offer.
        offer: Sdp,
        /// What the other end is told besides.
        parameters: Vec<Parameter>,
    },
    /// Tell the caller that we ring.
    Ring,
    /// Answer the incoming call.
    Answer(Sdp),
    /// Refuse it.
    Reject,
    /// End or cancel the leg, with a reason for the other end.
    End(String),
    /// Offer new media.
    Update(Sdp),
    /// Answer the peer's offer.
    Respond(Sdp),
    /// Forget the leg: nothing is sent (ignored or already over).
    Forget,
}

/// What the media adapter shall do for a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaOrder {
    /// Make sessions and an offer: answered by [`Media::OfferReady`](super::Media).
    Offer(Wish),
    /// Make sessions and an answer to the peer's first offer.
    Answer(Sdp, Wish),
    /// Take the peer's answer to our latest offer.
    Apply(Sdp),
    /// Make a new offer over the same sessions; `hold` puts every active line on
    /// `sendonly`.
    Reoffer {
        /// Hold (`true`) or take back (`false`).
        hold: bool,
    },
    /// From the next offer on our picture is sent, or is not.
    Picture(bool),
    /// Answer the peer's new offer over the same sessions.
    Reanswer(Sdp),
    /// Let media through, or stop it at the source.
    Flow(Flow),
    /// Send these digits in the sound (DTMF).
    SendDigits(Digits),
    /// Close everything of this leg; then `Figures`.
    Close,
}

/// Which media pass. Nothing passes until the core says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Our microphone to the far end.
    pub microphone: bool,
    /// The far end's voice to our speaker.
    pub speaker: bool,
    /// Our picture to the far end.
    pub picture: bool,
}

/// News, under the names of Kandy.js.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `call:start`: the server took our call.
    Start(CallId),
    /// `call:receive`: somebody calls.
    Receive {
        /// The new call.
        call: CallId,
        /// Who calls.
        from: Address,
        /// What the caller sent besides.
        parameters: Vec<Parameter>,
    },
    /// `call:stateChange`.
    StateChange {
        /// Which call.
        call: CallId,
        /// The state before.
        previous: State,
        /// The state now.
        state: State,
        /// SIP or 99xx code, where there is one.
        code: Option<String>,
        /// A sentence, where there is one.
        reason: Option<String>,
    },
    /// `call:error`: an operation failed.
    CallError {
        /// Which call.
        call: CallId,
        /// Why.
        failure: Failure,
    },
    /// `call:dtmf`: the other end pressed a key.
    Digit {
        /// Which call.
        call: CallId,
        /// Which key.
        digit: Digit,
    },
    /// `media:error`: a camera or sound card failed.
    MediaError {
        /// Which device.
        device: Device,
        /// What happened.
        message: String,
    },
    /// The device works again.
    MediaRestored(Device),
    /// `auth:change` and `auth:error` come from the connection.
    Connection(super::AccountId, super::Connection),
    /// The door: who wanted it open, and what it does.
    Door(DoorNews),
    /// A button or request that cannot be carried out now, and why.
    Denied(String),
    /// A moment of the call, for measuring: time since the press (outgoing) or
    /// since our answer (incoming), or since the far end's answer.
    Moment {
        /// Which call.
        call: CallId,
        /// `press_to_ring`, `answer_to_connected`, `answer_to_first_sound`, ...
        name: &'static str,
        /// How long it took.
        took: Duration,
    },
    /// What the media of a leg measured.
    Figures {
        /// Which call.
        call: CallId,
        /// The values.
        figures: Figures,
    },
    /// The call is over: its record.
    Over {
        /// Which call.
        call: CallId,
        /// Made or received.
        direction: Direction,
        /// The other end.
        peer: Address,
        /// How long people could talk; `None` if they never could.
        talked: Option<Duration>,
        /// SIP or 99xx code.
        code: String,
        /// A sentence.
        reason: String,
    },
    /// The last word on a call, once for each: after [`Event::Over`], and after the
    /// figures of every leg.
    Summary {
        /// Which call.
        call: CallId,
        /// How it was.
        summary: Summary,
    },
}
