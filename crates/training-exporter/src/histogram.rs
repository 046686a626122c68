//! A distribution that is kept over a restart.

use exporter::{Family, NameError};
use serde::{Deserialize, Serialize};

/// How many observations fell into each bucket. The upper bounds are given with each use; they belong to the metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    /// By bucket, not cumulative; what is above the last bound is in `count` only.
    buckets: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Histogram {
    /// Adds one observation. What is no finite number of at least 0 is none.
    pub(crate) fn observe(&mut self, bounds: &[f64], value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        self.buckets.resize(bounds.len(), 0);
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound)
            && let Some(count) = self.buckets.get_mut(bucket)
        {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    /// Whether there was no observation.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds it to the family of its metric.
    pub(crate) fn push(
        &self,
        family: &mut Family,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<(), NameError> {
        let mut below = 0;
        let cumulative: Vec<(f64, u64)> = bounds
            .iter()
            .enumerate()
            .map(|(i, bound)| {
                below += self.buckets.get(i).copied().unwrap_or(0);
                (*bound, below)
            })
            .collect();
        family.push_histogram(labels, &cumulative, self.sum, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: [f64; 3] = [0.1, 1.0, 10.0];

    #[test]
    fn bounds_belong_to_their_bucket() {
        let mut histogram = Histogram::default();
        assert!(histogram.is_empty());
        for value in [0.0, 0.1, 0.100_001, 10.0, 11.0, -1.0, f64::NAN, f64::INFINITY] {
            histogram.observe(&BOUNDS, value);
        }
        assert_eq!(histogram.buckets, [2, 1, 1]);
        assert_eq!(histogram.count, 5);
    }

    proptest! {
        #[test]
        fn buckets_hold_no_more_than_all(values in prop::collection::vec(any::<f64>(), 0..40)) {
            let mut histogram = Histogram::default();
            for value in values {
                histogram.observe(&BOUNDS, value);
            }
            prop_assert!(histogram.buckets.iter().sum::<u64>() <= histogram.count);
        }
    }
}
