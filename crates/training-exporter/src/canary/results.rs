//! The last run and the last result, which are kept over a restart.

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;

/// What is known of the canary set's runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The last run that ended, whatever it yielded.
    pub run: Option<Run>,
    /// The last result that a run yielded.
    pub result: Option<Measurement>,
}

/// One run of the command, or one version of the file of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// When it began, Unix time in seconds.
    pub started_at: f64,
    /// When it ended.
    pub ended_at: f64,
    /// How it went.
    pub outcome: Outcome,
    /// Why it yielded no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It yielded a result.
    Ok,
    /// It ended with an error or by a signal.
    Failed,
    /// It took too long.
    Timeout,
    /// What it yielded is no result.
    Invalid,
    /// It printed too much.
    TooLarge,
    /// It could not be started.
    NotStarted,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] = [
        Self::Ok,
        Self::Failed,
        Self::Timeout,
        Self::Invalid,
        Self::TooLarge,
        Self::NotStarted,
    ];

    /// The word for it, as on the page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::NotStarted => "not_started",
        }
    }
}

/// A run that ended, and its result.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) run: Run,
    pub(super) result: Option<Measurement>,
    /// The end of what a command wrote to standard error, for the log.
    pub(super) stderr: Option<String>,
}

impl Attempt {
    /// A run from then until now. What went wrong decides the outcome.
    pub(super) fn new(started_at: f64, ended_at: f64, ended: Result<Measurement, (Outcome, String)>) -> Self {
        let (outcome, error, result) = match ended {
            Ok(result) => (Outcome::Ok, None, Some(result)),
            Err((outcome, error)) => (outcome, Some(error), None),
        };
        Self {
            run: Run {
                started_at,
                ended_at,
                outcome,
                error,
            },
            result,
            stderr: None,
        }
    }
}
