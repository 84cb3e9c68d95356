//! What passes between capture (`gst`, `sound`) and sessions (`rtc`): encoded
//! frames and packets, shared by reference count, never copied per leg.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::VideoCodec;

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

/// One Opus packet of the microphone: 20 ms at 48 kHz mono (960 samples).
#[derive(Clone, Debug)]
pub struct SoundPacket {
    /// The bytes.
    pub data: Bytes,
    /// RTP time stamp, 48 kHz, of its first sample; grows by 960 a packet.
    pub timestamp: u32,
    /// When it was encoded, for measuring.
    pub encoded: Instant,
}
