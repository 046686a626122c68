//! The folder in which the exporter keeps what has to outlive it. One exporter at a time may use it.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::bail;

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    _lock: Option<File>,
}

impl Storage {
    /// Takes the folder. One that cannot be made or written to is no reason not to start: counting goes on without.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        let made = fs::create_dir_all(path).and_then(|()| File::create(path.join("lock")));
        let lock = match made {
            Ok(lock) => lock,
            Err(error) => {
                tracing::error!(
                    path = %path.display(),
                    %error,
                    "--storage.path: it cannot be written to; counters begin anew with each start"
                );
                return Ok(Self { _lock: None });
            }
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => bail!(
                "--storage.path {}: another training-exporter uses it; give each its own",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                // Some network file systems have no locks.
                tracing::warn!(path = %path.display(), %error, "--storage.path: it cannot be locked");
                Ok(Self { _lock: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exporter_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let first = Storage::take(&path).expect("free");
        let refused = Storage::take(&path).expect_err("taken").to_string();
        assert!(
            refused.ends_with("another training-exporter uses it; give each its own"),
            "{refused}"
        );
        drop(first);
        Storage::take(&path).expect("free again");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_done_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("write");
        Storage::take(&file.join("data")).expect("no storage is no reason not to start");
    }
}
