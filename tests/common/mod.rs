//! What the tests that need the whole station share: the station itself as a
//! child process, a real Chromium, the peer pages, and a reader of the sound that
//! the door's speaker played.
//!
//! Everything here returns [`anyhow::Result`], so that a failing step names itself;
//! everything that starts a process ends it, whatever happens.

#![allow(
    dead_code,
    reason = "each test binary, and the driver of the demo, uses its own part"
)]

pub(crate) mod browser;
pub(crate) mod clock;
pub(crate) mod pages;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod sound;
pub(crate) mod station;

use std::path::PathBuf;
use std::time::Duration;

/// How long a step of a call may take before the test gives up: far more than it
/// takes, so that a slow machine is slow and not red.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The mark that the door's microphone hears: clear of the tones of the station
/// itself (425, 523 and 659 Hz) and of their first harmonics.
pub(crate) const DOOR_HZ: f64 = 1200.0;

/// The mark that the person indoors makes.
pub(crate) const PAGE_HZ: f64 = 1850.0;

/// The folder of the peer pages.
pub(crate) fn browser_files() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}
