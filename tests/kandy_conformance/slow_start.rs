//! Slow start (5.7): who is called without an offer, or asked for one, makes it.

use doorstation::call::State;
use serde_json::json;

use crate::house::{HOLD, House, UNHOLD, answer_to, direction, example, sections, version};

/// The station offers in its answer; the page's answer comes as `respondCallUpdate`. After
/// that it is a call like any other.
#[tokio::test]
async fn r5_1_r6_4_a_call_without_an_offer_is_answered_with_one() {
    let mut house = House::new(true).await;
    let offer = house.page_calls_slowly().await;
    let [sound, picture] = sections(&offer);
    assert_eq!(direction(&sound), "sendrecv");
    assert_eq!(direction(&picture), "sendonly");
    let answer = json!({"type": "respondCallUpdate", "sdp": answer_to(&offer, "recvonly")});
    let leg = house.leg.clone();
    house.page.put_ok(&leg, answer).await;

    house
        .page_offers(&held(&answer_to(&offer, "recvonly")))
        .await;
    house.state(State::OnRemoteHold).await;
    house.stop().await;
}

/// The same in the middle of a call: what is offered is the call as it is.
#[tokio::test]
async fn r5_7_an_update_without_an_offer_is_answered_with_one() {
    let mut house = House::new(true).await;
    let first = house.page_calls(&example(crate::house::WITH_CAMERA)).await;
    let leg = house.leg.clone();
    house
        .page
        .put_ok(&leg, json!({"type": "startCallUpdate"}))
        .await;
    let asked = house.page.expect("respondCallUpdate").await;
    let offer = asked["sdp"].as_str().unwrap();
    assert_eq!(version(offer), version(&first) + 1);
    for section in sections(offer) {
        assert_eq!(direction(&section), "sendrecv");
        assert!(section.contains("a=setup:actpass"), "{section}");
    }
    let answer = json!({"type": "respondCallUpdate", "sdp": answer_to(offer, "sendrecv")});
    house.page.put_ok(&leg, answer).await;
    assert_eq!(house.record().await, State::InCall);

    // Both sides can go on from there.
    house.page_offers(&example(HOLD)).await;
    house.state(State::OnRemoteHold).await;
    house.page_offers(&example(UNHOLD)).await;
    house.state(State::InCall).await;
    house.stop().await;
}

/// An offer of the page whose lines all hold, in a call that `text` describes.
fn held(text: &str) -> String {
    ["sendrecv", "recvonly"].iter().fold(
        text.replace("a=setup:active", "a=setup:actpass"),
        |text, usual| text.replace(&format!("a={usual}"), "a=sendonly"),
    )
}
