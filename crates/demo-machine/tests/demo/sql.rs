//! The databases, as sql-exporter sees them.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use demo_machine::Machine;
use exporter::testing::{self, Running};

use crate::lab::{Lab, beside, count, eventually, once, value};

fn configure(folder: &Path, probe: &str) -> String {
    let databases = [
        ("litellm", demo_machine::usage(folder)),
        ("signal-queue", demo_machine::queue(folder)),
        ("business", demo_machine::business(folder)),
    ];
    let entries = databases.map(|(pack, path)| {
        format!(
            "[[database]]\npack = \"{pack}\"\ndsn = \"sqlite:{}\"\nprobe_interval = \"{probe}\"\n",
            path.display()
        )
    });
    let path = folder.join("sql.toml");
    fs::write(&path, entries.concat()).expect("write");
    format!("--config.file={}", path.display())
}

fn queue(page: &str, status: &str) -> f64 {
    value(page, &format!("brain_signal_queue_total{{status=\"{status}\"}}"))
}

#[test]
fn sql_exporter_sees_usage_backlog_and_revenue_move() {
    let mut lab = Lab::ago(300);
    let flags = [configure(lab.path(), "15s")];
    let page = || once("sql-exporter", &flags, &[]);
    lab.advance(40);
    let inference = page();
    lab.advance(175);
    let burst = page();
    for query in [
        "litellm/usage",
        "litellm/freshness",
        "litellm/last-request",
        "litellm/reconciliation",
        "litellm/budgets",
        "signal-queue/depth",
        "business/revenue",
        "business/users",
        "business/incidents",
    ] {
        let success = format!("sql_query_success{{query=\"{query}\"}}");
        assert_eq!(count(&burst, &success), 1, "{burst}");
    }
    for series in [
        r#"litellm_usage_spend_usd_total{model="cloud-large"}"#,
        r#"litellm_usage_requests_total{outcome="success",model="qwen3-32b"}"#,
        r#"litellm_usage_requests_total{outcome="failure",model="gpt-oss-120b"}"#,
        r#"litellm_usage_tokens_total{kind="prompt",model="gpt-oss-120b"}"#,
        r#"litellm_usage_tokens_total{kind="completion",model="qwen3-32b"}"#,
        r#"litellm_usage_tokens_total{kind="cache_read",model="qwen3-32b"}"#,
        r#"litellm_usage_response_seconds_total{model="qwen3-32b"}"#,
        r#"litellm_usage_timed_requests_total{model="qwen3-32b"}"#,
        "litellm_usage_last_request_timestamp_seconds",
        r#"litellm_usage_budget_spent_usd{name="demo",scope="key"}"#,
        r#"business_revenue_total{currency="EUR"}"#,
        "business_active_users",
        r#"brain_signal_queue_total{status="done"}"#,
    ] {
        let (before, after) = (value(&inference, series), value(&burst, series));
        assert!(after > before, "{series}: {before}, then {after}");
    }
    // Yesterday stands in both books.
    for name in [
        "litellm_usage_yesterday_spend_usd",
        "litellm_usage_yesterday_requests",
    ] {
        let of = |source: &str| value(&burst, &format!("{name}{{source=\"{source}\"}}"));
        assert!(of("spend_logs") > 1.0, "{burst}");
        assert!((of("spend_logs") - of("daily_user")).abs() < 1e-6, "{burst}");
    }
    assert!(queue(&burst, "pending") > 500.0 && queue(&inference, "pending") < 50.0);
    assert!(
        value(
            &burst,
            r#"brain_signal_queue_oldest_age_seconds{status="pending"}"#
        ) > 10.0
    );

    let mut lab = lab.restart();
    lab.advance(80);
    let drained = once("sql-exporter", &flags, &[]);
    assert!(queue(&drained, "pending") < queue(&burst, "pending"));
    let spent = r#"litellm_usage_spend_usd_total{model="gpt-oss-120b"}"#;
    assert!(
        value(&drained, spent) > value(&burst, spent),
        "a restart forgets nothing"
    );
}

/// The databases come when the machine runs, which may be after the exporter was started.
#[test]
fn sql_exporter_copes_with_databases_that_come_later() {
    let folder = tempfile::tempdir().expect("a folder");
    demo_machine::prepare(folder.path()).expect("prepare");
    assert!(
        !demo_machine::queue(folder.path()).exists(),
        "missionctl links no SQLite"
    );
    let flag = configure(folder.path(), "1s");
    let program = beside("sql-exporter");
    let exporter = Running::start(program.to_str().expect("a path in UTF-8"), &[&flag]);
    let probe = |page: &str| testing::value(page, "sql_query_success{query=\"signal-queue/probe\"}");
    eventually("it misses them", || {
        (probe(&exporter.metrics()) == Some(0.0)).then_some(())
    });
    let mut machine = Machine::resume(folder.path()).expect("resume");
    let news = machine.advance(Duration::from_secs(1), SystemTime::now());
    assert!(news.is_empty(), "{news:?}");
    eventually("it finds them", || {
        (probe(&exporter.metrics()) == Some(1.0)).then_some(())
    });
}
