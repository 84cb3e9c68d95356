//! The door's news as JSON lines.

use serde::Serialize;

use crate::call::{Alarm, Attempt, DoorNews};

/// One line, tagged like all others.
#[derive(Serialize)]
#[serde(tag = "event")]
pub(super) enum Line<'a> {
    #[serde(rename = "door:attempt")]
    Attempt {
        #[serde(flatten)]
        attempt: By<'a>,
    },
    #[serde(rename = "door:opened")]
    Opened {
        #[serde(flatten)]
        attempt: By<'a>,
    },
    #[serde(rename = "door:refused")]
    Refused {
        #[serde(flatten)]
        attempt: By<'a>,
        code: &'static str,
        message: &'static str,
    },
    #[serde(rename = "door:closed")]
    Closed,
    #[serde(rename = "door:contact")]
    Contact { open: bool },
    #[serde(rename = "door:alarm")]
    Alarm {
        alarm: &'static str,
        active: bool,
        message: &'static str,
    },
}

/// Who wants the door open, and how.
#[derive(Serialize)]
pub(super) struct By<'a> {
    how: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
}

/// The line of a piece of news.
pub(super) fn line(news: &DoorNews) -> Line<'_> {
    match news {
        DoorNews::Attempt(attempt) => Line::Attempt {
            attempt: by(attempt),
        },
        DoorNews::Opened(attempt) => Line::Opened {
            attempt: by(attempt),
        },
        DoorNews::Refused(attempt, refused) => Line::Refused {
            attempt: by(attempt),
            code: refused.word(),
            message: refused.sentence(),
        },
        DoorNews::Closed => Line::Closed,
        DoorNews::Contact { open } => Line::Contact { open: *open },
        DoorNews::Alarm(alarm) => of_alarm(*alarm, true),
        DoorNews::AlarmOver(alarm) => of_alarm(*alarm, false),
    }
}

fn of_alarm(alarm: Alarm, active: bool) -> Line<'static> {
    Line::Alarm {
        alarm: alarm.name(),
        active,
        message: alarm.sentence(),
    }
}

fn by(attempt: &Attempt) -> By<'_> {
    By {
        how: attempt.way.name(),
        who: attempt.who.as_ref().map(|who| who.as_str()),
        account: attempt.account.as_ref().map(|account| account.as_str()),
        call_id: attempt.call.as_ref().map(|call| call.as_str()),
    }
}
