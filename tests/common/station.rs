//! The station as its users meet it: the built binary as a child process, driven by
//! lines on its standard input and read by the JSON lines it prints.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::PATIENCE;
use super::clock;
use super::process::Group;

/// The address of the door in every test.
pub(crate) const DOOR: &str = "door@demo.local";

/// The password of every user of the tests.
pub(crate) const PASSWORD: &str = "a plain test password";

/// How long a station may take to get ready: it opens a pipeline and registers.
const READY: Duration = Duration::from_secs(60);

/// How long an orderly end may take; the station's own grace period is shorter.
const END: Duration = Duration::from_secs(15);

/// The options of one `doorstation demo`.
#[derive(Debug)]
pub(crate) struct Demo {
    program: PathBuf,
    arguments: Vec<OsString>,
    plain: bool,
    video: OsString,
    size: &'static str,
}

impl Demo {
    /// A station on a free port of the loopback interface, over plain HTTP, with
    /// the moving test picture and nobody to ring.
    pub(crate) fn new() -> Self {
        Self {
            program: built_binary(),
            arguments: Vec::new(),
            plain: true,
            video: "test".into(),
            // Two calls at a time on two cores, each with a browser.
            size: "640x360",
        }
    }

    /// Another binary than the one that cargo built.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        self.program = path.to_owned();
        self
    }

    /// A person with an account.
    pub(crate) fn user(self, name: &str) -> Self {
        self.option("--user", format!("{name}:{PASSWORD}"))
    }

    /// Who is rung.
    pub(crate) fn ring(self, name: &str) -> Self {
        self.option("--ring", name)
    }

    /// What the door's microphone hears, in a loop.
    pub(crate) fn microphone(self, wav: &Path) -> Self {
        self.option("--mic-wav", wav)
    }

    /// Where what the door's speaker plays is kept.
    pub(crate) fn speaker(self, wav: &Path) -> Self {
        self.option("--speaker-wav", wav)
    }

    /// HTTPS with the station's own CA instead of plain HTTP.
    pub(crate) fn https(mut self) -> Self {
        self.plain = false;
        self
    }

    /// The door's own size of the picture, in place of a small one.
    pub(crate) fn full_size(mut self) -> Self {
        self.size = "1280x720";
        self
    }

    /// Any other option.
    pub(crate) fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.arguments.push(name.into());
        self.arguments.push(value.into());
        self
    }

    /// Starts it and waits until it can ring.
    pub(crate) async fn start(self) -> Result<Station> {
        let mut command = Command::new(&self.program);
        command
            .args([
                "demo",
                "--listen",
                "127.0.0.1:0",
                "--json",
                "--panel",
                "stdin",
            ])
            .arg("--door")
            .arg(format!("{DOOR}:{PASSWORD}"))
            .arg("--video")
            .arg(&self.video)
            .args(["--size", self.size])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.plain {
            command.arg("--plain-http");
        }
        let mut station = Station::spawn(&mut command)?;
        let ready = station
            .wait_for("ready", READY, |event| event["event"] == "ready")
            .await?;
        let url = ready.value["url"]
            .as_str()
            .context("the ready event has no url")?;
        station.url = url.trim_end_matches('/').to_owned();
        Ok(station)
    }
}

/// The binary that cargo built: for tests beside this one, for the driver of the
/// demo in the folder above its own.
fn built_binary() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_doorstation") {
        return path.into();
    }
    let beside = std::env::current_exe().ok().and_then(|program| {
        let folder = program.parent()?.parent()?;
        Some(folder.join("doorstation"))
    });
    beside.unwrap_or_else(|| "doorstation".into())
}

/// One line of the station's standard output.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// When it was read, in milliseconds since the Unix epoch.
    pub(crate) at_ms: f64,
    /// What it says.
    pub(crate) value: Value,
}

/// What the readers of the station's output have gathered.
#[derive(Debug, Default)]
struct Record {
    events: Vec<Event>,
    errors: Vec<String>,
}

/// A running station.
#[derive(Debug)]
pub(crate) struct Station {
    group: Group,
    stdin: Option<ChildStdin>,
    record: Arc<Mutex<Record>>,
    news: watch::Receiver<usize>,
    readers: JoinSet<()>,
    mark: usize,
    url: String,
    ended: bool,
}

impl Station {
    /// Starts `doorstation run` with the configuration in `file`; unlike
    /// [`Demo::start`] it does not wait, for a configuration may never get ready.
    /// `systemd` is the socket on which it shall tell how it is.
    pub(crate) fn run(file: &Path, systemd: Option<&Path>) -> Result<Self> {
        Self::run_with(file, systemd.map(|socket| ("NOTIFY_SOCKET", socket)))
    }

    /// The same, with variables in its environment.
    pub(crate) fn run_with<'v>(
        file: &Path,
        variables: impl IntoIterator<Item = (&'v str, &'v Path)>,
    ) -> Result<Self> {
        let mut command = Command::new(built_binary());
        command.env_remove("NOTIFY_SOCKET");
        command.envs(variables);
        command
            .args(["run", "--json", "--config"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let mut group = Group::spawn(command)?;
        let child = group.child();
        let stdin = child.stdin.take();
        let (stdout, stderr) = child
            .stdout
            .take()
            .zip(child.stderr.take())
            .context("the station's output is not piped")?;
        let record = Arc::new(Mutex::new(Record::default()));
        let (bell, news) = watch::channel(0);
        let mut readers = JoinSet::new();
        let events = Arc::clone(&record);
        readers.spawn(each_line(stdout, move |line| {
            let at_ms = clock::wall_ms();
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            let mut record = lock(&events);
            record.events.push(Event { at_ms, value });
            bell.send_replace(record.events.len());
        }));
        let errors = Arc::clone(&record);
        readers.spawn(each_line(stderr, move |line| {
            lock(&errors).errors.push(line)
        }));
        Ok(Self {
            group,
            stdin,
            record,
            news,
            readers,
            mark: 0,
            url: String::new(),
            ended: false,
        })
    }

    /// The origin of the gateway and of the indoor page, without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Result<u32> {
        self.group.id().context("the station has no process id")
    }

    /// Where its gateway listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let (_, address) = self.url.split_once("//").context("the url has no host")?;
        Ok(address.parse()?)
    }

    /// Forgets what has happened so far: later waits only see what is new.
    pub(crate) fn mark(&mut self) {
        self.mark = lock(&self.record).events.len();
    }

    /// Writes one line to the simulated panel, and gives when.
    pub(crate) async fn panel(&mut self, line: &str) -> Result<f64> {
        let stdin = self.stdin.as_mut().context("the panel is closed")?;
        let at_ms = clock::wall_ms();
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .with_context(|| format!("the station does not take {line:?}"))?;
        stdin.flush().await?;
        Ok(at_ms)
    }

    /// The first event since the mark that `wanted` takes; it may have come already.
    pub(crate) async fn wait(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Event> {
        self.wait_for(what, PATIENCE, wanted).await
    }

    /// As [`Station::wait`], with another patience.
    pub(crate) async fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Event> {
        let search = async {
            loop {
                if let Some(event) = self.find(&wanted) {
                    return Ok(event);
                }
                if self.news.changed().await.is_err() {
                    // The output may have ended with the very line that is wanted.
                    return self
                        .find(&wanted)
                        .ok_or_else(|| anyhow!("the station ended before it said {what}"));
                }
            }
        };
        tokio::time::timeout(patience, search)
            .await
            .map_err(|_| anyhow!("the station did not say {what} within {patience:?}"))?
    }

    /// The call's next change to `state` since the mark.
    pub(crate) async fn wait_state(&mut self, state: &str) -> Result<Event> {
        self.wait(&format!("state {state}"), |event| {
            event["event"] == "call:stateChange" && event["state"] == state
        })
        .await
    }

    /// All events since the mark that `wanted` takes.
    pub(crate) fn all(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Event> {
        lock(&self.record).events[self.mark..]
            .iter()
            .filter(|event| wanted(&event.value))
            .cloned()
            .collect()
    }

    /// What it has written to standard error so far.
    pub(crate) fn errors(&self) -> String {
        lock(&self.record).errors.join("\n")
    }

    fn find(&self, wanted: &impl Fn(&Value) -> bool) -> Option<Event> {
        lock(&self.record).events[self.mark..]
            .iter()
            .find(|event| wanted(&event.value))
            .cloned()
    }

    /// Ends it by the panel's `quit` and wants a clean exit.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.panel("quit").await?;
        self.stdin = None;
        let status = self.exit().await?;
        ensure!(status.success(), "the station ended with {status}");
        self.ended = true;
        Ok(())
    }

    async fn exit(&mut self) -> Result<ExitStatus> {
        let Ok(status) = tokio::time::timeout(END, self.group.child().wait()).await else {
            bail!("the station did not end within {END:?} of `quit`");
        };
        Ok(status?)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // Dropped without `stop` means that the test failed on the way.
        if self.ended {
            return;
        }
        let record = lock(&self.record);
        eprintln!("---- what the station said");
        for event in &record.events {
            eprintln!("{:.0} {}", event.at_ms, event.value);
        }
        eprintln!("---- what it wrote to standard error");
        for line in &record.errors {
            eprintln!("{line}");
        }
    }
}

async fn each_line(source: impl AsyncRead + Unpin, mut take: impl FnMut(String)) {
    let mut lines = BufReader::new(source).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        take(line);
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().expect("no reader panics with the record")
}
