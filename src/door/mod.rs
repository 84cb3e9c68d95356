//! The door: the relay guardian, and the station's client of it.
//!
//! ```text
//!   doorstation                          doorstation-relay (a unit and a user of its own)
//!   +---------------------+   socket    +---------------------+  pipes  +---------+
//!   | client: beats,      | <---------> | holder: guardian,   | <-----> | watcher |
//!   |         orders      |             |         line        |         |         |
//!   +---------------------+             +---------------------+         +---------+
//! ```
//!
//! * [`guardian`] decides: pure. [`message`] is what is said over the socket.
//! * `holder` is the only process that has the relay's line; `watcher` starts it and
//!   kills it when it hangs. Each ends the pulse when the other is silent.
//! * `client` is the station's adapter. Who may open at all is decided by
//!   [`call`](crate::call), not here.

pub mod guardian;
pub mod holder;
pub mod line;
mod lock;
pub mod message;
mod peer;
pub mod watcher;

pub use peer::Allowed;
