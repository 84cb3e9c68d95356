//! The notification channel: one WebSocket for each subscription (section 4).
//!
//! Only `notificationMessage` objects are written. The client's JSON ping is never
//! answered; the WebSocket's own pings, which browsers answer by themselves, tell
//! whether the client is there and what it has received.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::App;
use super::broker::{Close, Event, SocketId};
use super::hub::{Frame, Hub};
use super::reply::{Family, failure};
use super::serve::Connection;
use crate::clock;
use crate::wire::{Ping, status};

/// As often as clients ping (section 4).
const PING_EVERY: Duration = Duration::from_secs(30);
/// Three missed pings (section 4).
const DEAD_AFTER: Duration = Duration::from_secs(90);
/// A write that does not get through for this long: the client is gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Clients send nothing but pings of 23 bytes.
const MAX_FRAME: usize = 16 * 1024;

/// `GET /notification/websocket/{channel}`.
pub(super) async fn upgrade(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Path(channel): Path<String>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    if !app.hub.knows(&channel) {
        let family = Family::Subscribe;
        return failure(family, StatusCode::NOT_FOUND, status::NO_SUBSCRIPTION, None);
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(|socket| async move {
            // axum starts a task of its own for this; the work goes to one that the
            // gateway waits for.
            let tasks = app.tasks.clone();
            tasks.spawn_draining("gateway-socket", async move {
                Channel::serve(&app, &channel, socket).await;
                drop(connection);
            });
        })
}

/// One open socket.
struct Channel<'a> {
    hub: &'a Hub,
    id: SocketId,
    socket: WebSocket,
    heard: std::time::Instant,
}

/// Why the loop of a socket ends.
enum Over {
    /// The client closed it, it broke, or it is dead.
    Lost,
    /// We close it with this code.
    Ours(u16),
}

impl Channel<'_> {
    async fn serve(app: &App, channel: &str, mut socket: WebSocket) {
        let Some((id, frames)) = app.hub.open(channel) else {
            // The subscription ended between the request and the upgrade.
            close(&mut socket, close_code::AWAY).await;
            return;
        };
        let mut open = Channel {
            hub: &app.hub,
            id,
            socket,
            heard: clock::now(),
        };
        let stopped = app.tasks.cancelled();
        let over = tokio::select! {
            over = open.run(frames) => over,
            () = stopped.cancelled() => Over::Ours(close_code::AWAY),
        };
        app.hub.event(Event::Lost(id));
        if let Over::Ours(code) = over {
            close(&mut open.socket, code).await;
        }
        tracing::debug!(socket = id.0, "notification channel closed");
    }

    async fn run(&mut self, mut frames: mpsc::Receiver<Frame>) -> Over {
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.reset();
        loop {
            let dead = (self.heard + DEAD_AFTER).into();
            let over = tokio::select! {
                frame = frames.recv() => self.write(frame).await,
                message = self.socket.recv() => self.read(message),
                _ = ping.tick() => self.send(Message::Ping(Vec::new().into())).await,
                () = tokio::time::sleep_until(dead) => Some(Over::Lost),
            };
            if let Some(over) = over {
                return over;
            }
        }
    }

    async fn write(&mut self, frame: Option<Frame>) -> Option<Over> {
        match frame {
            Some(Frame::Notify { sequence, text }) => {
                tracing::trace!(target: "wire::gateway", socket = self.id.0, text, "->");
                if let Some(over) = self.send(Message::Text(text.into())).await {
                    return Some(over);
                }
                let payload = sequence.to_be_bytes().to_vec();
                self.send(Message::Ping(payload.into())).await
            }
            Some(Frame::Close(Close::Finished)) => Some(Over::Ours(close_code::NORMAL)),
            Some(Frame::Close(Close::Replaced)) => Some(Over::Ours(close_code::AWAY)),
            None => Some(Over::Ours(close_code::ERROR)),
        }
    }

    fn read(&mut self, message: Option<Result<Message, axum::Error>>) -> Option<Over> {
        self.heard = clock::now();
        match message {
            Some(Ok(Message::Text(text))) => {
                if serde_json::from_str::<Ping>(&text).is_err() {
                    tracing::debug!(socket = self.id.0, "frame is not a ping; ignored");
                }
                None
            }
            Some(Ok(Message::Pong(payload))) => {
                if let Ok(bytes) = <[u8; 8]>::try_from(payload.as_ref()) {
                    let sequence = u64::from_be_bytes(bytes);
                    self.hub.event(Event::Confirmed(self.id, sequence));
                }
                None
            }
            Some(Ok(Message::Ping(_) | Message::Binary(_))) => None,
            Some(Ok(Message::Close(_))) | None => Some(Over::Lost),
            Some(Err(error)) => {
                tracing::debug!(socket = self.id.0, %error, "socket failed");
                Some(Over::Lost)
            }
        }
    }

    async fn send(&mut self, message: Message) -> Option<Over> {
        match tokio::time::timeout(WRITE_TIME, self.socket.send(message)).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => Some(Over::Lost),
        }
    }
}

/// Sends a close frame and waits a little for the client's.
async fn close(socket: &mut WebSocket, code: u16) {
    const WAIT: Duration = Duration::from_millis(500);
    let frame = CloseFrame {
        code,
        reason: "".into(),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // A client that does not answer is cut off: that is what time-outs are for.
    let _ = tokio::time::timeout(WAIT, goodbye).await;
}
