//! The requests of a leg, and how each looks on the wire (protocol section 5).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::parameters;
use crate::call::{Parameter, Sdp};
use crate::wire::{CallControl, CallControlRequest, CallDisposition, CallDispositionRequest};

/// What stays as it is in a query: the unreserved characters of RFC 3986.
pub(super) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One request of a leg (protocol section 5).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// 5.1, to this SIP URI.
    Start {
        /// `sip:bob@demo.local`.
        to: String,
        /// Ours.
        offer: Sdp,
        /// What the callee is told besides.
        parameters: Vec<Parameter>,
    },
    /// 5.3.
    Ringing,
    /// 5.4.
    Answer(Sdp),
    /// 5.5.
    Reject,
    /// 5.6, with a reason for the other end.
    End(String),
    /// 5.7.
    Update(Sdp),
    /// 5.8.
    Respond(Sdp),
    /// 5.9.
    Audit,
    /// 5.10.
    State,
}

/// What the server replied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// The new leg's id, to a start.
    pub(super) session: Option<String>,
    /// `RINGING`, `ANSWERED`, ..., to a question for the state.
    pub(super) state: Option<String>,
}

/// A request ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OnWire {
    /// `POST`, `PUT`, `DELETE` or `GET`.
    pub(super) method: reqwest::Method,
    /// Path and query below `/rest/version/1/user/{user}`.
    pub(super) path: String,
    /// JSON; `None`: no body.
    pub(super) body: Option<String>,
}

impl Request {
    /// This request for the leg that the server calls `session` (not used by a
    /// start), made by `from`: a SIP URI, with a name before it or not.
    pub(super) fn on_wire(&self, session: &str, from: &str) -> OnWire {
        use reqwest::Method;
        let leg = || format!("/callControl/callSessions/{session}");
        let sdp = |sdp: &Sdp| Some(sdp.as_str().to_owned());
        let (method, path, body) = match self {
            Request::Start {
                to,
                offer,
                parameters,
            } => {
                let request = CallControlRequest::CallStart {
                    from: from.to_owned(),
                    to: to.clone(),
                    sdp: sdp(offer),
                    supported: Vec::new(),
                    custom_parameters: parameters::sent(parameters),
                };
                (Method::POST, "/callControl".to_owned(), control(request))
            }
            Request::Ringing => (Method::PUT, leg(), control(CallControlRequest::Ringing {})),
            Request::Answer(answer) => {
                let request = CallControlRequest::CallAnswer {
                    sdp: sdp(answer),
                    custom_parameters: Vec::new(),
                };
                (Method::PUT, leg(), control(request))
            }
            Request::Reject => {
                let request = CallDispositionRequest {
                    action: "reject".to_owned(),
                    session_data: session.to_owned(),
                    address: None,
                };
                let body = json(&CallDisposition {
                    call_disposition_request: request,
                });
                (Method::POST, "/calldisposition".to_owned(), body)
            }
            Request::End(reason) => {
                let reason = utf8_percent_encode(reason, UNRESERVED);
                // 3.x sends an empty object (protocol section 2).
                let path = format!("{}?reasonText={reason}", leg());
                (Method::DELETE, path, Some("{}".to_owned()))
            }
            Request::Update(offer) => {
                let request = CallControlRequest::StartCallUpdate { sdp: sdp(offer) };
                (Method::PUT, leg(), control(request))
            }
            Request::Respond(answer) => {
                let request = CallControlRequest::RespondCallUpdate { sdp: sdp(answer) };
                (Method::PUT, leg(), control(request))
            }
            Request::Audit => (Method::PUT, leg(), control(CallControlRequest::Audit {})),
            Request::State => (Method::GET, leg(), None),
        };
        OnWire { method, path, body }
    }
}

fn control(request: CallControlRequest) -> Option<String> {
    json(&CallControl {
        call_control_request: request,
    })
}

pub(super) fn json(body: &impl Serialize) -> Option<String> {
    Some(serde_json::to_string(body).expect("wire types have text keys only"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Request;
    use crate::call::{Parameter, Sdp};

    const FROM: &str = "sip:alice@demo.local";

    #[test]
    fn each_request_has_the_method_path_and_body_of_the_protocol() {
        let sdp = || Sdp::new("v=0\r\n");
        let start = Request::Start {
            to: "sip:bob@demo.local".to_owned(),
            offer: sdp(),
            parameters: vec![Parameter {
                name: "X-Door".to_owned(),
                value: "Front door".to_owned(),
            }],
        };
        let leg = "/callControl/callSessions/L";
        let control = |body: Value| json!({"callControlRequest": body});
        for (request, method, path, body) in [
            (
                start,
                "POST",
                "/callControl",
                control(
                    json!({"type": "callStart", "from": FROM, "to": "sip:bob@demo.local", "sdp": "v=0\r\n",
                           "customParameters": [{"name": "X-Door", "value": "Front door"}]}),
                ),
            ),
            (
                Request::Ringing,
                "PUT",
                leg,
                control(json!({"type": "ringing"})),
            ),
            (
                Request::Answer(sdp()),
                "PUT",
                leg,
                control(json!({"type": "callAnswer", "sdp": "v=0\r\n"})),
            ),
            (
                Request::Reject,
                "POST",
                "/calldisposition",
                json!({"callDispositionRequest": {"action": "reject", "sessionData": "L"}}),
            ),
            (
                Request::Update(sdp()),
                "PUT",
                leg,
                control(json!({"type": "startCallUpdate", "sdp": "v=0\r\n"})),
            ),
            (
                Request::Respond(sdp()),
                "PUT",
                leg,
                control(json!({"type": "respondCallUpdate", "sdp": "v=0\r\n"})),
            ),
            (
                Request::Audit,
                "PUT",
                leg,
                control(json!({"type": "audit"})),
            ),
            (
                Request::End("Ended by local user".to_owned()),
                "DELETE",
                "/callControl/callSessions/L?reasonText=Ended%20by%20local%20user",
                json!({}),
            ),
        ] {
            let sent = request.on_wire("L", FROM);
            assert_eq!((sent.method.as_str(), sent.path.as_str()), (method, path));
            let sent: Value = serde_json::from_str(&sent.body.unwrap()).unwrap();
            assert_eq!(sent, body);
        }
        let state = Request::State.on_wire("L", FROM);
        assert_eq!(
            (state.method.as_str(), state.path.as_str(), state.body),
            ("GET", leg, None)
        );
    }

    #[test]
    fn a_reason_cannot_leave_its_query() {
        let end = Request::End("a&b=c#d/ü\r\n".to_owned()).on_wire("L", FROM);
        assert_eq!(
            end.path,
            "/callControl/callSessions/L?reasonText=a%26b%3Dc%23d%2F%C3%BC%0D%0A"
        );
    }
}
