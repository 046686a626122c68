//! `latest_metrics.json`, which a trainer writes anew after each step: `cet_*`.
//!
//! Needs the right to read the file and, to tell a crash, the trainer's process in procfs. Of the current phase there are
//! gauges, of all phases counters. The run behind the file is also one of `training_*`, called `cet`.

mod book;
mod page;
mod progress;
mod reading;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::anyhow;
use exporter::{CollectError, Collector, Family};

use crate::canary::{self, NewestCheckpoint};
use crate::clock::unix;
use crate::errors::{ReadErrors, SourceErrors};
use crate::ledger::Ledger;
use crate::runs::process::Processes;
use book::Book;
use watch::Watch;

/// The file's name in the storage folder.
const LEDGER: &str = "metrics.json";

/// The metrics file, watched. Cloning gives another handle.
#[derive(Clone)]
pub(crate) struct Cet(Arc<Mutex<State>>);

struct State {
    watch: Option<Watch>,
    ledger: Ledger<Book>,
    errors: SourceErrors,
    newest: NewestCheckpoint,
    processes: Processes,
}

impl Cet {
    /// Goes on from what is in the storage folder; `writes`: and keeps it there. `newest` is told of checkpoints.
    pub(crate) fn new(
        storage: &Path,
        writes: bool,
        procfs: &Path,
        errors: &ReadErrors,
        newest: NewestCheckpoint,
    ) -> Self {
        Self(Arc::new(Mutex::new(State {
            watch: None,
            ledger: Ledger::open(&storage.join(LEDGER), writes),
            errors: errors.of(
                "metrics",
                &["torn", "invalid", "too_large", "unreadable", "value"],
            ),
            newest,
            processes: Processes::new(procfs),
        })))
    }

    /// Watches this file, or none.
    pub(crate) fn apply(&self, path: Option<PathBuf>) {
        let mut state = self.state();
        if state.watch.as_ref().map(Watch::path) != path.as_deref() {
            state.watch = path.map(|path| Watch::new(path, state.errors.clone()));
            state.newest.set(None);
        }
    }

    /// Looks at the file.
    pub(crate) fn look(&self) {
        let state = &mut *self.state();
        if let Some(watch) = &mut state.watch {
            watch.look(state.ledger.live());
            let checkpoint = watch.current().and_then(|current| current.reading.checkpoint);
            state.newest.set(checkpoint.map(|checkpoint| canary::Checkpoint {
                id: None,
                step: checkpoint.step,
                timestamp: checkpoint.timestamp,
            }));
        }
    }

    /// Writes down what was counted.
    pub(crate) fn save(&self) {
        let pending = self.state().ledger.pending();
        if let Some(pending) = pending {
            let result = pending.write();
            self.state().ledger.written(pending, result);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Cet {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let state = self.state();
        let Some(watch) = &state.watch else {
            return Err(CollectError::absent("no metrics file is named by `metrics`"));
        };
        let mut families = page::counted(state.ledger.shown())?;
        if let Some(current) = watch.current() {
            families.extend(page::current(current));
            let now = unix(SystemTime::now());
            families.extend(watch.progress().families(now, current, &state.processes));
        }
        let trouble = watch
            .trouble()
            .map(|error| anyhow!("read {}: {error}", watch.path().display()));
        match trouble.or_else(|| state.ledger.trouble().map(|error| anyhow!("{error}"))) {
            Some(error) => Err(CollectError::Partly(families, error)),
            None => Ok(families),
        }
    }
}
