//! The camera with real GStreamer: pictures, key frames, faults.

#![expect(clippy::print_stdout, reason = "tests print what they measured")]

mod decoded;
mod video_file;

use std::sync::Arc;
use std::time::Duration;

use decoded::clocks;
use doorstation::call::{Device, Input};
use doorstation::clock;
use doorstation::media::VideoCodec;
use doorstation::media::feed::{PictureFeed, Pictures, VideoFrame};
use doorstation::media::gst::trial::{Conduct, Switch};
use doorstation::media::gst::{Camera, CameraSettings, NoSnapshot, PATIENCE, Source, clock_value};
use doorstation::tasks::Tasks;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far more than anything here takes; a slow machine is slow, not red.
const GENEROUS: Duration = Duration::from_secs(30);

struct Rig {
    camera: Camera,
    news: mpsc::Receiver<Input>,
    tasks: Tasks,
}

fn start(source: Source) -> Rig {
    let (inbox, news) = mpsc::channel(16);
    let tasks = Tasks::new();
    let camera = Camera::start(CameraSettings::new(source), inbox, &tasks).expect("a camera");
    Rig {
        camera,
        news,
        tasks,
    }
}

impl Rig {
    fn figure(&self, name: &str) -> f64 {
        self.camera.figures()[name]
    }

    async fn stop(self) {
        timeout(GENEROUS, self.tasks.stop())
            .await
            .expect("the camera's thread ends");
    }

    async fn next_news(&mut self) -> Input {
        timeout(GENEROUS, self.news.recv())
            .await
            .expect("news in time")
            .expect("the camera lives")
    }
}

async fn next(feed: &mut PictureFeed) -> Arc<VideoFrame> {
    loop {
        if let Some(frame) = next_or_lag(feed).await {
            return frame;
        }
    }
}

/// The next picture; `None` if this test was too slow for some before it.
async fn next_or_lag(feed: &mut PictureFeed) -> Option<Arc<VideoFrame>> {
    match timeout(GENEROUS, feed.next()).await.expect("a picture") {
        Ok(frame) => Some(frame),
        Err(RecvError::Lagged(_)) => None,
        Err(error) => panic!("the feed closed: {error}"),
    }
}

/// Follows the feed, window after window of two seconds, until one has 25 pictures
/// a second; gives the best rate and what that window brought. On a busy machine
/// the first windows may have less.
async fn best_window(
    camera: &Camera,
    codec: VideoCodec,
    feed: &mut PictureFeed,
) -> (f64, Vec<Arc<VideoFrame>>) {
    let (began, mut best) = (clock::now(), (0.0_f64, Vec::new()));
    while best.0 < 25.0 && began.elapsed() < GENEROUS {
        camera.request_key_frame(codec);
        let mut frames = vec![next(feed).await];
        while !frames[0].key {
            frames[0] = next(feed).await;
        }
        let window = clock::now();
        while window.elapsed() < Duration::from_secs(2) {
            match next_or_lag(feed).await {
                Some(frame) => frames.push(frame),
                None => break,
            }
        }
        let rate = (frames.len() - 1) as f64 / window.elapsed().as_secs_f64();
        if rate > best.0 {
            best = (rate, frames);
        }
    }
    best
}

async fn codec_serves(codec: VideoCodec) {
    let rig = start(Source::Test);
    assert!(rig.camera.codecs().contains(&codec), "{codec:?} is offered");
    let asked = clock::now();
    let mut feed = rig.camera.subscribe(codec);
    let first = next(&mut feed).await;
    let cold = asked.elapsed();
    assert!(first.key, "the first picture is a key frame");
    drop(feed);

    // Warm: the pipeline runs, the valve was closed.
    let asked = clock::now();
    let mut feed = rig.camera.subscribe(codec);
    assert!(next(&mut feed).await.key, "again a key frame first");
    let warm = asked.elapsed();
    let (rate, frames) = best_window(&rig.camera, codec, &mut feed).await;
    let keys = frames.iter().filter(|frame| frame.key).count();
    assert_eq!(keys, 1, "no key frame that nobody asked for");
    assert!(frames.is_sorted_by_key(|frame| frame.pts));

    // The clock in the picture is the time at which it was made.
    let clocks = clocks(codec, &frames);
    assert_eq!(clocks.len(), frames.len());
    let now = clock_value(clock::wall());
    let mut previous = None;
    for clock in &clocks {
        let clock = clock.expect("black and white blocks");
        assert!(
            now.wrapping_sub(clock) & 0xff_ffff < 60_000,
            "{clock} of {now}"
        );
        assert!(previous <= Some(clock) || now < 60_000, "time goes on");
        previous = Some(clock);
    }
    let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
    println!(
        "{codec:?} by {:?}: {rate:.1}/s, first picture cold {cold:?}, warm {warm:?}, key {} B, \
         {:.0} kb/s, encode {:.2} ms",
        rig.camera.encoder(codec),
        frames[0].data.len(),
        bytes as f64 * 8.0 * rate / frames.len() as f64 / 1000.0,
        rig.figure(if codec == VideoCodec::Vp8 {
            "vp8_encode_ms"
        } else {
            "h264_encode_ms"
        }),
    );
    assert!(rate >= 25.0, "{rate} pictures a second");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vp8_gives_25_pictures_a_second_that_show_the_time() {
    codec_serves(VideoCodec::Vp8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_gives_25_pictures_a_second_that_show_the_time() {
    codec_serves(VideoCodec::H264).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_frame_that_is_asked_for_comes_within_five_pictures() {
    let rig = start(Source::Test);
    for codec in rig.camera.codecs() {
        let mut feed = rig.camera.subscribe(codec);
        for _ in 0..10 {
            next(&mut feed).await;
        }
        rig.camera.request_key_frame(codec);
        let mut seen = 0;
        while !next(&mut feed).await.key {
            seen += 1;
            assert!(seen < 5, "{codec:?}: no key frame");
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_that_nobody_follows_costs_nothing() {
    let rig = start(Source::Test);
    let until = |wanted: f64| {
        let camera = rig.camera.clone();
        async move {
            while camera.figures()["camera_frames"] < wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    timeout(GENEROUS, until(30.0)).await.expect("it captures");
    assert_eq!(rig.figure("vp8_encoder_in"), 0.0);
    assert_eq!(rig.figure("h264_encoder_in"), 0.0);

    let mut feed = rig.camera.subscribe(VideoCodec::Vp8);
    next(&mut feed).await;
    let second = rig.camera.subscribe(VideoCodec::Vp8);
    drop(feed);
    let encoded = rig.figure("vp8_encoder_in");
    let mut second = second;
    next(&mut second).await;
    next(&mut second).await;
    assert!(
        rig.figure("vp8_encoder_in") > encoded,
        "one feed still lives"
    );
    drop(second);
    // What was in the queue and in the encoder may still pass.
    let captured = rig.figure("camera_frames");
    timeout(GENEROUS, until(captured + 3.0))
        .await
        .expect("it captures");
    let encoded = rig.figure("vp8_encoder_in");
    timeout(GENEROUS, until(captured + 33.0))
        .await
        .expect("it captures");
    assert_eq!(rig.figure("vp8_encoder_in"), encoded);
    assert_eq!(rig.figure("h264_encoder_in"), 0.0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_a_fault_until_it_appears_and_then_plays_in_a_loop() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("door.webm");
    let mut rig = start(Source::File(path.clone()));
    let mut feed = rig.camera.subscribe(VideoCodec::Vp8);
    let Input::Device(Device::Camera, Some(reason)) = rig.next_news().await else {
        panic!("a fault of the camera");
    };
    println!("{reason}");
    assert!(
        reason.contains("door.webm") && reason.contains("found"),
        "{reason}"
    );

    video_file::make(&path);
    assert_eq!(rig.next_news().await, Input::Device(Device::Camera, None));
    // The file lasts a second: 70 pictures are two loops and a bit.
    let mut latest = Duration::ZERO;
    // What is left of the card, which was shown until now.
    let mut frame = next(&mut feed).await;
    while !(frame.key && vp8_size(&frame) == (1280, 720)) {
        frame = next(&mut feed).await;
    }
    for _ in 0..70 {
        let frame = next(&mut feed).await;
        assert!(frame.pts > latest, "time goes on over the loop");
        latest = frame.pts;
    }
    assert!(rig.news.try_recv().is_err(), "a loop is no fault");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_video_is_a_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "milk, bread\n".repeat(1000)).expect("a file");
    let mut rig = start(Source::File(path));
    let Input::Device(Device::Camera, Some(reason)) = rig.next_news().await else {
        panic!("a fault of the camera");
    };
    println!("{reason}");
    assert!(reason.contains("notes.txt"));
    rig.stop().await;
}

/// A camera that fails while somebody looks, as `conduct` says, and comes back.
async fn lost_and_found(conduct: Conduct) {
    let switch = Switch::default();
    let mut rig = start(Source::Trial(switch.clone()));
    let mut feed = rig.camera.subscribe(VideoCodec::Vp8);
    assert!(next(&mut feed).await.key);

    switch.set(conduct);
    let Input::Device(Device::Camera, Some(reason)) = rig.next_news().await else {
        panic!("a fault of the camera");
    };
    println!("{reason}");
    // What was under way before the card comes first.
    let mut shown = Vec::new();
    while shown.len() < 5 {
        let frame = next(&mut feed).await;
        if !shown.is_empty() || frame.key {
            shown.push(frame);
        }
    }
    let read = clocks(VideoCodec::Vp8, &shown);
    assert!(
        read.iter().all(Option::is_none),
        "a card has no clock: {read:?}"
    );
    assert!(shown.is_sorted_by_key(|frame| frame.pts));
    let card = shown[4].pts;

    let back = clock::now();
    switch.set(Conduct::Works);
    assert_eq!(rig.next_news().await, Input::Device(Device::Camera, None));
    // As a session does that missed pictures meanwhile.
    rig.camera.request_key_frame(VideoCodec::Vp8);
    let mut frame = next(&mut feed).await;
    while !(frame.key && clocks(VideoCodec::Vp8, &[frame.clone()])[0].is_some()) {
        frame = next(&mut feed).await;
    }
    println!("{conduct:?}: back after {:?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(5));
    assert!(frame.pts > card, "time goes on");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unplugged_camera_becomes_a_card_and_comes_back() {
    lost_and_found(Conduct::Missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_hangs_without_a_word_becomes_a_card_and_comes_back() {
    lost_and_found(Conduct::Hangs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_a_jpeg_of_the_picture_of_that_moment() {
    let rig = start(Source::Test);
    for _ in 0..2 {
        let asked = clock_value(clock::wall());
        let snapshot = timeout(GENEROUS, rig.camera.snapshot()).await;
        let snapshot = snapshot.expect("in time").expect("a snapshot");
        println!("{} bytes after {:?}", snapshot.jpeg.len(), snapshot.waited);
        assert_eq!((snapshot.width, snapshot.height), (1280, 720));
        assert!(snapshot.jpeg.len() < 1 << 20, "{}", snapshot.jpeg.len());
        let shown = decoded::still(&snapshot.jpeg, (1280, 720));
        let shown = shown.expect("the clock is read in it: it is neither black nor torn");
        // The clock has 24 bits; the picture may be some old when it is asked for.
        let age = shown.wrapping_sub(asked).wrapping_add(1_000) & 0xff_ffff;
        assert!(age < 31_000, "{age} ms");
    }
    for codec in ["vp8_encoder_in", "h264_encoder_in"] {
        assert_eq!(rig.figure(codec), 0.0, "no encoder of a call ran for it");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_hangs_gives_no_snapshot() {
    let switch = Switch::default();
    switch.set(Conduct::Hangs);
    let rig = start(Source::Trial(switch));
    let refused = timeout(GENEROUS, rig.camera.snapshot()).await;
    let refused = refused.expect("in time").expect_err("there is no picture");
    assert_eq!(refused, NoSnapshot::NoPicture(PATIENCE));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_camera_is_named() {
    // The second with and without libcamera's element on this machine.
    let missing = [
        Source::V4l2("/dev/video-that-is-not-there".into()),
        Source::Libcamera("imx219-that-is-not-there".into()),
    ];
    for source in missing {
        let mut rig = start(source);
        let Input::Device(Device::Camera, Some(reason)) = rig.next_news().await else {
            panic!("a fault of the camera");
        };
        println!("{reason}");
        assert!(reason.contains("that-is-not-there"));
        // The codecs are known without it: an offer can be made.
        assert!(!rig.camera.codecs().is_empty());
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_size_that_cannot_be_encoded_is_refused() {
    for (width, height, fps) in [
        (0, 0, 30),
        (1281, 720, 30),
        (1280, 720, 0),
        (9999, 9999, 30),
    ] {
        let mut settings = CameraSettings::new(Source::Test);
        (settings.width, settings.height, settings.fps) = (width, height, fps);
        let refused = Camera::start(settings, mpsc::channel(1).0, &Tasks::new());
        assert!(refused.is_err(), "{width}x{height} at {fps}");
    }
}

#[test]
fn a_machine_without_a_camera_shows_the_test_picture() {
    let cameras = std::fs::read_dir("/dev").expect("devices").any(|device| {
        let name = device.expect("a device").file_name();
        name.to_string_lossy().starts_with("video")
    });
    let found = Source::auto().expect("GStreamer");
    println!("{found:?}");
    // Where there are devices some may be codecs only: then either is right.
    assert!(cameras || found == Source::Test);
}

#[tokio::test]
async fn a_small_picture_is_encoded_too() {
    let mut settings = CameraSettings::new(Source::Test);
    (settings.width, settings.height, settings.fps) = (160, 120, 10);
    let tasks = Tasks::new();
    let camera = Camera::start(settings, mpsc::channel(4).0, &tasks).expect("a camera");
    for codec in camera.codecs() {
        assert!(next(&mut camera.subscribe(codec)).await.key);
    }
    tasks.stop().await;
}

/// Width and height in a VP8 key frame (RFC 6386, section 9.1).
fn vp8_size(frame: &VideoFrame) -> (u16, u16) {
    let side = |at: usize| u16::from_le_bytes([frame.data[at], frame.data[at + 1]]) & 0x3fff;
    (side(6), side(8))
}

#[tokio::test(flavor = "multi_thread")]
async fn size_rate_and_bits_follow_what_the_narrowest_follower_can_take() {
    let rig = start(Source::Test);
    for codec in rig.camera.codecs() {
        let mut feed = rig.camera.subscribe(codec);
        let narrow = rig.camera.subscribe(codec);
        feed.afford(Some(2_500_000));
        next(&mut feed).await;
        narrow.afford(Some(200_000));
        // A new size begins with a key frame.
        while !next(&mut feed).await.key {}
        let mut frames = Vec::new();
        for _ in 0..20 {
            frames.push(next(&mut feed).await);
        }
        let span = (frames[19].pts - frames[0].pts).as_secs_f64();
        let bits = frames[1..].iter().map(|f| f.data.len() * 8).sum::<usize>() as f64 / span;
        println!(
            "{codec:?}: {:.1} pictures and {bits:.0} bits a second",
            19.0 / span
        );
        assert!((10.0..=16.0).contains(&(19.0 / span)), "half the rate");
        assert!(bits < 300_000.0, "{bits} bits a second");

        drop(narrow);
        let mut wide = None;
        let asked = clock::now();
        while wide.is_none() && asked.elapsed() < GENEROUS {
            feed.afford(Some(2_500_000));
            wide = Some(next(&mut feed).await).filter(|frame| frame.key);
        }
        let wide = wide.expect("the whole picture comes back");
        if codec == VideoCodec::Vp8 {
            assert_eq!(vp8_size(&wide), (1280, 720));
        }
    }
    rig.stop().await;
}

/// How many threads and open files this process has.
fn belongings() -> (usize, usize) {
    let count = |path: &str| std::fs::read_dir(path).expect("procfs").count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[tokio::test]
async fn a_hundred_followers_and_ten_cameras_leave_nothing_behind() {
    let mut after_first = None;
    for _ in 0..10 {
        let rig = start(Source::Test);
        for _ in 0..10 {
            let mut feed = rig.camera.subscribe(VideoCodec::Vp8);
            // What the encoder still had of the follower before may come first; who was
            // too slow for it has missed the key frame.
            let mut early = 0;
            while next_or_lag(&mut feed).await.is_some_and(|frame| !frame.key) {
                early += 1;
                assert!(early < 5, "no key frame for a new follower");
            }
        }
        rig.stop().await;
        // GStreamer keeps a few threads for its next pipeline.
        let (threads, files) = belongings();
        let (most_threads, most_files) = *after_first.get_or_insert((threads + 4, files + 4));
        assert!(threads <= most_threads, "{threads} threads");
        assert!(files <= most_files, "{files} files");
    }
    println!("{:?} at the end, {after_first:?} allowed", belongings());
}
