//! `doorstation status` for people: one screen of 80 columns.

use std::fmt::Write as _;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::control::message::{PastCall, Status};
use crate::report::terminal::{clean, short};

/// The screen, in local time; with `colour`, what is well is green and what is not red.
pub(super) fn of(status: &Status, offset: UtcOffset, colour: bool) -> String {
    let mut screen = Screen {
        text: String::new(),
        colour,
    };
    let up = short(Duration::from_secs(status.uptime_s));
    let program = format!("doorstation {}, up {up}", status.version);
    let standing = format!("{}: {}", status.name, status.standing);
    screen.row("station", &[(&standing, status.can_ring), (&program, true)]);
    if let Some(page) = &status.page {
        screen.plain("page", page);
    }
    for account in &status.accounts {
        let well = account.state == "connected";
        let name = format!("{} ({})", account.account, account.user);
        let state = match &account.message {
            Some(message) => format!("{}: {message}", account.state),
            None => account.state.clone(),
        };
        screen.row("account", &[(&name, true), (&state, well)]);
    }
    if let Some(door) = &status.door {
        let stands = if door.open {
            "released"
        } else {
            "not released"
        };
        let relay = door.relay_fault.as_deref();
        let mut parts = vec![
            (stands, true),
            (relay.unwrap_or("relay works"), relay.is_none()),
        ];
        parts.extend(door.alarm.as_deref().map(|alarm| (alarm, false)));
        screen.row("door", &parts);
    }
    for device in &status.devices {
        let state = match (&device.source, &device.fault) {
            (None, _) => ("none".to_owned(), true),
            (Some(source), None) => (format!("works ({source})"), true),
            (Some(source), Some(fault)) => (format!("{fault} ({source})"), false),
        };
        screen.row(&device.device, &[(&state.0, state.1)]);
    }
    if let Some(call) = &status.call {
        let since = short(Duration::from_secs(call.since_s));
        let peers = call.peers.join(", ");
        let call = format!("{} {} {peers}, {since}", call.state, call.direction);
        screen.plain("call", &call);
    }
    machine(&mut screen, status);
    calls(&mut screen, status, offset);
    screen.text
}

fn machine(screen: &mut Screen, status: &Status) {
    let machine = &status.machine;
    let mut parts = Vec::new();
    if let Some(bytes) = machine.memory_bytes {
        parts.push(format!("{} of memory", size(bytes)));
    }
    if let (Some(bytes), Some(folder)) = (machine.disk_free_bytes, &machine.state_dir) {
        parts.push(format!("{} free in {folder}", size(bytes)));
    }
    screen.plain("machine", &parts.join(", "));
    if let Some(end) = &machine.certificate_ends {
        let day = end.split('T').next().unwrap_or_default();
        screen.plain("certificate", &format!("good until {day}"));
    }
}

fn calls(screen: &mut Screen, status: &Status, offset: UtcOffset) {
    if status.calls.is_empty() {
        return screen.plain("last calls", "none since the start");
    }
    screen.plain(
        "last calls",
        "       with        result             talked    ring picture   sound",
    );
    for call in &status.calls {
        let line = past(call, offset);
        // Writing to a String cannot fail.
        let _ = writeln!(screen.text, "{}", clean(&line));
    }
}

fn past(call: &PastCall, offset: UtcOffset) -> String {
    let step = |name: &str| {
        let took = call.moments_ms.get(name);
        took.map_or_else(|| "-".to_owned(), |ms| short(duration(ms / 1e3)))
    };
    let way = match call.direction.as_str() {
        "incoming" => "in ",
        _ => "out",
    };
    let peer = call.peer.split('@').next().unwrap_or_default();
    let peer: String = peer.chars().take(11).collect();
    let result = format!("{} {}", call.result, call.code);
    let talked = call
        .talked_s
        .map_or_else(|| "-".to_owned(), |s| short(duration(s)));
    format!(
        "{} {way} {peer:11} {result:14} {talked:>10} {:>7} {:>7} {:>7}",
        moment(&call.began, offset),
        step("press_to_ringing"),
        step("answer_to_first_picture_sent"),
        step("answer_to_first_sound"),
    )
}

/// What a station of another version says may be no time at all.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// `11-26 12:00:07` of an RFC 3339 time.
fn moment(text: &str, offset: UtcOffset) -> String {
    let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) else {
        return format!("{:14}", "?");
    };
    let t = time.to_offset(offset);
    let month = u8::from(t.month());
    format!(
        "{month:02}-{:02} {:02}:{:02}:{:02}",
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// `61 MB`, `12.3 GB`.
fn size(bytes: u64) -> String {
    match bytes / 1_000_000 {
        megabytes @ 0..1000 => format!("{megabytes} MB"),
        megabytes => format!("{:.1} GB", megabytes as f64 / 1e3),
    }
}

struct Screen {
    text: String,
    colour: bool,
}

impl Screen {
    fn plain(&mut self, label: &str, text: &str) {
        self.row(label, &[(text, true)]);
    }

    /// A label and parts, each well or not.
    fn row(&mut self, label: &str, parts: &[(&str, bool)]) {
        let parts = parts.iter().map(|(part, well)| {
            let part = clean(part);
            match (self.colour, well) {
                (true, false) => format!("\x1b[31m{part}\x1b[0m"),
                _ => part,
            }
        });
        let parts: Vec<_> = parts.collect();
        let _ = writeln!(self.text, "{label:12}{}", parts.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let call = |n: u32| {
            json!({
                "call_id": n.to_string(), "began": "2026-11-26T12:00:07Z",
                "direction": "outgoing", "peer": "alice@home.local", "result": "answered",
                "talked_s": 65.0, "code": "200", "reason": "over",
                "moments_ms": { "press_to_ringing": 64.2, "answer_to_first_sound": 1200.0 },
            })
        };
        let status = json!({
            "name": "Front door", "version": "0.1.0", "uptime_s": 7500, "standing": "ready",
            "can_ring": true, "page": "https://192.168.1.20:8443/",
            "accounts": [
                { "account": "home", "user": "door@home.local", "state": "connected" },
                { "account": "cloud", "user": "door@example.org", "state": "lost",
                  "message": "no answer\u{1b}[2J (rest:1)" },
            ],
            "door": { "open": false },
            "devices": [
                { "device": "camera", "source": "/dev/video0" },
                { "device": "microphone", "source": "hw:1", "fault": "it is gone" },
                { "device": "speaker" },
                { "device": "panel", "source": "pi4" },
            ],
            "calls": (0..10).map(call).collect::<Vec<_>>(),
            "machine": { "memory_bytes": 61_000_000, "cpu_s": 2.1,
                "state_dir": "/var/lib/doorstation", "disk_free_bytes": 12_345_000_000_u64,
                "certificate_ends": "2027-11-01T00:00:00Z" },
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_full_screen_fits_80_by_24() {
        let screen = of(&status(), UtcOffset::UTC, false);
        assert!(screen.lines().count() <= 24, "{screen}");
        for line in screen.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for part in [
            "station     Front door: ready, doorstation 0.1.0, up 2 h 05 min",
            "camera      works (/dev/video0)",
            "microphone  it is gone (hw:1)",
            "speaker     none",
            "machine     61 MB of memory, 12.3 GB free in /var/lib/doorstation",
            "certificate good until 2027-11-01",
            "11-26 12:00:07 out alice       answered 200   1 min 05 s   64 ms       -   1.2 s",
        ] {
            assert!(screen.lines().any(|line| line == part), "{part}\n{screen}");
        }
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal_and_colour_is_for_what_is_wrong() {
        let plain = of(&status(), UtcOffset::UTC, false);
        assert!(!plain.contains('\x1b'), "{plain:?}");
        let coloured = of(&status(), UtcOffset::UTC, true);
        assert_eq!(coloured.matches("\x1b[31m").count(), 2, "{coloured:?}");
    }
}
