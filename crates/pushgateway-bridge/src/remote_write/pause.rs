//! How long to wait before the next attempt.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// No wait of our own is longer: a receiver that is back is noticed within this.
const LONGEST: Duration = Duration::from_secs(5);
/// A receiver may ask for more, up to this.
const LONGEST_ASKED: Duration = Duration::from_mins(10);

/// Doubles from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
}

impl Pause {
    /// The wait after one more failure: between half and all of what its number says, so that those who failed together do
    /// not come back together; and no less than the receiver asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let full = LONGEST.min(FIRST * 2_u32.saturating_pow(self.failures.min(16)));
        self.failures += 1;
        let own = full.mul_f64(0.5 + fastrand::f64() / 2.0);
        own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_up_to_a_limit() {
        let mut pause = Pause::default();
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let expected = Duration::from_millis(expected);
            let wait = pause.next(None);
            assert!(
                wait >= expected / 2 && wait <= expected,
                "{wait:?} for {expected:?}"
            );
        }
        pause.reset();
        assert!(pause.next(None) <= FIRST);
    }

    #[test]
    fn the_receiver_may_ask_for_more_but_not_for_ever() {
        let mut pause = Pause::default();
        assert_eq!(pause.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pause.next(Some(Duration::from_hours(1000))), LONGEST_ASKED);
    }
}
