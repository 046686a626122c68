//! How a command ends.

use std::process::ExitCode;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and all is well.
    Healthy,
    /// Something is not well.
    Unhealthy,
    /// The inventory is wrong; nothing was touched.
    Refused,
    /// There is no running stack.
    NotRunning,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Healthy => 0,
            Exit::Unhealthy => 1,
            Exit::Refused => 2,
            Exit::NotRunning => 3,
        })
    }
}
