//! One record of a segment: a head, then the payload, each with its checksum.
//!
//! The head has a checksum of its own, so that a damaged payload costs one record, and a mark and the sequence number,
//! so that a damaged head costs the records up to the next one that is whole.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Bytes of a head.
pub(super) const HEAD: usize = 44;
/// Heads begin with it.
const MARK: [u8; 4] = *b"MCR1";
/// No payload is larger; a head that says otherwise is damaged.
const MOST_PAYLOAD: usize = 64 << 20;

/// What a record says about its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) samples: u32,
    /// When it was appended, in milliseconds of Unix time.
    pub(super) stored_ms: i64,
    /// Time of its newest sample.
    pub(super) newest_ms: i64,
    length: u32,
    checksum: u32,
}

impl Head {
    /// How long its record is.
    pub(super) fn bytes(self) -> u64 {
        HEAD as u64 + u64::from(self.length)
    }
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record.
    Whole(Head, &'a [u8]),
    /// The payload is damaged or ends too early.
    Damaged(Head),
}

/// A record as it stands in a segment; `None` when the payload is too large.
pub(super) fn encode(
    seq: u64,
    samples: u32,
    [stored_ms, newest_ms]: [i64; 2],
    payload: &[u8],
) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MOST_PAYLOAD)?;
    let mut out = Vec::with_capacity(HEAD + payload.len());
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&samples.to_le_bytes());
    out.extend_from_slice(&stored_ms.to_le_bytes());
    out.extend_from_slice(&newest_ms.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out.extend_from_slice(payload);
    Some(out)
}

/// The head at the beginning of these bytes, if it is whole.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let (mark, rest) = bytes.get(..HEAD)?.split_first_chunk::<4>()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (samples, rest) = rest.split_first_chunk()?;
    let (stored_ms, rest) = rest.split_first_chunk()?;
    let (newest_ms, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let own = u32::from_le_bytes(*rest.first_chunk()?);
    let head = Head {
        seq: u64::from_le_bytes(*seq),
        samples: u32::from_le_bytes(*samples),
        stored_ms: i64::from_le_bytes(*stored_ms),
        newest_ms: i64::from_le_bytes(*newest_ms),
        length: u32::from_le_bytes(*length),
        checksum: u32::from_le_bytes(*checksum),
    };
    let is_whole = *mark == MARK
        && own == crc32fast::hash(bytes.get(..HEAD - 4)?)
        && head.length as usize <= MOST_PAYLOAD;
    is_whole.then_some(head)
}

/// The head at this place of a file, if it is whole.
pub(super) fn head_at(file: &File, place: u64) -> Option<Head> {
    let mut bytes = [0; HEAD];
    file.read_exact_at(&mut bytes, place).ok()?;
    head(&bytes)
}

/// The next record from this place on, and the place behind it. What is no record is passed over.
pub(super) fn next(bytes: &[u8], mut at: usize) -> Option<(Found<'_>, usize)> {
    loop {
        let rest = bytes.get(at..)?;
        let Some(head) = head(rest) else {
            // The next mark, or the end.
            at += 1 + rest.get(1..)?.windows(MARK.len()).position(|four| four == MARK)?;
            continue;
        };
        let end = HEAD + head.length as usize;
        return Some(match rest.get(HEAD..end) {
            Some(payload) if crc32fast::hash(payload) == head.checksum => {
                (Found::Whole(head, payload), at + end)
            }
            Some(_) => (Found::Damaged(head), at + end),
            // The length of a whole head is right: the file was cut.
            None => (Found::Damaged(head), bytes.len()),
        });
    }
}

/// Where the last whole record ends, and its head.
pub(super) fn whole_end(bytes: &[u8]) -> (usize, Option<Head>) {
    let (mut at, mut whole) = (0, (0, None));
    while let Some((found, end)) = next(bytes, at) {
        if let Found::Whole(head, _) = found {
            whole = (end, Some(head));
        }
        at = end;
    }
    whole
}
