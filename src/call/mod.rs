//! The pure core of a station's calls: no I/O, no clock, no async.
//!
//! # Contract
//!
//! * [`Calls::handle`] takes one [`Input`] and the time, and returns every
//!   [`Output`] it causes, in order. Nothing is left to be drained later.
//! * [`Calls::deadline`] says when the next timer fires; at that time (or later)
//!   the caller feeds [`Input::Tick`].
//! * The same inputs at the same times give the same outputs.
//! * At most one call is up. A second caller is turned away at once; a second
//!   press of the bell is ignored.
//! * Inputs for a leg that is over, or was never known, change nothing.
//! * The door opens only as the rules of [`DoorSettings`] say (`call::door`).
//! * Every leg for which media were ordered gets exactly one
//!   [`MediaOrder::Close`], and every call ends: each stage has a timer.
//!
//! ```text
//!  outgoing   INITIATING -> INITIATED -> RINGING [-> EARLY_MEDIA] -+
//!                                                                  +-> IN_CALL <-> ON_HOLD
//!  incoming   RINGING ---------------------------------------------+          <-> ON_REMOTE_HOLD
//!
//!  any -> ENDED,   incoming RINGING -> CANCELLED (another device answered)
//! ```

mod active;
mod calling;
mod controls;
mod digits;
mod door;
mod ids;
mod input;
mod output;
mod policy;
mod state;
mod summary;
mod talking;
#[cfg(test)]
mod tests;
mod timer;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use active::{Call, Cx};
use door::{Door, Party, Standing};
use summary::Unsettled;

pub use digits::{Digit, Digits};
pub use door::{
    Alarm, Attempt, Code, DoorNews, DoorOrder, DoorSettings, OPEN_PARAMETER, Refused, Relay, Way,
};
pub use ids::{AccountId, Address, CallId, LegId, Sdp};
pub use input::{
    Button, Connection, Device, Failure, Figures, Incoming, Input, Make, Media, Parameter, Request,
    RingStep, Sensor, Signal, Target, Wish,
};
pub use output::{Event, Flow, MediaOrder, Output, SignalOrder};
pub use state::{Direction, Record, State};
pub use summary::Summary;
pub use timer::Timer;
pub use view::{CallView, LastCall, View};

/// How many calls can be asked for by id after they are over.
const HISTORY: usize = 32;

/// What the core needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own address at each account: who calls, in the record of a call.
    pub users: BTreeMap<AccountId, Address>,
    /// Whom the bell rings, step by step.
    pub ring: Vec<RingStep>,
    /// What further bells ring instead ([`Button::BellWith`]).
    pub plans: Vec<Vec<RingStep>>,
    /// Media of a call that names none.
    pub wish: Wish,
    /// What the bell's calls tell the people indoors, such as the door's name.
    pub parameters: Vec<Parameter>,
    /// The longest call.
    pub max_call: Duration,
    /// How long transports may take to come up after the answer. A Kandy.js 3.x
    /// page that fails on our answer ends without telling anybody, so this is
    /// the only way to find out (protocol section 11.5: about 15 s).
    pub media_up: Duration,
    /// The door, if there is one; without it nobody opens anything.
    pub door: Option<DoorSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            ring: Vec::new(),
            plans: Vec::new(),
            wish: Wish {
                audio: true,
                receive_video: false,
                send_video: true,
            },
            parameters: Vec::new(),
            max_call: Duration::from_secs(30 * 60),
            media_up: Duration::from_secs(15),
            door: None,
        }
    }
}

/// The station's calls.
pub struct Calls {
    settings: Settings,
    new_id: Box<dyn FnMut() -> CallId + Send>,
    view: View,
    current: Option<Call>,
    door: Door,
    /// Legs that were told to close and whose figures are still to come.
    closing: BTreeMap<LegId, CallId>,
    /// Calls that are over, until the last of their figures came.
    unsettled: Vec<Unsettled>,
    history: VecDeque<Record>,
}

impl Calls {
    /// No call yet. `new_id` names the calls to come; every name must be new.
    pub fn new(mut settings: Settings, new_id: impl FnMut() -> CallId + Send + 'static) -> Self {
        let door = Door::new(settings.door.take());
        Self {
            settings,
            door,
            new_id: Box::new(new_id),
            view: View::default(),
            current: None,
            closing: BTreeMap::new(),
            unsettled: Vec::new(),
            history: VecDeque::new(),
        }
    }

    /// Takes one input; see the module's contract.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Pressed(button) => self.pressed(button, now, &mut out),
            Input::Asked(request) => self.asked(request, now, &mut out),
            Input::Incoming(incoming) => self.incoming(incoming, now, &mut out),
            Input::Signal(leg, Signal::Told(parameters)) => {
                let party = self.party(&leg);
                self.door.parameters(&parameters, party, now, &mut out);
            }
            Input::Signal(leg, signal) => self.with_call(now, &mut out, |call, cx| {
                call.signal(&leg, signal, cx);
            }),
            Input::Media(leg, Media::Figures(figures)) => self.figures(&leg, figures, &mut out),
            Input::Media(leg, Media::Digit(digit)) => self.digit(&leg, digit, now, &mut out),
            Input::Media(leg, media) => self.with_call(now, &mut out, |call, cx| {
                call.media(&leg, media, cx);
            }),
            Input::Connection(account, connection) => {
                self.connection(account, connection, &mut out);
            }
            Input::Device(device, fault) => self.device(device, fault, &mut out),
            Input::Sensor(sensor, active) => {
                let stopping = self.view.stopping;
                self.door.sensor(sensor, active, stopping, now, &mut out);
            }
            Input::OpenDoor { ticket, user } => self.open_door(ticket, user, &mut out),
            Input::Relay(relay) => self.relay(relay, now, &mut out),
            Input::Updating(updating) => self.view.updating = updating,
            Input::Tick => {
                self.with_call(now, &mut out, Call::tick);
                if let Some(id) = self.door.tick(now, &mut out) {
                    self.end_opener(&id, now, &mut out);
                }
            }
            Input::Shutdown => {
                self.view.stopping = true;
                self.with_call(now, &mut out, |call, cx| {
                    call.end("9901", "The door station is restarting", cx);
                });
            }
        }
        self.sum_up(&mut out);
        out
    }

    /// When the next timer fires, and which.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let call = self.current.as_ref().and_then(Call::deadline);
        call.into_iter().chain(self.door.deadline()).min()
    }

    /// No call is up and no leg still owes its figures.
    pub fn is_settled(&self) -> bool {
        self.current.is_none() && self.closing.is_empty()
    }

    /// Where the station stands: what lights, tones and the page follow.
    pub fn view(&self) -> View {
        let mut view = self.view.clone();
        view.faults.extend(self.door.alarm());
        View {
            call: self.current.as_ref().map(Call::view),
            door_open: self.door.is_open(),
            ..view
        }
    }

    /// The call named `id`: the one that is up, or one of the latest 32.
    pub fn call(&self, id: &CallId) -> Option<&Record> {
        self.current
            .as_ref()
            .map(Call::record)
            .into_iter()
            .chain(self.history.iter().rev())
            .find(|record| record.id == *id)
    }

    fn pressed(&mut self, button: Button, now: Instant, out: &mut Vec<Output>) {
        let record = self.current.as_ref().map(Call::record);
        match policy::press(button, record, &self.settings) {
            policy::Decision::Do(request) => self.asked(request, now, out),
            policy::Decision::Ignore => {}
            policy::Decision::Deny(why) => deny(why, out),
        }
    }

    fn asked(&mut self, request: Request, now: Instant, out: &mut Vec<Output>) {
        if self.view.stopping {
            return deny("the station is going down", out);
        }
        let (id, act): (_, fn(&mut Call, &mut Cx<'_>)) = match request {
            Request::Make(make) => return self.make(make, now, out),
            Request::Answer(id, wish) => {
                return self.with_named_call(&id, now, out, |call, cx| call.answer(wish, cx));
            }
            Request::Video(id, on) => {
                return self.with_named_call(&id, now, out, |call, cx| call.video(on, cx));
            }
            Request::Mute(id, on) => {
                return self.with_named_call(&id, now, out, |call, cx| call.mute(on, cx));
            }
            Request::SendDigits(id, digits) => {
                return self.with_named_call(&id, now, out, |call, cx| {
                    call.send_digits(digits, cx);
                });
            }
            Request::Reject(id) => (id, Call::reject),
            Request::Ignore(id) => (id, Call::ignore),
            Request::End(id) => (id, |call, cx| call.end("9901", "Ended by local user", cx)),
            Request::Hold(id) => (id, |call, cx| call.hold(true, cx)),
            Request::Unhold(id) => (id, |call, cx| call.hold(false, cx)),
        };
        self.with_named_call(&id, now, out, act);
    }

    fn make(&mut self, make: Make, now: Instant, out: &mut Vec<Output>) {
        if self.current.is_some() {
            return deny("a call is already up", out);
        }
        let id = make.call.clone().unwrap_or_else(|| (self.new_id)());
        self.begin(now, out, |cx| Call::make(id, make, cx));
    }

    fn incoming(&mut self, incoming: Incoming, now: Instant, out: &mut Vec<Output>) {
        if self.current.is_some() || self.view.stopping {
            out.push(Output::Signal(incoming.leg, SignalOrder::Reject));
            return deny("somebody called while a call was up; turned away", out);
        }
        let begun = incoming.leg.begins();
        let id = begun.unwrap_or_else(|| (self.new_id)());
        let (leg, parameters) = (incoming.leg.clone(), incoming.parameters.clone());
        self.begin(now, out, |cx| Call::receive(id, incoming, cx));
        let party = self.party(&leg);
        self.door.parameters(&parameters, party, now, out);
    }

    /// An account that tries again after a failure still shows the failure, until
    /// it is connected: a light must not flicker with every attempt.
    fn connection(&mut self, account: AccountId, new: Connection, out: &mut Vec<Output>) {
        let old = self.view.connections.get(&account);
        if old == Some(&new) {
            return;
        }
        let failed = matches!(old, Some(Connection::Lost(_) | Connection::Refused(_)));
        if !(failed && new == Connection::Connecting) {
            self.view.connections.insert(account.clone(), new.clone());
        }
        out.push(Output::Event(Event::Connection(account, new)));
    }

    fn device(&mut self, device: Device, fault: Option<String>, out: &mut Vec<Output>) {
        let event = match fault {
            Some(message) => {
                let old = self.view.faults.insert(device, message.clone());
                (old.as_ref() != Some(&message)).then_some(Event::MediaError { device, message })
            }
            None => self
                .view
                .faults
                .remove(&device)
                .map(|_| Event::MediaRestored(device)),
        };
        out.extend(event.map(Output::Event));
    }

    /// A key of the far end: an event of its call, unless it may be of the door's code.
    fn digit(&mut self, leg: &LegId, digit: Digit, now: Instant, out: &mut Vec<Output>) {
        if self.door.takes_codes() {
            let party = self.party(leg);
            return self.door.key(leg, digit, party, now, out);
        }
        self.with_call(now, out, |call, cx| {
            call.media(leg, Media::Digit(digit), cx)
        });
    }

    /// The other end of `leg` and how its call stands; `None` for one that we do not
    /// know.
    fn party(&self, leg: &LegId) -> Option<Party> {
        let current = self.current.as_ref().and_then(|call| call.party(leg));
        current.or_else(|| {
            let call = self.closing.get(leg)?.clone();
            Some(Party {
                target: None,
                call,
                standing: Standing::Over,
            })
        })
    }

    /// A user of the page wants the door open. Who talks to the door at the time opens
    /// it in that call.
    fn open_door(&mut self, ticket: u64, user: Address, out: &mut Vec<Output>) {
        let call = self.current.as_ref();
        let call = call.filter(|call| call.record().started.is_some() && call.peer() == user);
        let call = call.map(|call| call.record().id.clone());
        self.door.user(ticket, user, call, self.view.stopping, out);
    }

    fn relay(&mut self, relay: Relay, now: Instant, out: &mut Vec<Output>) {
        let fault = match &relay {
            Relay::Here { .. } => Some(None),
            Relay::Lost => Some(Some("the relay guardian is not there".to_owned())),
            Relay::State { .. } | Relay::Opened { .. } | Relay::Refused { .. } => None,
        };
        self.door.relay(relay, now, out);
        if let Some(fault) = fault {
            self.device(Device::Relay, fault, out);
        }
    }

    /// Ends the call that opened the door, some seconds after it did.
    fn end_opener(&mut self, id: &CallId, now: Instant, out: &mut Vec<Output>) {
        if self
            .current
            .as_ref()
            .is_some_and(|call| call.record().id == *id)
        {
            self.with_call(now, out, |call, cx| {
                call.end("9901", "The door was opened", cx);
            });
        }
    }

    fn figures(&mut self, leg: &LegId, figures: Figures, out: &mut Vec<Output>) {
        if let Some(call) = self.closing.remove(leg) {
            for unsettled in self.unsettled.iter_mut().filter(|u| u.call == call) {
                unsettled.take(leg, &figures);
            }
            out.push(Output::Event(Event::Figures { call, figures }));
        }
    }

    /// Tells the summary of each call of which nothing more is to come.
    fn sum_up(&mut self, out: &mut Vec<Output>) {
        let closing = &self.closing;
        let settled = |u: &mut Unsettled| !closing.values().any(|call| *call == u.call);
        let settled = self.unsettled.extract_if(.., settled);
        out.extend(settled.map(|u| Output::Event(u.into_event())));
    }

    fn begin(
        &mut self,
        now: Instant,
        out: &mut Vec<Output>,
        new_call: impl FnOnce(&mut Cx<'_>) -> Call,
    ) {
        let mut cx = Cx {
            now,
            settings: &self.settings,
            connections: &self.view.connections,
            out,
        };
        self.current = Some(new_call(&mut cx));
        self.with_call(now, out, |_, _| {});
    }

    fn with_named_call(
        &mut self,
        id: &CallId,
        now: Instant,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Call, &mut Cx<'_>),
    ) {
        match &self.current {
            Some(call) if call.record().id == *id => self.with_call(now, out, act),
            Some(_) | None => deny("there is no such call", out),
        }
    }

    /// Lets the call that is up act, and buries it when that ended it.
    fn with_call(
        &mut self,
        now: Instant,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Call, &mut Cx<'_>),
    ) {
        let Some(call) = &mut self.current else {
            return;
        };
        let mut cx = Cx {
            now,
            settings: &self.settings,
            connections: &self.view.connections,
            out,
        };
        act(call, &mut cx);
        let record = call.record().clone();
        let over = call.over();
        for output in out.iter() {
            if let Output::Media(leg, MediaOrder::Close) = output {
                self.closing.insert(leg.clone(), record.id.clone());
            }
        }
        // Media answers every Close; the bound only guards against one that does not.
        while self.closing.len() > HISTORY {
            self.closing.pop_first();
        }
        let Some(over) = over else { return };
        self.unsettled.extend(call.unsettled());
        self.view.last = Some(over);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(record);
        self.current = None;
    }
}

fn deny(why: &str, out: &mut Vec<Output>) {
    out.push(Output::Event(Event::Denied(why.to_owned())));
}
