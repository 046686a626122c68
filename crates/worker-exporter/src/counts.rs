//! What is counted of one worker, whatever its source.

use crate::main_log::line::{End, Reason};

/// Counters that begin at 0 when the worker is first seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Starts after the first one.
    pub(crate) restarts: u64,
    /// By [`Reason`], in the order of [`Reason::ALL`].
    pub(crate) exits: [u64; Reason::ALL.len()],
    /// Of the last exit, where it is known; 128 + n after signal n.
    pub(crate) last_exit_code: Option<i64>,
}

impl Counts {
    pub(crate) fn exits(&self, reason: Reason) -> u64 {
        self.exits[reason as usize]
    }

    pub(crate) fn end(&mut self, end: End) {
        self.exits[end.reason as usize] += 1;
        self.last_exit_code = end.code;
    }
}
