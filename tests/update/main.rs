//! Updates from outside: bundles that RAUC made, RAUC itself with slots of this test, a
//! server that breaks off, and the command where there is no image.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod bundles;
mod command;
mod engine;
mod fetching;
mod init;
mod workshop;
