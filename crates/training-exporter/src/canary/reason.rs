//! Why a decision is as it is.

use serde::{Deserialize, Serialize};

/// One reason, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind it is.
    pub cause: Cause,
    /// The same in words, with the figures.
    pub text: String,
}

impl Reason {
    pub(super) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self {
            cause,
            text: text.into(),
        }
    }
}

/// What kinds of reasons there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing was measured yet.
    NoResult,
    /// No baseline was accepted.
    NoBaseline,
    /// The baseline is not the one that was accepted.
    BaselineChanged,
    /// The result is older than [`stale_after_seconds`](super::Limits::stale_after_seconds).
    Stale,
    /// The result is from the future.
    FromTheFuture,
    /// The result is of fewer samples than it takes.
    TooFewSamples,
    /// The result is of other apps than the baseline.
    OtherApps,
    /// The result is older than the newest checkpoint.
    OlderThanCheckpoint,
    /// The last run yielded no result.
    RunFailed,
    /// Beyond the limit, in two results or more.
    BeyondLimit,
    /// Beyond the limit for the first time.
    BeyondLimitOnce,
    /// Worse, but within the limit.
    Worse,
    /// One of the apps is beyond the limit.
    AppWorse,
}

impl Cause {
    /// Those that make a decision inconclusive.
    pub(super) const INCONCLUSIVE: [Self; 9] = [
        Self::NoResult,
        Self::NoBaseline,
        Self::BaselineChanged,
        Self::Stale,
        Self::FromTheFuture,
        Self::TooFewSamples,
        Self::OtherApps,
        Self::OlderThanCheckpoint,
        Self::RunFailed,
    ];

    /// The word for it, as on the page and in the record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoResult => "no_result",
            Self::NoBaseline => "no_baseline",
            Self::BaselineChanged => "baseline_changed",
            Self::Stale => "stale",
            Self::FromTheFuture => "from_the_future",
            Self::TooFewSamples => "too_few_samples",
            Self::OtherApps => "other_apps",
            Self::OlderThanCheckpoint => "older_than_checkpoint",
            Self::RunFailed => "run_failed",
            Self::BeyondLimit => "beyond_limit",
            Self::BeyondLimitOnce => "beyond_limit_once",
            Self::Worse => "worse",
            Self::AppWorse => "app_worse",
        }
    }

    /// Whether a result that this stands against should not become the baseline.
    pub(super) const fn speaks_against_accepting(self) -> bool {
        matches!(
            self,
            Self::Stale
                | Self::FromTheFuture
                | Self::TooFewSamples
                | Self::OlderThanCheckpoint
                | Self::RunFailed
        )
    }

    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::NoResult => "wait for the first result",
            Self::NoBaseline => "accept the result as the baseline, if the model is as it should be",
            Self::BaselineChanged => "put the accepted baseline back, or accept a new one",
            Self::Stale => "find out why there is no newer result",
            Self::FromTheFuture => "set the clock, or correct the timestamps of the results",
            Self::TooFewSamples => "measure more samples, or lower min_samples",
            Self::OtherApps => "measure the apps of the baseline, or accept a baseline of these",
            Self::OlderThanCheckpoint => "wait for a result of the newest checkpoint, or measure more often",
            Self::RunFailed => "repair what runs the canary set",
            Self::BeyondLimit => "roll back to the previous checkpoint",
            Self::BeyondLimitOnce => "wait for the next result before anything is rolled back",
            Self::Worse | Self::AppWorse => "keep an eye on it",
        }
    }
}
