//! A folder with a configuration and what trainers write, and what all tests do with it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use exporter::testing::{self, Running, value};

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_training-exporter");

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// A lab whose exporter watches `latest_metrics.json` and the logs `*.jsonl`.
    pub(crate) fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        lab.write(
            "training.toml",
            "metrics = \"latest_metrics.json\"\norchestra = [\"*.jsonl\"]\n",
        );
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file as a careful program does: under another name first.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let new = self.path("being-written");
        fs::write(&new, text).expect("write");
        fs::rename(new, self.path(name)).expect("rename");
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = OpenOptions::new().create(true).append(true).open(self.path(name));
        file.expect("open").write_all(text.as_ref()).expect("write");
    }

    fn flags(&self) -> [String; 2] {
        let path = |name| self.path(name).display().to_string();
        [
            format!("--config.file={}", path("training.toml")),
            format!("--storage.path={}", path("data")),
        ]
    }

    pub(crate) fn start(&self) -> Running {
        let flags = self.flags();
        Running::start(PROGRAM, &flags.each_ref().map(String::as_str))
    }

    /// The page that `--once` prints.
    pub(crate) fn once(&self) -> String {
        let flags = self.flags();
        testing::once(PROGRAM, &flags.each_ref().map(String::as_str))
    }

    /// The program with these further flags, until it ends by itself.
    pub(crate) fn run(&self, flags: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .args(self.flags())
            .args(flags)
            .output()
            .expect("run the program")
    }
}

/// Waits for what must come about, however slow the machine.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a series has a value.
pub(crate) fn wait_for(running: &Running, series: &str, expected: f64) {
    eventually(&format!("{series} {expected}"), || {
        value(&running.metrics(), series) == Some(expected)
    });
}

/// Waits until a file of the storage folder has this text.
pub(crate) fn wait_for_storage(file: &Path, text: &str) {
    eventually(&format!("{text} in {}", file.display()), || {
        fs::read_to_string(file).is_ok_and(|kept| kept.contains(text))
    });
}
