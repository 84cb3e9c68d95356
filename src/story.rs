//! The story of each call in the log: one line for each thing that a
//! householder would notice, with the call's id as a field.
//!
//! Each line is a sentence of its own, for `journalctl` shows nothing else; the fields
//! are there to be searched by.
//!
//! Fields become the journal's in capitals: `call_id`, `account`, `peer`, `call_state`,
//! `button`, `door`, and `message_id`, which names the kind of the message.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::call::{Attempt, Button, CallId, Connection, DoorNews, Event, Summary};
use crate::telemetry::kind;

/// Writes to the log that a visitor pressed `button`, in `call` or to begin it.
pub fn pressed(button: Button, call: Option<&CallId>) {
    info!(
        message_id = kind::PRESSED,
        call_id = call.map(CallId::as_str),
        ?button,
        "a button was pressed: {button:?}"
    );
}

/// Writes `event` to the log.
pub fn tell(event: &Event) {
    match event {
        Event::Start(call) => debug!(call_id = %call, "the server took the call"),
        Event::Receive { call, from, .. } => {
            info!(message_id = kind::CALL_INCOMING, call_id = %call, "somebody calls the door");
            debug!(call_id = %call, peer = %from, "the caller");
        }
        Event::StateChange {
            call,
            previous,
            state,
            code,
            reason,
        } => info!(
            message_id = kind::CALL_CHANGED,
            call_id = %call,
            %previous,
            call_state = %state,
            code = code.as_deref(),
            reason = reason.as_deref(),
            "the call goes from {previous} to {state}{}",
            because(reason.as_deref(), code.as_deref())
        ),
        Event::CallError { call, failure } => {
            warn!(message_id = kind::CALL_FAULT, call_id = %call, code = failure.code, reason = failure.message, "the call has a fault: {}", failure.message);
        }
        Event::Digit { call, .. } => debug!(call_id = %call, "the far end pressed a key"),
        Event::MediaError { device, message } => {
            warn!(message_id = kind::DEVICE_FAILED, device = ?device, reason = message, "a device does not work: {message}");
        }
        Event::MediaRestored(device) => {
            info!(message_id = kind::DEVICE_RESTORED, device = ?device, "a device works again: {device:?}");
        }
        Event::Connection(account, connection) => match connection {
            Connection::Connecting => debug!(%account, "connecting"),
            Connection::Connected => {
                info!(message_id = kind::CONNECTED, %account, "account {account} is connected and can ring");
            }
            Connection::Lost(failure) => {
                warn!(message_id = kind::CONNECTION_LOST, %account, code = failure.code, reason = failure.message, "account {account} is not connected, trying again: {}", failure.message);
            }
            Connection::Refused(failure) => {
                warn!(message_id = kind::LOGIN_REFUSED, %account, code = failure.code, reason = failure.message, "account {account}: the login was refused: {}", failure.message);
            }
        },
        Event::Door(news) => audit(news),
        Event::Denied(why) => info!(
            message_id = kind::DENIED,
            reason = why,
            "not possible now: {why}"
        ),
        Event::Moment { call, name, took } => {
            debug!(call_id = %call, name, ms = took.as_secs_f64() * 1e3, "measured");
        }
        Event::Figures { call, figures } => debug!(call_id = %call, ?figures, "media figures"),
        Event::Over {
            call,
            direction,
            peer,
            talked,
            code,
            reason,
        } => {
            debug!(call_id = %call, %peer, "the other end");
            info!(
                message_id = kind::CALL_OVER,
                call_id = %call,
                direction = direction.name(),
                talked_s = talked.map(|talked| talked.as_secs()),
                code,
                reason,
                "the call is over{}{}",
                after(*talked),
                because(Some(reason), Some(code))
            );
        }
        Event::Summary { call, summary } => tell_summary(call, summary),
    }
}

/// The door's lines, for whoever asks later who opened it: target `audit`. A code never
/// comes this far.
fn audit(news: &DoorNews) {
    match news {
        DoorNews::Attempt(attempt) => debug!(
            target: "audit",
            who = who(attempt),
            how = attempt.way.name(),
            "somebody wants the door open"
        ),
        DoorNews::Opened(attempt) => info!(
            target: "audit",
            message_id = kind::DOOR_OPENED,
            who = who(attempt),
            account = attempt.account.as_ref().map(|account| account.as_str()),
            how = attempt.way.name(),
            call_id = attempt.call.as_ref().map(|call| call.as_str()),
            door = "opened",
            "the door was opened{}",
            by(attempt)
        ),
        DoorNews::Refused(attempt, refused) => warn!(
            target: "audit",
            message_id = kind::DOOR_REFUSED,
            who = who(attempt),
            account = attempt.account.as_ref().map(|account| account.as_str()),
            how = attempt.way.name(),
            call_id = attempt.call.as_ref().map(|call| call.as_str()),
            door = "refused",
            why = refused.word(),
            reason = refused.sentence(),
            "the door stays shut{}: {}",
            by(attempt),
            refused.sentence()
        ),
        DoorNews::Closed => info!(
            target: "audit",
            message_id = kind::DOOR_CLOSED,
            door = "released no more",
            "the door is not released any more"
        ),
        DoorNews::Contact { open } => {
            let door = if *open { "stands open" } else { "is shut" };
            info!(target: "audit", message_id = kind::DOOR_CONTACT, door, "the door {door}");
        }
        DoorNews::Alarm(alarm) => {
            warn!(target: "audit", message_id = kind::DOOR_ALARM, alarm = alarm.name(), reason = alarm.sentence(), "an alarm of the door: {}", alarm.sentence());
        }
        DoorNews::AlarmOver(alarm) => {
            info!(target: "audit", message_id = kind::DOOR_ALARM_OVER, alarm = alarm.name(), "an alarm of the door is over: {}", alarm.name());
        }
    }
}

/// `: alice@home.local, by the page`.
fn by(attempt: &Attempt) -> String {
    let way = attempt.way.name();
    match who(attempt) {
        Some(who) => format!(": {who}, {way}"),
        None => format!(": {way}"),
    }
}

/// ` after 12 s`, or nothing if nobody talked.
fn after(talked: Option<Duration>) -> String {
    talked.map_or_else(String::new, |talked| {
        format!(" after {} s", talked.as_secs())
    })
}

/// `: Temporarily Unavailable (480)`, as much of it as is known.
fn because(reason: Option<&str>, code: Option<&str>) -> String {
    match (reason, code) {
        (Some(reason), Some(code)) => format!(": {reason} ({code})"),
        (Some(reason), None) => format!(": {reason}"),
        (None, Some(code)) => format!(": {code}"),
        (None, None) => String::new(),
    }
}

fn who(attempt: &Attempt) -> Option<&str> {
    attempt.who.as_ref().map(|who| who.as_str())
}

/// One line, whatever the call was like.
fn tell_summary(call: &CallId, summary: &Summary) {
    let figure = |name| summary.figure(name).map(tenths);
    let moment = |name| summary.moment_ms(name).map(tenths);
    info!(
        message_id = kind::CALL_FIGURES,
        call_id = %call,
        direction = summary.direction.name(),
        talked_s = summary.talked.map(|talked| talked.as_secs()),
        code = summary.code,
        press_to_ring_ms = moment("press_to_ringing"),
        answer_to_first_picture_ms = moment("answer_to_first_picture_sent"),
        answer_to_first_sound_ms = moment("answer_to_first_sound"),
        frames_per_s_p50 = figure("frames_per_s_p50"),
        frames_per_s_p05 = figure("frames_per_s_p05"),
        freezes = figure("freezes"),
        round_trip_ms_p50 = figure("round_trip_ms_p50"),
        round_trip_ms_p95 = figure("round_trip_ms_p95"),
        loss_percent_p50 = figure("loss_percent_p50"),
        loss_percent_p95 = figure("loss_percent_p95"),
        jitter_buffer_ms_p50 = figure("jitter_buffer_ms_p50"),
        jitter_buffer_ms_p95 = figure("jitter_buffer_ms_p95"),
        echo_loss_db_p50 = figure("echo_loss_db_p50"),
        echo_loss_db_p05 = figure("echo_loss_db_p05"),
        encode_ms_p50 = figure("encode_ms_p50"),
        encode_ms_p95 = figure("encode_ms_p95"),
        cpu_percent_p50 = figure("cpu_percent_p50"),
        cpu_percent_p95 = figure("cpu_percent_p95"),
        "the call in figures: {}",
        sentence(summary)
    );
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The figures that people ask for first, those that there are.
fn sentence(summary: &Summary) -> String {
    const MOMENTS: [(&str, &str); 3] = [
        ("press_to_ringing", "rang after"),
        ("answer_to_first_picture_sent", "picture after"),
        ("answer_to_first_sound", "sound after"),
    ];
    const FIGURES: [(&str, &str, &str); 5] = [
        ("frames_per_s_p50", "pictures a second", ""),
        ("round_trip_ms_p50", "round trip", " ms"),
        ("loss_percent_p50", "loss", " %"),
        ("jitter_buffer_ms_p50", "jitter buffer", " ms"),
        ("echo_loss_db_p50", "echo less by", " dB"),
    ];
    let moments = MOMENTS.iter().filter_map(|(name, words)| {
        let ms = summary.moment_ms(name)?;
        Some(format!("{words} {ms:.0} ms"))
    });
    let figures = FIGURES.iter().filter_map(|(name, words, unit)| {
        let value = tenths(summary.figure(name)?);
        Some(format!("{words} {value}{unit}"))
    });
    let all: Vec<_> = moments.chain(figures).collect();
    match all.is_empty() {
        true => "none, nobody talked".to_owned(),
        false => all.join(", "),
    }
}

#[cfg(test)]
mod tests;
