//! Encoded pictures, looked at as a far end does.

use std::sync::Arc;

use doorstation::media::VideoCodec;
use doorstation::media::feed::VideoFrame;
use doorstation::media::gst::read_clock;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

fn decoder(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Vp8 => "vp8dec",
        VideoCodec::H264 => "h264parse ! openh264dec",
    }
}

/// Decodes whole frames with GStreamer; gives the clock of each picture.
pub(crate) fn clocks(codec: VideoCodec, frames: &[Arc<VideoFrame>]) -> Vec<Option<u32>> {
    let caps = match codec {
        VideoCodec::Vp8 => "video/x-vp8,width=1280,height=720,framerate=30/1",
        VideoCodec::H264 => "video/x-h264,stream-format=byte-stream,alignment=au,framerate=30/1",
    };
    let text = format!(
        "appsrc name=in format=time caps={caps} ! {} ! videoconvert \
         ! video/x-raw,format=I420 ! appsink name=out sync=false",
        decoder(codec)
    );
    let pipeline = gst::parse::launch(&text)
        .expect("a decoder")
        .downcast::<gst::Pipeline>()
        .expect("a pipeline");
    let source = pipeline
        .by_name("in")
        .and_downcast::<gst_app::AppSrc>()
        .expect("an appsrc");
    let sink = pipeline
        .by_name("out")
        .and_downcast::<gst_app::AppSink>()
        .expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    for frame in frames {
        let mut buffer = gst::Buffer::from_slice(frame.data.clone());
        let pts = gst::ClockTime::try_from(frame.pts).expect("a time");
        buffer.get_mut().expect("just made").set_pts(pts);
        source.push_buffer(buffer).expect("it takes the frame");
    }
    source.end_of_stream().expect("it takes the end");
    let mut clocks = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let map = sample
            .buffer()
            .expect("a buffer")
            .map_readable()
            .expect("memory");
        clocks.push(read_clock(&map, 1280));
    }
    pipeline.set_state(gst::State::Null).expect("it stops");
    clocks
}
