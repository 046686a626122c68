//! The made-up machine of `[stack] demo = true`: files in a folder that tell a story over and over, for the exporters to
//! watch where nobody wants to heat a real machine.
//!
//! Everything in the folder is bounded, and goes on from where it was when the program is started again: whoever
//! watches would take a counter's step back for a wrap or a restart.

mod brain;
mod business;
mod database;
mod devices;
mod files;
mod gpus;
mod laptop;
mod machine;
mod queue;
mod story;
mod training;
mod usage;

use std::path::{Path, PathBuf};

pub use crate::machine::{Machine, run};

/// The machine's `/sys`.
pub fn sysfs(folder: &Path) -> PathBuf {
    folder.join("sys")
}

/// The machine's `/proc`.
pub fn procfs(folder: &Path) -> PathBuf {
    folder.join("proc")
}

/// What fake-nvml says of the machine's GPUs: the file that `FAKE_NVML_SCENARIO` is to name.
pub fn gpus(folder: &Path) -> PathBuf {
    folder.join("gpus.toml")
}

/// A LanceDB database.
pub fn brain(folder: &Path) -> PathBuf {
    folder.join("brain")
}

/// An SQLite file with LiteLLM's tables, for sql-exporter's pack `litellm`.
pub fn usage(folder: &Path) -> PathBuf {
    folder.join("usage.db")
}

/// An SQLite file with the table of the pack `signal-queue`.
pub fn queue(folder: &Path) -> PathBuf {
    folder.join("queue.db")
}

/// An SQLite file with the tables of the pack `business`.
pub fn business(folder: &Path) -> PathBuf {
    folder.join("business.db")
}

/// The file that a trainer rewrites with its metrics.
pub fn metrics(folder: &Path) -> PathBuf {
    folder.join("training/latest_metrics.json")
}

/// Calls of the LLM orchestra, one JSON object a line.
pub fn orchestra(folder: &Path) -> PathBuf {
    folder.join("training/orchestra.jsonl")
}

/// Runs of other trainers.
pub fn runs(folder: &Path) -> PathBuf {
    folder.join("runs")
}

/// What the canary set scored last.
pub fn canary_results(folder: &Path) -> PathBuf {
    folder.join("training/canary_results.json")
}

/// Where training-exporter keeps the canary set's baseline and decisions.
pub fn canary(folder: &Path) -> PathBuf {
    folder.join("training/canary")
}

/// A folder like `/dev/serial/by-id`.
pub fn devices(folder: &Path) -> PathBuf {
    folder.join("devices")
}

/// Makes what exporters look for when they start, unless it is there: the counters of a machine that runs must not go
/// back. The databases that sql-exporter asks come when the machine runs.
pub fn prepare(folder: &Path) -> anyhow::Result<()> {
    laptop::prepare(folder)?;
    gpus::prepare(folder)?;
    brain::prepare(folder)?;
    training::prepare(folder)
}
