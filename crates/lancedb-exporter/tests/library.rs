//! Runs the real program beside the real library: the page says what the library says, after each kind of operation and
//! while much happens at once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use exporter::testing::{Running, value};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lancedb-exporter");
/// Far above what anything takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_mins(5);
const KINDS: [&str; 7] = [
    "live",
    "dead",
    "versions",
    "indices",
    "deletions",
    "transactions",
    "other",
];

/// The library in a process of its own, which does what it is told and says what it then finds.
struct Library {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Value>,
}

impl Library {
    fn start(database: &Path) -> Self {
        let mut child = Command::new("lancedb-python")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library.py"))
            .arg(database)
            .env("LANCE_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("lancedb-python: {error}; run `make test`, which puts it on the PATH")
            });
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self {
            input: child.stdin.take().expect("a pipe"),
            child,
            answers,
        }
    }

    fn ask(&mut self, operation: &str) {
        writeln!(self.input, "{operation}").expect("ask the library");
    }

    fn answer(&self) -> Value {
        self.answers.recv_timeout(PATIENCE).expect("the library's answer")
    }

    /// Does something over and over until the library has answered.
    fn answer_while(&self, mut action: impl FnMut()) -> Value {
        let began = Instant::now();
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Disconnected) => panic!("the library ended"),
                Err(TryRecvError::Empty) => assert!(began.elapsed() < PATIENCE, "no answer"),
            }
            action();
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exporter and the library on an empty database.
fn both() -> (TempDir, Running, Library) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("brain");
    std::fs::create_dir(&database).expect("create the database");
    let flag = format!("--lancedb.path={}", database.display());
    let running = Running::start(PROGRAM, &[&flag, "--watch.interval=1s", "--disk.interval=1s"]);
    running.metrics();
    let library = Library::start(&database);
    (folder, running, library)
}

fn of(page: &str, metric: &str, table: &str) -> Option<f64> {
    value(page, &format!("brain_lancedb_{metric}{{table=\"{table}\"}}"))
}

/// The tables that the page shows.
fn tables(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| {
            line.strip_prefix("brain_lancedb_table_up{table=\"")?
                .split('"')
                .next()
        })
        .collect()
}

/// The very next scrape says what the library says; the space on disk follows.
fn agree(running: &Running, library: &Value, after: &str) {
    let page = running.metrics();
    let numbers = library.as_object().expect("tables");
    assert_eq!(tables(&page), numbers.keys().collect::<Vec<_>>(), "after {after}");
    for (table, numbers) in numbers {
        for (metric, key) in [
            ("rows_total", "rows"),
            ("version", "version"),
            ("versions", "versions"),
            ("fragments", "fragments"),
            ("deleted_rows", "deleted_rows"),
            ("size_bytes", "size_bytes"),
        ] {
            assert_eq!(
                of(&page, metric, table),
                numbers[key].as_f64(),
                "{metric} of {table} after {after}"
            );
        }
        let on_page = page
            .lines()
            .filter(|line| line.starts_with(&format!("brain_lancedb_index_info{{table=\"{table}\"")))
            .count();
        let indices = numbers["unindexed_rows"].as_object().expect("indices");
        assert_eq!(on_page, indices.len(), "indices of {table} after {after}");
        for (index, unindexed) in indices {
            let series = format!("brain_lancedb_index_unindexed_rows{{table=\"{table}\",index=\"{index}\"}}");
            assert_eq!(
                value(&page, &series),
                unindexed.as_f64(),
                "{series} after {after}"
            );
        }
        disk_agrees(running, table, numbers["disk_bytes"].as_f64(), after);
    }
}

fn disk_agrees(running: &Running, table: &str, expected: Option<f64>, after: &str) {
    let began = Instant::now();
    loop {
        let page = running.metrics();
        let sum: Option<f64> = KINDS
            .map(|kind| {
                value(
                    &page,
                    &format!("brain_lancedb_disk_bytes{{table=\"{table}\",kind=\"{kind}\"}}"),
                )
            })
            .into_iter()
            .sum();
        if sum == expected {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "bytes of {table} on disk after {after}: {sum:?}, not {expected:?}"
        );
        sleep(Duration::from_millis(100));
    }
}

fn success(page: &str, collector: &str) -> Option<f64> {
    value(
        page,
        &format!("lancedb_exporter_collector_success{{collector=\"{collector}\"}}"),
    )
}

#[test]
fn the_page_says_what_the_library_says_after_every_operation() {
    let (_folder, running, mut library) = both();
    for (operation, ingested) in [
        ("create", Some(0.0)),
        ("append", Some(50.0)),
        ("delete", Some(50.0)),
        ("index", Some(50.0)),
        ("merge", Some(55.0)),
        ("update", Some(55.0)),
        ("tag", Some(55.0)),
        ("compact", Some(55.0)),
        ("untag", Some(55.0)),
        ("prune", Some(55.0)),
        ("overwrite", Some(55.0)),
        ("restore", Some(55.0)),
        ("drop", None),
    ] {
        library.ask(operation);
        let answer = library.answer();
        agree(&running, &answer, operation);
        let page = running.metrics();
        assert_eq!(
            of(&page, "rows_ingested_total", "events"),
            ingested,
            "after {operation}"
        );
        let compacted = of(&page, "last_compaction_timestamp_seconds", "events").is_some();
        let is_after = ["compact", "untag", "prune", "overwrite", "restore"].contains(&operation);
        assert_eq!(compacted, is_after, "a compaction is known after {operation}");
    }
    let searchable = of(&running.metrics(), "rows_ingested_total", "searchable");
    assert_eq!(searchable, Some(4.0));
}

#[test]
fn fifteen_hundred_commits_are_followed_one_by_one() {
    let (_folder, running, mut library) = both();
    library.ask("create");
    library.answer();
    library.ask("one_by_one");
    let (mut rows, mut version) = (0.0, 0.0);
    let answer = library.answer_while(|| {
        let page = running.metrics();
        let now = (
            of(&page, "rows_total", "events").expect("rows"),
            of(&page, "version", "events").expect("a version"),
        );
        assert!(
            now.0 >= rows && now.1 >= version,
            "{now:?} after {rows}, {version}"
        );
        (rows, version) = now;
        assert_eq!(success(&page, "tables"), Some(1.0));
        assert_eq!(success(&page, "disk"), Some(1.0));
    });
    agree(&running, &answer, "1500 appends");
    let page = running.metrics();
    assert_eq!(of(&page, "rows_ingested_total", "events"), Some(1500.0));
    assert_eq!(of(&page, "rows_total", "events"), Some(1600.0));
    assert_eq!(of(&page, "version", "events"), Some(1501.0));
}

#[test]
fn much_at_once_is_no_error_and_freezes_no_number() {
    let (_folder, running, mut library) = both();
    library.ask("create");
    library.answer();
    library.ask("append");
    library.answer();
    library.ask("churn");
    let mut ingested = 0.0;
    let answer = library.answer_while(|| {
        let page = running.metrics();
        assert_eq!(of(&page, "table_up", "events"), Some(1.0));
        let now = of(&page, "rows_ingested_total", "events").expect("a counter");
        assert!(now >= ingested, "{now} after {ingested}");
        ingested = now;
        for collector in ["tables", "disk"] {
            assert_eq!(success(&page, collector), Some(1.0), "{collector}");
        }
    });
    agree(&running, &answer, "much at once");
    let ingested = of(&running.metrics(), "rows_ingested_total", "events").expect("a counter");
    assert!((1.0..=170.0).contains(&ingested), "{ingested} rows came in");
}
