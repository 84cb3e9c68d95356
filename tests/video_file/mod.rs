//! A small video file, for cameras that play one.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

/// Far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One second of a test picture as a file, made with the library itself: the
/// tests need no command of GStreamer's.
pub(crate) fn make(path: &Path) {
    make_of(path, "videotestsrc num-buffers=30");
}

/// The same of what `source` draws, as `gst-launch` writes it.
pub(crate) fn make_of(path: &Path, source: &str) {
    gst::init().expect("GStreamer");
    // Written beside and renamed: the camera must not meet half a file.
    let part = path.with_extension("part");
    let pipeline = gst::parse::launch(&format!(
        "{source} ! video/x-raw,width=640,height=360,framerate=30/1 \
         ! vp8enc deadline=1 cpu-used=-16 target-bitrate=4000000 ! webmmux ! filesink name=out",
    ))
    .expect("a writer")
    .downcast::<gst::Pipeline>()
    .expect("a pipeline");
    let out = pipeline.by_name("out").expect("a sink");
    out.set_property("location", part.to_str().expect("UTF-8"));
    pipeline.set_state(gst::State::Playing).expect("it writes");
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let patience = gst::ClockTime::try_from(PATIENCE).expect("a time");
    let end = pipeline
        .bus()
        .and_then(|bus| bus.timed_pop_filtered(patience, &ends))
        .expect("it ends");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
    std::fs::rename(part, path).expect("same directory");
}
