//! The pack for LiteLLM, on PostgreSQL with LiteLLM's tables and rows made up here.

use exporter::testing::{lint, value};

use crate::lab::{Lab, errors, eventually};
use crate::postgres::{Postgres, granted};

const PACK: &str = include_str!("../../packs/litellm.toml");

/// What every version with daily tables has, with its indexes and some neighbours that must not matter.
const TABLES: &str = r#"
CREATE TABLE "LiteLLM_SpendLogs" (
    request_id text PRIMARY KEY, spend double precision NOT NULL DEFAULT 0, model text NOT NULL DEFAULT '',
    "startTime" timestamp(3) NOT NULL, "endTime" timestamp(3) NOT NULL, messages jsonb);
CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime");
CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime", request_id);
CREATE TABLE "LiteLLM_DailyUserSpend" (
    id text PRIMARY KEY DEFAULT gen_random_uuid(), user_id text, date text NOT NULL, api_key text, model text,
    prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0, spend double precision DEFAULT 0,
    api_requests bigint DEFAULT 0, successful_requests bigint DEFAULT 0, failed_requests bigint DEFAULT 0,
    updated_at timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
CREATE INDEX ON "LiteLLM_DailyUserSpend" (date);
CREATE TABLE "LiteLLM_VerificationToken" (
    token text PRIMARY KEY, key_name text, key_alias text, spend double precision DEFAULT 0,
    max_budget double precision, budget_reset_at timestamp(3));
CREATE TABLE "LiteLLM_TeamTable" (
    team_id text PRIMARY KEY, team_alias text, spend double precision DEFAULT 0, max_budget double precision,
    budget_reset_at timestamp(3));
CREATE TABLE "LiteLLM_UserTable" (
    user_id text PRIMARY KEY, password text, spend double precision DEFAULT 0, max_budget double precision,
    budget_reset_at timestamp(3));
"#;

const ROWS: &str = r#"
INSERT INTO "LiteLLM_SpendLogs" VALUES
    ('1', 0.5, 'qwen', (now() AT TIME ZONE 'UTC') - interval '1 day', now() AT TIME ZONE 'UTC', '{"secret": 1}'),
    ('2', 9, 'qwen', '2026-01-01 00:00:10', '2026-01-01 00:00:20', NULL);
INSERT INTO "LiteLLM_DailyUserSpend"
    (user_id, date, api_key, model, prompt_tokens, completion_tokens, spend, api_requests, successful_requests,
     failed_requests, updated_at)
VALUES
    ('u', to_char((now() AT TIME ZONE 'UTC') - interval '1 day', 'YYYY-MM-DD'), 'k', 'qwen', 100, 50, 0.25, 3, 2, 1,
     '2026-02-03 04:05:06'),
    (NULL, '2026-01-01', 'k', 'qwen', 10, 5, 0.5, 1, 1, 0, '2026-01-01 00:00:30'),
    ('v', '2026-01-01', 'k', '', 1, 1, 1, 1, 1, 0, '2026-01-01 00:00:30');
INSERT INTO "LiteLLM_VerificationToken" VALUES
    ('5ba2e1', 'sk-...1234', 'agent', 3, 10, '2026-03-01 00:00:00'), ('77aa01', 'sk-...abcd', NULL, 1, 5, NULL),
    ('90c0de', 'sk-...ffff', 'unlimited', 99, NULL, NULL);
INSERT INTO "LiteLLM_TeamTable" VALUES ('t1', 'research', 2, 20, NULL);
INSERT INTO "LiteLLM_UserTable" VALUES ('litellm-proxy-budget', NULL, 42, 100, NULL);
"#;

/// What versions added, one after the other.
const NEWER: [&str; 3] = [
    r#"ALTER TABLE "LiteLLM_DailyUserSpend" ADD model_group text;
       UPDATE "LiteLLM_DailyUserSpend" SET model_group = 'Qwen' WHERE model = 'qwen';"#,
    r#"ALTER TABLE "LiteLLM_DailyUserSpend" ADD cache_read_input_tokens bigint DEFAULT 7,
           ADD cache_creation_input_tokens bigint DEFAULT 0;"#,
    r#"ALTER TABLE "LiteLLM_DailyUserSpend" ADD total_response_time_ms bigint DEFAULT 1500,
           ADD timed_requests bigint DEFAULT 1;"#,
];

/// A server with the tables, and the role that docs/sql.md describes, with its grants and no others.
fn litellm() -> Postgres {
    let postgres = Postgres::start();
    postgres.run(TABLES);
    postgres.run(ROWS);
    granted(&postgres, "LiteLLM");
    postgres
}

/// The same in the newest version.
pub(crate) fn newest() -> Postgres {
    let postgres = litellm();
    for version in NEWER {
        postgres.run(version);
    }
    postgres
}

/// The pack as a file of one's own, with other intervals.
fn impatient(lab: &Lab) {
    lab.write(
        "own.toml",
        &PACK.replace("interval = \"60s\"", "interval = \"100ms\""),
    );
}

/// What is shown of these rows in the oldest version.
const OLDEST: &[(&str, Option<f64>)] = &[
    ("litellm_usage_spend_usd_total{model=\"qwen\"}", Some(0.75)),
    ("litellm_usage_spend_usd_total{model=\"unknown\"}", Some(1.0)),
    (
        "litellm_usage_tokens_total{kind=\"prompt\",model=\"qwen\"}",
        Some(110.0),
    ),
    (
        "litellm_usage_tokens_total{kind=\"completion\",model=\"qwen\"}",
        Some(55.0),
    ),
    (
        "litellm_usage_tokens_total{kind=\"cache_read\",model=\"qwen\"}",
        None,
    ),
    (
        "litellm_usage_requests_total{outcome=\"success\",model=\"qwen\"}",
        Some(3.0),
    ),
    (
        "litellm_usage_requests_total{outcome=\"failure\",model=\"qwen\"}",
        Some(1.0),
    ),
    ("litellm_usage_response_seconds_total{model=\"qwen\"}", None),
    // 2026-02-03 04:05:06 UTC.
    (
        "litellm_usage_table_updated_timestamp_seconds{table=\"LiteLLM_DailyUserSpend\"}",
        Some(1_770_091_506.0),
    ),
    (
        "litellm_usage_yesterday_spend_usd{source=\"spend_logs\"}",
        Some(0.5),
    ),
    (
        "litellm_usage_yesterday_spend_usd{source=\"daily_user\"}",
        Some(0.25),
    ),
    (
        "litellm_usage_yesterday_requests{source=\"spend_logs\"}",
        Some(1.0),
    ),
    (
        "litellm_usage_yesterday_requests{source=\"daily_user\"}",
        Some(3.0),
    ),
    (
        "litellm_usage_budget_usd{name=\"agent\",scope=\"key\"}",
        Some(10.0),
    ),
    (
        "litellm_usage_budget_spent_usd{name=\"agent\",scope=\"key\"}",
        Some(3.0),
    ),
    // 2026-03-01 UTC.
    (
        "litellm_usage_budget_reset_timestamp_seconds{name=\"agent\",scope=\"key\"}",
        Some(1_772_323_200.0),
    ),
    (
        "litellm_usage_budget_usd{name=\"sk-...abcd\",scope=\"key\"}",
        Some(5.0),
    ),
    (
        "litellm_usage_budget_reset_timestamp_seconds{name=\"sk-...abcd\",scope=\"key\"}",
        None,
    ),
    ("litellm_usage_budget_usd{name=\"unlimited\",scope=\"key\"}", None),
    (
        "litellm_usage_budget_spent_usd{name=\"research\",scope=\"team\"}",
        Some(2.0),
    ),
    (
        "litellm_usage_budget_spent_usd{name=\"litellm-proxy-budget\",scope=\"user\"}",
        Some(42.0),
    ),
];

#[test]
fn usage_over_versions_of_the_schema() {
    let postgres = litellm();
    let lab = Lab::new();
    postgres.configure(&lab, "pack = \"litellm\"");

    let oldest = lab.once(&[]);
    for (series, expected) in OLDEST {
        assert_eq!(value(&oldest, series), *expected, "{series}\n{oldest}");
    }
    assert!(value(&oldest, "litellm_usage_last_request_timestamp_seconds").is_some());
    assert!(value(&oldest, "litellm_usage_table_bytes{table=\"LiteLLM_SpendLogs\"}").is_some());
    assert!(
        !oldest.contains("sql_query_success{query=\"test/usage\"} 0"),
        "{oldest}"
    );
    assert!(!oldest.contains("5ba2e1"), "the hash of a key is shown");
    lint(&oldest, &[]);

    let mut pages = Vec::new();
    for version in NEWER {
        postgres.run(version);
        pages.push(lab.once(&["--query=usage"]));
    }
    for (i, series, expected) in [
        (0, "litellm_usage_spend_usd_total{model=\"Qwen\"}", Some(0.75)),
        (
            0,
            "litellm_usage_tokens_total{kind=\"cache_read\",model=\"Qwen\"}",
            None,
        ),
        (
            1,
            "litellm_usage_tokens_total{kind=\"cache_read\",model=\"Qwen\"}",
            Some(14.0),
        ),
        (1, "litellm_usage_timed_requests_total{model=\"Qwen\"}", None),
        (
            2,
            "litellm_usage_response_seconds_total{model=\"Qwen\"}",
            Some(3.0),
        ),
        (2, "litellm_usage_timed_requests_total{model=\"Qwen\"}", Some(2.0)),
    ] {
        assert_eq!(value(&pages[i], series), expected, "{series}\n{}", pages[i]);
    }
}

#[test]
fn a_right_that_is_missing_is_not_taken_for_an_older_schema() {
    let postgres = litellm();
    postgres.run(NEWER[1]);
    postgres.run(
        r#"REVOKE SELECT ON "LiteLLM_DailyUserSpend" FROM watcher;
           GRANT SELECT (model, spend, prompt_tokens, completion_tokens, successful_requests, failed_requests)
           ON "LiteLLM_DailyUserSpend" TO watcher;"#,
    );
    let lab = Lab::new();
    postgres.configure(&lab, "pack = \"litellm\"");
    let page = lab.once(&["--query=usage"]);
    assert_eq!(errors(&page, "test/usage", "permission"), 1, "{page}");
    assert!(!page.contains("litellm_usage_spend_usd_total"), "{page}");

    postgres.run(
        r#"GRANT SELECT ON "LiteLLM_DailyUserSpend" TO watcher;
           ALTER TABLE "LiteLLM_DailyUserSpend" RENAME spend TO spent;"#,
    );
    let page = lab.once(&["--query=usage"]);
    assert_eq!(errors(&page, "test/usage", "schema"), 1, "{page}");
}

#[test]
fn without_the_tables_the_schema_is_to_blame_not_the_database() {
    let postgres = Postgres::start();
    let lab = Lab::new();
    postgres.configure(&lab, "pack = \"litellm\"");
    let page = lab.once(&[]);
    assert_eq!(errors(&page, "test/usage", "schema"), 1);
    assert_eq!(errors(&page, "test/usage", "connection"), 0);
    assert_eq!(value(&page, "sql_query_success{query=\"test/probe\"}"), Some(1.0));
}

#[test]
fn counters_stay_true_over_new_days_late_updates_rotated_keys_and_pruned_days() {
    let postgres = litellm();
    let lab = Lab::new();
    impatient(&lab);
    postgres.configure(&lab, "queries = \"own.toml\"");
    let running = lab.start();
    let spend = || {
        value(
            &running.metrics(),
            "litellm_usage_spend_usd_total{model=\"qwen\"}",
        )
    };
    let insert = |date: &str, key: &str, spend: f64| {
        postgres.run(&format!(
            "INSERT INTO \"LiteLLM_DailyUserSpend\" (date, api_key, model, spend) VALUES ('{date}', '{key}', 'qwen', {spend})"
        ));
    };
    eventually("the books", || spend() == Some(0.75));
    insert("2026-03-01", "k", 1.0);
    eventually("a new day", || spend() == Some(1.75));
    postgres.run(r#"UPDATE "LiteLLM_DailyUserSpend" SET spend = spend + 0.5 WHERE date = '2026-01-01' AND model = 'qwen'"#);
    eventually("a late update", || spend() == Some(2.25));
    insert("2026-03-01", "rotated", 1.0);
    eventually("another key", || spend() == Some(3.25));
    postgres.run(r#"DELETE FROM "LiteLLM_DailyUserSpend" WHERE date < '2026-02-01'"#);
    let runs = || value(&running.metrics(), "sql_probe_seconds_count{database=\"test\"}");
    let seen = runs();
    // The fall is over when a query that began after it has come back.
    eventually("another look", || runs() > seen.map(|seen| seen + 20.0));
    assert_eq!(spend(), Some(3.25), "a pruned day lowers nothing");
    insert("2026-03-02", "k", 2.0);
    eventually("growth after the fall", || spend() == Some(5.25));
}

/// The plan of every query of the pack over 300 000 logged requests, as PostgreSQL makes it by itself.
#[test]
fn the_table_with_a_row_per_request_is_never_scanned() {
    let postgres = litellm();
    let pack: toml::Table = toml::from_str(PACK).expect("TOML");
    let queries = pack["query"].as_array().expect("queries");
    // Spread over 30 days, and over the last two.
    for days in [30, 2] {
        postgres.run(&format!(
            r#"TRUNCATE "LiteLLM_SpendLogs";
               INSERT INTO "LiteLLM_SpendLogs" SELECT n::text, 0.01, 'm', at, at, '{{"messages": "{}"}}'
               FROM generate_series(1, 300000) AS n,
                    LATERAL (SELECT (now() AT TIME ZONE 'UTC') - interval '{days} days' * (300000 - n) / 300000 AS at) AS times;
               ANALYZE "LiteLLM_SpendLogs";"#,
            "a prompt of some length ".repeat(8)
        ));
        let mut asked = 0;
        for query in queries {
            let sql = query["sql"]["postgres"].as_str().expect("SQL");
            let plan = postgres.rows(&format!("EXPLAIN {sql}")).join("\n");
            assert!(
                !plan.contains("Seq Scan on \"LiteLLM_SpendLogs\""),
                "{days} days: {sql}\n{plan}"
            );
            asked += usize::from(plan.contains("\"LiteLLM_SpendLogs_startTime_idx\""));
        }
        assert_eq!(asked, 2, "the queries that use the index");
    }
    let lab = Lab::new();
    postgres.configure(&lab, "pack = \"litellm\"");
    let page = lab.once(&["--query=reconciliation"]);
    assert_eq!(
        value(&page, "litellm_usage_yesterday_requests{source=\"spend_logs\"}"),
        None,
        "too many to count are not counted wrong"
    );
    assert_eq!(
        value(&page, "sql_query_success{query=\"test/reconciliation\"}"),
        Some(1.0)
    );
}
