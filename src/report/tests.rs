//! What is told, byte for byte, and what happens when nobody reads it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use time::UtcOffset;
use tokio::sync::watch;

use super::json::Json;
use super::terminal::{Settings, Terminal};
use super::{Format, Light, News, Ready, Report, Told, User};
use crate::call::{
    AccountId, Address, CallId, CallView, Connection, Device, Direction, Event, Failure, Figures,
    State, Summary, View,
};
use crate::media::Tone;
use crate::secret::Secret;
use crate::tasks::Tasks;

#[test]
fn every_event_has_its_json_line() {
    for (news, line) in [
        (
            News::Ready(ready()),
            r#"{"event":"ready","url":"https://door:8443/","door":"door@demo.local","users":[{"address":"alice@demo.local"},{"address":"bob@demo.local","password":"made-up"}]"#,
        ),
        (
            News::Event(Event::Start(call())),
            r#"{"event":"call:start","call_id":"c1""#,
        ),
        (
            News::Event(Event::Receive {
                call: call(),
                from: alice(),
                parameters: Vec::new(),
            }),
            r#"{"event":"call:receive","call_id":"c1","from":"alice@demo.local""#,
        ),
        (
            state_change(None),
            r#"{"event":"call:stateChange","call_id":"c1","previous":"RINGING","state":"ENDED""#,
        ),
        (
            state_change(Some(("486", "Busy Here"))),
            r#"{"event":"call:stateChange","call_id":"c1","previous":"RINGING","state":"ENDED","code":"486","reason":"Busy Here""#,
        ),
        (
            News::Event(Event::CallError {
                call: call(),
                failure: failure(),
            }),
            r#"{"event":"call:error","call_id":"c1","code":"authentication:4","message":"wrong password""#,
        ),
        (
            News::Event(Event::MediaError {
                device: Device::Camera,
                message: "unplugged".into(),
            }),
            r#"{"event":"media:error","device":"camera","message":"unplugged""#,
        ),
        (
            News::Event(Event::MediaRestored(Device::Speaker)),
            r#"{"event":"media:restored","device":"speaker""#,
        ),
        (
            connection(Connection::Connected),
            r#"{"event":"auth:change","account":"home","state":"connected""#,
        ),
        (
            connection(Connection::Lost(failure())),
            r#"{"event":"auth:change","account":"home","state":"lost","code":"authentication:4","message":"wrong password""#,
        ),
        (
            connection(Connection::Refused(failure())),
            r#"{"event":"auth:error","account":"home","code":"authentication:4","message":"wrong password""#,
        ),
        (
            News::Event(Event::Denied("a \"call\" is under way".into())),
            r#"{"event":"denied","message":"a \"call\" is under way""#,
        ),
        (
            News::Event(Event::Moment {
                call: call(),
                name: "press_to_ring",
                took: Duration::from_micros(12_345),
            }),
            r#"{"event":"moment","call_id":"c1","name":"press_to_ring","ms":12.345"#,
        ),
        (
            News::Event(Event::Figures {
                call: call(),
                figures: Figures([("fps", 30.0), ("audio_up_ms", 1.5)].into()),
            }),
            r#"{"event":"media","call_id":"c1","figures":{"audio_up_ms":1.5,"fps":30.0}"#,
        ),
        (
            over(None),
            r#"{"event":"call:over","call_id":"c1","direction":"outgoing","peer":"alice@demo.local","code":"200","reason":"Call Ended""#,
        ),
        (
            over(Some(Duration::from_secs(3))),
            r#"{"event":"call:over","call_id":"c1","direction":"outgoing","peer":"alice@demo.local","talked_ms":3000.0,"code":"200","reason":"Call Ended""#,
        ),
        (
            News::Event(Event::Summary {
                call: call(),
                summary: summary(),
            }),
            r#"{"event":"call:summary","call_id":"c1","direction":"outgoing","talked_ms":61000.0,"code":"200","moments":{"press_to_ringing":80.5},"figures":{"freezes":1.0,"loss_percent_p95":2.5}"#,
        ),
        (
            News::Light(light()),
            r#"{"event":"led","sign":"ringing","colour":"amber","pattern":"pulse 1 s""#,
        ),
        (
            News::Tone(Some(Tone::RingBack)),
            r#"{"event":"tone","tone":"ring_back""#,
        ),
        (News::Tone(None), r#"{"event":"tone","tone":null"#),
    ] {
        let want = format!("{line},\"t_ms\":61500.25,\"time\":\"2026-11-22T12:00:07Z\"}}\n");
        assert_eq!(written(&mut Json, news), want);
    }
}

#[test]
fn a_redraw_is_no_line() {
    assert_eq!(written(&mut Json, News::Redraw), "");
}

#[test]
fn a_plain_terminal_gets_sentences_with_their_time_and_nothing_else() {
    let (_view, mut terminal) = terminal(false, View::default());
    for (news, line) in [
        (
            over(Some(Duration::from_secs(125))),
            "13:00:07  call with alice@demo.local over after 2 min 05 s: Call Ended (200)\n",
        ),
        (
            over(None),
            "13:00:07  call with alice@demo.local over, nobody talked: Call Ended (200)\n",
        ),
        (
            connection(Connection::Refused(failure())),
            "13:00:07  home: wrong password (authentication:4)\n",
        ),
        (
            News::Light(light()),
            "13:00:07  light: ringing (amber, pulse 1 s)\n",
        ),
        (News::Redraw, ""),
    ] {
        assert_eq!(written(&mut terminal, news), line);
    }
}

#[test]
fn made_up_passwords_are_printed_but_never_in_debug() {
    let (_view, mut terminal) = terminal(false, View::default());
    let text = written(&mut terminal, News::Ready(ready()));
    assert!(
        text.contains("log in as bob@demo.local, password made-up\n"),
        "{text}"
    );
    assert!(text.contains("log in as alice@demo.local\n"), "{text}");
    assert!(!format!("{:?}", ready()).contains("made-up"));
}

#[tokio::test(start_paused = true)]
async fn the_living_line_says_where_the_station_stands() {
    let connected = View {
        connections: [(AccountId::new("home"), Connection::Connected)].into(),
        ..View::default()
    };
    let (view, mut terminal) = terminal(true, connected.clone());
    assert_eq!(
        written(&mut terminal, News::Redraw),
        "front door  \x1b[37m●\x1b[0m ready   [Enter] bell  [q] quit"
    );

    view.send_replace(View {
        call: Some(ringing(Direction::Outgoing)),
        ..connected.clone()
    });
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(
        written(&mut terminal, News::Light(light())),
        "\r\x1b[K13:00:07  light: ringing (amber, pulse 1 s)\n\
         front door  \x1b[33m●\x1b[0m ringing alice, bob  00:03   [e] end  [q] quit"
    );

    view.send_replace(View {
        call: Some(ringing(Direction::Incoming)),
        ..connected
    });
    assert!(written(&mut terminal, News::Redraw).ends_with("[a] answer  [r] reject  [q] quit"));

    let mut end = Vec::new();
    terminal.finish(&mut end).unwrap();
    assert_eq!(end, b"\r\x1b[K");
}

#[test]
fn names_from_outside_cannot_steer_the_terminal() {
    let (_view, mut terminal) = terminal(false, View::default());
    let news = News::Event(Event::Receive {
        call: call(),
        from: Address::new("\x1b]0;evil\x07\n@x"),
        parameters: Vec::new(),
    });
    let text = written(&mut terminal, news);
    assert_eq!(
        text.chars().filter(|c| c.is_control()).count(),
        1,
        "{text:?}"
    );
}

#[test]
fn the_living_line_fits_the_terminal() {
    let long = CallView {
        peers: vec![Address::new("x".repeat(500))],
        ..ringing(Direction::Outgoing)
    };
    let (_view, mut terminal) = terminal(
        true,
        View {
            call: Some(long),
            ..View::default()
        },
    );
    let text = written(&mut terminal, News::Redraw);
    let shown = text.replace("\x1b[37m", "").replace("\x1b[0m", "");
    assert_eq!(shown.chars().count(), 79);
}

#[tokio::test]
async fn what_was_told_is_written_in_order_before_the_writer_ends() {
    let out = Shared::default();
    let (report, writer) = Report::start(Json, out.clone(), &Tasks::new()).unwrap();
    for n in 0..1000 {
        report.event(Event::Denied(format!("n{n}"))).await;
    }
    writer.close().await;
    let text = out.text();
    let told: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    let want: Vec<_> = (0..1000).map(|n| format!("n{n}")).collect();
    assert_eq!(told, want);
}

#[tokio::test]
async fn a_reader_that_has_gone_holds_nobody_up() {
    let (report, writer) = Report::start(Json, Gone, &Tasks::new()).unwrap();
    let telling = async {
        for _ in 0..2000 {
            report.event(Event::Denied("x".into())).await;
        }
        writer.close().await;
    };
    tokio::time::timeout(Duration::from_secs(60), telling)
        .await
        .expect("told without waiting for the reader");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_nothing_is_left_behind_at_the_end() {
    let (stuck, release) = Stuck::new();
    let (report, writer) = Report::start(Json, stuck, &Tasks::new()).unwrap();
    report.event(Event::Denied("x".into())).await;
    writer.close().await;
    drop(release);
}

#[tokio::test]
async fn a_silent_report_takes_everything() {
    let report = Report::silent();
    report.tone(None).await;
    report.light(light()).await;
}

fn written(format: &mut impl Format, news: News) -> String {
    let told = Told {
        after: Duration::from_micros(61_500_250),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_807),
        news,
    };
    let mut out = Vec::new();
    format.write(&told, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn terminal(living: bool, view: View) -> (watch::Sender<View>, Terminal) {
    let (send, receive) = watch::channel(view);
    let settings = Settings {
        name: "front door".into(),
        living,
        offset: UtcOffset::from_hms(1, 0, 0).unwrap(),
        width: || 80,
        keys: true,
    };
    (send, Terminal::new(settings, receive))
}

fn call() -> CallId {
    CallId::new("c1")
}

fn alice() -> Address {
    Address::new("alice@demo.local")
}

fn failure() -> Failure {
    Failure {
        code: "authentication:4".into(),
        message: "wrong password".into(),
    }
}

fn light() -> Light {
    Light {
        sign: "ringing",
        colour: "amber",
        pattern: "pulse 1 s".into(),
    }
}

fn ready() -> Ready {
    Ready {
        url: Some("https://door:8443/".into()),
        door: "door@demo.local".into(),
        users: vec![
            User {
                address: "alice@demo.local".into(),
                made_password: None,
            },
            User {
                address: "bob@demo.local".into(),
                made_password: Some(Secret::new("made-up")),
            },
        ],
    }
}

fn state_change(why: Option<(&str, &str)>) -> News {
    News::Event(Event::StateChange {
        call: call(),
        previous: State::Ringing,
        state: State::Ended,
        code: why.map(|(code, _)| code.into()),
        reason: why.map(|(_, reason)| reason.into()),
    })
}

fn connection(connection: Connection) -> News {
    News::Event(Event::Connection(AccountId::new("home"), connection))
}

fn over(talked: Option<Duration>) -> News {
    News::Event(Event::Over {
        call: call(),
        direction: Direction::Outgoing,
        peer: alice(),
        talked,
        code: "200".into(),
        reason: "Call Ended".into(),
    })
}

/// With a figure that is too fine for a line.
fn summary() -> Summary {
    let figures = [
        ("freezes", 1.0),
        ("loss_percent_p95", 2.5),
        ("video_bytes_sent", 9e6),
    ];
    Summary {
        direction: Direction::Outgoing,
        talked: Some(Duration::from_secs(61)),
        code: "200".into(),
        moments: [("press_to_ringing", Duration::from_micros(80_500))].into(),
        figures: Figures(figures.into()),
    }
}

fn ringing(direction: Direction) -> CallView {
    CallView {
        id: call(),
        direction,
        state: State::Ringing,
        peers: vec![alice(), Address::new("bob@demo.local")],
        made: crate::clock::now(),
        started: None,
    }
}

/// Output that a test can read.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has closed it.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe that is full until the other half is dropped.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Stuck {
    fn new() -> (Self, std::sync::mpsc::Sender<()>) {
        let (release, stuck) = std::sync::mpsc::channel();
        (Self(stuck), release)
    }
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
