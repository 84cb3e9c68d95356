//! The door's code: what it is, how it is compared, and how guessing is stopped.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::call::{CallId, Digit, LegId};

/// The code that opens the door from a call. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Code(Box<[Digit]>);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Code {}

impl Code {
    /// The fewest keys: with the limits on guessing four hold for a week or two.
    pub const SHORTEST: usize = 4;
    /// The most keys.
    pub const LONGEST: usize = 16;

    /// Reads a code; `None` unless it is 4 to 16 of the keys `0`-`9`, `*`, `#`,
    /// `A`-`D`.
    pub fn parse(text: &str) -> Option<Self> {
        let keys: Option<Box<[Digit]>> = text.chars().map(Digit::new).collect();
        keys.filter(|keys| (Self::SHORTEST..=Self::LONGEST).contains(&keys.len()))
            .map(Self)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `tried` is the code, in a time that tells only its length.
    fn is(&self, tried: &[Digit]) -> bool {
        if tried.len() != self.0.len() {
            return false;
        }
        let pairs = self.0.iter().zip(tried);
        let differing = pairs.fold(0, |sum, (a, b)| {
            black_box(sum | (a.as_char() as u32 ^ b.as_char() as u32))
        });
        differing == 0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// The keys of one leg, put together to attempts: as many as the code has, each key
/// soon after the one before. They do not overlap, so that one key more is not one
/// guess more.
#[derive(Debug, Default)]
pub(super) struct Dialled {
    leg: Option<LegId>,
    keys: Vec<Digit>,
    last: Option<Instant>,
}

impl Dialled {
    /// A longer pause begins anew: who mistyped waits a moment.
    pub(super) const PAUSE: Duration = Duration::from_secs(4);

    /// Takes a key; gives the attempt that it completes.
    pub(super) fn take(
        &mut self,
        leg: &LegId,
        key: Digit,
        code: &Code,
        now: Instant,
    ) -> Option<Vec<Digit>> {
        let soon = self.last.is_some_and(|last| now < last + Self::PAUSE);
        if self.leg.as_ref() != Some(leg) || !soon {
            self.keys.clear();
            self.leg = Some(leg.clone());
        }
        self.last = Some(now);
        self.keys.push(key);
        (self.keys.len() >= code.len()).then(|| std::mem::take(&mut self.keys))
    }
}

/// What a guard says of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the code.
    Right,
    /// It is not.
    Wrong,
    /// It was not even compared.
    Locked,
}

/// Counts wrong codes, of all calls together: who hangs up and calls again does not
/// begin anew.
#[derive(Debug, Default)]
pub(super) struct Guard {
    wrong: u32,
    last_wrong: Option<Instant>,
    locked_until: Option<Instant>,
    locked_call: Option<CallId>,
}

impl Guard {
    /// Wrong codes in a row that lock.
    pub(super) const FREE: u32 = 5;
    /// How long every call is locked; the one of the last guess is until its end.
    /// Wrong codes that are older than this do not count.
    pub(super) const LOCKED: Duration = Duration::from_secs(10 * 60);

    /// Compares what was tried in `call`, unless that is locked.
    pub(super) fn try_code(
        &mut self,
        tried: &[Digit],
        code: &Code,
        call: &CallId,
        now: Instant,
    ) -> Verdict {
        let locked = self.locked_until.is_some_and(|until| now < until);
        if locked || self.locked_call.as_ref() == Some(call) {
            return Verdict::Locked;
        }
        if self.last_wrong.is_some_and(|at| now >= at + Self::LOCKED) {
            self.wrong = 0;
        }
        if code.is(tried) {
            self.wrong = 0;
            return Verdict::Right;
        }
        self.wrong += 1;
        self.last_wrong = Some(now);
        if self.wrong >= Self::FREE {
            self.wrong = 0;
            self.locked_until = Some(now + Self::LOCKED);
            self.locked_call = Some(call.clone());
        }
        Verdict::Wrong
    }
}

/// The keys of a text, if it is nothing else and not endless.
pub(super) fn keys(text: &str) -> Option<Vec<Digit>> {
    if text.len() > Code::LONGEST {
        return None;
    }
    text.chars().map(Digit::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_four_to_sixteen_keys() {
        for right in ["4711", "*12#", "0000000000000000", "abcd"] {
            assert!(Code::parse(right).is_some(), "{right}");
        }
        for wrong in ["", "471", "00000000000000000", "47 11", "47é1"] {
            assert!(Code::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Code::parse("4711")), "Some(Code)");
    }

    #[test]
    fn only_the_whole_code_is_the_code() {
        let code = Code::parse("4711").expect("a code");
        let is = |text| code.is(&keys(text).expect("keys"));
        assert!(is("4711"));
        for wrong in ["4712", "5711", "471", "47110", "1174", ""] {
            assert!(!is(wrong), "{wrong}");
        }
    }
}
