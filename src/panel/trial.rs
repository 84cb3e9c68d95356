//! Trying the wires by hand: each light in turn, and what the contacts do.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::lines::{Edge, Inputs, LineError, Outputs};
use super::open::backend;
use super::settings::Settings;
use super::{cdev, lines, rppal, sign::Sign};
use crate::board::{Gpio, Lamp};
use crate::clock;

/// How long each light is lit.
const LIT: Duration = Duration::from_millis(1500);
/// And how long, where nobody is told which.
const MOMENT: Duration = Duration::from_millis(300);
/// Edges of one line closer than this are one bounce.
const BOUNCE: Duration = Duration::from_millis(50);

/// What is read, and what is driven.
pub type Lines = (Box<dyn Inputs>, Box<dyn Outputs>);

/// Why a trial ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lines cannot be used.
    #[error(transparent)]
    Lines(#[from] LineError),
    /// Nobody reads what it says.
    #[error("the output is gone: {0}")]
    Output(#[from] io::Error),
}

/// Opens the lines of `settings` for a trial: without the kernel's debounce, since
/// bounce is what is looked for. `None` for a simulated panel.
///
/// # Errors
/// The lines cannot be opened.
pub fn open(settings: &Settings) -> Result<Option<Lines>, LineError> {
    Ok(match backend(settings.wiring.gpio) {
        Gpio::Sim => None,
        Gpio::Rppal => {
            let (inputs, outputs) = rppal::open(settings, None)?;
            Some((Box::new(inputs), Box::new(outputs)))
        }
        Gpio::Auto | Gpio::Gpiocdev => {
            let (inputs, outputs) = cdev::open(settings, None)?;
            Some((Box::new(inputs), Box::new(outputs)))
        }
    })
}

/// Lights each light in turn and says what should be seen; all are dark afterwards.
///
/// # Errors
/// A light cannot be driven, or nobody reads what is said.
pub async fn test_lights(
    outputs: &mut dyn Outputs,
    settings: &Settings,
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mut first = 0;
    for light in &settings.wiring.lights {
        let parts: &[(&str, usize)] = match light.lamp {
            Lamp::Plain(_) => &[("on", 0)],
            Lamp::Pwm(_) => &[("bright, then dim", 0)],
            Lamp::Rgb { .. } => &[("red", 0), ("green", 1), ("blue", 2)],
        };
        for (words, part) in parts {
            writeln!(out, "light '{}': {words}", light.name)?;
            out.flush()?;
            let duties: &[u8] = match light.lamp {
                Lamp::Plain(_) | Lamp::Rgb { .. } => &[255],
                Lamp::Pwm(_) => &[255, 40],
            };
            for duty in duties {
                outputs.set(first + part, *duty)?;
                tokio::time::sleep(LIT / u32::try_from(duties.len()).unwrap_or(1)).await;
            }
            outputs.set(first + part, 0)?;
        }
        first += light.lamp.outputs().len();
    }
    signs(settings, out)?;
    Ok(())
}

/// Lights each light in turn for a moment, all its colours at once, and counts them; all
/// are dark afterwards.
///
/// # Errors
/// A light cannot be driven.
pub async fn light_each(
    outputs: &mut dyn Outputs,
    settings: &Settings,
) -> Result<usize, LineError> {
    let mut first = 0;
    for light in &settings.wiring.lights {
        let lines = first..first + light.lamp.outputs().len();
        for line in lines.clone() {
            outputs.set(line, 255)?;
        }
        tokio::time::sleep(MOMENT).await;
        for line in lines.clone() {
            outputs.set(line, 0)?;
        }
        first = lines.end;
    }
    Ok(settings.wiring.lights.len())
}

/// What each sign looks like on this panel, in words.
fn signs(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nin use they mean:")?;
    let mut told = Vec::new();
    for sign in Sign::ALL {
        if told.contains(&sign.word()) || sign == Sign::Stopping {
            continue;
        }
        told.push(sign.word());
        // Noon: the colours and shapes are the night's too.
        let pattern = settings.looks.of(sign, 12 * 60);
        let colour = pattern.colour.name();
        writeln!(out, "  {:14} {colour}, {}", sign.word(), pattern.shape)?;
    }
    Ok(())
}

/// Says what the contacts do until `stop`, then how they bounced.
///
/// # Errors
/// The lines cannot be read, or nobody reads what is said.
pub async fn watch_buttons(
    inputs: &mut dyn Inputs,
    settings: &Settings,
    out: &mut (dyn Write + Send),
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let names = lines::names(settings);
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (name, level) in names.iter().zip(inputs.levels()?) {
        writeln!(out, "{name:width$}  {}", word(level))?;
    }
    writeln!(
        out,
        "press each button a few times; Ctrl-C ends and shows how they bounce"
    )?;
    out.flush()?;
    let begun = clock::now();
    let mut bounces = Bounces::new(names.len());
    let mut stop = std::pin::pin!(stop);
    loop {
        let edge = tokio::select! {
            biased;
            () = &mut stop => break,
            edge = inputs.edge() => edge?,
        };
        let name = names.get(edge.line).map_or("?", String::as_str);
        let at = edge.at.saturating_duration_since(begun).as_secs_f64();
        writeln!(out, "{at:10.4} s  {name:width$}  {}", word(edge.active))?;
        out.flush()?;
        bounces.add(&edge);
    }
    bounces.tell(&names, width, out)?;
    Ok(())
}

fn word(active: bool) -> &'static str {
    if active { "active" } else { "at rest" }
}

/// How close the edges of each line follow each other.
#[derive(Clone, Debug)]
pub struct Bounces {
    lines: Vec<(Option<Instant>, [u32; LIMITS.len() + 1])>,
}

/// Upper ends of the histogram's classes, in ms.
const LIMITS: [f64; 6] = [0.1, 0.3, 1.0, 3.0, 10.0, 50.0];

impl Bounces {
    /// No edge of so many lines yet.
    pub fn new(lines: usize) -> Self {
        Self {
            lines: vec![(None, [0; LIMITS.len() + 1]); lines],
        }
    }

    /// Counts an edge.
    pub fn add(&mut self, edge: &Edge) {
        let Some((latest, classes)) = self.lines.get_mut(edge.line) else {
            return;
        };
        if let Some(latest) = latest.replace(edge.at) {
            let gap = edge.at.saturating_duration_since(latest);
            let ms = gap.as_secs_f64() * 1000.0;
            let class = LIMITS.iter().position(|limit| ms < *limit);
            classes[class.unwrap_or(LIMITS.len())] += 1;
        }
    }

    /// Gaps between the edges of a line, in the classes below 0.1, 0.3, 1, 3, 10, 50 ms
    /// and above; `None` for a line that there is not.
    pub fn of(&self, line: usize) -> Option<[u32; 7]> {
        self.lines.get(line).map(|(_, classes)| *classes)
    }

    fn tell(&self, names: &[String], width: usize, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "\ngaps between edges; those below {} ms are bounce",
            BOUNCE.as_millis()
        )?;
        let heads: Vec<_> = LIMITS
            .iter()
            .map(|limit| format!("{:>8}", format!("<{limit} ms")))
            .collect();
        writeln!(out, "{:width$}  {}   longer", "", heads.join(""))?;
        for (name, (_, classes)) in names.iter().zip(&self.lines) {
            let counts: Vec<_> = classes.iter().map(|count| format!("{count:>8}")).collect();
            writeln!(out, "{name:width$}  {}", counts.join(""))?;
        }
        Ok(())
    }
}

/// What a simulated panel shows in a trial of its lights.
///
/// # Errors
/// Nobody reads it.
pub fn tell_simulated(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "the panel is simulated: no light is wired")?;
    signs(settings, out)
}
