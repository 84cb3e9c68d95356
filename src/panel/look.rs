//! How each sign looks on this panel: the house's patterns, what a configuration
//! changes of them, and less light at night. Pure: the time of day is an argument.

use std::collections::BTreeMap;

use super::light_pattern::{self, Pattern};
use super::sign::Sign;

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

/// How each sign looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looks {
    /// Patterns that differ from the house's, by [`Sign::word`].
    pub changed: BTreeMap<&'static str, Pattern>,
    /// Of every brightness, 1 to 100.
    pub brightness_percent: u8,
    /// Less of it for some hours.
    pub night: Option<Night>,
}

/// The hours with less light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Night {
    /// Minute of the day at which it begins, local time.
    pub from: u16,
    /// Minute of the day at which it ends; before `from` means the next morning.
    pub to: u16,
    /// Of every brightness, 1 to 100, instead of the day's.
    pub brightness_percent: u8,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            changed: BTreeMap::new(),
            brightness_percent: 100,
            night: None,
        }
    }
}

impl Looks {
    /// The pattern of a sign at this minute of the day.
    pub fn of(&self, sign: Sign, minute: u16) -> Pattern {
        let pattern = self.pattern(sign);
        let percent = match self.night {
            Some(night) if night.holds(minute) => night.brightness_percent,
            Some(_) | None => self.brightness_percent,
        };
        let brightness = u16::from(pattern.brightness) * u16::from(percent.min(100)) / 100;
        Pattern {
            // A sign that is lit by day is lit by night, however dim.
            brightness: match u8::try_from(brightness) {
                Ok(0) if pattern.brightness > 0 => 1,
                Ok(brightness) => brightness,
                Err(_) => pattern.brightness,
            },
            ..pattern
        }
    }

    /// Two signs that cannot be told apart without seeing colours.
    pub fn look_alike(&self) -> Option<(Sign, Sign)> {
        let different = |a: Sign, b: Sign| a.word() != b.word();
        let signs = Sign::ALL.into_iter();
        let mut pairs = signs.flat_map(|a| Sign::ALL.into_iter().map(move |b| (a, b)));
        pairs.find(|(a, b)| different(*a, *b) && self.pattern(*a).looks_like(&self.pattern(*b)))
    }

    /// By day, at full brightness.
    fn pattern(&self, sign: Sign) -> Pattern {
        let changed = self.changed.get(sign.word()).copied();
        changed.unwrap_or_else(|| light_pattern::of(sign))
    }
}

impl Night {
    /// Whether it is night at this minute of the day.
    pub fn holds(&self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_night_may_hold_midnight() {
        let night = |from, to| Night {
            from,
            to,
            brightness_percent: 20,
        };
        let late = night(22 * 60, 6 * 60);
        for (hour, dark) in [(21, false), (22, true), (0, true), (5, true), (6, false)] {
            assert_eq!(late.holds(hour * 60), dark, "{hour}");
        }
        let early = night(60, 5 * 60);
        for (hour, dark) in [(0, false), (1, true), (4, true), (5, false), (23, false)] {
            assert_eq!(early.holds(hour * 60), dark, "{hour}");
        }
    }

    #[test]
    fn less_light_is_never_none() {
        let looks = Looks {
            brightness_percent: 50,
            night: Some(Night {
                from: 22 * 60,
                to: 6 * 60,
                brightness_percent: 1,
            }),
            ..Looks::default()
        };
        assert_eq!(looks.of(Sign::Talking, 12 * 60).brightness, 127);
        assert_eq!(looks.of(Sign::Talking, 0).brightness, 2);
        assert_eq!(looks.of(Sign::Idle, 0).brightness, 1);
        assert_eq!(looks.of(Sign::Stopping, 0).brightness, 0);
    }

    #[test]
    fn the_house_has_no_two_signs_that_look_alike() {
        assert_eq!(Looks::default().look_alike(), None);
        let mut looks = Looks::default();
        let ringing = light_pattern::of(Sign::Ringing);
        looks.changed.insert(Sign::Open.word(), ringing);
        assert_eq!(looks.look_alike(), Some((Sign::Ringing, Sign::Open)));
    }
}
