//! Asks one supervisord for its processes, reads its log, and reads what its workers use.
//!
//! One question (`getAllProcessInfo`) per look, and one for the log where its file cannot be read.

use std::path::Path;

use supervisor::{Endpoint, Error, ProcessInfo};

use crate::ledger::{Id, Ledger, Witness};
use crate::link::Link;
use crate::main_log::{MainLog, Method};
use crate::source::{Roots, Watch, Worker};
use crate::usage::{Kinship, Meters, Usage};

/// One supervisord.
pub(crate) struct Supervisord {
    address: String,
    link: Link,
    log: MainLog,
    ledger: Ledger,
    meters: Meters,
    /// supervisord's own process, asked for when it may have changed.
    pid: Option<u32>,
    /// The same, from the socket's other end.
    peer: Option<u32>,
    strangers: bool,
    strangers_logged: bool,
    /// Why the table of processes could not be read, so that it is logged once.
    trouble: Option<String>,
}

impl Supervisord {
    pub(crate) fn new(endpoint: Endpoint, log: Option<&Path>, roots: &Roots) -> std::io::Result<Self> {
        Ok(Self {
            address: endpoint.to_string(),
            link: Link::new(endpoint)?,
            log: MainLog::new(log),
            ledger: Ledger::default(),
            meters: Meters::new(&roots.procfs, &roots.sysfs),
            pid: None,
            peer: None,
            strangers: false,
            strangers_logged: false,
            trouble: None,
        })
    }
}

impl Watch for Supervisord {
    fn look(&mut self) -> Result<Vec<Worker>, String> {
        let seen = self.ask();
        self.report(seen.is_ok());
        seen.map_err(|error| error.to_string())
    }

    fn process(&self) -> Option<u32> {
        self.peer
    }
}

impl Supervisord {
    fn ask(&mut self) -> Result<Vec<Worker>, Error> {
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
                state: process.state,
                uptime_seconds: uptime_seconds(&process),
                healthy: None,
                counts: account.counts(),
                method,
                usage,
            }
        };
        Ok(processes.into_iter().zip(usages).map(worker).collect())
    }

    fn usages(&mut self, processes: &[ProcessInfo]) -> Vec<Usage> {
        let remembered = self.pid.is_some();
        if self.pid.is_none() {
            self.pid = self.link.pid();
            self.peer = self.link.peer();
        }
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
    fn report(&mut self, answered: bool) {
        if !answered {
            self.pid = None;
            return;
        }
        if self.strangers && !self.strangers_logged {
            tracing::warn!(
                source = self.address,
                "the processes are not in this machine's table, or not as supervisord's children: is it in a \
                 container or elsewhere? Their memory, CPU time, threads and files stay unknown"
            );
        }
        self.strangers_logged = self.strangers;
    }
}

/// By supervisord's clock, which may have been set back.
fn uptime_seconds(process: &ProcessInfo) -> Option<f64> {
    let start = process.pid.and(process.start)?;
    Some(process.now.saturating_sub(start).max(0) as f64)
}
