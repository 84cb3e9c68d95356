//! One picture of the camera as a JPEG file: who stands at the door.
//!
//! Raw pictures are looked at, and one is encoded, only while somebody waits for one.
//! The first picture that is neither black nor torn is taken, once the camera's exposure
//! has settled; if it does not settle in time, the best one so far is.

use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout_at;

use super::{Camera, CameraSettings};
use crate::clock;

/// How long after the wish a picture is waited for that has settled: a sensor's control
/// of exposure takes a few pictures after the panel's light went on.
pub const SETTLING: Duration = Duration::from_millis(500);
/// How long for the first picture of all, if the camera is just coming back.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long the encoder may take; it takes some 10 ms for a picture of 720p.
const ENCODING: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// 0 to 100 as libjpeg counts: faces stay clear, 720p is some 100 kB.
const QUALITY: i32 = 85;

/// Luma (16 to 235) that a picture must reach somewhere, and in how many of a thousand
/// pixels: a night is dark, a covered or starting camera is black.
const DARK: u8 = 32;
const BRIGHT_PER_MILLE: usize = 5;
/// Change of the mean luma from one picture to the next up to which the exposure counts
/// as settled, and in how many pictures in a row.
const STEADY: f64 = 2.0;
const STEADY_PICTURES: u32 = 2;
/// Each so manieth row and column is looked at.
const STEP: usize = 8;
/// The part at the bottom that is of one value in a picture that was cut off in transfer.
const TAIL: usize = 8;

/// A picture, encoded.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// A JPEG file (JFIF, 4:2:0).
    pub jpeg: Bytes,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// From the wish to the picture.
    pub waited: Duration,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSnapshot {
    /// No picture came.
    #[error("the camera gave no picture for {0:?}; look for its fault in the log")]
    NoPicture(Duration),
    /// Those that came were black.
    #[error(
        "the camera's picture is black; check its lens, and whether there is light at the door"
    )]
    Black,
    /// It could not be encoded.
    #[error("the picture cannot be made a JPEG: {0}; gstreamer1.0-plugins-good has the encoder")]
    Encoder(String),
}

/// How good a picture is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    Torn,
    Unsettled,
    Good,
}

impl Camera {
    /// Takes a picture of who stands at the door now. Takes up to [`SETTLING`], and up
    /// to [`PATIENCE`] where the camera gives nothing; dropping it takes it back.
    ///
    /// # Errors
    ///
    /// See [`NoSnapshot`].
    pub async fn snapshot(&self) -> Result<Snapshot, NoSnapshot> {
        let asked = clock::now();
        let pictures = self.inner.progress.raw.subscribe();
        let settings = self.inner.settings.clone();
        let chosen = choose(pictures, &settings).await?;
        let waited = clock::now().saturating_duration_since(asked);
        let (width, height) = (settings.width, settings.height);
        let encoded = tokio::task::spawn_blocking(move || encode(chosen, &settings));
        let jpeg = match encoded.await {
            Ok(jpeg) => jpeg.map_err(NoSnapshot::Encoder)?,
            Err(error) => return Err(NoSnapshot::Encoder(error.to_string())),
        };
        Ok(Snapshot {
            jpeg,
            width,
            height,
            waited,
        })
    }
}

/// The first good picture of `pictures`.
async fn choose(
    mut pictures: broadcast::Receiver<gst::Buffer>,
    settings: &CameraSettings,
) -> Result<gst::Buffer, NoSnapshot> {
    let info = video_info(settings).map_err(NoSnapshot::Encoder)?;
    let asked = clock::now();
    let mut best: Option<(Quality, gst::Buffer)> = None;
    let mut judge = Judge::default();
    let mut came = false;
    loop {
        let until = if came { SETTLING } else { PATIENCE };
        let buffer = match timeout_at((asked + until).into(), pictures.recv()).await {
            Ok(Ok(buffer)) => buffer,
            // Newer ones are as good.
            Ok(Err(RecvError::Lagged(_))) => continue,
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        };
        came = true;
        let Some(quality) = judge.look(&buffer, &info) else {
            continue;
        };
        if best.as_ref().is_none_or(|(best, _)| quality >= *best) {
            best = Some((quality, buffer));
        }
        if quality == Quality::Good {
            break;
        }
    }
    match best {
        Some((_, buffer)) => Ok(buffer),
        None if came => Err(NoSnapshot::Black),
        None => Err(NoSnapshot::NoPicture(PATIENCE)),
    }
}

/// What was seen of the pictures so far.
#[derive(Debug, Default)]
struct Judge {
    mean: Option<f64>,
    /// Pictures in a row that were as bright as the one before.
    steady: u32,
}

impl Judge {
    /// How good a picture is; `None` is black, or no picture at all.
    fn look(&mut self, buffer: &gst::Buffer, info: &gst_video::VideoInfo) -> Option<Quality> {
        let cut = buffer
            .flags()
            .intersects(gst::BufferFlags::CORRUPTED | gst::BufferFlags::GAP);
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info).ok()?;
        let stride = usize::try_from(*frame.plane_stride().first()?).ok()?;
        let luma = frame.plane_data(0).ok()?;
        let (width, height) = (info.width() as usize, info.height() as usize);
        self.judge(
            Luma {
                luma,
                stride,
                width,
                height,
            },
            cut,
        )
    }

    fn judge(&mut self, picture: Luma<'_>, cut: bool) -> Option<Quality> {
        let seen = picture.measure(0..picture.height);
        let before = self.mean.replace(seen.mean);
        let steady = before.is_some_and(|before| (seen.mean - before).abs() <= STEADY);
        self.steady = if steady { self.steady + 1 } else { 0 };
        if seen.bright_per_mille < BRIGHT_PER_MILLE {
            return None;
        }
        let tail = picture.height - picture.height / TAIL;
        let varies = seen.darkest != seen.brightest;
        let ends_flat = {
            let end = picture.measure(tail..picture.height);
            end.darkest == end.brightest
        };
        Some(if cut || (varies && ends_flat) {
            Quality::Torn
        } else if self.steady < STEADY_PICTURES {
            Quality::Unsettled
        } else {
            Quality::Good
        })
    }
}

/// The brightness of a picture.
#[derive(Clone, Copy)]
struct Luma<'a> {
    luma: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

/// What [`Luma::measure`] saw.
struct Seen {
    mean: f64,
    darkest: u8,
    brightest: u8,
    bright_per_mille: usize,
}

impl Luma<'_> {
    fn measure(&self, rows: std::ops::Range<usize>) -> Seen {
        let (mut sum, mut count, mut bright) = (0_u64, 0, 0);
        let (mut darkest, mut brightest) = (u8::MAX, u8::MIN);
        for row in rows.step_by(STEP) {
            let begin = row * self.stride;
            let row = self.luma.get(begin..begin + self.width);
            for value in row.unwrap_or_default().iter().step_by(STEP) {
                sum += u64::from(*value);
                count += 1;
                bright += usize::from(*value > DARK);
                darkest = darkest.min(*value);
                brightest = brightest.max(*value);
            }
        }
        let count = count.max(1);
        Seen {
            mean: sum as f64 / count as f64,
            darkest,
            brightest,
            bright_per_mille: bright * 1000 / count,
        }
    }
}

pub(super) fn video_info(settings: &CameraSettings) -> Result<gst_video::VideoInfo, String> {
    let (width, height) = (settings.width, settings.height);
    gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
        .fps(gst::Fraction::new(
            i32::try_from(settings.fps).unwrap_or(30),
            1,
        ))
        .build()
        .map_err(|error| error.to_string())
}

/// Makes a JPEG file of a raw picture; blocks for some 10 ms.
fn encode(picture: gst::Buffer, settings: &CameraSettings) -> Result<Bytes, String> {
    let text = format!(
        "appsrc name=in format=time caps={} ! jpegenc quality={QUALITY} \
         ! appsink name=out sync=false max-buffers=1",
        settings.raw_caps()
    );
    let pipeline = gst::parse::launch(&text)
        .map_err(|error| error.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline".to_owned())?;
    let encoded = encode_in(&pipeline, picture);
    // One that cannot be taken down is of no further use.
    let _ = pipeline.set_state(gst::State::Null);
    encoded
}

fn encode_in(pipeline: &gst::Pipeline, picture: gst::Buffer) -> Result<Bytes, String> {
    let input = pipeline
        .by_name("in")
        .and_downcast::<gst_app::AppSrc>()
        .ok_or("no appsrc")?;
    let output = pipeline
        .by_name("out")
        .and_downcast::<gst_app::AppSink>()
        .ok_or("no appsink")?;
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|error| error.to_string())?;
    input
        .push_buffer(picture)
        .map_err(|error| error.to_string())?;
    let sample = output
        .try_pull_sample(ENCODING)
        .ok_or("the encoder gives nothing")?;
    let buffer = sample.buffer().ok_or("the encoder gives no data")?;
    let map = buffer.map_readable().map_err(|error| error.to_string())?;
    Ok(Bytes::copy_from_slice(&map))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;
    const HEIGHT: usize = 64;

    /// A picture that gets brighter from `from` on, downwards and to the right.
    fn gradient(from: u8) -> Vec<u8> {
        let pixel = |n: usize| from.saturating_add((n / WIDTH / 4 + n % WIDTH / 8) as u8);
        (0..WIDTH * HEIGHT).map(pixel).collect()
    }

    fn judge(judge: &mut Judge, luma: &[u8], cut: bool) -> Option<Quality> {
        let picture = Luma {
            luma,
            stride: WIDTH,
            width: WIDTH,
            height: HEIGHT,
        };
        judge.judge(picture, cut)
    }

    #[test]
    fn a_picture_is_good_once_its_brightness_stays() {
        let mut seen = Judge::default();
        for (from, quality) in [
            (200, Quality::Unsettled),
            (150, Quality::Unsettled),
            (100, Quality::Unsettled),
            (101, Quality::Unsettled),
            (100, Quality::Good),
            (140, Quality::Unsettled),
        ] {
            let luma = gradient(from);
            assert_eq!(judge(&mut seen, &luma, false), Some(quality), "{from}");
        }
    }

    #[test]
    fn black_is_no_picture_and_a_night_is_one() {
        let mut seen = Judge::default();
        let mut night = vec![17; WIDTH * HEIGHT];
        assert_eq!(judge(&mut seen, &night, false), None);
        // A lamp, and noise in the dark.
        night[..WIDTH * 8].fill(180);
        night[WIDTH * 60] = 18;
        night[WIDTH * 56] = 18;
        assert!(judge(&mut seen, &night, false).is_some());
    }

    #[test]
    fn a_picture_that_ends_in_one_value_or_is_marked_is_torn() {
        let mut seen = Judge::default();
        let whole = gradient(60);
        for _ in 0..3 {
            judge(&mut seen, &whole, false);
        }
        assert_eq!(judge(&mut seen, &whole, false), Some(Quality::Good));
        assert_eq!(judge(&mut seen, &whole, true), Some(Quality::Torn));
        let mut cut = whole.clone();
        cut[WIDTH * 40..].fill(0);
        assert_eq!(judge(&mut seen, &cut, false), Some(Quality::Torn));
    }

    #[test]
    fn rows_that_are_missing_are_not_looked_at() {
        let mut seen = Judge::default();
        assert_eq!(judge(&mut seen, &[], false), None);
    }
}
