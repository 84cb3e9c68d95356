//! The servers that help media out of the house: a STUN server must say what our address
//! is, a TURN server must give us one of its own for a moment.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use rtc_turn::crypto;
use sansio::Protocol;
use tokio::net::UdpSocket;
use tokio::time::{timeout, timeout_at};

use super::Finding;
use super::reach::PATIENCE;
use crate::clock;
use crate::ice::{Login, Server};

/// The port of STUN and TURN over UDP (RFC 8489, RFC 8656).
const PORT: u16 = 3478;
/// The longest answer that is read: replies to these requests take a hundred bytes.
const LONGEST: usize = 1500;

/// What a server did for us.
#[derive(Debug)]
enum Outcome {
    /// It told or lent an address, which is of no use to a reader, and of some to a stranger.
    Helped,
    /// It answers, and does not help.
    Refused(String),
    /// Nothing answers.
    Silent,
}

/// Asks each server for what a call asks it for. A TURN server without a log-in is only
/// asked whether it is there: an account's service hands out the log-in.
pub(super) async fn servers(servers: &[Server], note: &mut (dyn FnMut(Finding) + Send)) {
    for server in servers {
        note(reach(server).await);
    }
}

async fn reach(server: &Server) -> Finding {
    let check = format!("ice {}", server.url);
    let relays = server.url.starts_with("turn");
    let host = host_of(&server.url);
    let found = timeout(PATIENCE, tokio::net::lookup_host(&host)).await;
    // A session's sockets are IPv4 and IPv6; one way is enough.
    let found = found.ok().and_then(Result::ok).and_then(|mut all| {
        let all: Vec<_> = all.by_ref().collect();
        let v4 = all.iter().find(|address| address.is_ipv4());
        v4.or_else(|| all.first()).copied()
    });
    let Some(address) = found else {
        return Finding::failure(
            check,
            "no name server knows it",
            "is its name right in [[call.ice_server]]? Is there a name server: resolvectl status, \
             or cat /etc/resolv.conf",
        );
    };
    let began = clock::now();
    let login = server.login.as_ref().filter(|_| relays);
    let outcome = match ask(address, login).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let remedy = "is the network up: ip address, ip route";
            return Finding::failure(check, format!("{address}: {error}"), remedy);
        }
    };
    judge(check, &outcome, login, relays, began.elapsed())
}

fn judge(
    check: String,
    outcome: &Outcome,
    login: Option<&Login>,
    relays: bool,
    took: Duration,
) -> Finding {
    let ms = took.as_millis();
    match outcome {
        Outcome::Helped if login.is_some() => {
            Finding::ok(check, format!("lends an address, in {ms} ms"))
        }
        Outcome::Helped if relays => Finding::ok(
            check,
            format!("answers in {ms} ms; its log-in comes from an account and was not tried"),
        ),
        Outcome::Helped => Finding::ok(check, format!("tells our address, in {ms} ms")),
        Outcome::Silent => Finding::failure(
            check,
            format!("no answer within {} s", PATIENCE.as_secs()),
            "is name and port right in [[call.ice_server]], and does the router let UDP out to it? \
             Calls inside the house work without",
        ),
        Outcome::Refused(why) => match login {
            Some(login) => refused(check, why, &login.username),
            None => Finding::failure(
                check,
                format!("answers, and does not help: {why}"),
                "ask who runs it, or take another one in [[call.ice_server]]",
            ),
        },
    }
}

/// A log-in that is good for a while has the end of it before its colon, in seconds since
/// 1970 (coturn's `use-auth-secret`).
fn refused(check: String, why: &str, username: &str) -> Finding {
    let end = username.split(':').next().and_then(|end| end.parse().ok());
    let end = end.and_then(|s| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(s)));
    let since = end.and_then(|end| clock::wall().duration_since(end).ok());
    match since {
        Some(since) => Finding::failure(
            check,
            format!("the log-in expired {} min ago: {why}", since.as_secs() / 60),
            "get a new username and password for [[call.ice_server]]; an account with \
             server_turn_credentials gets new ones by itself",
        ),
        None if why.contains("401") => Finding::failure(
            check,
            format!("refuses the log-in: {why}"),
            "correct username and password_file of this [[call.ice_server]]",
        ),
        None => Finding::failure(
            check,
            format!("lends no address: {why}"),
            "ask who runs it: it may be full, or not for us",
        ),
    }
}

/// `host:port` of `turn:host:port?transport=udp`.
fn host_of(url: &str) -> String {
    let rest = url.split_once(':').map_or(url, |(_, rest)| rest);
    let host = rest.split('?').next().unwrap_or(rest);
    let bare = host.rsplit_once(']').map_or(host, |(_, end)| end);
    match bare.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:{PORT}"),
    }
}

/// One conversation with the server; what was lent is given back.
async fn ask(server: SocketAddr, login: Option<&Login>) -> std::io::Result<Outcome> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let other = std::io::Error::other::<String>;
    let provider = crypto::default_provider().map_err(|error| other(error.to_string()))?;
    let config = ClientConfig {
        stun_serv_addr: server.to_string(),
        turn_serv_addr: server.to_string(),
        local_addr: socket.local_addr()?,
        transport_protocol: TransportProtocol::UDP,
        username: login.map_or_else(String::new, |login| login.username.clone()),
        password: login.map_or_else(String::new, |login| login.password.expose().to_owned()),
        ..ClientConfig::default()
    };
    let mut client = Client::new(config, provider).map_err(|error| other(error.to_string()))?;
    let now = clock::now();
    let begun = match login {
        Some(_) => client.allocate(now),
        None => client.send_binding_request(now),
    };
    begun.map_err(|error| other(error.to_string()))?;
    let outcome = timeout(PATIENCE, converse(&mut client, &socket)).await;
    let _ = client.close();
    let _ = send(&mut client, &socket).await;
    match outcome {
        // A port that nobody listens on says so.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Ok(Outcome::Silent)
        }
        Ok(outcome) => outcome,
        Err(_) => Ok(Outcome::Silent),
    }
}

async fn send(client: &mut Client, socket: &UdpSocket) -> std::io::Result<()> {
    while let Some(packet) = client.poll_write() {
        socket.send(&packet.message).await?;
    }
    Ok(())
}

async fn converse(client: &mut Client, socket: &UdpSocket) -> std::io::Result<Outcome> {
    let mut buffer = [0; LONGEST];
    loop {
        send(client, socket).await?;
        match client.poll_event() {
            Some(Event::BindingResponse(..) | Event::AllocateResponse(..)) => {
                return Ok(Outcome::Helped);
            }
            Some(Event::BindingError(_, why) | Event::AllocateError(_, why)) => {
                return Ok(Outcome::Refused(words(&why.to_string())));
            }
            Some(Event::TransactionTimeout(_)) => return Ok(Outcome::Silent),
            Some(_) => continue,
            None => {}
        }
        let now = clock::now();
        let due = client.poll_timeout().unwrap_or(now + PATIENCE);
        match timeout_at(due.into(), socket.recv(&mut buffer)).await {
            Ok(length) => {
                let packet = TransportMessage {
                    now: clock::now(),
                    transport: TransportContext {
                        local_addr: socket.local_addr()?,
                        peer_addr: socket.peer_addr()?,
                        transport_protocol: TransportProtocol::UDP,
                        ecn: None,
                    },
                    message: BytesMut::from(&buffer[..length?]),
                };
                // What is no answer of ours is not one.
                let _ = client.handle_read(packet);
            }
            Err(_) => {
                let _ = client.handle_timeout(clock::now());
            }
        }
    }
}

/// `Allocate error response (error 401: Unauthorized)` to `401: Unauthorized`.
fn words(error: &str) -> String {
    let inner = error.split_once("(error ").map(|(_, rest)| rest);
    let inner = inner.and_then(|rest| rest.rsplit_once(')'));
    inner.map_or(error, |(inner, _)| inner).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_server_s_port_is_the_usual_one_unless_it_has_another() {
        for (url, host) in [
            ("stun:a.example", "a.example:3478"),
            ("turn:a.example:5000?transport=udp", "a.example:5000"),
            ("turn:[::1]?transport=udp", "[::1]:3478"),
            ("stun:[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn a_log_in_with_an_end_that_is_over_expired_and_another_is_wrong() {
        let of = |username, why| refused("ice".to_owned(), why, username);
        let expired = of("1000:door", "401: Unauthorized");
        assert!(expired.seen.contains("expired"), "{expired:?}");
        assert!(expired.remedy.unwrap().contains("new username"));
        let wrong = of("door", "401: Unauthorized");
        assert!(wrong.seen.contains("refuses the log-in"), "{wrong:?}");
        assert!(wrong.remedy.unwrap().contains("password_file"));
        let full = of("99999999999:door", "508: Insufficient Capacity");
        assert!(full.seen.contains("508"), "{full:?}");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_a_failure() {
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let url = format!("stun:{}", free.local_addr().unwrap());
        drop(free);
        let finding = reach(&Server { url, login: None }).await;
        assert_eq!(finding.grade, Grade::Failure);
        assert!(finding.remedy.unwrap().contains("router"));
    }
}
