//! Counters that outlive the driver: the sum of all that its own counters gained.

use std::collections::BTreeMap;

use crate::reading::{Count, Reading};
use crate::xid;

/// The counters of one GPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    counts: BTreeMap<Count, Gained>,
    /// By code; `None` until they can be watched.
    xids: Option<BTreeMap<u64, u64>>,
}

/// A counter that begins anew with the driver. What it shows after a smaller reading was gained since then.
#[derive(Clone, Copy, Debug, Default)]
struct Gained {
    last: u64,
    total: u64,
}

impl Gained {
    fn advance(&mut self, raw: u64) {
        let gain = raw.checked_sub(self.last).unwrap_or(raw);
        self.total = self.total.saturating_add(gain);
        self.last = raw;
    }
}

impl Ledger {
    /// Takes what a look found.
    pub(crate) fn post(&mut self, reading: &Reading) {
        for &(count, raw) in &reading.counts {
            self.counts.entry(count).or_default().advance(raw);
        }
        if let Some(codes) = &reading.xids {
            self.xids.get_or_insert_with(none_yet);
            self.report(codes);
        }
    }

    /// Counts errors.
    pub(crate) fn report(&mut self, codes: &[u64]) {
        for &code in codes {
            *self.xids.get_or_insert_with(none_yet).entry(code).or_default() += 1;
        }
    }

    /// All counters, in their raw units.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Count, u64)> {
        self.counts.iter().map(|(&count, gained)| (count, gained.total))
    }

    /// How often each error occurred.
    pub(crate) fn xids(&self) -> impl Iterator<Item = (u64, u64)> {
        self.xids.iter().flatten().map(|(&code, &times)| (code, times))
    }
}

fn none_yet() -> BTreeMap<u64, u64> {
    xid::KNOWN.iter().map(|&code| (code, 0)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(energy: u64, xids: Option<Vec<u64>>) -> Reading {
        Reading {
            counts: vec![(Count::Energy, energy)],
            xids,
            ..Reading::default()
        }
    }

    fn energy(ledger: &Ledger) -> Option<u64> {
        ledger.counts().next().map(|(_, total)| total)
    }

    #[test]
    fn a_counter_goes_on_over_a_reload_of_the_driver() {
        let mut ledger = Ledger::default();
        assert_eq!(energy(&ledger), None);
        for (raw, total) in [(1000, 1000), (1500, 1500), (1500, 1500), (200, 1700), (300, 1800)] {
            ledger.post(&reading(raw, None));
            assert_eq!(energy(&ledger), Some(total));
        }
    }

    #[test]
    fn errors_begin_at_zero_as_soon_as_they_are_watched() {
        let mut ledger = Ledger::default();
        ledger.post(&reading(0, None));
        assert_eq!(ledger.xids().count(), 0);
        ledger.post(&reading(0, Some(vec![])));
        assert!(ledger.xids().any(|known| known == (79, 0)));
        ledger.post(&reading(0, Some(vec![79, 79, 1234])));
        assert!(ledger.xids().any(|known| known == (79, 2)));
        assert!(ledger.xids().any(|known| known == (1234, 1)));
        ledger.post(&reading(0, None));
        assert!(ledger.xids().any(|known| known == (79, 2)), "they stay");
    }

    proptest! {
        #[test]
        fn counters_never_go_back_whatever_the_driver_says(raws in prop::collection::vec(any::<Option<u64>>(), 0..50)) {
            let mut ledger = Ledger::default();
            let (mut before, mut highest) = (None, None);
            for raw in raws {
                let counts = raw.map(|raw| (Count::Energy, raw)).into_iter().collect();
                ledger.post(&Reading { counts, ..Reading::default() });
                let now = energy(&ledger);
                prop_assert!(now >= before, "{before:?} became {now:?}");
                highest = highest.max(raw);
                prop_assert!(now >= highest, "less than the driver itself has counted");
                before = now;
            }
        }

        #[test]
        fn what_was_gained_over_reloads_is_added_up(lives in prop::collection::vec((1_u64..1000, 0_u64..1000), 1..20)) {
            let mut ledger = Ledger::default();
            // Each life of the driver begins below where the one before ended.
            for &(first, gain) in &lives {
                for raw in [0, first, first + gain] {
                    ledger.post(&reading(raw, None));
                }
            }
            let expected: u64 = lives.iter().map(|(first, gain)| first + gain).sum();
            prop_assert_eq!(energy(&ledger), Some(expected));
        }

        #[test]
        fn every_error_counts_once(looks in prop::collection::vec(prop::collection::vec(0_u64..200, 0..5), 1..20)) {
            let mut ledger = Ledger::default();
            for look in &looks {
                ledger.post(&reading(0, Some(look.clone())));
            }
            let counted: u64 = ledger.xids().map(|(_, times)| times).sum();
            prop_assert_eq!(counted, looks.iter().flatten().count() as u64);
        }
    }
}
