//! The story of each call in the log: one line for each thing that a
//! householder would notice, with the call's id as a field.

use tracing::{debug, info, warn};

use crate::call::{Connection, Event};

/// Writes `event` to the log.
pub fn tell(event: &Event) {
    match event {
        Event::Start(call) => debug!(call_id = %call, "the server took the call"),
        Event::Receive { call, from, .. } => {
            info!(call_id = %call, "somebody calls the door");
            debug!(call_id = %call, %from, "the caller");
        }
        Event::StateChange {
            call,
            previous,
            state,
            code,
            reason,
        } => info!(
            call_id = %call,
            %previous,
            %state,
            code = code.as_deref(),
            reason = reason.as_deref(),
            "the call changed"
        ),
        Event::CallError { call, failure } => {
            warn!(call_id = %call, code = failure.code, reason = failure.message, "the call has a fault");
        }
        Event::Digit { call, .. } => debug!(call_id = %call, "the far end pressed a key"),
        Event::MediaError { device, message } => {
            warn!(device = ?device, reason = message, "a device does not work");
        }
        Event::MediaRestored(device) => info!(device = ?device, "a device works again"),
        Event::Connection(account, connection) => match connection {
            Connection::Connecting => debug!(%account, "connecting"),
            Connection::Connected => info!(%account, "connected; can ring"),
            Connection::Lost(failure) => {
                warn!(%account, code = failure.code, reason = failure.message, "not connected; trying again");
            }
            Connection::Refused(failure) => {
                warn!(%account, code = failure.code, reason = failure.message, "the login was refused");
            }
        },
        Event::Denied(why) => info!(reason = why, "not possible now"),
        Event::Moment { call, name, took } => {
            debug!(call_id = %call, name, ms = took.as_secs_f64() * 1e3, "measured");
        }
        Event::Figures { call, figures } => debug!(call_id = %call, ?figures, "media figures"),
        Event::Over {
            call,
            direction,
            talked,
            code,
            reason,
            ..
        } => info!(
            call_id = %call,
            direction = direction.name(),
            talked_s = talked.map(|talked| talked.as_secs()),
            code,
            reason,
            "the call is over"
        ),
    }
}
