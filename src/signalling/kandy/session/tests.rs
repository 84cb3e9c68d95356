//! Stories of a subscription's life, in virtual time, against a model server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Act, Fact, Granted, Session, Ticket};
use crate::call::Connection;
use crate::secret::Secret;
use crate::signalling::backoff::CAP;
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
    sim.run(5 * SECOND);
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
    sim.run(10 * SECOND);
    assert_eq!((sim.count("subscribe"), sim.count("open")), (2, 3));
    assert_eq!(
        sim.count("unsubscribe"),
        1,
        "the server may still know the old one"
    );
    assert_eq!(sim.news().last(), Some(&"connected"));
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
    sim.close(Some(1001));
    sim.run(5 * SECOND);
    assert_eq!(sim.count("subscribe"), 1);
    sim.close(Some(1000));
    sim.run(5 * SECOND);
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

/// A session and a server that does what its fields say.
struct Sim {
    now: Instant,
    start: Instant,
    session: Session,
    expires: Duration,
    latency: Duration,
    /// Unreachable.
    down: bool,
    /// Answers no probe.
    mute: bool,
    wrong_password: bool,
    renewals_fail: bool,
    refuse_channel: Option<u16>,
    refuse_channel_once: Option<u16>,
    server_forgets: bool,
    /// Until when the server knows the subscription.
    registered: Option<Instant>,
    /// How long it did not know us although we thought so.
    gaps: Duration,
    to_come: BTreeMap<(Instant, u64), Fact>,
    sequence: u64,
    log: Vec<(Duration, &'static str)>,
    told: Vec<&'static str>,
}

impl Sim {
    fn new(seed: u64, expires: Duration) -> Self {
        let now = crate::clock::now();
        Self {
            now,
            start: now,
            session: Session::new("https://door.example", CAP, seed, now),
            expires,
            latency: Duration::from_millis(20),
            down: false,
            mute: false,
            wrong_password: false,
            renewals_fail: false,
            refuse_channel: None,
            refuse_channel_once: None,
            server_forgets: true,
            registered: None,
            gaps: Duration::ZERO,
            to_come: BTreeMap::new(),
            sequence: 0,
            log: Vec::new(),
            told: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let fact = self.to_come.first_key_value().map(|((at, _), _)| *at);
            let next = [fact, self.session.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if fact == Some(next) {
                let (_, fact) = self.to_come.pop_first().expect("looked at just now");
                self.hand_in(fact);
            } else {
                self.hand_in(Fact::Time);
            }
        }
        self.now = end;
    }

    fn hand_in(&mut self, fact: Fact) {
        for act in self.session.handle(fact, self.now) {
            self.carry_out(act);
        }
        if let Some(until) = self.registered.filter(|_| self.session.socket().is_some()) {
            self.gaps += self.now.saturating_duration_since(until);
        }
    }

    fn carry_out(&mut self, act: Act) {
        match act {
            Act::Subscribe(ticket) => {
                self.note("subscribe");
                let result = if self.down {
                    Err(Trouble::unreachable("no route"))
                } else if self.wrong_password {
                    Err(reply(401, Some(4)))
                } else {
                    self.register();
                    Ok(Granted {
                        path: "/sub/1".to_owned(),
                        channel: Secret::new("/channel/1"),
                        expires: self.expires,
                    })
                };
                self.later(Fact::Subscribed(ticket, result));
            }
            Act::Renew(ticket, _) => {
                self.note("renew");
                let result = if self.down || self.renewals_fail {
                    Err(Trouble::unreachable("no route"))
                } else if self.registered.is_none_or(|until| until < self.now) {
                    Err(reply(404, Some(39)))
                } else {
                    self.register();
                    Ok(self.expires)
                };
                self.later(Fact::Renewed(ticket, result));
            }
            Act::Open(ticket, channel) => {
                assert_eq!(channel.expose(), "/channel/1");
                self.note("open");
                let refusal = self.refuse_channel_once.take().or(self.refuse_channel);
                let result = match refusal {
                    _ if self.down => Err(Trouble::unreachable("no route")),
                    Some(http) => Err(reply(http, None)),
                    None => Ok(()),
                };
                self.later(Fact::Opened(ticket, result));
            }
            Act::Probe => {
                self.note("probe");
                if let Some(socket) = self.session.socket().filter(|_| !self.mute) {
                    self.later(Fact::Heard { socket, pong: true });
                }
            }
            Act::Unsubscribe(_) => {
                self.note("unsubscribe");
                self.registered = None;
            }
            Act::Ping => self.note("ping"),
            Act::Close => self.note("close"),
            Act::Resync => self.note("resync"),
            Act::Tell(news) => self.told.push(match news {
                Connection::Connecting => "connecting",
                Connection::Connected => "connected",
                Connection::Lost(failure) if failure.code == "authentication:2" => {
                    "lost authentication:2"
                }
                Connection::Lost(failure) if failure.code == "authentication:4" => {
                    "lost authentication:4"
                }
                Connection::Lost(failure) => {
                    assert_eq!(failure.code, "subscription:1");
                    "lost subscription:1"
                }
                Connection::Refused(failure) => {
                    assert_eq!(failure.code, "authentication:4");
                    "refused authentication:4"
                }
            }),
        }
    }

    fn register(&mut self) {
        let lasts = if self.server_forgets {
            self.expires
        } else {
            24 * HOUR
        };
        self.registered = Some(self.now + lasts);
    }

    fn forget_subscription(&mut self) {
        self.registered = None;
    }

    fn cut(&mut self) {
        self.close(None);
    }

    fn close(&mut self, code: Option<u16>) {
        let socket = self.session.socket().expect("a socket is open");
        self.hand_in(Fact::Closed(socket, code));
    }

    fn later(&mut self, fact: Fact) {
        self.sequence += 1;
        self.to_come
            .insert((self.now + self.latency, self.sequence), fact);
    }

    fn note(&mut self, what: &'static str) {
        self.log.push((self.now - self.start, what));
    }

    fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|(_, noted)| *noted == what).count()
    }

    fn attempts(&self) -> usize {
        self.count("subscribe") + self.count("open") + self.count("renew")
    }

    fn shortest_between(&self, what: &str) -> Duration {
        let times: Vec<_> = self
            .log
            .iter()
            .filter(|(_, noted)| *noted == what)
            .map(|(at, _)| *at)
            .collect();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.min().unwrap_or(Duration::MAX)
    }

    fn news(&self) -> Vec<&'static str> {
        self.told.clone()
    }
}

fn reply(http: u16, status: Option<i32>) -> Trouble {
    Trouble {
        http: Some(http),
        status,
        retry_after: None,
        message: "refused".to_owned(),
    }
}
