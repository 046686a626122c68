//! A table's folder: what is written into it, and what is removed.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::version::Version;
use crate::files;

/// Where the files of a table lie.
const FOLDERS: [&str; 5] = ["_versions", "_transactions", "data", "_deletions", "_indices"];
/// What files are filled with.
const FILLING: u8 = b'.';

/// The folder of one table.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The versions that are there, oldest first; what is none of ours is passed over. One that cannot be read now may
    /// be readable later, and must not be taken for one that is not there.
    pub(super) fn versions(&self) -> anyhow::Result<Vec<Version>> {
        let mut versions = Vec::new();
        for name in self.entries("_versions")? {
            if name.ends_with(".manifest") {
                versions.extend(Version::read(&self.0.join("_versions").join(name))?);
            }
        }
        versions.sort_by_key(|version| version.manifest.version);
        Ok(versions)
    }

    /// Writes a file; the folders that it lies in come about by that.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        files::replace(&self.0.join(name), content)
    }

    /// Writes a file of so many bytes, of which only their number matters.
    pub(super) fn fill(&self, name: &str, bytes: u64) -> anyhow::Result<()> {
        self.write(name, &vec![FILLING; usize::try_from(bytes)?])
    }

    /// Removes what is not needed: what old versions leave, and what one left that was never finished.
    pub(super) fn sweep(&self, needed: &HashSet<String>) -> anyhow::Result<()> {
        for folder in FOLDERS {
            for name in self.entries(folder)? {
                let name = format!("{folder}/{name}");
                if needed.contains(&name) {
                    continue;
                }
                let path = self.0.join(name);
                remove(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn entries(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let path = self.0.join(folder);
        let names = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect::<io::Result<Vec<_>>>()
            }),
        };
        names.with_context(|| format!("read {}", path.display()))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
