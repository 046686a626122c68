//! The states of processes and of supervisord itself.

use std::fmt;

use crate::value::{Value, ValueError};

/// The state of a process, with supervisord's own codes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProcessState {
    /// 0: stopped by hand, or never started.
    Stopped,
    /// 10: started, not yet up for `startsecs`.
    Starting,
    /// 20: up for longer than `startsecs`.
    Running,
    /// 30: ended before `startsecs`, will be tried again.
    Backoff,
    /// 40: told to stop, not yet gone.
    Stopping,
    /// 100: ended by itself.
    Exited,
    /// 200: could not be started, given up.
    Fatal,
    /// 1000, and any code that this list lacks.
    Unknown,
}

impl ProcessState {
    /// All states, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Stopping,
        Self::Exited,
        Self::Fatal,
        Self::Unknown,
    ];

    /// The state with this code.
    pub fn from_code(code: i64) -> Self {
        Self::ALL
            .into_iter()
            .find(|state| state.code() == code)
            .unwrap_or(Self::Unknown)
    }

    /// supervisord's code.
    pub fn code(self) -> i64 {
        match self {
            Self::Stopped => 0,
            Self::Starting => 10,
            Self::Running => 20,
            Self::Backoff => 30,
            Self::Stopping => 40,
            Self::Exited => 100,
            Self::Fatal => 200,
            Self::Unknown => 1000,
        }
    }

    /// supervisord's own name, as `supervisorctl` shows it.
    pub fn statename(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Backoff => "BACKOFF",
            Self::Stopping => "STOPPING",
            Self::Exited => "EXITED",
            Self::Fatal => "FATAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
            Self::Fatal => "fatal",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of supervisord itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerState {
    /// 2: something went badly wrong.
    Fatal,
    /// 1: works as it should.
    Running,
    /// 0: restarts.
    Restarting,
    /// -1: shuts down.
    Shutdown,
    /// Any other code.
    Other(i64),
}

impl ServerState {
    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        Ok(match value.into_members("state")?.int("statecode")? {
            2 => Self::Fatal,
            1 => Self::Running,
            0 => Self::Restarting,
            -1 => Self::Shutdown,
            code => Self::Other(code),
        })
    }
}
