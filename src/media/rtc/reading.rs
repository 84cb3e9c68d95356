//! Reads how a leg stands, for its [`Sampler`](super::sampler::Sampler).

use super::Context;
use super::line::Line;
use super::sampler::Reading;
use crate::call::Flow;
use crate::clock;

/// How the leg of these lines stands now.
pub(crate) fn now(context: &Context, lines: &[Line], flow: Flow) -> Reading {
    let sessions = || lines.iter().filter_map(|line| line.session.as_ref());
    let picture = sessions()
        .find_map(|session| Some((session, session.picture()?)))
        .filter(|_| flow.picture);
    let sound = context.voices.gauge();
    Reading {
        at: clock::now(),
        cpu: clock::cpu(),
        pictures: picture.map(|(session, _)| session.counters.pictures()),
        encoded: picture.and_then(|(_, codec)| context.pictures.encoded(codec)),
        round_trip_ms: sessions()
            .filter_map(|session| session.counters.round_trip_ms())
            .reduce(f64::max),
        loss_percent: sessions()
            .map(|session| 100.0 * f64::from(session.counters.peer_loss()))
            .reduce(f64::max),
        jitter_buffer_ms: sound.depth_ms,
        echo_loss_db: sound.echo_loss_db,
    }
}
