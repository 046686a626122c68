//! Runs the program with the feature `engine` on databases that the library writes here: with namespaces, behind an
//! object store, with vectors to search in.
#![cfg(feature = "engine")]

mod s3;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::testing::{self, Running, value};
use lance_namespace::models::CreateNamespaceRequest;
use lancedb::Connection;
use lancedb::arrow::arrow_array::types::Float32Type;
use lancedb::arrow::arrow_array::{Array, FixedSizeListArray, Int64Array, RecordBatch};
use lancedb::arrow::arrow_schema::{DataType, Field, Schema};
use lancedb::index::Index;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lancedb-exporter");
/// Far above what anything takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_mins(2);
/// Names that the public contract fixes.
const CONTRACT: [&str; 1] = ["brain_lancedb_rows_total"];

/// Rows with a vector each.
fn rows(first: i64, count: i64) -> RecordBatch {
    let ids = Int64Array::from_iter_values(first..first + count);
    let vectors = (first..first + count).map(|i| {
        let i = f32::from(u8::try_from(i % 200).expect("small"));
        Some([Some(i), Some(-i), Some(i / 2.0), Some(1.0)])
    });
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 4);
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("vector", vectors.data_type().clone(), true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(vectors)]).expect("rows")
}

/// A database with the table `events` (140 rows, 10 deleted, an index on its first 100) and a child namespace `team` with
/// the table `notes` (7 rows).
async fn write(address: &str) -> lancedb::Result<()> {
    let database: Connection = lancedb::connect(address).manifest_enabled(true).execute().await?;
    let events = database.create_table("events", rows(0, 100)).execute().await?;
    events.create_index(&["id"], Index::Auto).execute().await?;
    events.add(rows(100, 50)).execute().await?;
    events.delete("id < 10").await?;
    database
        .create_namespace(CreateNamespaceRequest {
            id: Some(vec!["team".to_owned()]),
            ..CreateNamespaceRequest::default()
        })
        .await?;
    let notes = database.create_table("notes", rows(0, 7));
    notes.namespace(vec!["team".to_owned()]).execute().await?;
    Ok(())
}

fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let brain = folder.path().join("brain");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let written = runtime
        .expect("a runtime")
        .block_on(write(&brain.display().to_string()));
    written.expect("the library writes");
    (folder, brain)
}

/// Everything below a folder: names, lengths, times and inodes.
fn state(folder: &Path) -> String {
    let listing = Command::new("find")
        .arg(folder)
        .args(["-printf", "%P %s %T@ %i\n"])
        .output()
        .expect("run find");
    String::from_utf8_lossy(&listing.stdout).into_owned()
}

fn of(page: &str, metric: &str, table: &str) -> Option<f64> {
    value(page, &format!("brain_lancedb_{metric}{{table=\"{table}\"}}"))
}

fn success(page: &str, collector: &str) -> Option<f64> {
    value(
        page,
        &format!("lancedb_exporter_collector_success{{collector=\"{collector}\"}}"),
    )
}

/// Scrapes until there is what is looked for.
fn eventually<T>(what: &str, running: &Running, look: impl Fn(&str) -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        let page = running.metrics();
        if let Some(found) = look(&page) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "no {what} in\n{page}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the library says of `events`.
fn assert_events(page: &str) {
    for (metric, expected) in [
        ("rows_total", 140.0),
        ("version", 4.0),
        ("versions", 4.0),
        ("fragments", 2.0),
        ("deleted_rows", 10.0),
        ("table_up", 1.0),
    ] {
        assert_eq!(of(page, metric, "events"), Some(expected), "{metric}");
    }
    assert!(of(page, "size_bytes", "events") > Some(1000.0));
    let unindexed = r#"brain_lancedb_index_unindexed_rows{table="events",index="id_idx"}"#;
    assert_eq!(value(page, unindexed), Some(50.0));
    let info = r#"brain_lancedb_index_info{table="events",index="id_idx",type="BTREE"}"#;
    assert_eq!(value(page, info), Some(1.0));
}

#[test]
fn a_database_with_namespaces() {
    let (_folder, brain) = database();
    let before = state(&brain);
    let page = testing::once(PROGRAM, &[&format!("--lancedb.uri=file://{}", brain.display())]);
    assert_events(&page);
    assert_eq!(of(&page, "rows_total", "team/notes"), Some(7.0));
    assert_eq!(
        value(&page, r#"brain_lancedb_connection_up{database="brain"}"#),
        Some(1.0)
    );
    assert!(of(&page, "read_timestamp_seconds", "team/notes") > Some(1.7e9));
    assert_eq!(success(&page, "stores"), Some(1.0));
    testing::lint(&page, &CONTRACT);
    assert_eq!(state(&brain), before, "nothing is written");
}

#[test]
fn the_manifests_say_what_the_library_says() {
    let (_folder, brain) = database();
    let page = testing::once(PROGRAM, &[&format!("--lancedb.path={}", brain.display())]);
    let by_library = testing::once(PROGRAM, &[&format!("--lancedb.uri=file://{}", brain.display())]);
    for metric in [
        "rows_total",
        "version",
        "versions",
        "fragments",
        "deleted_rows",
        "size_bytes",
        "last_commit_timestamp_seconds",
    ] {
        let seen = of(&page, metric, "events").expect(metric);
        let said = of(&by_library, metric, "events").expect(metric);
        assert!((seen - said).abs() < 1e-5, "{metric}: {seen}, {said}");
    }
}

#[test]
fn an_object_store_that_may_only_be_read() {
    let (_folder, brain) = database();
    let before = state(&brain);
    let store = s3::serve(brain.parent().expect("a folder"));
    let endpoint = format!("http://{}", store.address);
    let running = Running::start_with(
        PROGRAM,
        &[
            "--lancedb.uri=s3://bucket/brain",
            "--lancedb.interval=1s",
            "--probe.interval=1s",
        ],
        &[
            ("AWS_ENDPOINT", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "test"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );
    let searched = |page: &str| of(page, "probe_seconds_count", "events").filter(|count| *count >= 2.0);
    eventually("search", &running, searched);
    let page = running.metrics();
    assert_events(&page);
    assert_eq!(of(&page, "rows_total", "team/notes"), Some(7.0));
    assert_eq!(
        value(&page, r#"brain_lancedb_connection_up{database="brain"}"#),
        Some(1.0)
    );
    assert_eq!(of(&page, "probe_failures_total", "events"), Some(0.0));
    drop(running);
    let methods = store.methods();
    assert!(
        methods.contains("GET")
            && methods
                .iter()
                .all(|method| ["GET", "HEAD"].contains(&method.as_str())),
        "{methods:?}"
    );
    assert_eq!(state(&brain), before, "nothing is written");
}

#[test]
fn a_search_is_timed_in_tables_with_vectors() {
    let (_folder, brain) = database();
    let before = state(&brain);
    let flag = format!("--lancedb.path={}", brain.display());
    let running = Running::start(PROGRAM, &[&flag, "--probe.interval=1s"]);
    let searched = |page: &str| of(page, "probe_seconds_count", "events").filter(|count| *count >= 2.0);
    eventually("search", &running, searched);
    let page = running.metrics();
    assert!(of(&page, "probe_seconds_sum", "events") > Some(0.0));
    assert_eq!(of(&page, "probe_failures_total", "events"), Some(0.0));
    assert_eq!(success(&page, "probe"), Some(1.0));
    testing::lint(&page, &CONTRACT);
    assert_eq!(state(&brain), before, "nothing is written");
}

#[test]
fn a_database_that_is_missing_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let typo = folder.path().join("brian");
    for flags in [
        vec![format!("--lancedb.uri=file://{}", typo.display())],
        vec![
            format!("--lancedb.path={}", typo.display()),
            "--probe.interval=1m".to_owned(),
        ],
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let page = testing::once(PROGRAM, &flags);
        let up = value(&page, r#"brain_lancedb_connection_up{database="brian"}"#);
        assert_eq!(up, Some(0.0), "{flags:?}");
        assert!(!typo.exists(), "{flags:?}");
    }
}

#[test]
fn a_store_that_never_answers_hides_nothing_else() {
    let (_folder, brain) = database();
    // Takes connections, and says nothing on them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let endpoint = format!("http://{}", silent.local_addr().expect("its address"));
    let flag = format!("--lancedb.path={}", brain.display());
    let running = Running::start_with(
        PROGRAM,
        &[&flag, "--lancedb.uri=s3://bucket/elsewhere"],
        &[
            ("AWS_ENDPOINT", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "test"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );
    let answer = running.send(
        "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let page = String::from_utf8(answer.body).expect("UTF-8");
    assert_eq!(of(&page, "rows_total", "brain/events"), Some(140.0));
    assert_eq!(success(&page, "tables"), Some(1.0));
    assert_eq!(success(&page, "stores"), Some(0.0));
    let down = |page: &str| {
        value(page, r#"brain_lancedb_connection_up{database="elsewhere"}"#).filter(|up| *up == 0.0)
    };
    eventually("failed connection", &running, down);
}
