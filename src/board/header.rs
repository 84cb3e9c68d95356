//! How lines come out of a board: the pin header.

/// A pin header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// None that is known: only line numbers.
    Unknown,
    /// The 40 pins of every Raspberry Pi since 2014.
    RaspberryPi40,
}

/// What a pin of a header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// A supply or ground: its name.
    Power(&'static str),
    /// The line of this number.
    Line(u32),
}

use Carries::{Line, Power};

/// Pins 1, 2, 3 ... as Raspberry Pi documents them.
const RASPBERRY_PI_40: [Carries; 40] = [
    Power("3.3 V"),
    Power("5 V"),
    Line(2),
    Power("5 V"),
    Line(3),
    Power("ground"),
    Line(4),
    Line(14),
    Power("ground"),
    Line(15),
    Line(17),
    Line(18),
    Line(27),
    Power("ground"),
    Line(22),
    Line(23),
    Power("3.3 V"),
    Line(24),
    Line(10),
    Power("ground"),
    Line(9),
    Line(25),
    Line(11),
    Line(8),
    Power("ground"),
    Line(7),
    Line(0),
    Line(1),
    Line(5),
    Power("ground"),
    Line(6),
    Line(12),
    Line(13),
    Power("ground"),
    Line(19),
    Line(16),
    Line(26),
    Line(20),
    Power("ground"),
    Line(21),
];

impl Header {
    /// The words of board files.
    pub const WORDS: [(&'static str, Header); 2] = [
        ("none", Header::Unknown),
        ("raspberry-pi-40", Header::RaspberryPi40),
    ];

    /// The numbers that lines may have. A Raspberry Pi's 0 and 1 belong to the
    /// memory on a HAT.
    pub fn lines(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Header::Unknown => 0..=1023,
            Header::RaspberryPi40 => 2..=27,
        }
    }

    /// The pin that carries line `number`, from 1.
    pub fn pin_of(self, number: u32) -> Option<usize> {
        let at = self.pins().iter().position(|pin| *pin == Line(number))?;
        Some(at + 1)
    }

    /// Every pin, in order.
    pub(super) fn pins(self) -> &'static [Carries] {
        match self {
            Header::Unknown => &[],
            Header::RaspberryPi40 => &RASPBERRY_PI_40,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_carries_every_line_once() {
        for line in 0..=27 {
            let pins = RASPBERRY_PI_40.iter().filter(|pin| **pin == Line(line));
            assert_eq!(pins.count(), 1, "{line}");
        }
        assert_eq!(Header::RaspberryPi40.pin_of(17), Some(11));
        assert_eq!(Header::RaspberryPi40.pin_of(21), Some(40));
        assert_eq!(Header::RaspberryPi40.pin_of(28), None);
        assert_eq!(Header::Unknown.pin_of(17), None);
    }
}
