//! Watches one session's transport and tells the leg.

use std::sync::Arc;
use std::time::Duration;

use rtc::peer_connection::transport::RTCDtlsTransportState;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use webrtc::rtp_transceiver::RtpSender;

use super::handler::Transport;
use super::session::Session;
use crate::call::Digit;
use crate::tasks::Tasks;

/// How often the DTLS state is looked at: there is no event for the far end's
/// close, and without it the end is noticed after 5 s.
const LOOK: Duration = Duration::from_millis(250);

/// How long a transport may stay away, after the 5 s until it is called
/// disconnected: 30 s in all. A phone that changes its network is back by then.
const PATIENCE: Duration = Duration::from_secs(25);

/// Why a transport ends that stayed away. ICE gives up at the same moment as
/// [`PATIENCE`] does, and calls it failed: whichever is seen first, this is what happened.
const SILENT: &str = "the far end sent nothing for 30 s";

/// How long a transport may take to come about, from the first check (protocol
/// section 11.5). A 3.x page that fails on our answer goes away without a word.
const COMING_UP: Duration = Duration::from_secs(15);

/// News of a session. The number is the m-line's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Media can pass, for the first time.
    Connected(usize),
    /// Nothing has come for 5 s.
    Away(usize),
    /// The transport failed or stayed away too long.
    Lost(usize, &'static str),
    /// The far end closed it.
    Closed(usize),
    /// The far end pressed a key.
    Digit(Digit),
    /// The first packet of our picture left.
    FirstPictureSent,
    /// The far end's first sound was written to the speaker.
    FirstSound,
}

/// Starts the watch of `session`.
pub(crate) fn spawn(tasks: &Tasks, session: &Session, line: usize, news: mpsc::Sender<Notice>) {
    let watch = Watch {
        line,
        transport: session.transport(),
        sender: session.sender(),
        news,
        connected: false,
    };
    tasks.spawn("rtc-watch", watch.run());
}

struct Watch {
    line: usize,
    transport: watch::Receiver<Transport>,
    sender: Arc<dyn RtpSender>,
    news: mpsc::Sender<Notice>,
    connected: bool,
}

impl Watch {
    async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut away: Option<Instant> = None;
        let mut coming: Option<Instant> = None;
        loop {
            tokio::select! {
                changed = self.transport.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = look.tick() => {
                    if self.connected && self.is_closed().await {
                        self.tell(Notice::Closed(self.line)).await;
                        return;
                    }
                }
            }
            let now = *self.transport.borrow_and_update();
            let late = !self.connected
                && now.begun()
                && coming.get_or_insert_with(Instant::now).elapsed() > COMING_UP;
            if now.failed() || late {
                let reason = match (self.connected, away) {
                    (true, Some(_)) => SILENT,
                    (true, None) => "the media connection failed",
                    (false, _) => "no media connection came about",
                };
                self.tell(Notice::Lost(self.line, reason)).await;
                return;
            }
            if now.connected() && !self.connected {
                self.connected = true;
                self.tell(Notice::Connected(self.line)).await;
            }
            if now.connected() && !now.disconnected() {
                away = None;
            } else if now.disconnected() && away.is_none() {
                away = Some(Instant::now());
                self.tell(Notice::Away(self.line)).await;
            } else if away.is_some_and(|since| since.elapsed() > PATIENCE) {
                self.tell(Notice::Lost(self.line, SILENT)).await;
                return;
            }
        }
    }

    /// The far end closed its DTLS. The transport is a strong handle on the
    /// connection, so it is fetched anew and let go each time.
    async fn is_closed(&self) -> bool {
        let Ok(Some(dtls)) = self.sender.transport().await else {
            return false;
        };
        matches!(dtls.state().await, Ok(RTCDtlsTransportState::Closed))
    }

    async fn tell(&self, notice: Notice) {
        // A leg that is gone has no use for news.
        let _ = self.news.send(notice).await;
    }
}
