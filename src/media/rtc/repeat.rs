//! A session's socket that sends the messages of the DTLS handshake several times.
//!
//! rtc-dtls 0.21.1 repeats a lost message after 1 s, and that time cannot be set:
//! a call over a road that loses a fifth takes seconds to connect, if it does at
//! all. DTLS takes copies in its stride (RFC 6347, section 4.2.4), so this socket
//! makes them. A later message means that the earlier ones arrived, and ends
//! their copies.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, TokioRuntime, Transmit};

/// When copies leave, after the message. With a fifth of the packets lost, one
/// message in 78,000 gets lost with all its copies.
const COPIES: [Duration; 6] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(80),
    Duration::from_millis(170),
    Duration::from_millis(320),
    Duration::from_millis(550),
];

/// Messages of one flight leave within this time.
const FLIGHT: Duration = Duration::from_millis(10);

/// The socket around a socket.
#[derive(Debug)]
pub(crate) struct RepeatingSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    latest: Arc<Mutex<Option<Instant>>>,
}

impl RepeatingSocket {
    pub(crate) fn new(socket: Arc<dyn AsyncUdpSocket>) -> Self {
        Self {
            socket,
            latest: Arc::default(),
        }
    }

    fn repeat(&self, message: &[u8], to: SocketAddr) {
        let left = crate::clock::now();
        *lock(&self.latest) = Some(left);
        let copies = Copies {
            socket: Arc::downgrade(&self.socket),
            latest: Arc::clone(&self.latest),
            message: message.to_vec(),
            to,
            left,
        };
        // It ends by itself within a second, or with the socket.
        let _ = TokioRuntime.spawn(Box::pin(copies.send()));
    }
}

fn lock(latest: &Mutex<Option<Instant>>) -> std::sync::MutexGuard<'_, Option<Instant>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Copies {
    socket: Weak<dyn AsyncUdpSocket>,
    latest: Arc<Mutex<Option<Instant>>>,
    message: Vec<u8>,
    to: SocketAddr,
    left: Instant,
}

impl Copies {
    async fn send(self) {
        for after in COPIES {
            tokio::time::sleep_until((self.left + after).into()).await;
            let superseded = lock(&self.latest).is_some_and(|latest| latest > self.left + FLIGHT);
            let Some(socket) = self.socket.upgrade().filter(|_| !superseded) else {
                return;
            };
            // A copy that cannot leave is as good as lost.
            let _ = socket.send_to(&self.message, self.to).await;
        }
    }
}

/// Change of cipher (20) and handshake (22), by the first byte of a record (RFC
/// 7983 tells them from STUN and RTP; RFC 5246, section 6.2.1).
fn is_handshake(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20 | 22))
}

impl AsyncUdpSocket for RepeatingSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = self.socket.poll_send(cx, transmit);
        if matches!(sent, Poll::Ready(Ok(_))) && is_handshake(transmit.contents) {
            self.repeat(transmit.contents, transmit.destination);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, bufs, meta)
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a message, and one that follows it after 100 ms, arrive.
    #[tokio::test]
    async fn a_handshake_is_repeated_until_the_next_message_and_media_are_not() {
        let far = tokio::net::UdpSocket::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let near = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        near.set_nonblocking(true).expect("an option");
        let near = RepeatingSocket::new(TokioRuntime.wrap_udp_socket(near).expect("a socket"));
        let to = far.local_addr().expect("bound");
        near.send_to(&[22, 1], to).await.expect("sent");
        near.send_to(&[0x80, 1], to).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        near.send_to(&[22, 2], to).await.expect("sent");
        let mut counts = [0; 3];
        let mut buffer = [0; 8];
        let wait = Duration::from_millis(1_500);
        while let Ok(Ok(_)) = tokio::time::timeout(wait, far.recv(&mut buffer)).await {
            match buffer[..2] {
                [22, 1] => counts[0] += 1,
                [22, 2] => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        let [first, second, media] = counts;
        assert!((3..=4).contains(&first), "{first}");
        assert_eq!((second, media), (1 + COPIES.len(), 1));
    }
}
