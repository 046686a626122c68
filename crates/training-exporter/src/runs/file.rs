//! One file of a run, read on from where the last look ended. It is open only while it is read: there may be many.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::clock::unix;
use crate::follow::{Follower, Progress, Tail};

/// A file that the walk over the folders found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) version: Version,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    inode: (u64, u64),
    pub(crate) size: u64,
    /// When it was last written, in Unix seconds.
    pub(crate) modified: f64,
}

impl Version {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: metadata.modified().map_or(0.0, unix),
        }
    }
}

/// How a look at a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// All that is there has been read, now or before.
    Current,
    /// There is more than the budget allowed.
    More,
}

/// A file and how far it was read.
#[derive(Debug)]
pub(crate) struct File {
    follower: Follower,
    /// The version that was read to its end.
    read: Option<Version>,
    has_failed: bool,
}

impl File {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            follower: Follower::new(path.into(), None),
            read: None,
            has_failed: false,
        }
    }

    /// Reads what is new with `read`, which is told whether it starts at the beginning again, and takes the bytes off
    /// the budget. An error is handed out once, until a look succeeds.
    pub(crate) fn look(
        &mut self,
        version: Version,
        budget: &mut u64,
        mut read: impl FnMut(&mut Tail, u64, bool) -> io::Result<Progress>,
    ) -> io::Result<Look> {
        if self.read == Some(version) {
            return Ok(Look::Current);
        }
        if *budget == 0 {
            return Ok(Look::More);
        }
        let mut is_restart = false;
        let result = loop {
            let before = self.offset();
            let result = self.follower.look(|tail| read(tail, *budget, is_restart));
            let after = self.offset();
            *budget = budget.saturating_sub(after.checked_sub(before).unwrap_or(after));
            match result {
                // A second one is that of a file that is replaced all the time.
                Ok(Progress::Restarted) if !is_restart => is_restart = true,
                Ok(Progress::Restarted | Progress::More) => break Ok(Look::More),
                Ok(Progress::Current) => {
                    self.read = Some(version);
                    break Ok(Look::Current);
                }
                Err(error) => break Err(error),
            }
        };
        self.follower.close();
        match result {
            // It went away since the walk, which will see that too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Look::Current),
            Err(_) if std::mem::replace(&mut self.has_failed, true) => Ok(Look::Current),
            Err(error) => Err(error),
            Ok(look) => {
                self.has_failed = false;
                Ok(look)
            }
        }
    }

    fn offset(&self) -> u64 {
        self.follower.position().map_or(0, |position| position.offset)
    }
}
