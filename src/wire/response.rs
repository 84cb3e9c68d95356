//! Replies, server to client (sections 2, 3 and 5).

use serde::{Deserialize, Serialize};

use super::lenient;

/// Reply to subscribe, renew and unsubscribe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeResponse {
    /// The only member.
    pub subscribe_response: SubscribeReply,
}

/// The granted subscription, or why not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeReply {
    /// See [`status`](super::status).
    pub status_code: i32,
    /// Path for renew and unsubscribe, without scheme and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// What was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_params: Option<SubscriptionParams>,
    /// Seconds to wait, with status 503.
    #[serde(
        default,
        deserialize_with = "lenient::seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<u64>,
}

/// What was granted (3.1).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionParams {
    /// Seconds; renewal is timed from this.
    #[serde(deserialize_with = "lenient::required_seconds")]
    pub expires: u64,
    /// Granted services.
    #[serde(default, deserialize_with = "lenient::list")]
    pub service: Vec<String>,
    /// `WebSocket`.
    #[serde(default)]
    pub notification_type: String,
    /// Path of the WebSocket; whoever knows it may open it.
    pub notification_channel: String,
    /// Session of the HMAC scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// `"true"` (text) with TURN credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_active: Option<String>,
    /// Short-lived TURN login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_credentials: Option<TurnCredentials>,
}

impl std::fmt::Debug for SubscriptionParams {
    /// Without channel and session: whoever knows them is let in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubscriptionParams")
            .field("expires", &self.expires)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// A short-lived TURN login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnCredentials {
    /// `expiry:user`.
    pub username: String,
    /// Secret.
    pub password: String,
}

impl std::fmt::Debug for TurnCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnCredentials").finish_non_exhaustive()
    }
}

/// Reply to every call request but reject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallControlResponse {
    /// The only member.
    pub call_control_response: CallControlReply,
}

/// Status, and the leg's id where one was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallControlReply {
    /// See [`status`](super::status).
    pub status_code: i32,
    /// The caller's own leg: mandatory in the reply to `callStart`. Opaque; used in
    /// paths as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_data: Option<String>,
    /// State of the call, in the reply to GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Seconds, with glare (49) or busy (503).
    #[serde(
        default,
        deserialize_with = "lenient::seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<u64>,
}

/// Reply to reject and forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallDispositionResponse {
    /// The only member.
    pub call_disposition_response: StatusReply,
}

/// Only a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReply {
    /// See [`status`](super::status).
    pub status_code: i32,
}
