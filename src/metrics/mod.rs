//! Metrics and health over HTTP, for a monitor: `/metrics` in the text format of
//! Prometheus (0.0.4), `/healthz` and `/readyz`.
//!
//! * `figures` says what is told, `exposition` how it is written,
//!   `serve` answers.
//!
//! It only reads, and nobody's name is in it: labels are words of this program, and
//! the names that the configuration gives to accounts. There is no log-in, so it
//! listens on a loopback address; `config` holds whoever wants more to saying so.
//! `docs/cli.md` lists the metrics.

mod exposition;
mod figures;
mod serve;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::call::{AccountId, Connection, Device, View};
use crate::ledger::Ledger;
use crate::tasks::Tasks;

/// Where the figures come from.
pub struct Sources {
    /// Where the station stands.
    pub view: watch::Receiver<View>,
    /// Its calls.
    pub ledger: Ledger,
    /// When it was started.
    pub started: Instant,
    /// Its accounts.
    pub accounts: Vec<AccountId>,
    /// What it has.
    pub devices: Vec<Device>,
    /// How many media sessions are open.
    pub sessions: Box<dyn Fn() -> usize + Send + Sync>,
    /// What the sound measured since the start, by name.
    pub sound: Box<dyn Fn() -> BTreeMap<&'static str, f64> + Send + Sync>,
}

/// A server that listens; [`Metrics::run`] serves.
pub struct Metrics {
    listener: TcpListener,
    sources: Arc<Sources>,
}

impl Metrics {
    /// Listens at `address`.
    ///
    /// # Errors
    ///
    /// The address is taken or not ours.
    pub async fn bind(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            sources: Arc::new(sources),
        })
    }

    /// Where it listens; the port is real even if 0 was asked for.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `tasks` are cancelled.
    pub async fn run(self, tasks: Tasks) {
        serve::serve(&self.listener, &self.sources, &tasks).await;
    }
}

/// Why the station cannot ring; `None` if it can.
fn not_ready(view: &View) -> Option<String> {
    if view.stopping {
        return Some("the station is going down".into());
    }
    let mut connections = view.connections.values();
    if connections.any(|connection| *connection == Connection::Connected) {
        return None;
    }
    let reasons = view.connections.iter().map(|(account, connection)| {
        let reason = match connection {
            Connection::Lost(failure) | Connection::Refused(failure) => &failure.message,
            Connection::Connecting | Connection::Connected => "connecting",
        };
        format!("{account}: {reason}")
    });
    let reasons: Vec<_> = reasons.collect();
    Some(match reasons.is_empty() {
        true => "no account is connected yet".into(),
        false => format!("no account is connected ({})", reasons.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Failure;

    #[test]
    fn readiness_follows_the_connections() {
        let mut view = View::default();
        assert_eq!(not_ready(&view).unwrap(), "no account is connected yet");
        let (home, cloud) = (AccountId::new("home"), AccountId::new("cloud"));
        view.connections
            .insert(home.clone(), Connection::Connecting);
        let failure = Failure {
            code: "subscription:1".into(),
            message: "the server hung up".into(),
        };
        view.connections.insert(cloud, Connection::Lost(failure));
        assert_eq!(
            not_ready(&view).unwrap(),
            "no account is connected (cloud: the server hung up; home: connecting)"
        );
        view.connections.insert(home, Connection::Connected);
        assert_eq!(not_ready(&view), None);
        view.stopping = true;
        assert_eq!(not_ready(&view).unwrap(), "the station is going down");
    }
}
