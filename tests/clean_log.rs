//! A door that works has nothing to warn of: ten calls, and the log at its usual level.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use common::station::{DOOR, Demo, PASSWORD, Station};

mod common;

const CALLS: usize = 10;
/// What one call may write at most: somebody reads it, over a slow line.
const STORY: usize = 40;

/// A station that rings the other one, each with simulated devices, over the other's
/// gateway; the other one answers.
#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_leave_no_warning_and_each_a_short_story() -> Result<()> {
    let door = Demo::new().user("alice").option("--log", "info");
    let mut door = door.start().await?;
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("password");
    fs::write(&secret, PASSWORD)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let file = folder.path().join("doorstation.toml");
    let websocket = door.url().replacen("http", "ws", 1);
    fs::write(
        &file,
        format!(
            "[call]\nring = [\"cloud:{DOOR}\"]\n\
             [[account]]\nname = \"cloud\"\nuser = \"alice@demo.local\"\n\
             password_file = \"password\"\nrest = \"{}\"\nwebsocket = \"{websocket}\"\n\
             [camera]\nsource = \"test\"\nwidth = 640\nheight = 360\n",
            door.url()
        ),
    )?;
    let mut station = Station::run(&file, None)?;
    station
        .wait("ready", |event| event["event"] == "ready")
        .await?;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(call(&mut station, &mut door).await?);
    }
    let logs = [("caller", station.errors()), ("door", door.errors())];
    station.stop().await?;
    door.stop().await?;

    let mut longest = BTreeMap::new();
    for (who, log) in &logs {
        let odd: Vec<_> = log
            .lines()
            .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
            .collect();
        ensure!(odd.is_empty(), "the {who} warns: {odd:#?}");
        ensure!(log.lines().count() > CALLS, "the {who} says nothing: {log}");
    }
    for id in &calls {
        let story: Vec<_> = logs[0].1.lines().filter(|line| line.contains(id)).collect();
        ensure!(
            (3..=STORY).contains(&story.len()),
            "{} lines of one call: {story:#?}",
            story.len()
        );
        longest.insert(story.len(), id);
    }
    eprintln!(
        "no warnings in {CALLS} calls; the longest story has {} lines",
        longest.keys().last().copied().unwrap_or(0)
    );
    Ok(())
}

/// Rings, talks, ends; gives the call's id.
async fn call(station: &mut Station, door: &mut Station) -> Result<String> {
    station.mark();
    door.mark();
    station.panel("press bell").await?;
    door.wait("a call", |event| event["event"] == "call:receive")
        .await?;
    door.panel("answer").await?;
    let talking = station.wait_state("IN_CALL").await?;
    door.wait_state("IN_CALL").await?;
    // Media flow before it ends: a door's picture goes out, and nothing comes in.
    for (side, what) in [
        (&mut *station, "answer_to_first_picture_sent"),
        (&mut *door, "answer_to_connected"),
    ] {
        side.wait(what, |event| {
            event["event"] == "moment" && event["name"] == what
        })
        .await?;
    }
    door.panel("end").await?;
    for side in [station, door] {
        side.wait("the summary", |event| event["event"] == "call:summary")
            .await?;
    }
    let id = talking.value["call_id"].as_str();
    id.map(str::to_owned)
        .with_context(|| format!("no id in {}", talking.value))
}
