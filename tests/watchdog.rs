//! What systemd hears of a station: that it is up, and when; and nothing while its sound
//! path stands still. The other loops are held one by one in `service`, and in the
//! supervisor's own tests.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use doorstation::clock;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

mod gateway_bench;

/// Far more than a station needs to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long it is up, with its certificate authority made anew.
const UP: Duration = Duration::from_secs(3);
/// `WatchdogSec=` of the unit.
const WATCHDOG: Duration = Duration::from_secs(10);
/// After so long a loop counts as stuck (`supervisor::STUCK`), and a little more.
const STUCK: Duration = Duration::from_secs(25);

/// Where it stands then.
const NO_SPEAKER: &str = "STATUS=ready; does not work: speaker";

/// A station whose speaker is a file: a FIFO that nobody reads blocks the thread that
/// opens it, as a driver does that hangs.
fn station(folder: &Path) -> Result<Child> {
    let secret = folder.join("password");
    fs::write(&secret, "of no importance")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let fifo = folder.join("speaker");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode)?;
    let file = folder.join("doorstation.toml");
    fs::write(
        &file,
        format!(
            "[gateway]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n\
             [[gateway.user]]\nname = \"anna\"\npassword_file = \"password\"\n\
             [camera]\nsource = \"test\"\n\
             [sound]\nplayback = \"file:FILE={},FORMAT=raw\"\n",
            fifo.display()
        ),
    )?;
    Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(["run", "--config"])
        .arg(&file)
        .env("NOTIFY_SOCKET", folder.join("notify"))
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("the station cannot be started")
}

/// What systemd hears next, for at most `patience`.
async fn heard(systemd: &UnixDatagram, patience: Duration) -> Result<Option<String>> {
    let mut message = [0; 256];
    match timeout(patience, systemd.recv(&mut message)).await {
        Ok(length) => Ok(Some(
            String::from_utf8_lossy(&message[..length?])
                .trim_end()
                .to_owned(),
        )),
        Err(_) => Ok(None),
    }
}

/// The next message that begins so.
async fn until(systemd: &UnixDatagram, wanted: &str) -> Result<String> {
    while let Some(message) = heard(systemd, PATIENCE).await? {
        if message.starts_with(wanted) {
            return Ok(message);
        }
    }
    anyhow::bail!("systemd does not hear {wanted}")
}

/// Beats of the gateway are turns of its two loops: connections that take every place are
/// no reason to start the station anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_full_is_not_stuck() -> Result<()> {
    let mut settings = gateway_bench::settings();
    settings.limits.connections = 2;
    let gateway = gateway_bench::Bench::with(settings).await;
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(tokio::net::TcpStream::connect(gateway.address).await?);
    }
    let beats = |name: &str| {
        let counts = gateway.tasks.pulses().counts();
        counts
            .iter()
            .find_map(|(other, count)| (*other == name).then_some(*count))
    };
    let begun = clock::now();
    for name in ["gateway-accept", "gateway-broker"] {
        let before = beats(name).with_context(|| format!("no pulse {name}"))?;
        while beats(name).is_none_or(|count| count < before + 3) {
            ensure!(begun.elapsed() < PATIENCE, "{name} does not beat");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    drop(guests);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_sound_card_that_hangs_is_not_hidden_from_systemd() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let systemd = UnixDatagram::bind(folder.path().join("notify"))?;
    let begun = clock::now();
    let mut station = station(folder.path())?;
    // It is up without its sound card, and fed for as long as it may open one.
    let status = until(&systemd, "STATUS=ready").await?;
    until(&systemd, "READY=1").await?;
    let up = clock::now() - begun;
    ensure!(up <= UP, "it is up after {up:?}");

    let since = clock::now();
    let (mut last, mut fault) = (since, status == NO_SPEAKER);
    while let Some(message) = heard(&systemd, WATCHDOG).await? {
        fault |= message == NO_SPEAKER;
        if message == "WATCHDOG=1" {
            last = clock::now();
        }
        ensure!(last - since < STUCK, "it is fed although its sound hangs");
    }
    ensure!(last > since, "it is never fed");
    ensure!(fault, "nobody is told that the speaker does not work");
    // systemd would end it now. It goes on as soon as the card does.
    let fifo = folder.path().join("speaker");
    let reader = tokio::task::spawn_blocking(move || fs::File::open(fifo));
    let _speaker = timeout(PATIENCE, reader).await.context("opening")???;
    until(&systemd, "WATCHDOG=1").await?;
    eprintln!(
        "up after {up:?}, fed for {:.0} s, then not, then again",
        (last - since).as_secs_f64()
    );
    station.kill().await?;
    Ok(())
}
