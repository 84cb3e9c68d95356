//! A TURN server of Debian's (`coturn`), on this machine and with one log-in.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Who may have an address: user and password.
pub(crate) const LOGIN: (&str, &str) = ("door", "of no importance");

/// Who knows it may lend log-ins.
const SECRET: &str = "of no importance either";

const PROGRAM: &str = "/usr/bin/turnserver";
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one question waits for its answer before it is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// It runs as long as this lives.
pub(crate) struct Coturn {
    url: String,
    _process: Child,
    _folder: TempDir,
}

impl Coturn {
    /// `turn:127.0.0.1:PORT?transport=udp`; the same port answers STUN.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Starts it on a free port of the loopback and waits until it answers; `None`, with a
/// word, where it is not installed, which is a failure where nothing may be skipped.
pub(crate) async fn start() -> Result<Option<Coturn>> {
    let (user, password) = LOGIN;
    start_for(&["--user", &format!("{user}:{password}")]).await
}

/// The same, for log-ins of [`lent_login`] and no others.
pub(crate) async fn start_with_lent_logins() -> Result<Option<Coturn>> {
    start_for(&["--use-auth-secret", "--static-auth-secret", SECRET]).await
}

/// User and password that are good until `end`, counted from 1970 (coturn's
/// `--use-auth-secret`).
pub(crate) fn lent_login(end: Duration) -> (String, String) {
    let user = format!("{}:{}", end.as_secs(), LOGIN.0);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let password = BASE64.encode(hmac::sign(&key, user.as_bytes()));
    (user, password)
}

async fn start_for(users: &[&str]) -> Result<Option<Coturn>> {
    if !Path::new(PROGRAM).exists() {
        let must_run = ["CI", "DOORSTATION_TEST_ALL"];
        let must_run = must_run.iter().any(|name| std::env::var_os(name).is_some());
        ensure!(!must_run, "{PROGRAM} is missing: run script/setup");
        eprintln!("skipped: {PROGRAM} is missing: run script/setup");
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    // Free a moment ago; coturn takes no port 0.
    let address = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
    let process = Command::new(PROGRAM)
        .args(["-n", "--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech"])
        .args(["--log-file", "stdout", "--allow-loopback-peers"])
        .args(["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"])
        .args(["--listening-port", &address.port().to_string()])
        .args(["--realm", "test"])
        .args(users)
        .arg("--pidfile")
        .arg(folder.path().join("pid"))
        .arg("--userdb")
        .arg(folder.path().join("users"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context(PROGRAM)?;
    if timeout(PATIENCE, answers(address)).await.is_err() {
        bail!("{PROGRAM} does not answer at {address}");
    }
    Ok(Some(Coturn {
        url: format!("turn:{address}?transport=udp"),
        _process: process,
        _folder: folder,
    }))
}

/// Asks for our address (RFC 8489, a binding request) until something answers.
async fn answers(server: SocketAddr) {
    const QUESTION: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42doorstation!";
    loop {
        let asked = async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            socket.connect(server).await?;
            socket.send(&QUESTION).await?;
            socket.recv(&mut [0; 512]).await
        };
        if let Ok(Ok(_)) = timeout(AGAIN, asked).await {
            return;
        }
        tokio::time::sleep(AGAIN / 4).await;
    }
}
