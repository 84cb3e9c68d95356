//! A client of the guardian that beats, orders one pulse, and dies when it is told to.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

/// How often it says that it lives.
const BEAT: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_millis(20);

const SOCKET: &str = "RELAY_KILL_SOCKET";
const LENGTH: &str = "RELAY_KILL_LENGTH_MS";

/// Starts a client that orders a pulse of `length` as soon as it is given one.
pub(crate) fn start(socket: &Path, length: Duration) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "client_process", "--ignored", "--nocapture"])
        .env(SOCKET, socket)
        .env(LENGTH, length.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the process does. It is told how to die on standard input.
pub(crate) fn run() {
    let socket = PathBuf::from(std::env::var_os(SOCKET).expect("started by a test"));
    let length = std::env::var(LENGTH).expect("started by a test");
    thread::spawn(obey);
    // Until a guardian that was only just started is there and rested.
    while !pulse(&socket, &length) {
        thread::sleep(AGAIN);
    }
}

/// Beats until the guardian goes away; `false` if it never opened.
fn pulse(socket: &Path, length: &str) -> bool {
    let Ok(stream) = UnixStream::connect(socket) else {
        return false;
    };
    let Ok(mut beats) = stream.try_clone() else {
        return false;
    };
    thread::spawn(move || {
        while beats.write_all(b"beat 0\n").is_ok() {
            thread::sleep(BEAT);
        }
    });
    let order = format!("pulse 1 {length}\n");
    if (&stream).write_all(order.as_bytes()).is_err() {
        return false;
    }
    let mut opened = false;
    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
        opened |= line == "opened 1";
        if line.starts_with("refused 1 ") {
            thread::sleep(AGAIN);
            if (&stream).write_all(order.as_bytes()).is_err() {
                break;
            }
        }
    }
    opened
}

fn obey() {
    let mut order = String::new();
    while std::io::stdin().read_line(&mut order).unwrap_or(0) > 0 {
        match order.trim_end() {
            "abort" => std::process::abort(),
            "memory" => run_out_of_memory(),
            _ => order.clear(),
        }
    }
}

/// A real allocation that fails: the standard library aborts. The memory is only
/// reserved: how long it takes to fill is not what is measured.
fn run_out_of_memory() {
    let few = Some(64 << 20);
    let limit = Rlimit {
        current: few,
        maximum: few,
    };
    setrlimit(Resource::As, limit).expect("a limit");
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        std::hint::black_box(&mut hoard).push(Vec::with_capacity(16 << 20));
    }
}
