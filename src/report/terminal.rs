//! News for a person at a terminal: events with their time, and below them one
//! living line.
//!
//! ```text
//! 12:00:07  ringing alice
//! front door  ● ringing alice  00:03   [e] end  [q] quit
//! ```
//!
//! Without a terminal, or with `NO_COLOR`, only the events are written, without
//! control sequences. Text from outside is stripped of control characters: a
//! display name must not steer the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use time::{OffsetDateTime, UtcOffset};
use tokio::sync::watch;

use super::{Format, Light, News, Ready, Told, device_name};
use crate::call::{
    Address, Attempt, CallView, Connection, Direction, DoorNews, Event, Figures, State, View,
};
use crate::clock;

/// Writes for people.
pub struct Terminal {
    settings: Settings,
    view: watch::Receiver<View>,
    colour: &'static str,
    line_is_up: bool,
}

/// What the person at the terminal wants of it.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// What is added to UTC: [`local_offset`].
    pub offset: UtcOffset,
    /// The variable `NO_COLOR` is set and not empty.
    pub no_color: bool,
}

/// How a terminal looks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the door, at the left end of the living line.
    pub name: String,
    /// Draw the living line, in colour; else only plain lines.
    pub living: bool,
    /// What is added to UTC: [`local_offset`].
    pub offset: UtcOffset,
    /// Width in columns at this moment.
    pub width: fn() -> usize,
    /// The keys are named in the living line: someone can press them.
    pub keys: bool,
}

impl Settings {
    /// For the standard output of this process: living if that is a terminal and
    /// `no_color` (the variable `NO_COLOR` is set and not empty) is false.
    pub fn for_stdout(name: impl Into<String>, no_color: bool, offset: UtcOffset) -> Self {
        let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
        Self {
            name: name.into(),
            living: is_terminal && !no_color,
            offset,
            width: width_of_stdout,
            keys: true,
        }
    }
}

/// What local time adds to UTC. Ask for it before the first thread is started: a
/// process that has threads cannot read its time zone safely, and gets UTC.
pub fn local_offset() -> UtcOffset {
    UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC)
}

fn width_of_stdout() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col).max(20))
}

impl Terminal {
    /// The standard output of this process: living if it is a terminal.
    pub fn for_stdout(name: &str, look: Look, view: &watch::Sender<View>) -> Self {
        let settings = Settings::for_stdout(name, look.no_color, look.offset);
        Self::new(settings, view.subscribe())
    }

    /// A terminal that follows `view`.
    pub fn new(settings: Settings, view: watch::Receiver<View>) -> Self {
        Self {
            settings,
            view,
            colour: "white",
            line_is_up: false,
        }
    }

    fn erase(&mut self, text: &mut String) {
        if std::mem::take(&mut self.line_is_up) {
            text.push_str("\r\x1b[K");
        }
    }

    fn draw(&mut self, text: &mut String) {
        if !self.settings.living {
            return;
        }
        self.erase(text);
        let line = living_line(&self.settings, &self.view.borrow());
        let line = cut(&line, (self.settings.width)().saturating_sub(1));
        let code = match self.colour {
            "amber" => "33",
            "green" => "32",
            "blue" => "34",
            "red" => "31",
            _ => "37",
        };
        text.push_str(&line.replacen('●', &format!("\x1b[{code}m●\x1b[0m"), 1));
        self.line_is_up = true;
    }
}

impl Format for Terminal {
    fn write(&mut self, told: &Told, out: &mut dyn Write) -> io::Result<()> {
        if let News::Light(light) = &told.news {
            self.colour = light.colour;
        }
        let mut text = String::new();
        for line in words(&told.news) {
            self.erase(&mut text);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}  {line}",
                time_of_day(told.wall, self.settings.offset)
            );
        }
        self.draw(&mut text);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn is_living(&self) -> bool {
        self.settings.living
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        self.erase(&mut text);
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// The line that shows where the station stands.
fn living_line(settings: &Settings, view: &View) -> String {
    let call = present(view);
    let mut line = format!("{}  ● {}", settings.name, standing(view));
    if let Some(call) = call {
        let since = call.started.unwrap_or(call.made);
        let _ = write!(
            line,
            "  {}",
            minutes(clock::now().saturating_duration_since(since))
        );
    }
    if settings.keys {
        let keys = match call.map(|call| (call.direction, call.state)) {
            None => "[Enter] bell  [q] quit",
            Some((Direction::Incoming, State::Ringing)) => "[a] answer  [r] reject  [q] quit",
            Some(_) => "[e] end  [q] quit",
        };
        let _ = write!(line, "   {keys}");
    }
    clean(&line)
}

/// The call that is up and not over.
fn present(view: &View) -> Option<&CallView> {
    view.call.as_ref().filter(|call| !call.state.is_over())
}

/// Where the station stands, in a few words: `ready`, `ringing alice`.
pub fn standing(view: &View) -> String {
    if view.stopping {
        return "stopping".into();
    }
    if let Some(call) = present(view) {
        let peers = names(&call.peers);
        return match (call.state, call.direction) {
            (State::Initiating | State::Initiated, _) => format!("calling {peers}"),
            (State::Ringing | State::EarlyMedia, Direction::Outgoing) => format!("ringing {peers}"),
            (State::Ringing | State::EarlyMedia, Direction::Incoming) => {
                format!("{peers} is calling")
            }
            (State::InCall, _) => format!("talking with {peers}"),
            (State::OnHold, _) => format!("{peers} is on hold"),
            (State::OnRemoteHold, _) => format!("held by {peers}"),
            (State::Cancelled | State::Ended, _) => "call over".into(),
        };
    }
    let mut connections = view.connections.values();
    if view.connections.is_empty() {
        "starting".into()
    } else if connections.any(|connection| *connection == Connection::Connected) {
        match view.faults.keys().next() {
            Some(device) => format!("ready, but the {} does not work", device_name(*device)),
            None => "ready".into(),
        }
    } else {
        "no connection, trying again".into()
    }
}

/// What a piece of news is worth saying to people, without control characters.
pub fn words(news: &News) -> Vec<String> {
    sentences(news).iter().map(|line| clean(line)).collect()
}

/// The lines that a piece of news is worth; none where the living line says it.
fn sentences(news: &News) -> Vec<String> {
    match news {
        News::Ready(ready) => introduction(ready),
        News::Event(event) => sentence(event).into_iter().collect(),
        News::Light(Light {
            sign,
            colour,
            pattern,
        }) => vec![format!("light: {sign} ({colour}, {pattern})")],
        News::Tone(Some(tone)) => vec![format!("tone: {}", super::tone_name(*tone))],
        News::Tone(None) | News::Redraw | News::Close => Vec::new(),
    }
}

fn introduction(ready: &Ready) -> Vec<String> {
    let mut lines = vec![format!("the door {} is ready", ready.door)];
    if let Some(url) = &ready.url {
        lines.push(format!("open {url} in a browser"));
    }
    for user in &ready.users {
        lines.push(match &user.made_password {
            Some(password) => {
                format!("log in as {}, password {}", user.address, password.expose())
            }
            None => format!("log in as {}", user.address),
        });
    }
    lines
}

fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Start(_) => return None,
        Event::Receive { from, .. } => format!("{from} is calling"),
        Event::StateChange { state, .. } => state_sentence(*state)?.into(),
        Event::CallError { failure, .. } => format!("{} ({})", failure.message, failure.code),
        // Which one can be a code, and this is read over shoulders.
        Event::Digit { .. } => "the other side pressed a key".into(),
        Event::MediaError { device, message } => {
            format!("the {} does not work: {message}", device_name(*device))
        }
        Event::MediaRestored(device) => format!("the {} works again", device_name(*device)),
        Event::Connection(account, connection) => match connection {
            Connection::Connecting => return None,
            Connection::Connected => format!("{account}: connected"),
            Connection::Lost(failure) | Connection::Refused(failure) => {
                format!("{account}: {} ({})", failure.message, failure.code)
            }
        },
        Event::Door(news) => door_sentence(news)?,
        Event::Denied(message) => message.clone(),
        Event::Moment { name, took, .. } => {
            format!("{}: {}", name.replace('_', " "), short(*took))
        }
        Event::Figures { figures, .. } => format!("media: {}", figures_text(figures)),
        Event::Over {
            peer,
            talked,
            code,
            reason,
            ..
        } => match talked {
            Some(talked) => format!(
                "call with {peer} over after {}: {reason} ({code})",
                short(*talked)
            ),
            None => format!("call with {peer} over, nobody talked: {reason} ({code})"),
        },
        Event::Summary { summary, .. } => {
            let figures = summary.essence().collect::<BTreeMap<_, _>>();
            if figures.is_empty() {
                return None;
            }
            format!("summary: {}", figures_text(&Figures(figures)))
        }
    })
}

/// What a change of state is worth saying; the end is said by the call's record.
fn door_sentence(news: &DoorNews) -> Option<String> {
    let who = |attempt: &Attempt| {
        let who = attempt.who.as_ref();
        who.map_or_else(String::new, |who| format!(" by {who}"))
    };
    Some(match news {
        DoorNews::Attempt(_) => return None,
        DoorNews::Opened(attempt) => {
            let way = attempt.way.name().replace('_', "-");
            format!("the door is open ({way}{})", who(attempt))
        }
        DoorNews::Refused(attempt, refused) => {
            let way = attempt.way.name().replace('_', "-");
            let why = refused.sentence();
            format!("the door stays closed: {why} ({way}{})", who(attempt))
        }
        DoorNews::Closed => "the door is closed".into(),
        DoorNews::Contact { open: true } => "the door was pulled open".into(),
        DoorNews::Contact { open: false } => "the door was shut".into(),
        DoorNews::Alarm(alarm) => format!("alarm: {}", alarm.sentence()),
        DoorNews::AlarmOver(alarm) => format!("alarm over: {}", alarm.sentence()),
    })
}

fn state_sentence(state: State) -> Option<&'static str> {
    match state {
        State::Initiating => Some("calling"),
        State::Ringing => Some("ringing"),
        State::InCall => Some("you can talk now"),
        State::OnHold => Some("on hold"),
        State::OnRemoteHold => Some("held by the other end"),
        State::Initiated | State::EarlyMedia | State::Cancelled | State::Ended => None,
    }
}

fn figures_text(Figures(figures): &Figures) -> String {
    let named: Vec<_> = figures
        .iter()
        .map(|(name, value)| format!("{name}={}", (value * 10.0).round() / 10.0))
        .collect();
    named.join(" ")
}

/// `alice, bob`: what is before the `@`.
fn names(peers: &[Address]) -> String {
    let names: Vec<_> = peers
        .iter()
        .map(|peer| peer.as_str().split('@').next().unwrap_or_default())
        .collect();
    names.join(", ")
}

/// `12:00:07`, `offset` ahead of UTC.
pub fn time_of_day(wall: SystemTime, offset: UtcOffset) -> String {
    let t = OffsetDateTime::from(wall).to_offset(offset);
    format!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())
}

/// `03:07`, `1:02:03`.
fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// `120 ms`, `3.2 s`, `2 min 05 s`, `2 h 05 min`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Without control characters.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The first `width` characters.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}
