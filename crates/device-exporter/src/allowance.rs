//! How often something may happen: so many times at once, and so often in the long run.

use std::time::Instant;

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    pub(crate) fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        Self {
            burst,
            per_second,
            left: burst,
            at: now,
        }
    }

    /// Whether it may happen once more.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.burst);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_takes_too_much_is_cut_off_and_heard_again() {
        let start = Instant::now();
        let mut allowance = Allowance::new(50.0, 10.0, start);
        assert_eq!((0..1000).filter(|_| allowance.take(start)).count(), 50);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..1000).filter(|_| allowance.take(later)).count(), 20);
    }
}
