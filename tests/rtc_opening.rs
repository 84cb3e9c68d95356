//! The first pictures wait for the connection: a camera that films only when it is told
//! to, and a road that opens when it is told to.

#[path = "common/mod.rs"]
mod common;
mod rtc;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::road::{Road, Weather};
use doorstation::call::{LegId, Media};
use doorstation::clock;
use doorstation::media::VideoCodec;
use doorstation::media::feed::{PictureFeed, Pictures, VideoFrame};
use doorstation::tasks::Tasks;
use rtc::{EVERYTHING, SEND, Station, WATCH, eventually, settings};
use tokio::sync::broadcast;

struct Camera {
    frames: broadcast::Sender<Arc<VideoFrame>>,
    asked: AtomicU64,
}

impl Camera {
    fn film(&self, key: bool) {
        let now = clock::now();
        let frame = VideoFrame {
            codec: VideoCodec::Vp8,
            // The lowest bit is 0 in a key picture (RFC 6386, section 9.1).
            data: Bytes::from(vec![u8::from(!key); 3_000]),
            pts: Duration::from_millis(33),
            encoded: now,
            key,
        };
        self.frames.send(Arc::new(frame)).expect("somebody follows");
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Pictures for Camera {
    fn codecs(&self) -> Vec<VideoCodec> {
        vec![VideoCodec::Vp8]
    }

    fn subscribe(&self, _: VideoCodec) -> PictureFeed {
        PictureFeed::new(self.frames.subscribe(), ())
    }

    fn request_key_frame(&self, _: VideoCodec) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

const CLOSED: Weather = Weather {
    loss: 0.0,
    bursts: 0.0,
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    rate: None,
    cut: true,
};
const OPEN: Weather = Weather {
    cut: false,
    ..CLOSED
};

/// A call that is answered and has no way yet; the camera was asked for its first key
/// frame.
struct Scene {
    camera: Arc<Camera>,
    door: Station,
    page: Station,
    road: Road,
    leg: LegId,
}

impl Scene {
    async fn set() -> Self {
        let tasks = Tasks::new();
        let camera = Arc::new(Camera {
            frames: broadcast::Sender::new(16),
            asked: AtomicU64::new(0),
        });
        let mut door = Station::filmed_by(camera.clone(), settings(), tasks);
        let mut page = Station::new(&[VideoCodec::Vp8]);
        let leg = LegId::new("leg");
        let mut road = Road::new(CLOSED, 1, &door.tasks.child());
        let offer = door.offer(&leg, SEND).await;
        let (answer, _) = page.answer(&leg, road.of_door(&offer).await, WATCH).await;
        assert_eq!(camera.asked(), 0, "nobody has answered");
        door.apply(&leg, road.of_page(&answer).await).await;
        door.flow(&leg, EVERYTHING).await;
        eventually("the camera is asked", || camera.asked() == 1).await;
        Self {
            camera,
            door,
            page,
            road,
            leg,
        }
    }

    async fn open(&mut self) {
        self.road.set(OPEN);
        self.door.is(&self.leg, Media::Connected).await;
        self.page.is(&self.leg, Media::Connected).await;
    }
}

#[tokio::test]
async fn pictures_made_before_the_connection_leave_with_it() {
    let mut scene = Scene::set().await;
    // What is no key frame is no begin.
    for key in [false, true, false, false] {
        scene.camera.film(key);
    }
    scene.open().await;
    // The camera makes no other picture.
    scene.door.is(&scene.leg, Media::FirstPictureSent).await;
    assert_eq!(scene.camera.asked(), 1);
    let sent = scene.door.close(&scene.leg).await;
    assert_eq!(sent["video_frames_sent"], 3.0, "{sent:?}");
    assert_eq!(sent["video_key_frames_sent"], 1.0);
    // The close is behind them on the road. None is lost in the far end's last step to
    // the connection.
    scene.page.is(&scene.leg, Media::FarEndClosed).await;
    let received = scene.page.close(&scene.leg).await;
    assert_eq!(received["video_packets_received"], 9.0, "three of each");
}

#[tokio::test]
async fn old_pictures_do_not_leave_and_a_key_frame_is_asked_for_when_there_is_a_way() {
    let mut scene = Scene::set().await;
    for number in 0..8 {
        scene.camera.film(number == 0);
    }
    let camera = Arc::clone(&scene.camera);
    scene.open().await;
    eventually("another key frame is asked for", || camera.asked() == 2).await;
    camera.film(false);
    camera.film(true);
    scene.door.is(&scene.leg, Media::FirstPictureSent).await;
    let sent = scene.door.close(&scene.leg).await;
    assert_eq!(sent["video_frames_sent"], 1.0, "{sent:?}");
    assert_eq!(sent["video_key_frames_sent"], 1.0);
}
