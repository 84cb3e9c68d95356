//! A bound on our own log: what is told again and again must not fill the disk, nor push
//! out of the journal what was told once.
//!
//! Each place in the code that tells something has a bucket: so many records at once, then
//! a few a minute. What is above is counted, and once a minute told as one line. A place
//! that is attacked (guessed passwords, broken packets) takes nothing of another's bucket.
//!
//! No lock: a record costs a look-up by its place and one exchange of a number. DEBUG and
//! TRACE are not bounded, for they are turned up by hand and go back by themselves.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::kind;
use crate::clock;
use crate::tasks::Tasks;

/// Records of one place that may come at once: twenty calls in a minute tell their changes
/// of state, of all records the most frequent, some 150 times.
const BURST: u64 = 200;
/// How often one more may come after that: 8640 a day, some 4 MB in the journal.
const REFILL: Duration = Duration::from_secs(10);
/// How often what was left out is told.
const TELL: Duration = Duration::from_secs(60);
/// Places that have a bucket, 100 kB in all. The program and its libraries have some 400
/// that tell at INFO and above; a place that finds no room is not bounded.
const PLACES: usize = 1024;
/// How much of a record is told as an example, bytes.
const EXAMPLE: usize = 160;

/// The buckets of all places. Clones share them.
#[derive(Clone)]
pub(super) struct Flood(Arc<Buckets>);

struct Buckets {
    began: Instant,
    places: Box<[Bucket]>,
}

/// The bucket of one place.
#[derive(Default)]
struct Bucket {
    place: OnceLock<&'static Metadata<'static>>,
    /// When the bucket is full again, ms since the beginning. A record moves it by one
    /// [`REFILL`], and passes while it is less than [`BURST`] of them away.
    full_at: AtomicU64,
    left_out: AtomicU64,
    /// The first record that was left out.
    example: OnceLock<String>,
}

impl Flood {
    pub(super) fn new() -> Self {
        Self(Arc::new(Buckets {
            began: clock::now(),
            places: (0..PLACES).map(|_| Bucket::default()).collect(),
        }))
    }

    /// Tells once a minute what was left out, until `tasks` end.
    pub(super) fn tell(&self, tasks: &Tasks) {
        let flood = self.clone();
        tasks.spawn("log-flood", async move {
            let mut tick = tokio::time::interval(TELL);
            loop {
                tick.tick().await;
                flood.tell_now();
            }
        });
    }

    fn tell_now(&self) {
        for bucket in &self.0.places {
            let Some(place) = bucket.place.get() else {
                continue;
            };
            let more = bucket.left_out.swap(0, Relaxed);
            if more > 0 {
                let example = bucket.example.get().map_or("", String::as_str);
                warn!(
                    message_id = kind::LOG_FLOOD,
                    more,
                    place = place.target(),
                    line = place.line(),
                    "{more} more in the last minute like this: {example}"
                );
            }
        }
    }

    fn passes(&self, event: &Event<'_>) -> bool {
        let place = event.metadata();
        if *place.level() > Level::INFO {
            return true;
        }
        let Some(bucket) = self.bucket(place) else {
            return true;
        };
        if bucket.take(ms(clock::now().saturating_duration_since(self.0.began))) {
            return true;
        }
        bucket.left_out.fetch_add(1, Relaxed);
        bucket.example.get_or_init(|| example(event));
        false
    }

    /// The bucket of a place: the first free one after its number, or its own.
    fn bucket(&self, place: &'static Metadata<'static>) -> Option<&Bucket> {
        let number = std::ptr::from_ref(place).addr() >> 4;
        let places = &self.0.places;
        (0..places.len()).find_map(|step| {
            let bucket = &places[(number + step) % places.len()];
            let holder = *bucket.place.get_or_init(|| place);
            std::ptr::eq(holder, place).then_some(bucket)
        })
    }
}

impl Bucket {
    /// Takes a record's share at `now`, ms; false while it is empty.
    fn take(&self, now: u64) -> bool {
        let refill = ms(REFILL);
        self.full_at
            .fetch_update(Relaxed, Relaxed, |full_at| {
                let next = full_at.max(now) + refill;
                (next <= now + refill * BURST).then_some(next)
            })
            .is_ok()
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.passes(event)
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The words of a record, shortened.
fn example(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    let mut text = message.0;
    if text.len() > EXAMPLE {
        let end = (0..=EXAMPLE).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use tracing::{debug, error, info};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::tests::Shared;
    use super::*;

    /// A log into memory behind a bound, as long as the guard lives.
    fn log() -> (Shared, Flood, tracing::subscriber::DefaultGuard) {
        let out = Shared::default();
        let writer = out.clone();
        let flood = Flood::new();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(flood.clone())
            .with(lines);
        (out, flood, tracing::subscriber::set_default(subscriber))
    }

    fn count(out: &Shared, words: &str) -> usize {
        out.text().matches(words).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_few_lines_and_then_one_a_minute_and_others_pass() {
        let (out, flood, _guard) = log();
        let tasks = Tasks::new();
        flood.tell(&tasks);
        for number in 0..100_000 {
            info!("guess {number} was wrong");
            if number == 50_000 {
                info!("the call goes on");
            }
        }
        assert_eq!(count(&out, "was wrong"), 200);
        assert_eq!(count(&out, "the call goes on"), 1);
        tokio::time::sleep(TELL + Duration::from_secs(1)).await;
        assert_eq!(
            count(
                &out,
                "99800 more in the last minute like this: guess 200 was wrong"
            ),
            1,
            "{}",
            out.text()
        );
        // Told once; nothing more was left out.
        tokio::time::sleep(TELL * 5).await;
        assert_eq!(count(&out, "more in the last minute"), 1);
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_that_lasts_a_day_stays_below_ten_thousand_lines() {
        let (out, flood, _guard) = log();
        let tasks = Tasks::new();
        flood.tell(&tasks);
        for _ in 0..24 * 60 * 60 {
            error!("the camera gives no picture");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let lines = out.text().lines().count();
        assert!(
            (8_640..=8_640 + 200 + 24 * 60 + 1).contains(&lines),
            "{lines}"
        );
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_was_quiet_may_tell_as_much_as_before() {
        let (out, _flood, _guard) = log();
        let tell = |times| {
            for _ in 0..times {
                info!("again");
            }
        };
        tell(1000);
        assert_eq!(count(&out, "again"), 200);
        tokio::time::sleep(REFILL * 3).await;
        tell(1000);
        assert_eq!(count(&out, "again"), 203);
        tokio::time::sleep(REFILL * 1000).await;
        tell(1000);
        assert_eq!(count(&out, "again"), 403);
    }

    #[test]
    fn what_is_turned_up_by_hand_is_not_bounded() {
        let (out, _flood, _guard) = log();
        for _ in 0..1000 {
            debug!("fine");
        }
        assert_eq!(count(&out, "fine"), 1000);
    }

    #[test]
    fn many_threads_share_one_bucket() {
        let bucket = Bucket::default();
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        taken.fetch_add(u64::from(bucket.take(0)), Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), BURST);
    }
}
