//! What people do in a call beside holding it: mute, dial.

use super::active::{Call, Cx, Stage};
use super::{Digits, MediaOrder, State};

impl Call {
    /// Silences our microphone towards the other end, or lets it speak again. It may
    /// come before the answer.
    pub(super) fn mute(&mut self, on: bool, cx: &mut Cx<'_>) {
        self.record.muted = on;
        if self.record.started.is_some() {
            self.settle(cx);
        }
    }

    /// Sends digits; a call that is held takes none.
    pub(super) fn send_digits(&mut self, digits: Digits, cx: &mut Cx<'_>) {
        match &self.stage {
            Stage::Talking(talking) if self.record.state == State::InCall => {
                cx.media(&talking.leg, MediaOrder::SendDigits(digits));
            }
            Stage::Calling(_) | Stage::Alerting { .. } | Stage::Talking(_) | Stage::Over { .. } => {
                let message = "digits can be sent in an answered call that nobody holds";
                self.error("call:6", message, cx);
            }
        }
    }
}
