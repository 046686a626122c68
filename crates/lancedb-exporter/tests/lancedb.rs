//! Runs the real program on tables that the real library wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use exporter::testing::{self, Running, Signal, value};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lancedb-exporter");
/// Names that the public contract fixes.
const CONTRACT: [&str; 1] = ["brain_lancedb_rows_total"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn flag(path: &Path) -> String {
    format!("--lancedb.path={}", path.display())
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/brain.prom")
}

fn once(path: &Path) -> String {
    without_times(&testing::once(PROGRAM, &[&flag(path)]))
}

/// The page without the time of the measurement.
fn without_times(page: &str) -> String {
    let volatile = "brain_lancedb_disk_measured_timestamp_seconds";
    assert!(page.contains(volatile));
    page.split_inclusive('\n')
        .filter(|line| !line.contains(volatile))
        .collect()
}

/// A copy of the database that a test may change.
fn copy() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let brain = folder.path().join("brain");
    copy_tree(&fixtures().join("brain"), &brain);
    (folder, brain)
}

fn copy_tree(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("run cp").success());
}

fn manifest(table: &Path, version: u64) -> PathBuf {
    table.join(format!("_versions/{:020}.manifest", u64::MAX - version))
}

#[test]
fn the_whole_page() {
    let page = once(&fixtures().join("brain"));
    testing::assert_golden(&page, &golden());
    testing::lint(&page, &CONTRACT);
}

#[test]
fn the_numbers_are_those_of_the_library() {
    let page = once(&fixtures().join("brain"));
    let expected = std::fs::read(fixtures().join("expected.json")).expect("expected numbers");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let tables = expected.as_object().expect("tables");
    assert_eq!(tables.len(), 9);
    for (table, numbers) in tables {
        let on_page = |name: &str| value(&page, &format!("brain_lancedb_{name}{{table=\"{table}\"}}"));
        for (metric, key) in [
            ("rows_total", "rows"),
            ("version", "version"),
            ("versions", "versions"),
            ("fragments", "fragments"),
            ("deleted_rows", "deleted_rows"),
            ("size_bytes", "size_bytes"),
        ] {
            assert_eq!(on_page(metric), numbers[key].as_f64(), "{table}: {metric}");
        }
        for (index, unindexed) in numbers["unindexed_rows"].as_object().expect("indices") {
            let series = format!("brain_lancedb_index_unindexed_rows{{table=\"{table}\",index=\"{index}\"}}");
            assert_eq!(value(&page, &series), unindexed.as_f64(), "{series}");
        }
        let kind = |kind: &str| {
            let series = format!("brain_lancedb_disk_bytes{{table=\"{table}\",kind=\"{kind}\"}}");
            value(&page, &series).expect("measured")
        };
        let all: f64 = [
            "live",
            "dead",
            "versions",
            "indices",
            "deletions",
            "transactions",
            "other",
        ]
        .map(kind)
        .iter()
        .sum();
        assert_eq!(
            Some(all),
            numbers["disk_bytes"].as_f64(),
            "{table}: bytes on disk"
        );
        let needed = kind("live") + kind("indices");
        assert_eq!(
            Some(needed),
            numbers["size_bytes"].as_f64(),
            "{table}: bytes needed"
        );
    }
}

#[test]
fn without_a_database_it_is_healthy_and_says_nothing_of_tables() {
    let page = testing::once(PROGRAM, &[]);
    assert!(!page.contains("brain_lancedb_"), "{page}");
    for collector in ["tables", "disk"] {
        let success = format!("lancedb_exporter_collector_success{{collector=\"{collector}\"}}");
        assert_eq!(value(&page, &success), Some(1.0));
    }
    let output = Command::new(PROGRAM)
        .arg("--once")
        .output()
        .expect("run the program");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("none is named by --lancedb.path"), "{log}");
    // As the container's description sets it where the inventory names no database.
    let running = Running::start_with(PROGRAM, &[], &[("LANCEDB_EXPORTER_LANCEDB_PATH", "")]);
    assert_eq!(running.get("/healthz").status, 200);
}

#[test]
fn a_missing_database_is_reported_and_not_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let typo = folder.path().join("brian");
    let page = testing::once(PROGRAM, &[&flag(&typo)]);
    let success = r#"lancedb_exporter_collector_success{collector="tables"}"#;
    assert_eq!(value(&page, success), Some(0.0));
    assert!(!typo.exists());
}

#[test]
fn one_bad_table_hides_no_other() {
    let (_folder, brain) = copy();
    let torn = manifest(&brain.join("tagged.lance"), 2);
    let bytes = std::fs::read(&torn).expect("a manifest");
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).expect("tear it");
    std::fs::create_dir(brain.join("half.lance")).expect("half a table");
    let page = once(&brain);
    let on_page = |series: &str| value(&page, series);
    assert_eq!(on_page(r#"brain_lancedb_table_up{table="tagged"}"#), Some(0.0));
    assert_eq!(on_page(r#"brain_lancedb_rows_total{table="tagged"}"#), None);
    assert_eq!(
        on_page(r#"brain_lancedb_manifests_unreadable_total{table="tagged",reason="torn"}"#),
        Some(1.0)
    );
    assert_eq!(on_page(r#"brain_lancedb_table_up{table="half"}"#), Some(0.0));
    assert_eq!(
        on_page(r#"brain_lancedb_rows_total{table="events"}"#),
        Some(120.0)
    );
}

#[test]
fn a_manifest_for_newer_readers_is_refused() {
    let (_folder, brain) = copy();
    // Version 9 (field 3) with reader feature 1 << 12 (field 9): its list of fragments is elsewhere.
    let message = [0x18, 9, 0x48, 0x80, 0x20];
    let mut bytes = vec![5, 0, 0, 0];
    bytes.extend(message);
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(b"\0\0\x02\0LANC");
    std::fs::write(manifest(&brain.join("tagged.lance"), 9), bytes).expect("write");
    let page = once(&brain);
    for (series, expected) in [
        (r#"brain_lancedb_manifest_unsupported{table="tagged"}"#, Some(1.0)),
        (r#"brain_lancedb_manifest_unsupported{table="events"}"#, Some(0.0)),
        (r#"brain_lancedb_table_up{table="tagged"}"#, Some(0.0)),
        (r#"brain_lancedb_fragments{table="tagged"}"#, None),
        (
            r#"brain_lancedb_manifests_unreadable_total{table="tagged",reason="unsupported"}"#,
            Some(1.0),
        ),
        (
            r#"lancedb_exporter_collector_success{collector="tables"}"#,
            Some(0.0),
        ),
    ] {
        assert_eq!(value(&page, series), expected, "{series}");
    }
}

#[test]
fn commits_tables_and_drops_are_seen_at_the_next_scrape() {
    let (_folder, brain) = copy();
    let events = brain.join("events.lance");
    let ahead: Vec<(PathBuf, PathBuf)> = (5..=7)
        .map(|version| {
            let place = manifest(&events, version);
            let aside = events.join(format!("{version}.aside"));
            std::fs::rename(&place, &aside).expect("move aside");
            (aside, place)
        })
        .collect();
    let running = Running::start(PROGRAM, &[&flag(&brain)]);
    let on_page = |name: &str, table: &str| {
        value(
            &running.metrics(),
            &format!("brain_lancedb_{name}{{table=\"{table}\"}}"),
        )
    };
    assert_eq!(on_page("rows_total", "events"), Some(110.0));
    assert_eq!(on_page("rows_ingested_total", "events"), Some(0.0));
    for (aside, place) in &ahead {
        std::fs::rename(aside, place).expect("commit");
    }
    assert_eq!(on_page("rows_total", "events"), Some(120.0));
    assert_eq!(on_page("rows_ingested_total", "events"), Some(10.0));

    // Its rows were committed long ago: that it was copied here is no ingestion.
    copy_tree(&brain.join("old_names.lance"), &brain.join("restored.lance"));
    assert_eq!(on_page("rows_total", "restored"), Some(105.0));
    assert_eq!(on_page("rows_ingested_total", "restored"), Some(0.0));

    std::fs::remove_dir_all(&events).expect("drop the table");
    assert_eq!(on_page("table_up", "events"), None);
    assert_eq!(on_page("rows_total", "restored"), Some(105.0));
}

#[test]
fn it_reads_only() {
    let (_folder, brain) = copy();
    let state = || -> Vec<u8> {
        let listing = Command::new("find")
            .arg(&brain)
            .args(["-printf", "%P %s %T@ %i\n"])
            .output();
        listing.expect("run find").stdout
    };
    let before = state();
    let mut running = Running::start(PROGRAM, &[&flag(&brain)]);
    running.metrics();
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&state()),
        String::from_utf8_lossy(&before)
    );
}

/// No more is needed than to read: nothing may be written here, and the program is nobody's.
#[test]
fn reading_is_all_it_may() {
    let (folder, brain) = copy();
    let program = folder.path().join("lancedb-exporter");
    std::fs::copy(PROGRAM, &program).expect("copy the program to where everyone may run it");
    let mode = |mode: &str| {
        let changed = Command::new("chmod")
            .args(["-R", mode])
            .arg(folder.path())
            .status();
        assert!(changed.expect("run chmod").success());
    };
    mode("a=rX,u-w");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command.arg("--once").arg(flag(&brain)).output();
    let output = output.expect("run the program");
    mode("u+w");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    testing::assert_golden(&without_times(&page), &golden());
}

#[test]
fn what_needs_the_library_is_refused_without_it() {
    if cfg!(feature = "engine") {
        return;
    }
    for flag in ["--lancedb.uri=s3://bucket/brain", "--probe.interval=1m"] {
        let output = Command::new(PROGRAM).args(["--once", flag]).output();
        let output = output.expect("run the program");
        assert!(!output.status.success(), "{flag}");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("--features engine"), "{log}");
    }
}
