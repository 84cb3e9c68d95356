//! DTMF digits. What people dial can be a door code, so `Debug` shows no digit.

use std::fmt;
use std::sync::Arc;

/// The most digits that are sent at once: more than any number or code has.
const LONGEST: usize = 64;

/// One of `0`-`9`, `*`, `#`, `A`-`D`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digit(char);

impl Digit {
    /// The digit that `key` stands for; small letters count as large ones.
    pub fn new(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Self(key))
    }

    /// As it is written on the key.
    pub fn as_char(self) -> char {
        self.0
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit")
    }
}

/// One to 64 digits to be sent one after the other.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(Arc<[Digit]>);

impl Digits {
    /// Reads digits; `None` if there is anything else in `text`, none, or more
    /// than 64.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Option<Arc<[Digit]>> = text.chars().map(Digit::new).collect();
        digits
            .filter(|digits| (1..=LONGEST).contains(&digits.len()))
            .map(Self)
    }

    /// Them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Digit> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits({} of them)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sixteen_keys_are_digits() {
        let digits = Digits::parse("0123456789*#abcd").expect("all keys");
        let keys: String = digits.iter().map(Digit::as_char).collect();
        assert_eq!(keys, "0123456789*#ABCD");
        for wrong in ["", "12 3", "E", "12,3", "\u{0661}", &"1".repeat(65)] {
            assert_eq!(Digits::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        let digits = Digits::parse("4711").expect("digits");
        assert_eq!(format!("{digits:?}"), "Digits(4 of them)");
        assert_eq!(format!("{:?}", Digit::new('7')), "Some(Digit)");
    }
}
