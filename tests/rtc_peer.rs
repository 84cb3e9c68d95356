//! A leg against a peer that is not of our making: webrtc-rs as it comes, with its
//! own codecs and interceptors.

mod rtc;

use std::sync::Arc;
use std::time::Duration;

// The crate `rtc`, beside this binary's module of the same name.
use ::rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use ::rtc::rtp::Packet;
use ::rtc::rtp_transceiver::rtp_sender::{RTCRtpHeaderExtensionCapability, RtpCodecKind};
use async_trait::async_trait;
use doorstation::call::{LegId, Media, Sdp};
use doorstation::media::VideoCodec;
use rtc::{EVERYTHING, GENEROUS, SEND, Station, eventually};
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCSessionDescription, Registry, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};

/// How long pictures may wait before they are shown: a header extension that browsers
/// know.
const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

struct Handler {
    gathered: mpsc::Sender<()>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.try_send(()).expect("gathering ends once");
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.tracks.try_send(track).expect("one track");
    }
}

struct Peer {
    connection: Arc<dyn PeerConnection>,
    gathered: mpsc::Receiver<()>,
    tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
}

impl Peer {
    async fn new() -> Self {
        let mut engine = MediaEngine::default();
        engine.register_default_codecs().expect("codecs");
        let extension = RTCRtpHeaderExtensionCapability {
            uri: PLAYOUT_DELAY.to_owned(),
        };
        engine
            .register_header_extension(extension, RtpCodecKind::Video, None)
            .expect("an extension");
        let registry =
            register_default_interceptors(Registry::new(), &mut engine).expect("interceptors");
        let (gathered_tx, gathered) = mpsc::channel(1);
        let (tracks_tx, tracks) = mpsc::channel(1);
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Handler {
                gathered: gathered_tx,
                tracks: tracks_tx,
            }))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .expect("a connection");
        Self {
            connection: Arc::new(connection),
            gathered,
            tracks,
        }
    }

    /// Offers to see, not to be seen or heard.
    async fn offer(&mut self) -> Sdp {
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            ..Default::default()
        };
        self.connection
            .add_transceiver_from_kind(RtpCodecKind::Video, Some(init))
            .await
            .expect("a transceiver");
        let offer = self.connection.create_offer(None).await.expect("an offer");
        let described = self.connection.set_local_description(offer).await;
        described.expect("our own offer");
        self.gathered.recv().await.expect("candidates");
        let described = self.connection.local_description().await;
        Sdp::new(described.expect("a description").sdp)
    }

    async fn apply(&self, answer: &Sdp) {
        let answer = RTCSessionDescription::answer(answer.as_str().to_owned());
        self.connection
            .set_remote_description(answer.expect("an answer"))
            .await
            .expect("the answer is taken");
    }

    async fn track(&mut self) -> Arc<dyn TrackRemote> {
        tokio::time::timeout(GENEROUS, self.tracks.recv())
            .await
            .expect("pictures come")
            .expect("the handler lives")
    }
}

/// Waits for a packet of a picture.
async fn packet(track: &Arc<dyn TrackRemote>) -> Packet {
    let wanted = async {
        loop {
            if let Some(TrackRemoteEvent::OnRtpPacket(packet)) = track.poll().await {
                return packet;
            }
        }
    };
    tokio::time::timeout(GENEROUS, wanted)
        .await
        .expect("a packet comes")
}

#[tokio::test]
async fn pictures_say_that_they_are_wanted_at_once_to_whoever_understands_it() {
    let mut door = Station::new(&[VideoCodec::Vp8]);
    let mut peer = Peer::new().await;
    let leg = LegId::new("leg");
    let offer = peer.offer().await;
    let number = offer.as_str().lines().find_map(|line| {
        let (number, uri) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
        (uri == PLAYOUT_DELAY).then(|| number.parse::<u8>().expect("a number"))
    });
    let number = number.expect("the peer offers it");
    let (answer, _) = door.answer(&leg, offer, SEND).await;
    assert!(
        answer.as_str().contains(PLAYOUT_DELAY),
        "{}",
        answer.as_str()
    );
    peer.apply(&answer).await;
    door.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    let track = peer.track().await;
    for _ in 0..5 {
        let header = packet(&track).await.header;
        let delay = header.get_extension(number);
        // Least and most, 12 bits each.
        assert_eq!(delay.as_deref(), Some(&[0, 0, 0][..]), "{header:?}");
    }
    door.close(&leg).await;
    peer.connection.close().await.expect("closed");
}

#[tokio::test]
async fn requests_for_a_key_frame_are_granted_at_a_limited_rate() {
    let mut door = Station::new(&[VideoCodec::Vp8]);
    let mut peer = Peer::new().await;
    let leg = LegId::new("leg");
    let offer = peer.offer().await;
    let (answer, _) = door.answer(&leg, offer, SEND).await;
    peer.apply(&answer).await;
    door.is(&leg, Media::Connected).await;
    let began = doorstation::clock::now();
    door.flow(&leg, EVERYTHING).await;
    let track = peer.track().await;
    let media_ssrc = packet(&track).await.header.ssrc;
    let pictures = door.pictures.clone();
    let wanted = || pictures.key_frames_wanted(VideoCodec::Vp8);
    assert_eq!(wanted(), 1, "one to begin with");

    // A peer in distress: forty requests in 400 ms.
    for _ in 0..40 {
        let request = PictureLossIndication {
            sender_ssrc: 1,
            media_ssrc,
        };
        track
            .write_rtcp(vec![Box::new(request)])
            .await
            .expect("connected");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eventually("the encoder was asked, and asked again", || wanted() >= 3).await;
    // The first picture, and then at most one each 300 ms.
    let most = 1 + began.elapsed().as_millis() as u64 / 300;
    assert!(wanted() <= most, "{} of {most}", wanted());
    let figures = door.close(&leg).await;
    assert!(figures["video_key_frame_requests"] >= 30.0, "{figures:#?}");
    assert!(figures["video_key_frames_sent"] >= 2.0);
    peer.connection.close().await.expect("closed");
}
