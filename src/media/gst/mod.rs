//! The camera, by GStreamer: captured once, encoded once per codec, shared.
//!
//! One pipeline runs as long as the station, so that it is warm when somebody
//! answers. A named thread watches it: an error, the end of the stream or pictures
//! that stop coming take it down and build it again, with [`Input::Device`] for the
//! station; feeds of pictures survive that, and show a card until there is a picture
//! again. No GStreamer type leaves this module.

mod appearance;
mod branch;
mod card;
mod clock_picture;
mod encoder;
mod pipeline;
mod progress;
mod quality;
mod snapshot;
mod source;
pub mod trial;
mod watch;

pub use appearance::Appearance;
pub use clock_picture::{BLOCK, BLOCKS, BLOCKS_X, BLOCKS_Y, clock_value, read_clock};
pub use snapshot::{NoSnapshot, PATIENCE, SETTLING, Snapshot};
pub use source::Source;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use tokio::sync::{broadcast, mpsc};

use self::branch::BranchState;
use self::encoder::Encoder;
use self::pipeline::Branch;
use self::progress::Progress;
use self::quality::Chooser;
use super::budget::Budget;
use super::device::DeviceNews;
use super::feed::{Encoded, PictureFeed, Pictures, Share, VideoFrame};
use super::{VideoCodec, worker};
use crate::call::{Device, Input};
use crate::clock;
use crate::pulse::Pulse;
use crate::tasks::Tasks;

/// Pictures that a follower may be behind: a quarter of a second. A follower that
/// is later gets `Lagged` and asks for a key frame; nobody else waits.
const FEED_LENGTH: usize = 8;

/// Pictures that may still be on their way through queue and encoder when a valve
/// opens again: left over from before, of no use to a decoder that begins.
const LEFT_OVER: u64 = 4;

/// What the camera shall give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSettings {
    /// Where pictures come from.
    pub source: Source,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures a second.
    pub fps: u32,
    /// Bits a second, for each codec, until a far end says what it can take.
    pub bitrate: u32,
}

impl CameraSettings {
    /// 1280x720, 30 pictures and 1.5 Mbit a second.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            width: 1280,
            height: 720,
            fps: 30,
            bitrate: 1_500_000,
        }
    }

    fn raw_caps(&self) -> String {
        let Self {
            width, height, fps, ..
        } = self;
        format!("video/x-raw,format=I420,width={width},height={height},framerate={fps}/1")
    }
}

/// Why there can be no camera at all. A camera that is merely absent is no error:
/// it is reported as a device and looked for again and again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// GStreamer itself does not start.
    #[error("gstreamer does not start: {0}")]
    Gstreamer(String),
    /// Not one encoder works.
    #[error(
        "no video encoder works; install gstreamer1.0-plugins-good (VP8) \
         and gstreamer1.0-plugins-ugly or -bad (H264)"
    )]
    NoEncoder,
    /// A size or rate that no picture can have.
    #[error(
        "a picture of {width}x{height} at {fps} a second cannot be encoded; \
         sizes are even, from 160x120 to 1920x1080, rates from 1 to 60"
    )]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Pictures a second.
        fps: u32,
    },
    /// The operating system gave no thread.
    #[error("no thread for the camera")]
    Thread(#[source] std::io::Error),
}

/// The station's camera. Clones share it.
#[derive(Clone, Debug)]
pub struct Camera {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: CameraSettings,
    tracks: Vec<Arc<Track>>,
    progress: Arc<Progress>,
    branches: Mutex<BTreeMap<VideoCodec, BranchState>>,
}

/// One codec: its encoder, its followers, its counters.
#[derive(Debug)]
struct Track {
    encoder: Encoder,
    frames: broadcast::Sender<Arc<VideoFrame>>,
    began: Instant,
    /// When the latest picture went into the encoder, ns since `began`.
    entered: AtomicU64,
    encoded_in: AtomicU64,
    encoded_out: AtomicU64,
    key_frames: AtomicU64,
    bytes: AtomicU64,
    /// Sum of encoding times, ns.
    encoding: AtomicU64,
    /// How many pictures to hold back at most, until a key frame comes.
    left_over: AtomicU64,
}

impl Camera {
    /// Probes the encoders and starts the camera: news of it go to `inbox`, its
    /// thread ends with `tasks`. Blocks for as long as the probe takes (100 to
    /// 300 ms; up to 3 s when GStreamer looks at its plug-ins for the first time).
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn start(
        settings: CameraSettings,
        inbox: mpsc::Sender<Input>,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        check_size(&settings)?;
        gst::init().map_err(|error| Error::Gstreamer(error.to_string()))?;
        let encoders = Encoder::probe_all(&settings);
        if encoders.is_empty() {
            return Err(Error::NoEncoder);
        }
        let began = clock::now();
        let inner = Arc::new(Inner {
            settings: settings.clone(),
            branches: Mutex::new(
                encoders
                    .iter()
                    .map(|encoder| (encoder.codec, BranchState::default()))
                    .collect(),
            ),
            tracks: encoders
                .into_iter()
                .map(|encoder| Arc::new(Track::new(encoder, began)))
                .collect(),
            progress: Arc::new(Progress::new(began)),
        });
        let news = DeviceNews::new(Device::Camera, inbox);
        let watched = inner.clone();
        // Not watched: a driver that hangs takes the picture, not the station.
        let pulse = Pulse::default();
        worker::spawn(tasks, "camera", pulse, move |stop| {
            watch::run(&watched, &settings, &news, &stop);
        })
        .map_err(Error::Thread)?;
        Ok(Self { inner })
    }

    /// What was measured since the start. For each codec that works here, under
    /// `vp8_` or `h264_`: `encoder_in` pictures, `frames`, `key_frames`, `bytes`,
    /// `encode_ms` (mean).
    pub fn figures(&self) -> BTreeMap<&'static str, f64> {
        let progress = &self.inner.progress;
        let mut figures = BTreeMap::from([
            ("camera_frames", count(&progress.pictures)),
            ("camera_restarts", count(&progress.restarts)),
        ]);
        for track in &self.inner.tracks {
            let names = match track.encoder.codec {
                VideoCodec::Vp8 => [
                    "vp8_encoder_in",
                    "vp8_frames",
                    "vp8_key_frames",
                    "vp8_bytes",
                    "vp8_encode_ms",
                ],
                VideoCodec::H264 => [
                    "h264_encoder_in",
                    "h264_frames",
                    "h264_key_frames",
                    "h264_bytes",
                    "h264_encode_ms",
                ],
            };
            let frames = count(&track.encoded_out);
            let values = [
                count(&track.encoded_in),
                frames,
                count(&track.key_frames),
                count(&track.bytes),
                count(&track.encoding) / 1e6 / frames.max(1.0),
            ];
            figures.extend(names.into_iter().zip(values));
        }
        figures
    }

    /// The GStreamer element that encodes `codec`, if one works here.
    pub fn encoder(&self, codec: VideoCodec) -> Option<&'static str> {
        let track = self.inner.track(codec)?;
        Some(track.encoder.element)
    }
}

impl Pictures for Camera {
    fn codecs(&self) -> Vec<VideoCodec> {
        let tracks = self.inner.tracks.iter();
        tracks.map(|track| track.encoder.codec).collect()
    }

    fn subscribe(&self, codec: VideoCodec) -> PictureFeed {
        let Some(track) = self.inner.track(codec) else {
            // A feed that is closed from the start.
            return PictureFeed::new(broadcast::channel(1).1, ());
        };
        // Listening begins before the valve opens: the key frame is not missed.
        let frames = track.frames.subscribe();
        let follower = Follower {
            id: self.inner.follow(track),
            inner: self.inner.clone(),
            codec,
        };
        PictureFeed::new(frames, follower)
    }

    fn request_key_frame(&self, codec: VideoCodec) {
        if let Some(BranchState {
            live: Some(branch), ..
        }) = self.inner.branches().get(&codec)
        {
            branch.request_key_frame();
        }
    }

    fn encoded(&self, codec: VideoCodec) -> Option<Encoded> {
        let track = self.inner.track(codec)?;
        Some(Encoded {
            pictures: track.encoded_out.load(Relaxed),
            took: Duration::from_nanos(track.encoding.load(Relaxed)),
        })
    }
}

/// Lives in a feed; the last one of a codec closes its valve.
struct Follower {
    inner: Arc<Inner>,
    codec: VideoCodec,
    id: u64,
}

impl Share for Follower {
    fn afford(&self, bits: Option<u32>) {
        self.inner
            .regulate(self.codec, |budget| budget.afford(self.id, bits));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.inner.unfollow(self.codec, self.id);
    }
}

impl Inner {
    fn track(&self, codec: VideoCodec) -> Option<&Arc<Track>> {
        self.tracks
            .iter()
            .find(|track| track.encoder.codec == codec)
    }

    fn branches(&self) -> MutexGuard<'_, BTreeMap<VideoCodec, BranchState>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new follower of a track, by its number.
    fn follow(&self, track: &Track) -> u64 {
        let mut branches = self.branches();
        let Some(state) = branches.get_mut(&track.encoder.codec) else {
            return 0;
        };
        let id = state.budget.join();
        if let (1, Some(branch)) = (state.budget.followers(), &state.live) {
            track.left_over.store(LEFT_OVER, Relaxed);
            branch.open();
        }
        id
    }

    fn unfollow(&self, codec: VideoCodec, id: u64) {
        self.regulate(codec, |budget| budget.leave(id));
        if let Some(state) = self.branches().get_mut(&codec)
            && let (0, Some(branch)) = (state.budget.followers(), &state.live)
        {
            branch.close();
            // Whoever comes next begins with the whole picture.
            (state.chooser, state.told) = (Chooser::default(), None);
            if let Some(track) = self.track(codec) {
                let quality = state.chooser.quality;
                branch.shape(quality, &self.settings, track.encoder.resizes());
                branch.set_bitrate(track.encoder.element, self.settings.bitrate, quality);
            }
        }
    }

    /// Changes a codec's budget, and lets its encoder follow.
    fn regulate(&self, codec: VideoCodec, change: impl FnOnce(&mut Budget)) {
        if let (Some(track), Some(state)) = (self.track(codec), self.branches().get_mut(&codec)) {
            change(&mut state.budget);
            state.follow_budget(track, &self.settings);
        }
    }

    /// A pipeline is up: opens the branches that somebody follows.
    fn connect(&self, live: Vec<(VideoCodec, Branch)>) {
        let mut branches = self.branches();
        for (codec, branch) in live {
            if let Some(state) = branches.get_mut(&codec) {
                if state.budget.followers() > 0 {
                    branch.open();
                }
                state.live = Some(branch);
                // A new pipeline begins at full size.
                (state.chooser, state.told) = (Chooser::default(), None);
                if let Some(track) = self.track(codec) {
                    state.follow_budget(track, &self.settings);
                }
            }
        }
    }

    /// The pipeline goes down; followers stay.
    fn disconnect(&self) {
        for state in self.branches().values_mut() {
            state.live = None;
        }
    }
}

impl Track {
    fn new(encoder: Encoder, began: Instant) -> Self {
        Self {
            encoder,
            frames: broadcast::channel(FEED_LENGTH).0,
            began,
            entered: AtomicU64::new(0),
            encoded_in: AtomicU64::new(0),
            encoded_out: AtomicU64::new(0),
            key_frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            encoding: AtomicU64::new(0),
            left_over: AtomicU64::new(0),
        }
    }

    fn clock_ns(&self) -> u64 {
        clock::now()
            .saturating_duration_since(self.began)
            .as_nanos() as u64
    }

    fn publish(&self, frame: VideoFrame) {
        let took = self.clock_ns().saturating_sub(self.entered.load(Relaxed));
        self.encoding.fetch_add(took, Relaxed);
        self.encoded_out.fetch_add(1, Relaxed);
        self.bytes.fetch_add(frame.data.len() as u64, Relaxed);
        self.key_frames.fetch_add(u64::from(frame.key), Relaxed);
        if frame.key {
            self.left_over.store(0, Relaxed);
        } else {
            let fewer = |count: u64| count.checked_sub(1);
            if self.left_over.fetch_update(Relaxed, Relaxed, fewer).is_ok() {
                return;
            }
        }
        // Nobody listens while the valve closes: no matter.
        let _ = self.frames.send(Arc::new(frame));
    }
}

fn check_size(settings: &CameraSettings) -> Result<(), Error> {
    let CameraSettings {
        width, height, fps, ..
    } = *settings;
    let fits = (160..=1920).contains(&width)
        && (120..=1080).contains(&height)
        && (1..=60).contains(&fps)
        && width % 2 == 0
        && height % 2 == 0;
    if fits {
        Ok(())
    } else {
        Err(Error::Size { width, height, fps })
    }
}

/// What an error message says, and which element says it.
fn error_text(message: &gst::MessageRef) -> Option<String> {
    let gst::MessageView::Error(error) = message.view() else {
        return None;
    };
    if let Some(detail) = error.debug() {
        tracing::debug!(%detail, "gstreamer error");
    }
    Some(error.error().message().trim_end_matches('.').to_owned())
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Relaxed) as f64
}
