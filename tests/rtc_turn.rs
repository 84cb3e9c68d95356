//! Calls whose only way is a TURN server: Debian's coturn, on this machine.

mod coturn;
mod rtc;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use doorstation::call::{LegId, Media, Sdp};
use doorstation::clock;
use doorstation::ice::{Login, Server, Servers};
use doorstation::media::VideoCodec;
use doorstation::media::engine::Settings;
use doorstation::secret::Secret;
use rtc::{EVERYTHING, SEND, Station, WATCH};

/// The target, from the answer to the first sound and until the first picture is sent.
const FIRST_PACKET: Duration = Duration::from_millis(300);
/// So many calls are made; the median counts.
const CALLS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_a_turn_server_begins_at_once() -> Result<()> {
    let Some(turn) = coturn::start().await? else {
        return Ok(());
    };
    let settings = || {
        let (username, password) = coturn::LOGIN;
        let login = Login {
            username: username.to_owned(),
            password: Secret::new(password),
        };
        Settings {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            ice: Servers::new(vec![Server {
                url: turn.url().to_owned(),
                login: Some(login),
            }]),
            ..Settings::default()
        }
    };
    let mut door = Station::with(&[VideoCodec::Vp8], settings());
    let mut page = Station::with(&[VideoCodec::Vp8], settings());
    let mut times = Vec::new();
    for number in 0..CALLS {
        let leg = LegId::new(format!("call {number}"));
        let offer = relayed(&door.offer(&leg, SEND).await);
        let answered = clock::now();
        let (answer, _) = page.answer(&leg, offer, WATCH).await;
        door.apply(&leg, relayed(&answer)).await;
        for end in [&mut door, &mut page] {
            end.is(&leg, Media::Connected).await;
            end.flow(&leg, EVERYTHING).await;
        }
        door.is(&leg, Media::FirstPictureSent).await;
        page.is(&leg, Media::FirstSound).await;
        times.push(answered.elapsed());
        door.close(&leg).await;
        page.close(&leg).await;
    }
    println!("answer to first picture and sound over TURN: {times:?}");
    times.sort();
    let median = times[CALLS / 2];
    assert!(median <= FIRST_PACKET, "{median:?}, of {times:?}");
    door.tasks.stop().await;
    page.tasks.stop().await;
    Ok(())
}

/// The description without the ways that need no server.
fn relayed(sdp: &Sdp) -> Sdp {
    let direct = |line: &&str| line.starts_with("a=candidate:") && !line.contains(" typ relay");
    let lines = sdp.as_str().lines().filter(|line| !direct(line));
    let left: String = lines.map(|line| format!("{line}\r\n")).collect();
    assert!(
        left.contains(" typ relay"),
        "the server gave an address: {sdp:?}"
    );
    Sdp::new(left)
}
