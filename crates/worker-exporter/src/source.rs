//! Asks one supervisord for its processes, reads its log, and reads what its workers use.
//!
//! One question (`getAllProcessInfo`) per look, and one for the log where its file cannot be read. A look is
//! taken for every scrape and every two seconds beside it, so that counting does not depend on who scrapes
//! how often.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use supervisor::{Endpoint, Error, ProcessInfo};

use crate::ledger::{Account, Id, Ledger, Witness};
use crate::link::Link;
use crate::main_log::{MainLog, Method};
use crate::usage::{Kinship, Meters, Usage};

/// Between a look for a scrape and the next one beside it.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// One supervisord.
pub(crate) struct Source {
    address: String,
    state: Mutex<State>,
}

/// What one look saw.
pub(crate) struct Observation {
    taken: Instant,
    took: Duration,
    /// Its processes, or why supervisord did not tell.
    pub(crate) workers: Result<Vec<Worker>, String>,
    /// All its processes, as of its last answer.
    pub(crate) known: Vec<Id>,
}

/// One process.
pub(crate) struct Worker {
    pub(crate) id: Id,
    pub(crate) process: ProcessInfo,
    pub(crate) account: Account,
    pub(crate) method: Method,
    pub(crate) usage: Usage,
}

struct State {
    link: Link,
    log: MainLog,
    ledger: Ledger,
    meters: Meters,
    /// supervisord's own process, asked for when it may have changed.
    pid: Option<u32>,
    last: Option<Arc<Observation>>,
    strangers: bool,
    strangers_logged: bool,
    /// Why the table of processes could not be read, so that it is logged once.
    trouble: Option<String>,
}

impl Source {
    pub(crate) fn new(endpoint: Endpoint, log: Option<&Path>, roots: &Roots) -> std::io::Result<Self> {
        Ok(Self {
            address: endpoint.to_string(),
            state: Mutex::new(State {
                link: Link::new(endpoint)?,
                log: MainLog::new(log),
                ledger: Ledger::default(),
                meters: Meters::new(&roots.procfs, &roots.sysfs),
                pid: None,
                last: None,
                strangers: false,
                strangers_logged: false,
                trouble: None,
            }),
        })
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
        let seen = state.look();
        state.report(&self.address, seen.is_ok());
        let workers = seen.map_err(|error| error.to_string());
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

impl State {
    fn look(&mut self) -> Result<Vec<Worker>, Error> {
        let Self {
            link, log, ledger, ..
        } = self;
        log.open(|bytes| link.end_of_log(bytes))?;
        let processes = link.processes()?;
        let (method, events) = log.events(|bytes| link.end_of_log(bytes));
        ledger.settle(&processes, events);
        let usages = self.usages(&processes);
        let worker = |(process, usage): (ProcessInfo, Usage)| {
            let id = Id::of(&process);
            let account = self.ledger.get(&id).cloned().unwrap_or_default();
            let method = if account.witness == Witness::Log {
                method
            } else {
                Method::Poll
            };
            Worker {
                id,
                process,
                account,
                method,
                usage,
            }
        };
        Ok(processes.into_iter().zip(usages).map(worker).collect())
    }

    fn usages(&mut self, processes: &[ProcessInfo]) -> Vec<Usage> {
        let remembered = self.pid.is_some();
        self.pid = self.pid.or_else(|| self.link.pid());
        let unknown = || vec![Usage::default(); processes.len()];
        let Some(pid) = self.pid else { return unknown() };
        match self.meters.read(pid, processes) {
            Ok((_, Kinship::Strangers)) if remembered && !self.strangers => {
                // supervisord may have been started anew since it was asked for its pid.
                self.pid = None;
                self.usages(processes)
            }
            Ok((usages, kinship)) => {
                self.strangers = kinship == Kinship::Strangers;
                self.trouble = None;
                usages
            }
            Err(error) => {
                let trouble = Some(error.to_string());
                if self.trouble != trouble {
                    tracing::warn!(
                        error = trouble,
                        "the table of processes cannot be read; is --path.procfs right? Memory, CPU time, threads \
                         and files stay unknown"
                    );
                }
                self.trouble = trouble;
                unknown()
            }
        }
    }

    /// Logs once that the processes cannot be found here. That supervisord is silent is told by the collector.
    fn report(&mut self, source: &str, answered: bool) {
        if !answered {
            self.pid = None;
            return;
        }
        if self.strangers && !self.strangers_logged {
            tracing::warn!(
                source,
                "the processes are not in this machine's table, or not as supervisord's children: is it in a \
                 container or elsewhere? Their memory, CPU time, threads and files stay unknown"
            );
        }
        self.strangers_logged = self.strangers;
    }
}
