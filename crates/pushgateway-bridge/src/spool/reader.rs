//! Reads records in order, passing over those that are done with and those that are damaged.

use super::record::{self, Found};
use super::segment::Segment;
use super::{Inner, Spool};
use crate::tally::Loss;

/// How much is read of a file at once.
const CHUNK: u64 = 256 << 10;

/// A place in the spool, with what stands around it.
#[derive(Debug, Default)]
pub struct Reader {
    segment: Option<u64>,
    /// A part of the segment, from this place of the file on.
    bytes: Vec<u8>,
    base: u64,
    /// The place in that part, and the least number of the record there.
    at: usize,
    next: u64,
}

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// How many samples it holds.
    pub samples: usize,
    /// When it was appended, in milliseconds of Unix time.
    pub stored_ms: i64,
    /// Time of its newest sample.
    pub newest_ms: i64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// What the segment says about a number.
enum Sought {
    Whole(Entry),
    /// The records from the one sought up to and without this one are lost, with so many samples as far as is known.
    Lost(u64, usize),
}

impl Spool {
    /// The first record that waits from `from` on and below `below`.
    pub fn read(&self, reader: &mut Reader, from: u64, below: u64) -> Option<Entry> {
        loop {
            let (seq, segment) = self.open_from(from, below)?;
            match reader.seek(self, &segment, seq) {
                Sought::Whole(entry) => return Some(entry),
                // Its segment was dropped, and the loss counted, between the two looks at it.
                Sought::Lost(..) if self.lock().done.contains(seq) => {}
                Sought::Lost(end, samples) => {
                    tracing::warn!(
                        file = %segment.path(&self.settings.folder).display(), records = end - seq, samples,
                        "records of the spool are damaged and left out"
                    );
                    self.tally.dropped(Loss::Corrupt, samples);
                    self.done(seq, end);
                }
            }
        }
    }

    fn open_from(&self, from: u64, below: u64) -> Option<(u64, Segment)> {
        let inner: &Inner = &self.lock();
        let seq = inner.done.next_open(from);
        if seq >= below.min(inner.next()) {
            return None;
        }
        let at = inner.segments.partition_point(|segment| segment.next <= seq);
        inner.segments.get(at).map(|segment| (seq, segment.clone()))
    }
}

impl Reader {
    fn seek(&mut self, spool: &Spool, segment: &Segment, seq: u64) -> Sought {
        if self.segment != Some(segment.first) || seq < self.next {
            *self = Self {
                segment: Some(segment.first),
                ..Self::default()
            };
        }
        loop {
            let is_all = self.base + self.bytes.len() as u64 >= segment.bytes;
            match record::next(&self.bytes, self.at) {
                // With more of the file it may be whole.
                None if !is_all => {}
                Some((Found::Damaged(_), end)) if !is_all && end == self.bytes.len() => {}
                None => return lost(seq, segment.next),
                Some((Found::Whole(head, _) | Found::Damaged(head), end)) if head.seq < seq => {
                    (self.at, self.next) = (end, head.seq + 1);
                    continue;
                }
                // The heads in between are damaged.
                Some((Found::Whole(head, _) | Found::Damaged(head), _)) if head.seq > seq => {
                    return lost(seq, head.seq.min(segment.next));
                }
                Some((found, end)) => {
                    (self.at, self.next) = (end, seq + 1);
                    return sought(found);
                }
            }
            if let Err(error) = self.load(spool, segment) {
                let file = segment.path(&spool.settings.folder);
                tracing::warn!(file = %file.display(), %error, "a file of the spool cannot be read");
                return lost(seq, segment.next);
            }
        }
    }

    /// Goes on in the file, and forgets what is behind.
    fn load(&mut self, spool: &Spool, segment: &Segment) -> std::io::Result<()> {
        self.bytes.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let from = self.base + self.bytes.len() as u64;
        let read = segment.load(&spool.settings.folder, from, CHUNK, &mut self.bytes)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn sought(found: Found<'_>) -> Sought {
    match found {
        Found::Whole(head, payload) => Sought::Whole(Entry {
            seq: head.seq,
            samples: head.samples as usize,
            stored_ms: head.stored_ms,
            newest_ms: head.newest_ms,
            payload: payload.to_vec(),
        }),
        Found::Damaged(head) => Sought::Lost(head.seq + 1, head.samples as usize),
    }
}

/// Of records without a head nothing is known; each held a sample at least.
fn lost(seq: u64, end: u64) -> Sought {
    Sought::Lost(end, usize::try_from(end - seq).unwrap_or(usize::MAX))
}
