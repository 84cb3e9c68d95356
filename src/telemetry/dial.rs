//! The level of the log while the station runs: turned up for a while, and back by
//! itself, so that nobody forgets a log that fills a card.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::flood::Flood;
use super::{Error, filter_of, turned};
use crate::tasks::Tasks;

/// Sets what passes into the log of this process; clones turn the same dial.
#[derive(Clone)]
pub struct Dial {
    handle: reload::Handle<EnvFilter, Registry>,
    /// What the log began with, and goes back to.
    usual: Arc<str>,
    /// How often the dial was turned: only the latest turn is taken back.
    turns: Arc<Mutex<u64>>,
    flood: Flood,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("usual", &self.usual).finish()
    }
}

impl Dial {
    /// A filter for a subscriber that says what `usual` says, and its dial.
    ///
    /// # Errors
    /// The filter is none.
    pub(super) fn new(usual: &str) -> Result<(reload::Layer<EnvFilter, Registry>, Self), Error> {
        let (layer, handle) = reload::Layer::new(filter_of(usual)?);
        let dial = Self {
            handle,
            usual: usual.into(),
            turns: Arc::default(),
            flood: Flood::new(),
        };
        Ok((layer, dial))
    }

    /// Lets pass what `filter` says, for `time`; then what the log began with. `filter`
    /// is a level, or directives that count besides what the log began with; their
    /// targets are our modules, by their short names (`call=debug`) or whole. A second turn
    /// takes the place of the first, its time included.
    ///
    /// # Errors
    /// The filter is wrong, and nothing changes.
    pub fn set(&self, tasks: &Tasks, filter: &str, time: Duration) -> Result<(), Error> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            self.pass(turned(&self.usual, filter)?)?;
            *turns += 1;
            *turns
        };
        info!(filter, for_s = time.as_secs(), "the log's level is changed");
        let dial = self.clone();
        tasks.spawn("log-level", async move {
            tokio::time::sleep(time).await;
            dial.take_back(turn);
        });
        Ok(())
    }

    /// Back to what the log began with, at once: whoever was to do it later is gone.
    pub fn set_back(&self) {
        let turn = *self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turn > 0 {
            self.take_back(turn);
        }
    }

    /// The bound on what one place in the code may tell.
    pub(super) fn flood(&self) -> Flood {
        self.flood.clone()
    }

    /// Tells once a minute how much more was said than the log takes of one place, until
    /// `tasks` end.
    pub fn tell_floods(&self, tasks: &Tasks) {
        self.flood.tell(tasks);
    }

    /// Back to what the log began with, unless the dial was turned again.
    fn take_back(&self, turn: u64) {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if *turns != turn {
            return;
        }
        match filter_of(&self.usual).and_then(|usual| self.pass(usual)) {
            Ok(()) => info!(filter = %self.usual, "the log's level is as before"),
            Err(error) => warn!(%error, "the log's level cannot be set back"),
        }
    }

    fn pass(&self, filter: EnvFilter) -> Result<(), Error> {
        self.handle.reload(filter).map_err(Error::Dial)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::tests::Shared;
    use super::*;

    /// A log at INFO into memory, its dial, and a mark that it may be read as long as
    /// the guard lives.
    fn log() -> (Shared, Dial, tracing::subscriber::DefaultGuard) {
        let out = Shared::default();
        let writer = out.clone();
        let (filter, dial) = Dial::new("info").unwrap();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        (out, dial, tracing::subscriber::set_default(subscriber))
    }

    const LONG: Duration = Duration::from_secs(600);
    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn it_goes_back_by_itself() {
        let (out, dial, _guard) = log();
        tracing::debug!("unasked");
        dial.set(&Tasks::new(), "debug", LONG).unwrap();
        tracing::debug!("early");
        tokio::time::sleep(LONG - MOMENT).await;
        tracing::debug!("late");
        tokio::time::sleep(MOMENT * 2).await;
        tracing::debug!("after");
        tracing::info!("usual");
        let text = out.text();
        for (word, told) in [
            ("unasked", false),
            ("early", true),
            ("late", true),
            ("after", false),
            ("usual", true),
        ] {
            assert_eq!(text.contains(word), told, "{word}: {text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_turn_is_not_taken_back_by_the_first() {
        let (out, dial, _guard) = log();
        let tasks = Tasks::new();
        dial.set(&tasks, "debug", LONG).unwrap();
        tokio::time::sleep(LONG / 2).await;
        dial.set(&tasks, "doorstation=trace", LONG).unwrap();
        tokio::time::sleep(LONG / 2 + MOMENT).await;
        tracing::trace!("still");
        tokio::time::sleep(LONG / 2 + MOMENT).await;
        tracing::trace!("over");
        let text = out.text();
        assert!(text.contains("still") && !text.contains("over"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_filter_changes_nothing() {
        let (out, dial, _guard) = log();
        let tasks = Tasks::new();
        let error = dial.set(&tasks, "doorstation=loud", LONG).unwrap_err();
        assert!(error.to_string().contains("not understood"), "{error}");
        tracing::debug!("silent");
        tracing::info!("usual");
        let text = out.text();
        assert!(text.contains("usual") && !text.contains("silent"), "{text}");
        assert_eq!(tasks.alive(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_says_more_and_the_rest_what_it_said() {
        let (out, dial, _guard) = log();
        let filter = "call=debug,doorstation::panel=debug,tungstenite=trace";
        dial.set(&Tasks::new(), filter, LONG).unwrap();
        tracing::debug!(target: "doorstation::call::active", "of the part");
        tracing::debug!(target: "doorstation::panel", "of the second");
        tracing::trace!(target: "tungstenite::protocol", "of another crate");
        tracing::debug!(target: "doorstation::gateway", "of another");
        tracing::info!(target: "doorstation::gateway", "usual");
        let text = out.text();
        assert!(text.contains("of the part"), "{text}");
        assert!(text.contains("of the second"), "{text}");
        assert!(!text.contains("of another"), "{text}");
        assert!(text.contains("usual"), "{text}");
    }
}
