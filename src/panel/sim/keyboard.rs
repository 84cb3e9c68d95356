//! Standard input on a named thread that can be woken and joined.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::sync::mpsc;

/// Presses that may wait for the station. People type slowly; when it is full, the
/// reader waits, and what follows waits in the pipe.
const WAITING: usize = 16;

/// Longest line in bytes that is understood; of a longer one the rest is dropped.
const LONGEST_LINE: usize = 256;

/// Something typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// One key at a terminal.
    Key(u8),
    /// A line, without its end.
    Line(String),
}

/// A running reader. Dropping it ends the thread and puts the terminal back.
#[derive(Debug)]
pub(super) struct Keyboard {
    typed: mpsc::Receiver<Typed>,
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
    /// Dropped last: the reader has ended by then.
    _terminal: Option<KeyMode>,
}

impl Keyboard {
    /// Reads `input`: as single keys where `keys` says so, else as lines.
    pub(super) fn start(input: OwnedFd, keys: bool) -> io::Result<Self> {
        let terminal = match keys {
            true => Some(KeyMode::enter(input.try_clone()?)?),
            false => None,
        };
        let wake = eventfd(0, EventfdFlags::CLOEXEC)?;
        let woken = wake.try_clone()?;
        let (tell, typed) = mpsc::channel(WAITING);
        let splitter: Box<dyn Splitter> = match keys {
            true => Box::new(Keys),
            false => Box::new(Lines::default()),
        };
        let thread = std::thread::Builder::new()
            .name("panel-keys".into())
            .spawn(move || {
                if let Err(error) = read(input, woken, splitter, &tell) {
                    tracing::warn!(%error, "standard input cannot be read, no press can come");
                }
            })?;
        Ok(Self {
            typed,
            wake,
            thread: Some(thread),
            _terminal: terminal,
        })
    }

    /// The next thing typed; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Typed> {
        self.typed.recv().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A reader that waits for room gives up; one that waits for keys is woken.
        self.typed.close();
        if let Err(error) = rustix::io::write(&self.wake, &1u64.to_ne_bytes()) {
            tracing::error!(%error, "the reader of standard input cannot be woken");
            return;
        }
        if self.thread.take().is_some_and(|t| t.join().is_err()) {
            tracing::error!("the reader of standard input panicked");
        }
    }
}

/// Reads until the input ends, the station has gone, or somebody wakes us.
fn read(
    input: OwnedFd,
    woken: OwnedFd,
    mut splitter: Box<dyn Splitter>,
    tell: &mpsc::Sender<Typed>,
) -> io::Result<()> {
    let mut input = File::from(input);
    let mut buffer = [0; 512];
    while wait(&input, &woken)? {
        let length = match input.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        for typed in splitter.split(&buffer[..length]) {
            if tell.blocking_send(typed).is_err() {
                return Ok(());
            }
        }
        if length == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits for input (`true`) or for being woken (`false`).
fn wait(input: &File, woken: &OwnedFd) -> io::Result<bool> {
    loop {
        let mut fds = [
            PollFd::new(input, PollFlags::IN),
            PollFd::new(woken, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
            // Anything about the input, a hang-up too, is told by reading it.
            Ok(_) if !fds[0].revents().is_empty() => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes typed things out of bytes as they come; an empty slice is the end.
trait Splitter: Send {
    fn split(&mut self, bytes: &[u8]) -> Vec<Typed>;
}

/// Each byte is a key, but for the sequences of arrow and function keys, which
/// arrive as a whole and begin with ESC.
struct Keys;

impl Splitter for Keys {
    fn split(&mut self, bytes: &[u8]) -> Vec<Typed> {
        const ESC: u8 = 0x1b;
        let keys = bytes.iter().take_while(|byte| **byte != ESC);
        keys.map(|byte| Typed::Key(*byte)).collect()
    }
}

/// Lines end with LF; a last one without it counts.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
}

impl Splitter for Lines {
    fn split(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut lines = Vec::new();
        if bytes.is_empty() && !self.unfinished.is_empty() {
            self.finish(&mut lines);
        }
        for byte in bytes {
            match byte {
                b'\n' => self.finish(&mut lines),
                _ if self.unfinished.len() < LONGEST_LINE => self.unfinished.push(*byte),
                _ => {}
            }
        }
        lines
    }
}

impl Lines {
    /// An empty line is nothing.
    fn finish(&mut self, lines: &mut Vec<Typed>) {
        let line = std::mem::take(&mut self.unfinished);
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            lines.push(Typed::Line(line.trim().to_owned()));
        }
    }
}

/// A terminal that gives each key at once and does not show it; Ctrl-C still
/// interrupts. Dropping it puts the terminal back.
#[derive(Debug)]
struct KeyMode {
    terminal: OwnedFd,
    before: Termios,
}

impl KeyMode {
    fn enter(terminal: OwnedFd) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut keys = before.clone();
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(&terminal, OptionalActions::Now, &keys)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for KeyMode {
    fn drop(&mut self) {
        let back = termios::tcsetattr(self.terminal.as_fd(), OptionalActions::Now, &self.before);
        if let Err(error) = back {
            tracing::warn!(%error, "the terminal could not be put back; `stty sane` does it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.split(b"press "), []);
        assert_eq!(lines.split(b"bell\nans"), [line("press bell")]);
        assert_eq!(lines.split(b"wer\r\n\n  \nend"), [line("answer")]);
        assert_eq!(lines.split(b""), [line("end")]);
        assert_eq!(lines.split(b""), []);
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.split(&[b'x'; 512]), []);
        }
        assert_eq!(lines.unfinished.len(), LONGEST_LINE);
        assert_eq!(lines.split(b"\n"), [line(&"x".repeat(LONGEST_LINE))]);
        assert_eq!(lines.split(b"end\n"), [line("end")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_a_line_all_the_same() {
        let mut lines = Lines::default();
        assert_eq!(lines.split(b"\xff\xfe\n"), [line("\u{fffd}\u{fffd}")]);
    }

    #[test]
    fn an_arrow_key_is_not_an_answer() {
        assert_eq!(Keys.split(b"\x1b[a"), []);
        assert_eq!(Keys.split(b"ae"), [Typed::Key(b'a'), Typed::Key(b'e')]);
    }

    fn line(text: &str) -> Typed {
        Typed::Line(text.into())
    }
}
