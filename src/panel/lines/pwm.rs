//! Dimming by switching: which lines are on, and when that changes. Pure.

use std::time::Duration;

/// 100 Hz: eyes see no flicker, and a dimmed light costs 200 switches a second.
pub const PERIOD: Duration = Duration::from_millis(10);

/// Whether a line with this duty, 0 to 255, is on so far `into` the period.
pub fn is_on(duty: u8, into: Duration) -> bool {
    duty == u8::MAX || into < on_time(duty)
}

/// When in the period, after `into`, a line changes; the period's length means its
/// end. `None` when all lines are only on or off.
pub fn next_change(duties: &[u8], into: Duration) -> Option<Duration> {
    let dimmed = duties.iter().filter(|duty| !matches!(**duty, 0 | u8::MAX));
    let times = dimmed.map(|duty| on_time(*duty));
    times.map(|at| if at > into { at } else { PERIOD }).min()
}

fn on_time(duty: u8) -> Duration {
    PERIOD * u32::from(duty) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_is_on_for_its_share_and_nothing_changes_between_the_changes(
            duties in prop::collection::vec(any::<u8>(), 1..6),
        ) {
            let mut into = Duration::ZERO;
            let mut on = vec![Duration::ZERO; duties.len()];
            while into < PERIOD {
                let next = next_change(&duties, into).unwrap_or(PERIOD);
                prop_assert!(next > into);
                let last = next - Duration::from_nanos(1);
                for (duty, on) in duties.iter().zip(&mut on) {
                    prop_assert_eq!(is_on(*duty, into), is_on(*duty, last));
                    if is_on(*duty, into) {
                        *on += next - into;
                    }
                }
                into = next;
            }
            for (duty, on) in duties.iter().zip(on) {
                prop_assert_eq!(on, on_time(*duty));
            }
        }
    }

    #[test]
    fn lines_that_are_on_or_off_need_no_switching() {
        assert_eq!(next_change(&[0, 255, 255], Duration::ZERO), None);
        assert!(!is_on(0, Duration::ZERO));
        assert!(is_on(255, PERIOD));
    }
}
