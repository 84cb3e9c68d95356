//! What the station tells on its standard output: events as they happen, for
//! people ([`terminal`]) or for programs ([`json`], described in
//! `docs/json-events.md`).
//!
//! A [`Report`] is a cheap handle; behind it one named thread writes, so that a
//! slow reader of the output never holds a runtime thread. Others of this process
//! can listen as well ([`Report::listen`]). Logs are something else: they go
//! through `telemetry`.

pub mod json;
pub mod terminal;

use std::io::{self, Write};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::call::Event;
use crate::clock;
use crate::media::Tone;
use crate::secret::Secret;

/// Lines that may wait for a slow reader. A call makes about thirty, so this is
/// several calls; when it is full, whoever tells waits, and nothing is lost.
const QUEUE: usize = 256;

/// News that a listener may be behind: several calls, as above. One that is later
/// loses the oldest and is told how many; nobody waits for it.
const BEHIND: usize = 256;

/// How long the end of the program waits for a reader that has stopped reading.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A clonable right to tell something.
#[derive(Clone, Debug)]
pub struct Report {
    /// `None` where nothing is written.
    queue: Option<mpsc::Sender<Told>>,
    listeners: broadcast::Sender<Told>,
    origin: Instant,
}

/// The writing thread; [`Writer::close`] ends it.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Sender<Told>,
    done: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

/// How news become text.
pub trait Format: Send {
    /// Writes one piece of news to `out` and flushes it.
    ///
    /// # Errors
    /// Those of `out`; the writer then stops for good.
    fn write(&mut self, told: &Told, out: &mut dyn Write) -> io::Result<()>;

    /// Something to redraw every second, such as a running clock.
    fn is_living(&self) -> bool {
        false
    }

    /// Leaves the output tidy.
    ///
    /// # Errors
    /// Those of `out`.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.flush()
    }
}

/// A piece of news with its time.
#[derive(Clone, Debug)]
pub struct Told {
    /// Since the report was started.
    pub after: Duration,
    /// The time of day.
    pub wall: SystemTime,
    /// What.
    pub news: News,
}

/// What can be told.
#[derive(Clone, Debug)]
pub enum News {
    /// The station can ring.
    Ready(Ready),
    /// An event of the core.
    Event(Event),
    /// The panel shows something else.
    Light(Light),
    /// The door's speaker plays something else; `None` is silence.
    Tone(Option<Tone>),
    /// A second has passed: redraw what lives.
    Redraw,
    /// The last message.
    Close,
}

/// What a person needs to begin.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The address of the indoor page; a station without a gateway has none.
    pub url: Option<String>,
    /// The door's own address.
    pub door: String,
    /// Who can log in.
    pub users: Vec<User>,
}

/// Somebody who can log in at the embedded gateway.
#[derive(Clone, Debug)]
pub struct User {
    /// `alice@demo.local`.
    pub address: String,
    /// Only where the program itself made it up and nobody could know it
    /// otherwise: it is printed.
    pub made_password: Option<Secret>,
}

/// What the panel shows, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Light {
    /// What it means: `idle`, `ringing`, ...
    pub sign: &'static str,
    /// `amber`, `green`, `blue`, `red`, `white`.
    pub colour: &'static str,
    /// `steady`, `pulse 1 s`, ...
    pub pattern: String,
}

impl Report {
    /// Starts a thread named `report` that writes to `out` with `format`.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(
        format: impl Format + 'static,
        out: impl Write + Send + 'static,
        tasks: &crate::tasks::Tasks,
    ) -> io::Result<(Report, Writer)> {
        let (queue, news) = mpsc::channel(QUEUE);
        let (tell_done, done) = oneshot::channel();
        let living = format.is_living();
        let thread = std::thread::Builder::new()
            .name("report".into())
            .spawn(move || {
                write_all(format, out, news);
                // Nobody may be waiting any more.
                let _ = tell_done.send(());
            })?;
        let report = Report::to(Some(queue.clone()));
        if living {
            let report = report.clone();
            tasks.spawn("report-clock", async move { report.tick().await });
        }
        let writer = Writer {
            queue,
            done,
            thread,
        };
        Ok((report, writer))
    }

    /// A report that is written nowhere: the service's, whose journal tells enough.
    pub fn silent() -> Report {
        Report::to(None)
    }

    fn to(queue: Option<mpsc::Sender<Told>>) -> Report {
        Report {
            queue,
            listeners: broadcast::Sender::new(BEHIND),
            origin: clock::now(),
        }
    }

    /// Everything that is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<Told> {
        self.listeners.subscribe()
    }

    /// The station can ring.
    pub async fn ready(&self, ready: Ready) {
        self.tell(News::Ready(ready)).await;
    }

    /// An event of the core.
    pub async fn event(&self, event: Event) {
        self.tell(News::Event(event)).await;
    }

    /// The panel shows something else.
    pub async fn light(&self, light: Light) {
        self.tell(News::Light(light)).await;
    }

    /// The door's speaker was ordered to play something else.
    pub async fn tone(&self, tone: Option<Tone>) {
        self.tell(News::Tone(tone)).await;
    }

    async fn tell(&self, news: News) {
        let told = self.stamp(news);
        // Nobody may be listening.
        let _ = self.listeners.send(told.clone());
        let Some(queue) = &self.queue else { return };
        // A writer that has stopped has said so in the log.
        let _ = queue.send(told).await;
    }

    fn stamp(&self, news: News) -> Told {
        Told {
            after: clock::now().saturating_duration_since(self.origin),
            wall: clock::wall(),
            news,
        }
    }

    /// Asks for a redraw each second; one that finds the queue full is left out.
    async fn tick(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            if let Some(queue) = &self.queue {
                let _ = queue.try_send(self.stamp(News::Redraw));
            }
        }
    }
}

impl Writer {
    /// Writes what is still queued and ends the thread. A reader that takes
    /// nothing for two seconds is left behind with the thread.
    pub async fn close(self) {
        let Writer {
            queue,
            done,
            thread,
        } = self;
        let told = Told {
            after: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH,
            news: News::Close,
        };
        let ended = async {
            let _ = queue.send(told).await;
            let _ = done.await;
        };
        match tokio::time::timeout(LAST_LINES, ended).await {
            // The thread has nothing left to do but return.
            Ok(()) if thread.join().is_err() => tracing::error!("the report writer panicked"),
            Ok(()) => {}
            Err(_) => tracing::warn!("nobody reads the output; its last lines are lost"),
        }
    }
}

/// The thread's loop: until told to close, or until the output is gone.
fn write_all(mut format: impl Format, mut out: impl Write, mut news: mpsc::Receiver<Told>) {
    while let Some(told) = news.blocking_recv() {
        let written = match told.news {
            News::Close => {
                // The last word; there is nobody to tell about its failure.
                let _ = format.finish(&mut out);
                return;
            }
            _ => format.write(&told, &mut out),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the output is gone; nothing more is written to it");
            return;
        }
    }
}

/// The name of a tone in JSON lines.
pub fn tone_name(tone: Tone) -> &'static str {
    match tone {
        Tone::Chime => "chime",
        Tone::RingBack => "ring_back",
        Tone::Busy => "busy",
        Tone::Talk => "talk",
        Tone::Open => "open",
        Tone::Fault => "fault",
        Tone::Ended => "ended",
    }
}

/// The name of a device in JSON lines and sentences.
pub fn device_name(device: crate::call::Device) -> &'static str {
    use crate::call::Device;
    match device {
        Device::Camera => "camera",
        Device::Microphone => "microphone",
        Device::Speaker => "speaker",
        Device::Panel => "panel",
        Device::Door => "door",
        Device::Relay => "relay",
    }
}

#[cfg(test)]
mod tests;
