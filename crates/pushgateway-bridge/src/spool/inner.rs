//! What the spool knows of its folder, behind its lock.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

use super::Settings;
use super::done::Done;
use super::segment::Segment;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) segments: VecDeque<Segment>,
    /// The last segment, open for appending.
    pub(super) active: Option<Arc<File>>,
    pub(super) done: Done,
    pub(super) page: u64,
    pub(super) oldest: Option<Oldest>,
    pub(super) is_full: bool,
}

/// The first record that waited when it was last asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oldest {
    pub(super) seq: u64,
    /// Where it stands in its segment.
    pub(super) place: u64,
    pub(super) stored_ms: i64,
}

impl Inner {
    pub(super) fn next(&self) -> u64 {
        self.segments.back().map_or(0, |last| last.next)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether the last segment holds something, and nothing that waits.
    pub(super) fn has_arrived(&self) -> bool {
        let last = self.segments.back();
        last.is_some_and(|last| last.bytes > 0 && self.done.covers(last.first, last.next))
    }

    /// Whether somebody removed the file that is appended to: what is written there could not be read.
    pub(super) fn has_vanished(&self) -> bool {
        let meta = self.active.as_ref().map(|file| file.metadata());
        meta.is_some_and(|meta| meta.is_ok_and(|meta| meta.nlink() == 0))
    }

    /// Begins a new segment.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if let Some(file) = self.active.take() {
            file.sync_data()?;
        }
        let next = self.next();
        self.segments.push_back(Segment::new(next));
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], now_ms: i64, settings: &Settings) -> io::Result<()> {
        let Some(last) = self.segments.back_mut() else {
            return Err(io::Error::other("there is no segment"));
        };
        let file = match &self.active {
            Some(file) => Arc::clone(file),
            None => last.open(&settings.folder)?,
        };
        // At its place rather than at the end: what a failed write left behind is written over.
        let written = file.write_all_at(bytes, last.bytes);
        if let Err(error) = written {
            let _ = file.set_len(last.bytes);
            return Err(error);
        }
        last.bytes += bytes.len() as u64;
        last.next += 1;
        last.note(now_ms);
        self.active = Some(file);
        Ok(())
    }
}
