//! Calls with far ends that have no Opus: PCMU both ways.

#![expect(clippy::print_stdout, reason = "tests print what they measured")]

mod card;
mod rtc;

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

// The crate `rtc`, beside this binary's module of the same name.
use ::rtc::media_stream::MediaStreamTrack;
use ::rtc::peer_connection::configuration::media_engine::MIME_TYPE_PCMU;
use ::rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use async_trait::async_trait;
use bytes::Bytes;
use doorstation::call::{Digits, LegId, Media, MediaOrder, Sdp};
use doorstation::media::sim::SimPictures;
use doorstation::media::sound::virtual_card::{MicSource, VirtualCard};
use doorstation::media::sound::{EchoSettings, Sound, SoundSettings};
use doorstation::tasks::Tasks;
use rtc::{EVERYTHING, GENEROUS, SEND, Station, WATCH, eventually};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCSessionDescription, Registry,
};

/// The m-line's formats and what they mean, without numbers.
fn formats(sdp: &Sdp) -> (Vec<&str>, Vec<&str>) {
    let mut lines = sdp.as_str().lines();
    let audio = lines.find(|l| l.starts_with("m=audio")).expect("sound");
    let sound = lines.take_while(|l| !l.starts_with("m="));
    let meanings = sound.filter_map(|l| Some(l.strip_prefix("a=rtpmap:")?.split_once(' ')?.1));
    (audio.split(' ').skip(3).collect(), meanings.collect())
}

/// `offer` as if its writer had no Opus.
fn without_opus(offer: &Sdp) -> Sdp {
    let lines = offer.as_str().split_inclusive("\r\n").filter_map(|line| {
        let (m_line, formats) = match line.split_once("SAVPF ") {
            Some((m_line, formats)) if line.starts_with("m=audio") => (m_line, formats),
            _ => {
                let gone = ["a=rtpmap:111", "a=fmtp:111", "a=rtpmap:110", "a=fmtp:110"];
                // PCMU's number says enough.
                let gone = gone.iter().any(|g| line.starts_with(g)) || line.contains("PCMU");
                return (!gone).then(|| line.to_owned());
            }
        };
        assert_eq!(formats.trim_end(), "111 0 110 126");
        Some(format!("{m_line}SAVPF 0 126\r\n"))
    });
    Sdp::new(lines.collect::<String>())
}

#[tokio::test]
async fn an_offer_has_opus_first_and_one_with_both_gets_opus() {
    let (mut door, mut page) = (Station::new(&[]), Station::new(&[]));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (numbers, meanings) = formats(&offer);
    assert_eq!(numbers, ["111", "0", "110", "126"]);
    let expected = [
        "opus/48000/2",
        "PCMU/8000",
        "telephone-event/48000/1",
        "telephone-event/8000",
    ];
    assert_eq!(meanings, expected);
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    let (numbers, meanings) = formats(&answer);
    assert_eq!(numbers, ["111", "110"]);
    assert_eq!(meanings, ["opus/48000/2", "telephone-event/48000/1"]);
    door.apply(&leg, answer).await;
    door.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    page.flow(&leg, EVERYTHING).await;
    let voices = page.voices.clone();
    eventually("sound", || voices.heard().audible >= 10).await;
    assert_eq!(voices.heard().pcmu, 0);
}

#[tokio::test]
async fn two_stations_of_which_one_has_no_opus_talk_dial_and_hold_in_pcmu() {
    let (mut door, mut page) = (Station::new(&[]), Station::new(&[]));
    let leg = LegId::new("leg");
    let offer = without_opus(&door.offer(&leg, SEND).await);
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    let (numbers, meanings) = formats(&answer);
    assert_eq!(numbers, ["0", "126"]);
    assert_eq!(meanings, ["PCMU/8000", "telephone-event/8000"]);
    door.apply(&leg, answer).await;
    door.is(&leg, Media::Connected).await;
    page.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    page.flow(&leg, EVERYTHING).await;
    for (station, other) in [(&page, &door), (&door, &page)] {
        let voices = station.voices.clone();
        eventually("sound", || voices.heard().pcmu >= 10).await;
        assert_eq!(voices.heard().pcmu, voices.heard().audible);
        let order = MediaOrder::SendDigits(Digits::parse("4711").expect("digits"));
        other.order(&leg, order).await;
    }
    for station in [&mut door, &mut page] {
        for dialled in "4711".chars() {
            let digit = station.until(&leg, |media| match media {
                Media::Digit(digit) => Some(digit.as_char()),
                _ => None,
            });
            assert_eq!(digit.await, dialled);
        }
    }
    let offer = page.reoffer(&leg, true).await;
    assert_eq!(formats(&offer).1, ["PCMU/8000", "telephone-event/8000"]);
    let (answer, held) = door.reanswer(&leg, offer).await;
    assert!(held);
    page.apply(&leg, answer).await;
    let offer = page.reoffer(&leg, false).await;
    let (answer, _) = door.reanswer(&leg, offer).await;
    page.apply(&leg, answer).await;
    let voices = page.voices.clone();
    let before = voices.heard().pcmu;
    eventually("sound again", || voices.heard().pcmu >= before + 10).await;
}

/// What the door's microphone hears, and what the peer sends, hertz.
const DOOR: f64 = 440.0;
const PEER: f64 = 700.0;

#[test]
fn a_tone_is_heard_at_both_ends_of_a_call_with_a_peer_that_only_has_pcmu() {
    let name = "a_tone_is_heard_at_both_ends_of_a_call_with_a_peer_that_only_has_pcmu";
    card::with_card(name, |directory| card::block_on(tones(directory)));
}

async fn tones(directory: std::path::PathBuf) {
    let out = directory.join("speaker.wav");
    let source = MicSource::Tone(DOOR as f32);
    let card = VirtualCard::prepare(&directory, source, Some(out.clone())).expect("a card");
    let tasks = Tasks::new();
    let (inbox, _news) = mpsc::channel(16);
    let settings = SoundSettings {
        // A tone that lasts would count as noise.
        echo: EchoSettings::OFF,
        ..VirtualCard::settings()
    };
    let sound = |_, tasks: &Tasks| Arc::new(Sound::start(settings, inbox, tasks).expect("sound"));
    let no_camera = SimPictures::start(&[], &tasks);
    let mut door = Station::of(no_camera, sound, rtc::settings(), tasks);
    let mut peer = Peer::new().await;
    let leg = LegId::new("leg");
    let offer = peer.offer().await;
    assert!(!offer.as_str().contains("opus"), "{}", offer.as_str());
    let (answer, _) = door.answer(&leg, offer, SEND).await;
    assert_eq!(formats(&answer), (vec!["0"], vec!["PCMU/8000"]));
    peer.apply(&answer).await;
    door.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    let beeping = beep(Arc::clone(&peer.track), peer.ssrc);
    door.tasks.spawn("beep", beeping);
    door.is(&leg, Media::FirstSound).await;

    let heard = tokio::time::timeout(GENEROUS, peer.hear(100)).await;
    let heard = heard.expect("sound comes");
    let level = level(&heard[1600..], DOOR, 8_000.0);
    // The microphone hears -12 dBFS.
    println!("the microphone's tone at the peer: {level:.3}");
    // It has 0.251; the steps of mu-law there are 3 % of it.
    assert!((0.24..0.262).contains(&level), "{level}");

    let figures = door.close(&leg).await;
    assert!(figures["audio_packets_sent"] >= 100.0, "{figures:#?}");
    assert!(figures["audio_packets_received"] >= 50.0, "{figures:#?}");
    assert!(figures["audio_jitter_ms"] < 500.0, "{figures:#?}");
    peer.connection.close().await.expect("closed");
    door.tasks.stop().await;
    drop(card);
    let mut played = hound::WavReader::open(&out).expect("a recording");
    let played: Vec<f64> = played
        .samples::<i16>()
        .map(|sample| f64::from(sample.expect("a sample")) / 32_768.0)
        .collect();
    let loud = played.chunks_exact(4_800).filter(|part| {
        let (wanted, other) = (part_level(part, PEER), part_level(part, DOOR));
        wanted > 0.3 && other < 0.05
    });
    let loud = loud.count();
    assert!(loud >= 5, "{loud} tenths of a second");
}

fn part_level(part: &[f64], hertz: f64) -> f64 {
    level(part, hertz, 48_000.0)
}

/// The amplitude of one frequency.
fn level(samples: &[f64], hertz: f64, rate: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let turn = TAU * (hertz * index as f64 / rate).fract();
        sine += sample * turn.sin();
        cosine += sample * turn.cos();
    }
    2.0 * f64::hypot(sine, cosine) / samples.len() as f64
}

/// The sample of a byte, by the segments of G.711: steps of 2, 4, 8 and so on from
/// the middle, of 8,159.
fn linear(byte: u8) -> f64 {
    let (segment, step) = (u32::from(!byte >> 4 & 7), f64::from(!byte & 15));
    let magnitude = (33.0 + 2.0 * step) * f64::from(1 << segment) - 33.0;
    let sign = if byte & 0x80 == 0 { -1.0 } else { 1.0 };
    sign * magnitude / 8_192.0
}

/// The byte whose sample is the nearest.
fn nearest(sample: f64) -> u8 {
    let distance = |byte: &u8| (linear(*byte) - sample).abs();
    (0..=u8::MAX)
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .expect("there are bytes")
}

/// Sends a tone in packets of 20 ms.
async fn beep(track: Arc<TrackLocalStaticRTP>, ssrc: u32) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for number in 0_u32.. {
        tick.tick().await;
        let samples = (0..160).map(|index| {
            let time = f64::from(number * 160 + index) / 8_000.0;
            nearest(0.5 * (TAU * PEER * time).sin())
        });
        let packet = ::rtc::rtp::Packet {
            header: ::rtc::rtp::header::Header {
                version: 2,
                payload_type: 0,
                sequence_number: number as u16,
                // It runs over soon.
                timestamp: (number * 160).wrapping_sub(8_000),
                ssrc,
                ..Default::default()
            },
            payload: samples.collect::<Vec<u8>>().into(),
        };
        if track.write_rtp(packet).await.is_err() {
            return;
        }
    }
}

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

/// webrtc-rs with no codec but PCMU.
struct Peer {
    connection: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    gathered: mpsc::Receiver<()>,
    tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
}

impl Peer {
    async fn new() -> Self {
        let codec = RTCRtpCodec {
            mime_type: MIME_TYPE_PCMU.to_owned(),
            clock_rate: 8_000,
            ..Default::default()
        };
        let mut engine = MediaEngine::default();
        let parameters = RTCRtpCodecParameters {
            rtp_codec: codec.clone(),
            payload_type: 0,
        };
        engine
            .register_codec(parameters, RtpCodecKind::Audio)
            .expect("a codec");
        let (gathered_tx, gathered) = mpsc::channel(1);
        let (tracks_tx, tracks) = mpsc::channel(1);
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(Registry::new())
            .with_handler(Arc::new(Handler {
                gathered: gathered_tx,
                tracks: tracks_tx,
            }))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .expect("a connection");
        let ssrc = 4711;
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..Default::default()
            },
            codec,
            ..Default::default()
        };
        let track = MediaStreamTrack::new(
            "peer".to_owned(),
            "peer-audio".to_owned(),
            "audio".to_owned(),
            RtpCodecKind::Audio,
            vec![coding],
        );
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        connection
            .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await
            .expect("a track");
        Self {
            connection: Arc::new(connection),
            track,
            ssrc,
            gathered,
            tracks,
        }
    }

    async fn offer(&mut self) -> Sdp {
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

    /// The samples of so many packets that follow each other.
    async fn hear(&mut self, packets: usize) -> Vec<f64> {
        let track = self.tracks.recv().await.expect("the handler lives");
        let mut heard: Vec<Bytes> = Vec::new();
        let mut next = None;
        while heard.len() < packets {
            let Some(TrackRemoteEvent::OnRtpPacket(packet)) = track.poll().await else {
                continue;
            };
            assert_eq!(packet.header.payload_type, 0);
            assert_eq!(packet.payload.len(), 160);
            let time = packet.header.timestamp;
            if next.replace(time.wrapping_add(160)) != Some(time) {
                // What a busy machine misses is heard anew.
                heard.clear();
            }
            heard.push(packet.payload);
        }
        heard.concat().iter().map(|byte| linear(*byte)).collect()
    }
}
