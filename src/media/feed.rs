//! What passes between capture (`gst`, `sound`) and sessions (`rtc`): encoded
//! frames and packets, shared by reference count, never copied per leg.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::{Tone, VideoCodec};

/// One encoded picture (an H264 access unit in Annex B, or a VP8 frame).
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// The bytes.
    pub data: Bytes,
    /// Presentation time since the pipeline started; RTP time is this times 90 kHz.
    pub pts: Duration,
    /// When the encoder gave it to us, for measuring.
    pub encoded: Instant,
    /// Decoding can start here.
    pub key: bool,
}

/// How sound is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// Opus, 48 kHz (RFC 7587).
    Opus,
    /// G.711 mu-law, 8 kHz (RFC 3551, section 4.5.14): for far ends without Opus.
    Pcmu,
}

impl SoundCodec {
    /// Best first.
    pub const ALL: [Self; 2] = [Self::Opus, Self::Pcmu];

    /// RTP clock, Hz.
    pub fn clock(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu => 8_000,
        }
    }
}

/// One packet of the microphone: 20 or 10 ms of Opus, 20 ms of PCMU.
#[derive(Clone, Debug)]
pub struct SoundPacket {
    /// The bytes.
    pub data: Bytes,
    /// RTP time stamp of its first sample, in the codec's clock; grows by the
    /// packet's samples.
    pub timestamp: u32,
    /// When it was encoded, for measuring.
    pub encoded: Instant,
}

/// Where encoded pictures come from: the camera, or what stands for it.
///
/// One implementation serves every leg; a picture is encoded once per codec.
pub trait Pictures: Send + Sync {
    /// What can be encoded here, best first; empty while there is no camera.
    fn codecs(&self) -> Vec<VideoCodec>;

    /// Follows the pictures of one codec. The encoder runs only while a feed of
    /// its codec lives.
    fn subscribe(&self, codec: VideoCodec) -> PictureFeed;

    /// Asks the encoder of `codec` to make its next picture a key frame. Callers
    /// limit the rate; without a running encoder nothing happens.
    fn request_key_frame(&self, codec: VideoCodec);

    /// What its encoder did so far; `None` where that is not measured.
    fn encoded(&self, _codec: VideoCodec) -> Option<Encoded> {
        None
    }
}

/// What an encoder did since it was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Pictures that came out.
    pub pictures: u64,
    /// How long they were in it, together.
    pub took: Duration,
}

impl Encoded {
    /// Milliseconds a picture since `before`; `None` without a picture.
    pub fn mean_since(self, before: Self) -> Option<f64> {
        let pictures = self.pictures.checked_sub(before.pictures)?;
        let took = self.took.saturating_sub(before.took);
        (pictures > 0).then(|| took.as_secs_f64() * 1e3 / pictures as f64)
    }
}

/// A follower's share in the encoder that it follows. It ends when it is dropped.
pub trait Share: Send + Sync {
    /// So many bits a second reach this follower; `None`: none do now, and it
    /// does not count. The encoder follows those that do.
    fn afford(&self, bits: Option<u32>);
}

/// Of an encoder that follows nobody.
impl Share for () {
    fn afford(&self, _: Option<u32>) {}
}

/// The pictures of one codec, for one follower.
pub struct PictureFeed {
    frames: broadcast::Receiver<Arc<VideoFrame>>,
    /// Dropped with the feed: it tells the encoder that a follower has gone.
    share: Box<dyn Share>,
}

impl PictureFeed {
    /// A feed of `frames`; `share` is dropped with it.
    pub fn new(frames: broadcast::Receiver<Arc<VideoFrame>>, share: impl Share + 'static) -> Self {
        Self {
            frames,
            share: Box::new(share),
        }
    }

    /// Tells the encoder how many bits a second reach this follower.
    pub fn afford(&self, bits: Option<u32>) {
        self.share.afford(bits);
    }

    /// The next picture.
    ///
    /// # Errors
    ///
    /// `Lagged` when pictures were missed (a decoder then needs a key frame),
    /// `Closed` when the camera is gone for good.
    pub async fn next(&mut self) -> Result<Arc<VideoFrame>, broadcast::error::RecvError> {
        self.frames.recv().await
    }
}

impl fmt::Debug for PictureFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PictureFeed").finish_non_exhaustive()
    }
}

/// The door's microphone and speaker.
pub trait Voices: Send + Sync {
    /// Follows the microphone: one packet each 20 ms (or 10), from now on. It is
    /// encoded so only while somebody follows, and once for all who do.
    fn microphone(&self, codec: SoundCodec) -> broadcast::Receiver<Arc<SoundPacket>>;

    /// A new voice at the speaker, not audible until
    /// [`Voice::set_audible`] says so.
    fn speaker(&self) -> Box<dyn Voice>;

    /// A far end loses this share of the microphone's packets, 0 to 1, as its latest
    /// report says: how much correction is worth sending. To be told again while it
    /// is so; what is not told for some seconds is over.
    fn lost(&self, _share: f32) {}

    /// How the sound stands now.
    fn gauge(&self) -> SoundGauge {
        SoundGauge::default()
    }

    /// Plays a tone at the speaker until told otherwise; `None` is silence.
    fn play(&self, tone: Option<Tone>);
}

/// How the sound stands; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoundGauge {
    /// Depth of the latest voice's jitter buffer, ms.
    pub depth_ms: Option<f64>,
    /// By how much the echo control lowers the echo, dB.
    pub echo_loss_db: Option<f64>,
}

/// One far end at the door's speaker. It ends when it is dropped.
pub trait Voice: Send {
    /// Takes one packet as it arrived: RTP sequence number, RTP time stamp (in the
    /// codec's clock) and payload; late, doubled and lost ones are the voice's
    /// business. It never blocks.
    fn push(&mut self, codec: SoundCodec, sequence: u16, timestamp: u32, payload: Bytes);

    /// Lets the voice be heard, or silences it.
    fn set_audible(&mut self, on: bool);

    /// Turns `true` once the first decoded packet was written to the speaker.
    fn heard(&self) -> watch::Receiver<bool>;
}
