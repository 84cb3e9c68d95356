//! Two stations' media against each other over loopback, both with one session
//! per m-line.

mod rtc;

use doorstation::call::{Digits, Flow, LegId, Media, MediaOrder, Sdp};
use doorstation::media::VideoCodec;
use rtc::{EVERYTHING, SEND, Station, WATCH, directions, eventually};

const BOTH: [VideoCodec; 2] = [VideoCodec::Vp8, VideoCodec::H264];

/// Two legs in a call: `door` offered, `page` answered.
struct Call {
    door: Station,
    page: Station,
    leg: LegId,
}

async fn call(codecs: &[VideoCodec]) -> Call {
    let (mut door, mut page) = (Station::new(codecs), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    assert_eq!(directions(&offer), ["sendrecv", "sendonly"]);
    let (answer, held) = page.answer(&leg, offer, WATCH).await;
    assert!(!held);
    assert_eq!(directions(&answer), ["sendrecv", "recvonly"]);
    assert!(!door.apply(&leg, answer).await);
    door.is(&leg, Media::Connected).await;
    page.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    page.flow(&leg, EVERYTHING).await;
    door.is(&leg, Media::FirstPictureSent).await;
    door.is(&leg, Media::FirstSound).await;
    page.is(&leg, Media::FirstSound).await;
    Call { door, page, leg }
}

/// A network without a router has no way to the group of multicast DNS: a session that joins
/// it is a call that fails there.
#[tokio::test]
async fn a_call_has_no_socket_for_multicast_dns() {
    let mut call = call(&BOTH).await;
    let sockets: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("our own files")
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?;
            Some(inode.trim_end_matches(']').to_owned())
        })
        .collect();
    let mut ours = Vec::new();
    for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
        let table = std::fs::read_to_string(table).expect("sockets of this machine");
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, port) = fields[1].rsplit_once(':').expect("address:port");
            let port = u16::from_str_radix(port, 16).expect("a port in hex");
            if sockets.iter().any(|inode| inode == fields[9]) {
                ours.push(port);
            }
        }
    }
    assert!(ours.len() >= 4, "one a medium and end: {ours:?}");
    assert!(!ours.contains(&5353), "{ours:?}");
    call.door.close(&call.leg).await;
    call.page.close(&call.leg).await;
}

#[tokio::test]
async fn sound_flows_both_ways_and_the_picture_one_way() {
    let mut call = call(&BOTH).await;
    let page = call.page.voices.clone();
    eventually("a second of sound", || page.heard().audible >= 50).await;
    let live = call.door.live.clone();
    let of_leg = |name| Some(*live.borrow().get(&call.leg)?.0.get(name)?);
    eventually("a sample", || of_leg("frames_per_s").is_some()).await;

    let door = call.door.close(&call.leg).await;
    let page = call.page.close(&call.leg).await;
    println!("door {door:#?}\npage {page:#?}");
    assert!(live.borrow().is_empty(), "a closed leg is not live");
    assert!(door["frames_per_s_p50"] > 0.0);
    assert!(door["cpu_percent_p95"] > 0.0);
    assert!(
        !page.contains_key("frames_per_s_p50"),
        "the page sends no picture"
    );
    assert!(door["audio_packets_sent"] >= 50.0);
    assert!(door["video_frames_sent"] >= 20.0);
    assert!(door["video_key_frames_sent"] >= 1.0);
    assert!(door["connect_ms"] > 0.0);
    assert!(page["video_packets_received"] >= 0.9 * door["video_packets_sent"]);
    assert!(
        page["video_packets_sent"] == 0.0,
        "the page did not offer a picture"
    );
}

#[tokio::test]
async fn a_camera_with_h264_alone_sends_h264() {
    let mut call = call(&[VideoCodec::H264]).await;
    assert_eq!(call.door.pictures.followers(VideoCodec::H264), 1);
    let door = call.door.close(&call.leg).await;
    assert!(door["video_packets_sent"] > 0.0);
    let door = call.door.pictures.clone();
    eventually("the feed is let go", || {
        door.followers(VideoCodec::H264) == 0
    })
    .await;
}

#[tokio::test]
async fn the_offerer_holds_and_takes_back_twice() {
    let mut call = call(&BOTH).await;
    for _ in 0..2 {
        let offer = call.door.reoffer(&call.leg, true).await;
        assert_eq!(directions(&offer), ["sendonly", "sendonly"]);
        let (answer, held) = call.page.reanswer(&call.leg, offer).await;
        assert!(held);
        assert_eq!(directions(&answer), ["recvonly", "recvonly"]);
        assert!(!call.door.apply(&call.leg, answer).await);
        assert_silent(&call.page).await;

        let offer = call.door.reoffer(&call.leg, false).await;
        assert_eq!(directions(&offer), ["sendrecv", "sendonly"]);
        let (answer, held) = call.page.reanswer(&call.leg, offer).await;
        assert!(!held);
        assert_eq!(directions(&answer), ["sendrecv", "recvonly"]);
        assert!(!call.door.apply(&call.leg, answer).await);
        assert_heard(&call.door).await;
        assert_heard(&call.page).await;
    }
}

#[tokio::test]
async fn the_answerer_holds_and_takes_back_twice() {
    let mut call = call(&BOTH).await;
    for _ in 0..2 {
        let offer = call.page.reoffer(&call.leg, true).await;
        assert_eq!(directions(&offer), ["sendonly", "sendonly"]);
        let (answer, held) = call.door.reanswer(&call.leg, offer).await;
        assert!(held);
        assert_eq!(directions(&answer), ["recvonly", "recvonly"]);
        assert_eq!(
            setups(&answer),
            ["passive", "passive"],
            "the role of the first exchange stays"
        );
        assert!(!call.page.apply(&call.leg, answer).await);
        assert_silent(&call.door).await;
        let door = call.door.pictures.clone();
        eventually("no encoder runs for a held call", || {
            door.followers(VideoCodec::Vp8) == 0
        })
        .await;

        let wanted = call.door.pictures.key_frames_wanted(VideoCodec::Vp8);
        let offer = call.page.reoffer(&call.leg, false).await;
        assert_eq!(directions(&offer), ["sendrecv", "recvonly"]);
        let (answer, held) = call.door.reanswer(&call.leg, offer).await;
        assert!(!held);
        assert_eq!(directions(&answer), ["sendrecv", "sendonly"]);
        assert!(!call.page.apply(&call.leg, answer).await);
        assert_heard(&call.door).await;
        let door = call.door.pictures.clone();
        eventually("a key frame after the hold", || {
            door.key_frames_wanted(VideoCodec::Vp8) > wanted
        })
        .await;
    }
}

#[tokio::test]
async fn both_hold_and_each_takes_back_its_own() {
    let mut call = call(&BOTH).await;
    let offer = call.door.reoffer(&call.leg, true).await;
    let (answer, _) = call.page.reanswer(&call.leg, offer).await;
    call.door.apply(&call.leg, answer).await;

    let offer = call.page.reoffer(&call.leg, true).await;
    let (answer, held) = call.door.reanswer(&call.leg, offer).await;
    assert!(held);
    assert_eq!(directions(&answer), ["inactive", "inactive"]);
    assert!(call.page.apply(&call.leg, answer).await);

    let offer = call.page.reoffer(&call.leg, false).await;
    let (answer, held) = call.door.reanswer(&call.leg, offer).await;
    assert!(!held);
    assert_eq!(directions(&answer), ["sendonly", "sendonly"]);
    assert!(
        call.page.apply(&call.leg, answer).await,
        "the door still holds"
    );

    let offer = call.door.reoffer(&call.leg, false).await;
    let (answer, held) = call.page.reanswer(&call.leg, offer).await;
    assert!(!held);
    assert!(!call.door.apply(&call.leg, answer).await);
    assert_heard(&call.door).await;
    assert_heard(&call.page).await;
}

#[tokio::test]
async fn an_offer_that_crossed_the_far_ends_is_taken_back() {
    let mut call = call(&BOTH).await;
    // Ours is refused with glare; theirs comes.
    call.door.reoffer(&call.leg, true).await;
    let offer = call.page.reoffer(&call.leg, true).await;
    let (answer, held) = call.door.reanswer(&call.leg, offer).await;
    assert!(held);
    assert_eq!(directions(&answer), ["recvonly", "recvonly"]);
    call.page.apply(&call.leg, answer).await;
    // And ours again, later.
    let offer = call.door.reoffer(&call.leg, true).await;
    let (answer, _) = call.page.reanswer(&call.leg, offer).await;
    assert!(call.door.apply(&call.leg, answer).await);
}

#[tokio::test]
async fn digits_arrive_once_each_in_both_directions_and_sound_goes_on() {
    let mut call = call(&BOTH).await;
    let dialled = "0123#*D11";
    let order = MediaOrder::SendDigits(Digits::parse(dialled).expect("digits"));
    call.page.order(&call.leg, order.clone()).await;
    call.door.order(&call.leg, order).await;
    assert_eq!(
        digits(&mut call.door, &call.leg, dialled.len()).await,
        dialled
    );
    assert_eq!(
        digits(&mut call.page, &call.leg, dialled.len()).await,
        dialled
    );
    assert_heard(&call.door).await;
    assert_heard(&call.page).await;
}

#[tokio::test]
async fn digits_leave_while_the_microphone_may_not() {
    let mut call = call(&BOTH).await;
    let muted = Flow {
        microphone: false,
        ..EVERYTHING
    };
    call.page.flow(&call.leg, muted).await;
    assert_silent(&call.page).await;
    let order = MediaOrder::SendDigits(Digits::parse("42").expect("digits"));
    call.page.order(&call.leg, order).await;
    assert_eq!(digits(&mut call.door, &call.leg, 2).await, "42");
}

#[tokio::test]
async fn digits_for_a_far_end_that_takes_none_fail_with_a_sentence() {
    let (mut door, mut page) = (Station::new(&BOTH), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    let plain: String = answer
        .as_str()
        .split_inclusive('\n')
        .filter(|line| !line.contains("telephone-event"))
        .collect();
    door.apply(&leg, Sdp::new(plain)).await;
    let order = MediaOrder::SendDigits(Digits::parse("1").expect("digits"));
    door.order(&leg, order).await;
    let code = door
        .until(&leg, |media| match media {
            Media::DigitsFailed(failure) => Some(failure.code.clone()),
            _ => None,
        })
        .await;
    assert_eq!(code, "call:5");
}

#[tokio::test]
async fn the_far_ends_close_is_seen_at_once() {
    let mut call = call(&BOTH).await;
    call.page.close(&call.leg).await;
    let closed = doorstation::clock::now();
    call.door.is(&call.leg, Media::FarEndClosed).await;
    println!("far end's close seen after {:?}", closed.elapsed());
    call.door.close(&call.leg).await;
}

#[tokio::test]
async fn the_close_of_an_offerer_that_sent_nothing_is_seen_too() {
    let (mut door, mut page) = (Station::new(&BOTH), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    door.apply(&leg, answer).await;
    page.is(&leg, Media::Connected).await;
    door.close(&leg).await;
    page.is(&leg, Media::FarEndClosed).await;
}

#[tokio::test]
async fn a_door_without_camera_offers_sound_alone() {
    let (mut door, mut page) = (Station::new(&[]), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    assert_eq!(directions(&offer), ["sendrecv"]);
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    assert_eq!(directions(&answer), ["sendrecv"]);
    door.apply(&leg, answer).await;
    door.is(&leg, Media::Connected).await;
}

#[tokio::test]
async fn a_rejected_picture_leaves_the_sound() {
    let (mut door, mut page) = (Station::new(&BOTH), Station::new(&[]));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    assert_eq!(directions(&answer), ["sendrecv", "-"]);
    door.apply(&leg, answer).await;
    door.is(&leg, Media::Connected).await;
    page.is(&leg, Media::Connected).await;
    door.flow(&leg, EVERYTHING).await;
    page.flow(&leg, EVERYTHING).await;
    assert_heard(&page).await;
    let gauge = door.gauge.clone();
    eventually("one session is left", || gauge.sessions() == 1).await;

    // It stays rejected over a hold of either side.
    let offer = door.reoffer(&leg, true).await;
    assert_eq!(directions(&offer), ["sendonly", "-"]);
    let (answer, held) = page.reanswer(&leg, offer).await;
    assert!(held);
    assert_eq!(directions(&answer), ["recvonly", "-"]);
    door.apply(&leg, answer).await;
}

#[tokio::test]
async fn nonsense_fails_with_a_sentence_and_the_leg_goes_on() {
    let mut call = call(&BOTH).await;
    let nonsense = ["", "v=0", "hello", "v=0\r\nm=audio", "v=0\r\n\u{0}=1\r\n"];
    for text in nonsense {
        let order = MediaOrder::Reanswer(Sdp::new(text));
        call.door.order(&call.leg, order).await;
        let message = call
            .door
            .until(&call.leg, |media| match media {
                Media::Failed(failure) => Some(failure.message.clone()),
                _ => None,
            })
            .await;
        assert!(message.contains("makes no sense"), "{message}");
    }
    assert_heard(&call.page).await;
    // A description with the right form and nothing to connect to.
    let leg = LegId::new("empty");
    let empty = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
                 m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
    let order = MediaOrder::Answer(Sdp::new(empty), SEND);
    call.door.order(&leg, order).await;
    let code = call
        .door
        .until(&leg, |media| match media {
            Media::Failed(failure) => Some(failure.code.clone()),
            _ => None,
        })
        .await;
    assert_eq!(code, "call:9");
    call.door.close(&leg).await;
}

#[tokio::test]
async fn after_an_offer_that_fails_both_can_offer_again() {
    let mut call = call(&BOTH).await;
    let offer = call.page.reoffer(&call.leg, false).await;
    refuses(&mut call.door, &call.leg, damaged(&offer)).await;
    let (answer, _) = call.door.reanswer(&call.leg, offer.clone()).await;
    assert_eq!(directions(&answer), ["sendrecv", "sendonly"]);
    call.page.apply(&call.leg, answer).await;

    refuses(&mut call.door, &call.leg, damaged(&offer)).await;
    let offer = call.door.reoffer(&call.leg, true).await;
    assert_eq!(directions(&offer), ["sendonly", "sendonly"]);
    let (answer, held) = call.page.reanswer(&call.leg, offer).await;
    assert!(held);
    call.door.apply(&call.leg, answer).await;
}

/// `offer` with a third m-line, and nobody to check any path with.
fn damaged(offer: &Sdp) -> Sdp {
    let lines = offer.as_str().split_inclusive("\r\n");
    let damaged: String = lines
        .filter(|line| !line.starts_with("a=ice-ufrag"))
        .collect();
    Sdp::new(damaged + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:2\r\n")
}

async fn refuses(station: &mut Station, leg: &LegId, offer: Sdp) {
    station.order(leg, MediaOrder::Reanswer(offer)).await;
    let refused = station.until(leg, |media| match media {
        Media::Failed(_) => Some(true),
        Media::AnswerReady { .. } => Some(false),
        _ => None,
    });
    assert!(refused.await);
}

#[tokio::test]
async fn a_rejected_line_follows_the_name_that_the_far_end_gives_it() {
    let (mut door, mut page) = (Station::new(&[]), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = page.offer(&leg, WATCH).await;
    let (answer, _) = door.answer(&leg, offer, WATCH).await;
    assert_eq!(directions(&answer), ["sendrecv", "-"]);
    page.apply(&leg, answer).await;
    // A browser that uses a rejected m-line again gives it a new name.
    let offer = page.reoffer(&leg, false).await;
    let (sound, _) = offer.as_str().split_once("m=video").expect("two lines");
    let again = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:7\r\na=rtpmap:96 VP8/90000\r\n";
    let again = Sdp::new(format!("{sound}{again}"));
    let (answer, _) = door.reanswer(&leg, again).await;
    assert_eq!(directions(&answer), ["sendrecv", "-"]);
    let (_, rejected) = answer.as_str().split_once("m=video").expect("two lines");
    assert!(rejected.contains("a=mid:7\r\n"), "{rejected}");
}

#[tokio::test]
async fn tones_go_to_the_speaker() {
    use doorstation::media::Tone;
    let door = Station::new(&BOTH);
    door.tone(Some(Tone::Chime)).await;
    let voices = door.voices.clone();
    eventually("the chime", || voices.heard().tone == Some(Tone::Chime)).await;
    door.tone(None).await;
    eventually("silence", || voices.heard().tone.is_none()).await;
}

#[tokio::test]
async fn nothing_flows_before_the_core_says_so() {
    let (mut door, mut page) = (Station::new(&BOTH), Station::new(&BOTH));
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    door.apply(&leg, answer).await;
    door.is(&leg, Media::Connected).await;
    page.is(&leg, Media::Connected).await;
    page.flow(&leg, EVERYTHING).await;
    let voices = door.voices.clone();
    eventually("the page's sound arrives, unheard", || {
        voices.heard().silenced >= 10
    })
    .await;
    assert_eq!(voices.heard().audible, 0);
    assert_eq!(door.pictures.followers(VideoCodec::Vp8), 0);
    assert_eq!(door.voices.listeners(), 0);
    let figures = door.close(&leg).await;
    assert_eq!(figures["audio_packets_sent"], 0.0);
    assert_eq!(figures["video_packets_sent"], 0.0);
}

/// The next `n` digits that come.
async fn digits(station: &mut Station, leg: &LegId, n: usize) -> String {
    let mut digits = String::new();
    for _ in 0..n {
        digits.push(
            station
                .until(leg, |media| match media {
                    Media::Digit(digit) => Some(digit.as_char()),
                    _ => None,
                })
                .await,
        );
    }
    digits
}

/// It sends nothing: nobody listens to its microphone.
async fn assert_silent(station: &Station) {
    let voices = station.voices.clone();
    eventually("the microphone is let go", || voices.listeners() == 0).await;
}

async fn assert_heard(station: &Station) {
    let before = station.voices.heard().audible;
    let voices = station.voices.clone();
    eventually("sound", || voices.heard().audible >= before + 10).await;
}

fn setups(sdp: &doorstation::call::Sdp) -> Vec<&str> {
    sdp.as_str()
        .lines()
        .filter_map(|l| l.strip_prefix("a=setup:"))
        .collect()
}
