//! What a table's files take on disk, by what they are for.

use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::Path;

use crate::snapshot::Files;

/// What files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Data files of the current version.
    Live,
    /// Data, deletion and index files that only older versions need, or none.
    Dead,
    /// Manifests.
    Versions,
    /// Index files of the current version.
    Indices,
    /// Deletion files of the current version.
    Deletions,
    /// Transaction files.
    Transactions,
    /// Tags, branches and what else there is.
    Other,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Live,
        Self::Dead,
        Self::Versions,
        Self::Indices,
        Self::Deletions,
        Self::Transactions,
        Self::Other,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Dead => "dead",
            Self::Versions => "versions",
            Self::Indices => "indices",
            Self::Deletions => "deletions",
            Self::Transactions => "transactions",
            Self::Other => "other",
        }
    }

    /// What lies in the table's `folder` under `name` is for.
    fn of(folder: &str, name: &str, files: &Files) -> Self {
        let needed = match folder {
            "data" => Self::Live,
            "_indices" => Self::Indices,
            "_deletions" => Self::Deletions,
            "_versions" => return Self::Versions,
            "_transactions" => return Self::Transactions,
            _ => return Self::Other,
        };
        if files.need(folder, name) {
            needed
        } else {
            Self::Dead
        }
    }
}

/// Bytes by kind, in the order of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage([u64; Kind::ALL.len()]);

impl Usage {
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    fn add(&mut self, kind: Kind, bytes: u64) {
        self.0[kind as usize] += bytes;
    }
}

/// Measures a table, given the files that its current version needs. Sums up the lengths of the files, links not
/// followed; a file that vanishes meanwhile counts nothing. `None` when the table itself has vanished.
pub(crate) fn measure(table: &Path, files: &Files) -> io::Result<Option<Usage>> {
    let mut usage = Usage::default();
    let Some(folders) = or_vanished(table.read_dir())? else {
        return Ok(None);
    };
    for folder in entries(folders) {
        let folder_name = folder.file_name().to_string_lossy().into_owned();
        if !is_folder(&folder) {
            usage.add(Kind::Other, length(&folder));
            continue;
        }
        let Some(within) = or_vanished(folder.path().read_dir())? else {
            continue;
        };
        for entry in entries(within) {
            let kind = Kind::of(&folder_name, &entry.file_name().to_string_lossy(), files);
            usage.add(kind, tree(entry)?);
        }
    }
    Ok(Some(usage))
}

/// The length of all files at or below this entry.
fn tree(entry: DirEntry) -> io::Result<u64> {
    let mut bytes = 0;
    let mut ahead = vec![entry];
    while let Some(entry) = ahead.pop() {
        if !is_folder(&entry) {
            bytes += length(&entry);
        } else if let Some(within) = or_vanished(entry.path().read_dir())? {
            ahead.extend(entries(within));
        }
    }
    Ok(bytes)
}

fn entries(folder: ReadDir) -> impl Iterator<Item = DirEntry> {
    folder.filter_map(Result::ok)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn length(entry: &DirEntry) -> u64 {
    entry.metadata().map_or(0, |metadata| metadata.len())
}

fn or_vanished(folder: io::Result<ReadDir>) -> io::Result<Option<ReadDir>> {
    match folder {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        folder => folder.map(Some),
    }
}
