//! A folder with a configuration, and what all tests do with it.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exporter::testing::{Running, Signal, once, value};

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

const PROGRAM: &str = env!("CARGO_BIN_EXE_training-exporter");

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new(configuration: &str) -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        lab.write("training.toml", configuration);
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    /// A whole number that somebody writes into a file, perhaps a little later.
    pub(crate) fn number(&self, name: &str) -> i32 {
        let mut found = None;
        eventually(&format!("a number in {name}"), || {
            found = fs::read_to_string(self.path(name))
                .ok()
                .and_then(|text| text.trim().parse().ok());
            found.is_some()
        });
        found.expect("a number")
    }

    pub(crate) fn start(&self) -> Started {
        let flags = flags(self.folder.path(), &self.path("data"));
        Started(Some(Running::start(
            PROGRAM,
            &flags.each_ref().map(String::as_str),
        )))
    }
}

/// An exporter that is told to end when this is dropped, not killed: its command is to end with it.
pub(crate) struct Started(Option<Running>);

impl Started {
    /// Ends it; its exit status.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.0.take().and_then(stop)
    }
}

fn stop(mut running: Running) -> Option<i32> {
    running.signal(Signal::TERM);
    running.wait()
}

impl Deref for Started {
    type Target = Running;

    fn deref(&self) -> &Running {
        self.0.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.take().and_then(stop);
    }
}

/// The page that `--once` prints for a folder with `training.toml`.
pub(crate) fn page(folder: &Path, data: &Path) -> String {
    once(PROGRAM, &flags(folder, data).each_ref().map(String::as_str))
}

fn flags(folder: &Path, data: &Path) -> [String; 2] {
    [
        format!("--config.file={}", folder.join("training.toml").display()),
        format!("--storage.path={}", data.display()),
    ]
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
