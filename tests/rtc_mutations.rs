//! Descriptions that real pages wrote, damaged in every way that a careless or
//! hostile peer could, through the media as the core drives them: each is answered
//! or refused with a sentence, none ends a task or leaves a session behind.
//!
//! The seeds are all descriptions of `tests/fixtures/wire-examples.jsonl`; the
//! damage is drawn from fixed seeds, so that a failure comes again.

mod rtc;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorstation::call::{LegId, Media, MediaOrder, Sdp};
use doorstation::media::VideoCodec;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rtc::{SEND, Station, WATCH, eventually};

const BOTH: [VideoCodec; 2] = [VideoCodec::Vp8, VideoCodec::H264];

/// How many damaged descriptions are tried in all.
const DESCRIPTIONS: usize = 2000;

/// How many stations try them side by side: most of an answer is waiting.
const STATIONS: usize = 8;

/// How many one leg is given: the first as an offer, the others as later offers and
/// as answers to offers of its own.
const PER_LEG: usize = 10;

/// Far above what an answer takes on a slow machine.
const ANSWERED: Duration = Duration::from_secs(20);

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_damaged_descriptions_are_answered_or_refused() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let seeds = seeds();
    let tried = (0..STATIONS).map(|seed| try_all(seed as u64, seeds.clone()));
    let tried = futures_util::future::join_all(tried).await;
    let taken: usize = tried.iter().sum();
    println!("{taken} of {DESCRIPTIONS} were taken");
    // Both ends of the judgement are reached: the damage is neither always fatal
    // nor never.
    assert!((DESCRIPTIONS / 20..DESCRIPTIONS * 19 / 20).contains(&taken));
    assert_eq!(
        PANICS.load(Ordering::Relaxed),
        0,
        "a description caused a panic"
    );
}

/// Tries a station's share; returns how many descriptions were taken.
async fn try_all(seed: u64, seeds: Vec<String>) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut station = Station::new(&BOTH);
    let mut taken = 0;
    for number in 0..DESCRIPTIONS / STATIONS / PER_LEG {
        let leg = LegId::new(format!("{seed}-{number}"));
        if number % 2 == 0 {
            taken += usize::from(take(&mut station, &leg, Turn::First, &mut rng, &seeds).await);
        } else {
            station.offer(&leg, SEND).await;
            taken += usize::from(take(&mut station, &leg, Turn::Answer, &mut rng, &seeds).await);
        }
        for _ in 1..PER_LEG {
            let turn = if rng.random_bool(0.3) && reoffer(&mut station, &leg).await {
                Turn::Answer
            } else {
                Turn::Again
            };
            taken += usize::from(take(&mut station, &leg, turn, &mut rng, &seeds).await);
        }
        station.close(&leg).await;
    }
    let gauge = station.gauge.clone();
    eventually("all sessions are closed", || gauge.sessions() == 0).await;
    taken
}

/// What a description is to the leg.
#[derive(Clone, Copy, Debug)]
enum Turn {
    First,
    Again,
    Answer,
}

/// Gives the leg a damaged description; tells whether it was taken.
async fn take(
    station: &mut Station,
    leg: &LegId,
    turn: Turn,
    rng: &mut StdRng,
    seeds: &[String],
) -> bool {
    let text = damaged(rng, seeds);
    let sdp = Sdp::new(text.as_str());
    let order = match turn {
        Turn::First => MediaOrder::Answer(sdp, WATCH),
        Turn::Again => MediaOrder::Reanswer(sdp),
        Turn::Answer => MediaOrder::Apply(sdp),
    };
    station.order(leg, order).await;
    settled(station, leg, &format!("{turn:?} {text:?}")).await
}

/// Asks for a new offer; a leg whose sessions are all gone has none to make.
async fn reoffer(station: &mut Station, leg: &LegId) -> bool {
    station
        .order(leg, MediaOrder::Reoffer { hold: false })
        .await;
    settled(station, leg, "a new offer").await
}

async fn settled(station: &mut Station, leg: &LegId, what: &str) -> bool {
    let settled = station.until(leg, |media| match media {
        Media::OfferReady(_) | Media::AnswerReady { .. } | Media::AnswerApplied { .. } => {
            Some(true)
        }
        Media::Failed(failure) => {
            assert!(!failure.message.is_empty());
            Some(false)
        }
        _ => None,
    });
    tokio::time::timeout(ANSWERED, settled)
        .await
        .unwrap_or_else(|_| panic!("neither taken nor refused: {what}"))
}

/// Every description of the recording.
fn seeds() -> Vec<String> {
    let records = include_str!("fixtures/wire-examples.jsonl");
    let mut found = Vec::new();
    for line in records.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a record a line");
        let body = &record["body"];
        let places = [
            &body["callControlRequest"]["sdp"],
            &body["notificationMessage"]["sessionParams"]["sdp"],
        ];
        found.extend(
            places
                .iter()
                .filter_map(|sdp| Some(sdp.as_str()?.to_owned())),
        );
    }
    assert!(found.len() > 10);
    found
}

/// One of `seeds` with one to four faults.
fn damaged(rng: &mut StdRng, seeds: &[String]) -> String {
    let pick = |rng: &mut StdRng| seeds[rng.random_range(0..seeds.len())].clone();
    let text = pick(rng);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..rng.random_range(1..=4) {
        let other = pick(rng);
        let other: Vec<&str> = other.lines().collect();
        damage_lines(rng, &mut lines, &other);
    }
    let mut text = lines.join("\r\n") + "\r\n";
    if rng.random_bool(0.05) {
        let cut = rng.random_range(0..text.len());
        text.truncate(text.floor_char_boundary(cut));
    }
    text
}

fn damage_lines(rng: &mut StdRng, lines: &mut Vec<String>, other: &[&str]) {
    let last = lines.len();
    if last == 0 {
        return;
    }
    let place = rng.random_range(0..last);
    match rng.random_range(0..9) {
        0 => drop(lines.remove(place)),
        1 => lines.insert(place, lines[rng.random_range(0..last)].clone()),
        2 => lines.swap(place, rng.random_range(0..last)),
        3 => lines.insert(place, other[rng.random_range(0..other.len())].to_owned()),
        // One kind of attribute is missing everywhere.
        4 => {
            let name = lines[place]
                .split(':')
                .next()
                .unwrap_or_default()
                .to_owned();
            lines.retain(|line| !line.starts_with(&name));
        }
        5 => {
            lines[place] = lines[place]
                .split(':')
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        6 => lines.truncate(place.max(1)),
        _ => lines[place] = damage_words(rng, &lines[place]),
    }
}

/// `line` with one of its words replaced.
fn damage_words(rng: &mut StdRng, line: &str) -> String {
    const WORDS: [&str; 22] = [
        "",
        "0",
        "-1",
        "1",
        "9",
        "65535",
        "65536",
        "4294967296",
        "18446744073709551616",
        "NaN",
        "sendonly",
        "inactive",
        "active",
        "udp",
        "TCP",
        "::1",
        "255.255.255.255",
        "x.local",
        "\u{e4}\u{1f6aa}",
        "%00",
        "a=b:c",
        "AA:BB:CC",
    ];
    let word = WORDS[rng.random_range(0..WORDS.len())];
    let long = "9".repeat(rng.random_range(1..3000));
    let word = if rng.random_bool(0.05) {
        long.as_str()
    } else {
        word
    };
    let separator = *[' ', ':', '/', ';', '=']
        .get(rng.random_range(0..5))
        .unwrap_or(&' ');
    let mut words: Vec<&str> = line.split(separator).collect();
    let place = rng.random_range(0..words.len());
    words[place] = word;
    words.join(&separator.to_string())
}
