//! Which files match the patterns.

use std::path::{Path, PathBuf};

/// Files beyond this many are not read.
pub(super) const MAX_FILES: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In order, each once.
    pub(super) paths: Vec<PathBuf>,
    /// What is wrong with what, and the reason in `training_read_errors_total`.
    pub(super) problems: Vec<(PathBuf, &'static str, String)>,
}

impl Listing {
    pub(super) fn read(patterns: &[String]) -> Self {
        let mut listing = Self::default();
        // The configuration was refused if it had a pattern that is none.
        for found in patterns
            .iter()
            .filter_map(|pattern| glob::glob(pattern).ok())
            .flatten()
        {
            match found {
                // The positions are written down as text.
                Ok(path) if path.to_str().is_none() => {
                    listing.problem(path, "unreadable", "its name is not UTF-8".to_owned());
                }
                Ok(path) if path.is_dir() => {}
                Ok(path) => listing.paths.push(path),
                Err(error) => {
                    listing.problem(error.path().to_owned(), "unreadable", error.error().to_string());
                }
            }
        }
        listing.paths.sort_unstable();
        listing.paths.dedup();
        let surplus = listing.paths.split_off(listing.paths.len().min(MAX_FILES));
        if let Some(path) = surplus.first() {
            let error = format!(
                "no more than {MAX_FILES} files are read, and there are {} more",
                surplus.len()
            );
            listing.problem(path.clone(), "too_many", error);
        }
        listing
    }

    fn problem(&mut self, path: PathBuf, reason: &'static str, error: String) {
        self.problems.push((path, reason, error));
    }

    /// Whether it says something of this path.
    pub(super) fn is_about(&self, path: &Path) -> bool {
        let mut problems = self.problems.iter().map(|(other, ..)| other);
        self.paths.iter().any(|other| other == path) || problems.any(|other| other == path)
    }
}
