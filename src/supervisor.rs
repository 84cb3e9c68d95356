//! Owns every part of the running station: starts it, watches it, stops it.
//!
//! A part is one future that runs until it is told to stop, with its own
//! [`Tasks`]. A part that ends unasked begins an orderly stop of all others and
//! is an error: the process then exits non-zero and systemd starts it again.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::pulse::Stillness;
use crate::tasks::Tasks;
use crate::telemetry::kind;

/// How long one part may take to stop. A part hangs up, unsubscribes and closes
/// sockets in well under a second on a network that answers; the sum over all
/// parts stays below systemd's `TimeoutStopSec`.
const GRACE: Duration = Duration::from_secs(3);

/// How often pulses are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A loop that has not turned for this long is stuck. With the unit's `WatchdogSec=10`
/// its process is gone after 30 s. Below it lie the longest pauses: 3 s before a sound
/// card is opened again, and the seconds that a driver may take to open it.
const STUCK: Duration = Duration::from_secs(20);

/// The parts, in the order in which they are stopped.
#[derive(Debug, Default)]
pub struct Supervisor {
    parts: Vec<Part>,
    watch: Tasks,
}

#[derive(Clone, Debug)]
struct Part {
    name: &'static str,
    tasks: Tasks,
    ended: CancellationToken,
}

/// A part ended although nobody had asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the part '{part}' of the station ended by itself; the reason is in the log above")]
pub struct Ended {
    /// Its name.
    pub part: &'static str,
}

impl Supervisor {
    /// No parts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a part; parts are stopped in the order in which they were started.
    /// `tasks` are those that the part spawns; their cancellation tells it to stop.
    pub fn start(
        &mut self,
        name: &'static str,
        tasks: Tasks,
        run: impl Future<Output = ()> + Send + 'static,
    ) {
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let pulse = tasks.pulse(name);
        self.watch.spawn_draining(name, async move {
            pulse.through(run).await;
            drop((end, pulse));
        });
        self.parts.push(Part { name, tasks, ended });
    }

    /// Calls `feed` once a second from now on, as long as every loop of every part
    /// turns: for a watchdog outside of the process.
    pub fn watch(&self, feed: impl Fn() + Send + 'static) {
        self.watch_each(LOOK, STUCK, feed);
    }

    fn watch_each(&self, pause: Duration, limit: Duration, feed: impl Fn() + Send + 'static) {
        let parts = self.parts.clone();
        self.watch.spawn("watchdog", async move {
            let mut look = tokio::time::interval(pause);
            let mut stillness = Stillness::default();
            let mut told = Vec::new();
            loop {
                look.tick().await;
                let counts = parts.iter().flat_map(|part| part.tasks.pulses().counts());
                let stuck = stillness.stuck(counts, clock::now(), limit);
                if stuck.is_empty() {
                    feed();
                } else if stuck != told {
                    error!(message_id = kind::LOOP_STUCK, loops = ?stuck, "the loops {stuck:?} did not turn for {} s; unless they go on, systemd starts the station anew", limit.as_secs());
                }
                told = stuck;
            }
        });
    }

    /// Runs until `stop` is cancelled or a part ends, then stops all parts.
    ///
    /// # Errors
    ///
    /// [`Ended`] names the part that ended unasked.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Ended> {
        let (tell, mut told) = mpsc::channel(self.parts.len().max(1));
        for part in &self.parts {
            let (tell, name, ended) = (tell.clone(), part.name, part.ended.clone());
            self.watch.spawn(name, async move {
                ended.cancelled().await;
                // The receiver lives as long as this loop is of interest.
                let _ = tell.send(name).await;
            });
        }
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            name = told.recv() => name,
        };
        match ended {
            Some(part) => error!(
                message_id = kind::PART_ENDED,
                part, "the part {part} of the station ended by itself; stopping"
            ),
            None => info!(message_id = kind::STATION_STOPPING, "stopping"),
        }
        for part in &self.parts {
            part.stop().await;
        }
        // Only a part that was left behind can still be in here.
        if tokio::time::timeout(GRACE, self.watch.stop())
            .await
            .is_err()
        {
            warn!("the process ends with a part still running");
        }
        ended.map_or(Ok(()), |part| Err(Ended { part }))
    }
}

impl Part {
    async fn stop(&self) {
        self.tasks.cancelled().cancel();
        let stopped = async {
            self.ended.cancelled().await;
            self.tasks.stop().await;
        };
        match tokio::time::timeout(GRACE, stopped).await {
            Ok(()) => debug!(part = self.name, "stopped"),
            Err(_) => warn!(
                part = self.name,
                tasks = self.tasks.alive(),
                "did not stop in time; left behind"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn part(name: &'static str, tasks: &Tasks, log: &Log) -> impl Future<Output = ()> + use<> {
        let (cancelled, log) = (tasks.cancelled().clone(), log.clone());
        async move {
            cancelled.cancelled().await;
            log.lock().expect("no panic").push(name);
        }
    }

    #[tokio::test]
    async fn parts_stop_in_the_order_of_their_start() {
        let log = Log::default();
        let mut supervisor = Supervisor::new();
        for name in ["panel", "station", "gateway"] {
            let tasks = Tasks::new();
            supervisor.start(name, tasks.clone(), part(name, &tasks, &log));
        }
        let stop = CancellationToken::new();
        stop.cancel();
        supervisor.run(stop).await.expect("asked to stop");
        assert_eq!(
            *log.lock().expect("no panic"),
            ["panel", "station", "gateway"]
        );
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_stops_the_others_and_is_named() {
        let log = Log::default();
        let mut supervisor = Supervisor::new();
        let tasks = Tasks::new();
        supervisor.start("station", tasks.clone(), part("station", &tasks, &log));
        supervisor.start("media", Tasks::new(), async {});
        let ended = supervisor.run(CancellationToken::new()).await;
        assert_eq!(ended.expect_err("ended").part, "media");
        assert_eq!(*log.lock().expect("no panic"), ["station"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_while_every_loop_turns() {
        let mut supervisor = Supervisor::new();
        let tasks = Tasks::new();
        let thread = tasks.pulse("thread");
        let log = Log::default();
        supervisor.start("part", tasks.clone(), part("part", &tasks, &log));
        let fed = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let count = {
            let fed = fed.clone();
            move || fed.load(std::sync::atomic::Ordering::Relaxed)
        };
        supervisor.watch(move || {
            fed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            thread.beat();
        }
        assert!(count() >= 60, "{}", count());
        let before = count();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let more = count() - before;
        assert!(
            (19..=21).contains(&more),
            "{more} times after the last beat"
        );
        thread.beat();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(count() > before + more, "it lives again");
    }

    /// The part blocks its thread, as a call of the system does that does not return,
    /// while all others go on. The sound's threads have pulses of their own.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn each_part_that_blocks_starves_the_watchdog() {
        const PAUSE: Duration = Duration::from_millis(100);
        const LIMIT: Duration = Duration::from_secs(3);
        for blocked in ["station", "signalling", "media", "gateway"] {
            let mut supervisor = Supervisor::new();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let mut released = Some(released);
            for name in ["station", "signalling", "media", "gateway"] {
                let tasks = Tasks::new();
                let cancelled = tasks.cancelled().clone();
                let block = released.take_if(|_| name == blocked);
                supervisor.start(name, tasks, async move {
                    if let Some(released) = block {
                        let _ = released.recv();
                    }
                    cancelled.cancelled().await;
                });
            }
            let (feed, mut fed) = mpsc::channel(1000);
            supervisor.watch_each(PAUSE, LIMIT, move || {
                let _ = feed.try_send(());
            });
            // Fed until the limit is over, then not for as long again; a pause more or
            // less is of no matter.
            let since = clock::now();
            while tokio::time::timeout(LIMIT, fed.recv()).await.is_ok() {
                assert!(since.elapsed() < LIMIT * 4, "{blocked} is not missed");
            }
            assert!(since.elapsed() >= LIMIT * 3 / 2, "{blocked} had no time");
            drop(release);
            let again = tokio::time::timeout(LIMIT * 4, fed.recv()).await;
            assert_eq!(again, Ok(Some(())), "{blocked} goes on");
            let stop = CancellationToken::new();
            stop.cancel();
            supervisor.run(stop).await.expect("asked to stop");
        }
    }

    /// Its future gives way to others, so that the part itself seems to live; its loop
    /// waits for what never comes, and does not turn.
    #[tokio::test(start_paused = true)]
    async fn a_loop_that_waits_for_ever_starves_the_watchdog() {
        for stuck in ["station", "signalling", "media", "gateway"] {
            let mut supervisor = Supervisor::new();
            for name in ["station", "signalling", "media", "gateway"] {
                let tasks = Tasks::new();
                let pulse = tasks.pulse(name);
                let cancelled = tasks.cancelled().clone();
                supervisor.start(name, tasks, async move {
                    let mut turns = 0;
                    while !cancelled.is_cancelled() {
                        if name == stuck && turns == 5 {
                            std::future::pending::<()>().await;
                        }
                        tokio::time::sleep(crate::tasks::BEAT).await;
                        pulse.beat();
                        turns += 1;
                    }
                });
            }
            let (feed, mut fed) = mpsc::channel(1000);
            supervisor.watch(move || {
                let _ = feed.try_send(());
            });
            let since = clock::now();
            while tokio::time::timeout(LOOK * 3, fed.recv()).await.is_ok() {
                assert!(clock::now() - since < STUCK * 3, "{stuck} is not missed");
            }
            let ten = Duration::from_secs(10);
            let starved = clock::now() - since;
            assert!(starved >= STUCK, "{stuck} had no time: {starved:?}");
            // systemd's own patience is 10 s more.
            assert!(
                starved + ten <= Duration::from_secs(40),
                "{stuck}: {starved:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_is_left_behind_after_its_grace() {
        let mut supervisor = Supervisor::new();
        supervisor.start("hangs", Tasks::new(), std::future::pending());
        let stop = CancellationToken::new();
        stop.cancel();
        tokio::time::timeout(GRACE * 3, supervisor.run(stop))
            .await
            .expect("bounded")
            .expect("asked to stop");
    }
}
