//! The relay guardian and its client are killed, stopped and aborted in the middle
//! of pulses, 500 times, and the line goes off each time.
//!
//! `doorstation-relay` is the real command. Its line is a latch, which stays on when
//! its holder dies, as a pin of a Raspberry Pi does: only somebody who drives it off
//! ends a pulse. The client is a process of its own: this file, started again. The
//! test stands in for systemd: it restarts the guardian as the unit says, and kills it
//! when its watchdog is not fed.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![allow(
    clippy::disallowed_methods,
    reason = "real processes are measured in real time"
)]

#[path = "relay_kill/client.rs"]
mod client;
#[path = "relay_kill/lane.rs"]
mod lane;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use lane::{Lane, Victim};

/// Guardians at one time, and pulses of each: ten begin in a minute at most.
const LANES: usize = 50;
const ROUNDS: usize = 10;

/// From a death to the line off, and from a hang.
const DEAD: Duration = Duration::from_secs(1);
const HUNG: Duration = Duration::from_millis(2500);

#[test]
fn the_line_is_off_whoever_is_killed_in_the_middle_of_a_pulse() {
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| thread::spawn(move || rounds(lane)))
        .collect();
    let mut seen: BTreeMap<Victim, Vec<Duration>> = BTreeMap::new();
    for lane in lanes {
        for (victim, took) in lane.join().expect("a lane") {
            seen.entry(victim).or_default().push(took);
        }
    }
    let mut late = Vec::new();
    let mut total = 0;
    for (victim, took) in &mut seen {
        took.sort();
        total += took.len();
        let at = |part: usize| took[(took.len() - 1) * part / 100].as_millis();
        println!(
            "{victim:?}: {} times, off after {} ms (median), {} ms (95 %), {} ms (longest)",
            took.len(),
            at(50),
            at(95),
            at(100),
        );
        let limit = if victim.hangs() { HUNG } else { DEAD };
        late.extend(
            took.iter()
                .filter(|took| **took > limit)
                .map(|took| (*victim, *took)),
        );
    }
    assert_eq!(total, LANES * ROUNDS);
    assert_eq!(seen.len(), Victim::ALL.len(), "every way to die was tried");
    assert!(late.is_empty(), "too late: {late:?}");
}

fn rounds(number: usize) -> Vec<(Victim, Duration)> {
    // Not all at one instant.
    thread::sleep(Duration::from_millis(20 * number as u64));
    let mut lane = Lane::start();
    (0..ROUNDS)
        .map(|round| {
            let victim = Victim::ALL[(number * ROUNDS + round) % Victim::ALL.len()];
            (victim, lane.round(victim))
        })
        .collect()
}

/// Nothing is killed: a pulse ends by itself, at its length.
#[test]
fn a_pulse_ends_by_itself_while_its_client_beats() {
    let mut lane = Lane::start();
    let on = lane.whole_pulse(Duration::from_millis(700));
    println!("a pulse of 700 ms: on for {} ms", on.as_millis());
    assert!(on >= Duration::from_millis(600), "{on:?}");
    assert!(on <= Duration::from_millis(1700), "{on:?}");
}

/// From the client's order to the line: `open_to_relay_ms`.
#[test]
fn an_order_reaches_the_line_at_once() {
    let mut lane = Lane::start();
    let mut took: Vec<u128> = (0..5).map(|_| lane.order_to_line().as_millis()).collect();
    took.sort_unstable();
    println!("open_to_relay_ms: median {}, longest {}", took[2], took[4]);
    assert!(took[2] <= 500, "{took:?}");
}

/// Not a test: the client's process.
#[test]
#[ignore = "the client of the tests above, which start it"]
fn client_process() {
    client::run();
}
