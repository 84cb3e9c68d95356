//! Every way in which a call ends without a talk, through real HTTP and WebSocket,
//! as pages of both generations and the door's panel see it.

#[path = "common/mod.rs"]
mod common;

use anyhow::{Result, ensure};
use common::peer::{Generation, Options, Peer};
use common::scene::{Scene, check_code, play};
use common::station::{DOOR, Demo, PASSWORD};
use serde_json::json;

const ALICE: &str = "alice@demo.local";
const BOB: &str = "bob@demo.local";
const CAROL: &str = "carol@demo.local";

#[tokio::test]
async fn nobody_talks_rejected_unanswered_cancelled() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE).option("--ring-time", "3");
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;

        eprintln!("the page rejects");
        rings(scene, &alice).await?;
        alice.act("reject").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "603")?;
        check_code(&scene.ended().await?, "603")?;

        eprintln!("nobody answers");
        rings(scene, &alice).await?;
        let ended = scene.ended().await?;
        let code = &ended["code"];
        ensure!(
            code == "480" || code == "487",
            "not an unanswered call: {ended}"
        );
        alice.wait_state("ENDED").await?;

        eprintln!("the visitor changes their mind");
        rings(scene, &alice).await?;
        scene.station.panel("end").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "487")?;
        scene.ended().await?;

        eprintln!("and the station still works");
        rings(scene, &alice).await?;
        alice.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_calls_and_nobody_talks() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).user(BOB).user(CAROL).ring(ALICE);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        let bob = scene.peer(BOB, &Options::new(Generation::Five)).await?;

        eprintln!("nobody has that name");
        alice.make("nobody@demo.local").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "404")?;

        eprintln!("carol has an account and no page");
        alice.make(CAROL).await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "480")?;

        eprintln!("the door's button rejects");
        scene.station.mark();
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        scene.station.panel("reject").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "603")?;
        // "Rejected by local user" (protocol section 6.5).
        check_code(&scene.ended().await?, "9902")?;

        eprintln!("the page gives up");
        scene.station.mark();
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        alice.act("end").await?;
        alice.wait_state("ENDED").await?;
        check_code(&alice.last_step().await?, "487")?;
        check_code(&scene.ended().await?, "487")?;

        eprintln!("the door talks to somebody else");
        alice.make(DOOR).await?;
        alice.wait_state("RINGING").await?;
        scene.station.panel("answer").await?;
        alice.wait_state("IN_CALL").await?;
        bob.make(DOOR).await?;
        bob.wait_state("ENDED").await?;
        check_code(&bob.last_step().await?, "486")?;
        scene.prove_sound(&alice).await?;
        alice.act("end").await
    })
    .await
}

#[tokio::test]
async fn the_second_page_sees_that_the_first_one_answered() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).user(BOB).ring(ALICE).ring(BOB);
    play(set_up, async |scene| {
        let alice = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        let bob = scene.peer(BOB, &Options::new(Generation::Five)).await?;
        rings(scene, &alice).await?;
        bob.wait_state("RINGING").await?;
        bob.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        alice.wait_state("ENDED").await?;
        scene.prove_sound(&bob).await?;

        eprintln!("alice's page can still not take the call");
        let late = alice.act("answer").await;
        eprintln!("a late answer: {late:?}");
        bob.run(
            "if (peer.call.state !== 'IN_CALL') throw new Error(peer.call.state)",
            json!(null),
        )
        .await?;
        scene.station.mark();
        bob.act("end").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_same_user_on_two_devices_answers_on_one() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        let phone = scene.peer(ALICE, &Options::new(Generation::Three)).await?;
        // A second log-in of the same user; the page knows it by another name.
        scene
            .browser
            .run(
                "const { gateway, password, voice, remoteVoice } = peers['alice@demo.local'];
                 const tablet = new Peer3({ gateway, user: 'alice@demo.local', password, voice, remoteVoice });
                 await tablet.connect();
                 peers.tablet = tablet;",
                json!(null),
            )
            .await?;
        rings(scene, &phone).await?;
        scene
            .browser
            .run("await peers.tablet.waitState('RINGING')", json!(null))
            .await?;
        phone.act("answer").await?;
        scene.station.wait_state("IN_CALL").await?;
        let step = scene
            .browser
            .run(
                "await peers.tablet.waitState('ENDED'); return peers.tablet.call.history.at(-1)",
                json!(null),
            )
            .await?;
        check_code(&step, "9904")?;
        scene.prove_sound(&phone).await?;
        phone.act("end").await
    })
    .await
}

#[tokio::test]
async fn a_wrong_password_is_refused_in_the_form_that_the_sdks_read() -> Result<()> {
    let set_up = |demo: Demo| demo.user(ALICE).ring(ALICE);
    play(set_up, async |scene| {
        for (generation, password) in [("Peer3", "wrong"), ("Peer5", "")] {
            let refused = scene
                .browser
                .run(
                    &format!(
                        "const peer = new {generation}(args);
                         try {{ await peer.connect(); }} catch (error) {{
                             return {{ status: error.status, statusCode: error.statusCode }};
                         }}
                         throw new Error('let in with a wrong password');"
                    ),
                    json!({
                        "gateway": scene.station.url(),
                        "user": ALICE,
                        "password": password,
                    }),
                )
                .await?;
            ensure!(
                refused == json!({ "status": 401, "statusCode": 4 }),
                "not refused as the SDKs want it: {refused}"
            );
        }
        let options = Options::new(Generation::Three);
        let alice = scene.peer(ALICE, &options).await;
        ensure!(alice.is_ok(), "the right password {PASSWORD:?} is refused");
        Ok(())
    })
    .await
}

/// Presses the bell and waits until `peer` and the station ring.
async fn rings(scene: &mut Scene, peer: &Peer) -> Result<()> {
    scene.station.mark();
    scene.station.panel("press bell").await?;
    peer.run(
        "await measure.until('a new call', () => peer.call && !peer.call.over)",
        json!(null),
    )
    .await?;
    peer.wait_state("RINGING").await?;
    scene.station.wait_state("RINGING").await?;
    Ok(())
}
