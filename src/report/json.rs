//! News as JSON, one object a line, flushed line by line.
//!
//! `docs/json-events.md` describes each line; names under `event` are those of
//! Kandy.js where it has one. Fields that do not apply are left out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Format, Light, News, Ready, Told, device_name, tone_name};
use crate::call::{CallId, Connection, Event, Summary};

mod door;

/// Writes JSON lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Format for Json {
    fn write(&mut self, told: &Told, out: &mut dyn Write) -> io::Result<()> {
        let Some(body) = body(&told.news) else {
            return Ok(());
        };
        let line = Line {
            body,
            t_ms: round_ms(told.after),
            time: OffsetDateTime::from(told.wall).format(&Rfc3339).ok(),
        };
        // One write: a line is never torn by another writer of the same pipe.
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        out.write_all(&bytes)?;
        out.flush()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    body: Body<'a>,
    /// Milliseconds since the start of the program, monotonic.
    t_ms: f64,
    /// The time of day, RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "event")]
enum Body<'a> {
    #[serde(rename = "ready")]
    Ready {
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        door: &'a str,
        users: Vec<User<'a>>,
    },
    #[serde(rename = "call:start")]
    Start { call_id: &'a str },
    #[serde(rename = "call:receive")]
    Receive {
        call_id: &'a str,
        from: &'a str,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<&'a str, &'a str>,
    },
    #[serde(rename = "call:stateChange")]
    StateChange {
        call_id: &'a str,
        previous: &'static str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    #[serde(rename = "call:error")]
    CallError {
        call_id: &'a str,
        code: &'a str,
        message: &'a str,
    },
    #[serde(rename = "call:dtmf")]
    Dtmf { call_id: &'a str, digit: char },
    #[serde(rename = "media:error")]
    MediaError {
        device: &'static str,
        message: &'a str,
    },
    #[serde(rename = "media:restored")]
    MediaRestored { device: &'static str },
    #[serde(rename = "auth:change")]
    AuthChange {
        account: &'a str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    #[serde(rename = "auth:error")]
    AuthError {
        account: &'a str,
        code: &'a str,
        message: &'a str,
    },
    #[serde(rename = "denied")]
    Denied { message: &'a str },
    #[serde(rename = "moment")]
    Moment {
        call_id: &'a str,
        name: &'static str,
        ms: f64,
    },
    #[serde(rename = "media")]
    Media {
        call_id: &'a str,
        figures: &'a BTreeMap<&'static str, f64>,
    },
    #[serde(rename = "call:over")]
    Over {
        call_id: &'a str,
        direction: &'static str,
        peer: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        talked_ms: Option<f64>,
        code: &'a str,
        reason: &'a str,
    },
    #[serde(rename = "call:summary")]
    Summary {
        call_id: &'a str,
        direction: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        talked_ms: Option<f64>,
        code: &'a str,
        moments: BTreeMap<&'static str, f64>,
        figures: BTreeMap<&'static str, f64>,
    },
    #[serde(rename = "led")]
    Led {
        sign: &'static str,
        colour: &'static str,
        pattern: &'a str,
    },
    #[serde(rename = "tone")]
    Tone { tone: Option<&'static str> },
    /// With tags of its own.
    #[serde(untagged)]
    Door(door::Line<'a>),
}

#[derive(Serialize)]
struct User<'a> {
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

/// The line's own part; `None` for what only a terminal wants.
fn body(news: &News) -> Option<Body<'_>> {
    Some(match news {
        News::Ready(ready) => of_ready(ready),
        News::Event(event) => of_event(event),
        News::Light(Light {
            sign,
            colour,
            pattern,
        }) => Body::Led {
            sign,
            colour,
            pattern,
        },
        News::Tone(tone) => Body::Tone {
            tone: tone.map(tone_name),
        },
        News::Redraw | News::Close => return None,
    })
}

fn of_ready(ready: &Ready) -> Body<'_> {
    Body::Ready {
        url: ready.url.as_deref(),
        door: &ready.door,
        users: ready
            .users
            .iter()
            .map(|user| User {
                address: &user.address,
                password: user.made_password.as_ref().map(|secret| secret.expose()),
            })
            .collect(),
    }
}

fn of_event(event: &Event) -> Body<'_> {
    match event {
        Event::Start(call) => Body::Start {
            call_id: call.as_str(),
        },
        Event::Receive {
            call,
            from,
            parameters,
        } => Body::Receive {
            call_id: call.as_str(),
            from: from.as_str(),
            parameters: parameters
                .iter()
                .map(|p| (p.name.as_str(), p.value.as_str()))
                .collect(),
        },
        Event::StateChange {
            call,
            previous,
            state,
            code,
            reason,
        } => Body::StateChange {
            call_id: call.as_str(),
            previous: previous.name(),
            state: state.name(),
            code: code.as_deref(),
            reason: reason.as_deref(),
        },
        Event::CallError { call, failure } => Body::CallError {
            call_id: call.as_str(),
            code: &failure.code,
            message: &failure.message,
        },
        Event::Digit { call, digit } => Body::Dtmf {
            call_id: call.as_str(),
            digit: digit.as_char(),
        },
        Event::MediaError { device, message } => Body::MediaError {
            device: device_name(*device),
            message,
        },
        Event::MediaRestored(device) => Body::MediaRestored {
            device: device_name(*device),
        },
        Event::Connection(account, connection) => of_connection(account.as_str(), connection),
        Event::Door(news) => Body::Door(door::line(news)),
        Event::Denied(message) => Body::Denied { message },
        Event::Moment { call, name, took } => Body::Moment {
            call_id: call.as_str(),
            name,
            ms: round_ms(*took),
        },
        Event::Figures { call, figures } => Body::Media {
            call_id: call.as_str(),
            figures: &figures.0,
        },
        Event::Over {
            call,
            direction,
            peer,
            talked,
            code,
            reason,
        } => Body::Over {
            call_id: call.as_str(),
            direction: direction.name(),
            peer: peer.as_str(),
            talked_ms: talked.map(round_ms),
            code,
            reason,
        },
        Event::Summary { call, summary } => of_summary(call, summary),
    }
}

fn of_summary<'a>(call: &'a CallId, summary: &'a Summary) -> Body<'a> {
    let moments = summary.moments.iter();
    Body::Summary {
        call_id: call.as_str(),
        direction: summary.direction.name(),
        talked_ms: summary.talked.map(round_ms),
        code: &summary.code,
        moments: moments
            .map(|(name, took)| (*name, round_ms(*took)))
            .collect(),
        figures: summary.essence().collect(),
    }
}

fn of_connection<'a>(account: &'a str, connection: &'a Connection) -> Body<'a> {
    let (state, failure) = match connection {
        Connection::Connecting => ("connecting", None),
        Connection::Connected => ("connected", None),
        Connection::Lost(failure) => ("lost", Some(failure)),
        Connection::Refused(failure) => {
            return Body::AuthError {
                account,
                code: &failure.code,
                message: &failure.message,
            };
        }
    };
    Body::AuthChange {
        account,
        state,
        code: failure.map(|f| f.code.as_str()),
        message: failure.map(|f| f.message.as_str()),
    }
}

/// Milliseconds with three decimals.
fn round_ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
