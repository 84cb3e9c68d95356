//! The servers that help media to find a way (STUN and TURN), and their log-ins.
//!
//! Media read the list for each new session; a Kandy Link service may hand out
//! short-lived TURN credentials with each subscription and each renewal, which
//! signalling puts here (protocol section 3.1: they go on every configured server).
//! So each call begins with the latest ones.

use std::sync::{Arc, Mutex, PoisonError};

use crate::secret::Secret;

/// A log-in at a TURN server.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// One server.
#[derive(Clone, Debug)]
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
    /// The latest that a service handed out.
    given: Mutex<Option<Login>>,
}

impl Servers {
    /// These, with the log-ins that they were configured with.
    pub fn new(configured: Vec<Server>) -> Self {
        Self(Arc::new(Inner {
            configured,
            given: Mutex::default(),
        }))
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.configured.is_empty()
    }

    /// A service handed out this log-in: it is for every server from now on.
    pub fn log_in(&self, login: Login) {
        *self.0.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
    }

    /// The servers with the log-ins to use now. A TURN server without one is left out:
    /// it would let nobody in.
    pub fn current(&self) -> Vec<Server> {
        let given = self.0.given.lock();
        let given = given.unwrap_or_else(PoisonError::into_inner).clone();
        let with = |server: &Server| Server {
            url: server.url.clone(),
            login: given.clone().or_else(|| server.login.clone()),
        };
        let usable = |server: &Server| server.login.is_some() || !server.url.starts_with("turn");
        let servers = self.0.configured.iter().map(with);
        servers.filter(usable).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Login, Secret, Server, Servers};

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
}
