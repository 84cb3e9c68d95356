//! What goes to the far end, packed into RTP: sound (see [`sound`]) and pictures.

mod sound;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::rtp;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::packetizer::Payloader;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};

use super::Context;
use super::codecs::{self, Medium, VIDEO_CLOCK};
use super::dtmf::EventFormat;
use super::figures::Counters;
use super::handler::Transport;
use super::pace::Pace;
use super::path::Path;
use super::sdp::Description;
use super::watcher::Notice;
use crate::call::{Digits, Flow};
use crate::clock;
use crate::media::VideoCodec;
use crate::media::feed::{PictureFeed, Pictures, SoundCodec, VideoFrame};
use crate::tasks::Tasks;

/// Bytes of RTP payload in a packet of a picture. With RTP, SRTP, UDP and IPv6
/// headers it stays below the 1,280 that every IPv6 link carries.
const PAYLOAD: usize = 1_180;

/// The least time between two key frames that the far end asks for: a key frame
/// is twenty times a usual picture, and one on its way answers every request.
const KEY_FRAME_GAP: Duration = Duration::from_millis(300);

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
            let requests =
                count_requests(Arc::clone(&out.track), Arc::clone(&out.counters), asked_tx);
            tasks.spawn("rtc-requests", requests);
            let pictures = Arc::clone(&context.pictures);
            tasks.spawn("rtc-send-picture", send_picture(out, pictures, asked));
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
    fn open(&mut self) -> Option<Negotiated> {
        let negotiated = *self.negotiated.borrow_and_update();
        let connected = {
            let transport = self.transport.borrow_and_update();
            // A transport that is away for a moment comes back: going on means
            // the first packets are there when it does.
            transport.connected() || transport.disconnected()
        };
        let allowed = (self.allows)(*self.flow.borrow_and_update());
        negotiated.filter(|n| n.sending && connected && allowed)
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

async fn send_picture(out: Out, pictures: Arc<dyn Pictures>, asked: watch::Receiver<u64>) {
    let mut stream = PictureStream {
        writer: Writer::new(&out),
        pictures,
        payloader: payloader(VideoCodec::Vp8),
        codec: None,
        offset: rand::random(),
        notices: Some(out.notices.clone()),
        asked,
        path: out.path,
        requested: None,
        pace: Pace::default(),
    };
    let mut gate = Gate {
        negotiated: out.negotiated,
        transport: out.transport,
        flow: out.flow,
        allows: |flow| flow.picture,
    };
    loop {
        let Some(negotiated) = gate.open() else {
            if gate.changed().await {
                continue;
            }
            return;
        };
        let Some(codec) = negotiated.picture else {
            return;
        };
        let feed = stream.begin(codec);
        if !stream.run(feed, negotiated, codec, &mut gate).await {
            return;
        }
    }
}

struct PictureStream {
    writer: Writer,
    pictures: Arc<dyn Pictures>,
    payloader: Box<dyn Payloader>,
    codec: Option<VideoCodec>,
    /// RTP time stamps begin anywhere (RFC 3550, section 5.1).
    offset: u32,
    /// For the first picture; taken when it was told.
    notices: Option<mpsc::Sender<Notice>>,
    /// Requests for a key frame of the far end, counted.
    asked: watch::Receiver<u64>,
    path: watch::Receiver<Path>,
    /// When we last asked the encoder.
    requested: Option<Instant>,
    pace: Pace,
}

impl PictureStream {
    /// Follows the camera from a key frame on.
    fn begin(&mut self, codec: VideoCodec) -> PictureFeed {
        // Kept over a hold, for its picture ids go on.
        if self.codec.replace(codec) != Some(codec) {
            self.payloader = payloader(codec);
        }
        let feed = self.pictures.subscribe(codec);
        self.request(codec);
        feed
    }

    /// Sends until the gate closes (`true`) or the session ends (`false`).
    async fn run(
        &mut self,
        mut feed: PictureFeed,
        negotiated: Negotiated,
        codec: VideoCodec,
        gate: &mut Gate,
    ) -> bool {
        self.writer.playout_delay = negotiated.playout_delay;
        let mut needs_key = true;
        // A request that came too soon after the last one is kept until then.
        let mut owed = false;
        self.asked.mark_unchanged();
        // A pause that was meant, such as a hold, is no freeze.
        self.pace = Pace::default();
        let mut returns = self.afford(&feed);
        loop {
            let due = self
                .requested
                .map_or_else(clock::now, |r| r + KEY_FRAME_GAP);
            tokio::select! {
                frame = feed.next() => match frame {
                    Ok(frame) if needs_key && !frame.key => {}
                    Ok(frame) => {
                        needs_key = false;
                        if !self.send(&frame, negotiated.payload_type).await {
                            return false;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "pictures were missed: a key frame is needed");
                        needs_key = true;
                        owed = true;
                    }
                    Err(RecvError::Closed) => return false,
                },
                changed = self.asked.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    owed = true;
                }
                changed = self.path.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    // What was lost in an outage is not asked for: a new start
                    // saves the far end's round trip.
                    let seen = self.afford(&feed);
                    owed |= std::mem::replace(&mut returns, seen) != seen;
                }
                () = tokio::time::sleep_until(due.into()), if owed => {
                    owed = false;
                    self.request(codec);
                }
                changed = gate.changed() => {
                    if !changed {
                        return false;
                    }
                    if gate.open() != Some(negotiated) {
                        return true;
                    }
                    // A far end that is away does not hold back the others.
                    if gate.transport.borrow().connected() {
                        self.afford(&feed);
                    } else {
                        feed.afford(None);
                    }
                }
            }
        }
    }

    /// Tells the encoder what reaches the far end; gives how often the way has
    /// come back.
    fn afford(&mut self, feed: &PictureFeed) -> u32 {
        let path = *self.path.borrow_and_update();
        let bits = path.for_pictures();
        feed.afford(Some(bits));
        self.writer.counters.target(bits);
        path.returns
    }

    fn request(&mut self, codec: VideoCodec) {
        self.requested = Some(clock::now());
        self.pictures.request_key_frame(codec);
    }

    async fn send(&mut self, frame: &VideoFrame, payload_type: u8) -> bool {
        let Ok(parts) = self.payloader.payload(PAYLOAD, &frame.data) else {
            tracing::debug!("a picture that cannot be packed is left out");
            return true;
        };
        let timestamp = self.offset.wrapping_add(rtp_time(frame.pts));
        let last = parts.len().saturating_sub(1);
        for (index, part) in parts.into_iter().enumerate() {
            if !self
                .writer
                .write(payload_type, timestamp, index == last, part)
                .await
            {
                return false;
            }
            if let Some(notices) = self.notices.take() {
                let _ = notices.send(Notice::FirstPictureSent).await;
            }
        }
        self.writer.counters.picture(frame.key);
        if self.pace.picture(clock::now()) {
            self.writer.counters.froze();
        }
        true
    }
}

fn payloader(codec: VideoCodec) -> Box<dyn Payloader> {
    match codec {
        VideoCodec::Vp8 => {
            let mut payloader = Vp8Payloader::default();
            payloader.enable_picture_id = true;
            Box::new(payloader)
        }
        VideoCodec::H264 => Box::new(H264Payloader::default()),
    }
}

/// Presentation time at 90 kHz, modulo 2^32.
fn rtp_time(pts: Duration) -> u32 {
    (pts.as_nanos() * u128::from(VIDEO_CLOCK) / 1_000_000_000) as u32
}

/// Counts the far end's requests for a key frame.
async fn count_requests(
    track: Arc<TrackLocalStaticRTP>,
    counters: Arc<Counters>,
    asked: watch::Sender<u64>,
) {
    while let Some(event) = track.poll().await {
        // Only such requests come here: see `requests`.
        if let TrackLocalEvent::OnRtcpPacket(packets) = event {
            counters.requested(packets.len());
            asked.send_modify(|n| *n += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_time_runs_at_90_khz_and_wraps() {
        assert_eq!(rtp_time(Duration::from_secs(1)), 90_000);
        assert_eq!(rtp_time(Duration::from_millis(33)), 2_970);
        // 2^32 / 90,000 Hz = 47,721.858 s.
        assert_eq!(rtp_time(Duration::from_nanos(47_721_858_844_445)), 0);
    }
}
