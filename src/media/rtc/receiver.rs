//! What comes from the far end: its voice to the speaker, its picture nowhere.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::Context;
use super::codecs::Medium;
use super::dtmf::{Decoder, Heard};
use super::figures::Counters;
use super::sender::Negotiated;
use super::watcher::Notice;
use crate::call::Flow;
use crate::media::feed::Voice;
use crate::tasks::Tasks;

/// How many digits of a track are told: nobody dials more in a call, and whoever
/// sends more wants to fill our queues.
const MOST_DIGITS: u32 = 1000;

/// What a receiver works with.
pub(crate) struct Incoming {
    pub(crate) tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
    pub(crate) negotiated: watch::Receiver<Option<Negotiated>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) flow: watch::Receiver<Flow>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// Starts reading the session's tracks, each in a task of its own.
pub(crate) fn spawn(tasks: &Tasks, context: &Context, medium: Medium, incoming: Incoming) {
    let voice = match medium {
        Medium::Audio => {
            let voice = context.voices.speaker();
            let heard = voice.heard();
            tasks.spawn(
                "rtc-heard",
                tell_first_sound(heard, incoming.notices.clone()),
            );
            let voice = Arc::new(Mutex::new(voice));
            let follow = follow_flow(incoming.flow, Arc::clone(&voice));
            tasks.spawn("rtc-audible", follow);
            Some(voice)
        }
        Medium::Video => None,
    };
    let spawner = tasks.clone();
    let mut tracks = incoming.tracks;
    let counters = incoming.counters;
    tasks.spawn("rtc-tracks", async move {
        while let Some(track) = tracks.recv().await {
            let sink = Sink {
                voice: voice.clone(),
                digits: Decoder::default(),
                room: MOST_DIGITS,
                notices: incoming.notices.clone(),
                negotiated: incoming.negotiated.clone(),
                counters: Arc::clone(&counters),
            };
            spawner.spawn("rtc-receive", sink.read(track));
        }
    });
}

async fn tell_first_sound(mut heard: watch::Receiver<bool>, notices: mpsc::Sender<Notice>) {
    if heard.wait_for(|heard| *heard).await.is_ok() {
        let _ = notices.send(Notice::FirstSound).await;
    }
}

type SharedVoice = Arc<Mutex<Box<dyn Voice>>>;

async fn follow_flow(mut flow: watch::Receiver<Flow>, voice: SharedVoice) {
    loop {
        let audible = flow.borrow_and_update().speaker;
        with(&voice, |voice| voice.set_audible(audible));
        if flow.changed().await.is_err() {
            return;
        }
    }
}

/// The lock is held for one call of the voice, which never blocks.
fn with(voice: &SharedVoice, f: impl FnOnce(&mut dyn Voice)) {
    f(voice
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_mut());
}

struct Sink {
    /// Where sound goes; a picture has nowhere to go.
    voice: Option<SharedVoice>,
    digits: Decoder,
    /// So many digits more are told.
    room: u32,
    notices: mpsc::Sender<Notice>,
    negotiated: watch::Receiver<Option<Negotiated>>,
    counters: Arc<Counters>,
}

impl Sink {
    /// Reads a track to its end. A picture is read too: only then does the
    /// session answer its sender's reports.
    async fn read(mut self, track: Arc<dyn TrackRemote>) {
        while let Some(event) = track.poll().await {
            match event {
                TrackRemoteEvent::OnRtpPacket(packet) => {
                    self.counters.received(packet.payload.len());
                    self.hear(packet);
                }
                TrackRemoteEvent::OnEnded => return,
                _ => {}
            }
        }
    }

    fn hear(&mut self, packet: rtc::rtp::Packet) {
        let (Some(voice), Some(negotiated)) = (&self.voice, *self.negotiated.borrow()) else {
            return;
        };
        let header = packet.header;
        if let Some(codec) = negotiated.sound(header.payload_type) {
            with(voice, |voice| {
                voice.push(
                    codec,
                    header.sequence_number,
                    header.timestamp,
                    packet.payload,
                );
            });
        } else if let Some(format) = negotiated.event(header.payload_type) {
            let heard = self.digits.take(
                format.clock,
                header.timestamp,
                header.marker,
                &packet.payload,
            );
            self.tell(heard);
        } else {
            let payload_type = header.payload_type;
            tracing::debug!(payload_type, "a packet of an unknown kind is ignored");
        }
    }

    fn tell(&mut self, heard: Option<Heard>) {
        match heard {
            Some(Heard::Pressed(digit)) if self.room > 0 => {
                self.room -= 1;
                // Full: nobody presses keys faster than the station reads them.
                if self.notices.try_send(Notice::Digit(digit)).is_err() {
                    tracing::debug!("a digit is dropped: too many at once");
                }
            }
            Some(Heard::Released(after)) => {
                tracing::debug!(ms = after.as_millis(), "the far end let go of a key");
            }
            Some(Heard::Pressed(_)) | None => {}
        }
    }
}
