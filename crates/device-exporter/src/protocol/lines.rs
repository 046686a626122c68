//! Bytes to lines, in one bounded buffer.

use super::LONGEST_LINE;

/// What ended.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Piece<'a> {
    /// A line that is not empty.
    Line {
        /// Without its end.
        line: &'a [u8],
        /// Whether its beginning was seen: something ended before it.
        whole: bool,
    },
    /// A line grew beyond [`LONGEST_LINE`]. Said once; the rest of it is skipped.
    TooLong,
}

/// The line that is being received.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Its beginning, at most [`LONGEST_LINE`] bytes.
    begun: Vec<u8>,
    /// It was too long; everything up to its end is skipped.
    skipping: bool,
    /// A line has ended.
    ended: bool,
}

impl Lines {
    /// Hands every line that `bytes` complete to `take`. CR, LF and CRLF end a line.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(Piece<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = (&bytes[..end], &bytes[end + 1..]);
            bytes = tail;
            let whole = std::mem::replace(&mut self.ended, true);
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.begun.len() + head.len() > LONGEST_LINE {
                take(Piece::TooLong);
            } else if !self.begun.is_empty() {
                self.begun.extend_from_slice(head);
                take(Piece::Line {
                    line: &self.begun,
                    whole,
                });
            } else if !head.is_empty() {
                take(Piece::Line { line: head, whole });
            }
            self.begun.clear();
        }
        if self.skipping {
            return;
        }
        if self.begun.len() + bytes.len() > LONGEST_LINE {
            self.skipping = true;
            self.begun.clear();
            take(Piece::TooLong);
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// Whether a line has begun and not ended.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.feed(piece, |piece| {
                out.push(match piece {
                    Piece::Line { line, .. } => Some(line.to_vec()),
                    Piece::TooLong => None,
                });
            });
        }
        out
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line_once() {
        let all = lines([b"a\r\nb\rc\n\n\r\nd".as_slice()]);
        assert_eq!(
            all,
            [Some(b"a".to_vec()), Some(b"b".to_vec()), Some(b"c".to_vec())]
        );
    }

    #[test]
    fn a_flood_without_line_ends_counts_once_and_what_follows_is_read() {
        let flood = vec![b'x'; 1_000_000];
        assert_eq!(
            lines([flood.as_slice(), b"\nnext\n"]),
            [None, Some(b"next".to_vec())]
        );
        let longest = vec![b'x'; LONGEST_LINE];
        assert_eq!(lines([longest.as_slice(), b"\n"]), [Some(longest.clone())]);
        assert_eq!(
            lines([longest.as_slice(), b"x\n", b"y\n"]),
            [None, Some(b"y".to_vec())]
        );
    }

    #[test]
    fn a_line_is_whole_when_something_ended_before_it() {
        let whole = |text: &[u8]| {
            let mut found = Vec::new();
            Lines::default().feed(text, |piece| {
                found.push(matches!(piece, Piece::Line { whole: true, .. }));
            });
            found
        };
        assert_eq!(whole(b"a\nb\n"), [false, true]);
        assert_eq!(whole(b"\na\n"), [true]);
    }

    #[test]
    fn the_buffer_stays_small() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            lines.feed(&[b'x'; 1000], |_| {});
        }
        assert!(lines.begun.capacity() <= 2 * LONGEST_LINE);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(1..9_usize, 1..20),
        ) {
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            prop_assert_eq!(lines(pieces), lines([bytes.as_slice()]));
        }
    }
}
