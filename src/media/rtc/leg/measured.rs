//! What a leg measured: sampled while it lives, told when it ends.

use std::time::Instant;

use super::Leg;
use crate::call::Figures;
use crate::clock;
use crate::media::rtc::figures::Values;
use crate::media::rtc::line::Line;
use crate::media::rtc::reading;
use crate::media::rtc::session::Session;

impl Leg {
    pub(super) fn took(&mut self, name: &'static str, since: Instant) {
        let took = clock::now().saturating_duration_since(since);
        self.values.insert(name, took.as_secs_f64() * 1000.0);
    }

    /// Keeps what a session measured, and closes it.
    pub(super) async fn retire(&mut self, session: Session) {
        session.counters.collect(session.medium, &mut self.values);
        session.close().await;
    }

    /// To be called once a second: samples how things stand, and gives the latest
    /// values; none before the leg is connected.
    pub(crate) fn sample(&mut self) -> Values {
        if !self.told_connected {
            return Values::new();
        }
        let flow = *self.flow.borrow();
        self.sampler
            .take(reading::now(&self.context, &self.lines, flow))
    }

    /// Closes every session and tells what was measured.
    pub(crate) async fn close(mut self) -> Figures {
        let sessions: Vec<Session> = self.lines.iter_mut().filter_map(Line::reject).collect();
        for session in sessions {
            self.retire(session).await;
        }
        self.sampler.collect(&mut self.values);
        Figures(self.values)
    }
}
