//! A running station reads its configuration again (SIGHUP, `systemctl reload`): a real
//! process, its gateway, and a second station that is a person at it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::PATIENCE;
use common::station::Station;
use doorstation::clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

mod common;

/// While it starts again it cannot ring for at most this long.
const GAP: Duration = Duration::from_secs(1);
/// `WatchdogSec=` of the unit.
const WATCHDOG: Duration = Duration::from_secs(10);

const ALICE: &str = "[[gateway.user]]\nname = \"alice\"\npassword_file = \"password\"\n";
const BOB: &str = "[[gateway.user]]\nname = \"bob\"\npassword_file = \"password\"\n";

/// A folder with a configuration, and a station that runs by it.
struct House {
    folder: TempDir,
    port: u16,
    systemd: UnixDatagram,
    /// The latest words for `systemctl status`.
    status: String,
    station: Station,
}

impl House {
    /// A station whose gateway knows alice, and that can ring.
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let secret = folder.path().join("password");
        fs::write(&secret, "of no importance")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let notify = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&notify)?;
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let file = folder.path().join("doorstation.toml");
        fs::write(&file, configuration(port, ALICE))?;
        let watchdog = PathBuf::from(WATCHDOG.as_micros().to_string());
        let variables = [
            ("NOTIFY_SOCKET", notify.as_path()),
            ("WATCHDOG_USEC", watchdog.as_path()),
        ];
        let mut station = Station::run_with(&file, variables)?;
        station.wait("ready", is_ready).await?;
        let mut house = Self {
            folder,
            port,
            systemd,
            status: String::new(),
            station,
        };
        house.until("READY=1").await?;
        Ok(house)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("doorstation.toml")
    }

    fn write(&self, more: &str) -> Result<()> {
        Ok(fs::write(self.file(), configuration(self.port, more))?)
    }

    /// What `systemctl reload` does.
    fn reload(&mut self) -> Result<()> {
        self.station.mark();
        let id = i32::try_from(self.station.id()?)?;
        let id = rustix::process::Pid::from_raw(id).context("no process id")?;
        Ok(rustix::process::kill_process(
            id,
            rustix::process::Signal::HUP,
        )?)
    }

    /// What systemd hears until it hears this, but for the watchdog, which it must hear
    /// of often enough.
    async fn until(&mut self, wanted: &str) -> Result<Vec<String>> {
        let mut said = Vec::new();
        let begun = clock::now();
        while said.last().is_none_or(|last| last != wanted) {
            let mut message = [0; 512];
            let heard = tokio::time::timeout(WATCHDOG, self.systemd.recv(&mut message)).await;
            let length = heard.context("systemd's watchdog is not fed")??;
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if let Some(words) = message.strip_prefix("STATUS=") {
                self.status = words.trim_end().to_owned();
            } else if !message.starts_with("WATCHDOG=1") {
                said.push(message.trim_end().to_owned());
            }
            let patience = begun.elapsed() < PATIENCE;
            ensure!(patience, "systemd does not hear {wanted}: {said:?}");
        }
        Ok(said)
    }

    /// The words of the status that a reload ends with.
    async fn reloaded(&mut self) -> Result<String> {
        let said = self.until("READY=1").await?;
        let [begun, _] = said.as_slice() else {
            anyhow::bail!("{said:?}");
        };
        let fits = begun.starts_with("RELOADING=1\nMONOTONIC_USEC=");
        ensure!(fits, "{said:?}");
        Ok(self.status.clone())
    }

    /// A station that is this person at the gateway, and can be rung.
    async fn person(&self, name: &str) -> Result<(TempDir, Station)> {
        let folder = tempfile::tempdir()?;
        let secret = folder.path().join("password");
        fs::write(&secret, "of no importance")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let file = folder.path().join("doorstation.toml");
        let port = self.port;
        fs::write(
            &file,
            format!(
                "[call]\nring = [\"cloud:door@home.local\"]\n\
                 [[account]]\nname = \"cloud\"\nuser = \"{name}@home.local\"\n\
                 password_file = \"password\"\nrest = \"http://127.0.0.1:{port}\"\n\
                 [camera]\nsource = \"test\"\n"
            ),
        )?;
        let mut station = Station::run(&file, None)?;
        station.wait("ready", is_ready).await?;
        Ok((folder, station))
    }

    /// Presses the bell, and waits until this person is called.
    async fn rings(&mut self, person: &mut Station) -> Result<()> {
        person.mark();
        self.station.panel("press bell").await?;
        let called = |event: &Value| event["event"] == "call:receive";
        person.wait("a call", called).await?;
        Ok(())
    }
}

fn configuration(port: u16, more: &str) -> String {
    format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\nplain_http = true\nstate_dir = \"state\"\n\
         [camera]\nsource = \"test\"\nwidth = 320\nheight = 240\n{more}"
    )
}

fn is_ready(event: &Value) -> bool {
    event["event"] == "ready"
}

fn is_connected(event: &Value) -> bool {
    event["event"] == "auth:change" && event["state"] == "connected"
}

fn is_over(event: &Value) -> bool {
    event["event"] == "call:over"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_station_takes_a_new_person_over_within_a_second() -> Result<()> {
    let mut house = House::new().await?;
    house.write(&format!("{ALICE}{BOB}"))?;
    let asked = clock::now();
    house.reload()?;
    house.station.wait("ready", is_ready).await?;
    let gap = asked.elapsed();
    let status = house.reloaded().await?;
    ensure!(status == "ready", "{status}");
    let (_folder, mut bob) = house.person("bob").await?;
    house.rings(&mut bob).await?;
    house.station.panel("end").await?;
    house.station.wait("the end", is_over).await?;
    eprintln!("from SIGHUP until it can ring again: {gap:?}");
    ensure!(gap <= GAP, "it cannot ring for {gap:?}");
    // Nothing new: nothing happens.
    house.reload()?;
    let status = house.reloaded().await?;
    ensure!(status == "ready", "{status}");
    ensure!(house.station.all(is_ready).is_empty(), "it starts again");
    let log = house.station.errors();
    ensure!(log.contains("the configuration is as it was"), "{log}");
    bob.stop().await?;
    house.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_and_the_configuration_is_taken_over_at_its_end() -> Result<()> {
    let mut house = House::new().await?;
    let (_folder, mut alice) = house.person("alice").await?;
    house.rings(&mut alice).await?;
    alice.panel("answer").await?;
    house.station.wait_state("IN_CALL").await?;

    house.write(&format!("{ALICE}[station]\nname = \"Back door\"\n"))?;
    house.reload()?;
    let status = house.reloaded().await?;
    let want = "in a call; the new configuration waits for the end of the call";
    ensure!(status == want, "{status}");
    // What is asked for later counts.
    house.write(&format!("{ALICE}{BOB}"))?;
    house.reload()?;
    let status = house.reloaded().await?;
    ensure!(status == want, "{status}");
    ensure!(house.station.all(is_over).is_empty(), "the call is over");

    alice.mark();
    alice.panel("end").await?;
    let over = house.station.wait("the end", is_over).await?;
    ensure!(over.value["talked_ms"].is_number(), "{}", over.value);
    let ready = house.station.wait("ready", is_ready).await?;
    ensure!(ready.at_ms >= over.at_ms, "it did not wait");
    let status = house.reloaded().await?;
    ensure!(status == "ready", "{status}");
    let (_other, bob) = house.person("bob").await?;
    bob.stop().await?;
    // Alice's station is back by itself.
    alice.wait("the connection", is_connected).await?;
    house.rings(&mut alice).await?;
    alice.stop().await?;
    house.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_mistakes_is_told_and_the_old_one_goes_on() -> Result<()> {
    let mut house = House::new().await?;
    let (_folder, mut alice) = house.person("alice").await?;
    house.write(&format!("{ALICE}[camera]\n[lgo]\n"))?;
    house.reload()?;
    let status = house.reloaded().await?;
    let want = "ready; the new configuration has mistakes, the old one goes on";
    ensure!(status == want, "{status}");
    house.write(&format!("{ALICE}[lgo]\n[door]\npulse_s = 11\n"))?;
    house.reload()?;
    house.reloaded().await?;
    let log = house.station.errors();
    for mistake in [
        "lgo: is not a key of this version",
        "door.pulse_s: must be 1 to 10 seconds, is 11",
    ] {
        ensure!(log.contains(mistake), "{mistake}\n{log}");
    }
    house.rings(&mut alice).await?;
    alice.stop().await?;
    house.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_does_not_start_goes_back_to_what_it_had() -> Result<()> {
    let mut house = House::new().await?;
    let (_folder, mut alice) = house.person("alice").await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let other = configuration(taken.local_addr()?.port(), ALICE);
    fs::write(house.file(), other)?;
    alice.mark();
    house.reload()?;
    house.station.wait("ready", is_ready).await?;
    let status = house.reloaded().await?;
    let want = "ready; the new configuration does not start, the old one goes on";
    ensure!(status == want, "{status}");
    let log = house.station.errors();
    let port = taken.local_addr()?.port().to_string();
    let why = log.lines().find(|line| line.contains("does not start"));
    ensure!(why.is_some_and(|line| line.contains(&port)), "{log}");
    alice.wait("the connection", is_connected).await?;
    house.rings(&mut alice).await?;
    alice.stop().await?;
    house.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_does_not_change_is_named() -> Result<()> {
    let mut house = House::new().await?;
    house.write(&format!(
        "{ALICE}[log]\nlevel = \"debug\"\n[panel.relay]\npin = 26\n"
    ))?;
    house.reload()?;
    house.reloaded().await?;
    let log = house.station.errors();
    for key in ["log.level", "panel.relay"] {
        let told = format!("a reload does not change {key}: ");
        ensure!(log.contains(&told), "{told}\n{log}");
    }
    house.station.stop().await
}
