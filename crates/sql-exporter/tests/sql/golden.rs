//! The whole page of each pack on a fixed database.

use std::path::{Path, PathBuf};

use exporter::testing::{assert_golden, lint, once};

use crate::lab::{Lab, PROGRAM};
use crate::litellm;

/// Names that the public contract fixes.
const CONTRACT: [&str; 1] = ["brain_signal_queue_total"];

/// What differs from run to run; the page keeps the series.
const VOLATILE: [&str; 6] = [
    "brain_signal_queue_oldest_age_seconds",
    "litellm_usage_last_request_timestamp_seconds",
    "litellm_usage_table_bytes",
    "sql_probe_seconds",
    "sql_query_duration_seconds",
    "sql_query_last_success_timestamp_seconds",
];

fn compare(page: &str, golden: &str) {
    lint(page, &CONTRACT);
    let masked: String = page
        .lines()
        .map(|line| {
            let is_volatile = VOLATILE.iter().any(|name| line.starts_with(name));
            match line.rsplit_once(' ') {
                Some((series, _)) if is_volatile => format!("{series} *\n"),
                _ => format!("{line}\n"),
            }
        })
        .collect();
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{golden}.prom"));
    assert_golden(&masked, &path);
}

fn sqlite(pack: &str, statements: &str) {
    let lab = Lab::new();
    lab.run_sqlite("test.db", statements);
    let dsn = lab.sqlite("test.db");
    lab.write(
        "sql.toml",
        &format!("[[database]]\npack = \"{pack}\"\ndsn = \"{dsn}\"\n"),
    );
    compare(&lab.once(&[]), pack);
}

#[test]
fn no_database() {
    compare(&once(PROGRAM, &[]), "no-database");
}

#[test]
fn signal_queue() {
    sqlite(
        "signal-queue",
        "CREATE TABLE signal_queue (status TEXT, created_at TEXT);
         INSERT INTO signal_queue VALUES ('pending', datetime('now', '-1 hour')), ('pending', datetime('now')),
           ('done', datetime('now'));",
    );
}

#[test]
fn business() {
    sqlite(
        "business",
        "CREATE TABLE payments (amount NUMERIC, currency TEXT);
         INSERT INTO payments VALUES (10.5, 'EUR'), (20, 'EUR'), (5, 'USD');
         CREATE TABLE users (id INTEGER, last_active_at TEXT);
         INSERT INTO users VALUES (1, datetime('now')), (2, datetime('now', '-2 days'));
         CREATE TABLE security_incidents (incident_type TEXT);
         INSERT INTO security_incidents VALUES ('login');",
    );
}

#[test]
fn litellm() {
    let postgres = litellm::newest();
    let lab = Lab::new();
    postgres.configure(&lab, "pack = \"litellm\"");
    compare(&lab.once(&[]), "litellm");
}
