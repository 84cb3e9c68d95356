//! The two clocks of the tests: one to measure with and one that the browser and
//! the station's test picture share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic, for time-outs.
#[expect(
    clippy::disallowed_methods,
    reason = "a test process has no virtual time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch with a fraction, comparable with what the
/// pages and the station of the same machine say.
#[expect(
    clippy::disallowed_methods,
    reason = "a test process has no virtual time"
)]
pub(crate) fn wall_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
        * 1000.0
}
