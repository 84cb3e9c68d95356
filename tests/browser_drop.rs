//! The page's notification socket breaks in the middle of a call: media go on, what
//! happened meanwhile is learnt when it is back.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, check_code, play};
use common::station::Demo;
use serde_json::Value;

const ALICE: &str = "alice@demo.local";

/// 3.x sees at its next ping that the socket is gone; until then the gateway keeps what
/// it has to say.
#[tokio::test]
async fn a_page_that_notices_late_learns_of_the_hold_and_of_the_end() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        talks(scene, &alice).await?;

        alice.act("drop").await?;
        scene.prove_sound(&alice).await?;
        scene.station.panel("hold").await?;
        still(&alice, "IN_CALL").await?;
        alice.act("ping").await?;
        alice.wait_state("ON_REMOTE_HOLD").await?;
        scene.station.wait_state("ON_HOLD").await?;
        scene.station.mark();
        scene.station.panel("unhold").await?;
        alice.wait_state("IN_CALL").await?;
        scene.station.wait_state("IN_CALL").await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        scene.prove_sound(&alice).await?;

        alice.act("drop").await?;
        scene.station.mark();
        scene.station.panel("end").await?;
        scene.ended().await?;
        still(&alice, "IN_CALL").await?;
        alice.act("ping").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "200")
    })
    .await
}

/// 5.2 comes back at once, to the same channel.
#[tokio::test]
async fn a_page_that_notices_at_once_goes_on_as_before() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Five)).await?;
        talks(scene, &alice).await?;
        alice.act("drop").await?;
        scene.prove_picture(&alice, "video/VP8").await?;
        scene.prove_sound(&alice).await?;
        scene.station.mark();
        scene.station.panel("hold").await?;
        alice.wait_state("ON_REMOTE_HOLD").await?;
        scene.station.panel("unhold").await?;
        alice.wait_state("IN_CALL").await?;
        alice.act("end").await?;
        scene.ended().await?;
        let logins = alice
            .run(
                "return peer.log.filter(({ method, path }) =>
                     method === 'POST' && path?.endsWith('/subscription')).length",
                Value::Null,
            )
            .await?;
        ensure!(logins == 1, "it logged in {logins} times");
        Ok(())
    })
    .await
}

/// The door calls, the page answers; both see and hear.
async fn talks(scene: &mut Scene, alice: &Peer) -> Result<()> {
    scene.station.mark();
    scene.station.panel("press bell").await?;
    alice.wait_state("RINGING").await?;
    alice.act("answer").await?;
    scene.station.wait_state("IN_CALL").await?;
    scene.prove_picture(alice, "video/VP8").await?;
    scene.prove_sound(alice).await
}

/// A while later the page still believes this.
async fn still(alice: &Peer, state: &str) -> Result<()> {
    let seen = alice
        .run(
            "await measure.sleep(500); return peer.call.state",
            Value::Null,
        )
        .await?;
    ensure!(seen == state, "the page is in {seen}");
    Ok(())
}
