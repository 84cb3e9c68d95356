//! Builds notifications (section 6).

use crate::wire::{
    CallNotificationParams, CustomParameter, Dispositions, EventType, Notification, SessionParams,
};

/// Who calls whom, for the whole life of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parties {
    pub(super) caller: Party,
    pub(super) callee: Party,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) address: String,
    pub(super) name: String,
}

/// The two sides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// How a call ended, as `callEnd` tells it (section 6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) status_code: &'static str,
    pub(super) reason: String,
}

impl Ending {
    fn new(status_code: &'static str, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self {
            status_code,
            reason,
        }
    }

    /// Somebody hung up; what they said about it is passed on.
    pub(super) fn hung_up(reason: Option<String>) -> Self {
        let reason = reason.filter(|text| !text.trim().is_empty());
        Self {
            status_code: "200",
            reason: reason.unwrap_or_else(|| "Call Ended".to_owned()),
        }
    }

    pub(super) fn declined() -> Self {
        Self::new("603", "Decline")
    }

    pub(super) fn busy() -> Self {
        Self::new("486", "Busy Here")
    }

    pub(super) fn cancelled() -> Self {
        Self::new("487", "Request Terminated")
    }

    /// Nobody answered in time, or nobody is registered.
    pub(super) fn unavailable() -> Self {
        Self::new("480", "Temporarily Unavailable")
    }

    pub(super) fn unknown() -> Self {
        Self::new("404", "Not Found")
    }

    /// A client has stopped its audits.
    pub(super) fn silent() -> Self {
        Self::new("408", "Request Timeout")
    }
}

/// An event of the call between `parties` for the leg `leg` on `side`. Its id is
/// given when it is queued.
pub(super) fn notice(
    event_type: EventType,
    parties: &Parties,
    side: Side,
    leg: &str,
) -> Notification {
    let remote = match side {
        Side::Caller => &parties.callee,
        Side::Callee => &parties.caller,
    };
    let session = SessionParams {
        kind: kind(&event_type).to_owned(),
        session_data: leg.to_owned(),
        ..SessionParams::default()
    };
    Notification {
        call_notification_params: Some(CallNotificationParams {
            caller_display_number: parties.caller.address.clone(),
            caller_name: parties.caller.name.clone(),
            callee_display_number: parties.callee.address.clone(),
            remote_display_number: remote.address.clone(),
            remote_name: remote.name.clone(),
        }),
        session_params: Some(session),
        ..bare(event_type)
    }
}

/// An event that concerns no call.
pub(super) fn bare(event_type: EventType) -> Notification {
    Notification {
        event_type,
        event_id: String::new(),
        time: String::new(),
        call_notification_params: None,
        session_params: None,
        call_disposition_params: None,
        custom_parameters: Vec::new(),
        retry_after: None,
    }
}

/// `call`: the callee's leg with the offer, and what may be done with it. Kandy.js
/// 3.x refuses to answer without the word in `actions` (section 6.3).
pub(super) fn call(
    parties: &Parties,
    leg: &str,
    sdp: Option<String>,
    custom: Vec<CustomParameter>,
) -> Notification {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let mut notification = with_sdp(notice(EventType::Call, parties, Side::Callee, leg), sdp);
    if let Some(session) = &mut notification.session_params {
        session.actions = words(&["reject", "forward", "answer"]);
    }
    notification.call_disposition_params = Some(Dispositions {
        session_data: leg.to_owned(),
        actions: words(&["reject", "forward"]),
    });
    notification.custom_parameters = custom;
    notification
}

/// `callEnd`.
pub(super) fn call_end(parties: &Parties, side: Side, leg: &str, ending: &Ending) -> Notification {
    let mut notification = notice(EventType::CallEnd, parties, side, leg);
    if let Some(session) = &mut notification.session_params {
        session.status_code = Some(ending.status_code.to_owned());
        session.reason_text = Some(ending.reason.clone());
    }
    notification
}

/// `notification` with a description.
pub(super) fn with_sdp(mut notification: Notification, sdp: Option<String>) -> Notification {
    if let Some(session) = &mut notification.session_params {
        session.sdp = sdp;
    }
    notification
}

fn kind(event_type: &EventType) -> &str {
    match event_type {
        EventType::Call => "call",
        EventType::Ringing => "ringing",
        EventType::SessionProgress => "sessionProgress",
        EventType::RespondCallUpdate => "respondCallUpdate",
        EventType::StartCallUpdate => "startCallUpdate",
        EventType::CallEnd => "callEnd",
        EventType::CallCancel => "callCancel",
        EventType::IceCandidate => "IceCandidate",
        EventType::SessionComplete => "sessionComplete",
        EventType::SessionFail => "sessionFail",
        EventType::Gone => "gone",
        EventType::Other(name) => name,
    }
}
