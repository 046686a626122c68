//! Business figures: revenue that grows with the work done, users who come and go with it, incidents of long ago.

use std::path::Path;
use std::time::Duration;

use rusqlite::params;

use crate::database::Database;
use crate::machine::Part;
use crate::story::{Course, Moment, Pace};

/// A currency has one row, which grows, where a real table has one for each payment: their sum is the same.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS payments (currency TEXT PRIMARY KEY, amount NUMERIC NOT NULL);
INSERT OR IGNORE INTO payments VALUES ('EUR', 18240), ('USD', 9610);
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, last_active_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS security_incidents (id INTEGER PRIMARY KEY, incident_type TEXT NOT NULL);
INSERT OR IGNORE INTO security_incidents VALUES (1, 'failed_login'), (2, 'failed_login'), (3, 'leaked_key');
WITH RECURSIVE new(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM new WHERE n < 240)
INSERT OR IGNORE INTO users SELECT n, '2000-01-01 00:00:00' FROM new;
";

/// Payments in a thousand seconds, and what one brings.
const PAYMENTS: [(&str, Course, u64); 2] = [
    ("EUR", Course::new(10, 60, 180, 30), 19),
    ("USD", Course::new(5, 30, 90, 15), 24),
];
/// Users who are active.
const ACTIVE: Course = Course::new(60, 120, 210, 90);

/// Users are active as the story has it: a day's window alone would hardly move in a round.
const USERS: &str = "
UPDATE users SET last_active_at =
    CASE WHEN id <= ?2 THEN datetime(?1, 'unixepoch') ELSE datetime(?1, 'unixepoch', '-2 days') END";

/// The business of a folder.
pub(crate) struct Business {
    database: Database,
    paces: [Pace; PAYMENTS.len()],
}

impl Part for Business {
    const NAME: &'static str = "business figures";
    const EVERY: Duration = Duration::from_secs(5);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::open(&crate::business(folder), SCHEMA)?,
            paces: Default::default(),
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let mut paid = Vec::new();
        for ((currency, course, amount), pace) in PAYMENTS.iter().zip(&mut self.paces) {
            let payments = pace.events(moment.scene.value(*course), moment);
            paid.push((currency, i64::try_from(payments * amount).unwrap_or(i64::MAX)));
        }
        let active = i64::try_from(moment.scene.value(ACTIVE)).unwrap_or(i64::MAX);
        let now = moment.unix_seconds();
        self.database.write(|transaction| {
            for (currency, amount) in &paid {
                let pay = "UPDATE payments SET amount = amount + ?2 WHERE currency = ?1";
                transaction.execute(pay, params![currency, amount])?;
            }
            transaction.execute(USERS, params![now, active])
        })?;
        Ok(())
    }
}
