//! A machine whose clock the test moves, and the programs that look at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use demo_machine::Machine;

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    machine: Machine,
    now: SystemTime,
}

impl Lab {
    /// A new machine, whose clock shows what it was so many seconds ago.
    pub(crate) fn ago(seconds: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        demo_machine::prepare(folder.path()).expect("prepare");
        Self {
            machine: Machine::resume(folder.path()).expect("resume"),
            now: SystemTime::now() - Duration::from_secs(seconds),
            folder,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets so many seconds pass.
    pub(crate) fn advance(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            let news = self.machine.advance(Duration::from_secs(1), self.now);
            assert!(news.is_empty(), "{news:?}");
        }
    }

    /// The same machine, switched off and on.
    pub(crate) fn restart(self) -> Self {
        let Self { folder, machine, now } = self;
        drop(machine);
        Self {
            machine: Machine::resume(folder.path()).expect("resume"),
            now,
            folder,
        }
    }
}

/// A program of the workspace, which is built beside this one.
pub(crate) fn beside(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_demo-machine")).with_file_name(program);
    assert!(path.is_file(), "{} is not built: run `make test`", path.display());
    path
}

/// The page that the program prints with `--once`.
pub(crate) fn once(program: &str, flags: &[String], variables: &[(&str, PathBuf)]) -> String {
    let output = Command::new(beside(program))
        .arg("--once")
        .args(flags)
        .envs(variables.iter().map(|(name, path)| (name, path)))
        .output()
        .expect("run the program");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The value of a series that must be there.
pub(crate) fn value(page: &str, series: &str) -> f64 {
    exporter::testing::value(page, series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
}

/// The same of one that counts something.
pub(crate) fn count(page: &str, series: &str) -> u64 {
    let mut numbers = page
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    numbers
        .next()
        .unwrap_or_else(|| panic!("no whole number {series} in\n{page}"))
}

/// Waits for what must come about, however slow the machine.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The real program, killed when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo-machine"));
        Self(command.arg(folder).spawn().expect("run demo-machine"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The length of all files at or below a path.
pub(crate) fn bytes(path: &Path) -> u64 {
    let metadata = fs::metadata(path).expect("metadata");
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).expect("a folder");
    entries.map(|entry| bytes(&entry.expect("an entry").path())).sum()
}
