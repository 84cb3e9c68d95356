//! `examples/kandy_call.rs` against the embedded gateway: what the quickstart of
//! Kandy.js does, in both directions, with media.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[allow(dead_code, reason = "its main is the example's own")]
#[path = "../examples/kandy_call.rs"]
mod kandy_call;

mod gateway_bench;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use doorstation::call::{
    AccountId, CallId, Connection, Direction, Event, Settings as Calls, State, Wish,
};
use doorstation::client::{Client, Config, Devices};
use doorstation::media::engine::Settings as Rtc;
use doorstation::secret::Secret;
use doorstation::signalling::kandy::{Login, Settings, Trust};
use tokio::io::{AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::mpsc;

use gateway_bench::{Bench, PATIENCE};

const VIDEO: Wish = Wish {
    audio: true,
    receive_video: true,
    send_video: true,
};

#[tokio::test]
async fn the_quickstart_makes_answers_holds_rejects_and_ends() {
    let gateway = Bench::start().await;
    let mut alice = Program::start(client(gateway.address, "alice"));
    let mut bob = client(gateway.address, "bob");
    alice.sees("auth:change Connected").await;
    connected(&mut bob).await;

    // Made with a name that needs the domain, answered, held, ended here.
    alice.types("make bob").await;
    let call = received(&mut bob).await;
    bob.answer(&call, VIDEO).await;
    alice.sees("call:start").await;
    alice.sees("-> RINGING").await;
    alice.sees("-> IN_CALL").await;
    alice.sees("answer_to_first_sound").await;
    alice.types("dtmf 1#").await;
    for key in ['1', '#'] {
        assert_eq!(dialled(&mut bob).await, key);
    }
    alice.types("hold").await;
    alice.sees("-> ON_HOLD").await;
    is(&mut bob, State::OnRemoteHold).await;
    alice.types("unhold").await;
    alice.sees("ON_HOLD -> IN_CALL").await;
    alice.types("show").await;
    let shown = alice
        .sees("outgoing from alice@demo.local to bob@demo.local is IN_CALL")
        .await;
    assert!(shown.starts_with("call "), "{shown}");
    alice.types("end").await;
    alice.sees("-> ENDED 9901 Ended by local user").await;
    is(&mut bob, State::Ended).await;
    let record = bob.call(&call).await.unwrap();
    assert_eq!(record.direction, Direction::Incoming);
    assert_eq!(record.from.as_str(), "alice@demo.local");
    assert_eq!(record.to.as_str(), "bob@demo.local");
    assert!(record.started.unwrap() < record.ended.unwrap());

    // Rejected.
    let call = bob.make("sip:alice@demo.local", VIDEO).await;
    alice.sees("call:receive").await;
    alice.types("reject").await;
    alice.sees("-> ENDED 9902").await;
    is(&mut bob, State::Ended).await;
    let record = bob.call(&call).await.unwrap();
    assert_eq!(record.to.as_str(), "alice@demo.local");
    assert_eq!(record.started, None);

    // Answered, ended over there.
    let call = bob.make("alice", VIDEO).await;
    alice.sees("call:receive").await;
    alice.types("answer").await;
    alice.sees("RINGING -> IN_CALL").await;
    is(&mut bob, State::InCall).await;
    bob.end(&call).await;
    alice.sees("-> ENDED 200").await;

    alice.types("dance").await;
    alice.sees("there is no command 'dance'").await;
    assert!(bob.call(&CallId::new("unknown")).await.is_none());
    alice.types("quit").await;
    alice.ends().await;
    bob.disconnect().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_an_auth_error() {
    let gateway = Bench::start().await;
    let config = config(gateway.address, "alice", "wrong");
    let mut alice = Program::start(Client::connect(config).unwrap());
    alice.sees("auth:error authentication:").await;
    alice.types("quit").await;
    alice.ends().await;
    gateway.stop().await;
}

fn client(gateway: SocketAddr, name: &str) -> Client {
    Client::connect(config(gateway, name, name)).unwrap()
}

fn config(gateway: SocketAddr, name: &str, password: &str) -> Config {
    Config {
        account: Settings {
            account: AccountId::new("kandy"),
            user: format!("{name}@demo.local"),
            login: Login::Basic {
                password: Secret::new(password),
                authname: None,
            },
            rest: format!("http://{gateway}"),
            websocket: format!("ws://{gateway}"),
            expires: Duration::from_secs(3600),
            trust: Trust::Public,
            display_name: None,
        },
        calls: Calls {
            wish: VIDEO,
            ..Calls::default()
        },
        devices: Devices::Simulated,
        rtc: Rtc {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            ..Rtc::default()
        },
        server_turn_credentials: false,
    }
}

/// The example, running, with its two ends.
struct Program {
    keyboard: DuplexStream,
    lines: mpsc::Receiver<String>,
}

impl Program {
    fn start(client: Client) -> Self {
        let (keyboard, commands) = tokio::io::duplex(1024);
        // Far above what a test makes it say.
        let (log, lines) = mpsc::channel(1024);
        let log = move |line| log.try_send(line).unwrap();
        let serve = kandy_call::serve(client, BufReader::new(commands), log);
        doorstation::tasks::Tasks::new().spawn_draining("example", async {
            serve.await.unwrap();
        });
        Self { keyboard, lines }
    }

    async fn types(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.keyboard.write_all(line.as_bytes()).await.unwrap();
    }

    /// Reads on until a line with `text`.
    async fn sees(&mut self, text: &str) -> String {
        let read = async {
            loop {
                let line = self.lines.recv().await.expect("the program runs");
                if line.contains(text) {
                    return line;
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.unwrap_or_else(|_| panic!("never said: {text}"))
    }

    /// The program has let go of its output: it has ended.
    async fn ends(mut self) {
        let rest = async { while self.lines.recv().await.is_some() {} };
        tokio::time::timeout(PATIENCE, rest).await.unwrap();
    }
}

async fn until<T>(client: &mut Client, mut found: impl FnMut(Event) -> Option<T>) -> T {
    let wait = async {
        loop {
            let event = client.event().await.expect("the client runs");
            if let Some(found) = found(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

async fn connected(client: &mut Client) {
    until(client, |event| {
        matches!(event, Event::Connection(_, Connection::Connected)).then_some(())
    })
    .await;
}

async fn received(client: &mut Client) -> CallId {
    until(client, |event| match event {
        Event::Receive { call, .. } => Some(call),
        _ => None,
    })
    .await
}

async fn dialled(client: &mut Client) -> char {
    until(client, |event| match event {
        Event::Digit { digit, .. } => Some(digit.as_char()),
        _ => None,
    })
    .await
}

async fn is(client: &mut Client, wanted: State) {
    until(client, |event| {
        matches!(event, Event::StateChange { state, .. } if state == wanted).then_some(())
    })
    .await;
}
