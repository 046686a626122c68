//! Positions in files that are not open: as they were written down, and of files that have gone.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rotated;
use crate::follow::{Position, Tail};

/// Of more, the oldest are forgotten.
const MAX_KEPT: usize = 1000;

/// Where reading goes on in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The watched name that the file had last.
    pub(super) path: PathBuf,
    pub(super) position: Position,
    /// No other file had taken that name when this was written down.
    pub(super) is_current: bool,
}

impl Kept {
    fn is_of(&self, metadata: &Metadata) -> bool {
        (self.position.device, self.position.inode) == (metadata.dev(), metadata.ino())
    }
}

/// The oldest first.
pub(super) struct Positions(Vec<Kept>);

impl Positions {
    pub(super) fn new(kept: Vec<Kept>) -> Self {
        Self(kept)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.0.iter()
    }

    /// Keeps the position in a file that nobody writes to any more.
    pub(super) fn keep(&mut self, path: PathBuf, position: Position) {
        self.0.push(Kept {
            path,
            position,
            is_current: false,
        });
        let surplus = self.0.len().saturating_sub(MAX_KEPT);
        self.0.drain(..surplus);
    }

    /// Takes out one of a file that should have a watched name.
    pub(super) fn take_current(&mut self) -> Option<Kept> {
        let i = self.0.iter().position(|kept| kept.is_current)?;
        Some(self.0.remove(i))
    }

    /// Opens a file where it was left: by its number or, since numbers change when a disk does, by its name, unless the
    /// file of that number has another name now.
    pub(super) fn open(&mut self, path: &Path, metadata: &Metadata) -> io::Result<Tail> {
        let siblings = rotated::siblings(path);
        let is_renamed = |kept: &Kept| siblings.iter().any(|(_, sibling)| kept.is_of(sibling));
        let is_name = |kept: &Kept| kept.path == path && !is_renamed(kept);
        let all = || self.0.iter().enumerate();
        let numbers = all().filter(|(_, kept)| kept.is_of(metadata));
        let names = all().filter(|(_, kept)| is_name(kept));
        for (i, kept) in numbers.chain(names) {
            if let Some(tail) = Tail::resume(path, &kept.position)? {
                self.0.remove(i);
                return Ok(tail);
            }
        }
        Tail::open(path)
    }
}
