//! What is said over the control socket: a JSON object a line, UTF-8.
//!
//! A client writes a [`Request`] and reads a [`Reply`]; after `watch` it reads the
//! lines of `docs/json-events.md` until either side hangs up. `docs/cli.md` describes
//! the fields for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The longest line that is read, bytes; the longest sensible one has a hundred.
pub const LONGEST: usize = 4096;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Where the station stands.
    Status {},
    /// Events as they come.
    Watch {
        /// As sentences ([`Told`]) in place of the lines for programs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        words: bool,
    },
    /// To call.
    Call {
        /// A ring plan or a person; without it whom the bell rings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// To answer who calls.
    Answer {},
    /// To refuse who calls.
    Reject {},
    /// To end or cancel the call.
    End {},
    /// What a press of this button of the panel does.
    Press {
        /// Its name in the configuration.
        button: String,
    },
    /// A picture of who stands at the door now.
    Snapshot {},
    /// To say more or less in the log, for a while.
    LogLevel {
        /// A level, or targets with theirs: `debug`, `call=debug`.
        filter: String,
        /// For how long; then the log is as it was at the start.
        seconds: u64,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// It was done, or there was nothing to do.
    pub ok: bool,
    /// Why not, in a word: `not_understood`, `too_long`, `too_slow`, `busy`,
    /// `not_allowed`, `unknown`, `denied`, `failed` or `stopping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, or why not: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `false` if it was under way already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted: Option<bool>,
    /// The call that is up now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The answer to `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
    /// The answer to `snapshot`: a JPEG file in base64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jpeg: Option<String>,
}

impl Reply {
    /// Yes, and nothing more to say.
    pub(super) fn yes() -> Self {
        Self {
            ok: true,
            code: None,
            message: None,
            acted: None,
            call_id: None,
            status: None,
            jpeg: None,
        }
    }

    /// No, and why.
    pub(super) fn no(code: &str, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            code: Some(code.to_owned()),
            message: Some(message.into()),
            ..Self::yes()
        }
    }
}

/// News as sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The time of day, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// At least one.
    pub words: Vec<String>,
}

/// Where the station stands. Times are RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What people call the door.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Since its start.
    pub uptime_s: u64,
    /// In words: `ready`, `ringing alice`, `no connection, trying again`.
    pub standing: String,
    /// At least one account is connected.
    pub can_ring: bool,
    /// Where browsers find the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// The door; left out where the station has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
    /// Camera, microphone, speaker, panel.
    pub devices: Vec<Device>,
    /// The call that is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// The latest calls that are over, the newest first, at most ten.
    pub calls: Vec<PastCall>,
    /// What the process takes, and what is left of the machine.
    pub machine: Machine,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its name in the configuration; `home` is the station's own gateway.
    pub account: String,
    /// Our address there.
    pub user: String,
    /// `connecting`, `connected`, `lost` or `refused`.
    pub state: String,
    /// Why it is lost or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Door {
    /// It is released now.
    pub open: bool,
    /// What is wrong with the relay or its guardian; left out if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_fault: Option<String>,
    /// An alarm of the door itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// `camera`, `microphone`, `speaker` or `panel`.
    pub device: String,
    /// Which one; left out where the station has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is wrong with it; left out if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The call that is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub call_id: String,
    /// `incoming` or `outgoing`.
    pub direction: String,
    /// `RINGING`, `IN_CALL`, ...
    pub state: String,
    /// The other end; several until one of them answers.
    pub peers: Vec<String>,
    /// Since it was made or came in.
    pub since_s: u64,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastCall {
    /// Its id.
    pub call_id: String,
    /// When it began.
    pub began: String,
    /// `incoming` or `outgoing`.
    pub direction: String,
    /// The other end.
    pub peer: String,
    /// `answered`, `missed`, `rejected`, `busy`, `cancelled` or `failed`.
    pub result: String,
    /// How long people could talk; left out if they never could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talked_s: Option<f64>,
    /// SIP or 99xx code of its end.
    pub code: String,
    /// A sentence.
    pub reason: String,
    /// How long its steps took: the `moment` lines of `docs/json-events.md`.
    pub moments_ms: BTreeMap<String, f64>,
}

/// What the process takes, and what is left of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// In RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processor time since the start.
    pub cpu_s: f64,
    /// Where the station keeps its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<String>,
    /// What is free there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// When the page's certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, serde_json::Error> {
        serde_json::from_str(line)
    }

    #[test]
    fn requests_are_read_as_the_document_shows_them() {
        for (line, want) in [
            (r#"{"do":"status"}"#, Request::Status {}),
            (r#"{"do":"watch"}"#, Request::Watch { words: false }),
            (r#"{"do":"call"}"#, Request::Call { to: None }),
            (
                r#"{"do":"press","button":"bell"}"#,
                Request::Press {
                    button: "bell".into(),
                },
            ),
            (r#"{"do":"snapshot"}"#, Request::Snapshot {}),
            (
                r#"{"do":"log_level","filter":"call=debug","seconds":600}"#,
                Request::LogLevel {
                    filter: "call=debug".into(),
                    seconds: 600,
                },
            ),
        ] {
            assert_eq!(read(line).unwrap(), want);
            assert_eq!(serde_json::to_string(&want).unwrap(), line);
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            r#"{"do":"open"}"#,
            r#"{"do":"status","also":1}"#,
            r#"{"do":"call","too":"alice"}"#,
            r#"{"do":"press"}"#,
            "status",
            "",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
