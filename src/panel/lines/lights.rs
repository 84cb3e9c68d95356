//! Lights on lines.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Outputs;
use crate::board::{Lamp, Light, Shows};
use crate::clock;
use crate::panel::Lights;
use crate::panel::light_pattern::Pattern;
use crate::panel::settings::Settings;
use crate::panel::sign::Sign;

/// A pulse moves in steps of this.
const STEP: Duration = Duration::from_millis(20);

/// Lights on lines: those of the settings in their order, each with its lines in the
/// order of [`Lamp::outputs`].
pub struct LineLights<O> {
    outputs: O,
    channels: Vec<Channel>,
    /// What is shown, and since when.
    shown: Option<(Pattern, Instant)>,
    entrance_light: Duration,
    entrance_until: Option<Instant>,
    /// What each line was last driven with.
    duties: Vec<Option<u8>>,
    failed: bool,
}

/// One line of a light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    shows: Shows,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Pwm,
    /// The first, second or third of red, green and blue.
    Part(usize),
}

impl Channel {
    /// The lines of a light.
    pub fn of(light: &Light) -> Vec<Channel> {
        let kinds = match light.lamp {
            Lamp::Plain(_) => vec![Kind::Plain],
            Lamp::Pwm(_) => vec![Kind::Pwm],
            Lamp::Rgb { .. } => (0..3).map(Kind::Part).collect(),
        };
        let shows = light.shows;
        kinds
            .into_iter()
            .map(|kind| Channel { shows, kind })
            .collect()
    }

    /// How it is driven, 0 to 255, this long after `pattern` began.
    pub fn duty(self, pattern: &Pattern, elapsed: Duration, entrance: bool) -> u8 {
        let level = match self.shows {
            Shows::Entrance => return if entrance { u8::MAX } else { 0 },
            Shows::Colour(colour) if colour != pattern.colour => 0,
            Shows::Colour(_) | Shows::All => pattern.level(elapsed),
        };
        match self.kind {
            Kind::Plain if level > pattern.brightness / 2 => u8::MAX,
            Kind::Plain => 0,
            Kind::Pwm => level,
            Kind::Part(n) => {
                let share = u16::from(pattern.colour.rgb()[n]);
                u8::try_from(u16::from(level) * share / 255).unwrap_or(u8::MAX)
            }
        }
    }
}

impl<O: Outputs> LineLights<O> {
    /// Drives `outputs`, which must be the lines of the lights of `settings`.
    pub fn new(outputs: O, settings: &Settings) -> Self {
        let channels: Vec<_> = settings
            .wiring
            .lights
            .iter()
            .flat_map(Channel::of)
            .collect();
        Self {
            outputs,
            duties: vec![None; channels.len()],
            channels,
            shown: None,
            entrance_light: settings.entrance_light,
            entrance_until: None,
            failed: false,
        }
    }

    /// Drives every line that is to change.
    fn apply(&mut self, now: Instant) {
        if self.entrance_until.is_some_and(|until| until <= now) {
            self.entrance_until = None;
        }
        let entrance = self.entrance_until.is_some();
        let Some((pattern, since)) = self.shown else {
            return;
        };
        let elapsed = now.saturating_duration_since(since);
        for (n, channel) in self.channels.iter().enumerate() {
            let duty = channel.duty(&pattern, elapsed, entrance);
            if self.duties[n] == Some(duty) {
                continue;
            }
            match self.outputs.set(n, duty) {
                Ok(()) => {
                    self.duties[n] = Some(duty);
                    self.failed = false;
                }
                Err(error) => {
                    // Tried again at the next change.
                    if !std::mem::replace(&mut self.failed, true) {
                        tracing::error!(%error, "a light of the panel cannot be driven");
                    }
                }
            }
        }
    }

    fn next_change(&self, now: Instant) -> Option<Instant> {
        let (pattern, since) = self.shown?;
        let elapsed = now.saturating_duration_since(since);
        let pattern = pattern.next_change(elapsed, STEP).map(|at| since + at);
        [pattern, self.entrance_until].into_iter().flatten().min()
    }
}

#[async_trait]
impl<O: Outputs> Lights for LineLights<O> {
    async fn show(&mut self, sign: Sign, pattern: Pattern) {
        let now = clock::now();
        if sign == Sign::Stopping {
            self.entrance_until = None;
        }
        self.shown = Some((pattern, now));
        self.apply(now);
    }

    async fn animate(&mut self) {
        loop {
            match self.next_change(clock::now()) {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
            self.apply(clock::now());
        }
    }

    fn light_entrance(&mut self) {
        let now = clock::now();
        self.entrance_until = Some(now + self.entrance_light);
        self.apply(now);
    }
}
