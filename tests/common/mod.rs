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
pub(crate) mod indoor;
pub(crate) mod pages;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod road;
pub(crate) mod scene;
pub(crate) mod sound;
pub(crate) mod station;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sound::Voice;

/// How long a step of a call may take before the test gives up: far more than it
/// takes, so that a slow machine is slow and not red.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the door's microphone hears: clear of the tones of the station itself (425,
/// 523 and 659 Hz) and of their first harmonics.
pub(crate) const DOOR_VOICE: Voice = Voice {
    mark_hz: 1200.0,
    hum_hz: 900.0,
};

/// What the person indoors says.
pub(crate) const PAGE_VOICE: Voice = Voice {
    mark_hz: 1850.0,
    hum_hz: 2300.0,
};

/// Where the test picture carries its clock, for `measure.js`: the upper left corner
/// of a row of squares in a picture of 1280 x 720.
pub(crate) fn picture_clock() -> Value {
    json!({ "x": 64, "y": 64, "size": 32, "bits": 24, "width": 1280, "height": 720 })
}

/// The folder of the peer pages.
pub(crate) fn browser_files() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}
