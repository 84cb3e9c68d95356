//! The relay's line: driven off when it is opened and when it is dropped.
//!
//! A process that dies without dropping it loses the line all the same, because the
//! kernel closes its descriptors. A GPIO controller may then leave the pin as it was
//! (the Raspberry Pi's does, unless `strict_gpiod` is set): the watcher starts
//! another holder, whose first act is to drive it off.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gpiocdev::line::Value;
use rustix::fs::FlockOperation;

/// Which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the GPIO character device whose chip has this label: a number of a
    /// chip changes from boot to boot.
    Gpio {
        /// `pinctrl-bcm2711`
        label: String,
        /// The line's offset in it.
        offset: u32,
        /// The relay is on when the pin is low.
        active_low: bool,
    },
    /// Simulated: the file is locked (`flock`) exactly while the line is on. The
    /// kernel unlocks it when the holder dies, as it gives up a line of a real chip.
    Sim(PathBuf),
    /// Simulated: the file's first byte is `1` while the line is on and `0` while it
    /// is off. It stays as it is when the holder dies, as a pin of a Raspberry Pi does.
    Latch(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no line: gpio:LABEL:OFFSET, gpio:LABEL:OFFSET:active-low, \
                 sim:FILE or latch:FILE"
            )
        };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "sim" if !rest.is_empty() => Ok(Self::Sim(rest.into())),
            "latch" if !rest.is_empty() => Ok(Self::Latch(rest.into())),
            "gpio" => {
                let (rest, active_low) = match rest.strip_suffix(":active-low") {
                    Some(rest) => (rest, true),
                    None => (rest, false),
                };
                // A label may hold a colon itself.
                let (label, offset) = rest.rsplit_once(':').ok_or_else(wrong)?;
                if label.is_empty() {
                    return Err(wrong());
                }
                Ok(Self::Gpio {
                    label: label.to_owned(),
                    offset: offset.parse().map_err(|_| wrong())?,
                    active_low,
                })
            }
            _ => Err(wrong()),
        }
    }
}

/// Why a line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such chip.
    #[error("no GPIO chip has the label '{label}': here are {}", list(.here))]
    NoChip {
        /// As asked for.
        label: String,
        /// The labels that there are.
        here: Vec<String>,
    },
    /// More than one chip has the label.
    #[error("several GPIO chips have the label '{0}'")]
    SeveralChips(String),
    /// The kernel refuses the line: it is in use, or not ours to use.
    #[error("line {offset} of '{label}' cannot be had: does another program hold it?")]
    Refused {
        /// The chip's label.
        label: String,
        /// The line.
        offset: u32,
        /// The kernel's reason.
        source: gpiocdev::Error,
    },
    /// The line could not be driven.
    #[error("the line cannot be driven")]
    Drive(#[source] gpiocdev::Error),
    /// The file of a simulated line.
    #[error("the simulated line {}", path.display())]
    Sim {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn list(labels: &[String]) -> String {
    match labels {
        [] => "none".to_owned(),
        labels => labels.join(", "),
    }
}

/// A line that is ours. Dropping it drives it off.
#[derive(Debug)]
pub struct Line(Kind);

#[derive(Debug)]
enum Kind {
    Gpio(gpiocdev::Request),
    Sim(File, PathBuf),
    Latch(File, PathBuf),
}

impl Line {
    /// Takes the line and drives it off.
    ///
    /// # Errors
    /// It is not there, or somebody else has it.
    pub fn open(place: &Place) -> Result<Self, Error> {
        match place {
            Place::Gpio {
                label,
                offset,
                active_low,
            } => open_gpio(label, *offset, *active_low),
            Place::Sim(path) => off(Kind::Sim(create(path)?, path.clone())),
            Place::Latch(path) => off(Kind::Latch(create(path)?, path.clone())),
        }
    }

    /// Drives it on or off.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn drive(&self, on: bool) -> Result<(), Error> {
        match &self.0 {
            Kind::Gpio(request) => {
                let value = if on { Value::Active } else { Value::Inactive };
                request
                    .set_lone_value(value)
                    .map(drop)
                    .map_err(Error::Drive)
            }
            Kind::Sim(file, path) => {
                // Somebody who looks at the lock holds it for a moment: shared, so
                // that it is not refused to us for longer.
                let operation = match on {
                    true => FlockOperation::LockExclusive,
                    false => FlockOperation::Unlock,
                };
                rustix::fs::flock(file, operation).map_err(|error| Error::Sim {
                    path: path.clone(),
                    source: error.into(),
                })
            }
            Kind::Latch(file, path) => {
                let level = if on { b"1" } else { b"0" };
                file.write_all_at(level, 0).map_err(|source| Error::Sim {
                    path: path.clone(),
                    source,
                })
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Err(error) = self.drive(false) {
            tracing::error!(%error, "the relay's line could not be driven off");
        }
    }
}

/// The file of a simulated line, with what a predecessor left in it.
fn create(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(path);
    file.map_err(|source| Error::Sim {
        path: path.to_owned(),
        source,
    })
}

fn off(kind: Kind) -> Result<Line, Error> {
    let line = Line(kind);
    line.drive(false)?;
    Ok(line)
}

fn open_gpio(label: &str, offset: u32, active_low: bool) -> Result<Line, Error> {
    let mut here = Vec::new();
    let mut found = Vec::new();
    for path in gpiocdev::chip::chips().unwrap_or_default() {
        let chip = gpiocdev::chip::Chip::from_path(&path).and_then(|chip| chip.info());
        let Ok(info) = chip else { continue };
        if info.label == label {
            found.push(path);
        }
        here.push(info.label);
    }
    let path = match found.as_slice() {
        [path] => path,
        [] => {
            let label = label.to_owned();
            return Err(Error::NoChip { label, here });
        }
        _ => return Err(Error::SeveralChips(label.to_owned())),
    };
    let mut request = gpiocdev::Request::builder();
    request
        .on_chip(path)
        .with_consumer("doorstation-relay")
        .with_line(offset)
        .as_output(Value::Inactive);
    if active_low {
        request.as_active_low();
    }
    let request = request.request().map_err(|source| Error::Refused {
        label: label.to_owned(),
        offset,
        source,
    })?;
    Ok(Line(Kind::Gpio(request)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read() {
        let gpio = |label: &str, offset, active_low| {
            Ok(Place::Gpio {
                label: label.to_owned(),
                offset,
                active_low,
            })
        };
        assert_eq!(
            "gpio:pinctrl-bcm2711:17".parse(),
            gpio("pinctrl-bcm2711", 17, false)
        );
        assert_eq!("gpio:a:b:3:active-low".parse(), gpio("a:b", 3, true));
        assert_eq!("sim:/run/x".parse(), Ok(Place::Sim("/run/x".into())));
        assert_eq!("latch:x".parse(), Ok(Place::Latch("x".into())));
        for text in [
            "",
            "sim:",
            "latch:",
            "gpio:x",
            "gpio::3",
            "gpio:x:-1",
            "gpio:x:3:low",
            "file:x",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chip_that_is_not_there_is_told_with_those_that_are() {
        let place = "gpio:no such chip:0".parse().unwrap();
        let error = Line::open(&place).unwrap_err().to_string();
        assert!(error.starts_with("no GPIO chip has the label 'no such chip': here are "));
    }

    #[test]
    fn a_simulated_line_is_locked_while_it_is_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("line");
        let is_on = || {
            let probe = File::open(&path).unwrap();
            rustix::fs::flock(probe, FlockOperation::NonBlockingLockShared).is_err()
        };
        let line = Line::open(&Place::Sim(path.clone())).unwrap();
        assert!(!is_on());
        line.drive(true).unwrap();
        assert!(is_on());
        line.drive(false).unwrap();
        assert!(!is_on());
        line.drive(true).unwrap();
        drop(line);
        assert!(!is_on());
    }
    /// What the kill tests stand on: only the first act of the next holder ends it.
    #[test]
    fn a_latch_stays_on_without_its_holder_and_the_next_drives_it_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("line");
        let place = Place::Latch(path.clone());
        let line = Line::open(&place).unwrap();
        line.drive(true).unwrap();
        // As if the process were killed: no destructor runs.
        std::mem::forget(line);
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
        let next = Line::open(&place).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0");
        next.drive(true).unwrap();
        drop(next);
        assert_eq!(std::fs::read(&path).unwrap(), b"0");
    }
}
