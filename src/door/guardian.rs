//! What the relay guardian decides: pure, without I/O and without a clock.
//!
//! # Contract
//!
//! * The line is on only within a pulse, and a pulse is never longer than
//!   [`Limits::LONGEST`]. While the line is on nothing prolongs it: a further order
//!   is refused.
//! * A pulse ends early when the client that ordered it leaves or is silent for
//!   [`Limits::SILENCE`], when our own watcher is silent for [`Limits::UNWATCHED`],
//!   on tampering and on [`Input::Stop`].
//! * At most [`Limits::PER_MINUTE`] pulses begin in any minute, and between two of
//!   them, and between the start of the guardian and its first, lie
//!   [`Limits::GAP`]: a guardian that is started again and again opens no longer
//!   than one that is not.
//! * After tampering every pulse is refused for [`Limits::LOCKED`], counted in time
//!   that the guardian runs, from when the tampering ended. What is left is given
//!   out to be kept ([`Output::Keep`]) and taken again at the next start. The time
//!   of day plays no part: setting a clock shortens nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::message::{Message, Refusal, Reply};

/// One connection of a client, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A client that may order pulses has connected.
    Joined(Client),
    /// It said something.
    Said(Client, Message),
    /// It has gone.
    Left(Client),
    /// Our watcher is alive.
    Watched,
    /// Time has passed: [`Guardian::deadline`] is reached.
    Tick,
    /// The guardian is to end.
    Stop,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Drive the line: on or off.
    Line(bool),
    /// Tell a client.
    Tell(Client, Reply),
    /// Close a client's connection.
    Drop(Client),
    /// Keep on disk how long opening is still refused; zero: not any more.
    Keep(Duration),
}

/// The limits. All but one are fixed: nobody needs a door that is less safe.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    longest: Duration,
}

impl Limits {
    /// No pulse is longer, whatever a configuration says.
    pub const LONGEST: Duration = Duration::from_secs(10);
    /// The shortest pulse that is a pulse.
    pub const SHORTEST: Duration = Duration::from_millis(100);
    /// Pulses that may begin in a minute.
    pub const PER_MINUTE: usize = 10;
    /// Between the end of a pulse and the next.
    pub const GAP: Duration = Duration::from_secs(1);
    /// A client that says nothing for so long is gone.
    pub const SILENCE: Duration = Duration::from_secs(2);
    /// A watcher that says nothing for so long is gone.
    pub const UNWATCHED: Duration = Duration::from_millis(1500);
    /// How long opening is refused after tampering.
    pub const LOCKED: Duration = Duration::from_secs(30 * 60);
    /// How often the time that is left of it is kept: a power cut makes it longer
    /// by at most this.
    const KEEP: Duration = Duration::from_secs(60);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Pulses of at most `longest`; `None` unless it lies between
    /// [`Limits::SHORTEST`] and [`Limits::LONGEST`].
    pub fn new(longest: Duration) -> Option<Self> {
        let range = Self::SHORTEST..=Self::LONGEST;
        range.contains(&longest).then_some(Self { longest })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            longest: Self::LONGEST,
        }
    }
}

/// The pulse that is under way.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    client: Client,
    ends: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    tampered: bool,
}

/// Refused until then; what is left was kept last at `kept`.
#[derive(Clone, Copy, Debug)]
struct Lock {
    until: Instant,
    kept: Instant,
}

/// The state of the guardian.
#[derive(Debug)]
pub struct Guardian {
    limits: Limits,
    clients: BTreeMap<Client, Heard>,
    pulse: Option<Pulse>,
    /// When the pulses of the latest minute began; never more than
    /// [`Limits::PER_MINUTE`].
    begun: VecDeque<Instant>,
    /// No pulse before this.
    rest_until: Instant,
    watched: Instant,
    lock: Option<Lock>,
    stopped: bool,
}

impl Guardian {
    /// The line is off. `locked` is what was kept last.
    pub fn new(limits: Limits, locked: Duration, now: Instant) -> Self {
        Self {
            limits,
            clients: BTreeMap::new(),
            pulse: None,
            begun: VecDeque::new(),
            rest_until: now + Limits::GAP,
            watched: now,
            lock: (!locked.is_zero()).then(|| Lock {
                until: now + locked.min(Limits::LOCKED),
                kept: now,
            }),
            stopped: false,
        }
    }

    /// Takes one input; see the module's contract.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        // What is over is over before anything new is looked at.
        self.expire(now, &mut out);
        match input {
            Input::Joined(client) => {
                let tampered = false;
                self.clients.insert(client, Heard { at: now, tampered });
                out.push(Output::Tell(client, self.state(now)));
            }
            Input::Said(client, message) if self.clients.contains_key(&client) => match message {
                Message::Beat { tampered } => self.beat(client, tampered, now, &mut out),
                Message::Pulse { number, length } => {
                    self.asked(client, number, length, now, &mut out);
                }
            },
            // It was dropped while this was on its way.
            Input::Said(..) => {}
            Input::Left(client) => self.left(client, now, &mut out),
            Input::Watched => self.watched = now,
            Input::Tick => {}
            Input::Stop => {
                self.stopped = true;
                self.end_pulse(now, &mut out);
            }
        }
        out
    }

    /// When [`Input::Tick`] is due, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let silent = self
            .clients
            .values()
            .map(|heard| heard.at + Limits::SILENCE);
        let pulse = self.pulse.iter();
        let pulse = pulse.flat_map(|pulse| [pulse.ends, self.watched + Limits::UNWATCHED]);
        let lock = self.lock.iter();
        let lock = lock.map(|lock| lock.until.min(lock.kept + Limits::KEEP));
        silent.chain(pulse).chain(lock).min()
    }

    /// Whether the line is to be on.
    pub fn is_on(&self) -> bool {
        self.pulse.is_some()
    }

    fn beat(&mut self, client: Client, tampered: bool, now: Instant, out: &mut Vec<Output>) {
        let was = self.is_tampered();
        self.clients.insert(client, Heard { at: now, tampered });
        if tampered {
            // Kept at once when it begins; from then on it only stays at its full length.
            if !was {
                out.push(Output::Keep(Limits::LOCKED));
            }
            self.lock = Some(Lock {
                until: now + Limits::LOCKED,
                kept: now,
            });
            self.end_pulse(now, out);
        }
        out.push(Output::Tell(client, self.state(now)));
    }

    fn asked(
        &mut self,
        client: Client,
        number: u32,
        length: Duration,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if let Some(why) = self.refusal(length, now) {
            return out.push(Output::Tell(client, Reply::Refused { number, why }));
        }
        self.begun.push_back(now);
        self.pulse = Some(Pulse {
            client,
            ends: now + length,
        });
        out.push(Output::Line(true));
        out.push(Output::Tell(client, Reply::Opened { number }));
        self.tell_all(now, out);
    }

    fn refusal(&mut self, length: Duration, now: Instant) -> Option<Refusal> {
        while let Some(first) = self.begun.front()
            && now.saturating_duration_since(*first) >= Limits::MINUTE
        {
            self.begun.pop_front();
        }
        if self.stopped || now >= self.watched + Limits::UNWATCHED {
            Some(Refusal::Stopping)
        } else if self.lock.is_some() {
            Some(Refusal::Locked)
        } else if !(Limits::SHORTEST..=self.limits.longest).contains(&length) {
            Some(Refusal::Length)
        } else if self.pulse.is_some() {
            Some(Refusal::Open)
        } else if now < self.rest_until {
            Some(Refusal::TooSoon)
        } else if self.begun.len() >= Limits::PER_MINUTE {
            Some(Refusal::TooOften)
        } else {
            None
        }
    }

    fn left(&mut self, client: Client, now: Instant, out: &mut Vec<Output>) {
        self.clients.remove(&client);
        if self.pulse.is_some_and(|pulse| pulse.client == client) {
            self.end_pulse(now, out);
        }
    }

    /// Ends what time has ended.
    fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(pulse) = self.pulse
            && (now >= pulse.ends || now >= self.watched + Limits::UNWATCHED)
        {
            self.end_pulse(now, out);
        }
        let silent = self.clients.iter();
        let silent = silent.filter(|(_, heard)| now >= heard.at + Limits::SILENCE);
        let silent: Vec<Client> = silent.map(|(client, _)| *client).collect();
        for client in silent {
            self.left(client, now, out);
            out.push(Output::Drop(client));
        }
        if let Some(lock) = &mut self.lock {
            if now >= lock.until {
                self.lock = None;
                out.push(Output::Keep(Duration::ZERO));
                self.tell_all(now, out);
            } else if now >= lock.kept + Limits::KEEP {
                lock.kept = now;
                out.push(Output::Keep(lock.until - now));
            }
        }
    }

    fn end_pulse(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.pulse.take().is_some() {
            self.rest_until = now + Limits::GAP;
            out.push(Output::Line(false));
            self.tell_all(now, out);
        }
    }

    fn is_tampered(&self) -> bool {
        self.clients.values().any(|heard| heard.tampered)
    }

    fn tell_all(&self, now: Instant, out: &mut Vec<Output>) {
        let state = self.state(now);
        let clients = self.clients.keys();
        out.extend(clients.map(|client| Output::Tell(*client, state.clone())));
    }

    fn state(&self, now: Instant) -> Reply {
        let left = self.lock.map(|lock| lock.until - now);
        Reply::State {
            open: self.pulse.is_some(),
            // Rounded up: what is locked is not zero.
            locked_s: left.map_or(0, |left| left.as_millis().div_ceil(1000) as u32),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
