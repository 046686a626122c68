//! One file of the spool. It is only appended to, and removed as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record;

const SUFFIX: &str = ".segment";

/// What is known about a file without reading it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Number of its first record; the file's name.
    pub(super) first: u64,
    /// Number behind its last record.
    pub(super) next: u64,
    /// Its size; behind it there may be the rest of a write that went wrong.
    pub(super) bytes: u64,
    /// When its first and last records were appended, as far as is known.
    pub(super) stored_ms: [i64; 2],
}

impl Segment {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            next: first,
            bytes: 0,
            stored_ms: [i64::MAX, i64::MIN],
        }
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}{SUFFIX}", self.first))
    }

    /// The numbers of all segments of a folder, in order. Other files are none of ours.
    pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let first = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            firsts.extend(first.and_then(|first| first.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Learns size and times from the file. `next` is the first number of the segment behind it; the last one has none,
    /// and is cut behind its last whole record.
    pub(super) fn inspect(first: u64, next: Option<u64>, folder: &Path) -> io::Result<Self> {
        let mut segment = Self::new(first);
        let path = segment.path(folder);
        segment.bytes = std::fs::metadata(&path)?.len();
        let Some(next) = next else {
            let bytes = segment.load_all(folder)?;
            let (end, last) = record::whole_end(&bytes);
            segment.next = last.map_or(first, |head| head.seq + 1);
            segment.set_times(&bytes);
            if end < bytes.len() {
                tracing::warn!(
                    file = %path.display(),
                    bytes = bytes.len() - end,
                    "the file ends in an unfinished record, which is cut off"
                );
                OpenOptions::new().write(true).open(&path)?.set_len(end as u64)?;
            }
            segment.bytes = end as u64;
            return Ok(segment);
        };
        segment.next = next;
        let head = File::open(&path).ok().and_then(|file| record::head_at(&file, 0));
        if let Some(head) = head {
            // How new its last record is, the next segment tells.
            segment.note(head.stored_ms);
        } else {
            let bytes = segment.load_all(folder)?;
            segment.set_times(&bytes);
        }
        Ok(segment)
    }

    fn set_times(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some((record::Found::Whole(head, _) | record::Found::Damaged(head), end)) =
            record::next(bytes, at)
        {
            self.note(head.stored_ms);
            at = end;
        }
    }

    /// Extends its times.
    pub(super) fn note(&mut self, stored_ms: i64) {
        let [first, last] = self.stored_ms;
        self.stored_ms = [first.min(stored_ms), last.max(stored_ms)];
    }

    /// Opens it for appending; it comes about where it is not there, and so does the folder.
    pub(super) fn open(&self, folder: &Path) -> io::Result<Arc<File>> {
        std::fs::create_dir_all(folder)?;
        let path = self.path(folder);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // The name too has to survive a loss of power.
        File::open(folder)?.sync_all()?;
        Ok(Arc::new(file))
    }

    /// Reads from this place on, so much at most; says how much it was.
    pub(super) fn load(&self, folder: &Path, from: u64, most: u64, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let mut file = File::open(self.path(folder))?;
        file.seek(io::SeekFrom::Start(from))?;
        file.take(self.bytes.saturating_sub(from).min(most))
            .read_to_end(bytes)
    }

    fn load_all(&self, folder: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.load(folder, 0, u64::MAX, &mut bytes)?;
        Ok(bytes)
    }

    /// Samples in records that `counts` says yes to; those of records that cannot be read are unknown.
    pub(super) fn samples(&self, folder: &Path, counts: impl Fn(u64) -> bool) -> usize {
        let bytes = self.load_all(folder).unwrap_or_default();
        let (mut at, mut samples) = (0, 0);
        while let Some((record::Found::Whole(head, _) | record::Found::Damaged(head), end)) =
            record::next(&bytes, at)
        {
            if counts(head.seq) {
                samples += head.samples as usize;
            }
            at = end;
        }
        samples
    }

    pub(super) fn remove(&self, folder: &Path) -> io::Result<()> {
        match std::fs::remove_file(self.path(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}
