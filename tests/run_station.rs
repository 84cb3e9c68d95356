//! `doorstation run` as a program: a configuration file with an account at a server,
//! which here is the gateway of a demo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::PATIENCE;
use common::station::{DOOR, Demo, PASSWORD, Station};
use doorstation::clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

mod common;

/// `RestartSec=` of the unit.
const RESTART: Duration = Duration::from_secs(1);
/// After a kill it can ring again within this time.
const READY: Duration = Duration::from_secs(3);
/// And the far end knows within this one.
const TOLD: Duration = Duration::from_secs(5);

/// The configuration of a station whose only account is `alice` at `server`; its bell
/// rings the door of the demo.
fn account_at(server: &str, password: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("password");
    fs::write(&secret, password)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let websocket = server.replacen("http", "ws", 1);
    let file = folder.path().join("doorstation.toml");
    let config = format!(
        "[call]\nring = [\"cloud:{DOOR}\"]\n\
         [[account]]\nname = \"cloud\"\nuser = \"alice@demo.local\"\n\
         password_file = \"password\"\nrest = \"{server}\"\nwebsocket = \"{websocket}\"\n\
         [camera]\nsource = \"test\"\n"
    );
    fs::write(&file, config)?;
    Ok((folder, file))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_told_to_programs_to_the_visitor_and_to_the_log() -> Result<()> {
    const WRONG: &str = "hunter2hunter2";
    let gateway = Demo::new().user("alice").start().await?;
    let (_folder, file) = account_at(gateway.url(), WRONG)?;
    let mut station = Station::run(&file, None)?;

    let error = station
        .wait("auth:error", |event| event["event"] == "auth:error")
        .await?;
    ensure!(error.value["account"] == "cloud", "{}", error.value);
    ensure!(error.value["code"] == "authentication:4", "{}", error.value);
    let message = error.value["message"].as_str().context("no message")?;
    ensure!(
        message.contains("refuses our user name or password") && message.contains("127.0.0.1"),
        "{message}"
    );
    let light = station
        .wait("a red light", |event| event["sign"] == "login_refused")
        .await?;
    ensure!(light.value["colour"] == "red", "{}", light.value);

    station.panel("press bell").await?;
    let over = station
        .wait("the end of the call", |event| event["event"] == "call:over")
        .await?;
    ensure!(
        over.value["reason"] == "Nobody could be rung",
        "{}",
        over.value
    );
    station
        .wait("the tone of a fault", |event| event["tone"] == "fault")
        .await?;
    ensure!(
        station.all(|event| event["event"] == "ready").is_empty(),
        "it cannot ring"
    );
    let log = station.errors();
    ensure!(log.contains("the login was refused"), "{log}");
    let told = station.all(|_| true);
    ensure!(
        !log.contains(WRONG) && !told.iter().any(|e| e.value.to_string().contains(WRONG)),
        "the password is in the output"
    );
    station.stop().await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bell_of_a_configured_station_rings_through_its_account() -> Result<()> {
    let mut door = Demo::new().user("alice").start().await?;
    let (_folder, file) = account_at(door.url(), PASSWORD)?;
    let mut station = Station::run(&file, None)?;
    let ready = station
        .wait("ready", |event| event["event"] == "ready")
        .await?;
    ensure!(ready.value["door"] == "alice@demo.local", "{}", ready.value);
    ensure!(ready.value["url"] == Value::Null, "it has no page");

    station.panel("press bell").await?;
    let received = door
        .wait("a call", |event| event["event"] == "call:receive")
        .await?;
    ensure!(received.value["from"] == "alice@demo.local");
    door.panel("answer").await?;
    station.wait_state("IN_CALL").await?;
    door.panel("end").await?;
    let over = station
        .wait("the end of the call", |event| event["event"] == "call:over")
        .await?;
    ensure!(over.value["peer"] == DOOR, "{}", over.value);
    ensure!(over.value["talked_ms"].is_number(), "{}", over.value);
    let summary = station
        .wait("the summary", |event| event["event"] == "call:summary")
        .await?;
    ensure!(summary.value["talked_ms"] == over.value["talked_ms"]);
    ensure!(
        summary.value["moments"]["press_to_ringing"].is_number(),
        "{}",
        summary.value
    );
    station.stop().await?;
    door.stop().await
}

/// The start after a kill is one of a new process: nothing that the old one left behind
/// keeps it from ringing, neither here nor at the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_is_killed_in_any_state_rings_again_at_once_and_the_far_end_is_told()
-> Result<()> {
    for state in ["idle", "RINGING", "IN_CALL", "ON_HOLD", "ending"] {
        let mut door = Demo::new().user("alice").start().await?;
        let (_folder, file) = account_at(door.url(), PASSWORD)?;
        let station = standing(&mut door, &file, state).await?;
        let id = i32::try_from(station.id()?)?;
        let id = rustix::process::Pid::from_raw(id).context("no process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::KILL)?;

        let killed = clock::now();
        let mut station = Station::run(&file, None)?;
        let ready = |event: &Value| event["event"] == "ready";
        station.wait("ready", ready).await?;
        // systemd waits another second before it starts anything again.
        let took = killed.elapsed() + RESTART;
        ensure!(took <= READY, "{state}: it can ring after {took:?}");
        if state != "idle" {
            let over = |event: &Value| event["state"] == "ENDED";
            door.wait("the end of the call", over).await?;
            let told = killed.elapsed() + RESTART;
            ensure!(told <= TOLD, "{state}: the far end hears after {told:?}");
            eprintln!("{state}: rings again after {took:?}, the far end hears within {told:?}");
        }
        station.stop().await?;
        door.stop().await?;
    }
    Ok(())
}

/// A station in this state: of a call that it made to the door, or without one.
async fn standing(door: &mut Station, file: &Path, state: &str) -> Result<Station> {
    let mut station = Station::run(file, None)?;
    station
        .wait("ready", |event| event["event"] == "ready")
        .await?;
    if state == "idle" {
        return Ok(station);
    }
    station.panel("press bell").await?;
    door.wait("a call", |event| event["event"] == "call:receive")
        .await?;
    if state == "RINGING" {
        station.wait_state(state).await?;
        return Ok(station);
    }
    door.panel("answer").await?;
    station.wait_state("IN_CALL").await?;
    match state {
        "ON_HOLD" => {
            station.panel("hold").await?;
            station.wait_state(state).await?;
        }
        // Killed on the way from the press to the end: the far end may know already.
        "ending" => {
            station.panel("end").await?;
        }
        _ => {}
    }
    Ok(station)
}

#[tokio::test]
async fn systemd_hears_that_the_station_is_up_though_its_server_is_not() -> Result<()> {
    // Nothing answers there: a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (folder, file) = account_at(&format!("http://{free}"), PASSWORD)?;
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path)?;
    let station = Station::run(&file, Some(&path))?;
    let mut said = Vec::new();
    while said.last().is_none_or(|last| last != "READY=1") {
        let mut state = [0; 256];
        let heard = tokio::time::timeout(PATIENCE, systemd.recv(&mut state));
        let length = heard.await.context("systemd hears nothing more")??;
        said.push(
            String::from_utf8_lossy(&state[..length])
                .trim_end()
                .to_owned(),
        );
    }
    // Before that only that it starts.
    let standing = &said[said.len() - 2];
    ensure!(standing.starts_with("STATUS=no connection"), "{said:?}");
    station.stop().await
}
