//! Kandy Link client.
mod session;
mod trouble;
