//! A far end that is gone for good: when a call ends by itself, and why.

#[path = "common/mod.rs"]
mod common;
mod rtc;

use std::time::Duration;

use common::road::{Road, Weather};
use doorstation::call::{LegId, Media};
use doorstation::clock;
use doorstation::media::VideoCodec;
use rtc::{EVERYTHING, SEND, Station, WATCH};

/// A call lives through an outage that is shorter, and ends after it.
const SILENCE: Duration = Duration::from_secs(30);
/// How much later the end may come: the transport is looked at four times a second, on
/// machines that do other things as well.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_far_end_that_sends_nothing_for_thirty_seconds_is_given_up_and_no_sooner() {
    let codecs = [VideoCodec::Vp8];
    let (mut door, mut page) = (Station::new(&codecs), Station::new(&codecs));
    let leg = LegId::new("leg");
    let mut road = Road::new(Weather::fair(), 11, &door.tasks);
    let offer = door.offer(&leg, SEND).await;
    let (answer, _) = page.answer(&leg, road.of_door(&offer).await, WATCH).await;
    door.apply(&leg, road.of_page(&answer).await).await;
    for end in [&mut door, &mut page] {
        end.is(&leg, Media::Connected).await;
        end.flow(&leg, EVERYTHING).await;
    }
    door.is(&leg, Media::FirstSound).await;
    road.set(Weather {
        cut: true,
        ..Weather::fair()
    });
    let cut = clock::now();
    let lost = |media: &Media| match media {
        Media::Lost(reason) => Some(reason.clone()),
        _ => None,
    };
    let reason = door.until(&leg, lost).await;
    let took = cut.elapsed();
    println!("given up after {took:.1?}: {reason}");
    assert!(reason.contains("nothing for 30 s"), "{reason}");
    assert!(took + Duration::from_millis(500) >= SILENCE, "{took:?}");
    assert!(took <= SILENCE + LATE, "{took:?}");
    door.close(&leg).await;
    page.close(&leg).await;
}
