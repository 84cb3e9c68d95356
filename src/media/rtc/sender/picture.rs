//! What the far end sees: the camera's pictures, from a key frame on.
//!
//! The first of them wait for the connection, and not the other way round: see
//! [`Opening`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::packetizer::Payloader;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal as _, TrackLocalEvent};

use super::{Gate, Negotiated, Out, Writer};
use crate::clock;
use crate::media::VideoCodec;
use crate::media::feed::{PictureFeed, Pictures, VideoFrame};
use crate::media::rtc::codecs::VIDEO_CLOCK;
use crate::media::rtc::figures::Counters;
use crate::media::rtc::pace::Pace;
use crate::media::rtc::path::Path;
use crate::media::rtc::watcher::Notice;

/// Bytes of RTP payload in a packet of a picture. With RTP, SRTP, UDP and IPv6
/// headers it stays below the 1,280 that every IPv6 link carries.
const PAYLOAD: usize = 1_180;

/// The least time between two key frames that the far end asks for: a key frame
/// is twenty times a usual picture, and one on its way answers every request.
const KEY_FRAME_GAP: Duration = Duration::from_millis(300);

/// Sends until the session is over.
pub(super) async fn send(out: Out, pictures: Arc<dyn Pictures>, asked: watch::Receiver<u64>) {
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
        let Some(negotiated) = gate.agreed() else {
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

/// Pictures that an [`Opening`] holds: a key frame and what follows it in 100 ms, in
/// which most calls on a home's network are connected. More would come late on a narrow
/// line, where a new key frame is quicker.
const OPENING: usize = 4;

/// The pictures that were made while the call was being connected: a key frame and what
/// follows it. With them the first picture leaves at once, and need not be waited for
/// (17 ms in the mean at 30 a second, and what encoding takes).
#[derive(Debug, Default)]
struct Opening(Vec<Arc<VideoFrame>>);

impl Opening {
    /// Adds a picture; `false` drops all: they are too old, and a key frame must be next.
    fn take(&mut self, frame: Arc<VideoFrame>) -> bool {
        if frame.key {
            self.0.clear();
        }
        let fits = self.0.len() < OPENING;
        if fits {
            self.0.push(frame);
        } else {
            self.0.clear();
        }
        fits
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

    /// Sends as soon as there is a way, until the gate closes (`true`) or the session
    /// ends (`false`).
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
        let mut opening = (!gate.passes()).then(Opening::default);
        loop {
            let due = self
                .requested
                .map_or_else(clock::now, |r| r + KEY_FRAME_GAP);
            tokio::select! {
                frame = feed.next() => match frame {
                    Ok(frame) if needs_key && !frame.key => {}
                    Ok(frame) => {
                        needs_key = match &mut opening {
                            Some(opening) => !opening.take(frame),
                            None if self.send(&frame, negotiated.payload_type).await => false,
                            None => return false,
                        };
                        if needs_key {
                            // The next key frame is wanted as soon as there is a way.
                            self.requested = None;
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
                    if gate.agreed() != Some(negotiated) {
                        return true;
                    }
                    match (opening.take(), gate.passes()) {
                        (Some(kept), false) => {
                            opening = Some(kept);
                            continue;
                        }
                        (Some(kept), true) => {
                            if !self.send_all(kept, negotiated.payload_type).await {
                                return false;
                            }
                            if needs_key {
                                // One that was asked for a moment ago is on its way.
                                owed |= self.requested.is_none();
                            } else {
                                // A far end that missed them need not wait.
                                self.requested = None;
                            }
                        }
                        (None, false) => return true,
                        (None, true) => {}
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

    async fn send_all(&mut self, opening: Opening, payload_type: u8) -> bool {
        for frame in opening.0 {
            if !self.send(&frame, payload_type).await {
                return false;
            }
        }
        true
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
pub(super) async fn count_requests(
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
    fn an_opening_begins_with_the_newest_key_frame_and_is_short() {
        let picture = |key| {
            Arc::new(VideoFrame {
                codec: VideoCodec::Vp8,
                data: bytes::Bytes::new(),
                pts: Duration::ZERO,
                encoded: clock::now(),
                key,
            })
        };
        let mut opening = Opening::default();
        assert!(opening.take(picture(true)));
        assert!(opening.take(picture(false)));
        assert!(opening.take(picture(true)));
        assert_eq!(opening.0.len(), 1);
        for _ in 1..OPENING {
            assert!(opening.take(picture(false)));
        }
        assert!(!opening.take(picture(false)));
        assert!(opening.0.is_empty());
        assert!(opening.take(picture(true)));
        assert_eq!(opening.0.len(), 1);
    }

    #[test]
    fn rtp_time_runs_at_90_khz_and_wraps() {
        assert_eq!(rtp_time(Duration::from_secs(1)), 90_000);
        assert_eq!(rtp_time(Duration::from_millis(33)), 2_970);
        // 2^32 / 90,000 Hz = 47,721.858 s.
        assert_eq!(rtp_time(Duration::from_nanos(47_721_858_844_445)), 0);
    }
}
