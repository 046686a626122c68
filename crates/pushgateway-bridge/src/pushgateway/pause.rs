//! When to leave a receiver alone that is away.

use std::time::{Duration, Instant};

/// Doubles from the first pause to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The pause after failures, none at first.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    length: Duration,
    /// Ends of a time of failures.
    count: u64,
}

impl Pause {
    /// Whether it is still on.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A request failed: pauses, longer each time.
    pub(super) fn begin(&mut self, now: Instant, why: &str) {
        if self.is_on(now) {
            // Requests that went out together fail together.
            return;
        }
        if self.length.is_zero() {
            tracing::warn!(
                error = why,
                "the Pushgateway is away; trying again until it works"
            );
        }
        self.length = (self.length * 2).clamp(FIRST, LONGEST);
        self.until = Some(now + self.length);
    }

    /// A request succeeded.
    pub(super) fn over(&mut self) {
        if !self.length.is_zero() {
            tracing::info!("the Pushgateway works again");
            self.count += 1;
        }
        self.until = None;
        self.length = Duration::ZERO;
    }

    /// How often the receiver came back. It may have come back empty.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_with_a_success() {
        let mut pause = Pause::default();
        let mut now = Instant::now();
        let mut lengths = Vec::new();
        for _ in 0..7 {
            assert!(!pause.is_on(now));
            pause.begin(now, "refused");
            pause.begin(now, "refused at the same time");
            lengths.push(pause.length.as_secs());
            now += pause.length;
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 30, 30]);
        pause.begin(now, "refused");
        pause.over();
        assert!(!pause.is_on(now));
    }
}
