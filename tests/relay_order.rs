//! `doorstation door open` and `doorstation-relay`, both the real commands.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

struct Guardian {
    dir: tempfile::TempDir,
    child: Child,
}

impl Guardian {
    /// Up, and past its rest of one second.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Self::process(&dir);
        Self { dir, child }
    }

    fn process(dir: &tempfile::TempDir) -> Child {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_doorstation-relay"))
            .arg("--socket")
            .arg(dir.path().join("socket"))
            .arg("--line")
            .arg(format!("latch:{}", dir.path().join("line").display()))
            .arg("--lock")
            .arg(dir.path().join("lock"))
            .args(["--longest-ms", "2000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Says `lines` and reads until one begins with `reply`.
    fn converse(&self, lines: &str, reply: &str) -> (UnixStream, String) {
        for _ in 0..200 {
            if let Ok(mut stream) = UnixStream::connect(self.dir.path().join("socket")) {
                let _ = stream.write_all(lines.as_bytes());
                let heard = BufReader::new(stream.try_clone().unwrap()).lines();
                let found = heard
                    .map_while(Result::ok)
                    .find(|line| line.starts_with(reply) || line == "refused 1 too-soon");
                if let Some(found) = found.filter(|found| found.starts_with(reply)) {
                    return (stream, found);
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no '{reply}': {}", self.log());
    }

    /// SIGTERM, and the end of the process.
    fn stop(&mut self) -> std::process::ExitStatus {
        let watcher = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(watcher, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    fn is_on(&self) -> bool {
        std::fs::read(self.dir.path().join("line")).unwrap() == b"1"
    }

    /// Again while the guardian is not up or rests after its start.
    fn open(&self, seconds: &str) -> Output {
        for _ in 0..200 {
            let output = open(&self.dir.path().join("socket"), seconds);
            let told = String::from_utf8_lossy(&output.stderr);
            if !told.contains("does not run") && !told.contains("a moment ago") {
                return output;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("it never answered: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Its holder ends when it has gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(socket: &Path, seconds: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorstation"))
        .args(["door", "open", "--seconds", seconds, "--socket"])
        .arg(socket)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_person_opens_the_door_and_the_log_says_who() {
    let guardian = Guardian::start();
    let output = guardian.open("1");
    let told = told(&output);
    assert!(output.status.success(), "{told}\n{}", guardian.log());
    assert!(told.contains("the door is open\n"), "{told}");
    assert!(told.contains("the door is shut again after 1."), "{told}");
    assert!(!guardian.is_on());
    let log = guardian.log();
    let order = log.lines().find(|line| line.contains("order: opened"));
    let order = order.unwrap_or_else(|| panic!("no audit line: {log}"));
    let uid = format!("uid={}", rustix::process::getuid().as_raw());
    assert!(order.contains(&uid) && order.contains("pid="), "{order}");
}

#[test]
fn an_order_beyond_the_limit_is_refused_in_a_sentence_and_logged() {
    let guardian = Guardian::start();
    let output = guardian.open("3");
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert!(
        told.contains("the door stays shut: the pulse is longer"),
        "{told}"
    );
    let log = guardian.log();
    assert!(
        log.contains("order: refused") && log.contains("length"),
        "{log}"
    );
}

#[test]
fn without_a_guardian_it_says_so() {
    let output = open(Path::new("/nonexistent/socket"), "1");
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("the relay guardian does not run"));
}

/// Somebody else, who may not: root can become them; other users skip this.
#[test]
fn whoever_is_not_in_the_group_is_told_which_one() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let guardian = Guardian::start();
    assert!(guardian.open("1").status.success());
    let mode = std::fs::Permissions::from_mode;
    // Let them reach the socket, so that it is the guardian that refuses.
    std::fs::set_permissions(guardian.dir.path(), mode(0o755)).unwrap();
    let socket = guardian.dir.path().join("socket");
    for reachable in [0o666, 0o660] {
        std::fs::set_permissions(&socket, mode(reachable)).unwrap();
        // A copy that they can start, wherever this is built.
        let program = guardian.dir.path().join("doorstation");
        std::fs::copy(env!("CARGO_BIN_EXE_doorstation"), &program).unwrap();
        let output = Command::new(&program)
            .args(["door", "open", "--seconds", "1", "--socket"])
            .arg(&socket)
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = told(&output);
        assert!(
            told.contains("it takes the group 'doorstation-door'"),
            "{told}"
        );
    }
    assert!(
        guardian
            .log()
            .contains("who may not open the door connected")
    );
}

#[test]
fn sigterm_in_the_middle_of_a_pulse_shuts_the_door() {
    let mut guardian = Guardian::start();
    let (_client, _) = guardian.converse("beat 0\npulse 1 2000\n", "opened 1");
    assert!(guardian.is_on());
    assert!(guardian.stop().success());
    assert!(!guardian.is_on());
    assert!(guardian.log().contains("the relay's line is off; ending"));
}

#[test]
fn tampering_shuts_the_door_and_locks_it_over_a_restart() {
    let mut guardian = Guardian::start();
    let (mut client, _) = guardian.converse("beat 0\npulse 1 2000\n", "opened 1");
    client.write_all(b"beat 1\n").unwrap();
    let heard = BufReader::new(client).lines().map_while(Result::ok);
    let mut locked = heard.filter(|line| line == "state 0 1800");
    assert!(locked.next().is_some(), "{}", guardian.log());
    assert!(!guardian.is_on());
    assert!(guardian.stop().success());
    guardian.child = Guardian::process(&guardian.dir);
    let output = guardian.open("1");
    assert!(told(&output).contains("locked"), "{}", told(&output));
    assert!(!guardian.is_on());
}

#[test]
fn whoever_talks_nonsense_is_hung_up_on() {
    let guardian = Guardian::start();
    let (mut client, _) = guardian.converse("beat 0\n", "state 0 0");
    client.write_all(b"open sesame\n").unwrap();
    // Ends only because the guardian hangs up: the beat's reply was read before.
    let rest: Vec<_> = BufReader::new(client)
        .lines()
        .map_while(Result::ok)
        .collect();
    assert!(
        rest.iter().all(|line| line.starts_with("state")),
        "{rest:?}"
    );
    assert!(!guardian.is_on());
    assert!(guardian.log().contains("said what means nothing"));
}
