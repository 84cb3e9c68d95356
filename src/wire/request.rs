//! Requests, client to server (sections 3 and 5).

use serde::{Deserialize, Serialize};

use super::lenient;

/// Body of POST and PUT of a subscription (3.1, 3.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The only member.
    pub subscribe_request: SubscribeRequest,
}

/// What a client wants to be told of, for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeRequest {
    /// Seconds.
    #[serde(deserialize_with = "lenient::required_seconds")]
    pub expires: u64,
    /// `call`, `IM`, `Presence`.
    #[serde(default, deserialize_with = "lenient::list")]
    pub service: Vec<String>,
    /// `English_US`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub localization: String,
    /// Whether TURN credentials are wanted.
    #[serde(default, deserialize_with = "lenient::truth")]
    pub use_turn: bool,
    /// `WebSocket`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub notification_type: String,
    /// `RingingFeedback`; absent in renewals of 3.x.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub supported: Vec<String>,
    /// `"true"` (text) ends the user's other subscriptions (3.41 and later).
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub force_log_out: Option<String>,
    /// The client's own name for its subscription (3.41 and later).
    #[serde(
        default,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_correlator: Option<String>,
}

/// Body of every call request but reject and end (section 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallControl {
    /// The only member.
    pub call_control_request: CallControlRequest,
}

/// The operations, by `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum CallControlRequest {
    /// 5.1 make.
    CallStart {
        /// `sip:alice@demo.local`, or `First Last<sip:...>`.
        from: String,
        /// `sip:bob@demo.local`.
        to: String,
        /// The offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
        /// `earlymedia`, `replacecall`.
        #[serde(
            default,
            deserialize_with = "lenient::list",
            skip_serializing_if = "Vec::is_empty"
        )]
        supported: Vec<String>,
        /// Free name/value pairs for the callee.
        #[serde(
            default,
            deserialize_with = "lenient::list",
            skip_serializing_if = "Vec::is_empty"
        )]
        custom_parameters: Vec<CustomParameter>,
    },
    /// 5.3 ringing feedback.
    Ringing {},
    /// 5.4 answer.
    CallAnswer {
        /// The answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
        /// Free name/value pairs for the caller.
        #[serde(
            default,
            deserialize_with = "lenient::list",
            skip_serializing_if = "Vec::is_empty"
        )]
        custom_parameters: Vec<CustomParameter>,
    },
    /// 5.7 a new offer in the call.
    StartCallUpdate {
        /// The offer; absent asks the peer to make it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
    },
    /// 5.8 the answer to a remote offer.
    RespondCallUpdate {
        /// The answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
    },
    /// 5.9 keep-alive.
    Audit {},
    /// 5.11 trickle candidates, relayed as they are.
    UpdateIceCandidate {
        /// `{candidate, sdpMid, sdpMLineIndex}` each.
        #[serde(default)]
        ice_candidates: serde_json::Value,
    },
    /// 5.12 custom headers.
    SendCustomHeaders {
        /// Free name/value pairs for the peer.
        #[serde(default, deserialize_with = "lenient::list")]
        custom_parameters: Vec<CustomParameter>,
    },
}

/// One free name/value pair of 5.1, 5.4 and 5.12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomParameter {
    /// `X-...`.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Text.
    #[serde(default, deserialize_with = "lenient::text")]
    pub value: String,
}

/// Body of `POST .../calldisposition` (5.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDisposition {
    /// The only member.
    pub call_disposition_request: CallDispositionRequest,
}

/// Reject or forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDispositionRequest {
    /// `reject` or `forward`.
    pub action: String,
    /// The callee's own leg.
    pub session_data: String,
    /// Where to forward to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The client's keep-alive on the WebSocket (section 4): a text frame, not a
/// WebSocket ping. The server sends nothing back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// `ping`.
    pub message_type: String,
}
