//! What is told: each family, from where it comes.

use super::Sources;
use super::exposition::{Exposition, Kind};
use crate::call::{Connection, View, Way};
use crate::ledger::{CallResult, Counts, STEPS};
use crate::report::device_name;
use crate::{clock, usage};

/// The page `/metrics`.
pub(super) fn page(sources: &Sources) -> String {
    let view = sources.view.borrow().clone();
    let counts = sources.ledger.counts();
    let mut page = Exposition::default();
    process(&mut page, sources);
    calls(&mut page, sources, &view, &counts);
    accounts(&mut page, sources, &view, &counts);
    door(&mut page, &view, &counts);
    devices(&mut page, sources, &view, &counts);
    sound(&mut page, sources, &counts);
    page.into_text()
}

fn process(page: &mut Exposition, sources: &Sources) {
    let version = env!("CARGO_PKG_VERSION");
    page.family(
        "build_info",
        Kind::Gauge,
        "The program's version, as a label.",
    )
    .sample(&[("version", version)], 1.0);
    let up = clock::now().saturating_duration_since(sources.started);
    let help = "Time since the station was started.";
    page.value("uptime_seconds", Kind::Gauge, help, up.as_secs_f64());
    let cpu = clock::cpu().as_secs_f64();
    let help = "Processor time of the station since its start.";
    page.value("process_cpu_seconds_total", Kind::Counter, help, cpu);
    if let Some(bytes) = usage::memory() {
        let help = "Memory of the station that is in RAM.";
        let name = "process_resident_memory_bytes";
        page.value(name, Kind::Gauge, help, bytes as f64);
    }
}

fn calls(page: &mut Exposition, sources: &Sources, view: &View, counts: &Counts) {
    let up = view.call.as_ref().is_some_and(|call| !call.state.is_over());
    let help = "1 while a call is up.";
    page.value("call_active", Kind::Gauge, help, flag(up));
    let open = (sources.sessions)();
    let help = "Media sessions that are open: none without a call.";
    page.value("media_sessions", Kind::Gauge, help, open as f64);
    let help = "Calls that are over, by what became of them.";
    let mut family = page.family("calls_total", Kind::Counter, help);
    for direction in ["incoming", "outgoing"] {
        for result in CallResult::ALL {
            let count = counts.calls.get(&(direction, result)).copied();
            let labels = [("direction", direction), ("result", result.name())];
            family.sample(&labels, count.unwrap_or(0) as f64);
        }
    }
    let help = "Presses and requests that could not be carried out.";
    page.value("denied_total", Kind::Counter, help, counts.denied as f64);
    let none = Default::default();
    for step in STEPS {
        let (name, help) = match step {
            "press_to_ringing" => (
                "press_to_ring_seconds",
                "From the press of the bell until somebody's device rings.",
            ),
            "answer_to_first_picture_sent" => (
                "answer_to_first_picture_seconds",
                "From the answer until our first picture leaves.",
            ),
            _ => (
                "answer_to_first_sound_seconds",
                "From the answer until the first sound comes out of our speaker.",
            ),
        };
        page.histogram(name, help, counts.steps.get(step).unwrap_or(&none));
    }
}

fn accounts(page: &mut Exposition, sources: &Sources, view: &View, counts: &Counts) {
    let help = "1 for an account that is connected and can ring.";
    let mut family = page.family("account_connected", Kind::Gauge, help);
    for account in &sources.accounts {
        let up = view.connections.get(account) == Some(&Connection::Connected);
        family.sample(&[("account", account.as_str())], flag(up));
    }
    let help = "How often an account's connection was lost or refused.";
    let mut family = page.family("account_losses_total", Kind::Counter, help);
    for account in &sources.accounts {
        let losses = counts.losses.get(account).copied().unwrap_or(0);
        family.sample(&[("account", account.as_str())], losses as f64);
    }
}

fn door(page: &mut Exposition, view: &View, counts: &Counts) {
    const WAYS: [Way; 5] = [
        Way::Page,
        Way::Digits,
        Way::Parameter,
        Way::Exit,
        Way::Elsewhere,
    ];
    let help = "1 while the door is released.";
    page.value("door_open", Kind::Gauge, help, flag(view.door_open));
    let help = "Wishes to open the door, by their way and what became of them.";
    let mut family = page.family("door_openings_total", Kind::Counter, help);
    for way in WAYS {
        for (opened, result) in [(true, "opened"), (false, "refused")] {
            let count = counts.openings.get(&(way, opened)).copied();
            let labels = [("how", way.name()), ("result", result)];
            family.sample(&labels, count.unwrap_or(0) as f64);
        }
    }
}

fn devices(page: &mut Exposition, sources: &Sources, view: &View, counts: &Counts) {
    let help = "1 for a device that works; for the door itself, without an alarm.";
    let mut family = page.family("device_ok", Kind::Gauge, help);
    for device in &sources.devices {
        let works = !view.faults.contains_key(device);
        family.sample(&[("device", device_name(*device))], flag(works));
    }
    let help = "How often a device failed; of the panel also buttons that are stuck.";
    let mut family = page.family("device_faults_total", Kind::Counter, help);
    for device in &sources.devices {
        let faults = counts.faults.get(device).copied().unwrap_or(0);
        family.sample(&[("device", device_name(*device))], faults as f64);
    }
}

fn sound(page: &mut Exposition, sources: &Sources, counts: &Counts) {
    let figures = (sources.sound)();
    let help = "Gaps of the sound card: blocks that came too late.";
    let mut family = page.family("sound_xruns_total", Kind::Counter, help);
    let sides = [
        ("microphone", "microphone_xruns"),
        ("speaker", "speaker_xruns"),
    ];
    for (device, name) in sides {
        let count = figures.get(name).copied().unwrap_or(0.0);
        family.sample(&[("device", device)], count);
    }
    if let Some(loss) = counts.echo_loss_db {
        let help = "Echo return loss of the latest call, median of its seconds.";
        page.value("echo_return_loss_decibels", Kind::Gauge, help, loss);
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{Duration, SystemTime};

    use tokio::sync::watch;

    use super::*;
    use crate::call::{AccountId, Address, Attempt, CallId, Device, Direction, DoorNews, Event};
    use crate::ledger::Ledger;

    fn sources(view: View, ledger: Ledger) -> Sources {
        Sources {
            view: watch::Sender::new(view).subscribe(),
            ledger,
            started: clock::now(),
            accounts: vec![AccountId::new("home"), AccountId::new("cl\"oud")],
            devices: vec![Device::Camera, Device::Panel],
            sessions: Box::new(|| 3),
            sound: Box::new(|| BTreeMap::from([("speaker_xruns", 7.0)])),
        }
    }

    /// A page, read line by line as the format says: samples by name and labels.
    fn read(text: &str) -> BTreeMap<String, f64> {
        let mut family: Option<(String, String)> = None;
        let mut families = BTreeSet::new();
        let mut samples = BTreeMap::new();
        let mut helped = String::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect(line);
                assert!(help.ends_with('.'), "{line}");
                assert!(families.insert(name.to_owned()), "{name} comes twice");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect(line);
                assert_eq!(name, helped, "{line}");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let (sample, value) = line.rsplit_once(' ').expect(line);
                let name = sample.split('{').next().expect(line);
                assert!(
                    name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                    "{line}"
                );
                let (family, kind) = family.as_ref().expect("a type before the samples");
                let suffix = name.strip_prefix(family.as_str()).expect(line);
                match kind.as_str() {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix)),
                    "counter" => assert!(suffix.is_empty() && name.ends_with("_total")),
                    "gauge" => assert!(suffix.is_empty() && !name.ends_with("_total")),
                    _ => panic!("{line}"),
                }
                if let Some(labels) = sample.strip_prefix(name).filter(|rest| !rest.is_empty()) {
                    assert!(labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
                }
                let value = value.parse().expect(line);
                let twice = samples.insert(sample.to_owned(), value);
                assert!(twice.is_none(), "{sample} comes twice");
            }
        }
        samples
    }

    #[test]
    fn every_line_is_of_the_format_and_says_what_happened() {
        let ledger = Ledger::default();
        let call = CallId::new("c1");
        let peer = Address::new("mallory@evil.example");
        for event in [
            Event::Moment {
                call: call.clone(),
                name: "press_to_ringing",
                took: Duration::from_millis(80),
            },
            Event::Door(DoorNews::Opened(Attempt {
                way: Way::Page,
                who: Some(peer.clone()),
                account: None,
                call: None,
            })),
            Event::MediaError {
                device: Device::Panel,
                message: "the bell is stuck".into(),
            },
            Event::Over {
                call,
                direction: Direction::Outgoing,
                peer,
                talked: None,
                code: "603".into(),
                reason: "declined".into(),
            },
        ] {
            ledger.write(&event, SystemTime::UNIX_EPOCH);
        }
        let mut view = View::default();
        view.connections
            .insert(AccountId::new("home"), Connection::Connected);
        view.faults.insert(Device::Panel, "stuck".into());
        let text = page(&sources(view, ledger));
        let samples = read(&text);
        for (name, value) in [
            (
                r#"calls_total{direction="outgoing",result="rejected"}"#,
                1.0,
            ),
            (r#"press_to_ring_seconds_bucket{le="0.05"}"#, 0.0),
            (r#"press_to_ring_seconds_bucket{le="0.1"}"#, 1.0),
            ("answer_to_first_sound_seconds_count", 0.0),
            (r#"account_connected{account="home"}"#, 1.0),
            (r#"account_connected{account="cl\"oud"}"#, 0.0),
            (r#"door_openings_total{how="page",result="opened"}"#, 1.0),
            (r#"device_ok{device="panel"}"#, 0.0),
            (r#"device_ok{device="camera"}"#, 1.0),
            (r#"device_faults_total{device="panel"}"#, 1.0),
            ("media_sessions", 3.0),
            (r#"sound_xruns_total{device="speaker"}"#, 7.0),
            ("call_active", 0.0),
        ] {
            assert_eq!(samples[&format!("doorstation_{name}")], value, "{name}");
        }
        assert!(!text.contains("mallory"), "a caller's name:\n{text}");
    }

    #[test]
    fn what_callers_do_makes_no_new_series() {
        let ledger = Ledger::default();
        let before = read(&page(&sources(View::default(), ledger.clone())));
        for n in 0..1000 {
            let over = Event::Over {
                call: CallId::new(format!("c{n}")),
                direction: Direction::Incoming,
                peer: Address::new(format!("user{n}@evil.example")),
                talked: None,
                code: n.to_string(),
                reason: "odd".into(),
            };
            ledger.write(&over, SystemTime::UNIX_EPOCH);
        }
        let after = read(&page(&sources(View::default(), ledger)));
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>()
        );
    }
}
