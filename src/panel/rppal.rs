//! Lines of a Raspberry Pi with Raspberry Pi's kernel, by its registers.
//!
//! `rppal` knows the machine by itself; elsewhere it refuses, with one clear sentence
//! of ours ([`LineError::NoRaspberryPi`]). Edges arrive on threads of its own and are
//! handed over by a bounded queue; one that is full loses edges, which their numbers
//! tell, and the levels are read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::rppal::gpio::{self, Bias, Gpio, InputPin, Level, OutputPin, Trigger};
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::lines::{Dimmer, Edge, Inputs, LineError, Switch};
use super::settings::Settings;
use crate::board::{Active, Input, Output, Pull};
use crate::clock;

/// Edges that wait for us: as many as the character device keeps.
const WAITING: usize = 256;

/// The lines of a panel: those that are read, debounced first by the kernel, and those
/// that are driven. The relay's line is left alone.
///
/// # Errors
/// This is no Raspberry Pi, or the registers or a line are not ours to open.
pub fn open(
    settings: &Settings,
    debounce: Option<Duration>,
) -> Result<(RppalInputs, Dimmer), LineError> {
    let gpio = Gpio::new().map_err(refused)?;
    let buttons = settings.buttons.iter().map(|button| button.input);
    let sensors = settings.wiring.sensors.values().copied();
    let lights = settings.wiring.lights.iter();
    let outputs = lights.flat_map(|light| light.lamp.outputs());
    Ok((
        RppalInputs::open(&gpio, buttons.chain(sensors), debounce)?,
        open_lights(&gpio, outputs)?,
    ))
}

/// Whether this is a Raspberry Pi whose registers we may open.
pub fn is_usable() -> bool {
    Gpio::new().is_ok()
}

/// Lines that are read.
pub struct RppalInputs {
    pins: Vec<(InputPin, Active)>,
    edges: mpsc::Receiver<Edge>,
}

impl RppalInputs {
    fn open(
        gpio: &Gpio,
        inputs: impl Iterator<Item = Input>,
        debounce: Option<Duration>,
    ) -> Result<Self, LineError> {
        let (tell, edges) = mpsc::channel(WAITING);
        let number = Arc::new(AtomicU32::new(0));
        let mut pins = Vec::new();
        for (line, input) in inputs.enumerate() {
            let mut pin = get(gpio, input.pin)?.into_input();
            pin.set_bias(match input.pull {
                Pull::Up => Bias::PullUp,
                Pull::Down => Bias::PullDown,
                Pull::Off => Bias::Off,
            });
            let (tell, number) = (tell.clone(), number.clone());
            let told = move |event: gpio::Event| {
                let high = event.trigger == Trigger::RisingEdge;
                let stamp = u64::try_from(event.timestamp.as_nanos()).unwrap_or(u64::MAX);
                let edge = Edge {
                    line,
                    active: high == (input.active == Active::High),
                    at: clock::at_monotonic(stamp),
                    number: number.fetch_add(1, Ordering::Relaxed),
                };
                // Full: the number is missing, and the levels are read again.
                let _ = tell.try_send(edge);
            };
            pin.set_async_interrupt(Trigger::Both, debounce, told)
                .map_err(refused)?;
            pins.push((pin, input.active));
        }
        Ok(Self { pins, edges })
    }
}

#[async_trait]
impl Inputs for RppalInputs {
    fn levels(&mut self) -> Result<Vec<bool>, LineError> {
        let level = |(pin, active): &(InputPin, Active)| {
            (pin.read() == Level::High) == (*active == Active::High)
        };
        Ok(self.pins.iter().map(level).collect())
    }

    async fn edge(&mut self) -> Result<Edge, LineError> {
        match self.edges.recv().await {
            Some(edge) => Ok(edge),
            // No lines are read at all.
            None => std::future::pending().await,
        }
    }
}

fn open_lights(gpio: &Gpio, outputs: impl Iterator<Item = Output>) -> Result<Dimmer, LineError> {
    let mut pins = Vec::new();
    for output in outputs {
        let pin = get(gpio, output.pin)?;
        let pin = match output.active {
            Active::Low => pin.into_output_high(),
            Active::High => pin.into_output_low(),
        };
        pins.push((pin, output.active));
    }
    let lines = pins.len();
    Dimmer::start(RppalLights { pins }, lines)
}

/// Lines that are driven. We dim by ourselves: rppal's own dimming keeps a thread and
/// a busy wait for each line.
struct RppalLights {
    pins: Vec<(OutputPin, Active)>,
}

impl Switch for RppalLights {
    fn switch(&mut self, line: usize, on: bool) -> Result<(), LineError> {
        let Some((pin, active)) = self.pins.get_mut(line) else {
            return Err(LineError::failed("driving a light", "it has no such line"));
        };
        let high = on == (*active == Active::High);
        pin.write(if high { Level::High } else { Level::Low });
        Ok(())
    }
}

fn get(gpio: &Gpio, pin: u32) -> Result<gpio::Pin, LineError> {
    let number = u8::try_from(pin).map_err(|_| refused(gpio::Error::PinNotAvailable(u8::MAX)))?;
    gpio.get(number).map_err(refused)
}

fn refused(error: gpio::Error) -> LineError {
    match error {
        gpio::Error::UnknownModel => LineError::NoRaspberryPi,
        gpio::Error::PermissionDenied(what) => LineError::Denied { what },
        gpio::Error::PinUsed(pin) => LineError::failed(format!("line {pin}"), "it is used twice"),
        gpio::Error::PinNotAvailable(pin) => LineError::failed(
            format!("line {pin}"),
            "a Raspberry Pi has none of this number",
        ),
        gpio::Error::Io(error) => LineError::failed("the GPIO registers", error),
        gpio::Error::ThreadPanic => LineError::failed("the GPIO registers", "a thread panicked"),
    }
}
