//! Buttons and sensors on lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Edge, Inputs, LineError};
use crate::board;
use crate::call::Sensor;
use crate::clock;
use crate::panel::action::{Action, Actions};
use crate::panel::debounce::{self, Debouncer, Event, STUCK};
use crate::panel::settings::Settings;
use crate::panel::{Buttons, Press};

/// How long lines that could not be read are left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// Reed contacts and switches bounce for a few ms; a door moves slowly.
const SENSOR_LEAST: Duration = Duration::from_millis(50);

/// Presses from lines: first the buttons of the settings, then the sensors.
pub struct LineButtons<I> {
    lines: I,
    contacts: Vec<Contact>,
    /// What was found out and not told yet. One edge makes at most a few of them,
    /// and no further edge is read before they are told.
    ready: VecDeque<Press>,
    /// The number of the latest edge.
    latest: Option<u32>,
    /// What is wrong now.
    faults: BTreeMap<Wrong, String>,
}

struct Contact {
    role: Role,
    debouncer: Debouncer,
}

enum Role {
    Button {
        name: String,
        actions: Actions,
        long: Option<Action>,
    },
    Sensor(Sensor),
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Lines,
    Stuck(usize),
}

impl<I: Inputs> LineButtons<I> {
    /// Reads `lines`, which must be the buttons and then the sensors of `settings`,
    /// in their order.
    ///
    /// # Errors
    /// The lines cannot be read.
    pub fn new(mut lines: I, settings: &Settings) -> Result<Self, LineError> {
        let levels = lines.levels()?;
        let now = clock::now();
        let buttons = settings.buttons.iter().map(|button| {
            let role = Role::Button {
                name: button.name.clone(),
                actions: button.actions,
                long: button.long_press.map(|(_, action)| action),
            };
            let timing = debounce::Settings {
                least: button.least_press,
                long: button.long_press.map(|(held, _)| held),
                stuck: Some(STUCK),
            };
            (role, timing)
        });
        let sensors = settings.wiring.sensors.keys().map(|sensor| {
            let timing = debounce::Settings {
                least: SENSOR_LEAST,
                long: None,
                stuck: None,
            };
            (Role::Sensor(*sensor), timing)
        });
        let mut ready = VecDeque::new();
        let mut contacts = Vec::new();
        for (n, (role, timing)) in buttons.chain(sensors).enumerate() {
            let level = levels.get(n).copied().unwrap_or(false);
            if let Role::Sensor(sensor) = role {
                ready.push_back(Press::Sensor(sensor, level));
            }
            let debouncer = Debouncer::new(timing, level, now);
            contacts.push(Contact { role, debouncer });
        }
        Ok(Self {
            lines,
            contacts,
            ready,
            latest: None,
            faults: BTreeMap::new(),
        })
    }

    fn take(&mut self, edge: Edge) {
        let expected = self.latest.map(|latest| latest.wrapping_add(1));
        self.latest = Some(edge.number);
        if expected.is_some_and(|expected| expected != edge.number) {
            tracing::warn!("edges of the panel's lines were lost; their levels are read again");
            return self.read_again();
        }
        for n in 0..self.contacts.len() {
            let debouncer = &mut self.contacts[n].debouncer;
            let events = match n == edge.line {
                true => debouncer.edge(edge.active, edge.at),
                // A line that babbles must not hold up the time of the others.
                false => debouncer.advance(edge.at),
            };
            self.tell(n, events);
        }
    }

    /// Takes every level as it is now.
    fn read_again(&mut self) {
        let now = clock::now();
        match self.lines.levels() {
            Ok(levels) => {
                for (n, level) in levels.into_iter().enumerate().take(self.contacts.len()) {
                    let events = self.contacts[n].debouncer.edge(level, now);
                    self.tell(n, events);
                }
                self.mended(Wrong::Lines);
            }
            Err(error) => self.broken(Wrong::Lines, format!("the lines cannot be read: {error}")),
        }
    }

    fn advance(&mut self, now: Instant) {
        for n in 0..self.contacts.len() {
            let events = self.contacts[n].debouncer.advance(now);
            self.tell(n, events);
        }
    }

    fn tell(&mut self, n: usize, events: Vec<Event>) {
        for event in events {
            let press = match (&self.contacts[n].role, event) {
                (Role::Sensor(sensor), Event::Pressed) => Some(Press::Sensor(*sensor, true)),
                (Role::Sensor(sensor), Event::Released { .. }) => {
                    Some(Press::Sensor(*sensor, false))
                }
                (Role::Sensor(_), Event::Held | Event::Stuck) => None,
                (Role::Button { actions, long, .. }, Event::Pressed) => {
                    long.is_none().then_some(Press::Wired(*actions))
                }
                (Role::Button { long, .. }, Event::Held) => {
                    long.map(|action| Press::Wired(Actions::always(action)))
                }
                (Role::Button { name, .. }, Event::Stuck) => {
                    let what = format!(
                        "the button '{name}' is closed for {} s; look whether it or its wire is stuck",
                        STUCK.as_secs()
                    );
                    self.broken(Wrong::Stuck(n), what);
                    None
                }
                (Role::Button { actions, long, .. }, Event::Released { spent, was_stuck }) => {
                    let short = long.is_some() && !spent && !was_stuck;
                    let press = short.then_some(Press::Wired(*actions));
                    self.mended(Wrong::Stuck(n));
                    press
                }
            };
            self.ready.extend(press);
        }
    }

    fn broken(&mut self, wrong: Wrong, what: String) {
        if self.faults.get(&wrong) != Some(&what) {
            self.faults.insert(wrong, what);
            self.tell_faults();
        }
    }

    fn mended(&mut self, wrong: Wrong) {
        if self.faults.remove(&wrong).is_some() {
            self.tell_faults();
        }
    }

    fn tell_faults(&mut self) {
        let faults: Vec<_> = self.faults.values().map(String::as_str).collect();
        let told = (!faults.is_empty()).then(|| faults.join("; "));
        self.ready.push_back(Press::Fault(told));
    }

    fn deadline(&self) -> Option<Instant> {
        let contacts = self.contacts.iter();
        contacts
            .filter_map(|contact| contact.debouncer.deadline())
            .min()
    }
}

#[async_trait]
impl<I: Inputs> Buttons for LineButtons<I> {
    async fn next(&mut self) -> Option<Press> {
        loop {
            if let Some(press) = self.ready.pop_front() {
                return Some(press);
            }
            if self.faults.contains_key(&Wrong::Lines) {
                tokio::time::sleep(AGAIN).await;
                self.read_again();
                continue;
            }
            let deadline = self.deadline();
            tokio::select! {
                // Edges first: a level that has already changed must not settle.
                biased;
                edge = self.lines.edge() => match edge {
                    Ok(edge) => self.take(edge),
                    Err(error) => {
                        self.broken(Wrong::Lines, format!("the lines cannot be read: {error}"));
                    }
                },
                () = due(deadline) => self.advance(clock::now()),
            }
        }
    }
}

/// Ready at `deadline`; never if there is none.
async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What a line is called in a trial.
pub(in crate::panel) fn names(settings: &Settings) -> Vec<String> {
    let buttons = settings.buttons.iter();
    let buttons = buttons.map(|button| button.name.clone());
    let sensors = settings.wiring.sensors.keys();
    let sensors = sensors.map(|sensor| board::sensor_name(*sensor).to_owned());
    buttons.chain(sensors).collect()
}
