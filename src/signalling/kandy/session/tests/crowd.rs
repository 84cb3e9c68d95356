//! Many stations at one server, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sim::Sim;
use super::{Fact, HOUR, MINUTE, SCATTER, SECOND};

const STATIONS: u64 = 100;

/// How many of 100 stations came back in the busiest second after `trouble`.
fn busiest_second(trouble: impl Fn(&mut Sim)) -> usize {
    let mut seconds = BTreeMap::<u64, usize>::new();
    for seed in 0..STATIONS {
        let mut sim = Sim::new(seed, HOUR);
        sim.run(10 * MINUTE);
        let before = sim.log.len();
        trouble(&mut sim);
        sim.run(5 * MINUTE);
        assert_eq!(sim.news().last(), Some(&"connected"), "seed {seed}");
        // The attempt after which nothing had to be tried again.
        let opened = sim.log[before..].iter().rfind(|(_, what)| *what == "open");
        let (at, _) = opened.expect("it came back");
        *seconds.entry(at.as_secs()).or_default() += 1;
    }
    seconds.values().copied().max().unwrap_or_default()
}

#[test]
fn a_hundred_stations_do_not_come_back_in_step_after_an_outage() {
    for outage in [
        SECOND,
        5 * SECOND,
        15 * SECOND,
        25 * SECOND,
        30 * SECOND,
        45 * SECOND,
        MINUTE,
        10 * MINUTE,
        HOUR,
    ] {
        let busiest = busiest_second(|sim| {
            sim.down = true;
            sim.cut();
            sim.run(outage);
            sim.down = false;
        });
        assert!(busiest <= 10, "{busiest} in one second after {outage:?}");
    }
}

#[test]
fn a_hundred_stations_do_not_come_back_in_step_to_a_server_that_says_goodbye() {
    let busiest = busiest_second(|sim| sim.close(Some(1001)));
    assert!(busiest <= 10, "{busiest} in one second");
}

/// A server that crashes and is there again at once closes every socket in one moment,
/// without a word.
#[test]
fn a_hundred_stations_do_not_come_back_in_step_to_a_server_that_drops_them() {
    for code in [None, Some(1006), Some(1011), Some(1012)] {
        let busiest = busiest_second(|sim| sim.close(code));
        assert!(busiest <= 10, "{busiest} in one second after {code:?}");
    }
}

#[test]
fn a_hundred_stations_do_not_come_back_in_step_to_a_server_that_was_silent() {
    let busiest = busiest_second(|sim| {
        sim.mute = true;
        sim.run(MINUTE / 2);
        sim.mute = false;
    });
    assert!(busiest <= 10, "{busiest} in one second");
}

#[test]
fn a_hundred_stations_do_not_come_back_in_step_after_their_registrations_were_ended() {
    let busiest = busiest_second(|sim| sim.close(Some(1000)));
    assert!(busiest <= 10, "{busiest} in one second after a final close");
    let busiest = busiest_second(|sim| sim.hand_in(Fact::Gone { retry_after: None }));
    assert!(busiest <= 10, "{busiest} in one second after gone");
}

/// Whoever has a call, or begins one, does not wait with the crowd.
#[test]
fn a_station_that_needs_its_connection_comes_back_at_once() {
    for seed in 0..STATIONS {
        let mut sim = Sim::new(seed, HOUR);
        sim.run(10 * MINUTE);
        sim.cut();
        sim.hand_in(Fact::Needed);
        sim.run(2 * SECOND);
        assert_eq!(sim.news().last(), Some(&"connected"), "seed {seed}");
        // Nor when the server takes some seconds: it climbs from there.
        sim.run(MINUTE);
        sim.down = true;
        sim.cut();
        sim.hand_in(Fact::Needed);
        sim.run(5 * SECOND);
        sim.down = false;
        sim.run(SCATTER - 6 * SECOND);
        assert_eq!(sim.news().last(), Some(&"connected"), "seed {seed}");
    }
}

/// However often the bell is pressed: a server that is away is not asked more often.
#[test]
fn presses_in_an_outage_make_no_attempts() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed, HOUR);
        sim.run(10 * MINUTE);
        let before = sim.attempts();
        sim.down = true;
        sim.cut();
        for _ in 0..3600 {
            sim.hand_in(Fact::Needed);
            sim.run(SECOND);
        }
        let attempts = sim.attempts() - before;
        assert!(attempts <= 90, "{attempts} attempts, seed {seed}");
    }
}

/// A server that lets one client of an account in and throws the other out.
#[test]
fn two_stations_that_fight_over_one_account_slow_down_and_say_why() {
    let mut stations = [Sim::new(1, HOUR), Sim::new(2, HOUR)];
    let tick = Duration::from_millis(100);
    let mut holder = None;
    for _ in 0..(HOUR.as_millis() / tick.as_millis()) {
        for (n, station) in stations.iter_mut().enumerate() {
            let before = station.count("subscribe");
            station.run(tick);
            if station.count("subscribe") > before {
                holder = Some(n);
            }
        }
        let Some(holder) = holder else { continue };
        if stations[1 - holder].session.socket().is_some() {
            stations[1 - holder].hand_in(Fact::Gone { retry_after: None });
        }
    }
    for sim in &stations {
        let logins = sim.count("subscribe");
        assert!((20..=90).contains(&logins), "{logins} logins in an hour");
        // The second half hour is as slow as the schedule gets.
        let late = sim.log.iter().filter(|(at, _)| *at > HOUR / 2);
        let late = late.filter(|(_, what)| *what == "subscribe").count();
        assert!(late <= 45, "{late} logins in half an hour");
        assert!(sim.blamed, "nobody was told why");
    }
}
