//! The messages of Kandy Link, shared by the client and the gateway.
//!
//! Only shapes live here: serde types, paths and status codes. What a message
//! means is decided in `signalling::kandy` (client) and `gateway` (server).
//! Section numbers in comments are those of `docs/kandy-link.md`.

pub mod address;
mod lenient;
mod notification;
mod request;
mod response;
pub mod status;

pub use notification::{
    CallNotificationParams, Dispositions, Envelope, EventType, Notification, SessionParams,
};
pub use request::{
    CallControl, CallControlRequest, CallDisposition, CallDispositionRequest, CustomParameter,
    Ping, SubscribeRequest, Subscription,
};
pub use response::{
    CallControlReply, CallControlResponse, CallDispositionResponse, StatusReply, SubscribeReply,
    SubscribeResponse, SubscriptionParams, TurnCredentials,
};
