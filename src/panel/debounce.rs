//! From the edges of one contact to presses. Pure: time is an argument.
//!
//! # Contract
//!
//! * [`Debouncer::edge`] takes a change of the level, [`Debouncer::advance`] the
//!   passing of time; both return what happened up to then, in order.
//! * [`Debouncer::deadline`] says when to call `advance` next.
//! * A level counts when it has lasted for `least`. Shorter ones are bounce, a spark,
//!   or a wire in a storm, however many there are.
//! * A contact that is closed at the start is no press until it was open.
//! * Times that run backwards are taken as the latest time seen.

use std::time::{Duration, Instant};

/// How a contact is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A level that lasts for less does not count.
    pub least: Duration,
    /// When a press is a long one; `None` where that means nothing.
    pub long: Option<Duration>,
    /// When a press is no press but a contact that hangs; `None` for a sensor, which
    /// may be active for days.
    pub stuck: Option<Duration>,
}

/// Nobody presses for longer; the contact hangs, or somebody wedged it.
pub const STUCK: Duration = Duration::from_secs(30);

/// What a contact did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Closed, for long enough.
    Pressed,
    /// Held for [`Settings::long`].
    Held,
    /// Held for [`Settings::stuck`].
    Stuck,
    /// Open again.
    Released {
        /// Since it was pressed, `Held` was told, or it was closed at the start:
        /// the release means nothing more.
        spent: bool,
        /// `Stuck` was told.
        was_stuck: bool,
    },
}

/// One contact.
#[derive(Clone, Debug)]
pub struct Debouncer {
    settings: Settings,
    /// The level as last told: `true` is closed.
    level: bool,
    /// Since when.
    since: Instant,
    /// The latest time seen.
    now: Instant,
    /// The press that lasts.
    press: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    since: Instant,
    /// `Held` was told, or shall not be.
    spent: bool,
    stuck: bool,
}

impl Debouncer {
    /// A contact with this level now.
    pub fn new(settings: Settings, level: bool, now: Instant) -> Self {
        let press = Press {
            since: now,
            spent: true,
            stuck: false,
        };
        Self {
            settings,
            level,
            since: now,
            now,
            press: level.then_some(press),
        }
    }

    /// The level is `level` since `at`.
    pub fn edge(&mut self, level: bool, at: Instant) -> Vec<Event> {
        let events = self.advance(at);
        if level != self.level {
            (self.level, self.since) = (level, self.now);
        }
        events
    }

    /// It is `now`.
    pub fn advance(&mut self, now: Instant) -> Vec<Event> {
        let now = now.max(self.now);
        let mut events = Vec::new();
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.now = due;
            events.push(self.fire(due));
        }
        self.now = now;
        events
    }

    /// When something happens by time alone.
    pub fn deadline(&self) -> Option<Instant> {
        let settles =
            (self.level != self.press.is_some()).then(|| self.since + self.settings.least);
        let press = self.press.as_ref();
        let held = press
            .filter(|press| !press.spent)
            .and_then(|press| Some(press.since + self.settings.long?));
        let stuck = press
            .filter(|press| !press.stuck)
            .and_then(|press| Some(press.since + self.settings.stuck?));
        [settles, held, stuck].into_iter().flatten().min()
    }

    /// What happens at `due`, the deadline.
    fn fire(&mut self, due: Instant) -> Event {
        let settles = self.since + self.settings.least;
        match &mut self.press {
            None => {
                self.press = Some(Press {
                    since: self.since,
                    spent: false,
                    stuck: false,
                });
                Event::Pressed
            }
            Some(press) if !self.level && settles == due => {
                let (spent, was_stuck) = (press.spent, press.stuck);
                self.press = None;
                Event::Released { spent, was_stuck }
            }
            Some(press) => {
                let held = self.settings.long.map(|long| press.since + long);
                if !press.spent && held == Some(due) {
                    press.spent = true;
                    return Event::Held;
                }
                press.stuck = true;
                Event::Stuck
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUTTON: Settings = Settings {
        least: Duration::from_millis(30),
        long: None,
        stuck: Some(STUCK),
    };

    #[test]
    fn two_hundred_edges_in_twenty_milliseconds_are_one_press() {
        let mut told = Told::new(BUTTON);
        for n in 0..200 {
            told.edge(n % 2 == 0, n * 100);
        }
        told.edge(true, 20_000);
        for n in 0..200 {
            told.edge(n % 2 == 1, 200_000 + n * 100);
        }
        told.edge(false, 220_000);
        assert_eq!(told.until(1_000_000), [Event::Pressed, released(false)]);
    }

    #[test]
    fn ten_milliseconds_are_no_press() {
        let mut told = Told::new(BUTTON);
        told.edge(true, 0);
        told.edge(false, 10_000);
        assert_eq!(told.until(60_000_000), []);
    }

    #[test]
    fn a_press_is_told_thirty_milliseconds_after_the_last_edge() {
        let mut told = Told::new(BUTTON);
        told.edge(true, 0);
        assert_eq!(told.until(29_999), []);
        assert_eq!(told.until(30_000), [Event::Pressed]);
    }

    #[test]
    fn edges_that_arrive_late_and_together_still_count() {
        let mut told = Told::new(BUTTON);
        told.edge(true, 0);
        told.edge(false, 100_000);
        told.edge(true, 300_000);
        assert_eq!(
            told.until(500_000),
            [Event::Pressed, released(false), Event::Pressed]
        );
    }

    #[test]
    fn ten_minutes_held_are_one_press_and_one_alarm() {
        let mut told = Told::new(BUTTON);
        told.edge(true, 0);
        assert_eq!(told.until(600_000_000), [Event::Pressed, Event::Stuck]);
        told.edge(false, 600_000_000);
        let freed = Event::Released {
            spent: false,
            was_stuck: true,
        };
        assert_eq!(told.until(601_000_000).last(), Some(&freed));
    }

    #[test]
    fn a_long_press_is_told_while_it_is_held() {
        let mut told = Told::new(Settings {
            long: Some(Duration::from_secs(1)),
            ..BUTTON
        });
        told.edge(true, 0);
        told.edge(false, 400_000);
        told.edge(true, 2_000_000);
        assert_eq!(
            told.until(3_000_000),
            [Event::Pressed, released(false), Event::Pressed, Event::Held]
        );
        told.edge(false, 3_500_000);
        assert_eq!(told.until(4_000_000).last(), Some(&released(true)));
    }

    #[test]
    fn a_contact_that_is_closed_at_the_start_is_no_press() {
        let start = crate::clock::now();
        let mut debouncer = Debouncer::new(BUTTON, true, start);
        assert_eq!(debouncer.advance(start + STUCK), [Event::Stuck]);
        let later = start + STUCK * 2;
        assert_eq!(debouncer.edge(false, later), []);
        let events = debouncer.advance(later + BUTTON.least);
        assert!(matches!(events[..], [Event::Released { spent: true, .. }]));
    }

    proptest! {
        /// Whatever the contact does: presses and releases alternate, each after a
        /// level that lasted, and cutting time into other pieces changes nothing.
        #[test]
        fn presses_and_releases_alternate_and_do_not_depend_on_who_asks_when(
            gaps in prop::collection::vec(0_u64..60_000, 1..200),
            asked in prop::collection::vec(0_u64..6_000_000, 0..50),
        ) {
            let mut told = Told::new(BUTTON);
            let mut busy = Told::new(BUTTON);
            let (mut at, mut asked) = (0, asked);
            asked.sort_unstable();
            for (n, gap) in gaps.iter().enumerate() {
                at += gap;
                for ask in asked.extract_if(.., |ask| *ask < at) {
                    busy.until(ask);
                }
                told.edge(n % 2 == 0, at);
                busy.edge(n % 2 == 0, at);
            }
            let events = told.until(at + 100_000);
            prop_assert_eq!(&events, &busy.until(at + 100_000));
            for (n, event) in events.iter().enumerate() {
                let want = if n % 2 == 0 { Event::Pressed } else { released(false) };
                prop_assert_eq!(*event, want);
            }
            let long = gaps.iter().skip(1).step_by(2).filter(|gap| **gap >= 30_000);
            let last_stays = gaps.len() % 2;
            prop_assert!(events.len().div_ceil(2) <= long.count() + last_stays);
        }
    }

    fn released(spent: bool) -> Event {
        Event::Released {
            spent,
            was_stuck: false,
        }
    }

    /// A debouncer, and all that it told. Times are microseconds after the start.
    struct Told {
        debouncer: Debouncer,
        start: Instant,
        events: Vec<Event>,
    }

    impl Told {
        fn new(settings: Settings) -> Self {
            let start = crate::clock::now();
            Self {
                debouncer: Debouncer::new(settings, false, start),
                start,
                events: Vec::new(),
            }
        }

        fn edge(&mut self, level: bool, at: u64) {
            let at = self.start + Duration::from_micros(at);
            self.events.extend(self.debouncer.edge(level, at));
        }

        fn until(&mut self, at: u64) -> Vec<Event> {
            let at = self.start + Duration::from_micros(at);
            self.events.extend(self.debouncer.advance(at));
            self.events.clone()
        }
    }
}
