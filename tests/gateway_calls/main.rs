//! The gateway through real HTTP and WebSocket, with two or three small clients:
//! every outcome of a call, and everything that a client can do wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../gateway_bench/mod.rs"]
mod gateway_bench;

mod access;
mod attacks;
mod door;
mod limits;
mod outcomes;
mod sockets;
mod tls;
mod visitors;
