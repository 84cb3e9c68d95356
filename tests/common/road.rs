//! A bad road between two ends: a relay of UDP packets that loses, delays and
//! queues them, and can be cut.
//!
//! It puts itself into the candidates of a call's descriptions. All m-lines share
//! one road in each direction, as they share a home's line. What it loses follows
//! from a seed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorstation::call::Sdp;
use doorstation::clock;
use doorstation::tasks::Tasks;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Packets that may be under way in one direction; more than any queue here holds.
const UNDER_WAY: usize = 4096;

/// What the road does to packets, in both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Share of packets lost, each by itself.
    pub(crate) loss: f64,
    /// Share of packets that begin a burst, of which three quarters of the packets
    /// are lost until it ends (one in eight ends it).
    pub(crate) bursts: f64,
    pub(crate) delay: Duration,
    /// Up to so much more, packet by packet, without changing their order.
    pub(crate) jitter: Duration,
    /// Bits a second from the door, with a queue of 400 ms that drops at its end.
    pub(crate) rate: Option<f64>,
    pub(crate) cut: bool,
}

impl Weather {
    /// A good road: 10 ms each way, and nothing lost.
    pub(crate) fn fair() -> Self {
        Self {
            loss: 0.0,
            bursts: 0.0,
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            rate: None,
            cut: false,
        }
    }

    pub(crate) fn losing(loss: f64) -> Self {
        Self {
            loss,
            jitter: Duration::from_millis(5),
            ..Self::fair()
        }
    }
}

/// The longest wait for a place on a narrow road.
const QUEUE: Duration = Duration::from_millis(400);

/// One direction.
#[derive(Debug)]
struct Lane {
    weather: Weather,
    narrow: bool,
    seed: u64,
    bursting: bool,
    free_at: Instant,
    latest: Instant,
    passed: u64,
    lost: u64,
}

impl Lane {
    fn new(weather: Weather, narrow: bool, seed: u64) -> Self {
        let now = clock::now();
        Self {
            weather,
            narrow,
            seed,
            bursting: false,
            free_at: now,
            latest: now,
            passed: 0,
            lost: 0,
        }
    }

    /// 0 to 1.
    fn random(&mut self) -> f64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as f64 / (1u64 << 31) as f64
    }

    /// When a packet arrives; `None`: never.
    fn carry(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let chance = if self.bursting {
            0.125
        } else {
            self.weather.bursts
        };
        if self.random() < chance {
            self.bursting = !self.bursting;
        }
        let loss = if self.bursting {
            0.75
        } else {
            self.weather.loss
        };
        let mut lost = self.random() < loss || self.weather.cut;
        let mut arrives = now;
        if let Some(rate) = self.weather.rate.filter(|_| self.narrow && !lost) {
            let begins = self.free_at.max(now);
            lost = begins > now + QUEUE;
            if !lost {
                // With IP and UDP headers.
                let bits = (bytes + 28) as f64 * 8.0;
                self.free_at = begins + Duration::from_secs_f64(bits / rate);
                arrives = self.free_at;
            }
        }
        if lost {
            self.lost += 1;
            return None;
        }
        self.passed += 1;
        let jitter = self.weather.jitter.mul_f64(self.random());
        self.latest = self.latest.max(arrives + self.weather.delay + jitter);
        Some(self.latest)
    }
}

type SharedLane = Arc<Mutex<Lane>>;

fn lock(lane: &SharedLane) -> MutexGuard<'_, Lane> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The road of one call.
pub(crate) struct Road {
    from_door: SharedLane,
    to_door: SharedLane,
    lines: Vec<Line>,
    tasks: Tasks,
}

/// The relay of one m-line: each end believes that the other one lives here.
struct Line {
    /// Stands for the door: what comes here goes to the door, and by `page`.
    door: Arc<UdpSocket>,
    page: Arc<UdpSocket>,
    door_at: Arc<Mutex<Option<SocketAddr>>>,
    page_at: Arc<Mutex<Option<SocketAddr>>>,
}

#[derive(Clone, Copy)]
enum End {
    Door,
    Page,
}

impl Road {
    pub(crate) fn new(weather: Weather, seed: u64, tasks: &Tasks) -> Self {
        Self {
            from_door: Arc::new(Mutex::new(Lane::new(weather, true, seed))),
            to_door: Arc::new(Mutex::new(Lane::new(weather, false, seed ^ 0x5bd1_e995))),
            lines: Vec::new(),
            tasks: tasks.clone(),
        }
    }

    /// The weather changes.
    pub(crate) fn set(&self, weather: Weather) {
        lock(&self.from_door).weather = weather;
        lock(&self.to_door).weather = weather;
    }

    /// The share of the door's packets that got lost so far.
    pub(crate) fn lost(&self) -> f64 {
        let lane = lock(&self.from_door);
        lane.lost as f64 / (lane.lost + lane.passed).max(1) as f64
    }

    /// A description of the door's, as the page shall see it.
    pub(crate) async fn of_door(&mut self, sdp: &Sdp) -> Sdp {
        self.rewrite(sdp, End::Door).await
    }

    /// A description of the page's, as the door shall see it.
    pub(crate) async fn of_page(&mut self, sdp: &Sdp) -> Sdp {
        self.rewrite(sdp, End::Page).await
    }

    async fn rewrite(&mut self, sdp: &Sdp, end: End) -> Sdp {
        let mut text = String::new();
        let mut index = None;
        let mut known = false;
        for line in sdp.as_str().lines() {
            if line.starts_with("m=") {
                index = Some(index.map_or(0, |i: usize| i + 1));
                known = false;
            }
            if !line.starts_with("a=candidate:") {
                text.push_str(line);
                text.push_str("\r\n");
                continue;
            }
            // One candidate of each m-line is enough: the first of UDP over IPv4.
            let words: Vec<&str> = line.split(' ').collect();
            let udp = words[2].eq_ignore_ascii_case("udp") && words[1] == "1";
            let address = format!("{}:{}", words[4], words[5]).parse::<SocketAddr>();
            let (Some(index), Ok(address), true, false) = (index, address, udp, known) else {
                continue;
            };
            known = true;
            let here = self.line(index, address, end).await;
            let (ip, port) = (here.ip().to_string(), here.port().to_string());
            let mut words: Vec<&str> = words[..8].to_vec();
            (words[4], words[5]) = (&ip, &port);
            text.push_str(&words.join(" "));
            text.push_str("\r\n");
        }
        Sdp::new(text)
    }

    /// Where `end`, which lives at `address`, seems to live.
    async fn line(&mut self, index: usize, address: SocketAddr, end: End) -> SocketAddr {
        while self.lines.len() <= index {
            let line = self.open(address).await;
            self.lines.push(line);
        }
        let line = &self.lines[index];
        let (at, stands) = match end {
            End::Door => (&line.door_at, &line.door),
            End::Page => (&line.page_at, &line.page),
        };
        *at.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        stands.local_addr().expect("it is bound")
    }

    async fn open(&self, like: SocketAddr) -> Line {
        let bind = || async { Arc::new(UdpSocket::bind((like.ip(), 0)).await.expect("a port")) };
        let line = Line {
            door: bind().await,
            page: bind().await,
            door_at: Arc::default(),
            page_at: Arc::default(),
        };
        self.carry(&line.door, &line.page, &line.door_at, &self.to_door);
        self.carry(&line.page, &line.door, &line.page_at, &self.from_door);
        line
    }

    /// What comes in at `from` leaves by `by`, to whoever lives at `to`.
    fn carry(
        &self,
        from: &Arc<UdpSocket>,
        by: &Arc<UdpSocket>,
        to: &Arc<Mutex<Option<SocketAddr>>>,
        lane: &SharedLane,
    ) {
        let (from, by, to, lane) = (from.clone(), by.clone(), to.clone(), lane.clone());
        let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
        self.tasks.spawn("road-in", async move {
            let mut buffer = [0; 2048];
            while let Ok((bytes, _)) = from.recv_from(&mut buffer).await {
                let arrives = lock(&lane).carry(bytes, clock::now());
                if let Some(arrives) = arrives {
                    // A road that is full to the brim loses the packet.
                    let _ = queue.try_send((arrives, buffer[..bytes].to_vec()));
                }
            }
        });
        self.tasks.spawn("road-out", async move {
            while let Some((arrives, packet)) = queued.recv().await {
                tokio::time::sleep_until(arrives.into()).await;
                let to = *to.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(to) = to {
                    let _ = by.send_to(&packet, to).await;
                }
            }
        });
    }
}
