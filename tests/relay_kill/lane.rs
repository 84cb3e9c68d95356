//! One guardian with its line, its client, and what systemd does for it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::client;

/// As in `systemd/doorstation-relay.service`; `relay_unit` holds them together.
const WATCHDOG: Duration = Duration::from_millis(1600);
const RESTART: Duration = Duration::from_millis(100);

/// How often the line is looked at.
const LOOK: Duration = Duration::from_millis(3);
/// When a round is given up: far beyond every limit that is checked.
const PATIENCE: Duration = Duration::from_secs(30);
/// The cap: a pulse that ends within a round's limits did not end by itself.
const CAP: Duration = Duration::from_secs(10);

/// Who dies, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    ClientKilled,
    ClientStopped,
    ClientAborts,
    ClientOutOfMemory,
    HolderKilled,
    HolderStopped,
    HolderAborts,
    WatcherKilled,
    WatcherStopped,
    WatcherAborts,
    BothKilled,
    BothStopped,
}

impl Victim {
    pub(crate) const ALL: [Self; 12] = [
        Self::ClientKilled,
        Self::ClientStopped,
        Self::ClientAborts,
        Self::ClientOutOfMemory,
        Self::HolderKilled,
        Self::HolderStopped,
        Self::HolderAborts,
        Self::WatcherKilled,
        Self::WatcherStopped,
        Self::WatcherAborts,
        Self::BothKilled,
        Self::BothStopped,
    ];

    pub(crate) fn hangs(self) -> bool {
        matches!(
            self,
            Self::ClientStopped | Self::HolderStopped | Self::WatcherStopped | Self::BothStopped
        )
    }
}

/// One guardian.
pub(crate) struct Lane {
    dir: tempfile::TempDir,
    notices: UnixDatagram,
    watcher: Child,
    /// When it last fed the watchdog; the watchdog runs once it is up.
    fed: Option<Instant>,
    /// When systemd starts it again.
    again: Option<Instant>,
    line: File,
}

impl Lane {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let notices = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notices.set_nonblocking(true).unwrap();
        let mut line = File::options();
        let line = line.create(true).truncate(false).read(true).write(true);
        let line = line.open(dir.path().join("line")).unwrap();
        let watcher = guardian(&dir);
        let fed = None;
        let again = None;
        Self {
            dir,
            notices,
            watcher,
            fed,
            again,
            line,
        }
    }

    /// A pulse in the middle of which `victim` dies: from then to the line off.
    pub(crate) fn round(&mut self, victim: Victim) -> Duration {
        let mut client = self.open(CAP);
        let opened = Instant::now();
        let instant = Duration::from_millis(rand::random_range(0..700));
        self.until("the instant", |_| opened.elapsed() >= instant);
        assert!(self.is_on(), "{victim:?}: the pulse ended by itself");
        let died = Instant::now();
        self.hurt(victim, &mut client);
        self.until("the line off", |lane| !lane.is_on());
        let took = died.elapsed();
        assert!(opened.elapsed() <= CAP, "{victim:?}: on beyond the cap");
        let _ = client.kill();
        let ended = client.wait().unwrap();
        if matches!(victim, Victim::ClientAborts | Victim::ClientOutOfMemory) {
            assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()), "{victim:?}");
        }
        // Whatever hangs is killed and started again before the next round.
        if victim.hangs() {
            self.until("the watchdog", |lane| lane.is_well(died));
        }
        took
    }

    /// How long the line is on if nothing dies.
    pub(crate) fn whole_pulse(&mut self, length: Duration) -> Duration {
        let mut client = self.open(length);
        let on = Instant::now();
        self.until("the line off", |lane| !lane.is_on());
        let on = on.elapsed();
        client.kill().unwrap();
        client.wait().unwrap();
        on
    }

    /// From a client's order to the line.
    pub(crate) fn order_to_line(&mut self) -> Duration {
        let socket = self.dir.path().join("socket");
        self.until("the socket", |_| {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        // The guardian rests after its start, and after each pulse.
        let rested = Instant::now() + Duration::from_millis(1200);
        self.until("its rest", |_| Instant::now() >= rested);
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(b"beat 0\n").unwrap();
        let ordered = Instant::now();
        stream.write_all(b"pulse 1 5000\n").unwrap();
        while !self.is_on() {
            assert!(ordered.elapsed() < PATIENCE, "it never opened");
            thread::yield_now();
        }
        let took = ordered.elapsed();
        drop(stream);
        self.until("the line off", |lane| !lane.is_on());
        took
    }

    fn open(&mut self, length: Duration) -> Child {
        assert!(!self.is_on());
        let client = client::start(&self.dir.path().join("socket"), length);
        self.until("the line on", Self::is_on);
        client
    }

    fn hurt(&mut self, victim: Victim, client: &mut Child) {
        let watcher = pid(&self.watcher);
        let holder = || holder_of(watcher).expect("a watcher has a holder during a pulse");
        let mut tell = |order: &[u8]| client.stdin.as_mut().unwrap().write_all(order).unwrap();
        match victim {
            Victim::ClientKilled => send(pid(client), Signal::KILL),
            Victim::ClientStopped => send(pid(client), Signal::STOP),
            Victim::ClientAborts => tell(b"abort\n"),
            Victim::ClientOutOfMemory => tell(b"memory\n"),
            Victim::HolderKilled => send(holder(), Signal::KILL),
            Victim::HolderStopped => send(holder(), Signal::STOP),
            Victim::HolderAborts => send(holder(), Signal::ABORT),
            Victim::WatcherKilled => send(watcher, Signal::KILL),
            Victim::WatcherStopped => send(watcher, Signal::STOP),
            Victim::WatcherAborts => send(watcher, Signal::ABORT),
            Victim::BothKilled => kill_process_group(watcher, Signal::KILL).unwrap(),
            Victim::BothStopped => kill_process_group(watcher, Signal::STOP).unwrap(),
        }
    }

    fn is_on(&mut self) -> bool {
        let mut level = [b'0'];
        // An empty file is a line that was never driven.
        let _ = self.line.read_at(&mut level, 0).unwrap();
        level == *b"1"
    }

    /// Fed since `died`, by a watcher that has a holder.
    fn is_well(&self, died: Instant) -> bool {
        let since = self.fed.is_some_and(|fed| fed > died + WATCHDOG);
        since && self.again.is_none() && holder_of(pid(&self.watcher)).is_some()
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "waiting for {what}");
            self.supervise();
            thread::sleep(LOOK);
        }
    }

    /// What systemd does by the unit.
    fn supervise(&mut self) {
        let now = Instant::now();
        let mut notice = [0; 256];
        while let Ok(length) = self.notices.recv(&mut notice) {
            if notice[..length].starts_with(b"WATCHDOG=1")
                || notice[..length].starts_with(b"READY=1")
            {
                self.fed = Some(now);
            }
        }
        if let Some(again) = self.again {
            if now >= again {
                self.watcher = guardian(&self.dir);
                self.fed = None;
                self.again = None;
            }
            return;
        }
        let dead = self.watcher.try_wait().unwrap().is_some();
        if dead || self.fed.is_some_and(|fed| now >= fed + WATCHDOG) {
            // WatchdogSignal=SIGKILL, to the whole control group.
            let _ = kill_process_group(pid(&self.watcher), Signal::KILL);
            self.watcher.wait().unwrap();
            self.again = Some(now + RESTART);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let _ = kill_process_group(pid(&self.watcher), Signal::KILL);
        let _ = self.watcher.wait();
    }
}

fn guardian(dir: &tempfile::TempDir) -> Child {
    let path = |name: &str| dir.path().join(name);
    Command::new(env!("CARGO_BIN_EXE_doorstation-relay"))
        .arg("--socket")
        .arg(path("socket"))
        .arg("--line")
        .arg(format!("latch:{}", path("line").display()))
        .arg("--lock")
        .arg(path("lock"))
        .args(["--log", "off"])
        .env("NOTIFY_SOCKET", path("notify"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn holder_of(watcher: Pid) -> Option<Pid> {
    let watcher = watcher.as_raw_nonzero();
    let path = format!("/proc/{watcher}/task/{watcher}/children");
    let children = std::fs::read_to_string(path).ok()?;
    let first = children.split_whitespace().next()?;
    Pid::from_raw(first.parse().ok()?)
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn send(process: Pid, signal: Signal) {
    kill_process(process, signal).unwrap();
}
