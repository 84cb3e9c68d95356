//! The picture comes and goes in the middle of a call, between two stations' media.

mod rtc;

use doorstation::call::{LegId, Media, MediaOrder, Wish};
use doorstation::media::VideoCodec;
use rtc::{EVERYTHING, SEND, Station, WATCH, directions};

const SOUND: Wish = Wish {
    audio: true,
    receive_video: false,
    send_video: false,
};

/// A call with sound alone: who offered, who answered.
async fn sound_call(leg: &LegId) -> (Station, Station) {
    let codecs = [VideoCodec::Vp8];
    let (mut door, mut page) = (Station::new(&codecs), Station::new(&codecs));
    let offer = door.offer(leg, SOUND).await;
    assert_eq!(directions(&offer), ["sendrecv"]);
    let (answer, _) = page.answer(leg, offer, WATCH).await;
    door.apply(leg, answer).await;
    door.is(leg, Media::Connected).await;
    page.is(leg, Media::Connected).await;
    door.flow(leg, EVERYTHING).await;
    page.flow(leg, EVERYTHING).await;
    page.is(leg, Media::FirstSound).await;
    (door, page)
}

/// The door's next offer, with its picture or without, and the page's answer.
async fn picture(
    door: &mut Station,
    page: &mut Station,
    leg: &LegId,
    on: bool,
) -> [Vec<String>; 2] {
    door.order(leg, MediaOrder::Picture(on)).await;
    let offer = door.reoffer(leg, false).await;
    let offered = directions(&offer);
    let (answer, held) = page.reanswer(leg, offer).await;
    assert!(!held, "sound goes on");
    let answered = directions(&answer);
    door.apply(leg, answer).await;
    [offered, answered]
}

#[tokio::test]
async fn a_picture_is_added_taken_back_and_added_again() {
    let leg = LegId::new("leg");
    let (mut door, mut page) = sound_call(&leg).await;
    let on = [["sendrecv", "sendonly"], ["sendrecv", "recvonly"]];
    let off = [["sendrecv", "inactive"], ["sendrecv", "inactive"]];
    assert_eq!(picture(&mut door, &mut page, &leg, true).await, on);
    door.is(&leg, Media::FirstPictureSent).await;
    assert_eq!(picture(&mut door, &mut page, &leg, false).await, off);
    assert_eq!(picture(&mut door, &mut page, &leg, true).await, on);
    let sent = door.close(&leg).await;
    let received = page.close(&leg).await;
    assert!(sent["video_frames_sent"] >= 1.0, "{sent:?}");
    assert!(received["video_packets_received"] >= 1.0, "{received:?}");
}

/// The page's offer knows nothing of the line that the door has just added.
#[tokio::test]
async fn an_offer_that_crossed_the_added_picture_is_answered_and_the_picture_added_again() {
    let leg = LegId::new("leg");
    let (mut door, mut page) = sound_call(&leg).await;
    door.order(&leg, MediaOrder::Picture(true)).await;
    let offer = door.reoffer(&leg, false).await;
    assert_eq!(directions(&offer).len(), 2);

    let hold = page.reoffer(&leg, true).await;
    assert_eq!(directions(&hold), ["sendonly"]);
    let (answer, held) = door.reanswer(&leg, hold).await;
    assert!(held);
    page.apply(&leg, answer).await;
    let back = page.reoffer(&leg, false).await;
    let (answer, held) = door.reanswer(&leg, back).await;
    assert!(!held);
    page.apply(&leg, answer).await;

    let [_, answered] = picture(&mut door, &mut page, &leg, true).await;
    assert_eq!(answered, ["sendrecv", "recvonly"]);
    door.is(&leg, Media::FirstPictureSent).await;
}

#[tokio::test]
async fn a_call_may_want_a_picture_without_sound_but_not_nothing() {
    let mut door = Station::new(&[VideoCodec::Vp8]);
    let silent = Wish {
        audio: false,
        ..SEND
    };
    let offer = door.offer(&LegId::new("silent"), silent).await;
    assert_eq!(directions(&offer), ["sendonly"]);

    let nothing = Wish {
        audio: false,
        ..SOUND
    };
    let leg = LegId::new("nothing");
    door.order(&leg, MediaOrder::Offer(nothing)).await;
    let failure = door
        .until(&leg, |media| match media {
            Media::Failed(failure) => Some(failure.clone()),
            _ => None,
        })
        .await;
    assert!(
        failure.message.contains("no media specified"),
        "{failure:?}"
    );

    // A page that calls with both gets no sound from a station that wants none.
    let mut page = Station::new(&[VideoCodec::Vp8]);
    let leg = LegId::new("leg");
    let offer = page.offer(&leg, WATCH).await;
    let (answer, _) = door.answer(&leg, offer, silent).await;
    assert_eq!(directions(&answer), ["-", "sendrecv"]);
}
