//! The notification socket (protocol section 4).
//!
//! One task reads and writes one socket. It knows nothing of what the frames say;
//! a slow reader of its events stops it from reading, and TCP then stops the server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::session::Ticket;
use super::trouble::{Trouble, no_connection};
use crate::wire::Ping;

/// From the first packet to the upgraded socket (our choice).
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// One frame of ours, or the goodbye; they are tiny (our choice).
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A longer frame breaks the socket. Well above what the reader of frames takes
/// ([`LONGEST_FRAME`](super::notice::LONGEST_FRAME)), so that one long frame
/// costs only itself (our choice).
const LONGEST_MESSAGE: usize = 2 * 1024 * 1024;

/// An open socket.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What to send. Dropping the sender closes the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The JSON ping.
    Ping,
    /// A WebSocket ping.
    Probe,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A text frame.
    Frame(String),
    /// Something else that proves that the server lives.
    Alive {
        /// It answered our probe.
        pong: bool,
    },
    /// The socket is closed; the last event. The code that the server gave.
    Closed(Option<u16>),
}

/// Opens the socket at `url`; `server` is what messages call it (the path in `url`
/// is a credential).
pub(super) async fn open(
    url: String,
    server: &str,
    tls: Arc<ClientConfig>,
) -> Result<Socket, Trouble> {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE));
    let tls = Some(Connector::Rustls(tls));
    let opened = connect_async_tls_with_config(url, Some(limits), true, tls);
    match timeout(OPEN_TIMEOUT, opened).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(not_opened(server, &error)),
        Err(_) => {
            let seconds = OPEN_TIMEOUT.as_secs();
            Err(Trouble::unreachable(format!(
                "the WebSocket at {server} did not open within {seconds} s; trying again"
            )))
        }
    }
}

/// Serves `socket` until it closes or the sender of `orders` is dropped.
pub(super) async fn serve(
    mut socket: Socket,
    ticket: Ticket,
    mut orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<(Ticket, Event)>,
) {
    let code = loop {
        let event = tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else {
                    return close(socket).await;
                };
                match write(&mut socket, order).await {
                    Ok(()) => continue,
                    Err(reason) => {
                        tracing::debug!(reason, "cannot write to the WebSocket");
                        break None;
                    }
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => Event::Frame(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => break frame.map(|frame| frame.code.into()),
                Some(Ok(Message::Pong(_))) => Event::Alive { pong: true },
                Some(Ok(Message::Ping(_) | Message::Binary(_) | Message::Frame(_))) => {
                    Event::Alive { pong: false }
                }
                Some(Err(tungstenite::Error::Capacity(error))) => {
                    tracing::warn!(%error, "closing the WebSocket: a frame is too long");
                    break None;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the WebSocket broke");
                    break None;
                }
                None => break None,
            },
        };
        if events.send((ticket, event)).await.is_err() {
            return close(socket).await;
        }
    };
    // Nobody waits for it when the client is gone.
    let _ = events.send((ticket, Event::Closed(code))).await;
}

async fn write(socket: &mut Socket, order: Order) -> Result<(), String> {
    let message = match order {
        Order::Ping => {
            let ping = Ping {
                message_type: "ping".to_owned(),
            };
            let text = serde_json::to_string(&ping).expect("wire types have text keys only");
            Message::text(text)
        }
        Order::Probe => Message::Ping(Default::default()),
    };
    match timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the peer takes nothing".to_owned()),
    }
}

async fn close(mut socket: Socket) {
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, socket.close(Some(goodbye))).await {
        tracing::debug!(%error, "the WebSocket broke while closing");
    }
}

fn not_opened(server: &str, error: &tungstenite::Error) -> Trouble {
    if let tungstenite::Error::Http(response) = error {
        let http = response.status().as_u16();
        return Trouble {
            http: Some(http),
            status: None,
            retry_after: None,
            message: format!(
                "the server {server} refuses the WebSocket (HTTP {http}); logging in again"
            ),
        };
    }
    Trouble::unreachable(no_connection(&format!("the WebSocket at {server}"), error))
}
