//! One table: what its newest manifest says, and what was counted on the way there.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ingestion::{Before, Ingestion};
use crate::listing::{Entry, Listing};
use crate::manifest::{self, Identity, Manifest, ManifestError, Operation, Problem};
use crate::snapshot::Snapshot;

/// A folder whose last change is younger may change again without its time of change telling: clocks of file systems
/// are coarse, those on the network most.
const SETTLED: Duration = Duration::from_secs(2);
/// More versions between two looks are not read one by one.
const MOST_AT_ONCE: usize = 4096;
/// Looks at a folder whose newest manifest is pruned between listing and reading.
const ATTEMPTS: usize = 3;

/// Manifests whose content could not be used, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) torn: u64,
    pub(crate) unsupported: u64,
}

/// Why a table has no numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no manifest: it is just being made, or dropped.
    Empty,
    /// The newest manifest needs more than this program knows, or is larger than it reads.
    Unsupported(String),
    /// It, or its folder, cannot be read.
    Unreadable(String),
}

/// The folder of manifests: whether it is the same one, and whether it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Folder {
    inode: u64,
    /// Not every file system knows. Inodes are used again, so a folder made anew may have the old one's.
    created: Option<SystemTime>,
    changed: SystemTime,
}

/// A watched table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) folder: PathBuf,
    /// Versions committed before this were there before the table was, when it appeared beside a watched one.
    since: Option<f64>,
    /// When it was looked at last, and the `_versions` folder as it was then.
    looked: Option<(SystemTime, Folder)>,
    /// Nothing can have escaped the last listing, as long as the folder is unchanged.
    settled: bool,
    /// Versions up to this one have been read, or were there before.
    known: Option<u64>,
    /// The highest version that was entered and when it was committed.
    entered: Option<(u64, Option<f64>)>,
    newest: Option<(Entry, Identity)>,
    before: Option<Before>,
    pub(crate) versions: usize,
    pub(crate) current: Result<Arc<Snapshot>, Trouble>,
    pub(crate) ingestion: Ingestion,
    /// Unix time in seconds.
    pub(crate) last_compaction: Option<f64>,
    /// The versions before the first one that was read have been searched for a compaction.
    pub(crate) history_searched: bool,
    pub(crate) unreadable: Unreadable,
}

impl Table {
    /// A table to watch from now on. What was committed earlier is no ingestion, or, where `since` is given, what was
    /// committed before that time.
    pub(crate) fn new(folder: PathBuf, since: Option<SystemTime>, now: Instant) -> Self {
        Self {
            folder,
            since: since.map(unix_seconds),
            looked: None,
            settled: false,
            // A table that appeared beside a watched one is followed from its first version on.
            known: since.map(|_| 0),
            entered: None,
            newest: None,
            before: None,
            versions: 0,
            current: Err(Trouble::Empty),
            ingestion: Ingestion::new(now),
            last_compaction: None,
            // Such a one is read from its first version on, so that nothing is left to search.
            history_searched: since.is_some(),
            unreadable: Unreadable::default(),
        }
    }

    /// Reads the manifests that are new since the last look.
    pub(crate) fn look(&mut self, now: Instant) {
        let folder = self.folder.join("_versions");
        let looked = SystemTime::now();
        let seen = match Folder::of(&folder) {
            Ok(seen) => seen,
            Err(error) => return self.lose(trouble(&folder, &error)),
        };
        match self.looked.replace((looked, seen)) {
            Some((_, before)) if before == seen && self.settled && self.current.is_ok() => return,
            Some((last, before)) if !before.is(&seen) => self.restart(last),
            _ => {}
        }
        self.settled = false;
        for _ in 0..ATTEMPTS {
            match self.read_new(&folder, now) {
                Ok(()) => {
                    self.settled = seen.is_settled(looked);
                    return;
                }
                // Pruned since it was listed: there is a newer one.
                Err(error) if error.is_missing() => {}
                Err(error) if error.is_passing() => return self.lose(judge(&error)),
                Err(error) => return self.fail(judge(&error)),
            }
        }
        self.lose(Trouble::Empty);
    }

    /// Another table has the same name since `last`: its versions begin anew.
    fn restart(&mut self, last: SystemTime) {
        self.since = Some(unix_seconds(last));
        self.known = Some(0);
        self.newest = None;
        self.before = None;
        self.entered = None;
        self.last_compaction = None;
        self.history_searched = true;
    }

    /// It cannot be read now. The same manifest is to be read again when it can.
    fn lose(&mut self, trouble: Trouble) {
        self.newest = None;
        self.fail(trouble);
    }

    fn fail(&mut self, trouble: Trouble) {
        if self.current.as_ref().err() != Some(&trouble) {
            if let Trouble::Unsupported(error) | Trouble::Unreadable(error) = &trouble {
                tracing::warn!(table = %self.folder.display(), error, "the table cannot be read; its numbers are absent");
            }
            self.current = Err(trouble);
        }
    }

    fn read_new(&mut self, folder: &Path, now: Instant) -> Result<(), ManifestError> {
        let known = self.known;
        let listing = Listing::read(folder, |version| known.is_some_and(|known| version > known))
            .map_err(|error| ManifestError::new(folder, error.into()))?;
        self.versions = listing.count;
        let Some((newest, passed)) = listing.entries.split_last() else {
            self.lose(Trouble::Empty);
            return Ok(());
        };
        let identity =
            Identity::of(&newest.path).map_err(|error| ManifestError::new(&newest.path, error.into()))?;
        let found = (newest.clone(), identity);
        if self.newest.as_ref() == Some(&found) {
            return Ok(());
        }
        self.pass(passed, now);
        let read = manifest::read(&self.folder, &newest.path);
        if read.as_ref().is_err_and(ManifestError::is_passing) {
            return read.map(drop);
        }
        self.known = Some(newest.version);
        self.newest = Some(found);
        let manifest = read.inspect_err(|error| self.unreadable.count(&error.problem))?;
        self.enter(&manifest, known.is_none(), now);
        self.current = Ok(Arc::new(Snapshot::new(manifest)));
        Ok(())
    }

    /// Counts what happened in versions that another one has followed already.
    fn pass(&mut self, passed: &[Entry], now: Instant) {
        let skipped = passed.len().saturating_sub(MOST_AT_ONCE);
        if skipped > 0 {
            tracing::warn!(
                table = %self.folder.display(),
                skipped,
                "more versions than can be read between two looks; rows that the oldest brought are not counted"
            );
        }
        for entry in &passed[skipped..] {
            self.known = Some(entry.version);
            match manifest::read(&self.folder, &entry.path) {
                Ok(manifest) => self.enter(&manifest, false, now),
                Err(error) if error.is_missing() => {}
                Err(error) => {
                    self.unreadable.count(&error.problem);
                    tracing::warn!(table = %self.folder.display(), %error, "what this version brought is not counted");
                }
            }
        }
    }

    /// `begins`: the first manifest of a table that was there before this program.
    fn enter(&mut self, manifest: &Manifest, begins: bool, now: Instant) {
        // A lower number is that of a file that was put back, or of a table that was made anew and has later commits.
        let is_new = self
            .entered
            .is_none_or(|(version, committed)| manifest.version > version || manifest.committed > committed);
        if is_new {
            let is_history = self
                .since
                .is_some_and(|since| manifest.committed.is_none_or(|committed| committed < since));
            if !begins && !is_history {
                self.ingestion.enter(manifest, self.before, now);
            }
            if manifest.operation == Operation::Rewrite {
                self.last_compaction = manifest.committed;
            }
            self.entered = Some((manifest.version, manifest.committed));
        }
        self.before = Some(Before::new(manifest));
    }
}

impl Unreadable {
    fn count(&mut self, problem: &Problem) {
        match problem {
            Problem::Torn(_) | Problem::Garbled(_) => self.torn += 1,
            Problem::Unsupported(_) | Problem::TooLarge(_) => self.unsupported += 1,
            // Says nothing about the manifest.
            Problem::Io(_) => {}
        }
    }
}

fn judge(error: &ManifestError) -> Trouble {
    match error.problem {
        Problem::Unsupported(_) | Problem::TooLarge(_) => Trouble::Unsupported(error.to_string()),
        _ => Trouble::Unreadable(error.to_string()),
    }
}

fn trouble(folder: &Path, error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::NotFound {
        Trouble::Empty
    } else {
        Trouble::Unreadable(format!("read {}: {error}", folder.display()))
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Folder {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            inode: metadata.ino(),
            created: metadata.created().ok(),
            changed: metadata.modified()?,
        })
    }

    /// Whether both are the same folder, at different times.
    fn is(&self, other: &Self) -> bool {
        (self.inode, self.created) == (other.inode, other.created)
    }

    /// Whether its last change was long enough ago when it was looked at.
    fn is_settled(&self, looked: SystemTime) -> bool {
        looked
            .duration_since(self.changed)
            .is_ok_and(|age| age >= SETTLED)
    }
}

#[cfg(test)]
mod tests;
