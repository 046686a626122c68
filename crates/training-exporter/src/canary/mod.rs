//! The canary set: a few tasks that a model must not forget while it goes on learning.
//!
//! Runs the user's command on a schedule, or reads the file of results that another schedule writes, and holds each
//! result to a baseline that a person accepted. What comes out is a state, pass, degraded, fail or inconclusive, on the
//! page and as a record beside the run. Nothing is ever done about it here.
//!
//! Reads and writes the set's folder (`folder.rs`); the command runs with the exporter's own rights.
//! `docs/training.md` explains the rules, `docs/canary-result.schema.json` what a result looks like.

mod baseline;
mod checkpoint;
mod compare;
mod decide;
mod decision;
mod folder;
mod job;
mod keeper;
mod measurement;
mod page;
mod reason;
mod results;
mod settings;
mod source;
mod standing;
mod status;

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use exporter::{CollectError, Collector, Family};

use self::keeper::{Keeper, Surroundings, lock};
use crate::clock::unix;
use crate::errors::ReadErrors;

pub use self::baseline::{Baseline, Pin};
pub use self::checkpoint::{Checkpoint, NewestCheckpoint};
pub use self::compare::{AppComparison, Comparison, Direction};
pub use self::decision::{Decision, Limits, State};
pub use self::measurement::Measurement;
pub use self::reason::{Cause, Reason};
pub use self::results::{Outcome, Results, Run};
pub(crate) use self::settings::{Entry, Settings};
pub use self::standing::{Good, Standing};
pub use self::status::{Acceptance, Accepted, Status, accept_baseline, status};

/// A thread that says nothing for so long hangs in a file system.
const SILENCE: Duration = Duration::from_mins(2);

/// The collector. A clone is another handle on the same canary set, with which its settings can be changed.
#[derive(Clone)]
pub(crate) struct Canary(Arc<Inner>);

struct Inner {
    around: Surroundings,
    /// Only look at what is there, run and write nothing.
    once: bool,
    watch: Mutex<Option<Watch>>,
}

/// The thread that keeps a canary set.
struct Watch {
    settings: Settings,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Canary {
    /// No canary set yet. With `once`, one that is applied is looked at, and nothing is run or written.
    pub(crate) fn new(newest_checkpoint: NewestCheckpoint, errors: &ReadErrors, once: bool) -> Self {
        Self(Arc::new(Inner {
            around: Surroundings {
                newest_checkpoint,
                errors: errors.of("canary", &["torn", "invalid", "too_large", "unreadable"]),
                board: Arc::default(),
            },
            once,
            watch: Mutex::default(),
        }))
    }

    /// Changes to these settings, or to none. What they leave as it is goes on.
    pub(crate) fn apply(&self, settings: Option<Settings>) -> io::Result<()> {
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.as_ref().map(|watch| &watch.settings) == settings.as_ref() {
            return Ok(());
        }
        // Its command ends before another begins.
        *watch = None;
        lock(&self.0.around.board).shown = None;
        let around = self.0.around.clone();
        *watch = match settings {
            Some(settings) if self.0.once => Some(Watch::look(settings, around)),
            Some(settings) => Some(Watch::start(settings, around)?),
            None => None,
        };
        Ok(())
    }
}

impl Watch {
    fn look(settings: Settings, around: Surroundings) -> Self {
        Keeper::new(settings.clone(), around).look(now());
        Self {
            settings,
            stop: None,
            thread: None,
        }
    }

    fn start(settings: Settings, around: Surroundings) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let watched = settings.clone();
        let thread = std::thread::Builder::new()
            .name("canary".to_owned())
            .spawn(move || {
                let mut keeper = Keeper::new(watched, around);
                loop {
                    let pause = keeper.step(now());
                    if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        keeper.end();
                        return;
                    }
                }
            })?;
        Ok(Self {
            settings,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    /// The command that runs is ended here: nobody would otherwise, since it has a process group of its own.
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too, and has said so.
            let _ = thread.join();
        }
    }
}

impl Collector for Canary {
    fn name(&self) -> &'static str {
        "canary"
    }

    /// Asks nobody: the page shows what the set's own thread found.
    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watch) = &*watch else {
            return Err(CollectError::absent("no canary set is configured"));
        };
        if watch.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Err(anyhow!("the canary set's thread ended by a panic; the log has it").into());
        }
        let board = lock(&self.0.around.board);
        let shown = board.shown.as_ref();
        if watch.thread.is_some() && shown.is_some_and(|shown| shown.at.elapsed() > SILENCE) {
            let folder = watch.settings.folder.display();
            return Err(anyhow!("{folder}: the file system has not answered for {SILENCE:?}").into());
        }
        let families = page::families(&board);
        match shown.and_then(|shown| shown.trouble.clone()) {
            Some(trouble) => Err(CollectError::Partly(families, anyhow!(trouble))),
            None => Ok(families),
        }
    }
}

fn now() -> f64 {
    unix(SystemTime::now())
}

#[cfg(test)]
mod tests;
