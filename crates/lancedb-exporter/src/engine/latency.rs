//! How long something took, as a distribution.

use std::time::Duration;

/// Upper bounds in seconds.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Durations by bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    /// Not yet summed up; what is longer than all bounds is in none of them.
    counts: [u64; BOUNDS.len()],
    pub(super) sum: f64,
    pub(super) count: u64,
}

impl Latency {
    pub(super) fn observe(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.counts[bucket] += 1;
        }
        self.sum += seconds;
        self.count += 1;
    }

    /// Upper bounds with cumulative counts.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let mut below = 0;
        BOUNDS
            .into_iter()
            .zip(self.counts)
            .map(|(bound, count)| {
                below += count;
                (bound, below)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_leave_out_what_is_longer() {
        let mut latency = Latency::default();
        for millis in [1, 30, 30, 20_000] {
            latency.observe(Duration::from_millis(millis));
        }
        let buckets = latency.buckets();
        assert_eq!(buckets[0], (0.001, 1));
        assert_eq!(buckets[4], (0.025, 1));
        assert_eq!(buckets[5], (0.05, 3));
        assert_eq!(buckets[12], (10.0, 3));
        assert_eq!(latency.count, 4);
        assert!((latency.sum - 20.061).abs() < 1e-9);
    }
}
