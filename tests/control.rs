//! The control socket, the commands and the metrics of a running station, through the
//! real binary.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use common::PATIENCE;
use common::station::{Demo, PASSWORD, Station};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest, Lines};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{ChildStdout, Command};

mod common;

/// A demo with a control socket.
struct Bench {
    station: Station,
    folder: TempDir,
}

impl Bench {
    async fn start() -> Result<Self> {
        Self::start_with(|demo| demo).await
    }

    async fn start_with(more: impl FnOnce(Demo) -> Demo) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let demo = Demo::new()
            .user("alice")
            .option("--control", folder.path().join("control.sock"));
        let station = more(demo).start().await?;
        Ok(Self { station, folder })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    async fn connect(&self) -> Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(self.socket()).await;
        Ok(BufReader::new(stream.context("the control socket")?))
    }

    /// What `doorstation ARGUMENTS --json` says, and its exit code.
    async fn ask(&self, arguments: &[&str]) -> Result<(Value, Option<i32>)> {
        let output = command(&self.socket(), arguments, &["--json"]).await?;
        let reply = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{arguments:?}: {output:?}"))?;
        Ok((reply, output.status.code()))
    }

    /// Another station, whose account is alice at ours: each bell rings the other. Its
    /// socket is `alice.sock` in `folder`.
    async fn alice(&self, folder: &TempDir) -> Result<Station> {
        let secret = folder.path().join("password");
        std::fs::write(&secret, PASSWORD)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
        let url = self.station.url();
        let file = folder.path().join("doorstation.toml");
        let config = format!(
            "[call]\nring = [\"cloud:door@demo.local\"]\n\
             [[account]]\nname = \"cloud\"\nuser = \"alice@demo.local\"\n\
             password_file = \"password\"\nrest = \"{url}\"\nwebsocket = \"{}\"\n\
             [camera]\nsource = \"test\"\n[control]\nsocket = \"{}\"\n",
            url.replacen("http", "ws", 1),
            folder.path().join("alice.sock").display(),
        );
        std::fs::write(&file, config)?;
        let mut alice = Station::run(&file, None)?;
        alice
            .wait("ready", |event| event["event"] == "ready")
            .await?;
        Ok(alice)
    }

    /// It still answers.
    async fn is_well(&self) -> Result<()> {
        let (reply, code) = self.ask(&["status"]).await?;
        ensure!(code == Some(0) && reply["ok"] == true, "{reply}");
        Ok(())
    }
}

fn program(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstation"));
    command.args(arguments).arg("--socket").arg(socket);
    command
}

async fn command(socket: &Path, arguments: &[&str], more: &[&str]) -> Result<Output> {
    let output = program(socket, arguments).args(more).output();
    Ok(tokio::time::timeout(PATIENCE, output).await??)
}

async fn line(stream: &mut BufReader<UnixStream>) -> Result<Option<Value>> {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut line));
    Ok(match read.await.context("no line came")?? {
        0 => None,
        _ => Some(serde_json::from_str(&line)?),
    })
}

/// A `doorstation watch` that runs.
struct Watch {
    _child: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(bench: &Bench, more: &[&str]) -> Result<Self> {
        let mut child = program(&bench.socket(), &["watch"])
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        Ok(Self {
            _child: child,
            lines: BufReader::new(out).lines(),
        })
    }

    async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let search = async {
            loop {
                let line = self.lines.next_line().await?.context("watch ended")?;
                if wanted(&line) {
                    return Ok(line);
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .context("watch did not say it")?
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_watched_and_ended_over_the_socket() -> Result<()> {
    let mut bench = Bench::start().await?;
    let folder = tempfile::tempdir()?;
    let alice = bench.alice(&folder).await?;
    let (mut other, mut words) = (bench.connect().await?, Watch::start(&bench, &[])?);
    other.write_all(b"{\"do\":\"watch\"}\n").await?;
    ensure!(line(&mut other).await?.context("a reply")?["ok"] == true);

    let (reply, code) = bench.ask(&["answer"]).await?;
    ensure!(code == Some(1) && reply["code"] == "denied", "{reply}");
    ensure!(reply["message"] == "nobody is calling", "{reply}");
    let (reply, code) = bench.ask(&["call", "mallory"]).await?;
    ensure!(code == Some(1) && reply["code"] == "unknown", "{reply}");

    // Words may begin at any moment of this; what is waited for comes at its end.
    let (reply, code) = bench.ask(&["press", "bell"]).await?;
    ensure!(code == Some(0), "{reply}");
    ensure!(reply["message"] == "calling alice", "{reply}");
    let id = reply["call_id"].as_str().context("no id")?.to_owned();
    let (reply, code) = bench.ask(&["press", "bell"]).await?;
    ensure!(code == Some(0) && reply["acted"] == false, "{reply}");
    let (reply, code) = bench.ask(&["call", "alice"]).await?;
    ensure!(
        code == Some(1) && reply["message"] == "a call is already up",
        "{reply}"
    );
    bench.station.wait_state("RINGING").await?;
    let (reply, _) = bench.ask(&["status"]).await?;
    ensure!(reply["status"]["call"]["call_id"] == id, "{reply}");

    let (reply, code) = bench.ask(&["end"]).await?;
    ensure!(code == Some(0), "{reply}");
    words.until(|line| line.contains("call with alice")).await?;
    let over = loop {
        let event = line(&mut other).await?.context("watch ended")?;
        if event["event"] == "call:over" {
            break event;
        }
    };
    ensure!(over["call_id"] == id && over["t_ms"].is_number(), "{over}");
    let (reply, _) = bench.ask(&["status"]).await?;
    let past = &reply["status"]["calls"][0];
    ensure!(
        past["call_id"] == id && past["result"] == "cancelled",
        "{reply}"
    );
    alice.stop().await?;
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_the_door_is_answered_and_refused_over_the_socket() -> Result<()> {
    let mut bench = Bench::start().await?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("alice.sock");
    let mut alice = bench.alice(&folder).await?;
    let output = command(&socket, &["call"], &[]).await?;
    ensure!(
        output.status.success() && output.stdout == b"calling door\n",
        "{output:?}"
    );
    let receive = |event: &Value| event["event"] == "call:receive";
    bench.station.wait("a call", receive).await?;
    let (reply, code) = bench.ask(&["answer"]).await?;
    ensure!(code == Some(0), "{reply}");
    alice.wait_state("IN_CALL").await?;
    let (reply, code) = bench.ask(&["end"]).await?;
    ensure!(code == Some(0), "{reply}");
    let summary = |event: &Value| event["event"] == "call:summary";
    bench.station.wait("the summary", summary).await?;
    alice.wait("the summary", summary).await?;
    let (reply, _) = bench.ask(&["status"]).await?;
    ensure!(
        reply["status"]["calls"][0]["result"] == "answered",
        "{reply}"
    );

    bench.station.mark();
    command(&socket, &["press", "bell"], &[]).await?;
    bench.station.wait("a call", receive).await?;
    let (reply, code) = bench.ask(&["reject"]).await?;
    ensure!(code == Some(0), "{reply}");
    bench.station.wait("the end", summary).await?;
    alice.stop().await?;
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_who_stands_at_the_door_is_written_to_a_file() -> Result<()> {
    let bench = Bench::start().await?;
    let file = bench.folder.path().join("door.jpg");
    let name = file.to_str().context("a name")?;
    let (reply, code) = bench.ask(&["snapshot", name]).await?;
    ensure!(code == Some(0) && reply.get("jpeg").is_none(), "{reply}");
    let jpeg = std::fs::read(&file)?;
    ensure!(jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.ends_with(&[0xff, 0xd9]));
    ensure!(jpeg.len() > 5_000, "{} bytes", jpeg.len());
    let mode = std::fs::metadata(&file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");

    let output = command(&bench.socket(), &["snapshot", "/nonexistent/door.jpg"], &[]).await?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_more_for_a_while() -> Result<()> {
    let bench = Bench::start().await?;
    let turn = async |arguments: &[&str]| {
        let arguments = [&["log-level"], arguments].concat();
        bench.ask(&arguments).await
    };
    let (reply, code) = turn(&["call=debug,media::rtc=trace", "--for", "2m"]).await?;
    ensure!(code == Some(0) && reply["acted"] == true, "{reply}");
    let message = reply["message"].as_str().context("a sentence")?;
    ensure!(message.contains("for 120 s"), "{message}");

    for (filter, time, about) in [
        ("call=loud", "1m", "write a level"),
        ("debug", "25h", "at most 24 h"),
    ] {
        let (reply, code) = turn(&[filter, "--for", time]).await?;
        ensure!(code == Some(1) && reply["code"] == "unknown", "{reply}");
        let message = reply["message"].as_str().context("a sentence")?;
        ensure!(message.contains(about), "{message}");
    }
    let output = command(
        &bench.socket(),
        &["log-level", "debug", "--for", "soon"],
        &[],
    )
    .await?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_hurts_nobody() -> Result<()> {
    let bench = Bench::start().await?;
    let mut stream = bench.connect().await?;
    for wrong in ["no json", "{\"do\":\"open\"}", "{}", ""] {
        stream.write_all(format!("{wrong}\n").as_bytes()).await?;
        let reply = line(&mut stream).await?.context("hung up")?;
        ensure!(reply["code"] == "not_understood", "{wrong}: {reply}");
    }
    // Ten megabytes without an end: the station reads no more than a line has.
    let mut stream = bench.connect().await?;
    let flood = vec![b'x'; 10_000_000];
    let written = tokio::time::timeout(PATIENCE, stream.write_all(&flood)).await?;
    ensure!(written.is_err(), "all of it was taken");
    let reply = line(&mut stream).await?.context("no reply")?;
    ensure!(reply["code"] == "too_long", "{reply}");
    bench.is_well().await?;

    // A hundred at one time: some are told that it is too much, all are let go.
    let mut many = Vec::new();
    for _ in 0..100 {
        many.push(bench.connect().await?);
    }
    let last = many.last_mut().context("a hundred")?;
    let reply = line(last).await?.context("no reply")?;
    ensure!(reply["code"] == "busy", "{reply}");
    drop(many);
    bench.station_answers_again().await?;
    bench.station.stop().await
}

impl Bench {
    /// Places come back as soon as the station sees that connections were closed.
    async fn station_answers_again(&self) -> Result<()> {
        let asked = async {
            while self.is_well().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        Ok(tokio::time::timeout(PATIENCE, asked).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_never_reads_is_cut_off_and_the_station_goes_on() -> Result<()> {
    let mut bench = Bench::start().await?;
    let mut idle = bench.connect().await?;
    idle.write_all(b"{\"do\":\"watch\"}\n").await?;
    ensure!(line(&mut idle).await?.context("a reply")?["ok"] == true);
    // More news than a socket holds: each line that the panel does not know is told.
    for n in 0..4000 {
        bench.station.panel(&format!("nonsense {n}")).await?;
    }
    let denied = |event: &Value| event.to_string().contains("nonsense 3999");
    bench.station.wait("the last of them", denied).await?;
    bench.is_well().await?;
    let cut_off = async {
        let pause = std::time::Duration::from_millis(50);
        while !idle
            .get_ref()
            .ready(Interest::READABLE)
            .await?
            .is_read_closed()
        {
            tokio::time::sleep(pause).await;
        }
        anyhow::Ok(())
    };
    let cut_off = tokio::time::timeout(PATIENCE, cut_off).await;
    cut_off.context("it is not cut off")??;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await?;
    let all = String::from_utf8_lossy(&rest).contains("nonsense 3999");
    ensure!(!all, "it was waited for");
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_reach_the_station_is_told_what_to_do() -> Result<()> {
    let output = command(Path::new("/nonexistent/socket"), &["status"], &[]).await?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.contains("the station does not run") && told.contains("systemctl start"));

    let bench = Bench::start().await?;
    let mode = std::fs::metadata(bench.socket())?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return bench.station.stop().await;
    }
    // Where somebody else finds the program and the way to the socket.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bench.folder.path(), open.clone())?;
    let copy = bench.folder.path().join("doorstation");
    std::fs::copy(env!("CARGO_BIN_EXE_doorstation"), &copy)?;
    std::fs::set_permissions(&copy, open)?;
    let as_nobody = || {
        Command::new(&copy)
            .args(["status", "--json", "--socket"])
            .arg(bench.socket())
            .uid(65534)
            .gid(65534)
            .output()
    };
    let output = as_nobody().await?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let reply: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(reply["code"] == "not_allowed", "{reply}");
    let told = reply["message"].as_str().unwrap_or_default();
    ensure!(told.contains("doorstation-operator"), "{told}");

    // Though the file lets everybody in, the kernel says who it is.
    let everybody = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(bench.socket(), everybody)?;
    let output = as_nobody().await?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    bench.station.stop().await
}

/// A GET, or another method: the status and the body.
async fn http(address: &str, method: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut reply)).await??;
    let (head, body) = reply.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_are_told_and_only_read() -> Result<()> {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let address = free.to_string();
    let mut bench = Bench::start_with(|demo| demo.option("--metrics", &address)).await?;
    ensure!(http(&address, "GET", "/healthz").await? == (200, "alive\n".into()));
    ensure!(http(&address, "GET", "/readyz").await? == (200, "ready\n".into()));
    ensure!(http(&address, "GET", "/else").await?.0 == 404);
    ensure!(http(&address, "POST", "/metrics").await?.0 == 405);
    let folder = tempfile::tempdir()?;
    let alice = bench.alice(&folder).await?;
    bench.ask(&["call"]).await?;
    bench.station.wait_state("RINGING").await?;
    bench.ask(&["end"]).await?;
    let over = |event: &Value| event["event"] == "call:over";
    bench.station.wait("the end", over).await?;
    let (status, text) = http(&address, "GET", "/metrics").await?;
    ensure!(status == 200);
    for line in [
        "doorstation_calls_total{direction=\"outgoing\",result=\"cancelled\"} 1",
        "doorstation_account_connected{account=\"home\"} 1",
        "doorstation_device_ok{device=\"camera\"} 1",
    ] {
        ensure!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    ensure!(!text.contains("alice"), "a name is in it:\n{text}");
    alice.stop().await?;
    bench.station.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_without_its_server_is_alive_and_not_ready() -> Result<()> {
    let free = || -> Result<_> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?) };
    let (nobody, address) = (free()?, free()?.to_string());
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("password");
    std::fs::write(&secret, PASSWORD)?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    let file = folder.path().join("doorstation.toml");
    // A group that every machine has, and whose member root is in any case.
    let socket = folder.path().join("control.sock");
    let config = format!(
        "[control]\nsocket = \"{}\"\ngroup = \"daemon\"\n\
         [call]\nring = [\"cloud:bob\"]\n[[account]]\nname = \"cloud\"\n\
         user = \"alice@demo.local\"\npassword_file = \"password\"\n\
         rest = \"http://{nobody}\"\nwebsocket = \"ws://{nobody}\"\n\
         [camera]\nsource = \"test\"\n[metrics]\nlisten = \"{address}\"\n",
        socket.display()
    );
    std::fs::write(&file, config)?;
    let mut station = Station::run(&file, None)?;
    let lost = |event: &Value| event["event"] == "auth:change" && event["state"] == "lost";
    station.wait("that it is lost", lost).await?;
    ensure!(http(&address, "GET", "/healthz").await?.0 == 200);
    let (status, why) = http(&address, "GET", "/readyz").await?;
    ensure!(
        status == 503 && why.contains("no account is connected (cloud: "),
        "{why}"
    );
    if rustix::process::geteuid().is_root() {
        // Its group is given to it, by the number that Debian gives to `daemon`.
        let metadata = std::fs::metadata(&socket)?;
        let mode = metadata.permissions().mode() & 0o777;
        ensure!(mode == 0o660 && metadata.gid() == 1, "{metadata:?}");
    }
    station.stop().await
}
