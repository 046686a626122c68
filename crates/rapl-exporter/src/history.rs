//! The recent past of one zone's power: what every average, peak and window is computed from.

use std::collections::VecDeque;
use std::time::Duration;

/// Averaging windows beyond this are cut to it, so that a wild value in sysfs cannot fill the memory.
const MAX_WINDOW: Duration = Duration::from_hours(1);

/// Average power over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// How long it was.
    pub(crate) elapsed: Duration,
    /// The average power in it.
    pub(crate) watts: f64,
}

/// Stretches that follow each other, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    stretches: VecDeque<Stretch>,
    /// How long all stretches are together.
    span: Duration,
    /// The highest power since the last call of [`History::take_peak`], in watts.
    pending_peak: Option<f64>,
}

impl History {
    /// Adds what follows, and forgets what no window of up to `window` needs.
    pub(crate) fn push(&mut self, stretch: Stretch, window: Duration) {
        self.stretches.push_back(stretch);
        self.span = self.span.saturating_add(stretch.elapsed);
        self.pending_peak = higher(self.pending_peak, Some(stretch.watts));
        let keep = window.min(MAX_WINDOW);
        while self.stretches.len() > 1
            && let Some(oldest) = self.stretches.front()
            && self.span.saturating_sub(oldest.elapsed) >= keep
        {
            self.span = self.span.saturating_sub(oldest.elapsed);
            self.stretches.pop_front();
        }
    }

    /// Forgets the stretches: what comes next does not follow them.
    pub(crate) fn interrupt(&mut self) {
        self.stretches.clear();
        self.span = Duration::ZERO;
    }

    /// Power in the last stretch, in watts.
    pub(crate) fn power(&self) -> Option<f64> {
        self.stretches.back().map(|stretch| stretch.watts)
    }

    /// Average power over the last `window`, in watts; unknown until that much has been seen. Only whole stretches
    /// count, so a window shorter than the last one is taken as that one.
    pub(crate) fn average(&self, window: Duration) -> Option<f64> {
        let window = window.min(MAX_WINDOW);
        let (mut seen, mut joules) = (Duration::ZERO, 0.0);
        for stretch in self.stretches.iter().rev() {
            seen = seen.saturating_add(stretch.elapsed);
            joules += stretch.watts * stretch.elapsed.as_secs_f64();
            if seen >= window {
                return Some(joules / seen.as_secs_f64());
            }
        }
        None
    }

    /// The highest power since the last call; the present one when nothing has followed since, in watts.
    pub(crate) fn take_peak(&mut self) -> Option<f64> {
        self.pending_peak.take().or_else(|| self.power())
    }
}

fn higher(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn of_watts(seconds: &[f64], window: Duration) -> History {
        let mut history = History::default();
        for &watts in seconds {
            history.push(
                Stretch {
                    elapsed: SECOND,
                    watts,
                },
                window,
            );
        }
        history
    }

    #[test]
    fn a_window_is_unknown_until_it_has_passed() {
        assert_eq!(of_watts(&[10.0, 20.0], SECOND * 3).average(SECOND * 3), None);
        assert_eq!(
            of_watts(&[10.0, 20.0, 60.0], SECOND * 3).average(SECOND * 3),
            Some(30.0)
        );
        assert_eq!(
            of_watts(&[10.0, 20.0, 60.0], SECOND * 3).average(SECOND * 2),
            Some(40.0)
        );
        assert_eq!(of_watts(&[], SECOND).power(), None);
    }

    #[test]
    fn a_window_below_the_interval_is_the_interval() {
        let history = of_watts(&[10.0, 20.0, 60.0], Duration::from_millis(1));
        assert_eq!(history.average(Duration::from_millis(1)), Some(60.0));
        assert_eq!(history.average(Duration::ZERO), Some(60.0));
    }

    #[test]
    fn long_stretches_weigh_more() {
        let mut history = of_watts(&[10.0], SECOND);
        history.push(
            Stretch {
                elapsed: SECOND * 3,
                watts: 50.0,
            },
            SECOND * 4,
        );
        assert_eq!(history.average(SECOND * 4), Some(40.0));
    }

    #[test]
    fn a_peak_is_told_once() {
        let mut history = of_watts(&[&[90.0][..], &[5.0; 200]].concat(), SECOND);
        assert_eq!(history.take_peak(), Some(90.0), "however long ago nobody asked");
        assert_eq!(history.take_peak(), Some(5.0));
    }

    #[test]
    fn nothing_connects_over_an_interruption() {
        let mut history = of_watts(&[10.0, 20.0], SECOND);
        history.interrupt();
        assert_eq!((history.power(), history.average(SECOND)), (None, None));
        history.push(
            Stretch {
                elapsed: SECOND,
                watts: 1.0,
            },
            SECOND * 2,
        );
        assert_eq!((history.power(), history.average(SECOND * 2)), (Some(1.0), None));
    }

    #[test]
    fn memory_is_bounded() {
        let history = of_watts(&vec![7.0; 4000], Duration::MAX);
        assert_eq!((history.stretches.len(), history.span), (3600, SECOND * 3600));
        assert_eq!(history.average(Duration::MAX), Some(7.0));
    }

    proptest! {
        #[test]
        fn an_average_is_that_of_its_samples(
            samples in proptest::collection::vec(0.0f64..500.0, 1..200),
            window in 1usize..100,
        ) {
            let seconds = SECOND * u32::try_from(window).expect("small");
            let average = of_watts(&samples, seconds).average(seconds);
            let expected = samples.len().checked_sub(window).map(|from| {
                samples[from..].iter().sum::<f64>() / window as f64
            });
            prop_assert_eq!(average.is_some(), expected.is_some());
            prop_assert!((average.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9);
        }

        #[test]
        fn an_average_lies_between_its_samples(
            samples in proptest::collection::vec((1u64..100_000, 0.0f64..5000.0), 1..300),
            window in 0u64..100_000_000,
        ) {
            let window = Duration::from_micros(window);
            let mut history = History::default();
            for &(millis, watts) in &samples {
                history.push(Stretch { elapsed: Duration::from_millis(millis), watts }, window);
            }
            let lowest = samples.iter().map(|sample| sample.1).fold(f64::MAX, f64::min);
            let highest = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
            let is_between = |watts: f64| (lowest - 1e-6..=highest + 1e-6).contains(&watts);
            prop_assert!(history.average(window).is_none_or(is_between));
            prop_assert_eq!(history.take_peak(), Some(highest));
            prop_assert!(history.take_peak().is_some_and(is_between));
        }
    }
}
