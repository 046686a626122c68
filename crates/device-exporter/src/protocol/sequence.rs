//! Sequence numbers of frames: what is missing between two of them did not arrive.

/// A gap that is wider is a counter that was set anew.
const WIDEST_GAP: u64 = 1_000_000;

/// The last number.
#[derive(Debug, Default)]
pub(super) struct Sequence(Option<u64>);

impl Sequence {
    /// Takes the next number and returns how many are missing before it.
    ///
    /// A number that is not above the last one is a counter that began anew: after a reset, or as it ran over.
    pub(super) fn next(&mut self, number: u64) -> u64 {
        let last = self.0.replace(number);
        let missing = last
            .and_then(|last| number.checked_sub(last)?.checked_sub(1))
            .unwrap_or(0);
        if missing > WIDEST_GAP { 0 } else { missing }
    }

    /// The device started anew.
    pub(super) fn restart(&mut self) {
        self.0 = None;
    }
}
