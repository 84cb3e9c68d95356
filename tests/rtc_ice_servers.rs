//! A TURN server is asked with the latest log-in, for each call anew. The server here
//! knows just enough of RFC 8656 to be told who asks.

mod rtc;

use std::net::{Ipv4Addr, SocketAddr};

use doorstation::call::LegId;
use doorstation::ice::{Login, Server, Servers};
use doorstation::media::VideoCodec;
use doorstation::media::engine::Settings;
use doorstation::secret::Secret;
use rtc::{GENEROUS, SEND, Station};
use tokio::net::UdpSocket;

const ALLOCATE: u16 = 0x0003;
const ALLOCATE_ERROR: u16 = 0x0113;
const USERNAME: u16 = 0x0006;
const ERROR_CODE: u16 = 0x0009;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;

#[tokio::test]
async fn each_call_logs_in_at_the_turn_server_as_the_service_last_said() {
    let turn = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a socket");
    let address = turn.local_addr().expect("bound");
    let servers = Servers::new(vec![Server {
        url: format!("turn:{address}?transport=udp"),
        login: None,
    }]);
    let settings = Settings {
        bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        ice: servers.clone(),
        ..Settings::default()
    };
    let mut station = Station::with(&[VideoCodec::Vp8], settings);
    for name in ["1795334111:door", "1795337711:door"] {
        servers.log_in(Login {
            username: name.to_owned(),
            password: Secret::new("secret"),
        });
        let leg = LegId::new(name);
        let asked = tokio::time::timeout(GENEROUS, asked_by(&turn, name));
        let (asked, _offer) = tokio::join!(asked, station.offer(&leg, SEND));
        asked.expect("this user asks");
        station.close(&leg).await;
    }
    station.tasks.stop().await;
}

/// Sends requests without a log-in back, until `name` asks. What an earlier call still
/// had on its way may come before.
async fn asked_by(turn: &UdpSocket, name: &str) {
    let mut packet = [0; 1500];
    loop {
        let (length, from) = turn.recv_from(&mut packet).await.expect("a packet");
        let packet = &packet[..length];
        if length < 20 || u16::from_be_bytes([packet[0], packet[1]]) != ALLOCATE {
            continue;
        }
        match attribute(packet, USERNAME) {
            Some(user) if user == name.as_bytes() => return,
            Some(_) => continue,
            None => {}
        }
        let mut reply = ALLOCATE_ERROR.to_be_bytes().to_vec();
        reply.extend([0, 0]);
        reply.extend(&packet[4..20]);
        push(&mut reply, ERROR_CODE, &[0, 0, 4, 1]);
        push(&mut reply, REALM, b"turn.example");
        push(&mut reply, NONCE, b"nonce---");
        let body = u16::try_from(reply.len() - 20).expect("short");
        reply[2..4].copy_from_slice(&body.to_be_bytes());
        turn.send_to(&reply, from).await.expect("sent");
    }
}

/// All values here are multiples of four long: no padding is due.
fn push(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
    message.extend(value);
}

fn attribute(message: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = message.get(20..)?;
    while let [k1, k2, l1, l2, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        if u16::from_be_bytes([*k1, *k2]) == wanted {
            return body.get(..length);
        }
        rest = body.get(length.next_multiple_of(4)..)?;
    }
    None
}
