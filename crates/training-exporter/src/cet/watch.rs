//! Looks at `latest_metrics.json`, again and again: whoever writes it may be in the middle of it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::book::Book;
use super::progress::Progress;
use super::reading::{self, Reading};
use crate::clock::unix;
use crate::errors::SourceErrors;

/// A larger file is not what this is for, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;
const TOO_LARGE: &str = "it is larger than 1 MiB";

/// The file, as it was last seen.
pub(crate) struct Watch {
    path: PathBuf,
    errors: SourceErrors,
    /// The version that was looked at last, whatever it was.
    seen: Option<Version>,
    current: Option<Current>,
    progress: Progress,
    /// What was wrong with the last look.
    problem: Option<String>,
    /// What is wrong, as far as it was still wrong at the second look.
    trouble: Option<String>,
}

/// Somebody may write it twice within one tick of the file system's clock, or write the same again.
#[derive(Clone, PartialEq)]
struct Version {
    modified: SystemTime,
    digest: String,
}

/// What the last version that could be read says.
pub(crate) struct Current {
    pub(crate) reading: Reading,
    /// The name under which the phase is counted.
    pub(crate) phase: String,
    /// When the file was written, Unix time in seconds.
    pub(crate) updated: f64,
}

impl Watch {
    pub(crate) fn new(path: PathBuf, errors: SourceErrors) -> Self {
        Self {
            path,
            errors,
            seen: None,
            current: None,
            progress: Progress::new(),
            problem: None,
            trouble: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the last version that could be read says; `None` without a file.
    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// How the run gets on.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Why the file cannot be read, unless somebody is just writing it.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Looks at the file, and counts a new version.
    pub(crate) fn look(&mut self, book: &mut Book) {
        match read(&self.path) {
            Ok((version, _)) if self.seen.as_ref() == Some(&version) => {
                // Still the same: what is wrong with it is no matter of a moment.
                self.trouble = self.problem.clone();
            }
            Ok((version, bytes)) => match reading::parse(&bytes) {
                Ok(reading) => self.take(version, reading, book),
                Err(error) => {
                    self.seen = Some(version);
                    self.report(error.reason(), error.to_string());
                }
            },
            Err(error) => {
                self.seen = None;
                if error.kind() == io::ErrorKind::NotFound {
                    self.current = None;
                    self.problem = None;
                    self.trouble = None;
                } else {
                    self.fail(&error);
                }
            }
        }
        if let Some(current) = &self.current {
            self.progress.looked(unix(SystemTime::now()), current.updated);
        }
    }

    fn take(&mut self, version: Version, reading: Reading, book: &mut Book) {
        let wrong = self.current.as_ref().map(|current| &current.reading.wrong);
        for error in &reading.wrong {
            self.errors.count("value");
            if wrong.is_none_or(|wrong| !wrong.contains(error)) {
                tracing::warn!(path = %self.path.display(), error, "a field of the metrics file is left out");
            }
        }
        let phase = book.count(&version.digest, &reading);
        let updated = self.updated(&version);
        self.progress.take(&reading, updated);
        self.current = Some(Current {
            reading,
            phase,
            updated,
        });
        self.seen = Some(version);
        self.problem = None;
        self.trouble = None;
    }

    /// The file itself cannot be read. That is no matter of a moment, and counted once as long as it lasts.
    fn fail(&mut self, error: &io::Error) {
        let error = error.to_string();
        if self.problem.as_ref() != Some(&error) {
            let reason = if error == TOO_LARGE {
                "too_large"
            } else {
                "unreadable"
            };
            self.report(reason, error.clone());
        }
        self.trouble = Some(error);
    }

    fn report(&mut self, reason: &'static str, error: String) {
        self.errors.count(reason);
        if self.problem.is_none() {
            tracing::warn!(
                path = %self.path.display(),
                error,
                reason,
                "the metrics file cannot be read; its last values stay"
            );
        }
        self.problem = Some(error);
    }

    /// When the version was written: what the file says, unless it says what it said of another version.
    fn updated(&self, version: &Version) -> f64 {
        let now = SystemTime::now();
        let stands_still = self
            .seen
            .as_ref()
            .is_some_and(|seen| version.modified <= seen.modified);
        unix(if stands_still {
            now
        } else {
            version.modified.min(now)
        })
    }
}

fn read(path: &Path) -> io::Result<(Version, Vec<u8>)> {
    let file = exporter::fs::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let mut bytes = Vec::new();
    if file.take(MAX_SIZE + 1).read_to_end(&mut bytes)? as u64 > MAX_SIZE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, TOO_LARGE));
    }
    let version = Version {
        modified: metadata.modified()?,
        digest: format!("{:x}", Sha256::digest(&bytes)),
    };
    Ok((version, bytes))
}
