//! The Kandy Link client against a scripted server, over real HTTP and WebSocket.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod calls;
mod connection;
mod server;
mod station;
