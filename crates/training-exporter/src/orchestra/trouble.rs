//! What is wrong with which file, logged and counted once as long as it lasts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::errors::SourceErrors;

/// Files of which something is said.
const MAX_FILES: usize = 100;

pub(super) struct Trouble {
    errors: SourceErrors,
    problems: BTreeMap<PathBuf, String>,
}

impl Trouble {
    pub(super) fn new(errors: SourceErrors) -> Self {
        Self {
            errors,
            problems: BTreeMap::new(),
        }
    }

    /// Something is wrong with this file.
    pub(super) fn set(&mut self, path: &Path, reason: &'static str, error: &str) {
        let is_known = self.problems.get(path).is_some_and(|known| known == error);
        if is_known || (self.problems.len() >= MAX_FILES && !self.problems.contains_key(path)) {
            return;
        }
        tracing::warn!(path = %path.display(), error, "a log of the orchestra cannot be read");
        self.errors.count(reason);
        self.problems.insert(path.to_owned(), error.to_owned());
    }

    /// Nothing is wrong with this file (any more).
    pub(super) fn clear(&mut self, path: &Path) {
        self.problems.remove(path);
    }

    /// Only these files are of interest (any more).
    pub(super) fn retain(&mut self, is_of_interest: impl Fn(&Path) -> bool) {
        self.problems.retain(|path, _| is_of_interest(path));
    }

    /// All of it in one line.
    pub(super) fn summary(&self) -> Option<String> {
        let (path, error) = self.problems.first_key_value()?;
        let others = match self.problems.len() - 1 {
            0 => String::new(),
            others => format!("; and {others} more"),
        };
        Some(format!("read {}: {error}{others}", path.display()))
    }
}
