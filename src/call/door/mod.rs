//! Who may open the door, and what the door does: pure, part of the core.
//!
//! # Contract
//!
//! * Nobody may open unless [`DoorSettings`] says so: without them every wish is
//!   refused, and no digits are looked at.
//! * A pulse is ordered ([`DoorOrder::Pulse`]) once for each wish that is allowed, and
//!   never otherwise: by a user of the page with the right; by the remote party of a
//!   call that is established and not held, is on the list and gives the code, in
//!   tones or in a parameter; by the request-to-exit button. No button of the front
//!   panel leads here.
//! * Every wish, allowed or not, is told: first [`DoorNews::Attempt`], then exactly one
//!   of [`DoorNews::Opened`] and [`DoorNews::Refused`].
//! * A held call opens nothing: what is heard from it may be music, or meant for the
//!   call that it is held for.
//! * The contact of the door that opens without a release is an alarm, and so is a
//!   door that stays open.

mod code;
mod news;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::timer::Timers;
use super::{
    Address, CallId, Device, Digit, Event, LegId, Output, Parameter, Sensor, Target, Timer,
};

pub use self::code::Code;
use self::code::{Dialled, Guard, Verdict, keys};
pub use self::news::{Alarm, Attempt, DoorNews, DoorOrder, Refused, Relay, Way};

/// The parameter of a call's message that opens: its value is the code.
pub const OPEN_PARAMETER: &str = "X-Door-Open";
/// Between the end of a pulse and the contact's report of a door that was pulled in
/// time: the contact is debounced, and a door takes a moment (our choice).
const GRACE: Duration = Duration::from_secs(3);
/// Wishes that may wait for the relay's answer; it answers within a second.
const WAITING: usize = 8;

/// The door, if the station has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorSettings {
    /// How long the relay is on.
    pub pulse: Duration,
    /// The call that opened is ended this long after it did, if at all.
    pub hang_up_after: Option<Duration>,
    /// A door that stands open for longer is an alarm.
    pub open_too_long: Duration,
    /// A door that opens without a release is an alarm.
    pub forced_alarm: bool,
    /// Users of the indoor page who may open at any time.
    pub users: BTreeSet<Address>,
    /// Who may open from a call.
    pub parties: BTreeSet<Target>,
    /// What they dial for it; without it no call opens.
    pub code: Option<Code>,
}

/// The other end of a leg, and how the call stands.
pub(super) struct Party {
    pub(super) target: Option<Target>,
    pub(super) call: CallId,
    pub(super) standing: Standing,
}

/// How a call stands, as far as doors are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Early,
    Established,
    Held,
    Over,
}

/// What the core knows of the door.
#[derive(Debug)]
pub(super) struct Door {
    settings: Option<DoorSettings>,
    /// The connection to the relay's guardian, while there is one.
    link: Option<u32>,
    open: bool,
    /// The contact may open until then.
    released_until: Option<Instant>,
    contact: Option<bool>,
    exit: Option<bool>,
    waiting: BTreeMap<u32, Wish>,
    next: u32,
    timers: Timers,
    hang_up: Option<CallId>,
    dialled: Dialled,
    guard: Guard,
    alarms: BTreeSet<Alarm>,
}

#[derive(Debug)]
struct Wish {
    attempt: Attempt,
    ticket: Option<u64>,
}

impl Door {
    pub(super) fn new(settings: Option<DoorSettings>) -> Self {
        Self {
            settings,
            link: None,
            open: false,
            released_until: None,
            contact: None,
            exit: None,
            waiting: BTreeMap::new(),
            next: 0,
            timers: Timers::default(),
            hang_up: None,
            dialled: Dialled::default(),
            guard: Guard::default(),
            alarms: BTreeSet::new(),
        }
    }

    /// The relay is on.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// What is wrong with the door, as devices go.
    pub(super) fn alarm(&self) -> Option<(Device, String)> {
        let alarm = self.alarms.first()?;
        Some((Device::Door, alarm.sentence().to_owned()))
    }

    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
    }

    /// Does what is due; gives the call that is to be ended.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Output>) -> Option<CallId> {
        let mut ends = None;
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::HangUp => ends = self.hang_up.take(),
                Timer::OpenTooLong => self.raise(Alarm::OpenTooLong, out),
                // Those of calls are not among ours.
                Timer::Setup
                | Timer::NoAnswer
                | Timer::Alerting
                | Timer::MediaUp
                | Timer::MaxCall
                | Timer::Update
                | Timer::Retry
                | Timer::FarEndClosed => {}
            }
        }
        ends
    }

    /// A user of the page wants it open; `call` is the one that this user is in.
    pub(super) fn user(
        &mut self,
        ticket: u64,
        user: Address,
        call: Option<CallId>,
        stopping: bool,
        out: &mut Vec<Output>,
    ) {
        let may = self
            .settings
            .as_ref()
            .map(|door| door.users.contains(&user));
        let wish = Wish {
            attempt: Attempt {
                way: Way::Page,
                who: Some(user),
                account: None,
                call,
            },
            ticket: Some(ticket),
        };
        let refused = match may {
            Some(true) if stopping => Some(Refused::Stopping),
            Some(true) => None,
            Some(false) => Some(Refused::NotAllowed),
            None => Some(Refused::NoDoor),
        };
        self.decide(wish, refused, out);
    }

    /// The far end of `leg` pressed a key.
    pub(super) fn key(
        &mut self,
        leg: &LegId,
        key: Digit,
        party: Option<Party>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(code) = self.code() else { return };
        if let Some(tried) = self.dialled.take(leg, key, &code, now)
            && let Some(party) = party
        {
            self.party(Way::Digits, party, Some(&tried), now, out);
        }
    }

    /// The far end sent parameters along.
    pub(super) fn parameters(
        &mut self,
        parameters: &[Parameter],
        party: Option<Party>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let open = parameters
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(OPEN_PARAMETER));
        if let (Some(open), Some(party)) = (open, party) {
            let tried = keys(&open.value);
            self.party(Way::Parameter, party, tried.as_deref(), now, out);
        }
    }

    /// A sensor went to `active` or back to rest.
    pub(super) fn sensor(
        &mut self,
        sensor: Sensor,
        active: bool,
        stopping: bool,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(settings) = &self.settings else {
            return;
        };
        match sensor {
            Sensor::Tamper => out.push(Output::Door(DoorOrder::Tampered(active))),
            Sensor::DoorContact => self.contact(active, now, out),
            // One that is pressed when we start may be stuck: it opens nothing until
            // it was seen at rest.
            Sensor::RequestToExit => {
                let pressed = active && self.exit == Some(false);
                self.exit = Some(active);
                if pressed {
                    // Who leaves may use the handle, whatever the relay says.
                    self.released_until = Some(now + settings.pulse + GRACE);
                    let attempt = Attempt {
                        way: Way::Exit,
                        who: None,
                        account: None,
                        call: None,
                    };
                    let refused = stopping.then_some(Refused::Stopping);
                    let ticket = None;
                    self.decide(Wish { attempt, ticket }, refused, out);
                }
            }
        }
    }

    /// The relay's guardian, or the connection to it, says something.
    pub(super) fn relay(&mut self, relay: Relay, now: Instant, out: &mut Vec<Output>) {
        match relay {
            Relay::Here { link } => {
                self.link = Some(link);
                self.answer_all(Refused::NoRelay, out);
            }
            Relay::Lost => {
                self.link = None;
                // A guardian whose client has gone ends its pulse.
                self.set_open(false, now, out);
                self.answer_all(Refused::NoRelay, out);
            }
            Relay::State { open: true } if !self.open => {
                self.set_open(true, now, out);
                let attempt = Attempt {
                    way: Way::Elsewhere,
                    who: None,
                    account: None,
                    call: None,
                };
                out.push(Event::Door(DoorNews::Opened(attempt)).into());
            }
            Relay::State { open } => self.set_open(open, now, out),
            Relay::Opened { number } => {
                let Some(wish) = self.waiting.remove(&number) else {
                    return;
                };
                self.set_open(true, now, out);
                self.opened(&wish.attempt, now);
                answer(wish, Ok(()), out);
            }
            Relay::Refused { number, refused } => {
                if let Some(wish) = self.waiting.remove(&number) {
                    answer(wish, Err(refused), out);
                }
            }
        }
    }

    /// Keys of calls may be of the code: then they are nobody's news.
    pub(super) fn takes_codes(&self) -> bool {
        self.settings
            .as_ref()
            .is_some_and(|door| door.code.is_some())
    }

    fn code(&self) -> Option<Code> {
        self.settings.as_ref()?.code.clone()
    }

    fn party(
        &mut self,
        way: Way,
        party: Party,
        tried: Option<&[Digit]>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let refused = self.refused(&party, tried.unwrap_or_default(), now);
        let (who, account) = match party.target {
            Some(Target { account, to }) => (Some(to), Some(account)),
            None => (None, None),
        };
        let attempt = Attempt {
            way,
            who,
            account,
            call: Some(party.call),
        };
        let ticket = None;
        self.decide(Wish { attempt, ticket }, refused, out);
    }

    /// Why the party of a call may not open now. The code is compared last: who may
    /// not open does not learn whether it was right.
    fn refused(&mut self, party: &Party, tried: &[Digit], now: Instant) -> Option<Refused> {
        let Some(settings) = &self.settings else {
            return Some(Refused::NoDoor);
        };
        if party.standing == Standing::Over {
            return Some(Refused::Over);
        }
        let listed = party.target.as_ref();
        if !listed.is_some_and(|target| settings.parties.contains(target)) {
            return Some(Refused::NotAllowed);
        }
        match party.standing {
            Standing::Early => return Some(Refused::NotEstablished),
            Standing::Held => return Some(Refused::Held),
            Standing::Over => return Some(Refused::Over),
            Standing::Established => {}
        }
        let Some(code) = &settings.code else {
            return Some(Refused::NotAllowed);
        };
        match self.guard.try_code(tried, code, &party.call, now) {
            Verdict::Right => None,
            Verdict::Wrong => Some(Refused::WrongCode),
            Verdict::Locked => Some(Refused::LockedOut),
        }
    }

    /// Tells of the wish and orders the pulse, or refuses.
    fn decide(&mut self, wish: Wish, refused: Option<Refused>, out: &mut Vec<Output>) {
        out.push(Event::Door(DoorNews::Attempt(wish.attempt.clone())).into());
        if let Some(refused) = refused {
            return answer(wish, Err(refused), out);
        }
        let (Some(settings), Some(link)) = (&self.settings, self.link) else {
            return answer(wish, Err(Refused::NoRelay), out);
        };
        if self.waiting.len() >= WAITING {
            return answer(wish, Err(Refused::Busy), out);
        }
        let (number, length) = (self.next, settings.pulse);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(number, wish);
        out.push(Output::Door(DoorOrder::Pulse {
            link,
            number,
            length,
        }));
    }

    fn opened(&mut self, attempt: &Attempt, now: Instant) {
        let after = self.settings.as_ref().and_then(|door| door.hang_up_after);
        if let (Some(after), Some(call)) = (after, &attempt.call) {
            self.hang_up = Some(call.clone());
            self.timers.start(Timer::HangUp, now + after);
        }
    }

    fn set_open(&mut self, open: bool, now: Instant, out: &mut Vec<Output>) {
        if self.open && !open {
            self.released_until = Some(now + GRACE);
            out.push(Event::Door(DoorNews::Closed).into());
        }
        self.open = open;
    }

    fn answer_all(&mut self, refused: Refused, out: &mut Vec<Output>) {
        for wish in std::mem::take(&mut self.waiting).into_values() {
            answer(wish, Err(refused), out);
        }
    }

    fn contact(&mut self, open: bool, now: Instant, out: &mut Vec<Output>) {
        let Some(settings) = &self.settings else {
            return;
        };
        let before = self.contact.replace(open);
        if before == Some(open) {
            return;
        }
        if before.is_some() || open {
            out.push(Event::Door(DoorNews::Contact { open }).into());
        }
        if !open {
            self.timers.stop(Timer::OpenTooLong);
            for alarm in std::mem::take(&mut self.alarms) {
                out.push(Event::Door(DoorNews::AlarmOver(alarm)).into());
            }
            return;
        }
        let too_long = now + settings.open_too_long;
        let released = self.open || self.released_until.is_some_and(|until| now < until);
        // One that is open when we start was opened before.
        let forced = settings.forced_alarm && before.is_some() && !released;
        self.timers.start(Timer::OpenTooLong, too_long);
        if forced {
            self.raise(Alarm::Forced, out);
        }
    }

    fn raise(&mut self, alarm: Alarm, out: &mut Vec<Output>) {
        if self.alarms.insert(alarm) {
            out.push(Event::Door(DoorNews::Alarm(alarm)).into());
        }
    }
}

/// Tells how a wish ended, to everybody and to whoever had it.
fn answer(wish: Wish, result: Result<(), Refused>, out: &mut Vec<Output>) {
    let news = match result {
        Ok(()) => DoorNews::Opened(wish.attempt),
        Err(refused) => DoorNews::Refused(wish.attempt, refused),
    };
    out.push(Event::Door(news).into());
    if let Some(ticket) = wish.ticket {
        out.push(Output::Answer(ticket, result));
    }
}
