//! How much the spool holds: what is done with, too much or too old leaves the disk, a segment at a time.

use super::segment::Segment;
use super::{Inner, Spool};
use crate::tally::Loss;

/// A full spool loses this part of itself at a time.
const PARTS: u64 = 256;
const LARGEST_SEGMENT: u64 = 2 << 20;
const SMALLEST_SEGMENT: u64 = 64 << 10;

impl Spool {
    fn segment_size(&self) -> u64 {
        (self.settings.size / PARTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT)
    }

    /// Segments are closed when they are large, and when they span so much time that they could not be dropped by age
    /// without dropping much too much.
    pub(super) fn is_to_be_closed(&self, inner: &Inner, more: u64, now_ms: i64) -> bool {
        let Some(last) = inner.segments.back() else {
            return false;
        };
        let span = i64::try_from(self.settings.age.as_millis() / 16).unwrap_or(i64::MAX);
        last.bytes > 0
            && (last.bytes + more > self.segment_size() || now_ms.saturating_sub(last.stored_ms[0]) > span)
    }

    /// Drops the oldest segments beyond the size.
    pub(super) fn keep_size(&self, inner: &mut Inner) {
        while inner.segments.len() > 1 && inner.bytes() > self.settings.size {
            self.drop_oldest(inner, Loss::Size);
        }
    }

    /// Drops the oldest segments beyond the age. It is for those who are sure what time it is: a clock that is set wrong
    /// would cost all that waits.
    pub fn drop_old(&self, now_ms: i64) {
        let age = i64::try_from(self.settings.age.as_millis()).unwrap_or(i64::MAX);
        let cutoff = now_ms.saturating_sub(age);
        let mut inner = self.lock();
        while let (Some(oldest), Some(behind)) = (inner.segments.front(), inner.segments.get(1))
            && oldest.stored_ms[1].max(behind.stored_ms[0]) < cutoff
        {
            self.drop_oldest(&mut inner, Loss::Age);
        }
    }

    fn drop_oldest(&self, inner: &mut Inner, reason: Loss) {
        let Some(dropped) = inner.segments.pop_front() else {
            return;
        };
        let lost = dropped.samples(&self.settings.folder, |seq| !inner.done.contains(seq));
        if lost > 0 {
            tracing::warn!(
                reason = reason.label(),
                samples = lost,
                "samples that waited were dropped"
            );
            self.tally.dropped(reason, lost);
        }
        inner.done.insert(dropped.first, dropped.next);
        self.remove(&dropped);
    }

    /// Removes segments whose records are all done with.
    pub(super) fn remove_finished(&self, inner: &mut Inner) {
        while inner.segments.len() > 1 {
            match inner.segments.front() {
                Some(oldest) if inner.done.covers(oldest.first, oldest.next) => {}
                _ => return,
            }
            if let Some(finished) = inner.segments.pop_front() {
                self.remove(&finished);
            }
        }
    }

    fn remove(&self, segment: &Segment) {
        if let Err(error) = segment.remove(&self.settings.folder) {
            let file = segment.path(&self.settings.folder);
            tracing::warn!(file = %file.display(), %error, "a file that is no longer needed stays");
        }
    }
}
