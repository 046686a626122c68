//! A folder with a configuration and databases, and what all tests do with it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use exporter::testing::{Running, once};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sql-exporter");

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("write");
    }

    /// The address of an SQLite file in the folder.
    pub(crate) fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(name).display())
    }

    /// Runs statements in an SQLite file, which comes about by that.
    pub(crate) fn run_sqlite(&self, name: &str, statements: &str) {
        let address = format!("{}?mode=rwc", self.sqlite(name));
        block_on(async {
            let mut connection = SqliteConnection::connect(&address).await.expect("open");
            connection.execute(statements).await.expect("run");
            connection.close().await.expect("close");
        });
    }

    /// Writes the configuration of one SQLite database with these queries.
    pub(crate) fn configure(&self, queries: &str) {
        let dsn = self.sqlite("test.db");
        self.write(
            "sql.toml",
            &format!("[[database]]\nname = \"test\"\ndsn = \"{dsn}\"\nqueries = \"own.toml\"\nprobe_interval = \"50ms\"\n"),
        );
        self.write("own.toml", queries);
    }

    fn flag(&self) -> String {
        format!("--config.file={}", self.folder.path().join("sql.toml").display())
    }

    pub(crate) fn once(&self, flags: &[&str]) -> String {
        let own = self.flag();
        let mut all = vec![own.as_str()];
        all.extend(flags);
        once(PROGRAM, &all)
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(PROGRAM, &[&self.flag()])
    }

    /// `--once` with whatever it ends with.
    pub(crate) fn output(&self) -> Output {
        self.run(&["--once"])
    }

    /// The program with these flags, until it ends by itself.
    pub(crate) fn run(&self, flags: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(flags)
            .arg(self.flag())
            .output()
            .expect("run the program")
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Waits for what must come about, however slow the machine.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How often a query failed in this way.
pub(crate) fn errors(page: &str, query: &str, kind: &str) -> u64 {
    let series = format!("sql_query_errors_total{{query=\"{query}\",kind=\"{kind}\"}} ");
    let count = page
        .lines()
        .find_map(|line| line.strip_prefix(&series)?.parse().ok());
    count.unwrap_or_else(|| panic!("no {series} in\n{page}"))
}
