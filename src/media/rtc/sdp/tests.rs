//! With the real descriptions of Kandy.js 3.1 in Chromium 156.

use super::split::{Kind, event_clocks, session_text};
use super::wire::{Shown, join, rejection, section_of};
use super::*;

const EXAMPLES: &str = include_str!("../../../../tests/fixtures/wire-examples.jsonl");

/// The description that record `n` of the examples carries.
fn example(n: u64) -> String {
    let record = EXAMPLES
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|record| record["n"] == n)
        .expect("the record exists");
    record["body"]["callControlRequest"]["sdp"]
        .as_str()
        .expect("the record has a description")
        .to_owned()
}

fn parsed(n: u64) -> Description {
    Description::parse(&example(n)).expect("a real description")
}

/// An audio offer of a session, as webrtc-rs 0.21.1 writes it.
const OURS: &str = "v=0\r\no=- 77 88 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=msid-semantic:WMS *\r\n\
    a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110 110\r\nc=IN IP4 0.0.0.0\r\n\
    a=setup:active\r\na=mid:0\r\na=ice-ufrag:uuuu\r\na=ice-pwd:pppppppppppppppppppppp\r\n\
    a=fingerprint:sha-256 AA:BB\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:110 telephone-event/48000\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=candidate:1 1 udp 2130706431 fd00::2 40000 typ host\r\n\
    a=candidate:2 1 udp 2130706430 192.0.2.7 41000 typ host\r\n\
    a=candidate:2 2 udp 2130706430 192.0.2.7 41000 typ host\r\na=sendrecv\r\n";

fn shown(direction: Direction) -> Shown<'static> {
    Shown {
        mid: "1",
        direction,
        setup: None,
        decoy: false,
    }
}

fn lines(section: &Section) -> Vec<String> {
    let mut text = String::new();
    section.write(&mut text);
    assert!(text.ends_with("\r\n"));
    text.split_terminator("\r\n").map(str::to_owned).collect()
}

#[test]
fn every_description_of_the_examples_is_read_and_written_unchanged() {
    let mut seen = 0;
    for line in EXAMPLES.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a record");
        let Some(text) = record["body"]["callControlRequest"]["sdp"].as_str() else {
            continue;
        };
        let description = Description::parse(text).expect("a real description");
        let mut again = String::new();
        for line in &description.session {
            again.push_str(line);
            again.push_str("\r\n");
        }
        for section in description.sections() {
            section.write(&mut again);
        }
        assert_eq!(again, text);
        assert!(!description.bundles(), "3.x removes BUNDLE");
        seen += 1;
    }
    assert!(seen >= 10, "{seen} descriptions");
}

#[test]
fn directions_and_holds_of_a_real_call() {
    use Direction::*;
    // Call without camera; its answer; call with camera; hold; its answer; unhold.
    let expected = [
        (10, [SendRecv, RecvOnly], false),
        (14, [SendRecv, Inactive], false),
        (50, [SendRecv, SendRecv], false),
        (61, [SendOnly, SendOnly], true),
        (63, [RecvOnly, RecvOnly], false),
        (65, [SendRecv, SendRecv], false),
    ];
    for (n, directions, holds) in expected {
        let description = parsed(n);
        let found: Vec<Direction> = description
            .sections()
            .iter()
            .map(|s| description.direction(s))
            .collect();
        assert_eq!(found, directions, "record {n}");
        assert_eq!(description.holds(), holds, "record {n}");
    }
}

#[test]
fn a_hold_can_be_told_in_older_ways() {
    let held = |media: &str| {
        let text = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{media}");
        Description::parse(&text).expect("a description").holds()
    };
    assert!(held(
        "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n"
    ));
    assert!(!held(
        "m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n"
    ));
    assert!(held(
        "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=inactive\r\n"
    ));
    assert!(held(
        "a=sendonly\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
    ));
    // A rejected line does not count, one line in use is enough to go on.
    assert!(held(
        "m=audio 5000 RTP/AVP 0\r\na=sendonly\r\nm=video 0 RTP/AVP 96\r\na=sendrecv\r\n"
    ));
    assert!(!held(
        "m=audio 5000 RTP/AVP 0\r\na=sendonly\r\nm=video 5002 RTP/AVP 96\r\na=recvonly\r\n"
    ));
    assert!(!held("m=audio 0 RTP/AVP 0\r\na=inactive\r\n"));
}

#[test]
fn a_session_sees_its_line_alone_in_a_group_of_its_own() {
    let description = parsed(10);
    let text = session_text(&description, 1, "0", Kind::Offer);
    let alone = Description::parse(&text).expect("what we write can be read");
    assert_eq!(alone.sections().len(), 1);
    let section = &alone.sections()[0];
    assert_eq!(section.media(), "video");
    assert_eq!(section.attribute("mid"), Some("0"));
    assert_eq!(section.attribute("ice-ufrag"), Some("W878"));
    assert_eq!(alone.direction(section), Direction::RecvOnly);
    assert!(text.contains("a=group:BUNDLE 0\r\n"));
    assert!(!text.contains("sdes"), "nobody stamps mids on packets");
    let candidates: Vec<&str> = text.lines().filter(|l| l.contains("candidate:")).collect();
    assert_eq!(
        candidates,
        [
            "a=candidate:1277439280 1 udp 2122194687 192.0.2.2 49326 typ host generation 0 network-id 1",
            "a=candidate:2269310160 1 udp 2122265343 fd00::2 54839 typ host generation 0 network-id 2",
        ]
    );
}

#[test]
fn an_offered_line_that_does_not_receive_is_shown_as_sendrecv() {
    let held = parsed(61);
    assert!(session_text(&held, 0, "0", Kind::Offer).contains("a=sendrecv\r\n"));
    let answer = parsed(14);
    assert!(session_text(&answer, 1, "0", Kind::Answer).contains("a=inactive\r\n"));
}

#[test]
fn a_sessions_line_is_put_right_for_the_wire() {
    let section = section_of(OURS, shown(Direction::RecvOnly)).expect("our own description");
    assert_eq!(
        lines(&section),
        [
            "m=audio 41000 UDP/TLS/RTP/SAVPF 111 110",
            "c=IN IP4 192.0.2.7",
            "a=setup:active",
            "a=mid:1",
            "a=ice-ufrag:uuuu",
            "a=ice-pwd:pppppppppppppppppppppp",
            "a=fingerprint:sha-256 AA:BB",
            "a=rtcp-mux",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:110 telephone-event/48000",
            "a=candidate:1 1 udp 2130706431 fd00::2 40000 typ host",
            "a=candidate:2 1 udp 2130706430 192.0.2.7 41000 typ host",
            "a=recvonly",
        ]
    );
}

#[test]
fn the_decoy_stands_before_the_real_direction() {
    let decoy = Shown {
        setup: Some("passive"),
        decoy: true,
        ..shown(Direction::SendOnly)
    };
    let section = section_of(OURS, decoy).expect("our own description");
    let mut text = String::new();
    section.write(&mut text);
    // What 3.x does to an answer's video section: the first `a=sendonly`, which
    // is text to it, becomes `a=sendrecv`.
    let rewritten = text.replacen("a=sendonly", "a=sendrecv", 1);
    let read = Section::direction(&{
        let whole = format!("v=0\r\n{rewritten}");
        Description::parse(&whole)
            .expect("still a description")
            .sections()[0]
            .clone()
    });
    assert_eq!(read, Some(Direction::SendOnly));
    assert_eq!(section.attribute("setup"), Some("passive"));

    let mirrored = Shown {
        direction: Direction::SendRecv,
        ..decoy
    };
    let section = section_of(OURS, mirrored).expect("our own description");
    assert!(!lines(&section).iter().any(|l| l.contains("x-direction")));
}

#[test]
fn a_rejection_is_complete() {
    let offer = parsed(10);
    let audio = section_of(OURS, shown(Direction::SendRecv)).expect("our own description");
    let section = rejection(&offer.sections()[1], "1", Some(&audio));
    let lines = lines(&section);
    assert!(lines[0].starts_with("m=video 0 UDP/TLS/RTP/SAVPF 96 97 "));
    assert_eq!(lines[1], "c=IN IP4 0.0.0.0");
    for line in [
        "a=ice-ufrag:uuuu",
        "a=ice-pwd:pppppppppppppppppppppp",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:active",
        "a=mid:1",
        "a=inactive",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line} is missing");
    }
    assert!(!lines.iter().any(|l| l.starts_with("a=candidate")));
    assert!(!lines.iter().any(|l| l == "a=recvonly"));
}

#[test]
fn joined_sections_stand_behind_one_session_part() {
    let audio = section_of(OURS, shown(Direction::SendRecv)).expect("our own description");
    let text = join(5, 3, &[], &[audio.clone(), audio]);
    assert!(text.starts_with("v=0\r\no=- 5 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"));
    assert!(!text.contains("a=group"));
    assert_eq!(text.matches("\r\n").count(), text.lines().count());
    assert_eq!(text.matches("m=audio").count(), 2);
    assert!(join(5, 4, &["0"], &[]).contains("a=group:BUNDLE 0\r\n"));
}

/// The formats of an offer of sound as its session sees them.
fn seen(formats: &str, meanings: &[&str]) -> Vec<String> {
    let mut offer = format!("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\n");
    for meaning in meanings {
        offer += &format!("a=rtpmap:{meaning}\r\na=fmtp:{meaning}\r\n");
    }
    let offer = Description::parse(&offer).expect("an offer");
    let text = session_text(&offer, 0, "0", Kind::Offer);
    let kept = ["m=", "a=rtpmap:"];
    text.lines()
        .filter(|l| kept.iter().any(|k| l.starts_with(k)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_session_sees_the_best_sound_and_the_events_of_its_clock() {
    let all = [
        "0 PCMU/8000",
        "126 telephone-event/8000",
        "110 telephone-event/48000",
        "111 opus/48000/2",
    ];
    let m_line = |formats: &str| format!("m=audio 9 UDP/TLS/RTP/SAVPF {formats}");
    assert_eq!(
        seen("0 126 110 111", &all),
        [
            m_line("110 111"),
            "a=rtpmap:110 telephone-event/48000".into(),
            "a=rtpmap:111 opus/48000/2".into()
        ]
    );
    assert_eq!(
        seen("0 126 110", &all[..3]),
        [
            m_line("0 126"),
            "a=rtpmap:0 PCMU/8000".into(),
            "a=rtpmap:126 telephone-event/8000".into()
        ]
    );
    // The number says what it is.
    assert_eq!(
        seen("0 8", &[]),
        [m_line("0 8"), "a=rtpmap:0 PCMU/8000".into()]
    );
}

#[test]
fn events_get_the_clock_of_their_sound() {
    let written = |formats: &str, meanings: &[&str]| {
        let mut text = format!("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\n");
        for meaning in meanings {
            text += &format!("a=rtpmap:{meaning}\r\n");
        }
        let text = event_clocks(text).expect("our own description");
        let lines = text.lines().skip(1).map(|l| l.rsplit([':', 'F']).next());
        lines
            .map(|l| l.unwrap_or_default().trim().to_owned())
            .collect::<Vec<_>>()
    };
    let (opus, pcmu) = ("111 opus/48000/2", "0 PCMU/8000");
    let events = "110 telephone-event/48000";
    assert_eq!(
        written("111 0 110", &[opus, pcmu, events]),
        [
            "111 0 110 126",
            opus,
            pcmu,
            events,
            "126 telephone-event/8000"
        ]
    );
    assert_eq!(
        written("0 110", &[pcmu, events]),
        ["0 110", pcmu, "110 telephone-event/8000"]
    );
    assert_eq!(
        written("111 110", &[opus, events]),
        ["111 110", opus, events]
    );
}

#[test]
fn nonsense_is_an_error_that_names_the_line() {
    let parse = |text: &str| Description::parse(text).map(|_| ()).expect_err("nonsense");
    assert_eq!(parse(""), SdpError::NoVersion);
    assert_eq!(
        parse("o=- 1\r\nm=audio 9 RTP/AVP 0\r\n"),
        SdpError::NoVersion
    );
    assert_eq!(parse("v=0\r\n"), SdpError::NoMedia);
    assert_eq!(parse("v=0\r\nhello\r\n"), SdpError::BadLine(2));
    assert_eq!(parse("v=0\r\na=x\u{7}\r\n"), SdpError::BadLine(2));
    assert_eq!(parse("v=0\r\nm=audio\r\n"), SdpError::BadMedia(2));
    assert_eq!(
        parse("v=0\r\nm=audio 99999 RTP/AVP 0\r\n"),
        SdpError::BadMedia(2)
    );
    assert_eq!(parse("v=0\r\nm=audio 9 RTP/AVP\r\n"), SdpError::BadMedia(2));
    let long = "v=0\r\n".repeat(20_000);
    assert_eq!(parse(&long), SdpError::TooLong(100_000));
    let many = format!("v=0\r\n{}", "m=audio 9 RTP/AVP 0\r\n".repeat(9));
    assert_eq!(parse(&many), SdpError::TooManySections);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "(v=0\r\n)?([amcv]=[ -~]{0,40}\r?\n){0,12}") {
        if let Ok(description) = Description::parse(&text) {
            description.holds();
            for index in 0..description.sections().len() {
                let alone = session_text(&description, index, "0", Kind::Offer);
                Description::parse(&alone).expect("what we write can be read");
                let section = &description.sections()[index];
                rejection(section, "1", Some(section));
                // It has no session of ours behind it, but must not panic.
                let _ = section_of(&alone, shown(Direction::SendOnly));
            }
        }
    }
}
