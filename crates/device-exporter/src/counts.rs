//! What one device and its models did, added up. It only grows.

use crate::protocol::{Label, Level, Reason, ResetReason};

/// What one device did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) frames: u64,
    pub(crate) rejected: [u64; Reason::ALL.len()],
    pub(crate) lost: u64,
    pub(crate) reconnects: u64,
    pub(crate) resets: [u64; ResetReason::ALL.len()],
    pub(crate) opened: u64,
    pub(crate) panics: u64,
    pub(crate) logs: [u64; Level::ALL.len()],
    pub(crate) logs_dropped: u64,
    pub(crate) series_dropped: u64,
}

/// A model as it runs on one device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelKey {
    pub(crate) model: Label,
    pub(crate) platform: Label,
    pub(crate) quantization: Label,
}

/// What a model did on one device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelTotals {
    pub(crate) tokens: u64,
    pub(crate) seconds: f64,
    pub(crate) joules: f64,
}

impl ModelTotals {
    /// Tokens, seconds, joules.
    pub(crate) const SERIES: usize = 3;
}

impl Counts {
    /// Whether the device started since counting began.
    pub(crate) fn has_started(&self) -> bool {
        self.opened > 0 || self.resets.iter().any(|resets| *resets > 0)
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        let add = |sums: &mut [u64], others: &[u64]| {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = sum.saturating_add(*other);
            }
        };
        add(&mut self.rejected, &other.rejected);
        add(&mut self.resets, &other.resets);
        add(&mut self.logs, &other.logs);
        self.frames += other.frames;
        self.lost = self.lost.saturating_add(other.lost);
        self.reconnects += other.reconnects;
        self.opened += other.opened;
        self.panics += other.panics;
        self.logs_dropped += other.logs_dropped;
        self.series_dropped += other.series_dropped;
    }
}
