//! How a guardian speaks with a client, the real one and the simulated one alike.

use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tracing::warn;

use super::guardian::Client;
use super::message::{Lines, Message, Reply};

/// Reads a client's messages and writes it replies, until either side ends it.
pub(super) async fn converse(
    mut stream: UnixStream,
    client: Client,
    heard: &mpsc::Sender<(Client, Option<Message>)>,
    mut replies: mpsc::Receiver<Reply>,
) {
    let mut lines = Lines::default();
    let mut buffer = [0; 256];
    loop {
        let read = tokio::select! {
            reply = replies.recv() => {
                let Some(reply) = reply else { return };
                let line = format!("{reply}\n");
                // The kernel takes hundreds of replies; a client that reads none of
                // them is not waited for.
                match stream.try_write(line.as_bytes()) {
                    Ok(written) if written == line.len() => continue,
                    Ok(_) | Err(_) => return,
                }
            }
            read = stream.read(&mut buffer) => read,
        };
        let Ok(length @ 1..) = read else { return };
        let Ok(messages) = lines.take(&buffer[..length]) else {
            warn!(
                client = client.0,
                "a client said what means nothing; dropped"
            );
            return;
        };
        for message in messages {
            if heard.send((client, Some(message))).await.is_err() {
                return;
            }
        }
    }
}

/// Waits for the guardian's deadline; for ever if it has none.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
