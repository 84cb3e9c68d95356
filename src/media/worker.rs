//! Named threads for what blocks: stopped with the tasks, and joined.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::error;

use crate::pulse::Pulse;
use crate::tasks::Tasks;

/// How long a thread may take to end before the log names it. Every loop looks
/// at its [`Stop`] at least each 250 ms.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells threads to end; a wait that ends early when they shall. Each look at it is a
/// beat of the thread's pulse.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    set: Arc<(Mutex<bool>, Condvar)>,
    pulse: Pulse,
}

impl Stop {
    /// Whether the thread shall end.
    pub(crate) fn is_set(&self) -> bool {
        self.pulse.beat();
        *self.lock()
    }

    /// Waits for `time`, less if the thread shall end; tells whether it shall.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.pulse.beat();
        let (_, condition) = &*self.set;
        let waited = condition.wait_timeout_while(self.lock(), time, |set| !*set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The same, without the pulse: it is the thread's to beat.
    fn share(&self) -> Self {
        Self {
            set: Arc::clone(&self.set),
            pulse: Pulse::default(),
        }
    }

    fn set(&self) {
        *self.lock() = true;
        self.set.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `body` on a thread of that name until `tasks` are cancelled; a task of
/// `tasks` joins it, so that [`Tasks::stop`] waits for it. `pulse` beats while it runs.
///
/// # Errors
///
/// When the operating system gives no thread.
pub(crate) fn spawn(
    tasks: &Tasks,
    name: &'static str,
    pulse: Pulse,
    body: impl FnOnce(Stop) + Send + 'static,
) -> std::io::Result<()> {
    let stop = Stop {
        set: Arc::default(),
        pulse,
    };
    let seen = stop.share();
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || body(stop))?;
    let cancelled = tasks.cancelled().clone();
    tasks.spawn_draining(name, async move {
        cancelled.cancelled().await;
        seen.set();
        let joined = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(PATIENCE, joined).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => error!(name, "thread panicked"),
            Err(_) => error!(name, "thread does not end"),
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_the_tasks_ends_and_joins_the_thread() {
        let tasks = Tasks::new();
        let (ended, end) = std::sync::mpsc::channel();
        spawn(&tasks, "worker", Pulse::default(), move |stop| {
            while !stop.wait(Duration::from_secs(60)) {}
            ended.send(()).expect("the test waits");
        })
        .expect("a thread");
        tasks.stop().await;
        end.try_recv().expect("it ended before stop returned");
        assert_eq!(tasks.alive(), 0);
    }
}
