//! What a picture of the camera looks like, in figures: for whoever asks whether the lens
//! is clean, the light is right and the focus is set.

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout_at;

use super::snapshot::{PATIENCE, SETTLING, video_info};
use super::{Camera, CameraSettings};
use crate::clock;

/// Luma of white is 235 (BT.601); from here on nothing is told apart any more.
const CLIPPED: u8 = 230;

/// A picture in figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appearance {
    /// The mean luma: 16 is black, 235 is white.
    pub brightness: f64,
    /// How much of the picture is as good as white, percent.
    pub clipped: f64,
    /// The standard deviation of luma: 0 is one even surface.
    pub contrast: f64,
    /// The variance of the Laplacian of the picture at half its size, over the variance
    /// of its luma: how sharp edges are, however strong they are. The half size takes
    /// the sensor's noise out. A picture with k upright edges in each line of n pixels,
    /// each smeared over w of them, has about 64 k / (n w^2).
    pub sharpness: f64,
}

impl Camera {
    /// Looks at a picture after the exposure had time to settle; `None` where none comes.
    pub async fn appearance(&self) -> Option<Appearance> {
        let pictures = self.inner.progress.raw.subscribe();
        latest(pictures, &self.inner.settings).await
    }
}

async fn latest(
    mut pictures: broadcast::Receiver<gst::Buffer>,
    settings: &CameraSettings,
) -> Option<Appearance> {
    let info = video_info(settings).ok()?;
    let asked = clock::now();
    let mut seen = None;
    loop {
        let until = asked + if seen.is_some() { SETTLING } else { PATIENCE };
        match timeout_at(until.into(), pictures.recv()).await {
            Ok(Ok(picture)) => seen = Some(picture),
            Ok(Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) | Err(_) => break,
        }
    }
    let seen = seen?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(&seen, &info).ok()?;
    let stride = usize::try_from(*frame.plane_stride().first()?).ok()?;
    let luma = frame.plane_data(0).ok()?;
    measure(luma, stride, info.width() as usize, info.height() as usize)
}

/// `None` for a plane that is smaller than it says, or than 6x6 pixels.
fn measure(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Appearance> {
    let (w, h) = (width / 2, height / 2);
    if w < 3 || h < 3 || stride < width || luma.len() < (height - 1) * stride + width {
        return None;
    }
    let (mut clipped, mut half) = (0_u32, Vec::with_capacity(w * h));
    for y in 0..h {
        let upper = &luma[2 * y * stride..][..width];
        let lower = &luma[(2 * y + 1) * stride..][..width];
        for (above, below) in upper.chunks_exact(2).zip(lower.chunks_exact(2)) {
            let four = [above[0], above[1], below[0], below[1]];
            clipped += u32::from(four.iter().all(|value| *value >= CLIPPED));
            half.push(f64::from(four.map(u32::from).iter().sum::<u32>()) / 4.0);
        }
    }
    let (brightness, spread) = moments(half.iter().copied());
    let laplacian = (1..h - 1).flat_map(|y| {
        let half = &half;
        (1..w - 1).map(move |x| {
            let at = y * w + x;
            half[at - 1] + half[at + 1] + half[at - w] + half[at + w] - 4.0 * half[at]
        })
    });
    let (_, edges) = moments(laplacian);
    Some(Appearance {
        brightness,
        clipped: f64::from(clipped) * 100.0 / (w * h) as f64,
        contrast: spread.sqrt(),
        sharpness: if spread > 0.0 { edges / spread } else { 0.0 },
    })
}

/// Mean and variance.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / f64::max(count, 1.0);
    (
        mean,
        (squares / f64::max(count, 1.0) - mean * mean).max(0.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 320;
    const HEIGHT: usize = 60;

    /// Five upright edges in each line, each smeared over `smear` pixels.
    fn bars(smear: usize) -> Vec<u8> {
        let pixel = |x: usize| {
            let (bar, within) = (x / 64, x % 64);
            let ramp = (within.min(smear) as f64) / smear as f64;
            let level = if bar % 2 == 0 { ramp } else { 1.0 - ramp };
            (60.0 + 100.0 * level) as u8
        };
        let row: Vec<u8> = (0..WIDTH).map(pixel).collect();
        row.repeat(HEIGHT)
    }

    fn of(luma: &[u8]) -> Appearance {
        measure(luma, WIDTH, WIDTH, HEIGHT).unwrap()
    }

    #[test]
    fn an_edge_is_the_less_sharp_the_wider_it_is_and_contrast_does_not_count() {
        let sharp = of(&bars(1));
        let soft = of(&bars(8));
        let blurred = of(&bars(32));
        assert!(sharp.sharpness > 4.0 * soft.sharpness, "{sharp:?} {soft:?}");
        assert!(soft.sharpness > 4.0 * blurred.sharpness, "{blurred:?}");
        let faint: Vec<u8> = bars(1).iter().map(|value| value / 2).collect();
        let ratio = of(&faint).sharpness / sharp.sharpness;
        assert!((0.9..=1.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn black_white_and_grey_are_told_apart() {
        let even = |value| of(&vec![value; WIDTH * HEIGHT]);
        assert_eq!((even(16).brightness, even(16).clipped), (16.0, 0.0));
        assert_eq!((even(235).brightness, even(235).clipped), (235.0, 100.0));
        let grey = even(128);
        assert_eq!((grey.contrast, grey.sharpness), (0.0, 0.0));
    }

    #[test]
    fn a_picture_that_is_too_small_is_none() {
        assert_eq!(measure(&[0; 100], 10, 10, 11), None);
        assert_eq!(measure(&[0; 16], 4, 4, 4), None);
    }
}
