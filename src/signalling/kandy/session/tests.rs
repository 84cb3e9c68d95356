//! Stories of a subscription's life, in virtual time, against a model server.

mod crowd;
mod sim;

use std::time::Duration;

use self::sim::Sim;
use super::{Fact, Session, Ticket};
use crate::signalling::backoff::{CAP, SCATTER};
use crate::signalling::kandy::trouble::Trouble;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_day_passes_without_a_gap_in_the_registration() {
    for expires in [60, 62, 3600] {
        for seed in 0..20 {
            let mut sim = Sim::new(seed, Duration::from_secs(expires));
            sim.run(24 * HOUR);
            assert_eq!(sim.gaps, Duration::ZERO, "expires {expires}, seed {seed}");
            assert_eq!(sim.count("subscribe"), 1);
            assert_eq!(sim.count("open"), 1);
            let day = 24 * 3600;
            assert!(sim.count("renew") >= day / expires as usize);
            assert!(sim.shortest_between("renew") >= Duration::from_secs(30));
            // One on opening, one every 30 s; the last falls on the end of the day.
            assert!(
                (2880..=2881).contains(&sim.count("ping")),
                "{}",
                sim.count("ping")
            );
            assert_eq!(sim.news(), ["connecting", "connected"]);
        }
    }
}

#[test]
fn an_hour_of_outage_takes_at_most_90_attempts_and_ends_by_itself() {
    for expires in [60, 3600] {
        for seed in 0..50 {
            let mut sim = Sim::new(seed, Duration::from_secs(expires));
            sim.run(10 * MINUTE);
            let before = sim.attempts();
            sim.down = true;
            sim.cut();
            sim.run(HOUR);
            let attempts = sim.attempts() - before;
            assert!(attempts <= 90, "{attempts} attempts, seed {seed}");
            assert!(attempts >= 60, "{attempts} attempts, seed {seed}");
            sim.down = false;
            sim.run(CAP + 5 * SECOND);
            assert_eq!(sim.news().last(), Some(&"connected"), "seed {seed}");
        }
    }
}

#[test]
fn a_wrong_password_is_tried_at_most_12_times_an_hour_and_for_ever() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed, HOUR);
        sim.wrong_password = true;
        sim.run(HOUR);
        assert!(
            (11..=12).contains(&sim.count("subscribe")),
            "{}",
            sim.count("subscribe")
        );
        assert_eq!(sim.news(), ["connecting", "refused authentication:4"]);
        sim.wrong_password = false;
        sim.run(6 * MINUTE);
        assert_eq!(sim.news().last(), Some(&"connected"));
    }
}

#[test]
fn a_lost_socket_is_opened_again_at_the_same_channel_without_a_login() {
    let mut sim = Sim::new(1, HOUR);
    sim.run(MINUTE);
    sim.cut();
    sim.run(SCATTER + SECOND);
    assert_eq!((sim.count("subscribe"), sim.count("open")), (1, 2));
    assert_eq!(
        sim.news(),
        [
            "connecting",
            "connected",
            "lost subscription:1",
            "connected"
        ]
    );
    assert_eq!(
        sim.count("resync"),
        2,
        "calls are looked after once it is back"
    );
    assert_eq!(sim.gaps, Duration::ZERO);
}

#[test]
fn a_refused_upgrade_leads_to_a_new_subscription() {
    let mut sim = Sim::new(2, HOUR);
    sim.run(MINUTE);
    sim.refuse_channel_once = Some(403);
    sim.cut();
    sim.run(SCATTER + 5 * SECOND);
    assert_eq!((sim.count("subscribe"), sim.count("open")), (2, 3));
    assert_eq!(
        sim.count("unsubscribe"),
        1,
        "the server may still know the old one"
    );
    assert_eq!(sim.news().last(), Some(&"connected"));
}

#[test]
fn a_server_that_restarted_is_logged_into_a_second_after_the_first_contact() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed, HOUR);
        sim.run(MINUTE);
        sim.down = true;
        sim.cut();
        sim.run(10 * MINUTE);
        sim.down = false;
        sim.refuse_channel_once = Some(404);
        sim.run(CAP + 2 * SECOND);
        assert_eq!(sim.news().last(), Some(&"connected"), "seed {seed}");
        assert_eq!(sim.count("subscribe"), 2);
    }
}

#[test]
fn a_server_that_always_refuses_the_upgrade_is_not_hammered() {
    let mut sim = Sim::new(3, HOUR);
    sim.refuse_channel = Some(403);
    sim.run(HOUR);
    let subscribed = sim.count("subscribe");
    assert!((60..=90).contains(&subscribed), "{subscribed}");
    assert_eq!(sim.news(), ["connecting", "lost authentication:2"]);
}

#[test]
fn a_renewal_answered_with_39_leads_to_a_new_subscription() {
    let mut sim = Sim::new(4, HOUR);
    sim.run(MINUTE);
    sim.forget_subscription();
    sim.run(31 * MINUTE);
    assert_eq!(sim.count("subscribe"), 2);
    assert_eq!(sim.news().last(), Some(&"connected"));
}

#[test]
fn a_renewal_refused_with_44_leads_to_a_new_subscription() {
    let mut sim = Sim::new(4, HOUR);
    sim.run(MINUTE);
    sim.forced_out = true;
    sim.run(31 * MINUTE);
    assert_eq!(sim.count("subscribe"), 2);
    assert!(!sim.blamed);
    // The next renewals are half an hour apart: long enough to count as a success.
    sim.run(31 * MINUTE);
    assert_eq!(sim.count("subscribe"), 3);
    assert_eq!(sim.news().last(), Some(&"connected"));
}

#[test]
fn renewals_that_fail_for_a_while_do_not_end_the_registration() {
    let mut sim = Sim::new(5, HOUR);
    sim.run(MINUTE);
    sim.renewals_fail = true;
    sim.run(45 * MINUTE);
    sim.renewals_fail = false;
    sim.run(30 * MINUTE);
    assert_eq!(sim.count("subscribe"), 1);
    assert_eq!(sim.gaps, Duration::ZERO);
    assert_eq!(sim.news(), ["connecting", "connected"]);
}

#[test]
fn a_registration_that_ran_out_is_made_anew() {
    let mut sim = Sim::new(6, Duration::from_secs(60));
    sim.run(SECOND);
    sim.renewals_fail = true;
    sim.run(2 * MINUTE);
    assert!(sim.count("subscribe") >= 2);
    assert!(sim.news().contains(&"lost subscription:1"));
}

#[test]
fn gone_leads_to_a_new_subscription_not_before_the_named_time() {
    let mut sim = Sim::new(7, HOUR);
    sim.run(MINUTE);
    sim.hand_in(Fact::Gone {
        retry_after: Some(20 * SECOND),
    });
    sim.run(19 * SECOND);
    assert_eq!(sim.count("subscribe"), 1);
    assert_eq!(sim.news().last(), Some(&"lost subscription:1"));
    sim.run(3 * SECOND);
    assert_eq!(sim.count("subscribe"), 2);
    assert_eq!(sim.news().last(), Some(&"connected"));
}

#[test]
fn close_code_1000_ends_the_subscription_other_codes_the_socket_only() {
    let mut sim = Sim::new(8, HOUR);
    sim.run(MINUTE);
    for code in [1006, 1011, 1001] {
        sim.close(Some(code));
        sim.run(CAP);
        assert_eq!(sim.count("subscribe"), 1, "{code}");
    }
    sim.close(Some(1000));
    sim.run(CAP);
    assert_eq!(sim.count("subscribe"), 2);
    assert_eq!(sim.news().last(), Some(&"connected"));
}

#[test]
fn a_silent_server_is_noticed_within_30_seconds() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed, HOUR);
        sim.run(5 * MINUTE + 3 * SECOND);
        sim.mute = true;
        sim.down = true;
        sim.run(30 * SECOND);
        let last = *sim.news().last().expect("there was news");
        assert!(last.starts_with("lost"), "{last}");
        assert_eq!(sim.count("close"), 1);
    }
}

#[test]
fn a_server_that_never_answers_probes_is_not_judged_by_its_silence() {
    let mut sim = Sim::new(9, HOUR);
    sim.mute = true;
    sim.run(2 * HOUR);
    assert_eq!(sim.news(), ["connecting", "connected"]);
    assert_eq!(sim.count("open"), 1);
}

#[test]
fn stop_logs_out_and_nothing_follows() {
    let mut sim = Sim::new(10, HOUR);
    sim.run(MINUTE);
    sim.hand_in(Fact::Stop);
    assert_eq!((sim.count("unsubscribe"), sim.count("close")), (1, 1));
    assert!(sim.session.is_over());
    assert_eq!(sim.session.deadline(), None);
    let log = sim.log.len();
    sim.run(2 * HOUR);
    assert_eq!(sim.log.len(), log);
}

#[test]
fn stop_during_the_login_still_logs_out() {
    let mut sim = Sim::new(11, HOUR);
    sim.latency = 5 * SECOND;
    sim.run(2 * SECOND);
    sim.hand_in(Fact::Stop);
    assert!(!sim.session.is_over());
    sim.run(10 * SECOND);
    assert_eq!(sim.count("unsubscribe"), 1);
    assert!(sim.session.is_over());
}

#[test]
fn late_replies_change_nothing() {
    let mut sim = Sim::new(12, HOUR);
    sim.run(MINUTE);
    let before = format!("{:?}", sim.session);
    let stale = Ticket(1);
    for fact in [
        Fact::Subscribed(stale, Err(Trouble::unreachable("late"))),
        Fact::Renewed(stale, Err(Trouble::unreachable("late"))),
        Fact::Opened(stale, Ok(())),
        Fact::Closed(stale, None),
        Fact::Heard {
            socket: stale,
            pong: true,
        },
    ] {
        assert!(sim.session.handle(fact, sim.now).is_empty());
    }
    assert_eq!(format!("{:?}", sim.session), before);
}

#[test]
fn absurd_lifetimes_are_survived() {
    for expires in [0, 1, 59, u64::MAX] {
        let mut sim = Sim::new(13, Duration::from_secs(expires));
        sim.server_forgets = false;
        sim.run(HOUR);
        assert!(sim.count("renew") <= 120);
        assert_eq!(sim.count("subscribe"), 1);
    }
}
