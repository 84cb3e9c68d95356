//! How the process is told to stop or to read its configuration again, and how it tells
//! systemd how it is.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::tasks::Tasks;

/// How long the watchdog is fed in place of the station at most, while it starts again:
/// six times as long as the slowest start that we have seen.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let mut hang_up = signal(SignalKind::hangup())?;
    let asked = async move { hang_up.recv().await };
    stop_on(stop, tasks, async move {
        tokio::select! {
            _ = asked => "SIGHUP",
            () = after(limit) => "time is over",
        }
    })
}

/// Cancels `stop` on SIGINT or SIGTERM. A SIGHUP is handed on: somebody wants the
/// configuration to be read again. At a terminal it means that the terminal is gone, and
/// cancels `stop` as well.
///
/// # Errors
///
/// A signal handler cannot be installed.
pub fn stop_or_reload_on_signal(
    stop: &CancellationToken,
    tasks: &Tasks,
) -> io::Result<mpsc::Receiver<()>> {
    // One waits; another that comes meanwhile means the same.
    let (ask, asked) = mpsc::channel(1);
    let mut hang_up = signal(SignalKind::hangup())?;
    let at_terminal = io::stdin().is_terminal();
    stop_on(stop, tasks, async move {
        while hang_up.recv().await.is_some() && !at_terminal {
            let _ = ask.try_send(());
        }
        "SIGHUP"
    })?;
    Ok(asked)
}

/// Cancels `stop` on SIGINT or SIGTERM, and when `other` names another reason.
fn stop_on(
    stop: &CancellationToken,
    tasks: &Tasks,
    other: impl Future<Output = &'static str> + Send + 'static,
) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tasks.spawn("signals", async move {
        let why = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            why = other => why,
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

/// Tells systemd that the service takes over another configuration, until [`tell_up`].
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_all(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd could not be told of the reload"),
    }
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

/// Feeds systemd's watchdog, if there is one, until what is given is dropped, and for 30 s
/// at most: while the station, whose loops are the ones to look at, starts again.
pub fn keep_alive(tasks: &Tasks) -> DropGuard {
    let tasks = tasks.child();
    let fed = tasks.cancelled().clone().drop_guard();
    if is_watched() {
        tasks.spawn("watchdog", async {
            let feeding = async {
                let mut second = tokio::time::interval(Duration::from_secs(1));
                loop {
                    second.tick().await;
                    tell_alive();
                }
            };
            let _: Result<(), _> = tokio::time::timeout(PATIENCE, feeding).await;
        });
    }
    fed
}

fn tell(state: NotifyState<'_>) {
    tell_all(&[state]);
}

fn tell_all(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, ?state, "systemd could not be told");
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
