//! Encoded pictures, looked at as a far end does.

use std::sync::Arc;

use bytes::Bytes;
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
    let buffers = frames.iter().map(|frame| {
        let mut buffer = gst::Buffer::from_slice(frame.data.clone());
        let pts = gst::ClockTime::try_from(frame.pts).expect("a time");
        buffer.get_mut().expect("just made").set_pts(pts);
        buffer
    });
    let mut clocks = Vec::new();
    decode(caps, decoder(codec), "", buffers, |picture| {
        clocks.push(read_clock(picture, 1280));
    });
    clocks
}

/// Decodes a JPEG file of this size, in pixels; gives the clock of the picture.
pub(crate) fn still(jpeg: &Bytes, (width, height): (u32, u32)) -> Option<u32> {
    let size = format!(",width={width},height={height}");
    let mut clock = None;
    let buffer = gst::Buffer::from_slice(jpeg.clone());
    decode("image/jpeg", "jpegdec", &size, [buffer], |picture| {
        clock = read_clock(picture, width as usize);
    });
    clock
}

/// Decodes `buffers` of `caps`; gives each picture (I420, of this size if it is given).
fn decode(
    caps: &str,
    decoder: &str,
    size: &str,
    buffers: impl IntoIterator<Item = gst::Buffer>,
    mut picture: impl FnMut(&[u8]),
) {
    let text = format!(
        "appsrc name=in format=time caps={caps} ! {decoder} ! videoconvert \
         ! video/x-raw,format=I420{size} ! appsink name=out sync=false"
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
    for buffer in buffers {
        source.push_buffer(buffer).expect("it takes the frame");
    }
    source.end_of_stream().expect("it takes the end");
    while let Ok(sample) = sink.pull_sample() {
        let map = sample
            .buffer()
            .expect("a buffer")
            .map_readable()
            .expect("memory");
        picture(&map);
    }
    pipeline.set_state(gst::State::Null).expect("it stops");
}
