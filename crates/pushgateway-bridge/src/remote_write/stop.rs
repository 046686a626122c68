//! How the sender is told to end, and says that it did.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How far it is with ending.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Running,
    /// It ends when the spool is empty, or the receiver away.
    Emptying,
    /// It ends after the request that is under way.
    Hurrying,
    Ended,
}

impl Stop {
    /// Goes on to this stage; none is gone back to.
    pub(super) fn set(&self, stage: Stage) {
        let mut now = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        *now = stage.max(*now);
        self.changed.notify_all();
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this stage is reached, at most this long; says whether it was.
    pub(super) fn wait(&self, stage: Stage, most: Duration) -> bool {
        let now = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(now, most, |now| *now < stage);
        waited.is_ok_and(|(now, _)| *now >= stage)
    }
}
