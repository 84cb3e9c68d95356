//! `doorstation doctor` through the real binary, with faults in what it looks at.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use common::station::{DOOR, Demo, PASSWORD};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

mod common;
mod coturn;
mod video_file;

/// The doctor's findings and its exit code.
struct Visit {
    findings: Vec<Value>,
    code: i32,
}

impl Visit {
    async fn pay(config: &Path, socket: &Path) -> Result<Self> {
        let output = Command::new(env!("CARGO_BIN_EXE_doorstation"))
            .args(["doctor", "--json", "--config"])
            .arg(config)
            .arg("--socket")
            .arg(socket)
            .output()
            .await?;
        let text = String::from_utf8(output.stdout)?;
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let findings = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let code = output.status.code().context("killed")?;
        Ok(Self { findings, code })
    }

    fn of(&self, check: &str) -> Result<&Value> {
        let found = self
            .findings
            .iter()
            .find(|finding| finding["check"] == check);
        found.with_context(|| format!("no line of {check}"))
    }

    /// The line of `check` is a failure; its words hold `seen`, what to do `remedy`.
    fn fails(&self, check: &str, seen: &str, remedy: &str) -> Result<()> {
        self.tells("failure", check, seen, remedy)?;
        ensure!(self.code == 1, "exit code {}", self.code);
        Ok(())
    }

    /// The line of `check` is of this grade, with these words in it.
    fn tells(&self, grade: &str, check: &str, seen: &str, remedy: &str) -> Result<()> {
        let finding = self.of(check)?;
        let says = |field: &str, words: &str| {
            finding[field]
                .as_str()
                .is_some_and(|text| text.contains(words))
        };
        ensure!(finding["grade"] == grade, "{finding}");
        ensure!(says("seen", seen) && says("remedy", remedy), "{finding}");
        Ok(())
    }
}

/// A folder with a configuration of these lines, and a password file beside it.
fn configured(lines: &str, password: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("password");
    fs::write(&secret, password)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let file = folder.path().join("doorstation.toml");
    fs::write(&file, lines)?;
    Ok((folder, file))
}

fn account(rest: &str, websocket: &str) -> String {
    format!(
        "[call]\nring = [\"cloud:{DOOR}\"]\n\
         [[account]]\nname = \"cloud\"\nuser = \"alice@demo.local\"\n\
         password_file = \"password\"\nrest = \"{rest}\"\nwebsocket = \"{websocket}\"\n"
    )
}

/// A certificate that ended on the first day of 2020, PEM.
fn ended_certificate() -> Result<String> {
    let mut parameters = rcgen::CertificateParams::new(vec!["door.test".to_owned()])?;
    parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate()?;
    Ok(parameters.self_signed(&key)?.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_and_then_the_password_is_wrong() -> Result<()> {
    let gateway = Demo::new().user("alice").start().await?;
    let websocket = gateway.url().replacen("http", "ws", 1);
    let lines = account(gateway.url(), &websocket) + "[camera]\nsource = \"test\"\n";
    let (folder, file) = configured(&lines, PASSWORD)?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    for check in ["configuration", "account cloud", "panel", "picture"] {
        ensure!(visit.of(check)?["grade"] == "ok", "{check}");
    }
    // A busy machine draws and encodes fewer pictures, which is a warning.
    for check in ["camera", "encoder VP8"] {
        let finding = visit.of(check)?;
        ensure!(finding["grade"] != "failure", "{finding}");
    }

    fs::write(folder.path().join("password"), "hunter2hunter2")?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails(
        "account cloud",
        "refuses our user name or password",
        "password_file",
    )?;
    ensure!(
        !visit
            .findings
            .iter()
            .any(|finding| finding.to_string().contains("hunter2")),
        "the password is in the output"
    );
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_camera_no_card_no_name_server_and_an_old_certificate() -> Result<()> {
    let lines = account("https://kandy.invalid", "wss://kandy.invalid")
        + "[gateway]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\n\
           certificate_file = \"old.pem\"\nkey_file = \"old.key\"\n\
           [[gateway.user]]\nname = \"bob\"\npassword_file = \"password\"\n\
           [camera]\nsource = \"v4l2:/dev/video99\"\n\
           [sound]\ncapture = \"hw:CARD=Absent\"\nplayback = \"hw:CARD=Absent\"\n";
    let (folder, file) = configured(&lines, PASSWORD)?;
    fs::write(folder.path().join("old.pem"), ended_certificate()?)?;
    fs::write(folder.path().join("old.key"), "")?;
    fs::set_permissions(
        folder.path().join("old.key"),
        fs::Permissions::from_mode(0o644),
    )?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails(
        "server kandy.invalid:443",
        "no name server knows it",
        "resolv.conf",
    )?;
    visit.fails("certificate", "ended", "new certificate")?;
    visit.fails("rights", "old.key", "chmod 600")?;
    visit.fails("camera", "/dev/video99", "v4l2-ctl")?;
    visit.fails("microphone", "Absent", "arecord -L")?;
    visit.fails("speaker", "Absent", "aplay -L")?;
    visit.fails("account cloud", "kandy.invalid", "server")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_told_with_every_mistake_and_the_machine_all_the_same() -> Result<()> {
    let (folder, file) = configured("[camra]\nsource = 1\n[sound]\nvolumee = 3\n", "")?;
    let visit = Visit::pay(&file, &folder.path().join("none")).await?;
    visit.fails("configuration", "camra", "correct the file")?;
    visit.fails("configuration", "volumee", "correct the file")?;
    visit.of("clock").map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_station_it_asks_the_station() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("control");
    let path = socket.to_str().context("path")?;
    let station = Demo::new()
        .user("alice")
        .option("--control", path)
        .start()
        .await?;
    let lines = account("http://127.0.0.1:9", "ws://127.0.0.1:9");
    let (_folder, file) = configured(&lines, PASSWORD)?;
    let visit = Visit::pay(&file, &socket).await?;
    for check in [
        "station",
        "account home",
        "camera",
        "microphone",
        "speaker",
        "panel",
        "door",
    ] {
        ensure!(visit.of(check)?["grade"] == "ok", "{}", visit.of(check)?);
    }
    visit.fails("server 127.0.0.1:9", "refused", "port right")?;
    station.stop().await
}

/// What a lens shows that is covered, faces the sun, or has its film on.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_shows_nobody_is_told_with_what_to_look_at() -> Result<()> {
    let (folder, file) = configured("", PASSWORD)?;
    let video = folder.path().join("picture.webm");
    // Smaller, and larger again: all edges are smeared over some thirty pixels.
    let blurred = "videotestsrc num-buffers=30 ! video/x-raw,width=640,height=360 \
                   ! videoscale ! video/x-raw,width=20,height=12 ! videoscale";
    for (source, word, remedy) in [
        (
            "videotestsrc num-buffers=30 pattern=black",
            "black",
            "lens covered",
        ),
        (
            "videotestsrc num-buffers=30 pattern=white",
            "over-exposed",
            "exposure",
        ),
        (blurred, "blurred", "focus"),
    ] {
        video_file::make_of(&video, source);
        let lines = account("http://127.0.0.1:9", "ws://127.0.0.1:9")
            + &format!("[camera]\nsource = \"file:{}\"\n", video.display())
            + "[sound]\ncapture = \"none\"\nplayback = \"none\"\n";
        fs::write(&file, lines)?;
        let visit = Visit::pay(&file, &folder.path().join("none")).await?;
        visit.tells("warning", "picture", word, remedy)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_servers_lend_an_address_or_it_is_told_why_they_do_not() -> Result<()> {
    let Some(coturn) = coturn::start().await? else {
        return Ok(());
    };
    let servers = |password: &str| {
        let turn = coturn.url();
        let stun = turn.replacen("turn", "stun", 1);
        let stun = stun.split('?').next().unwrap_or_default();
        let (user, _) = coturn::LOGIN;
        let help = format!(
            "[[call.ice_server]]\nurl = \"{stun}\"\n\
             [[call.ice_server]]\nurl = \"{turn}\"\nusername = \"{user}\"\n\
             password_file = \"{password}\"\n"
        );
        let (call, account) = account("http://127.0.0.1:9", "ws://127.0.0.1:9")
            .split_once("[[account]]")
            .map(|(call, account)| (call.to_owned(), account.to_owned()))
            .unwrap_or_default();
        (
            stun.to_owned(),
            format!(
                "{call}{help}[[account]]{account}[sound]\ncapture = \"none\"\nplayback = \"none\"\n"
            ),
        )
    };
    let (_, right) = coturn::LOGIN;
    let (folder, file) = configured("", right)?;
    let none = folder.path().join("none");
    let (stun, lines) = servers("password");
    fs::write(&file, lines)?;
    let visit = Visit::pay(&file, &none).await?;
    for url in [stun.as_str(), coturn.url()] {
        let finding = visit.of(&format!("ice {url}"))?;
        ensure!(finding["grade"] == "ok", "{finding}");
        ensure!(
            finding["seen"]
                .as_str()
                .is_some_and(|seen| seen.ends_with(" ms")),
            "{finding}"
        );
    }

    fs::write(folder.path().join("password"), "hunter2hunter2")?;
    let visit = Visit::pay(&file, &none).await?;
    let turn = format!("ice {}", coturn.url());
    visit.fails(&turn, "refuses the log-in: 401", "password_file")?;

    drop(coturn);
    let visit = Visit::pay(&file, &none).await?;
    visit.fails(&turn, "no answer", "router")
}
