//! The indoor page that the gateway serves, used as a person uses it: with the
//! keyboard and the mouse, over plain HTTP and over HTTPS with the station's own CA.

#![expect(
    clippy::unwrap_used,
    reason = "a client that cannot go on fails its test"
)]

#[path = "common/mod.rs"]
mod common;
mod gateway_bench;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::indoor::{Indoor, shows_notice};
use common::scene::{Scene, check_code, play};
use common::station::{DOOR, Demo, PASSWORD};
use gateway_bench::Client;
use serde_json::Value;

const ALICE: &str = "alice@demo.local";
const BOB: &str = "bob@demo.local";

/// How long picture and sound are judged.
const LOOK: Duration = Duration::from_secs(2);

fn alice_rings(demo: Demo) -> Demo {
    demo.user(ALICE).ring(ALICE)
}

#[tokio::test]
async fn the_page_logs_in_rings_answers_talks_and_ends() -> Result<()> {
    play(alice_rings, async |scene| {
        let page = Indoor::open(scene.browser.tab(), scene.station.url()).await?;
        eprintln!("a wrong password is said in words");
        page.log_in(ALICE, "not the password").await?;
        page.until(
            "a sentence about the wrong password",
            "document.getElementById('login-error').checkVisibility()
             && document.getElementById('login-error').textContent.trim().length > 10",
        )
        .await?;

        page.log_in(ALICE, PASSWORD).await?;
        page.wait_state("idle").await?;
        the_door_rings(scene, &page).await?;
        the_page_calls(scene, &page).await
    })
    .await
}

#[tokio::test]
async fn the_page_works_over_https_with_the_stations_own_authority() -> Result<()> {
    let set_up = |demo: Demo| alice_rings(demo).https();
    play(set_up, async |scene| {
        let page = Indoor::open(scene.browser.tab(), scene.station.url()).await?;
        trusted_by_its_own_authority(scene.station.url()).await?;
        page.log_in(ALICE, PASSWORD).await?;
        page.wait_state("idle").await?;
        the_door_rings(scene, &page).await
    })
    .await
}

#[tokio::test]
async fn the_page_rejects() -> Result<()> {
    play(alice_rings, async |scene| {
        let page = logged_in(scene).await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        page.wait_state("ringing").await?;
        page.press("reject").await?;
        page.wait_state("idle").await?;
        check_code(&scene.ended().await?, "603")?;
        one_message(&page).await
    })
    .await
}

#[tokio::test]
async fn the_page_tells_a_missed_call() -> Result<()> {
    let set_up = |demo: Demo| alice_rings(demo).option("--ring-time", "3");
    play(set_up, async |scene| {
        let page = logged_in(scene).await?;
        page.begin().await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        // A busy machine may look only after the ringing: the page's own notes tell.
        page.until(
            "ringing and the end of it",
            "observed.state('ringing') !== null && document.body.dataset.state === 'idle'",
        )
        .await?;
        scene.ended().await?;
        one_message(&page).await?;
        the_visitor_was_seen(&page).await
    })
    .await
}

#[tokio::test]
async fn the_door_holds_the_page_and_takes_it_back() -> Result<()> {
    play(alice_rings, async |scene| {
        let page = logged_in(scene).await?;
        page.begin().await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        talks(scene, &page).await?;
        both_ways(scene, &page).await?;
        for _ in 0..2 {
            scene.door_holds(&page).await?;
            both_ways(scene, &page).await?;
        }
        page.press("end").await?;
        page.wait_state("idle").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_second_call_does_not_disturb_the_first() -> Result<()> {
    let set_up = |demo: Demo| alice_rings(demo).user(BOB);
    play(set_up, async |scene| {
        let page = logged_in(scene).await?;
        page.begin().await?;
        scene.station.mark();
        scene.station.panel("press bell").await?;
        talks(scene, &page).await?;
        let bob = Client::at(scene.station.address()?, BOB, PASSWORD);
        let mut bob = bob.subscribe().await;

        eprintln!("the door is busy");
        let leg = bob.call(DOOR).await;
        let end = bob.expect("callEnd").await;
        ensure!(
            end["sessionData"] == leg.as_str(),
            "not of this call: {end}"
        );
        check_status(&end, "486")?;

        eprintln!("the page tells who else calls");
        let leg = bob.call(ALICE).await;
        bob.expect("ringing").await;
        let notice = shows_notice("alsoRinging", "Bob");
        page.until("a notice of the second call", &notice).await?;
        both_ways(scene, &page).await?;
        bob.end(&leg, "").await;
        check_status(&bob.expect("callEnd").await, "487")?;
        page.until("the end of the notice", &format!("!({notice})"))
            .await?;
        page.wait_state("talking").await?;
        both_ways(scene, &page).await?;
        page.press("end").await?;
        page.wait_state("idle").await?;
        scene.ended().await?;
        Ok(())
    })
    .await
}

async fn logged_in(scene: &Scene) -> Result<Indoor> {
    let page = Indoor::open(scene.browser.tab(), scene.station.url()).await?;
    page.log_in(ALICE, PASSWORD).await?;
    page.wait_state("idle").await?;
    Ok(page)
}

/// The person answers the ringing call.
async fn talks(scene: &mut Scene, page: &Indoor) -> Result<()> {
    page.wait_state("ringing").await?;
    page.press("answer").await?;
    page.wait_state("talking").await?;
    scene.station.wait_state("IN_CALL").await?;
    Ok(())
}

/// The list of those who rang holds the one call.
async fn one_message(page: &Indoor) -> Result<()> {
    page.press("messages").await?;
    page.until(
        "one message",
        "document.querySelectorAll('#message-list > li').length === 1",
    )
    .await
}

/// Who rang is in the list, large when it is pressed, and on the quiet screen.
async fn the_visitor_was_seen(page: &Indoor) -> Result<()> {
    let picture = "document.querySelector('#visitor-list img')?.naturalWidth > 0";
    page.until("a picture of the visitor", picture).await?;
    page.run("document.querySelector('#visitor-list button').click()")
        .await?;
    let large = "document.getElementById('photo').open
        && document.getElementById('photo-picture').naturalWidth > 0";
    page.until("the picture, large", large).await?;
    page.press("photo-close").await?;
    page.press("sheet-close").await?;
    let still = "document.getElementById('last-picture').checkVisibility()
        && document.getElementById('still').width > 0";
    page.until("the visitor on the quiet screen", still).await
}

fn check_status(end: &Value, code: &str) -> Result<()> {
    ensure!(end["statusCode"] == code, "not {code}: {end}");
    Ok(())
}

/// The bell rings, the person answers, both are seen and heard, the person ends.
async fn the_door_rings(scene: &mut Scene, page: &Indoor) -> Result<()> {
    page.begin().await?;
    scene.station.mark();
    scene.station.panel("press bell").await?;
    talks(scene, page).await?;
    both_ways(scene, page).await?;
    page.press("end").await?;
    page.wait_state("idle").await?;
    scene.ended().await?;
    Ok(())
}

/// The person calls, the door's button answers, the door ends.
async fn the_page_calls(scene: &mut Scene, page: &Indoor) -> Result<()> {
    page.begin().await?;
    scene.station.mark();
    page.press("talk").await?;
    scene
        .station
        .wait("call:receive", |event| event["event"] == "call:receive")
        .await?;
    scene.station.panel("answer").await?;
    page.wait_state("talking").await?;
    both_ways(scene, page).await?;
    scene.station.panel("end").await?;
    page.wait_state("idle").await
}

async fn both_ways(scene: &Scene, page: &Indoor) -> Result<()> {
    let from_ms = scene.speaker_now_ms()?;
    let figures = page.prove_media(LOOK).await?;
    eprintln!("{figures}");
    scene.heard_at_door(2, from_ms).await
}

/// A client that trusts nothing but the CA at `/ca.crt` must accept the gateway.
async fn trusted_by_its_own_authority(url: &str) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let blind = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let authority = blind.get(format!("{url}/ca.crt")).send().await?;
    ensure!(authority.status().is_success(), "no /ca.crt: {authority:?}");
    let authority = authority.bytes().await?;
    let certificate =
        reqwest::Certificate::from_der(&authority).context("/ca.crt is no certificate")?;
    let trusting = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()?;
    let page = trusting
        .get(format!("{url}/"))
        .send()
        .await
        .context("the gateway's certificate does not follow from /ca.crt")?;
    ensure!(page.status().is_success(), "no page: {page:?}");
    let other = rcgen::generate_simple_self_signed(["other.example".to_owned()])?;
    let strangers = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_der(other.cert.der())?])
        .build()?
        .get(format!("{url}/"))
        .send()
        .await;
    ensure!(
        strangers.is_err(),
        "a client that trusts another CA trusts the gateway"
    );
    Ok(())
}
