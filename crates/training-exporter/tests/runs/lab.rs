//! A folder of runs and the exporter on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exporter::testing::{self, Running, value};

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_training-exporter");

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// A lab without runs.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("runs")).expect("create");
        let lab = Self { folder };
        lab.configure("runs = [\"runs\"]\n");
        lab
    }

    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.folder.path().join("training.toml"), text).expect("write");
    }

    /// The folder of a run.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join("runs").join(name)
    }

    /// Writes a file of a run.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.run(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create");
        fs::write(&path, text).expect("write");
        path
    }

    fn flags(&self) -> [String; 2] {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        [
            format!("--config.file={}", path("training.toml")),
            format!("--storage.path={}", path("data")),
        ]
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(PROGRAM, &self.flags().each_ref().map(String::as_str))
    }

    /// The page that `--once` prints.
    pub(crate) fn once(&self) -> String {
        testing::once(PROGRAM, &self.flags().each_ref().map(String::as_str))
    }
}

/// The state of a run; exactly one of the five.
pub(crate) fn state(page: &str, run: &str) -> Option<&'static str> {
    let series = |state: &str| format!("training_run_state{{run=\"{run}\",state=\"{state}\"}}");
    let states = ["running", "evaluating", "stalled", "finished", "crashed"];
    let known: Vec<f64> = states
        .iter()
        .filter_map(|state| value(page, &series(state)))
        .collect();
    assert!(
        known.is_empty() || known.len() == 5 && known.iter().filter(|value| **value > 0.0).count() == 1,
        "{known:?}"
    );
    states
        .into_iter()
        .find(|state| value(page, &series(state)) == Some(1.0))
}

/// The value of a series of a run.
pub(crate) fn of(page: &str, metric: &str, run: &str) -> Option<f64> {
    value(page, &format!("{metric}{{run=\"{run}\"}}"))
}

/// The value of a series of a tag.
pub(crate) fn of_tag(page: &str, metric: &str, run: &str, tag: &str) -> Option<f64> {
    value(page, &format!("{metric}{{run=\"{run}\",tag=\"{tag}\"}}"))
}

/// Waits for what must come about, however slow the machine; returns the page on which it has.
pub(crate) fn eventually(running: &Running, what: &str, mut condition: impl FnMut(&str) -> bool) -> String {
    let started = Instant::now();
    loop {
        let page = running.metrics();
        if condition(&page) {
            return page;
        }
        assert!(started.elapsed() < PATIENCE, "never: {what}\n{page}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a run is in a state.
pub(crate) fn wait_for_state(running: &Running, run: &str, expected: &str) -> String {
    eventually(running, &format!("{run} is {expected}"), |page| {
        state(page, run) == Some(expected)
    })
}

/// Sets when all files below a folder were written.
pub(crate) fn set_times(folder: &Path, time: std::time::SystemTime) {
    for entry in fs::read_dir(folder).expect("list") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            set_times(&path, time);
        }
        fs::File::open(&path)
            .expect("open")
            .set_modified(time)
            .expect("set the time");
    }
}
