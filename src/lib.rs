//! Doorstation: the firmware of an open door station.
//!
//! The parts, and who talks to whom:
//!
//! ```text
//!  panel ------\                 /-- signalling (Kandy Link: REST + WebSocket)
//!               >-- station ----<
//!  media ------/    (one loop)   \-- media (webrtc-rs, GStreamer, ALSA)
//!                      |
//!                    call (pure: no I/O, no clock)        gateway (a Kandy Link server
//!                                                         and the indoor page)
//! ```
//!
//! * [`call`] decides. It is a state machine without I/O and without a clock:
//!   facts go in ([`call::Input`]), orders come out ([`call::Output`]).
//! * [`station`] is the only loop: it feeds `call` and hands its orders to the
//!   adapters. Adapters never know each other.
//! * [`signalling`], [`media`], [`panel`] are the adapters; each is a seam with a
//!   real and a simulated side.
//! * [`gateway`] is a server of its own in the same binary. The station speaks to
//!   it over the network like any other client.
//! * [`app`] puts the parts together from a checked [`config`]; [`client`] puts
//!   together what a program needs that only wants to call.

pub mod album;
pub mod app;
pub mod board;
pub mod call;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod door;
pub mod gateway;
pub mod hands_on;
pub mod ice;
pub mod ledger;
pub mod media;
pub mod metrics;
pub mod panel;
pub mod peer;
pub mod pulse;
pub mod report;
pub mod reset;
pub mod run;
pub mod secret;
pub mod service;
pub mod signalling;
pub mod station;
pub mod story;
pub mod supervisor;
pub mod tasks;
pub mod telemetry;
pub mod update;
pub mod usage;
pub mod wire;
