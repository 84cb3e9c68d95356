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

/// What else there is to tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notice {
    /// The station is being put together for the first time, or another configuration is
    /// looked at or taken over: systemd must not hear yet that it is up, for from then on
    /// it wants to hear from its loops.
    pub reloading: bool,
    /// How often that was so: each time systemd waits to hear that the station is up.
    pub reloads: u64,
    /// Words behind those that say where the station stands; in their place while it
    /// starts again.
    pub words: Option<&'static str>,
}

impl Notice {
    /// Of a process that has begun to put its station together.
    pub fn starting() -> Self {
        Self {
            reloading: true,
            ..Self::default()
        }
    }
}

/// Tells that the station is up as soon as it can ring, or knows why it cannot; then
/// where it stands, at each change, until `tasks` are cancelled. The camera and the
/// sound card are not waited for.
pub fn tell(view: &watch::Sender<View>, notice: watch::Receiver<Notice>, tasks: &Tasks) {
    tasks.spawn("systemd", follow(view.subscribe(), notice));
}

async fn follow(mut view: watch::Receiver<View>, mut notice: watch::Receiver<Notice>) {
    let mut told = String::new();
    // How many reloads systemd knows to be over; `None`: it waits for the first start.
    let mut known = None;
    loop {
        let now = notice.borrow_and_update().clone();
        let due = !now.reloading && known != Some(now.reloads);
        if due {
            let knows = view.wait_for(|view| view.stopping || sign::of(view) != Sign::Starting);
            // In time or not, it is up.
            let _ = tokio::time::timeout(PATIENCE, knows).await;
            if notice.has_changed().unwrap_or(false) {
                continue;
            }
        }
        let (words, stopping) = {
            let view = view.borrow_and_update();
            (words(&view, &now), view.stopping)
        };
        if words != told {
            service::tell_status(&words);
            told = words;
        }
        if stopping && !now.reloading {
            service::tell_stopping();
        } else if due {
            service::tell_up();
            known = Some(now.reloads);
        }
        tokio::select! {
            Ok(()) = view.changed() => {}
            Ok(()) = notice.changed() => {}
            // The station is over.
            else => return,
        }
    }
}

/// Where the station stands. Everybody on the machine may read it: it names nobody.
fn words(view: &View, notice: &Notice) -> String {
    if let (Some(words), true) = (notice.words, notice.reloading) {
        return words.to_owned();
    }
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
    if let Some(more) = notice.words {
        words += &format!("; {more}");
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

    fn said(view: &View) -> String {
        words(view, &Notice::default())
    }

    #[test]
    fn what_a_reload_has_to_say_stands_behind_the_rest_or_alone() {
        let view = view([("home", Connection::Connected)]);
        let mut notice = Notice {
            words: Some("the old one goes on"),
            ..Notice::default()
        };
        assert_eq!(words(&view, &notice), "ready; the old one goes on");
        notice.reloading = true;
        assert_eq!(words(&view, &notice), "the old one goes on");
    }

    #[test]
    fn the_words_say_what_works_and_what_does_not() {
        assert_eq!(
            said(&View::default()),
            "starting, no server has answered yet"
        );
        let mut view = view([("home", Connection::Connected), ("cloud", lost())]);
        assert_eq!(said(&view), "ready; no connection to cloud");
        view.connections.remove(&AccountId::new("cloud"));
        assert_eq!(said(&view), "ready");
        view.faults.insert(Device::Camera, "/dev/video0".into());
        view.faults.insert(Device::Speaker, "plughw:1".into());
        assert_eq!(said(&view), "ready; does not work: camera, speaker");
        view.connections.insert(AccountId::new("home"), lost());
        assert_eq!(
            said(&view),
            "no connection, trying again; does not work: camera, speaker"
        );
    }
}
