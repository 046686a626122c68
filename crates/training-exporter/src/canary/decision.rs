//! The record of a decision, which is written beside the run. Nothing acts on it but people.

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::compare::{Comparison, Direction};
use super::reason::{Cause, Reason};
use super::standing::Standing;

/// How the canary set does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As well as the baseline, or nearly.
    Pass,
    /// Worse, but within the limit; or beyond it once.
    Degraded,
    /// Beyond the limit in two results in a row.
    Fail,
    /// Not known.
    Inconclusive,
}

impl State {
    pub(super) const ALL: [Self; 4] = [Self::Pass, Self::Degraded, Self::Fail, Self::Inconclusive];

    /// The word for it, as on the page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Degraded => "degraded",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What a result is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The drop from the baseline that is forgetting: 0.1 is a tenth.
    pub drop: f64,
    /// Which figures are better.
    pub direction: Direction,
    /// Results of fewer samples decide nothing.
    pub min_samples: u64,
    /// A result is stale when it is older, in seconds.
    pub stale_after_seconds: f64,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// How the canary set does.
    pub state: State,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What to do now, in words.
    pub recommendation: String,
    /// When it was made, Unix time in seconds.
    pub decided_at: f64,
    /// What `canary_set_performance_degradation` is; absent where that is.
    pub degradation: Option<f64>,
    /// The result beside the baseline.
    pub comparison: Option<Comparison>,
    /// Hash of the last result.
    pub result_sha256: Option<String>,
    /// Hash of the baseline.
    pub baseline_sha256: Option<String>,
    /// The newest checkpoint that the training reported.
    pub newest_checkpoint: Option<Checkpoint>,
    /// What the result was held to.
    pub limits: Limits,
    /// What the next decision begins with.
    pub standing: Standing,
}

impl Decision {
    pub(super) fn has(&self, cause: Cause) -> bool {
        self.reasons.iter().any(|reason| reason.cause == cause)
    }

    /// Whether the same evidence speaks for both, so that the second is no news.
    pub(super) fn repeats(&self, earlier: &Self) -> bool {
        let causes = |decision: &Self| {
            decision
                .reasons
                .iter()
                .map(|reason| reason.cause)
                .collect::<Vec<_>>()
        };
        self.state == earlier.state
            && causes(self) == causes(earlier)
            && self.result_sha256 == earlier.result_sha256
            && self.baseline_sha256 == earlier.baseline_sha256
    }
}
