//! What is kept over a restart of the exporter: totals, and the positions in files up to which they count, as one
//! file that is replaced as a whole.
//!
//! The page shows what is on disk, not what is counted since: whenever the program is killed, it goes on from what was
//! shown, counts what came after once more, and no counter goes back. While nothing can be written, the page shows what
//! is counted; a restart then counts from the last file that was written, as long as what it read is still there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Totals with their file.
pub(crate) struct Ledger<T> {
    /// `None`: nothing is written.
    path: Option<PathBuf>,
    live: T,
    shown: T,
    trouble: Option<String>,
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Ledger<T> {
    /// Reads the file; without one, or with one that cannot be read, everything begins anew. One that cannot be
    /// understood is set aside.
    pub(crate) fn open(path: &Path, writes: bool) -> Self {
        let live = match load(path) {
            Ok(kept) => kept.unwrap_or_default(),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "what was counted before is lost; counting begins anew"
                );
                T::default()
            }
        };
        Self {
            path: writes.then(|| path.to_owned()),
            shown: live.clone(),
            live,
            trouble: None,
        }
    }

    /// The totals that are being counted.
    pub(crate) fn live(&mut self) -> &mut T {
        &mut self.live
    }

    /// The totals for the page.
    pub(crate) fn shown(&self) -> &T {
        &self.shown
    }

    /// Why the file could not be written the last time.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What there is to write, if anything. Writing takes its time, so it is done apart.
    pub(crate) fn pending(&self) -> Option<Pending<T>> {
        (self.live != self.shown || self.trouble.is_some()).then(|| Pending {
            path: self.path.clone(),
            totals: self.live.clone(),
        })
    }

    /// Shows what was written; and also what could not be written, since counting has to go on.
    pub(crate) fn written(&mut self, pending: Pending<T>, result: anyhow::Result<()>) {
        let trouble = result.err().map(|error| format!("{error:#}"));
        if let Some(error) = &trouble
            && self.trouble != trouble
        {
            tracing::error!(
                error,
                "what is counted cannot be kept; a restart would count some of it again"
            );
        }
        self.trouble = trouble;
        self.shown = pending.totals;
    }
}

/// Totals that are to be written.
pub(crate) struct Pending<T> {
    path: Option<PathBuf>,
    totals: T,
}

impl<T: Serialize> Pending<T> {
    /// Writes them.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        match &self.path {
            Some(path) => write(path, &self.totals),
            None => Ok(()),
        }
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let kept = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error.into()),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(anyhow::Error::from),
    };
    if kept.is_err() {
        // Where it cannot be moved it is written over.
        let _ = fs::rename(path, beside(path, "unreadable"));
    }
    kept.map(Some).with_context(|| format!("read {}", path.display()))
}

/// Whoever reads the file, and whenever the machine stops, finds all of it, or all of the earlier one.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let new = beside(path, "new");
    let folder = path.parent().context("it is in no folder")?;
    let written: io::Result<()> = (|| {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    })();
    written.with_context(|| format!("write {}", path.display()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(ledger: &mut Ledger<u64>) {
        if let Some(pending) = ledger.pending() {
            let result = pending.write();
            ledger.written(pending, result);
        }
    }

    #[test]
    fn the_page_shows_what_is_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data/book.json");
        let mut ledger: Ledger<u64> = Ledger::open(&path, true);
        *ledger.live() = 5;
        assert_eq!(*ledger.shown(), 0);
        save(&mut ledger);
        assert_eq!((*ledger.shown(), ledger.trouble()), (5, None));
        *ledger.live() = 6;
        assert_eq!(*Ledger::<u64>::open(&path, true).shown(), 5);
    }

    #[test]
    fn counting_goes_on_while_nothing_can_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").expect("write");
        let mut ledger: Ledger<u64> = Ledger::open(&blocked.join("book.json"), true);
        *ledger.live() = 5;
        save(&mut ledger);
        assert_eq!(*ledger.shown(), 5);
        assert!(ledger.trouble().expect("trouble").contains("file/book.json: "));
        fs::remove_file(&blocked).expect("remove");
        // Nothing new, but something that was not written.
        save(&mut ledger);
        assert_eq!(ledger.trouble(), None);
        assert_eq!(*Ledger::<u64>::open(&blocked.join("book.json"), true).shown(), 5);
    }

    #[test]
    fn a_file_that_is_none_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("book.json");
        fs::write(&path, "{\"half\":").expect("write");
        assert_eq!(*Ledger::<u64>::open(&path, true).shown(), 0);
        assert_eq!(
            fs::read_to_string(beside(&path, "unreadable")).expect("kept"),
            "{\"half\":"
        );
    }

    #[test]
    fn who_only_looks_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("book.json");
        let mut ledger: Ledger<u64> = Ledger::open(&path, false);
        *ledger.live() = 5;
        save(&mut ledger);
        assert_eq!((*ledger.shown(), path.exists()), (5, false));
    }
}
