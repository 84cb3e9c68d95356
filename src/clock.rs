//! The one place where the monotonic clock is read.
//!
//! It reads tokio's clock, so that tests with paused time move everything at
//! once; on a thread without a runtime this is the operating system's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2026-01-01, since 1970: a clock that says an earlier time was never set.
pub const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

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

/// The minute of the day, 0 to 1439, in this machine's time zone: for what follows
/// people's days.
pub fn minute_of_day() -> u16 {
    let Ok(now) = jiff::Timestamp::try_from(wall()) else {
        return 0;
    };
    let now = now.to_zoned_datetime(jiff::tz::TimeZone::system());
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// The time of an event whose stamp is `ns` nanoseconds of `CLOCK_MONOTONIC`, as the
/// kernel gives it. A stamp from the future is now.
pub fn at_monotonic(ns: u64) -> Instant {
    let kernel = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let kernel = Duration::new(
        u64::try_from(kernel.tv_sec).unwrap_or(0),
        u32::try_from(kernel.tv_nsec).unwrap_or(0),
    );
    let age = kernel.saturating_sub(Duration::from_nanos(ns));
    let now = now();
    now.checked_sub(age).unwrap_or(now)
}

/// Processor time of this process so far, all threads together.
pub fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(used.tv_sec).unwrap_or(0),
        u32::try_from(used.tv_nsec).unwrap_or(0),
    )
}

/// Milliseconds since the Unix epoch, as the wire protocol's `time` wants them.
pub fn wall_ms() -> u64 {
    wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_millis() as u64
}
