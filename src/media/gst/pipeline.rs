//! One life of the capture pipeline, from start to failure.
//!
//! ```text
//!  source --> I420 --> tee --+--> valve --> queue --> scale --> vp8enc  --> appsink --> broadcast
//!                            +--> valve --> queue --> scale --> x264enc --> appsink --> broadcast
//! ```
//!
//! The valves stand before the queues: behind a closed one nothing is copied, no
//! thread wakes. The queues hold one picture and drop the older, so that a slow
//! encoder costs pictures and never delay.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::card;
use super::clock_picture::{ClockPicture, Plane};
use super::quality::Quality;
use super::trial::{Conduct, Switch};
use super::{CameraSettings, Progress, Source, Track};
use crate::clock;
use crate::media::VideoCodec;
use crate::media::feed::VideoFrame;

/// Name of the message that the end of a file becomes: the real one would need
/// open valves to reach the bus.
const FILE_ENDED: &str = "doorstation-file-ended";

/// How long to look for the reason of a failed start: it is on the bus already,
/// but no time at all would not look.
const ERROR_PATIENCE: Duration = Duration::from_millis(200);

/// A source that we draw into.
const DRAWN: &str = "videotestsrc name=source is-live=true pattern=solid-color";

/// What a camera on trial says that is not there.
const MISSING: &str = "it is not there";

/// What ended or troubled a pipeline.
#[derive(Debug, PartialEq)]
pub(super) enum Trouble {
    /// The file was played to its end.
    FileEnded,
    /// It cannot go on, for this reason.
    Failed(String),
}

/// A pipeline that was started; dropping it takes it down.
#[derive(Debug)]
pub(super) struct Pipeline {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
}

/// The controls of one codec's branch.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    valve: gst::Element,
    /// The caps behind the scaler.
    size: gst::Element,
    encoder: gst::Element,
    sink: gst_app::AppSink,
    /// One of so many pictures is encoded.
    every: Arc<AtomicU64>,
}

impl Branch {
    /// Lets pictures through; the first one that follows is a key frame.
    pub(super) fn open(&self) {
        // The request goes first, so that no picture slips in before it.
        self.request_key_frame();
        self.valve.set_property("drop", false);
    }

    /// Stops pictures before the encoder.
    pub(super) fn close(&self) {
        self.valve.set_property("drop", true);
    }

    /// Gives pictures another size and rate; `resizes` where the encoder takes it.
    pub(super) fn shape(&self, quality: Quality, settings: &CameraSettings, resizes: bool) {
        self.every.store(quality.every(), Relaxed);
        if resizes {
            let (width, height) = quality.size(settings);
            let caps = gst::Caps::builder("video/x-raw")
                .field("width", width as i32)
                .field("height", height as i32)
                .build();
            self.size.set_property("caps", caps);
        }
    }

    /// Sets the encoder's rate, bits a second.
    pub(super) fn set_bitrate(&self, element: &str, bits: u32, quality: Quality) {
        // Only libvpx looks at the time of each picture; the others count on the
        // rate in the caps, and would give half of the bits at half of the rate.
        let counted = bits.saturating_mul(quality.every() as u32);
        match element {
            "vp8enc" => self.encoder.set_property("target-bitrate", bits as i32),
            "x264enc" => self.encoder.set_property("bitrate", counted / 1000),
            "openh264enc" => self.encoder.set_property("bitrate", counted),
            "v4l2h264enc" => {
                let controls = gst::Structure::builder("controls")
                    .field("video_bitrate", counted as i32)
                    .build();
                self.encoder.set_property("extra-controls", controls);
            }
            _ => tracing::debug!(element, "this encoder's rate cannot be set"),
        }
    }

    /// Asks the encoder to make its next picture a key frame.
    pub(super) fn request_key_frame(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        // Not handled means that there is no encoder yet: it begins with one.
        let _ = self.sink.send_event(event);
    }
}

impl Pipeline {
    /// Builds and starts the pipeline; its valves are closed.
    ///
    /// # Errors
    ///
    /// The reason, when it cannot even start; most troubles show later, in
    /// [`Pipeline::trouble`].
    pub(super) fn start(
        settings: &CameraSettings,
        tracks: &[Arc<Track>],
        progress: &Arc<Progress>,
    ) -> Result<(Self, Vec<(VideoCodec, Branch)>), String> {
        if let Source::Trial(switch) = &settings.source
            && switch.conduct() == Conduct::Missing
        {
            return Err(MISSING.to_owned());
        }
        let source = source_text(settings);
        let this = Self::build(&source, settings, tracks)?;
        this.set_source(settings)?;
        this.play(tracks, progress)
    }

    /// Builds and starts the pipeline of the card that stands for a lost picture,
    /// with the same encoders; its pictures are not counted as the camera's. `began` is
    /// when the camera's time began.
    ///
    /// # Errors
    ///
    /// As of [`Pipeline::start`].
    pub(super) fn card(
        settings: &CameraSettings,
        tracks: &[Arc<Track>],
        began: Instant,
    ) -> Result<(Self, Vec<(VideoCodec, Branch)>), String> {
        let settings = &CameraSettings {
            fps: card::FPS,
            ..settings.clone()
        };
        let this = Self::build(DRAWN, settings, tracks)?;
        let (width, height) = (settings.width as usize, settings.height as usize);
        this.draw(settings, move |luma, chroma| {
            card::draw(width, height, luma, chroma);
        })?;
        this.play(tracks, &Arc::new(Progress::new(began)))
    }

    /// The pipeline as text, from `source` to an `appsink` for each track.
    fn build(
        source: &str,
        settings: &CameraSettings,
        tracks: &[Arc<Track>],
    ) -> Result<Self, String> {
        let mut text = format!("{source} ! {} ! tee name=tee", settings.raw_caps());
        for track in tracks {
            let codec = codec_name(track.encoder.codec);
            let CameraSettings { width, height, .. } = settings;
            text.push_str(&format!(
                " tee. ! valve name=valve-{codec} drop=true \
                 ! queue max-size-buffers=1 max-size-bytes=0 max-size-time=0 leaky=downstream \
                 ! videoscale name=scale-{codec} ! capsfilter name=size-{codec} \
                 caps=video/x-raw,width={width},height={height} ! {} ! appsink name=sink-{codec} sync=false async=false max-buffers=4 \
                 enable-last-sample=false qos=false",
                track.encoder.launch
            ));
        }
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| error.to_string())?
            .downcast::<gst::Pipeline>()
            .map_err(|_| "the description is not a pipeline".to_owned())?;
        let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
        Ok(Self { pipeline, bus })
    }

    /// Connects what is counted and what comes out, and starts.
    fn play(
        self,
        tracks: &[Arc<Track>],
        progress: &Arc<Progress>,
    ) -> Result<(Self, Vec<(VideoCodec, Branch)>), String> {
        let this = self;
        this.count_pictures(progress)?;
        let base = clock::now().saturating_duration_since(progress.began);
        let mut branches = Vec::new();
        for track in tracks {
            branches.push((track.encoder.codec, this.branch(track, base)?));
        }
        if this.pipeline.set_state(gst::State::Playing).is_err() {
            return Err(match this.trouble(ERROR_PATIENCE) {
                Some(Trouble::Failed(reason)) => reason,
                _ => "it does not start".to_owned(),
            });
        }
        Ok((this, branches))
    }

    /// Waits up to `patience` for something that ends this pipeline.
    pub(super) fn trouble(&self, patience: Duration) -> Option<Trouble> {
        let message = self.bus.timed_pop_filtered(
            gst::ClockTime::try_from(patience).ok(),
            &[
                gst::MessageType::Error,
                gst::MessageType::Eos,
                gst::MessageType::Application,
            ],
        )?;
        match message.view() {
            gst::MessageView::Error(_) => Some(Trouble::Failed(
                super::error_text(&message).unwrap_or_else(|| "unknown error".to_owned()),
            )),
            gst::MessageView::Eos(_) => Some(Trouble::Failed("the stream ended".to_owned())),
            gst::MessageView::Application(news) => news
                .structure()
                .is_some_and(|structure| structure.name() == FILE_ENDED)
                .then_some(Trouble::FileEnded),
            _ => None,
        }
    }

    fn element(&self, name: &str) -> Result<gst::Element, String> {
        self.pipeline
            .by_name(name)
            .ok_or_else(|| format!("the pipeline has no {name}"))
    }

    fn static_pad(&self, element: &str, pad: &str) -> Result<gst::Pad, String> {
        self.element(element)?
            .static_pad(pad)
            .ok_or_else(|| format!("{element} has no pad {pad}"))
    }

    /// Device and file names are properties, never pipeline text.
    fn set_source(&self, settings: &CameraSettings) -> Result<(), String> {
        let source = self.element("source")?;
        match &settings.source {
            Source::Test => self.draw_clock(settings)?,
            Source::Trial(switch) => {
                self.draw_clock(settings)?;
                self.obey(switch)?;
            }
            Source::V4l2(device) => source.set_property("device", device),
            // Without a name it takes the first.
            Source::Libcamera(id) if id.is_empty() => {}
            Source::Libcamera(id) => source.set_property("camera-name", id),
            Source::File(path) => {
                let path = path.to_str().ok_or("the file's name is not UTF-8")?;
                source.set_property("location", path);
            }
        }
        Ok(())
    }

    /// Draws the test picture into what `videotestsrc` made.
    fn draw_clock(&self, settings: &CameraSettings) -> Result<(), String> {
        let (width, height) = (settings.width, settings.height);
        let picture = ClockPicture::new(width as usize, height as usize);
        let count = AtomicU64::new(0);
        self.draw(settings, move |luma, chroma| {
            picture.draw(luma, chroma, count.fetch_add(1, Relaxed), clock::wall);
        })
    }

    /// Draws with `draw` into what `videotestsrc` made.
    fn draw(
        &self,
        settings: &CameraSettings,
        draw: impl Fn(Plane<'_>, [Plane<'_>; 2]) + Send + Sync + 'static,
    ) -> Result<(), String> {
        let (width, height) = (settings.width, settings.height);
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
            .build()
            .map_err(|error| error.to_string())?;
        let pad = self.static_pad("source", "src")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, probe| {
            if let Some(buffer) = probe.buffer_mut() {
                let frame =
                    gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), &info);
                if let Ok(mut frame) = frame {
                    let [luma, u, v] = planes(&mut frame);
                    draw(luma, [u, v]);
                }
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    /// Lets a camera on trial fail as its switch says.
    fn obey(&self, switch: &Switch) -> Result<(), String> {
        let (switch, bus) = (switch.clone(), self.bus.clone());
        let pad = self.static_pad("source", "src")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            match switch.conduct() {
                Conduct::Works => return gst::PadProbeReturn::Ok,
                Conduct::Hangs => {}
                Conduct::Missing => {
                    let error = gst::message::Error::new(gst::ResourceError::Read, MISSING);
                    // Only a bus that is going down refuses.
                    let _ = bus.post(error);
                }
            }
            // Not `Drop`: see `thin_out`.
            gst::PadProbeReturn::Handled
        });
        Ok(())
    }

    /// Counts the raw pictures, and turns the end of a file into a message.
    fn count_pictures(&self, progress: &Arc<Progress>) -> Result<(), String> {
        let pad = self.static_pad("tee", "sink")?;
        let progress = progress.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, probe| {
            progress.picture(probe.buffer());
            gst::PadProbeReturn::Ok
        });
        let bus = self.bus.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, probe| {
            let ended = probe
                .event()
                .is_some_and(|event| event.type_() == gst::EventType::Eos);
            if ended {
                let structure = gst::Structure::new_empty(FILE_ENDED);
                // Only a bus that is going down refuses, and then nobody cares.
                let _ = bus.post(gst::message::Application::new(structure));
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    /// Connects one codec's branch to its followers. `base` is the age of the
    /// camera when this pipeline starts: it keeps time growing over restarts.
    fn branch(&self, track: &Arc<Track>, base: Duration) -> Result<Branch, String> {
        let codec = codec_name(track.encoder.codec);
        let valve = self.element(&format!("valve-{codec}"))?;
        let sink = self
            .element(&format!("sink-{codec}"))?
            .downcast::<gst_app::AppSink>()
            .map_err(|_| "the sink is no appsink".to_owned())?;
        self.time_encoder(track)?;
        let every = self.thin_out(codec)?;
        let size = self.element(&format!("size-{codec}"))?;
        let encoder = self.element(super::Encoder::element_name(track.encoder.codec))?;
        let track = track.clone();
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let Some(frame) = frame(track.encoder.codec, &sample, base) {
                        track.publish(frame);
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        Ok(Branch {
            valve,
            size,
            encoder,
            sink,
            every,
        })
    }

    /// Lets one of so many pictures pass to the scaler; 1 to begin with.
    fn thin_out(&self, codec: &str) -> Result<Arc<AtomicU64>, String> {
        let every = Arc::new(AtomicU64::new(1));
        let (chosen, seen) = (every.clone(), AtomicU64::new(0));
        let pad = self.static_pad(&format!("scale-{codec}"), "sink")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let count = seen.fetch_add(1, Relaxed);
            if count.is_multiple_of(chosen.load(Relaxed).max(1)) {
                gst::PadProbeReturn::Ok
            } else {
                // Not `Drop`: it would free the picture twice (gstreamer 0.25.4).
                gst::PadProbeReturn::Handled
            }
        });
        Ok(every)
    }

    /// Notes when a picture enters the encoder; [`Track::publish`] notes when it
    /// is out.
    fn time_encoder(&self, track: &Arc<Track>) -> Result<(), String> {
        let name = super::Encoder::element_name(track.encoder.codec);
        let pad = self.static_pad(name, "sink")?;
        let track = track.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            track.entered.store(track.clock_ns(), Relaxed);
            track.encoded_in.fetch_add(1, Relaxed);
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("camera pipeline does not stop cleanly");
        }
    }
}

fn source_text(settings: &CameraSettings) -> String {
    let CameraSettings {
        width, height, fps, ..
    } = *settings;
    let fit = "videorate drop-only=true ! videoscale ! videoconvert";
    match settings.source {
        Source::Test | Source::Trial(_) => DRAWN.to_owned(),
        // Uncompressed or JPEG, whichever the camera has at this size; else
        // whatever it gives.
        Source::V4l2(_) => {
            let wanted = format!("width={width},height={height},framerate={fps}/1");
            format!(
                "v4l2src name=source ! capsfilter caps=\"video/x-raw,{wanted};image/jpeg,{wanted};\
                 video/x-raw;image/jpeg\" ! decodebin ! {fit}"
            )
        }
        // Its element may come from a package of its own: without that the pipeline cannot
        // be made, and the fault says which element is missing.
        Source::Libcamera(_) => {
            let wanted = format!("width={width},height={height},framerate={fps}/1");
            format!(
                "libcamerasrc name=source ! capsfilter caps=\"video/x-raw,{wanted};video/x-raw\" \
                 ! queue leaky=downstream max-size-buffers=2 ! {fit}"
            )
        }
        Source::File(_) => {
            let fit = "videorate ! videoscale ! videoconvert";
            format!(
                "filesrc name=source ! decodebin ! {fit} ! {} ! clocksync",
                settings.raw_caps()
            )
        }
    }
}

fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "vp8",
        VideoCodec::H264 => "h264",
    }
}

/// The planes of an I420 picture.
fn planes<'a>(frame: &'a mut gst_video::VideoFrameRef<&mut gst::BufferRef>) -> [Plane<'a>; 3] {
    let strides = [0, 1, 2].map(|plane| frame.plane_stride()[plane] as usize);
    let [luma, u, v, _] = frame.planes_data_mut();
    [(luma, strides[0]), (u, strides[1]), (v, strides[2])]
        .map(|(data, stride)| Plane { data, stride })
}

/// The encoded picture of a sample; its bytes stay where the encoder put them.
fn frame(codec: VideoCodec, sample: &gst::Sample, base: Duration) -> Option<VideoFrame> {
    let buffer = sample.buffer_owned()?;
    let running = sample
        .segment()?
        .downcast_ref::<gst::ClockTime>()?
        .to_running_time(buffer.pts()?)?;
    let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    let mapped = buffer.into_mapped_buffer_readable().ok()?;
    Some(VideoFrame {
        codec,
        data: Bytes::from_owner(mapped),
        pts: base + Duration::from(running),
        encoded: clock::now(),
        key,
    })
}
