//! What a gateway is told before it starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Cors, Error, OpenDoor, Password, Tls};
use crate::album::Album;

/// What a gateway is told before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. Port 0: any free port.
    pub listen: SocketAddr,
    /// Encryption.
    pub tls: Tls,
    /// What follows the `@` in the addresses of the users.
    pub domain: String,
    /// Everybody who may log in; the door station itself is one of them.
    pub users: Vec<User>,
    /// What the indoor page is told about the door.
    pub door: Door,
    /// How long a call rings. [`Settings::RING_TIME`] is a good value.
    pub ring_time: Duration,
    /// The bounds of the time that a subscription may hold without renewal.
    /// [`Settings::GRANT_EXPIRES`] is a good value.
    pub grant_expires: RangeInclusive<Duration>,
    /// Which other web pages may use the Kandy Link routes.
    pub cors: Cors,
    /// Where presses of the page's bell go, in a demonstration.
    pub bell: Option<mpsc::Sender<()>>,
    /// Where wishes to open the door go, if there is a door. A few may wait; more are
    /// refused.
    pub opening: Option<mpsc::Sender<OpenDoor>>,
    /// The visitors' pictures, for users who are logged in; `None` shows nobody any.
    pub album: Option<Album>,
    /// Limits on what comes from outside.
    pub limits: Limits,
}

/// One user.
#[derive(Clone, Debug)]
pub struct User {
    /// `name@domain`.
    pub address: String,
    /// What others see.
    pub name: String,
    /// How the password is kept.
    pub password: Password,
    /// Calls at one time before callers hear "busy": 1 for a door, 2 for people.
    pub max_calls: usize,
    /// The page shows this user the button that opens the door. Whoever takes the wish
    /// decides.
    pub may_open: bool,
}

impl User {
    /// A door has one line.
    pub const DOOR_CALLS: usize = 1;
    /// A person may hold one call and take a second.
    pub const PERSON_CALLS: usize = 2;
}

/// What the indoor page is told about the door.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address to call.
    pub address: String,
    /// What to call it.
    pub name: String,
}

/// Limits on what comes from outside. The default fits a house.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request.
    pub message: usize,
    /// Bytes of a description (SDP).
    pub sdp: usize,
    /// Calls at one time.
    pub calls: usize,
    /// Subscriptions of one user at one time.
    pub subscriptions: usize,
    /// Connections at one time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 256 * 1024,
            sdp: 64 * 1024,
            calls: 100,
            subscriptions: 32,
            connections: 256,
        }
    }
}

impl Settings {
    /// How long a call rings (section 9).
    pub const RING_TIME: Duration = Duration::from_secs(60);
    /// Clients renew at half time, but not within 30 s: less than 60 s cannot be kept
    /// alive (section 3.2). An hour is what Kandy.js asks for.
    pub const GRANT_EXPIRES: RangeInclusive<Duration> =
        Duration::from_secs(60)..=Duration::from_secs(3600);

    pub(super) fn check_users(&self) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for user in &self.users {
            let address = || user.address.clone();
            let local = user
                .address
                .rsplit_once('@')
                .filter(|(local, domain)| {
                    domain.eq_ignore_ascii_case(&self.domain) && is_local(local)
                })
                .map(|(local, _)| local);
            if local.is_none() {
                return Err(Error::UserAddress {
                    address: address(),
                    domain: self.domain.clone(),
                });
            }
            if !seen.insert(user.address.to_ascii_lowercase()) {
                return Err(Error::DuplicateUser { address: address() });
            }
        }
        Ok(())
    }
}

/// What needs no escaping in a path and cannot be taken for anything else.
fn is_local(local: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._+".contains(&b);
    !local.is_empty() && local.len() <= 64 && local.bytes().all(plain)
}
