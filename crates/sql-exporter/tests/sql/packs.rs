//! The packs for queues and business, on SQLite and PostgreSQL; MariaDB has its own tests.

use exporter::testing::{once, value};

use crate::lab::{Lab, PROGRAM, eventually};
use crate::postgres::{Postgres, granted};

fn queue(lab: &Lab) {
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, created_at TEXT);
         INSERT INTO jobs (state, created_at) VALUES
           ('pending', datetime('now', '-1 hour')), ('pending', datetime('now')), ('done', datetime('now'));",
    );
    lab.write(
        "sql.toml",
        &format!(
            "[[database]]\npack = \"signal-queue\"\ndsn = \"{}\"\nparameters = {{ table = \"jobs\", status = \"state\" }}\n",
            lab.sqlite("test.db")
        ),
    );
}

#[test]
fn a_queue_by_status_and_age() {
    let lab = Lab::new();
    queue(&lab);
    let page = lab.once(&[]);
    assert_eq!(
        value(&page, "brain_signal_queue_total{status=\"pending\"}"),
        Some(2.0)
    );
    assert_eq!(
        value(&page, "brain_signal_queue_total{status=\"done\"}"),
        Some(1.0)
    );
    let age = value(&page, "brain_signal_queue_oldest_age_seconds{status=\"pending\"}").expect("an age");
    assert!((3600.0..3720.0).contains(&age), "{age}");
    assert_eq!(
        value(&page, "sql_query_success{query=\"signal-queue/depth\"}"),
        Some(1.0)
    );
    assert_eq!(
        value(&page, "sql_query_rows{query=\"signal-queue/depth\"}"),
        Some(2.0)
    );
    assert_eq!(
        value(&page, "sql_probe_seconds_count{database=\"signal-queue\"}"),
        Some(1.0)
    );
}

#[test]
fn business_figures() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE payments (amount NUMERIC, currency TEXT);
         INSERT INTO payments VALUES (10.5, 'EUR'), (20, 'EUR'), (5, 'USD');
         CREATE TABLE users (id INTEGER, last_active_at TEXT);
         INSERT INTO users VALUES (1, datetime('now')), (2, datetime('now', '-2 days'));
         CREATE TABLE security_incidents (incident_type TEXT);
         INSERT INTO security_incidents VALUES ('login');",
    );
    lab.write(
        "sql.toml",
        &format!(
            "[[database]]\npack = \"business\"\ndsn = \"{}\"\n",
            lab.sqlite("test.db")
        ),
    );
    let page = lab.once(&[]);
    assert_eq!(
        value(&page, "business_revenue_total{currency=\"EUR\"}"),
        Some(30.5)
    );
    assert_eq!(value(&page, "business_active_users"), Some(1.0));
    assert_eq!(
        value(
            &page,
            "business_security_incidents_total{incident_type=\"login\"}"
        ),
        Some(1.0)
    );
    let page = lab.once(&["--query=revenue"]);
    assert_eq!(
        value(&page, "business_active_users"),
        None,
        "only what --query names"
    );
    assert_eq!(
        value(&page, "business_revenue_total{currency=\"USD\"}"),
        Some(5.0)
    );
}

#[test]
fn without_a_database_the_exporter_is_healthy() {
    let page = once(PROGRAM, &[]);
    assert!(page.contains("sql_exporter_build_info"), "{page}");
    assert!(!page.contains("sql_query_success"), "{page}");
}

#[test]
fn a_status_that_nothing_is_in_any_more_has_0_entries() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE jobs (state TEXT); INSERT INTO jobs VALUES ('pending');",
    );
    lab.configure(
        "[[query]]\nname = \"depth\"\ninterval = \"50ms\"\nmissing = \"zero\"\n\
         sql = \"SELECT state, count(*) AS n FROM jobs GROUP BY 1\"\n\
         [[query.metric]]\nname = \"jobs\"\nhelp = \"Jobs.\"\ntype = \"gauge\"\nlabels = { state = \"state\" }\nvalue = \"n\"\n",
    );
    let running = lab.start();
    let pending = || value(&running.metrics(), "jobs{state=\"pending\"}");
    eventually("a job", || pending() == Some(1.0));
    lab.run_sqlite("test.db", "DELETE FROM jobs;");
    eventually("no job", || pending() == Some(0.0));
}

#[test]
fn queue_and_business_on_postgresql_with_the_rights_that_the_document_names() {
    let postgres = Postgres::start();
    postgres.run(
        "CREATE TABLE signal_queue (id serial, status text, created_at timestamptz, payload text);
         INSERT INTO signal_queue (status, created_at) VALUES ('pending', now() - interval '1 hour'), ('done', now());
         CREATE TABLE payments (amount numeric, currency text, card text);
         INSERT INTO payments VALUES (10.5, 'EUR'), (20, 'EUR');
         CREATE TABLE users (name text, last_active_at timestamptz);
         INSERT INTO users VALUES ('a', now()), ('b', now() - interval '2 days');
         CREATE TABLE security_incidents (incident_type text, words text);
         INSERT INTO security_incidents VALUES ('login');",
    );
    granted(&postgres, "signal_queue");
    let lab = Lab::new();
    postgres.configure(
        &lab,
        "pack = \"business\"\n[[database]]\npack = \"signal-queue\"\ndsn_file = \"dsn\"",
    );
    let page = lab.once(&[]);
    for (series, expected) in [
        ("brain_signal_queue_total{status=\"pending\"}", 1.0),
        ("business_revenue_total{currency=\"EUR\"}", 30.5),
        ("business_active_users", 1.0),
        ("business_security_incidents_total{incident_type=\"login\"}", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    let age = value(&page, "brain_signal_queue_oldest_age_seconds{status=\"pending\"}").expect("an age");
    assert!((3600.0..3900.0).contains(&age), "{age}");
}

#[test]
fn what_comes_into_a_status_is_counted() {
    let lab = Lab::new();
    queue(&lab);
    let pack = include_str!("../../packs/signal-queue.toml")
        .replace("\"signal_queue\"", "\"jobs\"")
        .replace("status = \"status\"\n", "status = \"state\"\n")
        .replace("\"30s\"", "\"50ms\"");
    lab.configure(&pack);
    let running = lab.start();
    let done = || {
        value(
            &running.metrics(),
            "brain_signal_queue_entered_total{status=\"done\"}",
        )
    };
    eventually("what was there before does not count", || done() == Some(0.0));
    lab.run_sqlite(
        "test.db",
        "UPDATE jobs SET state = 'done' WHERE state = 'pending';",
    );
    eventually("two came in", || done() == Some(2.0));
    let pending = value(&running.metrics(), "brain_signal_queue_total{status=\"pending\"}");
    assert_eq!(pending, Some(0.0));
}

#[test]
fn litellm_s_books_in_sqlite() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        r#"CREATE TABLE "LiteLLM_DailyUserSpend" (
             date TEXT, model TEXT, model_group TEXT, prompt_tokens INTEGER, completion_tokens INTEGER,
             cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER, spend REAL, api_requests INTEGER,
             successful_requests INTEGER, failed_requests INTEGER, total_response_time_ms INTEGER, timed_requests INTEGER,
             updated_at TEXT);
           INSERT INTO "LiteLLM_DailyUserSpend" VALUES
             (date('now', '-1 day'), 'a/qwen', 'qwen', 100, 50, 7, 0, 0.25, 3, 2, 1, 1500, 1, '2026-02-03 04:05:06');
           CREATE TABLE "LiteLLM_SpendLogs" (spend REAL, "startTime" TEXT);
           INSERT INTO "LiteLLM_SpendLogs" VALUES (0.5, datetime('now', '-1 day')), (9, '2026-01-01 00:00:10');
           CREATE TABLE "LiteLLM_VerificationToken" (key_name, key_alias, spend, max_budget, budget_reset_at);
           INSERT INTO "LiteLLM_VerificationToken" VALUES ('sk-...1234', 'agent', 3, 10, '2026-03-01 00:00:00');
           CREATE TABLE "LiteLLM_TeamTable" (team_id, team_alias, spend, max_budget, budget_reset_at);
           CREATE TABLE "LiteLLM_UserTable" (user_id, spend, max_budget, budget_reset_at);"#,
    );
    let dsn = lab.sqlite("test.db");
    lab.write(
        "sql.toml",
        &format!("[[database]]\npack = \"litellm\"\ndsn = \"{dsn}\"\n"),
    );
    let page = lab.once(&[]);
    for (series, expected) in [
        ("litellm_usage_spend_usd_total{model=\"qwen\"}", 0.25),
        ("litellm_usage_response_seconds_total{model=\"qwen\"}", 1.5),
        (
            "litellm_usage_table_updated_timestamp_seconds{table=\"LiteLLM_DailyUserSpend\"}",
            1_770_091_506.0,
        ),
        ("litellm_usage_yesterday_requests{source=\"spend_logs\"}", 1.0),
        ("litellm_usage_yesterday_requests{source=\"daily_user\"}", 3.0),
        (
            "litellm_usage_budget_spent_usd{name=\"agent\",scope=\"key\"}",
            3.0,
        ),
        (
            "litellm_usage_budget_reset_timestamp_seconds{name=\"agent\",scope=\"key\"}",
            1_772_323_200.0,
        ),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    assert!(value(&page, "litellm_usage_table_bytes{table=\"LiteLLM_SpendLogs\"}") >= Some(4096.0));
    let failed = page
        .lines()
        .find(|line| line.starts_with("sql_query_success") && line.ends_with(" 0"));
    assert_eq!(failed, None);
}
