//! Which records are done with: accepted by the receiver, or given up. Kept on the disk.
//!
//! It is a list of ranges rather than one number, since fresh records are sent before the backlog.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file in the spool's folder.
pub(super) const FILE: &str = "acknowledged.json";

/// Sequence numbers, as ranges that neither touch nor overlap, in order; each holds its start and not its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    ranges: Vec<[u64; 2]>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    acknowledged: Vec<[u64; 2]>,
}

impl Done {
    /// Adds the numbers from `start` up to and without `end`.
    pub(super) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        // Those that touch the new one become one with it.
        let from = self.ranges.partition_point(|range| range[1] < start);
        let to = self.ranges.partition_point(|range| range[0] <= end);
        let touched = self.ranges.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(start, |range| range[0].min(start));
        let end = touched.last().map_or(end, |range| range[1].max(end));
        self.ranges.splice(from..to, [[start, end]]);
    }

    /// The first number from `seq` on that is not in it.
    pub(super) fn next_open(&self, seq: u64) -> u64 {
        let behind = self.ranges.partition_point(|range| range[1] <= seq);
        match self.ranges.get(behind) {
            Some([start, end]) if *start <= seq => *end,
            _ => seq,
        }
    }

    /// Whether it holds this one.
    pub(super) fn contains(&self, seq: u64) -> bool {
        self.next_open(seq) != seq
    }

    /// Whether it holds all of these.
    pub(super) fn covers(&self, start: u64, end: u64) -> bool {
        self.next_open(start) >= end
    }

    /// Behind the highest number.
    pub(super) fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range[1])
    }

    /// In how many pieces it is.
    pub(super) fn pieces(&self) -> usize {
        self.ranges.len()
    }

    /// What was kept; nothing where there is no file. `Err` says why a file cannot be used.
    pub(super) fn load(folder: &Path) -> io::Result<Self> {
        let text = match std::fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let kept: Kept = serde_json::from_slice(&text)?;
        let mut done = Self::default();
        for [start, end] in kept.acknowledged {
            done.insert(start, end);
        }
        Ok(done)
    }

    /// Writes it to the disk: after this it survives a loss of power, or nothing changed.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let temporary = folder.join("acknowledged.tmp");
        let text = serde_json::to_vec(&Kept {
            acknowledged: self.ranges.clone(),
        })?;
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, folder.join(FILE))?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(inserts in proptest::collection::vec((0_u64..60, 0_u64..8), 0..40)) {
            let (mut done, mut model) = (Done::default(), BTreeSet::new());
            for (start, length) in inserts {
                done.insert(start, start + length);
                model.extend(start..start + length);
            }
            for seq in 0..70 {
                prop_assert_eq!(done.contains(seq), model.contains(&seq));
                prop_assert_eq!(done.next_open(seq), (seq..100).find(|seq| !model.contains(seq)).expect("one"));
            }
            prop_assert_eq!(done.end(), model.last().map_or(0, |last| last + 1));
            prop_assert!(done.ranges.windows(2).all(|two| two[0][1] < two[1][0]));
        }

        #[test]
        fn it_survives_the_disk(inserts in proptest::collection::vec((0_u64..1000, 1_u64..9), 0..40)) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut done = Done::default();
            for (start, length) in inserts {
                done.insert(start, start + length);
            }
            done.save(folder.path()).expect("saved");
            prop_assert_eq!(Done::load(folder.path()).expect("loaded"), done);
        }
    }
}
