//! What systemd is told: that the station is up, and where it stands, in words that
//! `systemctl status` shows.

use std::time::Duration;

use tokio::sync::watch;

use crate::call::{Connection, View};
use crate::panel::sign::{self, Sign};
use crate::report::device_name;
use crate::service;
use crate::tasks::Tasks;

/// A station that hears nothing from its servers for so long is up all the same: it
/// must not be started again and again because a service is down. Its own gateway
/// answers within a tenth of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells that the station is up as soon as it can ring, or knows why it cannot; then
/// where it stands, at each change, until `tasks` are cancelled. The camera and the
/// sound card are not waited for.
pub(super) async fn tell(mut view: watch::Receiver<View>, tasks: Tasks) {
    let stopped = tasks.cancelled();
    let knows = view.wait_for(|view| sign::of(view) != Sign::Starting);
    // In time or not, it is up.
    let _ = stopped
        .run_until_cancelled(tokio::time::timeout(PATIENCE, knows))
        .await;
    let mut told = String::new();
    let mut up = false;
    loop {
        let (words, stopping) = {
            let view = view.borrow_and_update();
            (words(&view), view.stopping)
        };
        if words != told {
            service::tell_status(&words);
            told = words;
        }
        if stopping {
            service::tell_stopping();
        } else if !up {
            service::tell_up();
            up = true;
        }
        match stopped.run_until_cancelled(view.changed()).await {
            Some(Ok(())) => {}
            // The station is over, and this part ends when it is told to.
            Some(Err(_)) => return stopped.cancelled().await,
            None => return,
        }
    }
}

/// Where the station stands. Everybody on the machine may read it: it names nobody.
fn words(view: &View) -> String {
    let mut words = match sign::of(view) {
        Sign::Starting => "starting, no server has answered yet",
        Sign::Idle | Sign::Fault(_) => "ready",
        Sign::Updating => "ready, an update is being installed",
        Sign::Calling | Sign::Ringing => "ringing",
        Sign::Talking => "in a call",
        Sign::OnHold => "a call is on hold",
        Sign::Open => "the door is released",
        Sign::NoConnection => "no connection, trying again",
        Sign::LoginRefused => "no connection: a server refuses the login",
        Sign::Stopping => "stopping",
    }
    .to_owned();
    let connections = view.connections.iter();
    let away: Vec<_> = connections
        .filter(|(_, connection)| {
            matches!(connection, Connection::Lost(_) | Connection::Refused(_))
        })
        .map(|(account, _)| account.as_str())
        .collect();
    if !away.is_empty() && away.len() < view.connections.len() {
        words += &format!("; no connection to {}", away.join(", "));
    }
    let faults: Vec<_> = view.faults.keys().copied().map(device_name).collect();
    if !faults.is_empty() {
        words += &format!("; does not work: {}", faults.join(", "));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{AccountId, Device, Failure};

    fn view<const N: usize>(connections: [(&str, Connection); N]) -> View {
        View {
            connections: connections
                .map(|(account, connection)| (AccountId::new(account), connection))
                .into(),
            ..View::default()
        }
    }

    fn lost() -> Connection {
        Connection::Lost(Failure {
            code: "42".into(),
            message: "nobody answers".into(),
        })
    }

    #[test]
    fn the_words_say_what_works_and_what_does_not() {
        assert_eq!(
            words(&View::default()),
            "starting, no server has answered yet"
        );
        let mut view = view([("home", Connection::Connected), ("cloud", lost())]);
        assert_eq!(words(&view), "ready; no connection to cloud");
        view.connections.remove(&AccountId::new("cloud"));
        assert_eq!(words(&view), "ready");
        view.faults.insert(Device::Camera, "/dev/video0".into());
        view.faults.insert(Device::Speaker, "plughw:1".into());
        assert_eq!(words(&view), "ready; does not work: camera, speaker");
        view.connections.insert(AccountId::new("home"), lost());
        assert_eq!(
            words(&view),
            "no connection, trying again; does not work: camera, speaker"
        );
    }
}
