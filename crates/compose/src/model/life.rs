//! When a service starts, is well and starts again.

use std::time::Duration;

use serde::Serialize;

/// How the engine asks whether a service works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Healthcheck {
    /// The engine's form: `CMD` and a program with arguments, `CMD-SHELL` and a line for the shell, or `NONE`.
    /// As the image says when empty.
    pub test: Vec<String>,
    /// The time between two questions.
    pub interval: Option<Duration>,
    /// The time for an answer.
    pub timeout: Option<Duration>,
    /// The time after the start in which failures do not count.
    pub start_period: Option<Duration>,
    /// The failures in a row that make the service unhealthy.
    pub retries: Option<u32>,
}

/// What a service waits for before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// What the other service must have reached.
    pub condition: Condition,
    /// Whether it must be there at all; otherwise its absence is fine.
    pub required: bool,
    /// Whether the service restarts when the other one was restarted or replaced.
    pub restart: bool,
}

/// What another service must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its healthcheck succeeds.
    Healthy,
    /// It has ended with exit status 0.
    Completed,
}

/// What happens when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// It starts again, even after the engine's own restart.
    Always,
    /// It starts again after a failure, as often as said or without end.
    OnFailure {
        /// How often at most.
        retries: Option<u32>,
    },
    /// It starts again unless it was stopped by hand.
    UnlessStopped,
}
