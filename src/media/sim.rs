//! A camera, a microphone and a speaker in memory: the simulated side of
//! [`feed`](super::feed), for tests of sessions without GStreamer and ALSA.
//!
//! The pictures have the form of their codec, so that they can be packed and
//! put together again, but show nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::budget::Budget;
use super::feed::{
    PictureFeed, Pictures, Share, SoundCodec, SoundPacket, VideoFrame, Voice, Voices,
};
use super::{Tone, VideoCodec};
use crate::clock;
use crate::tasks::Tasks;

/// Pictures that a slow follower can be behind: a quarter of a second.
const FRAMES: usize = 8;
/// Packets that a slow follower can be behind: 160 ms.
const PACKETS: usize = 8;

/// Bytes of a picture when nobody is short of them: 720 kb/s.
const PICTURE: u32 = 3_000;

/// 20 ms of silence, as libopus encodes it (CELT, full band, mono).
const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];
/// 20 ms of silence in PCMU.
const PCMU_SILENCE: &[u8] = &[0xff; 160];

/// A camera with 30 pictures a second of 3 kB, or less if its followers can take
/// less; key pictures are four times as large.
pub struct SimPictures {
    codecs: Vec<VideoCodec>,
    streams: BTreeMap<VideoCodec, Arc<Stream>>,
}

struct Stream {
    frames: broadcast::Sender<Arc<VideoFrame>>,
    /// Requests for a key picture so far, and how many were granted.
    wanted: AtomicU64,
    granted: AtomicU64,
    budget: Mutex<Budget>,
}

impl Stream {
    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of a usual picture.
    fn size(&self) -> usize {
        let bits = self.budget().bits().unwrap_or(u32::MAX);
        (bits / 30 / 8).clamp(100, PICTURE) as usize
    }
}

impl SimPictures {
    /// Starts a camera that encodes these codecs, best first.
    pub fn start(codecs: &[VideoCodec], tasks: &Tasks) -> Arc<Self> {
        let streams = codecs
            .iter()
            .map(|codec| {
                let stream = Arc::new(Stream {
                    frames: broadcast::Sender::new(FRAMES),
                    wanted: AtomicU64::new(0),
                    granted: AtomicU64::new(0),
                    budget: Mutex::default(),
                });
                tasks.spawn("sim-camera", film(*codec, Arc::clone(&stream)));
                (*codec, stream)
            })
            .collect();
        Arc::new(Self {
            codecs: codecs.to_vec(),
            streams,
        })
    }

    /// How many key pictures of `codec` were asked for.
    pub fn key_frames_wanted(&self, codec: VideoCodec) -> u64 {
        self.streams
            .get(&codec)
            .map_or(0, |s| s.wanted.load(Ordering::Relaxed))
    }

    /// How many feeds of `codec` are alive.
    pub fn followers(&self, codec: VideoCodec) -> usize {
        self.streams
            .get(&codec)
            .map_or(0, |s| s.budget().followers())
    }
}

async fn film(codec: VideoCodec, stream: Arc<Stream>) {
    let began = clock::now();
    let mut tick = tokio::time::interval(Duration::from_millis(33));
    loop {
        tick.tick().await;
        if stream.frames.receiver_count() == 0 {
            continue;
        }
        let wanted = stream.wanted.load(Ordering::Relaxed);
        let key = stream.granted.swap(wanted, Ordering::Relaxed) < wanted;
        let now = clock::now();
        let frame = VideoFrame {
            codec,
            data: picture(codec, key, stream.size()),
            pts: now.saturating_duration_since(began),
            encoded: now,
            key,
        };
        // It fails only when the last follower has just gone.
        let _ = stream.frames.send(Arc::new(frame));
    }
}

fn picture(codec: VideoCodec, key: bool, size: usize) -> Bytes {
    const BODY: u8 = 0x55;
    let size = if key { 4 * size } else { size };
    let mut data = Vec::with_capacity(size + 64);
    match (codec, key) {
        // The lowest bit of the first byte is 0 in a key picture (RFC 6386, 9.1).
        (VideoCodec::Vp8, key) => data.push(if key { 0x10 } else { 0x11 }),
        (VideoCodec::H264, true) => {
            for unit in [
                &[0x67, 0x42, 0xe0, 0x1f][..],
                &[0x68, 0xce][..],
                &[0x65][..],
            ] {
                data.extend_from_slice(&[0, 0, 0, 1]);
                data.extend_from_slice(unit);
            }
        }
        (VideoCodec::H264, false) => data.extend_from_slice(&[0, 0, 0, 1, 0x41]),
    }
    data.resize(data.len() + size, BODY);
    Bytes::from(data)
}

impl Pictures for SimPictures {
    fn codecs(&self) -> Vec<VideoCodec> {
        self.codecs.clone()
    }

    fn subscribe(&self, codec: VideoCodec) -> PictureFeed {
        match self.streams.get(&codec) {
            Some(stream) => {
                let share = Follower {
                    id: stream.budget().join(),
                    stream: Arc::clone(stream),
                };
                PictureFeed::new(stream.frames.subscribe(), share)
            }
            // A codec that it does not have: a feed that is over.
            None => PictureFeed::new(broadcast::channel(1).1, ()),
        }
    }

    fn request_key_frame(&self, codec: VideoCodec) {
        if let Some(stream) = self.streams.get(&codec) {
            stream.wanted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One feed's share in a stream.
struct Follower {
    id: u64,
    stream: Arc<Stream>,
}

impl Share for Follower {
    fn afford(&self, bits: Option<u32>) {
        self.stream.budget().afford(self.id, bits);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stream.budget().leave(self.id);
    }
}

/// A microphone that hears silence, and a speaker that counts.
pub struct SimVoices {
    opus: broadcast::Sender<Arc<SoundPacket>>,
    pcmu: broadcast::Sender<Arc<SoundPacket>>,
    heard: Arc<Mutex<Heard>>,
}

/// What came to the speaker.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Packets of voices that were audible.
    pub audible: u64,
    /// Packets of voices that were not.
    pub silenced: u64,
    /// Of the audible ones, those in PCMU.
    pub pcmu: u64,
    /// The latest tone ordered.
    pub tone: Option<Tone>,
    /// Voices that are alive.
    pub voices: usize,
}

impl SimVoices {
    /// Starts the microphone.
    pub fn start(tasks: &Tasks) -> Arc<Self> {
        let (opus, pcmu) = (
            broadcast::Sender::new(PACKETS),
            broadcast::Sender::new(PACKETS),
        );
        tasks.spawn("sim-microphone", speak(opus.clone(), pcmu.clone()));
        Arc::new(Self {
            opus,
            pcmu,
            heard: Arc::default(),
        })
    }

    /// What came to the speaker so far.
    pub fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// How many follow the microphone.
    pub fn listeners(&self) -> usize {
        self.opus.receiver_count() + self.pcmu.receiver_count()
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn speak(
    opus: broadcast::Sender<Arc<SoundPacket>>,
    pcmu: broadcast::Sender<Arc<SoundPacket>>,
) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut number = 0u32;
    loop {
        tick.tick().await;
        number = number.wrapping_add(1);
        let packet = |data, samples| SoundPacket {
            data: Bytes::from_static(data),
            timestamp: number.wrapping_mul(samples),
            encoded: clock::now(),
        };
        // Nobody has to listen.
        let _ = opus.send(Arc::new(packet(SILENCE, 960)));
        let _ = pcmu.send(Arc::new(packet(PCMU_SILENCE, 160)));
    }
}

impl Voices for SimVoices {
    fn microphone(&self, codec: SoundCodec) -> broadcast::Receiver<Arc<SoundPacket>> {
        match codec {
            SoundCodec::Opus => self.opus.subscribe(),
            SoundCodec::Pcmu => self.pcmu.subscribe(),
        }
    }

    fn speaker(&self) -> Box<dyn Voice> {
        lock(&self.heard).voices += 1;
        Box::new(SimVoice {
            heard: Arc::clone(&self.heard),
            audible: false,
            first: watch::Sender::new(false),
        })
    }

    fn play(&self, tone: Option<Tone>) {
        lock(&self.heard).tone = tone;
    }
}

struct SimVoice {
    heard: Arc<Mutex<Heard>>,
    audible: bool,
    first: watch::Sender<bool>,
}

impl Voice for SimVoice {
    fn push(&mut self, codec: SoundCodec, _sequence: u16, _timestamp: u32, _payload: Bytes) {
        let mut heard = lock(&self.heard);
        if self.audible {
            heard.audible += 1;
            heard.pcmu += u64::from(codec == SoundCodec::Pcmu);
            self.first.send_replace(true);
        } else {
            heard.silenced += 1;
        }
    }

    fn set_audible(&mut self, on: bool) {
        self.audible = on;
    }

    fn heard(&self) -> watch::Receiver<bool> {
        self.first.subscribe()
    }
}

impl Drop for SimVoice {
    fn drop(&mut self) {
        lock(&self.heard).voices -= 1;
    }
}
