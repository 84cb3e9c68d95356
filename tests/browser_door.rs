//! The door opens for those who may, and for nobody else: from the page's button and
//! from a call, through the whole station and the relay of the demo.

#[path = "common/mod.rs"]
mod common;

use std::time::Duration;

use anyhow::{Result, ensure};
use common::indoor::Indoor;
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, check_code, play};
use common::station::{Demo, PASSWORD};
use serde_json::{Value, json};

const ALICE: &str = "alice@demo.local";

fn with_a_code(demo: Demo) -> Demo {
    demo.user(ALICE).ring(ALICE).option("--door-code", "4711")
}

/// What the station says of the door next, if it is no attempt.
async fn next_of_the_door(scene: &mut Scene) -> Result<Value> {
    let told = |event: &Value| {
        let name = event["event"].as_str().unwrap_or_default();
        name.starts_with("door:") && name != "door:attempt"
    };
    Ok(scene.station.wait("news of the door", told).await?.value)
}

#[tokio::test]
async fn the_code_in_a_call_opens_the_door_and_ends_the_call() -> Result<()> {
    play(with_a_code, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Five)).await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        alice.wait_state("RINGING").await?;
        alice.act("answer").await?;
        let call = scene.station.wait_state("IN_CALL").await?.value["call_id"].clone();
        scene.prove_sound(&alice).await?;

        scene.station.mark();
        dial(&alice, "1234").await?;
        let refused = next_of_the_door(scene).await?;
        ensure!(refused["event"] == "door:refused", "{refused}");
        ensure!(refused["code"] == "wrong_code", "{refused}");
        ensure!(refused["call_id"] == call, "{refused}");

        scene.station.mark();
        dial(&alice, "4711").await?;
        let opened = next_of_the_door(scene).await?;
        ensure!(opened["event"] == "door:opened", "{opened}");
        ensure!(
            opened["how"] == "dtmf" && opened["who"] == ALICE,
            "{opened}"
        );
        ensure!(opened["call_id"] == call, "{opened}");
        let blue = |event: &Value| event["event"] == "led" && event["sign"] == "open";
        scene
            .station
            .wait("the sign of the open door", blue)
            .await?;

        // Five seconds later the call has done its work.
        check_code(&scene.ended().await?, "9901")?;
        alice.wait_state("ENDED").await?;
        let keys = scene.station.all(|event| event["event"] == "call:dtmf");
        ensure!(
            keys.is_empty(),
            "the code is nobody's news: {} keys",
            keys.len()
        );
        Ok(())
    })
    .await
}

async fn dial(alice: &Peer, keys: &str) -> Result<()> {
    alice.run("await peer.sendKeys(args)", json!(keys)).await?;
    Ok(())
}

#[tokio::test]
async fn the_page_s_button_opens_the_door_when_it_is_held() -> Result<()> {
    play(with_a_code, async |scene| {
        let page = Indoor::open(scene.browser.tab(), scene.station.url()).await?;
        page.log_in("alice", PASSWORD).await?;
        page.wait_state("idle").await?;
        scene.station.mark();
        // A touch is not meant.
        page.hold("open", Duration::from_millis(300)).await?;
        page.hold("open", Duration::from_millis(1500)).await?;
        let opened = next_of_the_door(scene).await?;
        ensure!(opened["event"] == "door:opened", "{opened}");
        ensure!(
            opened["how"] == "page" && opened["who"] == ALICE,
            "{opened}"
        );
        let closed = |event: &Value| event["event"] == "door:closed";
        scene.station.wait("the closed door", closed).await?;
        let attempts = scene.station.all(|event| event["event"] == "door:attempt");
        ensure!(attempts.len() == 1, "{} attempts", attempts.len());
        Ok(())
    })
    .await
}
