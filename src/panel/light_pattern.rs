//! How a sign looks: colour, shape in time, brightness. Pure.
//!
//! Colours after EN 81-28: yellow for a call that was placed, green for one that
//! was answered. Every sign has a shape of its own, so that nobody needs to tell
//! colours apart; only the faults look alike.

use std::fmt;
use std::time::Duration;

use super::sign::Sign;
pub use crate::board::Colour;

/// What a light does until told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Its colour.
    pub colour: Colour,
    /// Its shape in time.
    pub shape: Shape,
    /// Brightness of its bright moments, 0 to 255.
    pub brightness: u8,
}

/// The shapes of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Dark.
    Off,
    /// Lit.
    Steady,
    /// Swells and fades, a triangle over the period.
    Pulse(Duration),
    /// Lit for the first half of the period, dark for the second.
    Blink(Duration),
    /// So many flashes of 100 ms, 100 ms apart, at the start of each period.
    Flashes(u8, Duration),
}

/// Length of a flash, and of the gap behind it.
pub const FLASH: Duration = Duration::from_millis(100);
/// No pattern changes more often.
const FINEST: Duration = Duration::from_millis(1);
/// Brightness of a ready station: seen at night, does not blind.
const DIM: u8 = 50;
const FULL: u8 = 255;

/// The pattern of a sign.
pub fn of(sign: Sign) -> Pattern {
    use Colour::{Amber, Blue, Green, Red, White};
    let s = |tenths: u64| Duration::from_millis(tenths * 100);
    let (colour, shape, brightness) = match sign {
        Sign::Starting => (White, Shape::Pulse(s(40)), DIM),
        Sign::Idle => (White, Shape::Steady, DIM),
        Sign::Calling => (Amber, Shape::Pulse(s(5)), FULL),
        Sign::Ringing => (Amber, Shape::Pulse(s(10)), FULL),
        Sign::Talking => (Green, Shape::Steady, FULL),
        Sign::OnHold => (Green, Shape::Blink(s(10)), FULL),
        Sign::Open => (Blue, Shape::Flashes(2, s(10)), FULL),
        Sign::Updating => (White, Shape::Flashes(2, s(40)), DIM),
        Sign::Fault(_) => (Red, Shape::Flashes(1, s(30)), FULL),
        Sign::NoConnection => (Red, Shape::Blink(s(20)), FULL),
        Sign::LoginRefused => (Red, Shape::Flashes(3, s(30)), FULL),
        Sign::Stopping => (White, Shape::Off, 0),
    };
    Pattern {
        colour,
        shape,
        brightness,
    }
}

impl Pattern {
    /// Brightness, 0 to 255, this long after the pattern began: what a PWM light is
    /// set to. A light that only knows on and off is on from the half of
    /// [`Pattern::brightness`].
    pub fn level(&self, elapsed: Duration) -> u8 {
        let full = u128::from(self.brightness);
        let into = |period: Duration| elapsed.as_micros() % period.as_micros().max(1);
        let level = match self.shape {
            Shape::Off => 0,
            Shape::Steady => full,
            Shape::Pulse(period) => {
                let half = (period.as_micros() / 2).max(1);
                let at = into(period);
                let rising = if at < half {
                    at
                } else {
                    (2 * half).saturating_sub(at)
                };
                full * rising / half
            }
            Shape::Blink(period) if into(period) < period.as_micros() / 2 => full,
            Shape::Blink(_) => 0,
            Shape::Flashes(count, period) => {
                let slot = into(period) / FLASH.as_micros();
                let lit = slot.is_multiple_of(2) && slot / 2 < u128::from(count);
                if lit { full } else { 0 }
            }
        };
        u8::try_from(level).unwrap_or(self.brightness)
    }
}

impl Pattern {
    /// Whether a person who sees no colours takes it for `other`. A steady dim light
    /// and a steady bright one differ.
    pub fn looks_like(&self, other: &Pattern) -> bool {
        let trace = |pattern: &Pattern| -> Vec<u8> {
            let full = Pattern {
                brightness: FULL,
                ..*pattern
            };
            let times = (0..600).map(|n| Duration::from_millis(n * 20));
            times.map(|at| full.level(at)).collect()
        };
        let dim = |pattern: &Pattern| pattern.brightness < FULL / 2;
        dim(self) == dim(other) && trace(self) == trace(other)
    }

    /// When the level changes next, this long after the pattern began, by at most
    /// `step` (for what changes all the time); `None` for what never does.
    pub fn next_change(&self, elapsed: Duration, step: Duration) -> Option<Duration> {
        let cut = |period: Duration, within: &[Duration]| {
            let into = Duration::from_micros(
                u64::try_from(elapsed.as_micros() % period.as_micros().max(1)).unwrap_or(0),
            );
            let next = within.iter().find(|at| **at > into && **at < period);
            Some(elapsed + (*next.unwrap_or(&period)).saturating_sub(into).max(FINEST))
        };
        match self.shape {
            Shape::Off | Shape::Steady => None,
            Shape::Pulse(_) => Some(elapsed + step),
            Shape::Blink(period) => cut(period, &[period / 2]),
            Shape::Flashes(count, period) => {
                let edges: Vec<_> = (1..u32::from(count) * 2).map(|n| FLASH * n).collect();
                cut(period, &edges)
            }
        }
    }
}

impl fmt::Display for Shape {
    /// `steady`, `pulse 1 s`, `flash 3x 3 s`: the name in JSON lines and logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Off => f.write_str("off"),
            Shape::Steady => f.write_str("steady"),
            Shape::Pulse(period) => write!(f, "pulse {} s", period.as_secs_f64()),
            Shape::Blink(period) => write!(f, "blink {} s", period.as_secs_f64()),
            Shape::Flashes(count, period) => {
                write!(f, "flash {count}x {} s", period.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_foretold() {
        for sign in Sign::ALL {
            let pattern = of(sign);
            let step = Duration::from_millis(20);
            let mut at = Duration::ZERO;
            while let Some(next) = pattern.next_change(at, step)
                && next < Duration::from_secs(12)
            {
                let last = next - Duration::from_millis(1);
                if !matches!(pattern.shape, Shape::Pulse(_)) {
                    assert_eq!(pattern.level(at), pattern.level(last), "{sign:?} {at:?}");
                }
                at = next;
            }
        }
    }

    #[test]
    fn a_light_that_is_only_on_or_off_still_tells_a_call_from_trouble() {
        let on_off = |sign| {
            let half = of(sign).brightness / 2;
            trace(sign)
                .iter()
                .map(|level| *level > half)
                .collect::<Vec<_>>()
        };
        for call in [
            Sign::Calling,
            Sign::Ringing,
            Sign::Talking,
            Sign::OnHold,
            Sign::Open,
        ] {
            for trouble in [Sign::NoConnection, Sign::LoginRefused, Sign::Stopping] {
                assert_ne!(on_off(call), on_off(trouble), "{call:?} and {trouble:?}");
            }
        }
    }

    #[test]
    fn a_pulse_swells_to_its_brightness_and_back() {
        let ringing = of(Sign::Ringing);
        let level = |ms| ringing.level(Duration::from_millis(ms));
        assert_eq!(level(0), 0);
        assert_eq!(level(500), 255);
        assert_eq!(level(250), level(750));
        assert_eq!(level(1500), 255);
    }

    #[test]
    fn three_flashes_then_dark() {
        let refused = of(Sign::LoginRefused);
        let lit: Vec<u64> = (0..30)
            .filter(|tenth| refused.level(Duration::from_millis(tenth * 100 + 50)) > 0)
            .collect();
        assert_eq!(lit, [0, 2, 4]);
    }

    #[test]
    fn a_period_of_nothing_does_not_divide_by_zero() {
        for shape in [
            Shape::Pulse(Duration::ZERO),
            Shape::Blink(Duration::ZERO),
            Shape::Flashes(2, Duration::ZERO),
        ] {
            let pattern = Pattern {
                colour: Colour::Red,
                shape,
                brightness: FULL,
            };
            pattern.level(Duration::from_secs(1));
        }
    }

    /// Twelve seconds of a sign, every 20 ms, without colour and brightness.
    fn trace(sign: Sign) -> Vec<u8> {
        let pattern = Pattern {
            brightness: if of(sign).brightness == DIM {
                DIM
            } else {
                FULL
            },
            ..of(sign)
        };
        (0..600)
            .map(|n| pattern.level(Duration::from_millis(n * 20)))
            .collect()
    }
}
