//! A set of files that belong together: compared, staged and put in place file by file, each by a rename.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Files by their path below the run folder.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<PathBuf, Content>,
    claimed: Vec<PathBuf>,
}

#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    is_secret: bool,
}

impl Content {
    const fn mode(&self) -> u32 {
        if self.is_secret { 0o600 } else { 0o644 }
    }
}

impl Tree {
    /// Adds a file that anybody may read.
    pub(crate) fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) {
        self.files.insert(
            path.into(),
            Content {
                bytes: text.into(),
                is_secret: false,
            },
        );
    }

    /// Adds a file that holds secrets: mode 0600.
    pub(crate) fn add_secret(&mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) {
        self.files.insert(
            path.into(),
            Content {
                bytes: text.into(),
                is_secret: true,
            },
        );
    }

    /// Takes a folder for this tree's own, so that what others left in it goes away even when nothing is put there.
    pub(crate) fn claim(&mut self, folder: &str) {
        self.claimed.push(PathBuf::from(folder));
    }

    /// Copies a folder of the project, below the folder `to`; a folder that is not there adds nothing.
    pub(crate) fn copy(
        &mut self,
        from: &Path,
        to: &str,
        wanted: impl Fn(&Path) -> bool,
    ) -> anyhow::Result<()> {
        let mut folders = vec![from.to_path_buf()];
        while let Some(folder) = folders.pop() {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
                let entry = entry.with_context(|| format!("read {}", folder.display()))?;
                // Editors leave locks and half-written copies under hidden names.
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let below = path.strip_prefix(from).context("a file outside its folder")?;
                if wanted(below) {
                    let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                    self.add(Path::new(to).join(below), bytes);
                }
            }
        }
        Ok(())
    }

    /// A file's text, to change it.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<&str> {
        let content = self
            .files
            .get(Path::new(path))
            .with_context(|| format!("{path} is not there"))?;
        std::str::from_utf8(&content.bytes).with_context(|| format!("{path} is not UTF-8"))
    }

    /// Paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// One digest over the names and contents of the files for which `wanted` holds.
    pub(crate) fn digest(&self, wanted: impl Fn(&Path) -> bool) -> String {
        let mut hash = Sha256::new();
        for (path, content) in self.files.iter().filter(|(path, _)| wanted(path)) {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update([0]);
            hash.update((content.bytes.len() as u64).to_le_bytes());
            hash.update(&content.bytes);
        }
        hex(&hash.finalize())
    }

    /// Writes everything below a new folder, for the programs that check it.
    pub(crate) fn stage(&self, folder: &Path, wanted: impl Fn(&Path) -> bool) -> anyhow::Result<()> {
        for (path, content) in self.files.iter().filter(|(path, _)| wanted(path)) {
            write(folder, path, content)?;
        }
        Ok(())
    }

    /// Puts every file that differs in its place and removes those that are no longer rendered, in the folders that
    /// this tree fills. Returns the paths that changed.
    pub(crate) fn apply(&self, run: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut changed = Vec::new();
        for (path, content) in &self.files {
            let target = run.join(path);
            if !is_current(&target, content) {
                write(run, path, content)?;
                changed.push(path.clone());
            }
        }
        for folder in self.folders() {
            changed.extend(self.remove_stale(run, &folder)?);
        }
        Ok(changed)
    }

    /// First parts of the paths that have more than one, and what is claimed.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self
            .files
            .keys()
            .filter(|path| path.components().count() > 1)
            .filter_map(|path| path.components().next())
            .map(|first| PathBuf::from(first.as_os_str()))
            .chain(self.claimed.iter().cloned())
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }

    fn remove_stale(&self, run: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        let mut folders = vec![run.join(folder)];
        while let Some(folder) = folders.pop() {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
                let path = entry
                    .with_context(|| format!("read {}", folder.display()))?
                    .path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(below) = path.strip_prefix(run)
                    && !self.files.contains_key(below)
                {
                    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
                    removed.push(below.to_path_buf());
                }
            }
        }
        Ok(removed)
    }
}

fn is_current(target: &Path, content: &Content) -> bool {
    let mode = fs::metadata(target).map(|metadata| metadata.permissions().mode() & 0o777);
    mode.is_ok_and(|mode| mode == content.mode())
        && fs::read(target).is_ok_and(|bytes| bytes == content.bytes)
}

fn write(root: &Path, path: &Path, content: &Content) -> anyhow::Result<()> {
    let target = root.join(path);
    create_folders(root, path)
        .and_then(|()| write_atomically(&target, &content.bytes, content.mode()))
        .with_context(|| format!("write {}", target.display()))
}

/// Makes the folders of a file, for every user to enter whatever the umask says: containers run as users of their own.
fn create_folders(root: &Path, path: &Path) -> std::io::Result<()> {
    let mut folders: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .filter(|folder| *folder != Path::new(""))
        .collect();
    folders.reverse();
    for folder in folders.into_iter().map(|folder| root.join(folder)) {
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Writes beside the target and renames, so that a reader sees the old file or the new one and nothing between.
pub(crate) fn write_atomically(target: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = folder.join(name);
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, target)
    })();
    if written.is_err() {
        // What counts is the first error; a leftover of ours is harmless.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// An empty folder that is removed when it is dropped. Callers hold a lock, so one of that name that is there was left
/// by a run that was killed.
pub(crate) fn scratch(parent: &Path, name: &str) -> anyhow::Result<tempfile::TempDir> {
    let path = parent.join(name);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", path.display()));
        }
        _ => {}
    }
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    let folder = tempfile::Builder::new()
        .prefix(name)
        .rand_bytes(0)
        // Secrets may be written into it.
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(parent);
    folder.with_context(|| format!("create {}", path.display()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot go wrong.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_enter_the_folder_of_what_is_being_checked() {
        let parent = tempfile::tempdir().expect("a folder");
        let staging = scratch(parent.path(), ".staging").expect("a folder");
        let mode = staging.path().metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
