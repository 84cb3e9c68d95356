//! What the core is told: past facts, and people's wishes.

use std::fmt;
use std::time::Duration;

use super::{AccountId, Address, CallId, Digit, Digits, LegId, Relay, Sdp};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A button of the panel was pressed (debounced).
    Pressed(Button),
    /// An application (CLI, demo, control socket) asks for something.
    Asked(Request),
    /// Somebody calls us: the first news of a leg. The signalling adapter made
    /// the [`LegId`].
    Incoming(Incoming),
    /// News about a leg from the other end or from its server.
    Signal(LegId, Signal),
    /// News about a leg's media.
    Media(LegId, Media),
    /// An account's connection changed.
    Connection(AccountId, Connection),
    /// A camera, microphone, speaker or panel failed or came back (`None`).
    Device(Device, Option<String>),
    /// A sensor of the door became active (`true`: pressed, door open, tampered) or
    /// went back to rest; told once at start, and at each change.
    Sensor(Sensor, bool),
    /// A user who is logged in at the embedded gateway wants the door open; answered by
    /// [`Output::Answer`](super::Output::Answer) with the same ticket.
    OpenDoor {
        /// Chosen by whoever asks.
        ticket: u64,
        /// Who.
        user: Address,
    },
    /// News of the door's relay.
    Relay(Relay),
    /// An update of the station is being installed (`true`), or no longer.
    Updating(bool),
    /// Time has passed: called when [`deadline`](super::Calls::deadline) is reached.
    Tick,
    /// The station is going down: end everything, accept nothing more.
    Shutdown,
}

/// The buttons of a panel, by what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Button {
    /// A visitor rings.
    Bell,
    /// A visitor rings with a plan of its own: its place in `Settings::plans`.
    BellWith(usize),
    /// Take the incoming call.
    Answer,
    /// Refuse the incoming call.
    Reject,
    /// End or cancel the call.
    End,
    /// Put the call on hold.
    Hold,
    /// Take the call off hold.
    Unhold,
}

/// What watches the door besides the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensor {
    /// The button inside: somebody wants to leave.
    RequestToExit,
    /// The door stands open.
    DoorContact,
    /// The housing was opened.
    Tamper,
}

/// Where to call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Through which account.
    pub account: AccountId,
    /// Whom.
    pub to: Address,
}

/// What media a call wants, as in `call.make` of Kandy.js
/// (`isAudioEnabled`, `isVideoEnabled`, `sendInitialVideo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Offer or accept sound, both ways.
    pub audio: bool,
    /// Offer or accept to receive video.
    pub receive_video: bool,
    /// Send our own picture from the start.
    pub send_video: bool,
}

/// One step of a ring plan: these are rung in parallel for a time, then the next
/// step begins. They may be of several accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingStep {
    /// Whom, at least one.
    pub targets: Vec<Target>,
    /// How long. It is shorter when nobody of them is left: busy, away or unwilling.
    pub time: Duration,
}

impl RingStep {
    /// The time after which a gateway gives up by itself (protocol section 9).
    pub const TIME: Duration = Duration::from_secs(60);
}

/// A call to be made; the first answer wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Make {
    /// The call's id, if whoever asks has chosen one: a new UUID.
    pub call: Option<CallId>,
    /// Whom, step by step.
    pub plan: Vec<RingStep>,
    /// With which media.
    pub wish: Wish,
    /// What the other end is told besides.
    pub parameters: Vec<Parameter>,
}

/// A free name and value that travel with a call (`customParameters` of Kandy.js).
/// Its `Debug` shows the name only: nobody knows what an application puts there.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `X-...`.
    pub name: String,
    /// Text.
    pub value: String,
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter({})", self.name)
    }
}

/// What an application may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Call somebody.
    Make(Make),
    /// Answer the ringing incoming call.
    Answer(CallId, Wish),
    /// Refuse it.
    Reject(CallId),
    /// Stop ringing here, tell nobody.
    Ignore(CallId),
    /// End or cancel it.
    End(CallId),
    /// Put it on hold.
    Hold(CallId),
    /// Take it off hold.
    Unhold(CallId),
    /// Send our picture (`true`), or no longer: both are offered to the other end.
    Video(CallId, bool),
    /// Silence our microphone towards the other end (`true`), or let it speak again.
    Mute(CallId, bool),
    /// Send these digits to the other end (DTMF).
    SendDigits(CallId, Digits),
}

/// A call that arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Through which account.
    pub account: AccountId,
    /// The new leg.
    pub leg: LegId,
    /// Who calls.
    pub from: Address,
    /// The caller's display name, possibly empty.
    pub from_name: String,
    /// The address that was called: ours.
    pub to: Address,
    /// The offer; `None` asks us to make it (slow start).
    pub offer: Option<Sdp>,
    /// What the caller sent besides.
    pub parameters: Vec<Parameter>,
}

/// What the far end or its server said about a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// `callStart` was accepted.
    Started,
    /// It was not; the leg does not exist.
    StartFailed(Failure),
    /// The other end is ringing.
    Ringing,
    /// Early media (a provisional answer) arrived.
    Progress(Sdp),
    /// An answer to our latest offer: the first one answers the call.
    Responded(Sdp),
    /// The peer offers new media (hold, unhold, video change); `None` asks us
    /// to make the offer.
    UpdateOffered(Option<Sdp>),
    /// Our update collided or was refused; try again after this long, if at all.
    UpdateRefused {
        /// Glare (status 49) names a delay.
        retry_after: Option<Duration>,
        /// Why.
        failure: Failure,
    },
    /// Our answer did not reach the server: the leg is lost.
    AnswerFailed(Failure),
    /// The leg is over.
    Ended {
        /// SIP code as text (`"200"`, `"603"`, ...) or a local 99xx code.
        code: String,
        /// A sentence.
        reason: String,
    },
    /// Another device of ours answered.
    AnsweredElsewhere,
    /// What the other end sent along with a message in the call.
    Told(Vec<Parameter>),
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code of the protocol document (`authentication:1`, `call:1`, a SPiDR
    /// status such as `42`), for support.
    pub code: String,
    /// What happened, to which thing, and what to do.
    pub message: String,
}

/// What a leg's media did.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// The offer that was asked for.
    OfferReady(Sdp),
    /// The answer that was asked for, and what the offer meant.
    AnswerReady {
        /// To be sent.
        answer: Sdp,
        /// The peer's offer holds us (document 7.5).
        held: bool,
    },
    /// The peer's answer was taken; it holds us, or not.
    AnswerApplied {
        /// As in `AnswerReady`.
        held: bool,
    },
    /// An offer or answer could not be made or taken.
    Failed(Failure),
    /// Every live transport of the leg is connected.
    Connected,
    /// The first sound of the far end went to our speaker.
    FirstSound,
    /// The first packet of our picture left.
    FirstPictureSent,
    /// A transport has brought nothing for 5 s: a new offer looks for another way.
    Away,
    /// A transport failed or stayed away too long.
    Lost(String),
    /// The far end pressed a key (DTMF): told once for each press.
    Digit(Digit),
    /// Digits could not be sent.
    DigitsFailed(Failure),
    /// The far end closed its transport (DTLS close): a hang-up by media.
    FarEndClosed,
    /// What was measured in the leg's life; sent once, after `Close`.
    Figures(Figures),
}

/// Measured values by name; names carry the unit (`audio_up_ms`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(pub std::collections::BTreeMap<&'static str, f64>);

/// An account's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Logging in or coming back.
    Connecting,
    /// Subscribed, WebSocket open: can ring.
    Connected,
    /// Not reachable; it goes on trying.
    Lost(Failure),
    /// The server refuses our login.
    Refused(Failure),
}

impl Connection {
    /// A call is worth a try: connected, or the notifications broke off a moment ago
    /// and nobody has found the server away since. A station leaves a server that broke
    /// alone for up to half a minute, and a visitor shall not wait for that.
    pub(super) fn may_ring(&self) -> bool {
        match self {
            Connection::Connected => true,
            Connection::Lost(failure) => failure.code == BROKE_OFF,
            Connection::Connecting | Connection::Refused(_) => false,
        }
    }
}

/// The code of an open connection that ended (protocol section 8.6).
const BROKE_OFF: &str = "subscription:1";

/// A device of the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// The camera or what stands for it.
    Camera,
    /// The capture PCM.
    Microphone,
    /// The playback PCM.
    Speaker,
    /// Buttons, lights and sensors.
    Panel,
    /// The door itself: forced, or open for too long.
    Door,
    /// The guardian of the door's relay.
    Relay,
}
