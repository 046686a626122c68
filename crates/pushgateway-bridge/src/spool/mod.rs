//! Samples that wait on the disk until the receiver has them.
//!
//! The folder holds segments, files that are only appended to and removed as a whole, and the list of what is done with.
//! Records are numbered without end, so that "done" never means two things. What is appended is on the disk (`fdatasync`)
//! before [`Spool::finish_page`] returns; that a record is done with is on the disk before [`Spool::done`] returns. After a
//! loss of power in between records are sent again, never left out.

mod done;
mod inner;
mod limits;
mod reader;
mod record;
mod segment;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

pub use self::reader::{Entry, Reader};

use self::done::Done;
use self::inner::{Inner, Oldest};
use self::segment::Segment;
use crate::tally::Tally;

/// The spool is at least this large: a few segments.
pub const LEAST_SIZE: u64 = 1 << 20;

/// Where samples wait, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder; it comes about where it is not there.
    pub folder: PathBuf,
    /// Bytes on the disk; beyond them the oldest samples are dropped.
    pub size: u64,
    /// How long samples wait; older ones are dropped.
    pub age: Duration,
}

/// What the spool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Bytes on the disk.
    pub bytes: u64,
    /// When the oldest record that waits was appended, in milliseconds of Unix time.
    pub oldest_ms: Option<i64>,
    /// The first record that waits; `next` when none does.
    pub first: u64,
    /// The number of the next record.
    pub next: u64,
    /// The first record of the page that was appended last.
    pub page: u64,
    /// In how many pieces the list of what is done with is.
    pub pieces: usize,
}

/// The records of a folder. One program has it at a time.
pub struct Spool {
    settings: Settings,
    tally: Tally,
    inner: Mutex<Inner>,
    appended: Condvar,
    /// Held while the list is written, so that an older one never replaces a newer one.
    saving: Mutex<()>,
    _lock: File,
}

impl Spool {
    /// Opens the folder, cuts off what was not written to its end, and takes up the numbers where they ended.
    pub fn open(settings: Settings, tally: Tally) -> anyhow::Result<Self> {
        let folder = &settings.folder;
        ensure!(
            settings.size >= LEAST_SIZE,
            "a spool of {} bytes is too small; give it {} MiB at least",
            settings.size,
            LEAST_SIZE >> 20
        );
        let place = || folder.display().to_string();
        std::fs::create_dir_all(folder).with_context(place)?;
        let lock = File::create(folder.join("lock")).with_context(place)?;
        if let Err(error) = lock.try_lock() {
            bail!("{}: another program has this spool open ({error})", place());
        }
        let done = Done::load(folder).unwrap_or_else(|error| {
            tracing::warn!(
                file = %folder.join(done::FILE).display(), %error,
                "the list of what arrived cannot be read; all that waits is sent again"
            );
            Done::default()
        });
        let firsts = Segment::list(folder).with_context(place)?;
        let mut segments = VecDeque::new();
        for (at, first) in firsts.iter().enumerate() {
            let segment = Segment::inspect(*first, firsts.get(at + 1).copied(), folder)
                .with_context(|| Segment::new(*first).path(folder).display().to_string())?;
            segments.push_back(segment);
        }
        let next = segments
            .back()
            .map_or(0, |last: &Segment| last.next)
            .max(done.end());
        // A number that is done with must not be given to a new record.
        if segments.back().is_none_or(|last| last.next < next) {
            segments.push_back(Segment::new(next));
        }
        let inner = Inner {
            segments,
            active: None,
            done,
            page: next,
            oldest: None,
            is_full: false,
        };
        let spool = Self {
            settings,
            tally,
            inner: Mutex::new(inner),
            appended: Condvar::new(),
            saving: Mutex::new(()),
            _lock: lock,
        };
        {
            let mut inner = spool.lock();
            let first = inner.segments.front().map_or(next, |segment| segment.first);
            inner.done.insert(0, first);
            spool.remove_finished(&mut inner);
        }
        Ok(spool)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long samples wait at most.
    pub fn age(&self) -> Duration {
        self.settings.age
    }

    /// Says that the records appended from now on belong to one page.
    pub fn begin_page(&self) {
        let mut inner = self.lock();
        inner.page = inner.next();
    }

    /// Appends one record, at this time, with the time of its newest sample. The error says that it is not in the spool.
    pub fn append(&self, now_ms: i64, samples: usize, newest_ms: i64, payload: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let seq = inner.next();
        let count = u32::try_from(samples).map_err(io::Error::other)?;
        let bytes = record::encode(seq, count, [now_ms, newest_ms], payload)
            .ok_or_else(|| io::Error::other("the record is too large"))?;
        if inner.has_vanished() || self.is_to_be_closed(&inner, bytes.len() as u64, now_ms) {
            inner.close()?;
        }
        if let Err(error) = inner.write(&bytes, now_ms, &self.settings) {
            // A full disk may take it once the last segment has gone, if all of that has arrived.
            if !inner.has_arrived() {
                return Err(error);
            }
            inner.close()?;
            self.remove_finished(&mut inner);
            inner.write(&bytes, now_ms, &self.settings)?;
        }
        self.keep_size(&mut inner);
        Ok(())
    }

    /// Brings what was appended onto the disk, and tells who waits for it.
    pub fn finish_page(&self) -> io::Result<()> {
        let active = self.lock().active.clone();
        let synced = active.map_or(Ok(()), |file| file.sync_data());
        self.appended.notify_all();
        synced
    }

    /// Waits until the next number is another one than this, at most this long, or until somebody says [`Spool::wake`].
    pub fn wait(&self, next: u64, most: Duration) {
        let inner = self.lock();
        if inner.next() == next {
            drop(self.appended.wait_timeout(inner, most));
        }
    }

    /// Ends a [`Spool::wait`].
    pub fn wake(&self) {
        self.appended.notify_all();
    }

    /// The records from `start` up to and without `end` are done with.
    pub fn done(&self, start: u64, end: u64) {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let done = {
            let mut inner = self.lock();
            inner.done.insert(start, end);
            inner.done.clone()
        };
        let saved = done.save(&self.settings.folder);
        let mut inner = self.lock();
        match saved {
            Ok(()) => inner.is_full = false,
            Err(error) if !inner.is_full => {
                inner.is_full = true;
                tracing::warn!(
                    folder = %self.settings.folder.display(), %error,
                    "what arrived cannot be noted; after a restart it is sent again"
                );
            }
            Err(_) => {}
        }
        self.remove_finished(&mut inner);
    }

    /// What is there.
    pub fn holding(&self) -> Holding {
        let mut inner = self.lock();
        let (first, next) = (inner.done.next_open(0), inner.next());
        let oldest_ms = (first < next).then(|| self.oldest(&mut inner, first)).flatten();
        Holding {
            bytes: inner.bytes(),
            oldest_ms,
            first,
            next,
            page: inner.page,
            pieces: inner.done.pieces(),
        }
    }

    /// When the last record was appended, sent or not, in milliseconds of Unix time.
    pub fn last_ms(&self) -> Option<i64> {
        let inner = self.lock();
        inner
            .segments
            .iter()
            .map(|segment| segment.stored_ms[1])
            .max()
            .filter(|ms| *ms != i64::MIN)
    }

    /// When the first record that waits was appended: from its head in the file, found from the last one found on.
    fn oldest(&self, inner: &mut Inner, first: u64) -> Option<i64> {
        let at = inner.segments.partition_point(|segment| segment.next <= first);
        let segment = inner.segments.get(at)?;
        let mut place = match inner.oldest {
            Some(known) if known.seq == first => return Some(known.stored_ms),
            Some(known) if (segment.first..=first).contains(&known.seq) => known.place,
            _ => 0,
        };
        let file = File::open(segment.path(&self.settings.folder)).ok();
        while let Some(head) = file.as_ref().and_then(|file| record::head_at(file, place)) {
            if head.seq >= first {
                inner.oldest = Some(Oldest {
                    seq: first,
                    place,
                    stored_ms: head.stored_ms,
                });
                return Some(head.stored_ms);
            }
            place += head.bytes();
        }
        // It is damaged; the segment as a whole is this old.
        Some(segment.stored_ms[0])
    }
}

#[cfg(test)]
mod tests;
