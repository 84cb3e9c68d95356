//! Section 7: what the station writes and takes, to and from a page whose descriptions
//! are those of a real Kandy.js 3.1 (records of `wire-examples.jsonl`).

use std::time::Duration;

use doorstation::call::State;
use serde_json::json;

use crate::house::{
    HOLD, House, UNHOLD, WITH_CAMERA, WITHOUT_CAMERA, answer_to, direction, example, port,
    sections, value, version,
};

/// 7.1: no group, each line with a transport of its own, different names.
#[tokio::test]
async fn r7_1_two_transports_for_a_page_that_never_bundles() {
    let mut house = House::new(true).await;
    let answer = house.page_calls(&example(WITHOUT_CAMERA)).await;
    assert!(!answer.contains("a=group"), "{answer}");
    let [sound, picture] = sections(&answer);
    for name in ["mid", "ice-ufrag", "ice-pwd"] {
        assert_ne!(value(&sound, name), value(&picture, name), "{name}");
    }
    for section in [&sound, &picture] {
        assert!(section.contains("\r\na=candidate:"), "{section}");
        assert!(!section.contains("urn:ietf:params:rtp-hdrext:sdes:"));
    }
    house.stop().await;
}

/// 7.2: an offer to receive video is answered with a picture behind a decoy, or, where
/// that is switched off, with port 0 and all that the page needs nevertheless.
#[tokio::test]
async fn r7_2_a_page_that_called_without_its_camera() {
    let mut house = House::new(true).await;
    let answer = house.page_calls(&example(WITHOUT_CAMERA)).await;
    let [_, picture] = sections(&answer);
    assert_ne!(port(&picture), 0);
    // What 3.x does to the text leaves the real direction as it is.
    assert_eq!(direction(&picture), "sendonly");
    let rewritten = picture.replacen("a=sendonly", "a=sendrecv", 1);
    assert_eq!(direction(&rewritten), "sendonly");
    house.stop().await;

    let mut house = House::new(false).await;
    let answer = house.page_calls(&example(WITHOUT_CAMERA)).await;
    let [sound, picture] = sections(&answer);
    assert_eq!(port(&picture), 0);
    assert_eq!(direction(&picture), "inactive");
    assert!(picture.contains("\r\nc=IN IP4 0.0.0.0\r\n"));
    assert!(picture.contains("a=rtcp-mux\r\n"));
    assert!(picture.contains("VP8/90000"));
    assert_eq!(value(&picture, "mid"), "1");
    for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        assert_eq!(value(&sound, name), value(&picture, name), "{name}");
    }
    house.stop().await;
}

/// 7.3 and 7.4: what the door offers, and that it takes each answer that a page may
/// give: without its camera, with a rejected picture.
#[tokio::test]
async fn r7_3_r7_4_the_doors_offer_and_the_pages_answers() {
    let mut house = House::new(true).await;
    for (picture, rejected) in [("recvonly", false), ("inactive", false), ("inactive", true)] {
        let (leg, offer) = house.door_calls().await;
        let [sound, video] = sections(&offer);
        assert_eq!(direction(&sound), "sendrecv");
        assert_eq!(direction(&video), "sendonly");
        let mut answer = answer_to(&offer, picture);
        if rejected {
            let [_, video] = sections(&answer);
            let gone = video.replacen(&format!("m=video {}", port(&video)), "m=video 0", 1);
            answer = answer.replace(&video, &gone);
        }
        house
            .page
            .put_ok(&leg, json!({"type": "callAnswer", "sdp": answer}))
            .await;
        house.state(State::InCall).await;
        house.page.end(&leg, "").await;
        house.state(State::Ended).await;
        house.page.expect_end_of(&leg).await;
    }
    house.stop().await;
}

/// 7.5: a hold is told by every line in use; it is answered with its mirror, and so is
/// the end of it.
#[tokio::test]
async fn r7_5_the_page_holds_and_takes_back() {
    let mut house = House::new(true).await;
    house.page_calls(&example(WITH_CAMERA)).await;
    let answer = house.page_offers(&example(HOLD)).await;
    house.state(State::OnRemoteHold).await;
    for section in sections(&answer) {
        assert_eq!(direction(&section), "recvonly");
        assert!(![0, 9].contains(&port(&section)), "3.x would not see it");
        assert!(!section.contains("c=IN IP4 0.0.0.0"));
    }
    let answer = house.page_offers(&example(UNHOLD)).await;
    house.state(State::InCall).await;
    for section in sections(&answer) {
        assert_eq!(direction(&section), "sendrecv");
    }
    // One line alone is an ordinary change.
    let sound_only = example(HOLD).replacen("a=sendonly", "a=sendrecv", 1);
    house.page_offers(&sound_only).await;
    let record = house.record().await;
    assert_eq!(record, State::InCall);
    house.stop().await;
}

/// 7.5, 11.6: the door's own hold has every line on `sendonly`; 7.6: it keeps order,
/// names and transports, and raises the version.
#[tokio::test]
async fn r7_5_r7_6_r11_6_the_doors_own_hold() {
    let mut house = House::new(true).await;
    let first = house.page_calls(&example(WITH_CAMERA)).await;
    house.door.hold(&house.call()).await;
    let params = house.page.expect("startCallUpdate").await;
    let offer = params["sdp"].as_str().unwrap().to_owned();
    for (old, new) in sections(&first).iter().zip(sections(&offer)) {
        assert_eq!(direction(&new), "sendonly");
        assert_ne!(port(&new), 0);
        for name in ["mid", "ice-ufrag", "ice-pwd", "fingerprint"] {
            assert_eq!(value(old, name), value(&new, name), "{name}");
        }
        assert_eq!(value(&new, "setup"), "actpass");
    }
    assert_eq!(version(&offer), version(&first) + 1);
    house.stop().await;
}

/// 7.6: in answers the first DTLS role stays for the life of the call, and all else that
/// names a transport.
#[tokio::test]
async fn r7_6_later_answers_keep_role_and_transport() {
    let mut house = House::new(true).await;
    let first = house.page_calls(&example(WITH_CAMERA)).await;
    let versions = version(&first) + 1..;
    for (expected, record) in versions.zip([HOLD, UNHOLD, HOLD, UNHOLD]) {
        let answer = house.page_offers(&example(record)).await;
        for (old, new) in sections(&first).iter().zip(sections(&answer)) {
            for name in ["mid", "ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
                assert_eq!(value(old, name), value(&new, name), "{name}");
            }
        }
        assert_eq!(version(&answer), expected);
    }
    house.stop().await;
}

/// 7.7, 7.8, 7.9: transport, sound and picture, offered and answered.
#[tokio::test]
async fn r7_7_r7_8_r7_9_transports_and_codecs() {
    let mut house = House::new(true).await;
    for description in &house.offer_and_answer().await {
        let [sound, picture] = sections(description);
        for section in [&sound, &picture] {
            assert_eq!(section.split(' ').nth(2), Some("UDP/TLS/RTP/SAVPF"));
            assert!(value(section, "fingerprint").starts_with("sha-256 "));
            assert!(section.contains("a=rtcp-mux\r\n"));
            assert!(!section.contains("a=crypto"));
        }
        assert!(sound.contains("opus/48000/2\r\n"), "{sound}");
        assert!(sound.contains("telephone-event/"), "{sound}");
        assert!(picture.contains("VP8/90000\r\n"), "{picture}");
        assert!(picture.contains("H264/90000\r\n"), "{picture}");
        for fmtp in picture.lines().filter(|l| l.contains("profile-level-id")) {
            assert!(fmtp.contains("profile-level-id=42e0"), "{fmtp}");
            assert!(fmtp.contains("packetization-mode=1"), "{fmtp}");
        }
    }
    house.stop().await;

    // 7.9: a page of 5.2 has taken H264 out: VP8 alone is left.
    let mut house = House::new(true).await;
    let without = example(WITH_CAMERA).replace("H264/90000", "none/90000");
    let [_, picture] = sections(&house.page_calls(&without).await);
    assert!(picture.contains("VP8/90000\r\n") && !picture.contains("H264/90000"));
    house.stop().await;

    // 7.9: neither VP8 nor H264: no picture, the call goes on.
    let mut house = House::new(true).await;
    let neither = without.replace("VP8/90000", "none/90000");
    let [sound, picture] = sections(&house.page_calls(&neither).await);
    assert_ne!(port(&sound), 0);
    assert_eq!(port(&picture), 0);
    house.stop().await;
}

/// 7.10: line ends, and one stream for sound and picture.
#[tokio::test]
async fn r7_10_form_and_streams() {
    let mut house = House::new(true).await;
    for description in &house.offer_and_answer().await {
        assert!(description.ends_with("\r\n"));
        assert_eq!(
            description.matches('\n').count(),
            description.matches("\r\n").count()
        );
        assert!(!description.contains("\r\nb="));
        let [sound, picture] = sections(description);
        let stream = |section: &str| value(section, "msid").split(' ').next().map(str::to_owned);
        assert_eq!(stream(&sound), stream(&picture));
        for section in [&sound, &picture] {
            let named = |line: &str| line.starts_with("a=ssrc:") && line.contains(" cname:");
            assert!(section.lines().any(named), "{section}");
        }
    }
    house.stop().await;
}

/// 7.11: names that only the page's machine can resolve, TCP and IPv6 among the
/// candidates hurt nothing, and neither does an offer without any.
#[tokio::test]
async fn r7_11_candidates_that_cannot_be_used() {
    let odd = "a=candidate:1 1 udp 2122260223 0ac3e1c4-1bd2-4c1e-a7e0-2f3f6a5b6c7d.local 50000 typ host\r\n\
               a=candidate:2 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active\r\n\
               a=candidate:3 1 udp 2122260223 fd00::9 50001 typ host\r\n\
               a=candidate:4 2 udp 2122260222 192.0.2.9 50002 typ host\r\n";
    let plain: String = example(WITH_CAMERA)
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("a=candidate:"))
        .collect();
    for offer in [
        plain.replace("a=sendrecv\r\n", &format!("{odd}a=sendrecv\r\n")),
        plain,
    ] {
        let mut house = House::new(true).await;
        for section in sections(&house.page_calls(&offer).await) {
            assert_ne!(port(&section), 0);
            let candidates = section.lines().filter(|l| l.starts_with("a=candidate:"));
            for candidate in candidates {
                assert!(candidate.contains(" udp ") && !candidate.contains(".local"));
            }
        }
        house.stop().await;
    }
}

/// 7.12: the station sends no early media: between ringing and the answer comes nothing.
/// 11.4: what it sends is complete; nobody waits for more candidates.
#[tokio::test]
async fn r7_12_r11_4_no_early_media_and_no_trickle() {
    let mut house = House::new(true).await;
    let answer = house.page_calls(&example(WITH_CAMERA)).await;
    assert!(!answer.contains("a=ice-options:trickle"), "{answer}");
    house.stop().await;
}

/// 11.5: a page that fails on the answer says nothing; when no media come up the station
/// ends the call, and the page's leg with it.
#[tokio::test]
async fn r11_5_a_call_whose_media_never_come_up_is_ended() {
    let mut house = House::with(true, Duration::from_secs(1)).await;
    house.page_calls(&example(WITH_CAMERA)).await;
    let leg = house.leg.clone();
    let ended = house.page.expect("callEnd").await;
    assert_eq!(ended["sessionData"], leg);
    assert_eq!(ended["reasonText"], "Sound and picture did not connect");
    house.stop().await;
}
