//! Reading what other servers might send: a number where a text is due, `null`
//! where nothing is. What was read is written strictly.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A text; a number or a truth value becomes its text, `null` the empty text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    optional_text(from).map(Option::unwrap_or_default)
}

/// The same, with `null` as `None`.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(serde::de::Error::custom("expected a text")),
    }
}

/// Seconds, as a number or as the text of one; anything else is no statement.
pub(super) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// The same, where there must be one.
pub(super) fn required_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    seconds(from)?.ok_or_else(|| serde::de::Error::custom("expected seconds"))
}

/// A truth value, or the text of one; anything else is no.
pub(super) fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(truth) => truth,
        Value::String(text) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// A list; `null` is the empty one.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use crate::wire::{CallControl, CallControlRequest, Envelope, SubscribeResponse, Subscription};

    #[test]
    fn a_subscription_of_an_application_that_mixes_texts_and_numbers_is_understood() {
        let body = r#"{"subscribeRequest":{"expires":"3600","service":["call"],"localization":null,
            "useTurn":"true","notificationType":null,"supported":null,"forceLogOut":true,
            "clientCorrelator":7}}"#;
        let body: Subscription = serde_json::from_str(body).unwrap();
        let request = body.subscribe_request;
        assert_eq!(request.expires, 3600);
        assert!(request.use_turn);
        assert_eq!(request.force_log_out.as_deref(), Some("true"));
        assert_eq!(request.client_correlator.as_deref(), Some("7"));
        let nonsense = r#"{"subscribeRequest":{"expires":"soon","service":["call"]}}"#;
        assert!(serde_json::from_str::<Subscription>(nonsense).is_err());
    }

    #[test]
    fn custom_parameters_may_be_null_and_their_values_numbers() {
        let start = |custom: &str| {
            let body = format!(
                r#"{{"callControlRequest":{{"type":"callStart","from":"a","to":"b","supported":null,
                "customParameters":{custom}}}}}"#
            );
            let body: CallControl = serde_json::from_str(&body).unwrap();
            let CallControlRequest::CallStart {
                custom_parameters, ..
            } = body.call_control_request
            else {
                panic!("not a callStart");
            };
            custom_parameters
        };
        assert!(start("null").is_empty());
        let one = start(r#"[{"name":"X-Floor","value":3}]"#);
        assert_eq!(
            (one[0].name.as_str(), one[0].value.as_str()),
            ("X-Floor", "3")
        );

        let frame = r#"{"notificationMessage":{"eventType":"call","customParameters":null,
            "sessionParams":{"sessionData":"L","actions":null},
            "callDispositionParams":{"sessionData":"L","actions":null}}}"#;
        assert!(serde_json::from_str::<Envelope>(frame).is_ok());
    }

    #[test]
    fn numbers_and_nulls_are_taken_where_texts_are_due() {
        let frame = r#"{"notificationMessage":{"eventType":"callEnd","eventId":7,"time":1795334189000,
            "callNotificationParams":{"callerName":null,"callerDisplayNumber":"a@d"},
            "sessionParams":{"sessionData":"L","statusCode":200,"reasonText":null,"retryAfter":"5"}}}"#;
        let envelope: Envelope = serde_json::from_str(frame).unwrap();
        let notification = envelope.notification_message;
        assert_eq!(notification.event_id, "7");
        assert_eq!(notification.time, "1795334189000");
        assert_eq!(
            notification.call_notification_params.unwrap().caller_name,
            ""
        );
        let session = notification.session_params.unwrap();
        assert_eq!(session.status_code.as_deref(), Some("200"));
        assert_eq!(session.reason_text, None);
        assert_eq!(session.retry_after, Some(5));
    }

    #[test]
    fn an_object_is_no_text() {
        let frame =
            r#"{"notificationMessage":{"eventType":"call","sessionParams":{"sessionData":{}}}}"#;
        assert!(serde_json::from_str::<Envelope>(frame).is_err());
    }

    #[test]
    fn nonsense_for_seconds_says_nothing() {
        let reply = r#"{"subscribeResponse":{"statusCode":503,"retryAfter":"soon"}}"#;
        let reply: SubscribeResponse = serde_json::from_str(reply).unwrap();
        assert_eq!(reply.subscribe_response.retry_after, None);
    }
}
