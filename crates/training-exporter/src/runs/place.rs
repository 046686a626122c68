//! What one folder holds that is of a run.

use std::path::{Path, PathBuf};

use super::file::{Found, Version};
use super::lines::Format;
use super::tensorboard;

/// Event files of one run beyond these are the oldest, and are not read.
const MOST_EVENT_FILES: usize = 16;
/// Files in one folder that may be logs beyond these are the oldest, and are not read.
const MOST_LOGS: usize = 100;
/// Files that a half-written checkpoint is asked for.
const MOST_FILES: usize = 100;

const TRAINER_STATE: &str = "trainer_state.json";
/// A file of this name says that the run is done.
const DONE: &str = "finished";

/// A folder with files of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    /// In the order in which they were begun.
    pub(crate) events: Vec<Found>,
    /// The newest state of Hugging Face's trainer.
    pub(crate) history: Option<Found>,
    pub(crate) logs: Vec<(Found, Format)>,
    /// Files that hold the number of a process.
    pub(crate) pids: Vec<Found>,
    /// When it was marked as done, in Unix seconds.
    pub(crate) done: Option<f64>,
    /// When the last checkpoint was written, in Unix seconds.
    pub(crate) checkpoint: Option<f64>,
    /// When a checkpoint that is being written was last written to, in Unix seconds.
    pub(crate) saving: Option<f64>,
}

/// What the name of a folder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderKind {
    /// `checkpoint-500`, as Hugging Face's trainer and those built on it write it.
    Checkpoint,
    /// `epoch_3`, as torchtune writes it.
    Epoch,
    /// `checkpoints`, as Lightning writes it.
    Checkpoints,
    /// Hidden, or full of files that are of no run.
    Ignored,
    Other,
}

impl FolderKind {
    pub(super) fn of(name: &str) -> Self {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unfinished = name.strip_prefix("tmp-").unwrap_or(name);
        if unfinished.strip_prefix("checkpoint-").is_some_and(is_number) {
            Self::Checkpoint
        } else if name.strip_prefix("epoch_").is_some_and(is_number) {
            Self::Epoch
        } else if name == "checkpoints" {
            Self::Checkpoints
        } else if name.starts_with('.') || matches!(name, "node_modules" | "__pycache__") {
            Self::Ignored
        } else {
            Self::Other
        }
    }
}

impl Place {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Takes a file of the folder.
    pub(super) fn file(&mut self, name: &str, path: PathBuf) {
        let is_pid = name == "pid" || has_extension(name, &["pid"]);
        let log = Format::of(name);
        let is_model = has_extension(name, &["ckpt", "pt", "pth", "safetensors"]);
        if !(tensorboard::is_event_file(name)
            || name == TRAINER_STATE
            || name == DONE
            || is_pid
            || is_model
            || log.is_some())
        {
            return;
        }
        let Some(version) = version(&path) else { return };
        let found = Found { path, version };
        if is_model {
            self.checkpoint = latest(self.checkpoint, Some(version.modified));
        } else if name == DONE {
            self.done = Some(version.modified);
        } else if name == TRAINER_STATE {
            self.state(found);
        } else if is_pid {
            self.pids.push(found);
        } else if let Some(format) = log {
            self.logs.push((found, format));
        } else {
            self.events.push(found);
        }
    }

    /// Leaves out logs that are too many.
    pub(super) fn bound_logs(&mut self) {
        self.logs
            .sort_by(|(a, _), (b, _)| b.version.modified.total_cmp(&a.version.modified));
        self.logs.truncate(MOST_LOGS);
        self.logs.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    }

    /// Takes a folder of a checkpoint.
    pub(super) fn checkpoint(&mut self, path: &Path) {
        let state = path.join(TRAINER_STATE);
        if let Some(version) = version(&state) {
            self.checkpoint = latest(self.checkpoint, Some(version.modified));
            self.state(Found { path: state, version });
            return;
        }
        let files = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .take(MOST_FILES);
        let written = files.filter_map(|file| Some(Version::of(&file.metadata().ok()?).modified));
        self.saving = written.fold(self.saving, |last, time| latest(last, Some(time)));
        self.epoch(path);
    }

    /// Takes a folder that is a checkpoint as a whole.
    pub(super) fn epoch(&mut self, path: &Path) {
        let metadata = path.metadata().ok();
        self.checkpoint = latest(
            self.checkpoint,
            metadata.map(|metadata| Version::of(&metadata).modified),
        );
    }

    /// Takes the event files of a folder below.
    pub(super) fn adopt(&mut self, other: &mut Self) {
        self.events.append(&mut other.events);
    }

    fn state(&mut self, found: Found) {
        let is_newer = |last: &Found| found.version.modified >= last.version.modified;
        if self.history.as_ref().is_none_or(is_newer) {
            self.history = Some(found);
        }
    }

    /// Whether the folder holds what only the trainer of Hugging Face and its like leave there. Event files below are
    /// of the same run then.
    pub(super) fn is_output_folder(&self) -> bool {
        self.history.is_some()
    }

    /// Whether this is where the trainer of Hugging Face puts its event files: `<output folder>/runs/<time and host>`.
    /// That is how a run keeps its name when it saves its first checkpoint.
    pub(super) fn is_log_folder(&self) -> bool {
        let parent = self.folder.parent().and_then(Path::file_name);
        let is_there = parent.is_some_and(|name| name == "runs");
        is_there
            && self
                .events
                .first()
                .is_some_and(|found| tensorboard::is_of_huggingface(&found.path))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.history.is_none() && self.logs.is_empty()
    }

    /// Brings the files into their order, once all were found.
    pub(super) fn complete(&mut self) {
        self.events.sort_by_cached_key(|found| {
            let name = found.path.file_name().unwrap_or_default().to_string_lossy();
            let since = tensorboard::claim(&name, "").map_or(0.0, |claim| claim.since);
            (since.to_bits(), found.path.clone())
        });
        let surplus = self.events.len().saturating_sub(MOST_EVENT_FILES);
        self.events.drain(..surplus);
    }

    /// Asks the files that are known for their versions; those that are gone go.
    pub(super) fn refresh(&mut self) {
        let still_there = |found: &mut Found| match version(&found.path) {
            Some(version) => {
                found.version = version;
                true
            }
            None => false,
        };
        self.events.retain_mut(still_there);
        if !self.history.as_mut().is_some_and(still_there) {
            self.history = None;
        }
        self.logs.retain_mut(|(found, _)| still_there(found));
        self.pids.retain_mut(still_there);
    }

    /// When any of the files was last written, in Unix seconds.
    pub(crate) fn modified(&self) -> f64 {
        let files = self.events.iter().chain(&self.history).chain(&self.pids);
        let files = files.chain(self.logs.iter().map(|(found, _)| found));
        let newest = files.map(|found| found.version.modified).fold(0.0, f64::max);
        [self.done, self.checkpoint, self.saving]
            .into_iter()
            .flatten()
            .fold(newest, f64::max)
    }
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extensions.contains(&extension))
}

fn version(path: &Path) -> Option<Version> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Version::of(&metadata))
}

pub(super) fn latest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}
