//! Notifications, server to client, over the WebSocket (section 6).

use serde::{Deserialize, Serialize};

use super::{CustomParameter, lenient};

/// One text frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The only member.
    pub notification_message: Notification,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// What happened.
    pub event_type: EventType,
    /// Unique; clients drop repeats. A missing id counts as one value.
    #[serde(default, deserialize_with = "lenient::text")]
    pub event_id: String,
    /// Milliseconds since the epoch, as text; clients ignore it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub time: String,
    /// Who calls whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_notification_params: Option<CallNotificationParams>,
    /// The receiver's leg, and what came with the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_params: Option<SessionParams>,
    /// Fallback for a missing `sessionParams`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_disposition_params: Option<Dispositions>,
    /// Free name/value pairs of the peer.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub custom_parameters: Vec<CustomParameter>,
    /// With `gone`: seconds before coming back (5.2).
    #[serde(
        default,
        deserialize_with = "lenient::seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<u64>,
}

/// The event types of 6.4. Others are kept by name and ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventType {
    /// Somebody calls.
    Call,
    /// The callee rings.
    Ringing,
    /// Provisional answer.
    SessionProgress,
    /// An answer; the first one answers the call.
    RespondCallUpdate,
    /// A new offer of the peer.
    StartCallUpdate,
    /// The leg is over.
    CallEnd,
    /// Another device of the callee answered.
    CallCancel,
    /// Trickle candidates.
    #[serde(rename = "IceCandidate")]
    IceCandidate,
    /// A transfer or join was done.
    SessionComplete,
    /// A transfer or join failed.
    SessionFail,
    /// The subscription is no more.
    Gone,
    /// Anything else.
    #[serde(untagged)]
    Other(String),
}

/// Who calls whom: all five fields on every call event, one spelling (6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallNotificationParams {
    /// The original caller, bare `u@d`.
    #[serde(deserialize_with = "lenient::text")]
    pub caller_display_number: String,
    /// The caller's name.
    #[serde(deserialize_with = "lenient::text")]
    pub caller_name: String,
    /// The original callee, bare `u@d`.
    #[serde(deserialize_with = "lenient::text")]
    pub callee_display_number: String,
    /// The other party as the receiver sees it.
    #[serde(deserialize_with = "lenient::text")]
    pub remote_display_number: String,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub remote_name: String,
}

/// What an event carries for a leg (6.3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionParams {
    /// The event type again; harmless.
    #[serde(
        rename = "type",
        deserialize_with = "lenient::text",
        skip_serializing_if = "String::is_empty"
    )]
    pub kind: String,
    /// The receiver's own leg.
    #[serde(deserialize_with = "lenient::text")]
    pub session_data: String,
    /// On `call`: what the receiver may do (`answer`, `reject`, `forward`).
    #[serde(
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub actions: Vec<String>,
    /// Offer or answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// How `sdp` is packed (`compressed`, `url`); absent when it is plain, which is
    /// the only form that we send or take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp_format: Option<String>,
    /// On `callEnd`: the SIP code, as text.
    #[serde(
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub status_code: Option<String>,
    /// On `callEnd`: a sentence.
    #[serde(
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason_text: Option<String>,
    /// On glare: seconds.
    #[serde(
        deserialize_with = "lenient::seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<u64>,
    /// Trickle candidates, as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice_candidates: Option<serde_json::Value>,
}

/// What may be done with a ringing call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dispositions {
    /// The receiver's own leg.
    #[serde(deserialize_with = "lenient::text")]
    pub session_data: String,
    /// `reject`, `forward`.
    #[serde(deserialize_with = "lenient::list")]
    pub actions: Vec<String>,
}
