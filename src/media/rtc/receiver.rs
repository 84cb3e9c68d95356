//! What comes from the far end: its voice to the speaker, its picture nowhere.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::Context;
use super::codecs::Medium;
use super::figures::Counters;
use super::sender::Negotiated;
use super::watcher::Notice;
use crate::call::Flow;
use crate::media::feed::Voice;
use crate::tasks::Tasks;

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
            tasks.spawn("rtc-heard", tell_first_sound(heard, incoming.notices));
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
    negotiated: watch::Receiver<Option<Negotiated>>,
    counters: Arc<Counters>,
}

impl Sink {
    /// Reads a track to its end. A picture is read too: only then does the
    /// session answer its sender's reports.
    async fn read(self, track: Arc<dyn TrackRemote>) {
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

    fn hear(&self, packet: rtc::rtp::Packet) {
        let Some(voice) = &self.voice else { return };
        let sound = self.negotiated.borrow().map(|n| n.payload_type);
        if sound != Some(packet.header.payload_type) {
            // Telephone events: this door has nothing that they could choose.
            tracing::debug!(
                payload_type = packet.header.payload_type,
                "a packet that is not Opus is ignored"
            );
            return;
        }
        with(voice, |voice| {
            voice.push(
                packet.header.sequence_number,
                packet.header.timestamp,
                packet.payload,
            );
        });
    }
}
