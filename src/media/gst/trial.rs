//! The test picture with a switch: what a camera does that is unplugged or hangs,
//! on command, for trials and tests of the station's whole path.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// What the camera on trial does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Conduct {
    /// Gives its picture.
    Works = 0,
    /// Is there, and gives no picture: a sensor or a bus that hangs.
    Hangs = 1,
    /// Is not there: it cannot be opened, and an open one fails.
    Missing = 2,
}

/// Says what the camera on trial does; clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicU8>);

impl Switch {
    /// From now on.
    pub fn set(&self, conduct: Conduct) {
        self.0.store(conduct as u8, Relaxed);
    }

    /// Now.
    pub fn conduct(&self) -> Conduct {
        match self.0.load(Relaxed) {
            1 => Conduct::Hangs,
            2 => Conduct::Missing,
            _ => Conduct::Works,
        }
    }
}

impl PartialEq for Switch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Switch {}
