//! Lights that can only be switched, dimmed by a thread that switches them.
//!
//! The thread sleeps while no light is dimmed. What is fully on or off does not wait
//! for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{LineError, Outputs, pwm};
use crate::clock;

/// Lines that are on or off.
pub trait Switch: Send + 'static {
    /// Drives a line, by its place in the order in which they were opened.
    ///
    /// # Errors
    /// The line cannot be driven.
    fn switch(&mut self, line: usize, on: bool) -> Result<(), LineError>;
}

/// Switched lines that can be dimmed. Dropping it switches all of them off.
pub struct Dimmer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    switch: Box<dyn Switch>,
    duties: Vec<u8>,
    /// Whether each line is on, as last driven.
    on: Vec<bool>,
    ended: bool,
}

impl Dimmer {
    /// Dims so many lines, which must all be off.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(switch: impl Switch, lines: usize) -> Result<Self, LineError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                switch: Box::new(switch),
                duties: vec![0; lines],
                on: vec![false; lines],
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("panel-dimmer".into())
            .spawn(move || theirs.dim())
            .map_err(|error| LineError::failed("the thread that dims lights", error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Outputs for Dimmer {
    fn set(&mut self, line: usize, duty: u8) -> Result<(), LineError> {
        let mut state = self.shared.lock();
        let Some(wanted) = state.duties.get_mut(line) else {
            return Err(LineError::failed("driving a light", "it has no such line"));
        };
        *wanted = duty;
        self.shared.changed.notify_one();
        match duty {
            0 | u8::MAX => state.drive(line, duty == u8::MAX),
            _ => Ok(()),
        }
    }
}

impl Drop for Dimmer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that dims lights panicked");
        }
        let mut state = self.shared.lock();
        for line in 0..state.on.len() {
            if let Err(error) = state.drive(line, false) {
                tracing::error!(%error, "a light of the panel stays lit");
            }
        }
    }
}

impl State {
    fn drive(&mut self, line: usize, on: bool) -> Result<(), LineError> {
        if self.on.get(line) == Some(&on) {
            return Ok(());
        }
        self.switch.switch(line, on)?;
        self.on[line] = on;
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left nothing half done: each field stands alone.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches dimmed lines until the end.
    fn dim(&self) {
        let mut begun = clock::now();
        let mut state = self.lock();
        while !state.ended {
            let into = into_period(&mut begun, clock::now());
            for line in 0..state.duties.len() {
                let on = pwm::is_on(state.duties[line], into);
                // A line that cannot be driven is told by `set`.
                let _ = state.drive(line, on);
            }
            state = match pwm::next_change(&state.duties, into) {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let waited = self.changed.wait_timeout(state, next - into);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// How far `now` is into a period; periods follow `begun` without drifting.
fn into_period(begun: &mut Instant, now: Instant) -> Duration {
    let gone = now.saturating_duration_since(*begun);
    let nanos = gone.as_nanos() % pwm::PERIOD.as_nanos();
    let into = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    *begun = now.checked_sub(into).unwrap_or(now);
    into
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// What a thread was seen to switch.
    struct Seen(mpsc::Sender<(usize, bool)>);

    impl Switch for Seen {
        fn switch(&mut self, line: usize, on: bool) -> Result<(), LineError> {
            match line {
                9 => Err(LineError::NoRaspberryPi),
                _ => {
                    self.0.send((line, on)).unwrap();
                    Ok(())
                }
            }
        }
    }

    #[test]
    fn on_and_off_take_effect_at_once_and_dimming_switches_until_it_ends() {
        let (tell, seen) = mpsc::channel();
        let mut dimmer = Dimmer::start(Seen(tell), 10).unwrap();
        dimmer.set(0, 255).unwrap();
        assert_eq!(seen.try_recv(), Ok((0, true)));
        dimmer.set(0, 255).unwrap();
        assert!(seen.try_recv().is_err(), "it was on already");

        // However long it takes on this machine: on and off in turn, that line only.
        dimmer.set(1, 128).unwrap();
        for n in 0..20 {
            assert_eq!(seen.recv(), Ok((1, n % 2 == 0)));
        }
        assert_eq!(dimmer.set(9, 255), Err(LineError::NoRaspberryPi));
        assert!(dimmer.set(10, 255).is_err());

        dimmer.set(1, 0).unwrap();
        while seen.try_recv().is_ok() {}
        drop(dimmer);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [(0, false)]);
    }
}
