//! Counts the rows that come into a table, from one version to the next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::manifest::{Manifest, Operation};

/// The rate is an average over this time.
const WINDOW: Duration = Duration::from_mins(5);
/// A rate over less says nothing.
const SHORTEST: Duration = Duration::from_secs(5);

/// Rows that came in since the table is watched. Only appends count, and what a merge inserted: an overwrite, a restore
/// or a compaction brings no new rows.
#[derive(Debug)]
pub(crate) struct Ingestion {
    pub(crate) total: u64,
    began: Instant,
    recent: VecDeque<(Instant, u64)>,
}

/// The version before, as far as it matters to the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) version: u64,
    pub(crate) rows: Option<u64>,
}

impl Before {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self {
            version: manifest.version,
            rows: manifest.fragments.rows(),
        }
    }
}

impl Ingestion {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            total: 0,
            began: now,
            recent: VecDeque::new(),
        }
    }

    /// Enters a version that was found now.
    pub(crate) fn enter(&mut self, manifest: &Manifest, before: Option<Before>, now: Instant) {
        let came = ingested(manifest, before);
        if came > 0 {
            self.total = self.total.saturating_add(came);
            self.recent.push_back((now, came));
        }
    }

    /// Rows per second over the last five minutes, or as long as the table is watched.
    pub(crate) fn rate(&mut self, now: Instant) -> Option<f64> {
        let is_old = |then: &Instant| now.saturating_duration_since(*then) > WINDOW;
        while self.recent.front().is_some_and(|(then, _)| is_old(then)) {
            self.recent.pop_front();
        }
        let watched = now.saturating_duration_since(self.began).min(WINDOW);
        let rows: u64 = self.recent.iter().map(|(_, rows)| rows).sum();
        (watched >= SHORTEST).then(|| rows as f64 / watched.as_secs_f64())
    }
}

fn ingested(manifest: &Manifest, before: Option<Before>) -> u64 {
    let gain = || {
        let before = before.filter(|before| before.version.checked_add(1) == Some(manifest.version))?;
        manifest.fragments.rows()?.checked_sub(before.rows?)
    };
    match manifest.operation {
        Operation::Append(rows) => rows.or_else(gain).unwrap_or_default(),
        // Changed rows leave one fragment and come back in another: what is more than before was inserted.
        Operation::Update => gain().unwrap_or_default(),
        Operation::Rewrite | Operation::Other => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Fragment;

    fn manifest(version: u64, rows: u64, operation: Operation) -> Manifest {
        Manifest {
            version,
            committed: None,
            operation,
            fragments: std::iter::once(Fragment {
                physical_rows: rows,
                ..Fragment::default()
            })
            .collect(),
            segments: Vec::new(),
        }
    }

    #[test]
    fn appends_and_inserts_count() {
        let before = |version| {
            Some(Before {
                version,
                rows: Some(100),
            })
        };
        for (operation, before, expected) in [
            (Operation::Append(Some(7)), None, 7),
            (Operation::Append(None), before(4), 20),
            (Operation::Append(None), None, 0),
            (Operation::Update, before(4), 20),
            // Versions between were pruned: some of the rows may have come by other ways.
            (Operation::Update, before(3), 0),
            (Operation::Rewrite, before(4), 0),
            (Operation::Other, before(4), 0),
        ] {
            assert_eq!(
                ingested(&manifest(5, 120, operation), before),
                expected,
                "{operation:?}"
            );
        }
        assert_eq!(ingested(&manifest(5, 80, Operation::Update), before(4)), 0);
    }

    #[test]
    fn the_rate_forgets_after_five_minutes() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut ingestion = Ingestion::new(start);
        assert_eq!(ingestion.rate(start), None);
        let nothing = ingestion.rate(after(6)).expect("a rate");
        assert!(nothing == 0.0 && nothing.is_sign_positive(), "{nothing}");
        ingestion.enter(&manifest(2, 600, Operation::Append(Some(600))), None, after(10));
        assert_eq!(ingestion.rate(after(20)), Some(30.0));
        assert_eq!(ingestion.rate(after(300)), Some(2.0));
        assert_eq!(ingestion.rate(after(311)), Some(0.0));
        assert_eq!(ingestion.total, 600);
    }
}
