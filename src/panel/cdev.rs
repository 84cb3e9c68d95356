//! Lines of the GPIO character device (Linux 5.10 or later, uAPI v2), on any board.
//!
//! The chip is found by its label: numbers of chips change with kernels and with the
//! order of probing. The kernel debounces first; it also keeps the lines of a process
//! that dies from staying driven, except on Raspberry Pi's kernel, which does so only
//! with `dtparam=strict_gpiod`.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, EventClock, Value, Values};
use gpiocdev::{Chip, Request};
use tokio::io::unix::AsyncFd;

use super::lines::{Dimmer, Edge, Inputs, LineError, Switch};
use super::settings::Settings;
use crate::board::{Active, Input, Output, Pull};
use crate::clock;

/// What the kernel calls us.
const CONSUMER: &str = "doorstation";
/// Contacts bounce for 1 to 5 ms; the kernel swallows that.
pub const KERNEL_DEBOUNCE: Duration = Duration::from_millis(5);
/// Edges that wait in the kernel: with its debounce, over a second of the worst wire.
const WAITING: u32 = 256;

/// A chip that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    path: PathBuf,
    /// Its label.
    pub label: String,
    lines: u32,
}

/// The first chip with one of these labels.
///
/// # Errors
/// There is none; the error names those that there are.
pub fn find(labels: &[String]) -> Result<Found, LineError> {
    let paths = gpiocdev::chip::chips().unwrap_or_default();
    let mut found = Vec::new();
    let mut told = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        match Chip::from_path(&path).and_then(|chip| chip.info()) {
            Ok(info) => {
                told.push(format!("'{}'", info.label));
                found.push(Found {
                    path,
                    label: info.label,
                    lines: info.num_lines,
                });
            }
            Err(error) => told.push(format!("{name}, which cannot be opened ({error})")),
        }
    }
    let first = labels
        .iter()
        .find_map(|label| found.iter().find(|chip| chip.label == *label));
    first.cloned().ok_or_else(|| LineError::NoChip {
        wanted: match labels {
            [] => "by a name that was given".to_owned(),
            labels => labels.join(" or "),
        },
        found: match told.as_slice() {
            [] => "none at all".to_owned(),
            told => told.join(", "),
        },
    })
}

/// The lines of a panel: those that are read, with the kernel's `debounce`, and those
/// that are driven. The relay's line is left alone.
///
/// # Errors
/// No such chip or line, it is not ours to open, or somebody holds it.
pub fn open(
    settings: &Settings,
    debounce: Option<Duration>,
) -> Result<(CdevInputs, Dimmer), LineError> {
    let chip = find(&settings.wiring.chips)?;
    let buttons = settings.buttons.iter().map(|button| button.input);
    let sensors = settings.wiring.sensors.values().copied();
    let lights = settings.wiring.lights.iter();
    let lights: Vec<_> = lights.flat_map(|light| light.lamp.outputs()).collect();
    Ok((
        CdevInputs::open(&chip, buttons.chain(sensors).collect(), debounce)?,
        open_lights(&chip, &lights)?,
    ))
}

/// Lines that are read.
pub struct CdevInputs {
    /// `None` where there are none: the kernel does not hand out no lines.
    request: Option<AsyncFd<Request>>,
    pins: Vec<u32>,
}

impl CdevInputs {
    fn open(
        chip: &Found,
        inputs: Vec<Input>,
        debounce: Option<Duration>,
    ) -> Result<Self, LineError> {
        let pins: Vec<_> = inputs.iter().map(|input| input.pin).collect();
        if inputs.is_empty() {
            let request = None;
            return Ok(Self { request, pins });
        }
        let mut builder = Request::builder();
        builder
            .on_chip(&chip.path)
            .with_consumer(CONSUMER)
            .with_kernel_event_buffer_size(WAITING);
        for input in &inputs {
            builder
                .with_line(input.pin)
                .as_input()
                .with_edge_detection(EdgeDetection::BothEdges)
                .with_event_clock(EventClock::Monotonic)
                .with_bias(match input.pull {
                    Pull::Up => Bias::PullUp,
                    Pull::Down => Bias::PullDown,
                    Pull::Off => Bias::Disabled,
                });
            match input.active {
                Active::Low => builder.as_active_low(),
                Active::High => builder.as_active_high(),
            };
            if let Some(period) = debounce {
                builder.with_debounce_period(period);
            }
        }
        let request = builder
            .request()
            .map_err(|error| refused(chip, &pins, &error))?;
        #[expect(
            deprecated,
            reason = "its safe successor is to come; a Request owns its file and never changes it"
        )]
        let request = AsyncFd::new(request)
            .map_err(|error| LineError::failed("waiting for the panel's lines", error))?;
        let request = Some(request);
        Ok(Self { request, pins })
    }
}

#[async_trait]
impl Inputs for CdevInputs {
    fn levels(&mut self) -> Result<Vec<bool>, LineError> {
        let Some(request) = &self.request else {
            return Ok(Vec::new());
        };
        let mut values = Values::from_offsets(&self.pins);
        let read = request.get_ref().values(&mut values);
        read.map_err(|error| LineError::failed("reading the panel's lines", error))?;
        let active = |pin: &u32| values.get(*pin) == Some(Value::Active);
        Ok(self.pins.iter().map(active).collect())
    }

    async fn edge(&mut self) -> Result<Edge, LineError> {
        let Some(request) = &self.request else {
            return std::future::pending().await;
        };
        let failed = |error: &dyn std::fmt::Display| {
            LineError::failed("waiting for the panel's lines", error)
        };
        loop {
            let mut ready = request.readable().await.map_err(|error| failed(&error))?;
            let lines = request.get_ref();
            if !lines.has_edge_event().map_err(|error| failed(&error))? {
                ready.clear_ready();
                continue;
            }
            let event = lines.read_edge_event().map_err(|error| failed(&error))?;
            if let Some(line) = self.pins.iter().position(|pin| *pin == event.offset) {
                return Ok(Edge {
                    line,
                    // Polarity is the kernel's: rising means becoming active.
                    active: event.kind == EdgeKind::Rising,
                    at: clock::at_monotonic(event.timestamp_ns),
                    number: event.seqno,
                });
            }
        }
    }
}

fn open_lights(chip: &Found, outputs: &[Output]) -> Result<Dimmer, LineError> {
    let pins: Vec<_> = outputs.iter().map(|output| output.pin).collect();
    let mut builder = Request::builder();
    builder.on_chip(&chip.path).with_consumer(CONSUMER);
    for output in outputs {
        builder.with_line(output.pin).as_output(Value::Inactive);
        match output.active {
            Active::Low => builder.as_active_low(),
            Active::High => builder.as_active_high(),
        };
    }
    // The kernel does not hand out no lines.
    let request = match pins.is_empty() {
        true => None,
        false => Some(
            builder
                .request()
                .map_err(|error| refused(chip, &pins, &error))?,
        ),
    };
    let lines = pins.len();
    Dimmer::start(CdevLights { request, pins }, lines)
}

/// Lines that are driven.
struct CdevLights {
    request: Option<Request>,
    pins: Vec<u32>,
}

impl Switch for CdevLights {
    fn switch(&mut self, line: usize, on: bool) -> Result<(), LineError> {
        let (Some(request), Some(pin)) = (&self.request, self.pins.get(line)) else {
            return Err(LineError::failed("driving a light", "it has no such line"));
        };
        // Polarity is the kernel's.
        let value = if on { Value::Active } else { Value::Inactive };
        request
            .set_value(*pin, value)
            .map_err(|error| LineError::failed(format!("driving line {pin}"), error))
    }
}

/// Why the kernel did not hand out lines: it says only "busy" or "invalid".
fn refused(chip: &Found, pins: &[u32], error: &gpiocdev::Error) -> LineError {
    if let Some(line) = pins.iter().find(|pin| **pin >= chip.lines) {
        return LineError::NoLine {
            chip: chip.label.clone(),
            lines: chip.lines,
            line: *line,
        };
    }
    let held = Chip::from_path(&chip.path).ok().and_then(|device| {
        let infos = pins.iter().filter_map(|pin| device.line_info(*pin).ok());
        let mut used = infos.filter(|info| info.used);
        used.next()
    });
    match held {
        Some(info) => LineError::Busy {
            chip: chip.label.clone(),
            line: info.offset,
            by: info.consumer,
        },
        None => LineError::failed(format!("opening lines of {}", chip.label), error),
    }
}
