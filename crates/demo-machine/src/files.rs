//! Files that are replaced while others read them.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// A reader sees the old file or the new one. What a crash of the computer leaves does not matter, so nothing waits for
/// the disk.
pub(crate) fn replace(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let beside = folder.join(".new");
        fs::create_dir_all(folder)?;
        fs::write(&beside, content)?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// As the kernel's files: a line.
pub(crate) fn replace_line(path: &Path, line: &str) -> anyhow::Result<()> {
    replace(path, format!("{line}\n"))
}
