//! Does it do what `docs/kandy-link.md` says? One test for each row of its tables
//! and checklists that no other test proves, named after the row, through real
//! sockets. `rows` lists which test proves which row, and that none is without one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../gateway_bench/mod.rs"]
mod gateway_bench;

mod events;
mod house;
mod replies;
mod requests;
mod rows;
mod sdp;
mod slow_start;
