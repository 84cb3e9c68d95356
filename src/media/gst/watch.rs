//! The thread `camera`: keeps a pipeline running, whatever happens to it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::pipeline::{Pipeline, Trouble};
use super::{CameraSettings, Inner, Source};
use crate::clock;
use crate::media::device::DeviceNews;
use crate::media::worker::Stop;

/// How often the thread looks at the pictures and at its end.
const TICK: Duration = Duration::from_millis(100);
/// Pictures that stay away this long are a fault.
const STALL: Duration = Duration::from_secs(2);
/// The first picture may take longer: USB cameras wake slowly.
const FIRST: Duration = Duration::from_secs(5);
/// First and longest pause before another try: a camera that returns is seen soon.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// Why one life of the pipeline ended.
enum End {
    Stopped,
    FileEnded,
    Failed(String),
}

/// Runs pipelines one after the other until `stop`.
pub(super) fn run(inner: &Inner, settings: &CameraSettings, news: &DeviceNews, stop: &Stop) {
    let mut pause = PAUSE.0;
    // What followers see while there is no picture.
    let mut card = None;
    loop {
        let before = inner.progress.pictures.load(Relaxed);
        let end = live(inner, settings, news, stop, &mut card);
        if inner.progress.pictures.load(Relaxed) > before {
            pause = PAUSE.0;
        }
        match end {
            End::Stopped => return,
            // A file that holds no picture must not make a busy loop.
            End::FileEnded if inner.progress.pictures.load(Relaxed) > before => continue,
            End::FileEnded => news.failed(&sentence(settings, "it holds no pictures")),
            End::Failed(reason) => news.failed(&sentence(settings, &reason)),
        }
        inner.progress.restarts.fetch_add(1, Relaxed);
        if card.is_none() {
            card = show_card(inner, settings);
        }
        if stop.wait(pause) {
            return;
        }
        news.flush();
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Shows the card to those who follow.
fn show_card(inner: &Inner, settings: &CameraSettings) -> Option<Pipeline> {
    match Pipeline::card(settings, &inner.tracks, inner.progress.began) {
        Ok((pipeline, branches)) => {
            inner.connect(branches);
            Some(pipeline)
        }
        Err(reason) => {
            tracing::warn!(reason, "there is no card to show either");
            None
        }
    }
}

/// One pipeline, from start to end. A card that is shown stays until the first
/// picture.
fn live(
    inner: &Inner,
    settings: &CameraSettings,
    news: &DeviceNews,
    stop: &Stop,
    card: &mut Option<Pipeline>,
) -> End {
    let (pipeline, branches) = match Pipeline::start(settings, &inner.tracks, &inner.progress) {
        Ok(started) => started,
        Err(reason) => return End::Failed(reason),
    };
    let mut waiting = Some(branches);
    let mut appear = |card: &mut Option<Pipeline>| {
        if let Some(branches) = waiting.take() {
            if card.is_some() {
                inner.disconnect();
                *card = None;
            }
            inner.connect(branches);
        }
    };
    if card.is_none() {
        appear(card);
    }
    let end = follow(inner, &pipeline, news, stop, || appear(card));
    if card.is_none() {
        inner.disconnect();
    }
    end
}

/// Watches a pipeline; `pictures` is told each time that there were some.
fn follow(
    inner: &Inner,
    pipeline: &Pipeline,
    news: &DeviceNews,
    stop: &Stop,
    mut pictures: impl FnMut(),
) -> End {
    let mut pulse = Pulse::new(inner.progress.pictures.load(Relaxed), clock::now());
    loop {
        match pipeline.trouble(TICK) {
            Some(Trouble::FileEnded) => return End::FileEnded,
            Some(Trouble::Failed(reason)) => return End::Failed(reason),
            None => {}
        }
        if stop.is_set() {
            return End::Stopped;
        }
        match pulse.feel(inner.progress.pictures.load(Relaxed), clock::now()) {
            Ok(true) => {
                pictures();
                news.works();
            }
            Ok(false) => {}
            Err(reason) => return End::Failed(reason),
        }
        news.flush();
    }
}

/// Whether pictures keep coming.
struct Pulse {
    seen: u64,
    latest: Instant,
    patience: Duration,
}

impl Pulse {
    fn new(seen: u64, now: Instant) -> Self {
        Self {
            seen,
            latest: now,
            patience: FIRST,
        }
    }

    /// Whether pictures came since the latest look; an error once they stay away.
    fn feel(&mut self, pictures: u64, now: Instant) -> Result<bool, String> {
        if pictures > self.seen {
            (self.seen, self.latest, self.patience) = (pictures, now, STALL);
            return Ok(true);
        }
        if now.saturating_duration_since(self.latest) > self.patience {
            return Err(format!("no picture for {} s", self.patience.as_secs()));
        }
        Ok(false)
    }
}

/// What happened, to which thing, and what to do.
fn sentence(settings: &CameraSettings, reason: &str) -> String {
    match &settings.source {
        Source::Test => format!("the test picture stopped: {reason}"),
        Source::Trial(_) => format!("the camera on trial gives no picture: {reason}"),
        Source::V4l2(device) => {
            format!("the camera {device} gives no picture: {reason}; check its cable and name")
        }
        Source::Libcamera(id) => {
            let which = match id.is_empty() {
                true => "of libcamera",
                false => id,
            };
            format!(
                "the camera {which} gives no picture: {reason}; check its ribbon cable and that \
                 gstreamer1.0-libcamera is installed"
            )
        }
        Source::File(path) => format!(
            "the video file {} cannot be played: {reason}; check its name and format",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_stay_away_for_two_seconds_are_a_fault() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pulse = Pulse::new(100, start);
        // The first one may take five seconds.
        assert_eq!(pulse.feel(100, at(4_900)), Ok(false));
        assert_eq!(pulse.feel(101, at(4_950)), Ok(true));
        assert_eq!(pulse.feel(101, at(6_900)), Ok(false));
        assert_eq!(pulse.feel(101, at(7_000)), Err("no picture for 2 s".into()));
    }

    #[test]
    fn a_camera_that_never_gives_a_picture_is_a_fault_after_five_seconds() {
        let start = clock::now();
        let mut pulse = Pulse::new(0, start);
        let late = start + Duration::from_millis(5_001);
        assert_eq!(pulse.feel(0, late), Err("no picture for 5 s".into()));
    }
}
