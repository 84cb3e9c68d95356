//! A session and the server that it talks to, in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{HOUR, Session};
use crate::call::Connection;
use crate::secret::Secret;
use crate::signalling::backoff::CAP;
use crate::signalling::kandy::session::{Act, Fact, Granted};
use crate::signalling::kandy::trouble::Trouble;

/// A session and a server that does what its fields say.
pub(super) struct Sim {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) session: Session,
    pub(super) expires: Duration,
    pub(super) latency: Duration,
    /// Unreachable.
    pub(super) down: bool,
    /// Answers no probe.
    pub(super) mute: bool,
    pub(super) wrong_password: bool,
    pub(super) renewals_fail: bool,
    /// Another client of the account had this one thrown out.
    pub(super) forced_out: bool,
    pub(super) refuse_channel: Option<u16>,
    pub(super) refuse_channel_once: Option<u16>,
    pub(super) server_forgets: bool,
    /// Until when the server knows the subscription.
    pub(super) registered: Option<Instant>,
    /// How long it did not know us although we thought so.
    pub(super) gaps: Duration,
    pub(super) to_come: BTreeMap<(Instant, u64), Fact>,
    pub(super) sequence: u64,
    pub(super) log: Vec<(Duration, &'static str)>,
    pub(super) told: Vec<&'static str>,
    /// It was told that another device may use the account.
    pub(super) blamed: bool,
}

impl Sim {
    pub(super) fn new(seed: u64, expires: Duration) -> Self {
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
            forced_out: false,
            refuse_channel: None,
            refuse_channel_once: None,
            server_forgets: true,
            registered: None,
            gaps: Duration::ZERO,
            to_come: BTreeMap::new(),
            sequence: 0,
            log: Vec::new(),
            told: Vec::new(),
            blamed: false,
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
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

    pub(super) fn hand_in(&mut self, fact: Fact) {
        for act in self.session.handle(fact, self.now) {
            self.carry_out(act);
        }
        if let Some(until) = self.registered.filter(|_| self.session.socket().is_some()) {
            self.gaps += self.now.saturating_duration_since(until);
        }
    }

    pub(super) fn carry_out(&mut self, act: Act) {
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
                } else if self.forced_out {
                    Err(reply(403, Some(44)))
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
                    self.blamed |= failure.message.contains("another device");
                    "lost subscription:1"
                }
                Connection::Refused(failure) => {
                    assert_eq!(failure.code, "authentication:4");
                    "refused authentication:4"
                }
            }),
        }
    }

    pub(super) fn register(&mut self) {
        let lasts = if self.server_forgets {
            self.expires
        } else {
            24 * HOUR
        };
        self.registered = Some(self.now + lasts);
    }

    pub(super) fn forget_subscription(&mut self) {
        self.registered = None;
    }

    pub(super) fn cut(&mut self) {
        self.close(None);
    }

    pub(super) fn close(&mut self, code: Option<u16>) {
        let socket = self.session.socket().expect("a socket is open");
        self.hand_in(Fact::Closed(socket, code));
    }

    pub(super) fn later(&mut self, fact: Fact) {
        self.sequence += 1;
        self.to_come
            .insert((self.now + self.latency, self.sequence), fact);
    }

    pub(super) fn note(&mut self, what: &'static str) {
        self.log.push((self.now - self.start, what));
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|(_, noted)| *noted == what).count()
    }

    pub(super) fn attempts(&self) -> usize {
        self.count("subscribe") + self.count("open") + self.count("renew")
    }

    pub(super) fn shortest_between(&self, what: &str) -> Duration {
        let times: Vec<_> = self
            .log
            .iter()
            .filter(|(_, noted)| *noted == what)
            .map(|(at, _)| *at)
            .collect();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.min().unwrap_or(Duration::MAX)
    }

    pub(super) fn news(&self) -> Vec<&'static str> {
        self.told.clone()
    }
}

pub(super) fn reply(http: u16, status: Option<i32>) -> Trouble {
    Trouble {
        http: Some(http),
        status,
        retry_after: None,
        message: "refused".to_owned(),
    }
}
