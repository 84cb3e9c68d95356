//! The embedded gateway: a Kandy Link server in the station's own process.

pub mod broker;
