//! Values over the life of a call, kept in bounded memory, and their quantiles.

/// Samples that are kept at most. A call that is sampled once a second is exact up
/// to 17 minutes; of a longer one every second sample counts, then every fourth.
const KEPT: usize = 1_024;

/// The values of one quantity, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    kept: Vec<f64>,
    /// One of so many is kept.
    every: u64,
    seen: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            every: 1,
            seen: 0,
        }
    }
}

impl Series {
    /// Takes one value; one that is no number is left out.
    pub(crate) fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let index = self.seen;
        self.seen += 1;
        if !index.is_multiple_of(self.every) {
            return;
        }
        if self.kept.len() == KEPT {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
            // KEPT is even, so this value is one of those that are still kept.
        }
        self.kept.push(value);
    }

    /// The value that `share` (0 to 1) of the values do not exceed; `None` without
    /// values. One of the values, never something between two.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Series {
        let mut series = Series::default();
        values.into_iter().for_each(|value| series.push(value));
        series
    }

    #[test]
    fn quantiles_are_values_that_came() {
        let series = of((1..=100).rev().map(f64::from));
        assert_eq!(series.quantile(0.05), Some(5.0));
        assert_eq!(series.quantile(0.5), Some(50.0));
        assert_eq!(series.quantile(0.95), Some(95.0));
        assert_eq!(series.quantile(1.0), Some(100.0));
        assert_eq!(of([7.0]).quantile(0.0), Some(7.0));
        assert_eq!(of([]).quantile(0.5), None);
    }

    #[test]
    fn what_is_no_number_does_not_count() {
        assert_eq!(of([f64::NAN, f64::INFINITY, 3.0]).quantile(0.95), Some(3.0));
    }

    #[test]
    fn a_day_of_seconds_is_bounded_and_its_quantiles_are_near() {
        let day = 86_400;
        let series = of((0..day).map(f64::from));
        assert!(series.kept.len() <= KEPT);
        assert!(series.kept.len() >= KEPT / 2);
        for share in [0.05, 0.5, 0.95] {
            let off = series.quantile(share).expect("values") / f64::from(day) - share;
            assert!(off.abs() < 0.005, "{share}: {off}");
        }
        // Evenly spread over the day, the later half not thinner than the first.
        let gaps = series.kept.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().all(|gap| gap == series.every as f64));
    }
}
