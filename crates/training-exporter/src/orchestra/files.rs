//! The orchestra's logs: which files there are, and what each has that was not read yet.
//!
//! A file is known by its number, not by its name, and stays open: one that is renamed is read on, whether its new name
//! is watched or not. What was written while nobody looked is searched for under rotated names.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use glob::Pattern;

use super::listing::Listing;
use super::positions::{Kept, Positions};
use super::rotated;
use super::trouble::Trouble;
use crate::errors::SourceErrors;
use crate::follow::{Line, Position, Progress, Tail};

/// How often the patterns are looked up in the file system.
const LISTED_FOR: Duration = Duration::from_secs(5);
/// A writer that was not told of a rotation goes on writing to the old file; one that is silent for so long was told.
const RETIRED_FOR: Duration = Duration::from_mins(1);

/// All files that match the patterns, and those that did until a moment ago.
pub(crate) struct Files {
    patterns: Vec<String>,
    paths: Vec<PathBuf>,
    listed: Option<Instant>,
    watched: Vec<Watched>,
    kept: Positions,
    errors: SourceErrors,
    trouble: Trouble,
}

struct Watched {
    /// The watched name that it has, or had last.
    path: PathBuf,
    tail: Tail,
    /// No other file has taken the name.
    is_current: bool,
    /// Since when it has no watched name and nothing new.
    retired: Option<Instant>,
}

impl Files {
    /// No patterns yet; files that come up are read on from these positions.
    pub(crate) fn new(kept: Vec<Kept>, errors: SourceErrors) -> Self {
        Self {
            patterns: Vec::new(),
            paths: Vec::new(),
            listed: None,
            watched: Vec::new(),
            kept: Positions::new(kept),
            trouble: Trouble::new(errors.clone()),
            errors,
        }
    }

    /// Watches what matches these patterns.
    pub(crate) fn apply(&mut self, patterns: Vec<String>) {
        self.patterns = patterns;
        self.listed = None;
    }

    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// What cannot be read now.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.summary()
    }

    /// Where reading goes on, in every file that is known.
    pub(crate) fn positions(&self) -> Vec<Kept> {
        let watched = self.watched.iter().map(|watched| Kept {
            path: watched.path.clone(),
            position: watched.tail.position(),
            is_current: watched.is_current,
        });
        let mut positions: Vec<Kept> = watched.chain(self.kept.iter().cloned()).collect();
        positions.sort_by(|a, b| (&a.path, a.position.inode).cmp(&(&b.path, b.position.inode)));
        positions
    }

    /// Finds out which files there are now. To be called before [`Self::read`].
    pub(crate) fn find(&mut self) {
        let is_first = self.listed.is_none();
        if self.listed.is_none_or(|listed| listed.elapsed() >= LISTED_FOR) {
            let listing = Listing::read(&self.patterns);
            self.trouble.retain(|path| listing.is_about(path));
            for (path, reason, error) in listing.problems {
                self.trouble.set(&path, reason, &error);
            }
            self.paths = listing.paths;
            self.listed = Some(Instant::now());
        }
        let mut present = vec![false; self.watched.len()];
        for path in self.paths.clone() {
            match self.adopt(&path, &mut present) {
                // It was rotated away just now; the next one is on its way.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.trouble.set(&path, "unreadable", &error.to_string()),
                Ok(()) => {}
            }
        }
        self.retire(&present);
        self.search_for_rotated();
        if is_first {
            self.search_for_the_rest();
        }
    }

    /// Makes sure that the file of this name is watched.
    fn adopt(&mut self, path: &Path, present: &mut Vec<bool>) -> io::Result<()> {
        let metadata = path.metadata()?;
        if let Some(i) = self.watched.iter().position(|watched| watched.tail.is(&metadata)) {
            path.clone_into(&mut self.watched[i].path);
            present[i] = true;
            return Ok(());
        }
        let tail = self.kept.open(path, &metadata)?;
        let mut earlier = None;
        for watched in self.watched.iter_mut().filter(|watched| watched.path == path) {
            watched.is_current = false;
            earlier = watched.tail.modified().ok().max(earlier);
        }
        self.watched.push(Watched {
            path: path.to_owned(),
            tail,
            is_current: true,
            retired: None,
        });
        present.push(true);
        if let Some(earlier) = earlier {
            self.adopt_rotated(path, earlier);
            present.resize(self.watched.len(), false);
        }
        Ok(())
    }

    /// Reads a file that had a watched name.
    fn watch_rotated(&mut self, path: &Path, tail: Tail) {
        let has_name = |watched: &Watched| watched.path == path && watched.retired.is_none();
        self.watched.push(Watched {
            path: path.to_owned(),
            tail,
            is_current: !self.watched.iter().any(has_name),
            retired: Some(Instant::now()),
        });
    }

    /// Lets go of files that have no watched name any more, once nobody writes to them.
    fn retire(&mut self, present: &[bool]) {
        for (watched, is_present) in self.watched.iter_mut().zip(present) {
            let since = watched.retired.unwrap_or_else(Instant::now);
            watched.retired = (!is_present).then_some(since);
        }
        let is_over = |watched: &Watched| {
            watched
                .retired
                .is_some_and(|since| since.elapsed() >= RETIRED_FOR)
        };
        for watched in self.watched.extract_if(.., |watched| is_over(watched)) {
            self.kept.keep(watched.path, watched.tail.position());
        }
    }

    /// Where a file was renamed and no other has its name, one may have had it, and been renamed too.
    fn search_for_rotated(&mut self) {
        let is_missing = |watched: &&Watched| watched.is_current && watched.retired.is_some();
        let missing: Vec<(PathBuf, io::Result<SystemTime>)> = self
            .watched
            .iter()
            .filter(is_missing)
            .map(|watched| (watched.path.clone(), watched.tail.modified()))
            .collect();
        for (path, modified) in missing {
            if let Ok(modified) = modified {
                self.adopt_rotated(&path, modified);
            }
        }
    }

    /// Reads files that came after the one of this time and were rotated away, all between two looks.
    fn adopt_rotated(&mut self, path: &Path, modified: SystemTime) {
        for (sibling, metadata) in rotated::siblings(path) {
            let is_known = self.watched.iter().any(|watched| watched.tail.is(&metadata));
            let is_later = metadata.modified().is_ok_and(|time| time >= modified);
            let is_listed = self.paths.contains(&sibling);
            if !is_known
                && !is_listed
                && is_later
                && let Ok(tail) = self.kept.open(&sibling, &metadata)
            {
                self.watch_rotated(path, tail);
            }
        }
    }

    /// Reads what was written to files while the program did not run, if they were rotated since.
    fn search_for_the_rest(&mut self) {
        let patterns: Vec<Pattern> = self
            .patterns
            .iter()
            .filter_map(|text| Pattern::new(text).ok())
            .collect();
        let is_watched = |path: &Path| patterns.iter().any(|pattern| pattern.matches_path(path));
        while let Some(kept) = self.kept.take_current() {
            let is_watched = is_watched(&kept.path);
            if is_watched && self.take_rest(&kept.path, &kept.position) {
                continue;
            }
            if is_watched && kept.path.parent().is_some_and(Path::is_dir) {
                let error =
                    "the file is gone; lines that were written to it and not read yet are not counted";
                tracing::warn!(path = %kept.path.display(), "{error}");
                self.errors.count("lost");
            }
            self.kept.keep(kept.path, kept.position);
        }
    }

    /// Reads on in the file of the position, which was renamed, or in a copy of it.
    fn take_rest(&mut self, path: &Path, position: &Position) -> bool {
        let mut siblings = rotated::siblings(path);
        siblings.retain(|(_, metadata)| !self.watched.iter().any(|watched| watched.tail.is(metadata)));
        siblings.sort_by_key(|(_, metadata)| metadata.ino() != position.inode);
        for (sibling, metadata) in siblings {
            if let Ok(Some(tail)) = Tail::resume(&sibling, position) {
                self.watch_rotated(path, tail);
                if let Ok(modified) = metadata.modified() {
                    self.adopt_rotated(path, modified);
                }
                return true;
            }
        }
        false
    }

    /// Hands over lines that are new, of about so many bytes; says whether there are more.
    pub(crate) fn read(&mut self, budget: u64, take: &mut dyn FnMut(&Path, Line<'_>)) -> bool {
        let mut left = budget;
        let mut is_more = false;
        let mut cut = Vec::new();
        for watched in &mut self.watched {
            let before = watched.tail.position();
            let path = &watched.path;
            match watched.tail.lines(left, &mut |line| take(path, line)) {
                Ok(Progress::Current) => self.trouble.clear(path),
                Ok(Progress::More) => is_more = true,
                Ok(Progress::Restarted) => {
                    is_more = true;
                    cut.push((path.clone(), before));
                    continue;
                }
                Err(error) => self.trouble.set(path, "unreadable", &error.to_string()),
            }
            let read = watched.tail.offset().saturating_sub(before.offset);
            left = left.saturating_sub(read);
            if read > 0 && watched.retired.is_some() {
                watched.retired = Some(Instant::now());
            }
        }
        for (path, position) in cut {
            self.take_rest(&path, &position);
        }
        // What had most to read must not keep others waiting for ever.
        self.watched.rotate_left(usize::from(is_more));
        is_more
    }
}

#[cfg(test)]
mod tests;
