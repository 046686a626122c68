//! Records that the disk does not take: they wait in memory for the next request, a page's worth at most.
//!
//! A full disk is when a host's metrics are wanted most.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::batch::Record;
use crate::tally::{Loss, Tally};

/// A page of 100 000 series.
const MOST_SAMPLES: usize = 100_000;

/// The records, oldest first.
#[derive(Default)]
pub(super) struct Overflow {
    records: Mutex<VecDeque<Record>>,
}

impl Overflow {
    /// Adds a record; beyond the limit the oldest ones are dropped and counted.
    pub(super) fn push(&self, record: Record, tally: &Tally) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push_back(record);
        let mut held: usize = records.iter().map(|record| record.samples).sum();
        while held > MOST_SAMPLES {
            let Some(dropped) = records.pop_front() else { break };
            held -= dropped.samples;
            tally.dropped(Loss::Disk, dropped.samples);
        }
    }

    /// Takes the oldest one.
    pub(super) fn pop(&self) -> Option<Record> {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Puts one back that did not get away.
    pub(super) fn put_back(&self, record: Record) {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_front(record);
    }

    /// What will never get away is counted.
    pub(super) fn abandon(&self, tally: &Tally) {
        while let Some(record) = self.pop() {
            tally.dropped(Loss::Disk, record.samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use exporter::Instruments;

    use super::*;

    #[test]
    fn beyond_a_page_the_oldest_are_dropped_and_counted() {
        let instruments = Instruments::new();
        let tally = Tally::new(&instruments).expect("counts");
        let overflow = Overflow::default();
        for number in 0..60 {
            let record = Record {
                samples: 2_000,
                newest_ms: number,
                payload: Vec::new(),
            };
            overflow.push(record, &tally);
        }
        assert_eq!(overflow.pop().map(|record| record.newest_ms), Some(10));
        overflow.abandon(&tally);
        let mut page = Vec::new();
        exporter::encode(&instruments.gather(), &mut page);
        let page = String::from_utf8(page).expect("UTF-8");
        // 20 000 beyond the limit, 98 000 left behind, and 2 000 taken.
        let dropped = exporter::testing::value(&page, "bridge_samples_dropped_total{reason=\"disk\"}");
        assert_eq!(dropped, Some(118_000.0));
    }
}
