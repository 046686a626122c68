//! One zone's energy account: raw readings in, a total that never goes back out.

use std::time::Duration;

use exporter::units::{Microjoules, Microwatts};
use exporter::{Advance, WrappingCounter};

use crate::history::Stretch;

/// More than any zone of one machine draws, in watts. A counter that gained more was reset and did not count, and
/// one that may have gained its whole range at this rate may have wrapped more than once.
const HIGHEST_POWER: u64 = 5000;

/// What a power sensor said is taken as true for so long at most.
const LONGEST_SAMPLE: Duration = Duration::from_secs(10);

/// What a zone's sensor said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// A counter, and the highest value it reaches before it starts again at 0.
    Energy { microjoules: u64, range: Option<u64> },
    /// The power at this moment.
    Power { microwatts: u64 },
}

impl Raw {
    /// The number itself.
    pub(crate) fn value(self) -> u64 {
        match self {
            Self::Energy { microjoules, .. } => microjoules,
            Self::Power { microwatts } => microwatts,
        }
    }
}

/// Adds up what a zone uses.
#[derive(Debug)]
pub(crate) struct Energy {
    counter: WrappingCounter,
    range: Option<u64>,
    last: Option<(Duration, Raw)>,
    microjoules: u64,
    wraps: u64,
}

/// The longest time between two readings of a counter that is sure not to miss a wrap: a third of its shortest turn.
pub(crate) fn longest_interval(range: u64) -> Duration {
    Duration::from_micros(range / (3 * HIGHEST_POWER))
}

impl Energy {
    pub(crate) fn new() -> Self {
        Self {
            counter: WrappingCounter::new(None),
            range: None,
            last: None,
            microjoules: 0,
            wraps: 0,
        }
    }

    /// Takes the next reading. Yields the power since the one before; none when this one does not continue it, so
    /// that what was used in between is unknown and not counted.
    pub(crate) fn advance(&mut self, now: Duration, raw: Raw) -> Option<Stretch> {
        let last = self.last.replace((now, raw));
        let elapsed = last
            .and_then(|(then, _)| now.checked_sub(then))
            .filter(|elapsed| !elapsed.is_zero());
        match raw {
            Raw::Energy { microjoules, range } => {
                let advance = self.count(microjoules, range);
                let (gain, elapsed) = advance.gained().zip(elapsed)?;
                if !is_plausible(gain, range, elapsed) {
                    return None;
                }
                self.microjoules = self.microjoules.saturating_add(gain);
                self.wraps += u64::from(matches!(advance, Advance::Wrapped(_)));
                Some(Stretch {
                    elapsed,
                    watts: Microjoules(gain).joules() / elapsed.as_secs_f64(),
                })
            }
            Raw::Power { microwatts } => {
                let elapsed = elapsed.filter(|&elapsed| elapsed <= LONGEST_SAMPLE)?;
                let watts = Microwatts(microwatts).watts();
                (microwatts <= HIGHEST_POWER * 1_000_000).then_some(Stretch { elapsed, watts })
            }
        }
    }

    fn count(&mut self, microjoules: u64, range: Option<u64>) -> Advance {
        if self.range != range {
            self.range = range;
            self.counter = WrappingCounter::new(range);
        }
        self.counter.advance(microjoules)
    }

    /// The zone could not be read: the next reading starts anew.
    pub(crate) fn interrupt(&mut self) {
        self.counter.interrupt();
        self.last = None;
    }

    /// Microjoules counted so far; a power sensor counts none.
    pub(crate) fn microjoules(&self) -> u64 {
        self.microjoules
    }

    /// Wrap-arounds corrected so far.
    pub(crate) fn wraps(&self) -> u64 {
        self.wraps
    }

    /// The last reading, unless there was an interruption since.
    pub(crate) fn last(&self) -> Option<(Duration, Raw)> {
        self.last
    }
}

fn is_plausible(gain: u64, range: Option<u64>, elapsed: Duration) -> bool {
    let most = elapsed.as_micros() * u128::from(HIGHEST_POWER);
    let at_most_one_turn = range.is_none_or(|range| most <= u128::from(range));
    at_most_one_turn && u128::from(gain) <= most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: u64 = 65_532_610_987;

    fn after(seconds: u64, microjoules: u64) -> (Duration, Raw) {
        (
            Duration::from_secs(seconds),
            Raw::Energy {
                microjoules,
                range: Some(RANGE),
            },
        )
    }

    fn account(readings: &[(Duration, Raw)]) -> (Energy, Vec<Option<f64>>) {
        let mut energy = Energy::new();
        let power = |&(at, raw)| energy.advance(at, raw).map(|stretch| stretch.watts);
        let powers = readings.iter().map(power).collect();
        (energy, powers)
    }

    #[test]
    fn a_wrap_is_corrected_and_counted() {
        let (energy, powers) = account(&[after(0, RANGE - 99), after(2, 100_000_000)]);
        assert_eq!((energy.microjoules(), energy.wraps()), (100_000_100, 1));
        assert!(
            powers[1].is_some_and(|watts| (watts - 50.000_05).abs() < 1e-9),
            "{powers:?}"
        );
    }

    #[test]
    fn a_reset_after_suspend_is_no_wrap() {
        let (energy, powers) = account(&[after(0, 1_000_000_000), after(1, 5), after(2, 50_000_005)]);
        assert_eq!((energy.microjoules(), energy.wraps()), (50_000_000, 0));
        assert_eq!(powers, [None, None, Some(50.0)]);
    }

    #[test]
    fn a_gap_in_which_the_counter_may_have_turned_twice_is_not_counted() {
        let (energy, powers) = account(&[after(0, 0), after(14, 1_000_000), after(15, 2_000_000)]);
        assert_eq!(energy.microjoules(), 1_000_000);
        assert_eq!(powers, [None, None, Some(1.0)]);
    }

    #[test]
    fn a_power_sensor_holds_until_its_next_reading_but_not_over_a_gap() {
        let watts = |seconds, watts: u64| {
            (
                Duration::from_secs(seconds),
                Raw::Power {
                    microwatts: watts * 1_000_000,
                },
            )
        };
        let (energy, powers) = account(&[watts(0, 50), watts(2, 40), watts(3, 5001), watts(60, 40)]);
        assert_eq!(powers, [None, Some(40.0), None, None]);
        assert_eq!((energy.microjoules(), energy.wraps()), (0, 0));
    }

    #[test]
    fn the_smallest_real_range_is_read_often_enough() {
        assert!(longest_interval(RANGE) > Duration::from_secs(4));
        assert_eq!(longest_interval(0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn any_readings_never_panic_nor_go_back(
            readings in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<Option<u64>>(), any::<bool>()), 0..50),
        ) {
            let mut energy = Energy::new();
            let mut total = 0;
            for (at, value, range, is_counter) in readings {
                let raw = if is_counter {
                    Raw::Energy { microjoules: value, range }
                } else {
                    Raw::Power { microwatts: value }
                };
                energy.advance(Duration::from_micros(at), raw);
                prop_assert!(energy.microjoules() >= total);
                total = energy.microjoules();
            }
        }
    }
}
