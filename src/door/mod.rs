//! The door: the relay guardian, `doorstation-relay`.
//!
//! ```text
//!   client       socket    +---------------------+  pipes  +---------+
//!   beats,  <------------> | holder: guardian,   | <-----> | watcher |
//!   orders                 |         line        |         |         |
//!                          +---------------------+         +---------+
//! ```
//!
//! * [`guardian`] decides: pure. [`message`] is what is said over the socket.
//! * [`holder`] is the only process that has the relay's line; [`watcher`] starts it
//!   and kills it when it hangs. Each ends the pulse when the other is silent.
//!
//! Who may open at all is not decided here, and the station does not order pulses yet.

pub mod guardian;
pub mod holder;
pub mod line;
mod lock;
pub mod message;
mod peer;
pub mod watcher;

pub use peer::Allowed;
