//! The one place where the monotonic clock is read.
//!
//! It reads tokio's clock, so that tests with paused time move everything at
//! once; on a thread without a runtime this is the operating system's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time now.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, for people and for logs; never for measuring.
#[expect(
    clippy::disallowed_methods,
    reason = "the one rightful place: everything else asks here"
)]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the Unix epoch, as the wire protocol's `time` wants them.
pub fn wall_ms() -> u64 {
    wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_millis() as u64
}
