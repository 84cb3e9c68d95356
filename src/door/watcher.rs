//! The process that watches the holder of the line: starts it, kills it when it is
//! silent, starts another.
//!
//! It never touches the line. It feeds systemd's watchdog for both, so that even
//! two processes stopped at one time are killed from outside.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, timeout};
use tracing::{error, info, warn};

use super::guardian::Limits;
use crate::{clock, service};

/// How often watcher and holder tell each other that they live.
pub(super) const BEAT: Duration = Duration::from_millis(200);
/// A holder that has not said anything by then does not start: generous, because
/// the line is off meanwhile.
const START: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const GRACE: Duration = Duration::from_secs(1);
/// Before another holder is started in place of one that died.
const AGAIN: Duration = Duration::from_millis(50);

/// How a holder ended.
enum End {
    /// We were asked to stop, and so was it.
    Asked,
    /// By itself, or killed. `true` if it had held the line.
    Died(ExitStatus, bool),
}

/// Why the watcher ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A holder cannot be started, or signals not be waited for.
    #[error("cannot {0}")]
    Setup(&'static str, #[source] io::Error),
    /// The first holder gave up; it has said why.
    #[error("the holder of the line did not start ({0})")]
    Start(ExitStatus),
}

/// Watches holders until SIGTERM or SIGINT. `command` makes the next one.
///
/// # Errors
/// A holder does not start.
pub async fn run(mut command: impl FnMut() -> io::Result<Command>) -> Result<(), Error> {
    let mut terminate = stop_signal(SignalKind::terminate())?;
    let mut interrupt = stop_signal(SignalKind::interrupt())?;
    loop {
        let mut child = command()
            .and_then(|mut command| {
                command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
            })
            .map_err(|error| Error::Setup("start the holder of the line", error))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            let error = io::ErrorKind::BrokenPipe.into();
            return Err(Error::Setup("reach the holder of the line", error));
        };
        match watch(&mut child, to, from, &mut terminate, &mut interrupt).await {
            Ok(End::Asked) => return Ok(()),
            Ok(End::Died(status, true)) => {
                error!(%status, "the holder of the line died; starting another");
                tokio::time::sleep(AGAIN).await;
            }
            Ok(End::Died(status, false)) => return Err(Error::Start(status)),
            Err(error) => return Err(Error::Setup("wait for the holder of the line", error)),
        }
    }
}

async fn watch(
    child: &mut Child,
    mut to: ChildStdin,
    mut from: ChildStdout,
    terminate: &mut Signal,
    interrupt: &mut Signal,
) -> io::Result<End> {
    let mut beat = interval(BEAT);
    let mut heard = None;
    let mut limit = now() + START;
    let mut beats = [0; 64];
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            status = child.wait() => return Ok(End::Died(status?, heard.is_some())),
            () = tokio::time::sleep_until(limit) => {
                warn!("the holder of the line is silent; killing it");
                child.start_kill()?;
                return Ok(End::Died(child.wait().await?, heard.is_some()));
            }
            read = from.read(&mut beats) => {
                if matches!(read, Ok(1..)) {
                    if heard.replace(()).is_none() {
                        service::tell_up();
                    }
                    service::tell_alive();
                    limit = now() + Limits::UNWATCHED;
                } else {
                    // It closed its end: it is about to die, or has to.
                    limit = limit.min(now() + BEAT);
                    tokio::time::sleep_until(limit).await;
                }
            }
            // One byte in a pipe that is read: this does not wait.
            _ = beat.tick() => if let Err(error) = to.write_all(b".").await {
                info!(%error, "the holder of the line does not listen");
            },
        }
    }
    // The end of its input tells it to end.
    drop(to);
    if timeout(GRACE, child.wait()).await.is_err() {
        warn!("the holder of the line does not end; killing it");
        child.kill().await?;
    }
    Ok(End::Asked)
}

fn stop_signal(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|error| Error::Setup("wait for signals", error))
}

fn now() -> Instant {
    clock::now().into()
}
