//! From a text frame to news that can be trusted (protocol section 6).
//!
//! Everything that a server may get wrong is checked here, once: size, shape,
//! missing fields, repeated events, ids that would not stay inside a path. What
//! passes is a [`Notice`]; what does not is a [`Refusal`] with the reason.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::parameters;
use crate::call::{Address, Parameter, Sdp};
use crate::wire::{Envelope, EventType, Notification, SessionParams, address};

/// The longest frame that is read (our choice; a call with two large offers is
/// below 20 KiB).
pub(super) const LONGEST_FRAME: usize = 256 * 1024;
/// The longest session description that is taken (our choice).
const LONGEST_SDP: usize = 64 * 1024;
/// The longest id or address (our choice).
const LONGEST_ID: usize = 256;
/// The longest name or reason for people; longer ones are cut (our choice).
const LONGEST_TEXT: usize = 128;
/// How many event ids are remembered. Kandy.js remembers 100 (protocol section
/// 6.1; read in the SDK).
const REMEMBERED: usize = 128;
/// The longest pause after glare that is believed (our choice).
const LONGEST_GLARE: Duration = Duration::from_secs(60);

/// What a frame says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Notice {
    /// The subscription is no more (protocol section 4.2).
    Gone {
        /// Not before this time has passed.
        retry_after: Option<Duration>,
    },
    /// Somebody calls.
    Call(IncomingCall),
    /// Something about the leg with this session id.
    Leg(String, News),
    /// Nothing that concerns a station; by name.
    Ignored(String),
}

/// A call as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IncomingCall {
    /// Our leg's session id.
    pub(super) session: String,
    /// Who calls.
    pub(super) from: Address,
    /// The caller's name, possibly empty.
    pub(super) from_name: String,
    /// Whom; empty if the server did not say.
    pub(super) to: String,
    /// The offer, unless we are to make it.
    pub(super) offer: Option<Sdp>,
    /// What the caller sent besides.
    pub(super) parameters: Vec<Parameter>,
}

/// What happened to a leg.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// The other end rings.
    Ringing,
    /// A provisional answer.
    Progress(Sdp),
    /// An answer to our latest offer.
    Responded(Sdp),
    /// Our offer crossed the peer's; again after this long.
    Glare(Duration),
    /// The peer offers.
    UpdateOffered(Option<Sdp>),
    /// Over.
    Ended {
        /// SIP code as text.
        code: String,
        /// A sentence.
        reason: String,
    },
    /// Another device of ours answered.
    Cancelled,
}

/// Why a frame is dropped.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the frame has {0} bytes, more than {LONGEST_FRAME}")]
    TooLong(usize),
    #[error("not a notification: {0}")]
    Shape(String),
    #[error("{event} lacks {field}")]
    Missing {
        event: &'static str,
        field: &'static str,
    },
    #[error("{event} has a {field} that cannot be used")]
    Unusable {
        event: &'static str,
        field: &'static str,
    },
    #[error("{event} has a session description of {size} bytes, more than {LONGEST_SDP}")]
    SdpTooLong { event: &'static str, size: usize },
    /// Not the server's fault: a repetition after a reconnect.
    #[error("the event came before")]
    Repeated,
}

/// Reads frames, and remembers which events it has read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    seen: VecDeque<String>,
}

impl Reader {
    /// Reads one text frame.
    pub(super) fn read(&mut self, frame: &str) -> Result<Notice, Refusal> {
        if frame.len() > LONGEST_FRAME {
            return Err(Refusal::TooLong(frame.len()));
        }
        let value: Value = serde_json::from_str(frame).map_err(|error| shape(&error))?;
        if let Some(other) = other_platform(&value) {
            return Ok(Notice::Ignored(other.to_owned()));
        }
        let envelope: Envelope = serde_json::from_value(value).map_err(|error| shape(&error))?;
        let notification = envelope.notification_message;
        if notification.event_id.len() > LONGEST_ID {
            return Err(Refusal::Unusable {
                event: name(&notification.event_type),
                field: "eventId",
            });
        }
        // A missing id is remembered like any other, as Kandy.js does.
        if self.seen.contains(&notification.event_id) {
            return Err(Refusal::Repeated);
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(notification.event_id.clone());
        notice(notification)
    }
}

/// Whether `id` can be the last element of a path as it is: nothing in it may
/// begin another element, a query or a header (protocol section 1).
pub(super) fn is_safe_in_path(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&byte);
    !matches!(id, "" | "." | "..") && id.len() <= LONGEST_ID && id.bytes().all(allowed)
}

fn notice(notification: Notification) -> Result<Notice, Refusal> {
    let event = name(&notification.event_type);
    match notification.event_type {
        EventType::Gone => Ok(Notice::Gone {
            retry_after: notification.retry_after.map(Duration::from_secs),
        }),
        // Another socket took our channel (5.2): to us as good as gone.
        EventType::Other(other) if other == "websocketOverridden" => {
            Ok(Notice::Gone { retry_after: None })
        }
        EventType::Other(other) => Ok(Notice::Ignored(cut(&other))),
        EventType::IceCandidate | EventType::SessionComplete | EventType::SessionFail => {
            Ok(Notice::Ignored(event.to_owned()))
        }
        EventType::Call => Ok(Notice::Call(incoming(event, notification)?)),
        EventType::Ringing
        | EventType::SessionProgress
        | EventType::RespondCallUpdate
        | EventType::StartCallUpdate
        | EventType::CallEnd
        | EventType::CallCancel => {
            let session = session(event, &notification)?;
            let kind = notification.event_type;
            let params = notification.session_params.unwrap_or_default();
            news(event, &kind, params).map(|news| match news {
                Some(news) => Notice::Leg(session, news),
                None => Notice::Ignored(format!("empty {event}")),
            })
        }
    }
}

fn news(
    event: &'static str,
    kind: &EventType,
    params: SessionParams,
) -> Result<Option<News>, Refusal> {
    let sdp = sdp(event, &params)?;
    Ok(Some(match kind {
        EventType::Ringing => News::Ringing,
        EventType::CallCancel => News::Cancelled,
        EventType::SessionProgress => return Ok(sdp.map(News::Progress)),
        EventType::StartCallUpdate => News::UpdateOffered(sdp),
        EventType::RespondCallUpdate => match (sdp, params.retry_after) {
            (_, Some(seconds)) => News::Glare(Duration::from_secs(seconds).min(LONGEST_GLARE)),
            (Some(sdp), None) => News::Responded(sdp),
            (None, None) => {
                return Err(Refusal::Missing {
                    event,
                    field: "sdp",
                });
            }
        },
        // 9900: "reason not provided" (protocol section 6.5).
        EventType::CallEnd => News::Ended {
            code: text(params.status_code).unwrap_or_else(|| "9900".to_owned()),
            reason: text(params.reason_text).unwrap_or_else(|| "Reason not provided".to_owned()),
        },
        EventType::Call
        | EventType::IceCandidate
        | EventType::SessionComplete
        | EventType::SessionFail
        | EventType::Gone
        | EventType::Other(_) => return Ok(None),
    }))
}

fn incoming(event: &'static str, notification: Notification) -> Result<IncomingCall, Refusal> {
    let session = session(event, &notification)?;
    let offer = sdp(event, &notification.session_params.unwrap_or_default())?;
    let parameters = parameters::taken(notification.custom_parameters);
    let params = notification.call_notification_params.unwrap_or_default();
    let number = if params.caller_display_number.is_empty() {
        &params.remote_display_number
    } else {
        &params.caller_display_number
    };
    let field = "callerDisplayNumber";
    let from = address::bare(number);
    if from.is_empty() {
        return Err(Refusal::Missing { event, field });
    }
    if from.len() > LONGEST_ID || from.contains(char::is_control) {
        return Err(Refusal::Unusable { event, field });
    }
    Ok(IncomingCall {
        session,
        from: Address::new(from),
        from_name: cut(&params.caller_name),
        to: cut(address::bare(&params.callee_display_number)),
        offer,
        parameters,
    })
}

/// The receiver's leg; `callDispositionParams` stands in for missing `sessionParams`.
fn session(event: &'static str, notification: &Notification) -> Result<String, Refusal> {
    let own = notification.session_params.as_ref();
    let fallback = notification.call_disposition_params.as_ref();
    let id = own
        .map(|params| &params.session_data)
        .filter(|id| !id.is_empty())
        .or(fallback.map(|params| &params.session_data))
        .filter(|id| !id.is_empty());
    let field = "sessionData";
    let id = id.ok_or(Refusal::Missing { event, field })?;
    if is_safe_in_path(id) {
        Ok(id.clone())
    } else {
        Err(Refusal::Unusable { event, field })
    }
}

fn sdp(event: &'static str, params: &SessionParams) -> Result<Option<Sdp>, Refusal> {
    let Some(sdp) = params.sdp.as_deref().filter(|sdp| !sdp.is_empty()) else {
        return Ok(None);
    };
    if params.sdp_format.is_some() {
        let field = "sdpFormat";
        return Err(Refusal::Unusable { event, field });
    }
    if sdp.len() > LONGEST_SDP {
        let size = sdp.len();
        return Err(Refusal::SdpTooLong { event, size });
    }
    Ok(Some(Sdp::new(sdp)))
}

/// Messages of the platform's other dialects, which Kandy.js swallows too
/// (protocol section 4).
fn other_platform(value: &Value) -> Option<&'static str> {
    ["connCheck", "connAck", "message_type"]
        .into_iter()
        .find(|member| value.get(member).is_some())
}

fn shape(error: &serde_json::Error) -> Refusal {
    Refusal::Shape(cut(&error.to_string()))
}

fn text(text: Option<String>) -> Option<String> {
    text.map(|text| cut(&text)).filter(|text| !text.is_empty())
}

/// For people: no control characters, not too long.
pub(super) fn cut(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(LONGEST_TEXT)
        .collect()
}

fn name(kind: &EventType) -> &'static str {
    match kind {
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
        EventType::Other(_) => "event",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{
        LONGEST_FRAME, LONGEST_SDP, News, Notice, REMEMBERED, Reader, Refusal, is_safe_in_path,
    };

    #[test]
    fn a_call_end_without_code_and_reason_still_ends_the_call() {
        let frame = frame("callEnd", "e1", json!({"sessionData": "L"}));
        let Ok(Notice::Leg(session, News::Ended { code, reason })) = Reader::default().read(&frame)
        else {
            panic!("not taken");
        };
        assert_eq!((session.as_str(), code.as_str()), ("L", "9900"));
        assert!(!reason.is_empty());
    }

    #[test]
    fn a_repeated_event_is_dropped_until_128_others_came() {
        let mut reader = Reader::default();
        let ringing = |n: usize| frame("ringing", &format!("e{n}"), json!({"sessionData": "L"}));
        assert!(reader.read(&ringing(0)).is_ok());
        assert_eq!(reader.read(&ringing(0)), Err(Refusal::Repeated));
        for n in 1..REMEMBERED {
            assert!(reader.read(&ringing(n)).is_ok());
        }
        assert_eq!(reader.read(&ringing(0)), Err(Refusal::Repeated));
        assert!(reader.read(&ringing(REMEMBERED)).is_ok());
        assert!(reader.read(&ringing(0)).is_ok(), "forgotten by now");
    }

    #[test]
    fn a_missing_event_id_counts_as_one_value() {
        let frame = json!({"notificationMessage":{"eventType":"ringing","sessionParams":{"sessionData":"L"}}});
        let mut reader = Reader::default();
        assert!(reader.read(&frame.to_string()).is_ok());
        assert_eq!(reader.read(&frame.to_string()), Err(Refusal::Repeated));
    }

    #[test]
    fn glare_is_no_answer() {
        let frame = frame(
            "respondCallUpdate",
            "e",
            json!({"sessionData": "L", "retryAfter": 4}),
        );
        let four = std::time::Duration::from_secs(4);
        assert_eq!(
            Reader::default().read(&frame),
            Ok(Notice::Leg("L".to_owned(), News::Glare(four)))
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let call = |number: &str, session: Value| {
            json!({"notificationMessage": {"eventType": "call", "eventId": "e",
                "callNotificationParams": {"callerDisplayNumber": number}, "sessionParams": session}})
            .to_string()
        };
        let long_sdp = json!({"sessionData": "L", "sdp": "v".repeat(LONGEST_SDP + 1)});
        for (frame, reason) in [
            ("[".to_owned(), "not a notification: EOF"),
            ("7".to_owned(), "not a notification: invalid type"),
            ("{}".to_owned(), "missing field `notificationMessage`"),
            (
                json!({"notificationMessage": {}}).to_string(),
                "missing field `eventType`",
            ),
            (
                call("", json!({"sessionData": "L"})),
                "call lacks callerDisplayNumber",
            ),
            (call("a@d", json!({})), "call lacks sessionData"),
            (
                call("a@d", json!({"sessionData": "../x"})),
                "sessionData that cannot be used",
            ),
            (call("a@d", long_sdp), "session description of 65537 bytes"),
            (
                call(
                    "a@d",
                    json!({"sessionData": "L", "sdp": "eJw=", "sdpFormat": "compressed"}),
                ),
                "sdpFormat",
            ),
            (
                frame("respondCallUpdate", "e", json!({"sessionData": "L"})),
                "respondCallUpdate lacks sdp",
            ),
            ("x".repeat(LONGEST_FRAME + 1), "more than 262144"),
            (
                frame("ringing", &"e".repeat(300), json!({"sessionData": "L"})),
                "eventId",
            ),
        ] {
            let refusal = Reader::default()
                .read(&frame)
                .expect_err(reason)
                .to_string();
            assert!(
                refusal.contains(reason),
                "{refusal:?} does not say {reason:?}"
            );
        }
    }

    #[test]
    fn other_dialects_and_unknown_events_are_ignored() {
        for frame in [
            json!({"connCheck": {"interval": 30}}).to_string(),
            json!({"message_type": "pong"}).to_string(),
            frame("trying", "e", json!({})),
            frame(
                "sessionProgress",
                "e",
                json!({"sessionData": "L", "sdp": ""}),
            ),
        ] {
            let notice = Reader::default().read(&frame);
            assert!(matches!(notice, Ok(Notice::Ignored(_))), "{notice:?}");
        }
    }

    #[test]
    fn ids_that_would_leave_their_path_are_not_safe() {
        for id in [
            "ulVFar35tkks1umJ1rYW5g",
            "Ld9-AtzxNPDnl53fbZqJ_Q",
            "a%2Fb",
            "a@b",
        ] {
            assert!(is_safe_in_path(id), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a?b", "a#b", "a b", "a\r\nb", "ä"] {
            assert!(!is_safe_in_path(id), "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_reader_panic(frame in ".{0,200}") {
            let _ = Reader::default().read(&frame);
        }

        #[test]
        fn no_notification_makes_the_reader_panic(
            kind in "call|ringing|respondCallUpdate|startCallUpdate|callEnd|callCancel|gone|x",
            session in ".{0,20}",
            number in ".{0,20}",
            sdp in proptest::option::of(".{0,20}"),
        ) {
            let frame = json!({"notificationMessage": {"eventType": kind, "eventId": "e",
                "callNotificationParams": {"callerDisplayNumber": number, "callerName": number},
                "sessionParams": {"sessionData": session, "sdp": sdp, "statusCode": number}}});
            if let Ok(Notice::Leg(session, _)) = Reader::default().read(&frame.to_string()) {
                prop_assert!(is_safe_in_path(&session));
            }
        }
    }

    fn frame(kind: &str, id: &str, session: Value) -> String {
        json!({"notificationMessage": {"eventType": kind, "eventId": id, "time": "0",
            "sessionParams": session}})
        .to_string()
    }
}
