//! Files that grow line by line, and are moved away when they are long enough.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Adds lines to the file, which comes about by that.
pub(super) fn append(path: &Path, lines: &str) -> anyhow::Result<()> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?
            .write_all(lines.as_bytes())
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Moves a file of more than so many bytes to a name that ends with `.1`, as logrotate does.
pub(super) fn rotate(path: &Path, bytes: u64) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() > bytes) {
        let mut older = path.as_os_str().to_owned();
        older.push(".1");
        fs::rename(path, PathBuf::from(older)).with_context(|| format!("rename {}", path.display()))?;
    }
    Ok(())
}
