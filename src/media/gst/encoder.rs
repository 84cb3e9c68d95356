//! Which encoder for which codec: a ranking, and a probe that really encodes.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use tracing::{debug, info, warn};

use super::CameraSettings;
use crate::media::VideoCodec;

/// Pictures between key frames that nobody asked for: five minutes at 30 a
/// second. Key frames cost ten times a normal picture, so they come on request.
const KEY_FRAME_DISTANCE: u32 = 9_000;
/// How long an encoder may take for its first picture: hardware has to load
/// firmware.
const PROBE_PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(4);

/// An encoder that proved to work here.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pub(super) codec: VideoCodec,
    /// The GStreamer element.
    pub(super) element: &'static str,
    /// Pipeline text from raw pictures to `appsink`; the encoder itself is named
    /// by [`Encoder::element_name`].
    pub(super) launch: String,
}

impl Encoder {
    /// The best working encoder of each codec, in the order in which codecs are
    /// offered. What is missing is left out, with a line in the log.
    pub(super) fn probe_all(settings: &CameraSettings) -> Vec<Self> {
        [VideoCodec::Vp8, VideoCodec::H264]
            .into_iter()
            .filter_map(|codec| Self::probe(codec, settings))
            .collect()
    }

    /// The name of the encoder's element in a pipeline.
    pub(super) fn element_name(codec: VideoCodec) -> &'static str {
        match codec {
            VideoCodec::Vp8 => "encoder-vp8",
            VideoCodec::H264 => "encoder-h264",
        }
    }

    /// Whether it takes pictures of another size while it runs. The kernel's
    /// encoders would have to be opened anew, and not every driver can.
    pub(super) fn resizes(&self) -> bool {
        self.element != "v4l2h264enc"
    }

    fn probe(codec: VideoCodec, settings: &CameraSettings) -> Option<Self> {
        for encoder in Self::ranking(codec, settings) {
            let element = encoder.element;
            if gst::ElementFactory::find(element).is_none() {
                debug!(?codec, element, "encoder is not installed");
                continue;
            }
            match encoder.encode_one(settings) {
                Ok(()) => {
                    info!(?codec, element, "encoder chosen: it encoded a test picture");
                    return Some(encoder);
                }
                Err(reason) => info!(?codec, element, reason, "encoder does not work here"),
            }
        }
        warn!(?codec, "no encoder: this codec is not offered");
        None
    }

    /// Hardware first, then the cheapest software.
    fn ranking(codec: VideoCodec, settings: &CameraSettings) -> Vec<Self> {
        let name = Self::element_name(codec);
        let bits = settings.bitrate;
        let kbits = bits / 1000;
        let distance = KEY_FRAME_DISTANCE;
        let threads = encoder_threads();
        let h264 = "video/x-h264,profile=constrained-baseline,\
                    stream-format=byte-stream,alignment=au";
        let candidates = match codec {
            // A negative cpu-used is a fixed speed; positive ones adapt and are
            // thirty times slower. max-intra-bitrate (per cent of a picture's
            // share) keeps a key frame below about 40 kB.
            VideoCodec::Vp8 => vec![(
                "vp8enc",
                format!(
                    "vp8enc name={name} deadline=1 cpu-used=-16 threads={threads} \
                     end-usage=cbr target-bitrate={bits} keyframe-max-dist={distance} \
                     error-resilient=default static-threshold=1 max-intra-bitrate=600 \
                     min-quantizer=2 max-quantizer=56 undershoot=95 \
                     buffer-initial-size=300 buffer-optimal-size=400 buffer-size=600"
                ),
            )],
            VideoCodec::H264 => vec![
                (
                    "v4l2h264enc",
                    format!(
                        "v4l2h264enc name={name} extra-controls=\"controls,\
                         repeat_sequence_header=1,video_bitrate={bits},\
                         h264_i_frame_period={distance}\" \
                         ! video/x-h264,level=(string)4,profile=constrained-baseline \
                         ! h264parse config-interval=-1 ! {h264}"
                    ),
                ),
                // vbv-buf-capacity (ms) bounds the size of a key frame.
                (
                    "x264enc",
                    format!(
                        "x264enc name={name} tune=zerolatency speed-preset=ultrafast bframes=0 \
                         threads={threads} key-int-max={distance} bitrate={kbits} \
                         vbv-buf-capacity=300 ! {h264}"
                    ),
                ),
                (
                    "openh264enc",
                    format!(
                        "openh264enc name={name} complexity=low rate-control=bitrate \
                         bitrate={bits} max-bitrate={bits} gop-size={distance} \
                         multi-thread={threads} \
                         ! h264parse config-interval=-1 ! {h264}"
                    ),
                ),
            ],
        };
        candidates
            .into_iter()
            .map(|(element, launch)| Self {
                codec,
                element,
                launch,
            })
            .collect()
    }

    /// Encodes a few pictures of the real size and waits for the first.
    fn encode_one(&self, settings: &CameraSettings) -> Result<(), String> {
        let text = format!(
            "videotestsrc num-buffers=5 pattern=solid-color ! {} ! {} \
             ! appsink name=out sync=false",
            settings.raw_caps(),
            self.launch
        );
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| error.to_string())?
            .downcast::<gst::Pipeline>()
            .map_err(|_| "not a pipeline".to_owned())?;
        let encoded = pull_one(&pipeline);
        // A probe that cannot be taken down is of no further use.
        let _ = pipeline.set_state(gst::State::Null);
        encoded
    }
}

fn pull_one(pipeline: &gst::Pipeline) -> Result<(), String> {
    let out = pipeline
        .by_name("out")
        .and_downcast::<gst_app::AppSink>()
        .ok_or("no appsink")?;
    let started = pipeline.set_state(gst::State::Playing);
    if started.is_ok() && out.try_pull_sample(PROBE_PATIENCE).is_some() {
        return Ok(());
    }
    let error = pipeline
        .bus()
        .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    Err(error
        .as_deref()
        .and_then(super::error_text)
        .unwrap_or_else(|| {
            let patience = Duration::from(PROBE_PATIENCE);
            format!("no picture within {} s", patience.as_secs())
        }))
}

/// One thread encodes 720p30 on every target; two where four cores wait for
/// work. More only adds wake-ups.
fn encoder_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores >= 4 { 2 } else { 1 }
}
