//! LiteLLM's books: a row for each day and model, the log of requests, and a key with a budget. Of the tables that LiteLLM
//! has there are those, with those columns, that sql-exporter's pack `litellm` asks for.

use std::mem;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Transaction, params};

use crate::database::Database;
use crate::machine::Part;
use crate::story::{Course, Moment, Pace};

const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS "LiteLLM_DailyUserSpend" (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, date TEXT NOT NULL, api_key TEXT NOT NULL, model TEXT NOT NULL,
    model_group TEXT NOT NULL, custom_llm_provider TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL, cache_creation_input_tokens INTEGER NOT NULL, spend REAL NOT NULL,
    api_requests INTEGER NOT NULL, successful_requests INTEGER NOT NULL, failed_requests INTEGER NOT NULL,
    total_response_time_ms INTEGER NOT NULL, timed_requests INTEGER NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS "LiteLLM_SpendLogs" (
    request_id INTEGER PRIMARY KEY, spend REAL NOT NULL, model TEXT NOT NULL, "startTime" TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS "LiteLLM_SpendLogs_startTime_idx" ON "LiteLLM_SpendLogs" ("startTime");
CREATE TABLE IF NOT EXISTS "LiteLLM_VerificationToken" (
    token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT, spend REAL NOT NULL, max_budget REAL, budget_reset_at TEXT);
INSERT OR IGNORE INTO "LiteLLM_VerificationToken" VALUES ('demo', 'sk-...demo', 'demo', 0, 25, NULL);
CREATE TABLE IF NOT EXISTS "LiteLLM_TeamTable" (
    team_id TEXT PRIMARY KEY, team_alias TEXT, spend REAL NOT NULL, max_budget REAL, budget_reset_at TEXT);
CREATE TABLE IF NOT EXISTS "LiteLLM_UserTable" (
    user_id TEXT PRIMARY KEY, spend REAL NOT NULL, max_budget REAL, budget_reset_at TEXT);
"#;

const BOOK: &str = r#"
INSERT INTO "LiteLLM_DailyUserSpend"
SELECT date(?1, 'unixepoch') || '/' || ?2, 'demo', date(?1, 'unixepoch'), 'demo', ?3 || '/' || ?2, ?2, ?3,
       ?4, ?5, ?6, 0, ?7, ?8 + ?9, ?8, ?9, ?10, ?8, datetime(?1, 'unixepoch')
WHERE true
ON CONFLICT (id) DO UPDATE SET
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cache_read_input_tokens = cache_read_input_tokens + excluded.cache_read_input_tokens,
    spend = spend + excluded.spend,
    api_requests = api_requests + excluded.api_requests,
    successful_requests = successful_requests + excluded.successful_requests,
    failed_requests = failed_requests + excluded.failed_requests,
    total_response_time_ms = total_response_time_ms + excluded.total_response_time_ms,
    timed_requests = timed_requests + excluded.timed_requests,
    updated_at = excluded.updated_at
"#;

const LOG: &str = r#"
WITH RECURSIVE new(n) AS (SELECT 1 WHERE ?4 > 0 UNION ALL SELECT n + 1 FROM new WHERE n < ?4)
INSERT INTO "LiteLLM_SpendLogs" (spend, model, "startTime") SELECT ?3, ?2, datetime(?1, 'unixepoch') FROM new
"#;

/// What old books are forgotten, and what the key has spent of its budget, which is renewed each day.
const CLOSE: [&str; 3] = [
    r#"DELETE FROM "LiteLLM_DailyUserSpend" WHERE date < date(?1, 'unixepoch', '-7 days')"#,
    r#"DELETE FROM "LiteLLM_SpendLogs" WHERE "startTime" < datetime(?1, 'unixepoch', 'start of day', '-1 day')"#,
    r#"UPDATE "LiteLLM_VerificationToken" SET
        spend = (SELECT coalesce(sum(spend), 0) FROM "LiteLLM_DailyUserSpend" WHERE date = date(?1, 'unixepoch')),
        budget_reset_at = datetime(?1, 'unixepoch', 'start of day', '+1 day')"#,
];

/// Of a thousand requests so many fail.
const FAILURES: Course = Course::new(0, 5, 70, 15);
/// How long a request takes, in milliseconds.
const RESPONSE: Course = Course::new(1_400, 2_600, 9_500, 3_100);
const DAY: i64 = 86_400;

/// A model behind the proxy. Tokens are those of one request.
#[derive(Debug)]
struct Model {
    name: &'static str,
    provider: &'static str,
    /// Requests in a thousand seconds.
    requests: Course,
    prompt: u64,
    completion: u64,
    cache_read: u64,
    /// US dollars for a million tokens, prompt and completion.
    prices: (f64, f64),
}

/// What is too much for the two models at home goes to the cloud, which costs money. All of them together have so few
/// requests that a log of two days stays small.
const MODELS: [Model; 3] = [
    Model {
        name: "qwen3-32b",
        provider: "ollama",
        requests: Course::new(20, 70, 150, 25),
        prompt: 850,
        completion: 260,
        cache_read: 300,
        prices: (0.02, 0.06),
    },
    Model {
        name: "gpt-oss-120b",
        provider: "hosted_vllm",
        requests: Course::new(10, 50, 180, 15),
        prompt: 2_100,
        completion: 420,
        cache_read: 1_300,
        prices: (0.05, 0.20),
    },
    Model {
        name: "cloud-large",
        provider: "openai",
        requests: Course::new(0, 2, 60, 3),
        prompt: 1_600,
        completion: 380,
        cache_read: 0,
        prices: (2.50, 10.00),
    },
];

/// LiteLLM's database.
pub(crate) struct Usage {
    database: Database,
    paces: [(Pace, Pace); MODELS.len()],
    /// Nothing has been written since it was opened.
    is_new: bool,
}

/// What one model did in a while.
#[derive(Debug, Clone, Copy)]
struct Work {
    successes: u64,
    failures: u64,
    /// Milliseconds of one request.
    response: u64,
}

impl Part for Usage {
    const NAME: &'static str = "LiteLLM's books";
    const EVERY: Duration = Duration::from_secs(1);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::open(&crate::usage(folder), SCHEMA)?,
            paces: Default::default(),
            is_new: true,
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let mut done = Vec::new();
        for (model, (requests, failures)) in MODELS.iter().zip(&mut self.paces) {
            let scene = moment.scene;
            let rate = scene.value(model.requests);
            let work = Work {
                successes: requests.events(rate, moment),
                failures: failures.events(rate * scene.value(FAILURES) / 1000, moment),
                response: scene.value(RESPONSE),
            };
            if work.successes + work.failures > 0 {
                done.push((model, work));
            }
        }
        let now = moment.unix_seconds();
        let is_new = mem::take(&mut self.is_new);
        if done.is_empty() && !is_new {
            return Ok(());
        }
        self.database.write(|transaction| {
            if is_new {
                begin(transaction, now)?;
            }
            for (model, work) in &done {
                enter(transaction, now, model, *work)?;
            }
            close(transaction, now)
        })
    }
}

fn close(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    for statement in CLOSE {
        transaction.execute(statement, params![now])?;
    }
    Ok(())
}

/// New books know yesterday, so that they can be compared at once, and a little of today.
fn begin(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    let is_empty = r#"SELECT NOT EXISTS (SELECT * FROM "LiteLLM_DailyUserSpend")"#;
    if !transaction.query_row(is_empty, [], |row| row.get(0))? {
        return Ok(());
    }
    for (day, successes) in [(now - DAY, 2_000), (now - now % DAY, 200)] {
        let work = Work {
            successes,
            failures: successes / 150,
            response: 2_900,
        };
        for model in &MODELS {
            enter(transaction, day, model, work)?;
        }
    }
    Ok(())
}

fn enter(transaction: &Transaction<'_>, now: i64, model: &Model, work: Work) -> rusqlite::Result<()> {
    let count = |events: u64| i64::try_from(events).unwrap_or(i64::MAX);
    let times = |tokens: u64| count(tokens * work.successes);
    let (for_prompt, for_completion) = model.prices;
    let price = (model.prompt as f64 * for_prompt + model.completion as f64 * for_completion) / 1e6;
    transaction.execute(
        BOOK,
        params![
            now,
            model.name,
            model.provider,
            times(model.prompt),
            times(model.completion),
            times(model.cache_read),
            price * work.successes as f64,
            count(work.successes),
            count(work.failures),
            times(work.response),
        ],
    )?;
    for (requests, price) in [(work.successes, price), (work.failures, 0.0)] {
        transaction.execute(LOG, params![now, model.name, price, count(requests)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::story::Scene;

    struct Books {
        days: u32,
        logged: u32,
        requests: u32,
        spend: f64,
        logged_spend: f64,
        key_spend: f64,
    }

    fn books(usage: &mut Usage) -> Books {
        let read = |transaction: &Transaction<'_>| {
            transaction.query_row(
                r#"SELECT count(*), sum(api_requests), sum(spend),
                   (SELECT count(*) FROM "LiteLLM_SpendLogs"), (SELECT sum(spend) FROM "LiteLLM_SpendLogs"),
                   (SELECT spend FROM "LiteLLM_VerificationToken")
                   FROM "LiteLLM_DailyUserSpend""#,
                [],
                |row| {
                    Ok(Books {
                        days: row.get(0)?,
                        requests: row.get(1)?,
                        spend: row.get(2)?,
                        logged: row.get(3)?,
                        logged_spend: row.get(4)?,
                        key_spend: row.get(5)?,
                    })
                },
            )
        };
        usage.database.write(read).expect("the books")
    }

    #[test]
    fn books_agree_and_forget_old_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut usage = Usage::resume(folder.path()).expect("open");
        // The burst on each of 30 days.
        for day in 0..30_u64 {
            for second in 60..220 {
                let moment = Moment {
                    scene: Scene::at(Duration::from_secs(second)),
                    elapsed: Usage::EVERY,
                    now: UNIX_EPOCH + Duration::from_secs(1_800_000_000 + day * 86_400 + second),
                };
                usage.advance(&moment).expect("advance");
            }
            if day == 0 {
                let books = books(&mut usage);
                assert_eq!(books.days, 6, "yesterday and today, of three models");
                assert_eq!(books.requests, books.logged);
                // 0.39 requests a second, and some that failed.
                let today = books.requests - 3 * (2_013 + 201);
                assert!((58..72).contains(&today), "{today}");
                assert!((books.spend - books.logged_spend).abs() < 1e-6);
                assert!((1.0..4.0).contains(&books.key_spend), "{}", books.key_spend);
            }
        }
        let books = books(&mut usage);
        assert!(books.days <= 8 * 3, "{}", books.days);
        assert!((100..200).contains(&books.logged), "two days: {}", books.logged);
    }
}
