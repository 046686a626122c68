//! One source of workers, whatever its kind: looks at it are shared, and taken beside the scrapes too.
//!
//! A look is taken for every scrape and every two seconds beside it, so that counting does not depend on who
//! scrapes how often.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use supervisor::ProcessState;

use crate::counts::Counts;
use crate::ledger::Id;
use crate::main_log::Method;
use crate::usage::Usage;

/// Between a look for a scrape and the next one beside it.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Something that knows workers: a supervisord, a systemd, a container engine.
pub(crate) trait Watch: Send {
    /// Its workers now, or why it does not tell.
    fn look(&mut self) -> Result<Vec<Worker>, String>;

    /// The process of the source itself, where it is known and its workers are below it.
    fn process(&self) -> Option<u32> {
        None
    }
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: Id,
    /// In supervisord's words, whatever the source.
    pub(crate) state: ProcessState,
    /// Since the last start; absent while there is no process.
    pub(crate) uptime_seconds: Option<f64>,
    /// What its own health check says; absent without one and before its first answer.
    pub(crate) healthy: Option<bool>,
    pub(crate) counts: Counts,
    pub(crate) method: Method,
    pub(crate) usage: Usage,
}

/// One source.
pub(crate) struct Source {
    address: String,
    state: Mutex<State>,
}

/// What one look saw.
pub(crate) struct Observation {
    taken: Instant,
    took: Duration,
    /// Its workers, or why the source did not tell.
    pub(crate) workers: Result<Vec<Worker>, String>,
    /// All its workers, as of its last answer.
    pub(crate) known: Vec<Id>,
    /// See [`Watch::process`].
    pub(crate) process: Option<u32>,
}

struct State {
    watch: Box<dyn Watch>,
    last: Option<Arc<Observation>>,
}

impl Source {
    /// `address` without credentials.
    pub(crate) fn new(address: String, watch: Box<dyn Watch>) -> Self {
        let state = Mutex::new(State { watch, last: None });
        Self { address, state }
    }

    /// The address, without credentials.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Takes a look unless one was taken just now. Of a supervisord with a thousand processes an answer
    /// takes a second of its only thread: it is left alone for ten times as long as it took.
    pub(crate) fn observe_when_due(&self) {
        let last = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last
            .clone();
        let pause = last
            .as_ref()
            .filter(|last| last.workers.is_ok())
            .map_or(Duration::ZERO, |last| last.took * 10);
        if last.is_none_or(|last| last.taken.elapsed() >= pause.max(SHORTEST_PAUSE)) {
            self.observe();
        }
    }

    /// Takes a look, or shares the one that was taken while this call waited its turn.
    pub(crate) fn observe(&self) -> Arc<Observation> {
        let asked = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = state.last.as_ref().filter(|last| last.taken >= asked) {
            return Arc::clone(last);
        }
        let begun = Instant::now();
        let workers = state.watch.look();
        let known = match (&workers, &state.last) {
            (Ok(workers), _) => workers.iter().map(|worker| worker.id.clone()).collect(),
            (Err(_), Some(last)) => last.known.clone(),
            (Err(_), None) => Vec::new(),
        };
        let observation = Arc::new(Observation {
            taken: Instant::now(),
            took: begun.elapsed(),
            workers,
            known,
            process: state.watch.process(),
        });
        state.last = Some(Arc::clone(&observation));
        observation
    }
}

/// Where procfs and sysfs are mounted.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    pub(crate) procfs: PathBuf,
    pub(crate) sysfs: PathBuf,
}
