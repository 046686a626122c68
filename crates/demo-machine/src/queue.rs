//! A queue of signals in a table: in the burst more come than are worked off, so that a backlog grows and is gone before
//! the next one.

use std::path::Path;
use std::time::Duration;

use rusqlite::params;

use crate::database::Database;
use crate::machine::Part;
use crate::story::{Course, Moment, Pace};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS signal_queue (
    id INTEGER PRIMARY KEY, status TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS signal_queue_status ON signal_queue (status, created_at);
CREATE INDEX IF NOT EXISTS signal_queue_age ON signal_queue (created_at);
";

/// Signals that come, and those that can be worked off, in a thousand seconds.
const ARRIVALS: Course = Course::new(1_000, 4_000, 14_000, 1_000);
const CAPACITY: Course = Course::new(8_000, 8_000, 8_000, 8_000);

const ADD: &str = "
WITH RECURSIVE new(n) AS (SELECT 1 WHERE ?2 > 0 UNION ALL SELECT n + 1 FROM new WHERE n < ?2)
INSERT INTO signal_queue (status, created_at) SELECT 'pending', datetime(?1, 'unixepoch') FROM new";
const FINISH: &str = "
UPDATE signal_queue SET status = CASE WHEN id % 150 = 0 THEN 'failed' ELSE 'done' END WHERE status = 'processing'";
const TAKE: &str = "
UPDATE signal_queue SET status = 'processing'
WHERE id IN (SELECT id FROM signal_queue WHERE status = 'pending' ORDER BY created_at, id LIMIT ?1)";
/// Whatever became of them: this alone bounds the table.
const PRUNE: &str = "DELETE FROM signal_queue WHERE created_at < datetime(?1, 'unixepoch', '-15 minutes')";

/// The queue of a folder.
pub(crate) struct Queue {
    database: Database,
    arrivals: Pace,
    capacity: Pace,
}

impl Part for Queue {
    const NAME: &'static str = "signals in the queue";
    const EVERY: Duration = Duration::from_secs(1);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::open(&crate::queue(folder), SCHEMA)?,
            arrivals: Pace::default(),
            capacity: Pace::default(),
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let count = |pace: &mut Pace, course| {
            let events = pace.events(moment.scene.value(course), moment);
            i64::try_from(events).unwrap_or(i64::MAX)
        };
        let come = count(&mut self.arrivals, ARRIVALS);
        let taken = count(&mut self.capacity, CAPACITY);
        let now = moment.unix_seconds();
        self.database.write(|transaction| {
            transaction.execute(FINISH, [])?;
            transaction.execute(TAKE, params![taken])?;
            // Last, so that what has just come waits, and the series of what is pending is there from the start.
            transaction.execute(ADD, params![now, come])?;
            transaction.execute(PRUNE, params![now])
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::story::{ROUND, Scene};

    #[test]
    fn a_backlog_grows_in_the_burst_and_is_gone_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut queue = Queue::resume(folder.path()).expect("open");
        let mut backlog = Vec::new();
        let mut most_rows = 0;
        for second in 0..3 * ROUND {
            let moment = Moment {
                scene: Scene::at(Duration::from_secs(second)),
                elapsed: Queue::EVERY,
                now: UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second),
            };
            queue.advance(&moment).expect("advance");
            let (pending, rows): (u32, u32) = queue
                .database
                .write(|transaction| {
                    transaction.query_row(
                        "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FROM signal_queue",
                        [],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                })
                .expect("counts");
            backlog.push(pending);
            most_rows = most_rows.max(rows);
        }
        for round in 0..3 {
            let at = |second: u64| backlog[usize::try_from(round * ROUND + second).expect("small")];
            assert!(at(55) < 20, "{}", at(55));
            // The limit of SignalQueueBacklog is 2000.
            assert!((800..1_500).contains(&at(219)), "{}", at(219));
            assert!(at(419) < 20, "{}", at(419));
        }
        assert!((5_000..8_000).contains(&most_rows), "{most_rows}");
    }
}
