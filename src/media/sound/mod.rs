//! The door's microphone and speaker, by ALSA.
//!
//! ```text
//!  network --> Voice --> jitter buffer, codec -+
//!                                              +--> mixer --> PCM    thread sound-playback
//!  orders  --> tones --------------------------+       |
//!                                                      | what the card took
//!                                                      v
//!  PCM ------------------------------------> echo control --> codec --> every leg
//!                                                                    thread sound-capture
//! ```
//!
//! The codec is Opus, or PCMU for a far end that has no Opus; what nobody listens to
//! is not encoded. 48 kHz mono, in blocks of 10 ms. The async runtime never touches a PCM. Whether
//! a card works is judged by frames that move, not by error codes alone: one that
//! fails is closed and opened again until it is back, and calls go on meanwhile. No
//! ALSA type leaves this module.

mod busy;
mod capture;
mod delays;
pub mod drift;
pub mod echo;
mod encoder;
mod frames;
pub mod jitter;
mod meters;
mod packets;
mod pcm;
mod playback;
mod priority;
mod rate;
pub mod resample;
mod speech;
mod tones;
pub mod virtual_card;
mod voice;
mod wav;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};
use tracing::warn;

use self::capture::{Microphone, Narrow};
use self::echo::EchoControl;
pub use self::echo::EchoSettings;
use self::echo::reference::Reference;
pub use self::encoder::OpusSettings;
use self::encoder::{Encoder, Loss};
use self::meters::Meters;
use self::packets::Packets;
use self::playback::{Desk, Speaker};
use self::speech::PcmuEncoder;
use self::voice::VoiceEnd;
use super::device::DeviceNews;
use super::feed::{SoundCodec, SoundGauge, SoundPacket, Voice, Voices};
use super::{Tone, worker};
use crate::call::{Device, Input};
use crate::clock;
use crate::tasks::Tasks;

/// Frames a second.
const RATE: u32 = 48_000;
/// Frames of a block.
const BLOCK: usize = 480;
/// How long a block lasts.
const BLOCK_TIME: Duration = Duration::from_millis(10);
/// Packets that a listener may be behind: 160 ms of the shortest. Older ones are dropped
/// for it.
const FEED_LENGTH: usize = 16;
/// The pause before a card is opened again at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A card that is free again shall be back within three seconds, the opening included.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A thread that moved nothing for this long hangs in its card.
const HUNG: Duration = Duration::from_secs(1);
/// How often the watch looks.
const WATCH: Duration = Duration::from_millis(250);

/// Which cards, by their ALSA names (`None` is a station without one), and what is
/// done to the sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundSettings {
    /// The microphone's PCM, such as `hw:CARD=Device`.
    pub capture: Option<String>,
    /// The speaker's PCM.
    pub playback: Option<String>,
    /// What is done to the microphone's sound.
    pub echo: EchoSettings,
    /// How it is sent.
    pub opus: OpusSettings,
    /// How loud the door's own tones are, per cent of the full amplitude.
    pub tone_volume: u8,
}

impl Default for SoundSettings {
    fn default() -> Self {
        Self {
            capture: None,
            playback: None,
            echo: EchoSettings::default(),
            opus: OpusSettings::default(),
            tone_volume: 100,
        }
    }
}

/// Why there can be no sound at all. A card that is merely absent is no error: it
/// is reported as a device and looked for again and again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libopus gives no encoder.
    #[error("the microphone's encoder does not start")]
    Encoder(#[source] opus::Error),
    /// The operating system gave no thread.
    #[error("no thread for sound")]
    Thread(#[source] std::io::Error),
}

/// The station's sound. Clones share it.
#[derive(Clone, Debug)]
pub struct Sound {
    opus: broadcast::Sender<Arc<SoundPacket>>,
    pcmu: broadcast::Sender<Arc<SoundPacket>>,
    desk: Arc<Desk>,
    meters: Arc<Meters>,
    loss: Arc<Loss>,
}

impl Sound {
    /// Starts the threads: news of the cards go to `inbox`, the threads end with
    /// `tasks`. To be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn start(
        settings: SoundSettings,
        inbox: mpsc::Sender<Input>,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let sound = Self {
            opus: broadcast::channel(FEED_LENGTH).0,
            pcmu: broadcast::channel(FEED_LENGTH).0,
            desk: Arc::default(),
            meters: Arc::default(),
            loss: Arc::default(),
        };
        let reference: Arc<Reference> = Arc::default();
        let speaker = Speaker {
            name: settings.playback,
            desk: sound.desk.clone(),
            reference: reference.clone(),
            tone_volume: settings.tone_volume,
            meters: sound.meters.clone(),
            watched: Watched::new(Device::Speaker, inbox.clone()),
        };
        let mut watched = vec![speaker.watched.clone()];
        let pulse = tasks.pulse("sound-playback");
        worker::spawn(tasks, "sound-playback", pulse, move |stop| {
            priority::raise();
            playback::run(&speaker, &stop);
        })
        .map_err(Error::Thread)?;
        if let Some(name) = settings.capture {
            let microphone = Microphone {
                name,
                packets: sound.opus.clone(),
                memory: Packets::new(clock::now()),
                narrow: Narrow {
                    packets: sound.pcmu.clone(),
                    memory: Packets::new(clock::now()),
                    encoder: PcmuEncoder::new(),
                    timestamp: rand::random(),
                    encoding: false,
                },
                encoder: Encoder::new(settings.opus).map_err(Error::Encoder)?,
                opus: settings.opus,
                loss: sound.loss.clone(),
                echo: EchoControl::new(settings.echo),
                reference,
                meters: sound.meters.clone(),
                watched: Watched::new(Device::Microphone, inbox),
            };
            watched.push(microphone.watched.clone());
            let pulse = tasks.pulse("sound-capture");
            worker::spawn(tasks, "sound-capture", pulse, move |stop| {
                priority::raise();
                capture::run(microphone, &stop);
            })
            .map_err(Error::Thread)?;
        }
        tasks.spawn("sound-watch", async move {
            let mut tick = tokio::time::interval(WATCH);
            loop {
                tick.tick().await;
                watched.iter().for_each(Watched::check);
            }
        });
        Ok(sound)
    }

    /// What was measured since the start; names end in their unit, plain ones are
    /// counts.
    pub fn figures(&self) -> BTreeMap<&'static str, f64> {
        self.meters.figures()
    }
}

impl Voices for Sound {
    fn play(&self, tone: Option<Tone>) {
        self.desk.order(tone);
    }

    fn gauge(&self) -> SoundGauge {
        self.meters.gauge()
    }

    fn lost(&self, share: f32) {
        self.loss.note(share);
    }

    fn microphone(&self, codec: SoundCodec) -> broadcast::Receiver<Arc<SoundPacket>> {
        match codec {
            SoundCodec::Opus => self.opus.subscribe(),
            SoundCodec::Pcmu => self.pcmu.subscribe(),
        }
    }

    fn speaker(&self) -> Box<dyn Voice> {
        match voice::pair(&self.meters) {
            Ok((end, player)) => {
                self.desk.add(player);
                Box::new(end)
            }
            Err(error) => {
                warn!(%error, "no decoder: a voice is not heard");
                Box::new(VoiceEnd::mute(&self.meters))
            }
        }
    }
}

/// One card under watch: its thread says when frames move, the watch says when
/// they do not, because a thread that hangs in its card cannot.
#[derive(Clone, Debug)]
struct Watched {
    news: DeviceNews,
    device: Device,
    began: Instant,
    /// When frames last moved or the card was opened, ms since `began`; 0 while
    /// the thread has no card.
    latest: Arc<AtomicU64>,
}

impl Watched {
    fn new(device: Device, inbox: mpsc::Sender<Input>) -> Self {
        Self {
            news: DeviceNews::new(device, inbox),
            device,
            began: clock::now(),
            latest: Arc::default(),
        }
    }

    fn now(&self) -> u64 {
        // Never 0, which means that there is no card.
        clock::now()
            .saturating_duration_since(self.began)
            .as_millis() as u64
            + 1
    }

    /// The thread goes to its card.
    fn enter(&self) {
        self.latest.store(self.now(), Relaxed);
    }

    /// Frames moved.
    fn moved(&self) {
        self.latest.store(self.now(), Relaxed);
        self.news.works();
    }

    /// The thread left its card.
    fn leave(&self) {
        self.latest.store(0, Relaxed);
    }

    fn failed(&self, reason: &str) {
        self.news.failed(reason);
    }

    /// What the watch does.
    fn check(&self) {
        self.news.flush();
        let latest = self.latest.load(Relaxed);
        let silent = Duration::from_millis(self.now().saturating_sub(latest));
        if latest != 0 && silent > HUNG {
            let thing = match self.device {
                Device::Speaker => "speaker",
                Device::Microphone
                | Device::Camera
                | Device::Panel
                | Device::Door
                | Device::Relay => "microphone",
            };
            self.news.failed(&format!(
                "no sound moves through the {thing}; check its card"
            ));
        }
    }
}
