//! What goes on from one decision to the next.

use serde::{Deserialize, Serialize};

use super::baseline::Pin;
use super::checkpoint::Checkpoint;
use super::compare::Comparison;
use super::decision::Limits;
use super::measurement::Measurement;

/// What goes on from one decision to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Hash of the baseline that the rest is about.
    baseline: Option<String>,
    /// Hash of the last result that was compared.
    pub(super) counted: Option<String>,
    /// How many results in a row were beyond the limit.
    pub failures: u32,
    /// The drop of the last one, if it was beyond the limit.
    pub(super) held: Option<f64>,
    /// The last result within the limit.
    pub last_good: Option<Good>,
}

/// A result within the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Good {
    /// When it was measured, Unix time in seconds.
    pub timestamp: f64,
    /// What was measured.
    pub checkpoint: Option<Checkpoint>,
}

impl Standing {
    /// What still holds with this baseline: another one begins anew, one that was tampered with changes nothing.
    pub(super) fn with(&self, pin: &Pin) -> Self {
        match pin {
            Pin::Changed(_) => self.clone(),
            Pin::Accepted(baseline) if self.baseline.as_ref() == Some(&baseline.sha256) => self.clone(),
            Pin::Accepted(baseline) => Self {
                baseline: Some(baseline.sha256.clone()),
                ..Self::default()
            },
            Pin::Missing => Self::default(),
        }
    }

    /// Takes in a result that can be compared, once.
    pub(super) fn count(&mut self, result: &Measurement, comparison: &Comparison, limits: &Limits) {
        let hash = result.sha256();
        let is_beyond = comparison.degradation > limits.drop;
        if self.counted.as_ref() != Some(&hash) {
            self.failures = if is_beyond {
                self.failures.saturating_add(1)
            } else {
                0
            };
            self.counted = Some(hash);
        }
        self.held = is_beyond.then_some(comparison.degradation);
        if !is_beyond {
            self.last_good = Some(Good {
                timestamp: result.timestamp,
                checkpoint: result.checkpoint.clone(),
            });
        }
    }
}
