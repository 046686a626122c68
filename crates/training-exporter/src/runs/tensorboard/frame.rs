//! The frames of event files, the `TFRecord` format:
//! <https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details>.
//!
//! A frame is the length of its content (u64, little-endian), a checksum of the length, the content, and a checksum of
//! the content. Checksums are CRC-32C, rotated and moved by a constant, so that a checksum of checksums is no problem.

/// A longer content is passed over, in bytes: scalars are far shorter, images and graphs are not wanted.
const LONGEST: usize = 512 * 1024;
const HEADER: usize = 12;
const FOOTER: usize = 4;

/// What was found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A content whose checksum is right.
    Content(&'a [u8]),
    /// A content whose checksum is wrong, or bytes that are no frame at all; once for each stretch of them.
    Damage,
}

/// Cuts a file into frames, piece by piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// How many bytes are still to be passed over.
    skip: u64,
    /// The last bytes were no frame; where the next one begins is searched.
    is_lost: bool,
}

impl Frames {
    /// Hands over the whole frames that the piece begins with, and says how many bytes they were. A frame that is not
    /// whole is left for the next piece, which begins with it.
    pub(super) fn take(&mut self, piece: &[u8], found: &mut dyn FnMut(Found<'_>)) -> usize {
        let mut rest = piece;
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
            self.skip -= skipped as u64;
            rest = &rest[skipped..];
            let Some((header, behind)) = rest.split_first_chunk::<HEADER>() else {
                break;
            };
            let Some(length) = length(header) else {
                if !std::mem::replace(&mut self.is_lost, true) {
                    found(Found::Damage);
                }
                rest = &rest[1..];
                continue;
            };
            self.is_lost = false;
            let Some(length) = usize::try_from(length).ok().filter(|length| *length <= LONGEST) else {
                self.skip = length.saturating_add(FOOTER as u64);
                rest = behind;
                continue;
            };
            let Some((content, behind)) = behind.split_at_checked(length) else {
                break;
            };
            let Some((footer, behind)) = behind.split_first_chunk::<FOOTER>() else {
                break;
            };
            let is_right = masked(content) == u32::from_le_bytes(*footer);
            found(if is_right {
                Found::Content(content)
            } else {
                Found::Damage
            });
            rest = behind;
        }
        piece.len() - rest.len()
    }
}

/// The length in a header whose checksum is right.
fn length(header: &[u8; HEADER]) -> Option<u64> {
    let (length, checksum) = header.split_first_chunk::<8>()?;
    let checksum = u32::from_le_bytes(checksum.try_into().ok()?);
    (masked(length) == checksum).then(|| u64::from_le_bytes(*length))
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let checksum = masked(&length).to_le_bytes();
    [&length[..], &checksum, content, &masked(content).to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The file handed over in pieces of these sizes, as the follower does.
    fn cut(file: &[u8], mut sizes: impl Iterator<Item = usize>) -> (Vec<Vec<u8>>, u32) {
        let mut frames = Frames::default();
        let (mut start, mut end) = (0, 0);
        let (mut contents, mut damages) = (Vec::new(), 0);
        while end < file.len() {
            end = (end + sizes.next().unwrap_or(file.len()).max(1)).min(file.len());
            start += frames.take(&file[start..end], &mut |found| match found {
                Found::Content(content) => contents.push(content.to_vec()),
                Found::Damage => damages += 1,
            });
        }
        (contents, damages)
    }

    #[test]
    fn the_checksum_is_that_of_tensorflow() {
        // The header of every first record that TensorFlow writes: a file version of 24 bytes.
        assert_eq!(masked(&24_u64.to_le_bytes()), 0x224b_7fa3);
    }

    #[test]
    fn damage_is_told_once_and_reading_goes_on_behind_it() {
        let mut bad_content = frame(b"bad");
        bad_content[HEADER] ^= 1;
        let file = [
            frame(b"one"),
            bad_content,
            frame(b"two"),
            b"no frame at all, longer than a header".to_vec(),
            frame(b"three"),
        ];
        let (contents, damages) = cut(&file.concat(), std::iter::empty());
        assert_eq!(contents, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(damages, 2);
    }

    #[test]
    fn a_torn_tail_waits() {
        let whole = frame(b"content");
        for end in 0..whole.len() {
            assert_eq!(Frames::default().take(&whole[..end], &mut |_| panic!("{end}")), 0);
        }
    }

    #[test]
    fn what_is_very_long_is_passed_over() {
        let file = [frame(b"one"), frame(&vec![7; LONGEST + 1]), frame(b"two")].concat();
        let (contents, damages) = cut(&file, std::iter::repeat(1000));
        assert_eq!((contents, damages), (vec![b"one".to_vec(), b"two".to_vec()], 0));
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_file_is_cut(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..10),
            sizes in proptest::collection::vec(1..50_usize, 1..50),
        ) {
            let file: Vec<u8> = contents.iter().flat_map(|content| frame(content)).collect();
            prop_assert_eq!(cut(&file, sizes.into_iter().cycle()), (contents, 0));
        }

        #[test]
        fn any_bytes_are_taken_and_the_frame_behind_them_is_found(noise: Vec<u8>, sizes in proptest::collection::vec(1..50_usize, 1..9)) {
            let file = [noise, frame(b"behind")].concat();
            let (contents, _) = cut(&file, sizes.into_iter().cycle());
            prop_assert_eq!(contents, [b"behind".to_vec()]);
        }

        #[test]
        fn a_flipped_bit_costs_one_frame(at in 0..57_usize, bit in 0..8_u32) {
            let mut file = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
            file[at] ^= 1 << bit;
            let (contents, damages) = cut(&file, std::iter::empty());
            prop_assert!(contents.len() == 2 && damages == 1 || contents.len() < 2 && at >= 38, "{contents:?} {damages}");
        }
    }
}
