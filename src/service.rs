//! How the process is told to stop, and how it tells systemd that it is up.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::tasks::Tasks;

/// Cancels `stop` on SIGINT, SIGTERM or SIGHUP, and after `limit` if there is one.
///
/// # Errors
///
/// A signal handler cannot be installed.
pub fn stop_on_signal(
    stop: &CancellationToken,
    limit: Option<Duration>,
    tasks: &Tasks,
) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let stop = stop.clone();
    tasks.spawn("signals", async move {
        let why = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hang_up.recv() => "SIGHUP",
            () = after(limit) => "time is over",
        };
        info!(why, "asked to stop");
        stop.cancel();
    });
    Ok(())
}

/// Tells systemd that the service is up. Without systemd nothing happens.
pub fn tell_up() {
    tell(NotifyState::Ready);
}

/// Tells systemd where the service stands, in words for `systemctl status`.
pub fn tell_status(words: &str) {
    tell(NotifyState::Status(words));
}

/// Tells systemd that the service stops.
pub fn tell_stopping() {
    tell(NotifyState::Stopping);
}

/// Whether systemd watches this process (`WatchdogSec=`).
pub fn is_watched() -> bool {
    sd_notify::watchdog_enabled().is_some()
}

/// Feeds systemd's watchdog (`WatchdogSec=`). Without systemd nothing happens.
pub fn tell_alive() {
    tell(NotifyState::Watchdog);
}

fn tell(state: NotifyState<'_>) {
    let state = [state];
    if let Err(error) = sd_notify::notify(&state) {
        warn!(%error, ?state, "systemd could not be told");
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
