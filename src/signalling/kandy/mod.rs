//! A client of Kandy Link: one account of the station.

mod legs;
mod notice;
mod request;
mod session;
mod trouble;
