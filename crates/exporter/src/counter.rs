//! Counters that wrap around, such as the energy counters of CPUs and GPUs.

/// Adds up what a raw counter gained, over its wrap-arounds.
#[derive(Clone, Debug)]
pub struct WrappingCounter {
    /// The highest raw value; one step further is 0.
    range: Option<u64>,
    last: Option<u64>,
    total: u64,
    wraps: u64,
}

/// What one reading meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The first reading; there is nothing to compare it with.
    First,
    /// The counter gained this much.
    Delta(u64),
    /// The counter gained this much and went over its range on the way.
    Wrapped(u64),
    /// The counter went back though it has no known range, or the reading is beyond the range: it was reset.
    Reset,
}

impl Advance {
    /// The gain, where it is known.
    pub fn gained(self) -> Option<u64> {
        match self {
            Self::Delta(gain) | Self::Wrapped(gain) => Some(gain),
            Self::First | Self::Reset => None,
        }
    }
}

impl WrappingCounter {
    /// A counter whose raw value goes up to `range` and then on from 0; `None` when it does not wrap, so that a
    /// smaller value means a reset.
    pub fn new(range: Option<u64>) -> Self {
        Self {
            range: range.filter(|&range| range > 0),
            last: None,
            total: 0,
            wraps: 0,
        }
    }

    /// Takes the next reading. Two wraps between two readings cannot be told from one: read at least twice per wrap.
    pub fn advance(&mut self, raw: u64) -> Advance {
        let advance = match (self.last, self.range) {
            (None, _) => Advance::First,
            (Some(last), _) if raw >= last => Advance::Delta(raw - last),
            (Some(last), Some(range)) if last <= range => Advance::Wrapped((range - last) + raw + 1),
            (Some(_), _) => Advance::Reset,
        };
        self.last = Some(raw);
        self.total = self.total.saturating_add(advance.gained().unwrap_or(0));
        self.wraps += u64::from(matches!(advance, Advance::Wrapped(_)));
        advance
    }

    /// Forgets the last reading: what happens until the next one is not counted. For a source that went away.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// All gains so far; never goes back.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often the counter went over its range.
    pub fn wraps(&self) -> u64 {
        self.wraps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wrap_is_not_a_reset() {
        let mut counter = WrappingCounter::new(Some(99));
        assert_eq!(counter.advance(90), Advance::First);
        assert_eq!(counter.advance(95), Advance::Delta(5));
        assert_eq!(counter.advance(4), Advance::Wrapped(9));
        assert_eq!((counter.total(), counter.wraps()), (14, 1));
    }

    #[test]
    fn without_a_range_a_smaller_value_is_a_reset() {
        let mut counter = WrappingCounter::new(None);
        counter.advance(90);
        assert_eq!(counter.advance(4), Advance::Reset);
        assert_eq!(counter.advance(6), Advance::Delta(2));
        assert_eq!((counter.total(), counter.wraps()), (2, 0));
    }

    proptest! {
        #[test]
        fn the_total_is_what_was_really_gained(
            range in 1u64..u64::MAX / 2,
            start in any::<u64>(),
            gains in proptest::collection::vec(any::<u64>(), 0..50),
        ) {
            let mut counter = WrappingCounter::new(Some(range));
            let modulus = u128::from(range) + 1;
            let mut position = u128::from(start) % modulus;
            let mut truth = 0u128;
            counter.advance(u64::try_from(position).expect("below the range"));
            for gain in gains {
                // Less than one whole turn between two readings, as the sampler guarantees.
                let gain = u128::from(gain) % modulus;
                position = (position + gain) % modulus;
                truth += gain;
                counter.advance(u64::try_from(position).expect("below the range"));
                prop_assert_eq!(u128::from(counter.total()), truth.min(u128::from(u64::MAX)));
            }
        }

        #[test]
        fn any_readings_never_panic_nor_go_back(range: Option<u64>, readings: Vec<u64>) {
            let mut counter = WrappingCounter::new(range);
            let mut last = 0;
            for reading in readings {
                counter.advance(reading);
                prop_assert!(counter.total() >= last);
                last = counter.total();
            }
        }
    }
}
