//! Stories of the guardian in virtual time.

use super::*;

const FIVE: Duration = Duration::from_secs(5);
const STATION: Client = Client(1);

/// A guardian, its clock, and what it did.
struct Bench {
    guardian: Guardian,
    now: Instant,
    out: Vec<Output>,
    /// Kept alive by beats; a test that silences somebody takes them out.
    beating: Vec<(Client, bool)>,
    watching: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default(), Duration::ZERO)
    }

    fn with(limits: Limits, locked: Duration) -> Self {
        let now = crate::clock::now();
        let mut bench = Self {
            guardian: Guardian::new(limits, locked, now),
            now,
            out: Vec::new(),
            beating: Vec::new(),
            watching: true,
        };
        bench.join(STATION);
        bench.wait_ms(1000);
        bench.out.clear();
        bench
    }

    fn join(&mut self, client: Client) {
        self.feed(Input::Joined(client));
        self.beating.push((client, false));
    }

    fn feed(&mut self, input: Input) {
        self.out.extend(self.guardian.handle(input, self.now));
    }

    /// Time passes in steps of 100 ms, with beats of whoever is alive, and every
    /// timer at its own moment.
    fn wait_ms(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while self.now < until {
            let step = (self.now + Duration::from_millis(100)).min(until);
            while let Some(at) = self.guardian.deadline().filter(|at| *at <= step) {
                self.now = self.now.max(at);
                self.feed(Input::Tick);
            }
            self.now = step;
            if self.watching {
                self.feed(Input::Watched);
            }
            for (client, tampered) in self.beating.clone() {
                self.feed(Input::Said(client, Message::Beat { tampered }));
            }
        }
    }

    fn pulse(&mut self, client: Client, number: u32, length: Duration) -> Option<Reply> {
        let before = self.out.len();
        self.feed(Input::Said(client, Message::Pulse { number, length }));
        let told = self.out[before..].iter();
        told.filter_map(|output| match output {
            Output::Tell(to, reply @ (Reply::Opened { .. } | Reply::Refused { .. }))
                if *to == client =>
            {
                Some(reply.clone())
            }
            _ => None,
        })
        .next()
    }

    fn refused(&mut self, length: Duration) -> Option<Refusal> {
        match self.pulse(STATION, 1, length) {
            Some(Reply::Refused { number: 1, why }) => Some(why),
            Some(_) | None => None,
        }
    }

    fn opens(&mut self) -> bool {
        self.pulse(STATION, 1, FIVE) == Some(Reply::Opened { number: 1 })
    }

    fn kept(&self) -> Vec<Duration> {
        let kept = self.out.iter().filter_map(|output| match output {
            Output::Keep(left) => Some(*left),
            _ => None,
        });
        kept.collect()
    }
}

#[test]
fn a_pulse_is_as_long_as_it_was_ordered() {
    let mut bench = Bench::new();
    assert!(bench.opens());
    assert!(bench.out.contains(&Output::Line(true)));
    bench.wait_ms(4_999);
    assert!(bench.guardian.is_on());
    bench.wait_ms(1);
    assert!(!bench.guardian.is_on());
    assert!(bench.out.contains(&Output::Line(false)));
}

#[test]
fn an_order_while_it_is_open_prolongs_nothing() {
    let mut bench = Bench::new();
    assert!(bench.opens());
    bench.wait_ms(4_900);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Open));
    bench.wait_ms(100);
    assert!(!bench.guardian.is_on());
}

#[test]
fn the_cap_cannot_be_asked_or_set_away() {
    assert!(Limits::new(Duration::from_millis(10_001)).is_none());
    assert!(Limits::new(Duration::from_millis(99)).is_none());
    let mut bench = Bench::new();
    let longer = Limits::LONGEST + Duration::from_millis(1);
    for length in [longer, Duration::MAX, Duration::ZERO] {
        assert_eq!(bench.refused(length), Some(Refusal::Length));
    }
    let limits = Limits::new(Duration::from_secs(2)).expect("within the range");
    let mut bench = Bench::with(limits, Duration::ZERO);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Length));
}

#[test]
fn a_second_lies_between_two_pulses_and_before_the_first() {
    let now = crate::clock::now();
    let mut fresh = Guardian::new(Limits::default(), Duration::ZERO, now);
    fresh.handle(Input::Joined(STATION), now);
    let order = Message::Pulse {
        number: 4,
        length: FIVE,
    };
    let why = Refusal::TooSoon;
    let refused = Output::Tell(STATION, Reply::Refused { number: 4, why });
    assert_eq!(fresh.handle(Input::Said(STATION, order), now), [refused]);

    let mut bench = Bench::new();
    assert!(bench.opens());
    bench.wait_ms(5_900);
    assert_eq!(bench.refused(FIVE), Some(Refusal::TooSoon));
    bench.wait_ms(100);
    assert!(bench.opens());
}

#[test]
fn ten_pulses_fit_in_a_minute_and_no_more() {
    let mut bench = Bench::new();
    let short = Limits::SHORTEST;
    for _ in 0..Limits::PER_MINUTE {
        assert!(matches!(
            bench.pulse(STATION, 1, short),
            Some(Reply::Opened { .. })
        ));
        bench.wait_ms(1_200);
    }
    assert_eq!(bench.refused(short), Some(Refusal::TooOften));
    bench.wait_ms(60_000 - 12_000 - 1);
    assert_eq!(bench.refused(short), Some(Refusal::TooOften));
    bench.wait_ms(1);
    assert_eq!(bench.refused(short), None);
    assert!(bench.guardian.is_on());
}

#[test]
fn the_line_goes_off_with_the_client_that_ordered() {
    let mut bench = Bench::new();
    bench.join(Client(2));
    assert!(bench.opens());
    bench.feed(Input::Left(Client(2)));
    assert!(bench.guardian.is_on(), "somebody else left");
    bench.feed(Input::Left(STATION));
    assert!(!bench.guardian.is_on());
}

#[test]
fn the_line_goes_off_when_the_client_is_silent_for_two_seconds() {
    let mut bench = Bench::new();
    bench.join(Client(2));
    assert!(bench.opens());
    bench.beating.retain(|(client, _)| *client != STATION);
    bench.wait_ms(1_999);
    assert!(bench.guardian.is_on());
    bench.wait_ms(1);
    assert!(!bench.guardian.is_on());
    assert!(bench.out.contains(&Output::Drop(STATION)));
    // What it says after that is not heard.
    bench.wait_ms(2_000);
    assert_eq!(bench.pulse(STATION, 1, FIVE), None);
}

#[test]
fn the_line_goes_off_when_nobody_watches_the_guardian() {
    let mut bench = Bench::new();
    assert!(bench.opens());
    bench.watching = false;
    bench.wait_ms(1_499);
    assert!(bench.guardian.is_on());
    bench.wait_ms(1);
    assert!(!bench.guardian.is_on());
    bench.wait_ms(1_000);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Stopping));
}

#[test]
fn after_the_stop_it_is_off_and_stays_off() {
    let mut bench = Bench::new();
    assert!(bench.opens());
    bench.feed(Input::Stop);
    assert!(!bench.guardian.is_on());
    bench.wait_ms(1_000);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Stopping));
}

#[test]
fn tampering_closes_and_locks_for_thirty_minutes_after_it_ended() {
    let mut bench = Bench::new();
    assert!(bench.opens());
    bench.beating = vec![(STATION, true)];
    bench.wait_ms(100);
    assert!(!bench.guardian.is_on());
    assert_eq!(bench.kept(), [Limits::LOCKED]);
    bench.wait_ms(10 * 60_000);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Locked));

    bench.beating = vec![(STATION, false)];
    bench.wait_ms(30 * 60_000 - 200);
    assert_eq!(bench.refused(FIVE), Some(Refusal::Locked));
    bench.wait_ms(200);
    assert!(bench.opens());
    assert_eq!(bench.kept().last(), Some(&Duration::ZERO));
}

#[test]
fn what_is_left_of_a_lock_is_kept_every_minute_and_taken_again() {
    let mut bench = Bench::new();
    bench.beating = vec![(STATION, true)];
    bench.wait_ms(100);
    bench.beating = vec![(STATION, false)];
    bench.wait_ms(125_000);
    let minutes = [30, 29, 28].map(|minutes| Duration::from_secs(minutes * 60));
    assert_eq!(bench.kept(), minutes);

    let mut again = Bench::with(Limits::default(), minutes[2]);
    assert_eq!(again.refused(FIVE), Some(Refusal::Locked));
    again.wait_ms(28 * 60_000 - 1_100);
    assert_eq!(again.refused(FIVE), Some(Refusal::Locked));
    again.wait_ms(100);
    assert!(again.opens());
}

#[test]
fn a_client_that_comes_learns_how_things_stand() {
    let mut bench = Bench::with(Limits::default(), Duration::from_secs(90));
    bench.join(Client(2));
    let state = Reply::State {
        open: false,
        locked_s: 89,
    };
    assert_eq!(bench.out, [Output::Tell(Client(2), state)]);
}
