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
//! * [`operator`] is its client for `doorstation door open`.
//!
//! * [`client`] is the station's side; [`sim`] a guardian for a station without a relay.
//!
//! Who may open at all is not decided here but by the core, `call::door`.

pub mod client;
mod converse;
pub mod guardian;
pub mod holder;
pub mod line;
mod lock;
pub mod message;
pub mod operator;
pub mod sim;
pub mod watcher;

pub use crate::peer::Allowed;
