//! Many calls one after the other: nothing stays behind, and each is connected
//! soon.

mod rtc;

use doorstation::call::{LegId, Media};
use doorstation::media::VideoCodec;
use rtc::{EVERYTHING, SEND, Station, WATCH, eventually};

const CALLS: usize = 50;

#[tokio::test]
async fn fifty_calls_leave_nothing_behind_and_connect_at_once() {
    let (mut door, mut page) = (
        Station::new(&[VideoCodec::Vp8]),
        Station::new(&[VideoCodec::Vp8]),
    );
    let tasks = (door.tasks.alive(), page.tasks.alive());
    let mut connects = Vec::new();
    for number in 0..CALLS {
        let leg = LegId::new(format!("leg {number}"));
        let offer = door.offer(&leg, SEND).await;
        if number % 10 == 9 {
            // Never answered.
            door.close(&leg).await;
            continue;
        }
        let (answer, _) = page.answer(&leg, offer, WATCH).await;
        door.apply(&leg, answer).await;
        door.is(&leg, Media::Connected).await;
        page.is(&leg, Media::Connected).await;
        door.flow(&leg, EVERYTHING).await;
        door.is(&leg, Media::FirstPictureSent).await;
        connects.push(door.close(&leg).await["connect_ms"]);
        page.close(&leg).await;
    }
    for station in [&door, &page] {
        let gauge = station.gauge.clone();
        eventually("no session is left", || gauge.sessions() == 0).await;
        assert_eq!(station.voices.heard().voices, 0);
    }
    let (door_tasks, page_tasks) = (door.tasks.clone(), page.tasks.clone());
    eventually("no task is left", || {
        (door_tasks.alive(), page_tasks.alive()) == tasks
    })
    .await;

    connects.sort_by(f64::total_cmp);
    let median = connects[connects.len() / 2];
    let p90 = connects[connects.len() * 9 / 10];
    println!("answer applied -> connected: median {median:.1} ms, p90 {p90:.1} ms");
    assert!(median < 50.0, "median {median} ms");
}

#[tokio::test]
async fn stopping_the_process_closes_the_sessions() {
    let (mut door, mut page) = (
        Station::new(&[VideoCodec::Vp8]),
        Station::new(&[VideoCodec::Vp8]),
    );
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    door.apply(&leg, answer).await;
    page.is(&leg, Media::Connected).await;
    door.is(&leg, Media::Connected).await;
    tokio::time::timeout(rtc::GENEROUS, door.tasks.stop())
        .await
        .expect("every task ends");
    assert_eq!(door.gauge.sessions(), 0);
    page.is(&leg, Media::FarEndClosed).await;
}

#[tokio::test]
async fn a_far_end_that_is_not_there_is_given_up() {
    let (mut door, mut page) = (
        Station::new(&[VideoCodec::Vp8]),
        Station::new(&[VideoCodec::Vp8]),
    );
    let leg = LegId::new("leg");
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, offer, WATCH).await;
    page.close(&leg).await;
    let began = doorstation::clock::now();
    door.apply(&leg, answer).await;
    let reason = door
        .until(&leg, |media| match media {
            Media::Lost(reason) => Some(reason.clone()),
            _ => None,
        })
        .await;
    let took = began.elapsed();
    println!("{reason} after {took:?}");
    // By the clock of the leg, not when ICE gives up by itself (30 s).
    assert!(took.as_secs() < 25, "{took:?}");
    assert!(reason.contains("no media connection"), "{reason}");
}
