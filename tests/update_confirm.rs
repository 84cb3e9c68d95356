//! Whether a version is good: a running station is tried from outside, by a call through its
//! own gateway.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use common::PATIENCE;
use common::station::{PASSWORD, Station};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

mod common;

/// A station with a gateway of its own and one user.
struct Bench {
    folder: TempDir,
    config: PathBuf,
}

impl Bench {
    /// `user` is the lines of the user anna but her name, `camera` the source.
    async fn new(user: &str, camera: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let secret = folder.path().join("anna.password");
        fs::write(&secret, PASSWORD)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        // Free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let at = folder.path().display();
        let config = folder.path().join("doorstation.toml");
        let text = format!(
            "[gateway]\nlisten = \"{address}\"\nstate_dir = \"{at}/state\"\n\
             [[gateway.user]]\nname = \"anna\"\n{user}\n\
             [camera]\nsource = \"{camera}\"\nwidth = 320\nheight = 240\n\
             [control]\nsocket = \"{at}/control.sock\"\ngroup = \"none\"\n"
        );
        fs::write(&config, text)?;
        Ok(Self { folder, config })
    }

    async fn start(&self) -> Result<Station> {
        let mut station = Station::run(&self.config, None)?;
        station
            .wait("ready", |event| event["event"] == "ready")
            .await?;
        Ok(station)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What `doorstation update confirm --dry-run` says, and its exit code.
    async fn confirm(&self, within: &str) -> Result<(Value, Option<i32>)> {
        let ran = Command::new(env!("CARGO_BIN_EXE_doorstation"))
            .args([
                "update",
                "confirm",
                "--dry-run",
                "--json",
                "--within",
                within,
            ])
            .arg("--config")
            .arg(&self.config)
            .arg("--socket")
            .arg(self.folder.path().join("control.sock"))
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(4 * PATIENCE, ran).await??;
        said(&output)
    }
}

fn said(output: &Output) -> Result<(Value, Option<i32>)> {
    let line = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((line, output.status.code()))
}

const ANNA: &str = "password_file = \"anna.password\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_is_called_through_its_own_gateway() -> Result<()> {
    let bench = Bench::new(ANNA, "test").await?;
    let mut station = bench.start().await?;
    let (line, code) = bench.confirm("60s").await?;
    ensure!(code == Some(0) && line["ok"] == true, "{line}");
    ensure!(line["marked"] == false, "{line}");
    let proof = line["proof"].to_string();
    ensure!(proof.contains("a call through its own gateway"), "{proof}");
    ensure!(proof.contains("picture"), "{proof}");
    let over = station
        .wait("the end of the trial", |event| {
            event["event"] == "call:over"
        })
        .await?;
    ensure!(over.value["peer"] == "anna@home.local", "{}", over.value);
    ensure!(over.value["talked_ms"].is_number(), "{}", over.value);
    station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_good_is_said_in_words() -> Result<()> {
    // Nobody is there.
    let bench = Bench::new(ANNA, "test").await?;
    let (line, code) = bench.confirm("1s").await?;
    ensure!(code == Some(1) && line["code"] == "not_good", "{line}");
    let words = line["message"].to_string();
    ensure!(words.contains("the station does not run"), "{words}");

    // A camera that the configuration names is not there.
    let bench = Bench::new(ANNA, "v4l2:/dev/video-of-nobody").await?;
    let mut station = bench.start().await?;
    station
        .wait("the fault", |event| event["event"] == "media:error")
        .await?;
    let (line, code) = bench.confirm("1s").await?;
    ensure!(code == Some(1) && line["code"] == "not_good", "{line}");
    let words = line["message"].to_string();
    ensure!(
        words.contains("camera") && words.contains("video-of-nobody"),
        "{words}"
    );
    station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_password_is_known_it_says_that_it_did_not_call() -> Result<()> {
    let hash = "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$\
                q1cVXj5jTx+tZmEwQS4GLbGW1yBGjvdd9s6ItKXX8b4\"";
    let bench = Bench::new(hash, "test").await?;
    let station = bench.start().await?;
    let (line, code) = bench.confirm("30s").await?;
    ensure!(code == Some(0), "{line}");
    let proof = line["proof"].to_string();
    ensure!(proof.contains("no trial call was made"), "{proof}");
    station.stop().await
}

/// The station has what systemd gave it, and who tries it has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_the_service_is_no_reason_to_go_back() -> Result<()> {
    let bench = Bench::new("credential = \"anna\"", "test").await?;
    let credentials = bench.folder.path().join("credentials");
    fs::create_dir(&credentials)?;
    fs::write(credentials.join("anna"), PASSWORD)?;
    let variables = [("CREDENTIALS_DIRECTORY", credentials.as_path())];
    let mut station = Station::run_with(&bench.config, variables)?;
    station
        .wait("ready", |event| event["event"] == "ready")
        .await?;
    let (line, code) = bench.confirm("30s").await?;
    ensure!(code == Some(0), "{line}");
    let proof = line["proof"].to_string();
    ensure!(proof.contains("the credential 'anna'"), "{proof}");
    station.stop().await
}

/// A newer version leaves things behind that this one has never heard of.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_version_left_harms_nobody_who_goes_back() -> Result<()> {
    let bench = Bench::new(ANNA, "test").await?;
    bench.start().await?.stop().await?;
    let authority = fs::read(bench.state().join("tls/ca.crt"))?;
    let leave = |file: &str, bytes: &[u8]| -> Result<()> {
        let path = bench.state().join(file);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        Ok(fs::write(path, bytes)?)
    };
    leave("format", b"{\"version\":7}")?;
    leave("calls.sqlite", b"SQLite format 3\0")?;
    leave("tls/ca-2.crt", b"-----BEGIN OTHER-----")?;
    leave("tls/next/leaf.crt", b"")?;
    leave("visitors/1764170000000_a.avif", b"a picture")?;
    leave("visitors/2/1764170000000_a.jpg", b"a picture")?;
    let station = bench.start().await?;
    let (line, code) = bench.confirm("60s").await?;
    ensure!(code == Some(0), "{line}");
    station.stop().await?;
    ensure!(fs::read(bench.state().join("tls/ca.crt"))? == authority);
    for kept in ["format", "calls.sqlite", "visitors/1764170000000_a.avif"] {
        ensure!(exists(&bench.state(), kept), "{kept} is gone");
    }
    Ok(())
}

fn exists(folder: &Path, file: &str) -> bool {
    folder.join(file).exists()
}
