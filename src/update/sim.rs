//! Two slots in a folder: what an update does to a card, without one.
//!
//! A slot is a file, a bundle is installed by copying it there. What U-Boot would remember
//! is kept in memory. Who reads a bundle is given, so that the real reader can be tried
//! with slots of which every byte is known.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Contents, Engine, Error, Mark, Progress, Slot, Slots};

/// How a bundle is read.
pub type Reader = Box<dyn Fn(&Path) -> Result<Contents, Error>>;

/// A card with slot A running and slot B empty.
pub struct Sim {
    slots: Slots,
    read: Reader,
}

impl Sim {
    /// Slots of `size` bytes in `folder`, for bundles made for `compatible`; `version` runs
    /// in slot A.
    ///
    /// # Errors
    /// The folder.
    pub fn new(
        folder: &Path,
        compatible: &str,
        version: &str,
        size: u64,
        read: Reader,
    ) -> std::io::Result<Self> {
        let mut slots = Vec::new();
        for (number, name) in ["A", "B"].into_iter().enumerate() {
            let device = folder.join(name);
            fs::File::create(&device)?.set_len(size)?;
            let runs = number == 0;
            slots.push(Slot {
                slot: name.to_owned(),
                name: format!("rootfs.{number}"),
                device,
                runs,
                next: runs,
                good: runs,
                tries_left: Some(if runs { 3 } else { 0 }),
                version: runs.then(|| version.to_owned()),
                installed: None,
                size: Some(size),
            });
        }
        Ok(Self {
            slots: Slots {
                compatible: compatible.to_owned(),
                slots,
            },
            read,
        })
    }

    /// A reader for bundles that are a [`Contents`] in JSON.
    pub fn json_reader() -> Reader {
        Box::new(|bundle| {
            let text = fs::read_to_string(bundle).map_err(failed(bundle))?;
            serde_json::from_str(&text).map_err(|error| Error::NotUnderstood(error.to_string()))
        })
    }

    fn each(&mut self, change: impl Fn(&mut Slot)) {
        self.slots.slots.iter_mut().for_each(change);
    }
}

impl Engine for Sim {
    fn slots(&self) -> Result<Slots, Error> {
        Ok(self.slots.clone())
    }

    fn contents(&self, bundle: &Path) -> Result<Contents, Error> {
        (self.read)(bundle)
    }

    fn install(&mut self, bundle: &Path, told: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let contents = self.contents(bundle)?;
        let step = |percent, step: &str| Progress {
            percent,
            step: step.to_owned(),
        };
        told(step(0, "Installing"));
        // Out of the order first: whatever ends this half-way, the other one starts.
        self.each(|slot| {
            slot.next = slot.runs;
            if !slot.runs {
                (slot.good, slot.tries_left, slot.version) = (false, Some(0), None);
            }
        });
        let slot = self.slots.other().map(|slot| slot.device.clone());
        let device = slot.unwrap_or_default();
        fs::copy(bundle, &device).map_err(failed(&device))?;
        self.each(|slot| {
            slot.next = !slot.runs;
            if !slot.runs {
                (slot.good, slot.tries_left) = (true, Some(3));
                slot.version = Some(contents.version.clone());
            }
        });
        told(step(100, "Installing done."));
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), Error> {
        match mark {
            Mark::Good => self.each(|slot| {
                if slot.runs {
                    (slot.good, slot.tries_left) = (true, Some(3));
                }
            }),
            Mark::Next(name) => {
                if !self.slots.slots.iter().any(|slot| slot.name == *name) {
                    return Err(Error::Engine(format!("there is no slot '{name}'")));
                }
                self.each(|slot| {
                    slot.next = slot.name == *name;
                    if slot.next {
                        (slot.good, slot.tries_left) = (true, Some(3));
                    }
                });
            }
        }
        Ok(())
    }
}

fn failed(file: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let file: PathBuf = file.to_owned();
    move |source| Error::File { file, source }
}
