//! Runs one query for ever, on a timer of its own.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use exporter::text::cut;
use tokio::time::{Instant, sleep_until};

use crate::board::Entry;
use crate::dsn::Dsn;
use crate::failure::{Failure, Kind};
use crate::line::{Limits, Line};
use crate::table::Table;

/// Characters of an error in the log.
const LONGEST_ERROR: usize = 500;

/// A database that is away is looked for this often, so that it is asked soon when it is back.
const RETRY: Duration = Duration::from_secs(10);

/// A query, and where it is asked.
pub(crate) struct Task {
    pub(crate) entry: Arc<Entry>,
    pub(crate) line: Arc<Line>,
    pub(crate) dsn: Dsn,
}

impl Task {
    /// Runs until it is dropped. A run that takes longer than the interval makes the next ones be skipped.
    pub(crate) async fn run(self) {
        let query = &self.entry.query;
        let mut trouble: Option<Kind> = None;
        let mut next = Instant::now();
        loop {
            let answer = self.ask().await;
            let result = self.entry.take(answer);
            let pause = match &result {
                Err(failure) if failure.kind == Kind::Connection => query.interval.min(RETRY),
                _ => query.interval,
            };
            self.report(result, &mut trouble);
            while next <= Instant::now() {
                next += pause;
            }
            sleep_until(next + jitter(pause)).await;
        }
    }

    async fn ask(&self) -> Result<(Table, Duration), Failure> {
        let query = &self.entry.query;
        let limits = Limits {
            timeout: query.timeout,
            rows: query.max_rows,
        };
        self.line.ask(&query.sql, limits).await
    }

    /// Logs changes, not every failure.
    fn report(&self, result: Result<(), Failure>, trouble: &mut Option<Kind>) {
        let (query, database) = (&self.entry.id, self.dsn.address());
        match result {
            Ok(()) => {
                if trouble.take().is_some() {
                    tracing::info!(query, database, "the query succeeds again");
                }
            }
            Err(failure) => {
                if trouble.replace(failure.kind) != Some(failure.kind) {
                    let (kind, error) = (failure.kind.label(), self.dsn.hide(&failure.text));
                    // Databases too repeat what is in a cell, whole.
                    let error = cut(&error, LONGEST_ERROR).into_owned();
                    tracing::warn!(query, database, kind, error, "the query fails");
                }
            }
        }
    }
}

/// Up to a tenth of the interval, so that queries of one interval do not all come at once.
fn jitter(interval: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1000;
    interval.mul_f64(random as f64 / 10_000.0)
}
