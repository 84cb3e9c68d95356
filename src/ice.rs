//! The servers that help media to find a way (STUN and TURN), and their log-ins.
//!
//! Media read the list for each new session; a Kandy Link service may hand out
//! short-lived TURN credentials with each subscription and each renewal, which
//! signalling puts here (protocol section 3.1: they go on every configured server).
//!
//! A log-in may be good for a few minutes only, and nothing in the protocol says for how
//! long, so each call asks for new ones ([`Servers::fresh`]); signalling hears of that
//! through a [`Demand`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::clock;
use crate::secret::Secret;

/// Younger log-ins are as good as new ones, and a subscription is not renewed more
/// often (protocol section 3.2; read in the SDK).
const FRESH: Duration = Duration::from_secs(30);
/// How long a call waits for new log-ins before it begins with the old ones: a reply
/// takes some 50 ms (our choice).
const PATIENCE: Duration = Duration::from_secs(1);

/// A log-in at a TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `stun:host:port`, `turn:host:port?transport=udp`.
    pub url: String,
    /// As configured; TURN servers want one.
    pub login: Option<Login>,
}

/// The servers of a station. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Servers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    configured: Vec<Server>,
    /// The latest that a service handed out, and when.
    given: watch::Sender<Option<(Login, Instant)>>,
    /// Changes with each demand for new ones.
    demand: watch::Sender<()>,
    /// When that was the last time.
    asked: Mutex<Option<Instant>>,
}

/// Told when a call wants new log-ins; held by whoever can get some now.
#[derive(Debug)]
pub struct Demand(watch::Receiver<()>);

impl Demand {
    /// Waits for the next demand. Cancelling it loses none.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The servers are gone, and all calls with them.
            std::future::pending::<()>().await;
        }
    }
}

impl Servers {
    /// These, with the log-ins that they were configured with.
    pub fn new(configured: Vec<Server>) -> Self {
        Self(Arc::new(Inner {
            configured,
            ..Inner::default()
        }))
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.configured.is_empty()
    }

    /// A service handed out this log-in: it is for every server from now on.
    pub fn log_in(&self, login: Login) {
        self.0.given.send_replace(Some((login, clock::now())));
    }

    /// A source of new log-ins. While there is none, nobody waits for any.
    pub fn demand(&self) -> Demand {
        Demand(self.0.demand.subscribe())
    }

    /// The servers for a call that begins: with log-ins of the last half minute if a
    /// service hands out any, and within a second in any case. Sessions that begin
    /// together, and calls that follow an unheard demand, share one.
    pub async fn fresh(&self) -> Vec<Server> {
        let mut given = self.0.given.subscribe();
        let now = clock::now();
        let young = |at: &Instant| now < *at + FRESH;
        let new = (given.borrow_and_update().as_ref()).is_some_and(|(_, at)| young(at));
        if !new && !self.is_empty() && self.0.demand.receiver_count() > 0 {
            let until = self.ask(now) + PATIENCE;
            // Without an answer the old ones must do.
            let _ = timeout_at(until.into(), given.changed()).await;
        }
        self.current()
    }

    /// When new log-ins were asked for: now, unless it was not long ago.
    fn ask(&self, now: Instant) -> Instant {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = asked.filter(|at| now < *at + FRESH) {
            return at;
        }
        self.0.demand.send_replace(());
        *asked.insert(now)
    }

    /// The servers with the log-ins to use now. A TURN server without one is left out:
    /// it would let nobody in.
    pub fn current(&self) -> Vec<Server> {
        let mut servers = self.all();
        servers.retain(|server| server.login.is_some() || !server.url.starts_with("turn"));
        servers
    }

    /// Every server, with the log-in to use now if there is one.
    pub fn all(&self) -> Vec<Server> {
        let given = self.0.given.borrow();
        let given = given.as_ref().map(|(login, _)| login);
        let with = |server: &Server| Server {
            url: server.url.clone(),
            login: given.or(server.login.as_ref()).cloned(),
        };
        self.0.configured.iter().map(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FRESH, Login, PATIENCE, Secret, Server, Servers};
    use crate::clock;

    fn login(name: &str) -> Login {
        Login {
            username: name.to_owned(),
            password: Secret::new("hunter2"),
        }
    }

    #[test]
    fn a_log_in_that_was_handed_out_is_for_every_server_until_the_next_one() {
        let servers = Servers::new(vec![
            Server {
                url: "turn:a.example".to_owned(),
                login: Some(login("configured")),
            },
            Server {
                url: "turn:b.example".to_owned(),
                login: None,
            },
            Server {
                url: "stun:c.example".to_owned(),
                login: None,
            },
        ]);
        let media = servers.clone();
        let names = || {
            let login = |server: Server| server.login.map(|login| login.username);
            media.current().into_iter().map(login).collect::<Vec<_>>()
        };
        // b would let nobody in.
        assert_eq!(names(), [Some("configured".to_owned()), None]);
        for name in ["first", "second"] {
            servers.log_in(login(name));
            assert_eq!(names(), [(); 3].map(|()| Some(name.to_owned())));
        }
        assert!(!format!("{servers:?}").contains("hunter2"));
    }
    fn turn() -> Servers {
        Servers::new(vec![Server {
            url: "turn:a.example".to_owned(),
            login: None,
        }])
    }

    fn users(servers: Vec<Server>) -> Vec<String> {
        let users = servers.into_iter().filter_map(|server| server.login);
        users.map(|login| login.username).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_new_log_ins_and_sessions_that_begin_together_share_them() {
        let servers = turn();
        servers.log_in(login("old"));
        let mut demand = servers.demand();
        tokio::time::advance(FRESH).await;
        let service = async {
            demand.next().await;
            tokio::time::sleep(PATIENCE / 2).await;
            servers.log_in(login("new"));
        };
        let began = clock::now();
        let ((), a, b) = tokio::join!(service, servers.fresh(), servers.fresh());
        assert_eq!(
            (users(a), users(b)),
            (vec!["new".to_owned()], vec!["new".to_owned()])
        );
        assert_eq!(clock::now() - began, PATIENCE / 2);
        // Young enough for the next call.
        assert_eq!(users(servers.fresh().await), ["new"]);
        let idle = tokio::time::timeout(FRESH, demand.next()).await;
        assert!(idle.is_err(), "one demand is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_answer_delays_one_call_by_a_second() {
        let servers = turn();
        servers.log_in(login("old"));
        let demand = servers.demand();
        tokio::time::advance(FRESH).await;
        for wait in [PATIENCE, Duration::ZERO] {
            let began = clock::now();
            assert_eq!(users(servers.fresh().await), ["old"]);
            assert_eq!(clock::now() - began, wait);
        }
        tokio::time::advance(FRESH).await;
        drop(demand);
        let began = clock::now();
        assert_eq!(users(servers.fresh().await), ["old"]);
        assert_eq!(clock::now() - began, Duration::ZERO, "nobody can get any");
    }
}
