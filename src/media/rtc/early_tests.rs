use std::future::poll_fn;
use std::net::UdpSocket;
use std::time::Duration;

use webrtc::runtime::{Runtime as _, TokioRuntime};

use super::*;

const CHECK: u8 = 0;
const ANSWER: u8 = 1;
const HELLO: u8 = 22;
const MEDIA: u8 = 0x80;

/// The near end's socket under test, and two far ends.
struct Rig {
    near: EarlySocket,
    early: Arc<Early>,
    far: [UdpSocket; 2],
}

impl Rig {
    fn new() -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let near = bind();
        let to = near.local_addr().expect("bound");
        near.set_nonblocking(true).expect("an option");
        let far = [bind(), bind()];
        for far in &far {
            far.connect(to).expect("an address");
        }
        let early = Arc::new(Early::default());
        let near = TokioRuntime.wrap_udp_socket(near).expect("a socket");
        Self {
            near: EarlySocket::new(near, Arc::clone(&early)),
            early,
            far,
        }
    }

    /// A datagram of this kind from a far end; `mark` tells it from others.
    fn send(&self, far: usize, kind: u8, mark: u8) {
        let second = u8::from(kind <= 1);
        self.far[far]
            .send(&[kind, second, mark])
            .expect("loopback takes it");
    }

    async fn read(&self) -> Option<(u8, u8)> {
        let mut buffer = [0; 64];
        let mut meta = [RecvMeta::default()];
        let read = poll_fn(|cx| {
            let mut bufs = [IoSliceMut::new(&mut buffer)];
            self.near.poll_recv(cx, &mut bufs, &mut meta)
        });
        let read = tokio::time::timeout(Duration::from_millis(200), read).await;
        let count = read.ok()?.expect("the socket works");
        assert_eq!((count, meta[0].len, meta[0].stride), (1, 3, 3));
        Some((buffer[0], buffer[2]))
    }

    /// So many checks and messages of the handshake are kept.
    async fn keeps(&self, checks: usize, handshake: usize) {
        let kept = || {
            let desk = lock(&self.near.desk);
            (desk.checks.len(), desk.handshake.len())
        };
        while kept() != (checks, handshake) {
            tokio::task::yield_now().await;
        }
    }

    /// All that there is to read.
    async fn read_all(&self) -> Vec<(u8, u8)> {
        let mut all = Vec::new();
        while let Some(datagram) = self.read().await {
            all.push(datagram);
        }
        all
    }
}

#[tokio::test]
async fn a_check_before_the_description_waits_for_it() {
    let rig = Rig::new();
    rig.send(0, CHECK, 1);
    rig.send(0, CHECK, 2);
    rig.send(1, CHECK, 3);
    rig.send(0, ANSWER, 4);
    // A STUN server answers while candidates are gathered.
    assert_eq!(rig.read().await, Some((ANSWER, 4)));
    assert_eq!(rig.read_all().await, []);
    rig.send(0, CHECK, 5);
    assert_eq!(rig.read_all().await, []);
    rig.early.described();
    assert_eq!(rig.read_all().await, [(CHECK, 3), (CHECK, 5)]);
}

#[tokio::test]
async fn a_check_is_told_once_more_behind_the_answer_to_ours() {
    let rig = Rig::new();
    rig.early.described();
    rig.send(0, CHECK, 1);
    rig.send(1, CHECK, 2);
    assert_eq!(rig.read_all().await, [(CHECK, 1), (CHECK, 2)]);
    rig.send(0, ANSWER, 3);
    assert_eq!(rig.read_all().await, [(ANSWER, 3), (CHECK, 1)]);
    rig.send(0, ANSWER, 4);
    rig.send(1, ANSWER, 5);
    let rest = [(ANSWER, 4), (ANSWER, 5), (CHECK, 2)];
    assert_eq!(rig.read_all().await, rest);
}

#[tokio::test]
async fn a_handshake_waits_for_a_way() {
    let rig = Rig::new();
    rig.early.described();
    rig.send(0, HELLO, 1);
    rig.send(0, MEDIA, 2);
    rig.send(0, HELLO, 3);
    assert_eq!(rig.read_all().await, [(MEDIA, 2)]);
    rig.early.chosen();
    assert_eq!(rig.read_all().await, [(HELLO, 1), (HELLO, 3)]);
    for (kind, mark) in [(HELLO, 4), (CHECK, 5), (ANSWER, 6), (MEDIA, 7)] {
        rig.send(0, kind, mark);
        assert_eq!(rig.read_all().await, [(kind, mark)]);
    }
    assert!(!rig.near.over.load(Ordering::Relaxed));
    rig.early.connected();
    rig.send(0, HELLO, 8);
    assert_eq!(rig.read_all().await, [(HELLO, 8)]);
    assert!(rig.near.over.load(Ordering::Relaxed));
}

#[tokio::test]
async fn media_wait_until_the_handshake_before_them_was_looked_at() {
    let rig = Rig::new();
    rig.early.chosen();
    for (kind, mark) in [(HELLO, 1), (MEDIA, 2), (MEDIA, 3)] {
        rig.send(0, kind, mark);
    }
    assert_eq!(rig.read().await, Some((HELLO, 1)));
    // As the driver drains a socket: it does not come back to be woken.
    let drain = || {
        let mut buffer = [0; 64];
        let mut bufs = [IoSliceMut::new(&mut buffer)];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let read = rig
            .near
            .poll_recv(&mut cx, &mut bufs, &mut [RecvMeta::default()]);
        read.is_ready()
    };
    assert!(!drain());
    assert!(drain());
    assert_eq!(rig.read_all().await, [(MEDIA, 3)]);
}

/// The driver sleeps in `poll_recv` when the description comes.
#[tokio::test]
async fn who_waits_for_a_datagram_is_woken() {
    let rig = Rig::new();
    rig.send(0, CHECK, 1);
    let (read, ()) = tokio::join!(rig.read(), async {
        rig.keeps(1, 0).await;
        rig.early.described();
    });
    assert_eq!(read, Some((CHECK, 1)));
    rig.send(0, HELLO, 2);
    let (read, ()) = tokio::join!(rig.read(), async {
        rig.keeps(1, 1).await;
        rig.early.chosen();
    });
    assert_eq!(read, Some((HELLO, 2)));
}

#[tokio::test]
async fn a_flood_is_kept_to_its_newest() {
    let rig = Rig::new();
    for mark in 0..20 {
        rig.send(0, HELLO, mark);
    }
    assert_eq!(rig.read_all().await, []);
    rig.early.chosen();
    let kept: Vec<(u8, u8)> = (12..20).map(|mark| (HELLO, mark)).collect();
    assert_eq!(rig.read_all().await, kept);
}

/// A socket whose kernel joined two datagrams of one sender.
#[derive(Debug, Default)]
struct Joined(AtomicBool);

impl AsyncUdpSocket for Joined {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_send(&self, _: &mut Context<'_>, _: &Transmit<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.0.swap(true, Ordering::Relaxed) {
            return Poll::Pending;
        }
        bufs[0][..6].copy_from_slice(&[HELLO, 0, 1, MEDIA, 0, 2]);
        (meta[0].len, meta[0].stride) = (6, 3);
        Poll::Ready(Ok(1))
    }
}

#[tokio::test]
async fn what_the_kernel_joined_is_told_apart() {
    let early = Arc::new(Early::default());
    let rig = Rig {
        near: EarlySocket::new(Arc::new(Joined::default()), Arc::clone(&early)),
        early,
        ..Rig::new()
    };
    assert_eq!(rig.read_all().await, [(MEDIA, 2)]);
    rig.early.chosen();
    assert_eq!(rig.read_all().await, [(HELLO, 1)]);
}
