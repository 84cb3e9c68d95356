//! What goes to the far end, packed into RTP: [`sound`] and [`picture`]s.

mod picture;
mod sound;

use std::sync::Arc;

use bytes::Bytes;
use rtc::rtp;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::Context;
use super::codecs::{self, Medium};
use super::dtmf::EventFormat;
use super::figures::Counters;
use super::handler::Transport;
use super::path::Path;
use super::sdp::Description;
use super::watcher::Notice;
use crate::call::{Digits, Flow};
use crate::media::VideoCodec;
use crate::media::feed::SoundCodec;
use crate::tasks::Tasks;

/// How long the far end may keep a picture before it shows it, least and most, in steps of
/// 10 ms, 12 bits each: not at all. A door's picture is wanted now; what a browser keeps
/// to smooth the movement makes it a frame later. And where it cannot show as many as
/// come, this lets it leave some out; any other most would be a queue of pictures.
const PLAYOUT_DELAY: [u8; 3] = [0, 0, 0];

/// What was negotiated for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// RTP payload type of what we send.
    pub(crate) payload_type: u8,
    /// What sound may come as, and under which payload type, best first: the best is
    /// what we send. `None` twice is a picture.
    pub(crate) sounds: [Option<(u8, SoundCodec)>; 2],
    /// The codec of a picture; `None` is sound.
    pub(crate) picture: Option<VideoCodec>,
    /// Telephone events, in either of the clocks that there are (48 and 8 kHz).
    pub(crate) events: [Option<EventFormat>; 2],
    /// The number under which a picture's packets say how long it may wait.
    pub(crate) playout_delay: Option<u8>,
    /// Both sides agreed that we send.
    pub(crate) sending: bool,
}

impl Negotiated {
    /// What `answer`, which settles an exchange, says that both sides take, and under
    /// which numbers; `None` is no codec in common. `pictures` are the camera's codecs,
    /// best first.
    pub(crate) fn of(
        answer: &Description,
        medium: Medium,
        pictures: &[VideoCodec],
        sending: bool,
    ) -> Option<Self> {
        let numbered = |name| answer.sections().iter().find_map(|s| s.payload_type(name));
        let sounds = codecs::sounds(answer);
        let (payload_type, picture) = match medium {
            Medium::Audio => (sounds[0]?.0, None),
            Medium::Video => {
                let mut taken = pictures.iter();
                taken.find_map(|codec| Some((numbered(codecs::name(*codec))?, Some(*codec))))?
            }
        };
        let mut events = answer.sections().iter().flat_map(|section| {
            let formats = section.payload_types("telephone-event");
            formats.map(|(payload_type, clock)| EventFormat {
                payload_type,
                clock,
            })
        });
        Some(Self {
            payload_type,
            sounds,
            picture,
            events: [events.next(), events.next()],
            playout_delay: picture.and_then(|_| {
                let mut sections = answer.sections().iter();
                sections.find_map(|section| section.extension(codecs::PLAYOUT_DELAY))
            }),
            sending,
        })
    }

    /// The codec of sound that comes with this payload type.
    pub(crate) fn sound(&self, payload_type: u8) -> Option<SoundCodec> {
        let mut sounds = self.sounds.into_iter().flatten();
        let (_, codec) = sounds.find(|(number, _)| *number == payload_type)?;
        Some(codec)
    }

    /// The codec of the sound that we send.
    pub(crate) fn sound_to_send(&self) -> SoundCodec {
        self.sound(self.payload_type).unwrap_or(SoundCodec::Opus)
    }

    /// How the far end counts telephone events of this payload type.
    pub(crate) fn event(&self, payload_type: u8) -> Option<EventFormat> {
        let mut events = self.events.into_iter().flatten();
        events.find(|event| event.payload_type == payload_type)
    }

    /// What our own are sent as: they share the stream of the sound, and so its
    /// clock (RFC 4733, section 2.1).
    pub(crate) fn event_to_send(&self) -> Option<EventFormat> {
        let mut events = self.events.into_iter().flatten();
        let clock = self.sound_to_send().clock();
        events.find(|event| event.clock == clock)
    }
}

/// What a sender works with.
pub(crate) struct Out {
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    pub(crate) ssrc: u32,
    pub(crate) negotiated: watch::Receiver<Option<Negotiated>>,
    pub(crate) transport: watch::Receiver<Transport>,
    /// The way to the far end; it tells nothing of sound.
    pub(crate) path: watch::Receiver<Path>,
    pub(crate) flow: watch::Receiver<Flow>,
    /// Digits to send in the sound; not used for a picture.
    pub(crate) digits: mpsc::Receiver<Digits>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// Starts the sender of a session.
pub(crate) fn spawn(tasks: &Tasks, context: &Context, medium: Medium, out: Out) {
    match medium {
        Medium::Audio => {
            let voices = Arc::clone(&context.voices);
            tasks.spawn("rtc-send-sound", sound::send(out, voices));
        }
        Medium::Video => {
            let (asked_tx, asked) = watch::channel(0);
            let (track, counters) = (Arc::clone(&out.track), Arc::clone(&out.counters));
            let requests = picture::count_requests(track, counters, asked_tx);
            tasks.spawn("rtc-requests", requests);
            let pictures = Arc::clone(&context.pictures);
            tasks.spawn("rtc-send-picture", picture::send(out, pictures, asked));
        }
    }
}

/// Whether something may leave now, and how.
struct Gate {
    negotiated: watch::Receiver<Option<Negotiated>>,
    transport: watch::Receiver<Transport>,
    flow: watch::Receiver<Flow>,
    allows: fn(Flow) -> bool,
}

impl Gate {
    /// How it leaves, now.
    fn open(&mut self) -> Option<Negotiated> {
        let agreed = self.agreed();
        agreed.filter(|_| self.passes())
    }

    /// How it leaves as soon as there is a way.
    fn agreed(&mut self) -> Option<Negotiated> {
        let negotiated = *self.negotiated.borrow_and_update();
        let lost = self.transport.borrow_and_update().failed();
        let allowed = (self.allows)(*self.flow.borrow_and_update());
        negotiated.filter(|n| n.sending && allowed && !lost)
    }

    /// There is a way.
    fn passes(&self) -> bool {
        let transport = self.transport.borrow();
        // A transport that is away for a moment comes back: going on means
        // the first packets are there when it does.
        transport.connected() || transport.disconnected()
    }

    /// What may pass.
    fn flow(&self) -> Flow {
        *self.flow.borrow()
    }

    /// Waits for a change of anything; `false` when the session is over.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.negotiated.changed() => changed.is_ok(),
            changed = self.transport.changed() => changed.is_ok(),
            changed = self.flow.changed() => changed.is_ok(),
        }
    }
}

/// Numbers packets and writes them.
struct Writer {
    track: Arc<TrackLocalStaticRTP>,
    counters: Arc<Counters>,
    ssrc: u32,
    sequence: u16,
    /// See [`Negotiated::playout_delay`].
    playout_delay: Option<u8>,
}

impl Writer {
    fn new(out: &Out) -> Self {
        Self {
            track: Arc::clone(&out.track),
            counters: Arc::clone(&out.counters),
            ssrc: out.ssrc,
            sequence: rand::random(),
            playout_delay: None,
        }
    }

    /// Hands one packet to the session; `false` when it is over.
    async fn write(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: Bytes,
    ) -> bool {
        let bytes = payload.len();
        let mut packet = rtp::Packet {
            header: rtp::header::Header {
                version: 2,
                marker,
                payload_type,
                sequence_number: self.sequence,
                timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload,
        };
        if let Some(number) = self.playout_delay {
            let delay = Bytes::from_static(&PLAYOUT_DELAY);
            // It refuses numbers beyond 14 only, and those are not negotiated.
            let _ = packet.header.set_extension(number, delay);
        }
        self.sequence = self.sequence.wrapping_add(1);
        // The error would print the whole packet.
        let written = self.track.write_rtp(packet).await.is_ok();
        if written {
            self.counters.sent(bytes);
        }
        written
    }
}
