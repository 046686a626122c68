//! The page: what is known of the workers, as families. A value that is not known is absent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use exporter::{Family, Kind, Labels, Metric, Unit};
use supervisor::ProcessState;

use crate::config::SourceSettings;
use crate::heartbeat;
use crate::ledger::Id;
use crate::main_log::line::Reason;
use crate::names;
use crate::processes::{open_files, resident_pages};
use crate::procfs::Procfs;
use crate::source::{Observation, Worker};

const STATUS: Metric<1> = Metric::gauge(
    "brain_worker_status",
    Unit::None,
    "1 while supervisord says RUNNING, else 0 (STARTING included).",
    ["worker"],
);
const STATE: Metric<2> = Metric::gauge(
    "brain_worker_state",
    Unit::None,
    "1 for the state that supervisord reports, under its own names, 0 for the others.",
    ["worker", "state"],
);
const MEMORY: Metric<1> = Metric::gauge(
    "brain_worker_memory_bytes",
    Unit::Bytes,
    "Memory of the worker and its descendants: of its own cgroup (memory.current), else resident pages summed up from /proc/<pid>/statm.",
    ["worker"],
);
const RESTARTS: Metric<1> = Metric::contract(
    Kind::Counter,
    "brain_worker_restart_count",
    "Starts after the first one, by supervisord or by hand, since this exporter watches.",
    ["worker"],
);
const UPTIME: Metric<1> = Metric::gauge(
    "brain_worker_uptime_seconds",
    Unit::Seconds,
    "Since the last start, by supervisord's clock.",
    ["worker"],
);
const CPU: Metric<1> = Metric::counter(
    "brain_worker_cpu_seconds_total",
    Unit::Seconds,
    "CPU time of the worker and its descendants over all its restarts, from its own cgroup (cpu.stat), else /proc/<pid>/stat.",
    ["worker"],
);
const EXITS: Metric<2> = Metric::counter(
    "brain_worker_exits_total",
    Unit::None,
    "Ends of the worker by reason, since this exporter watches.",
    ["worker", "reason"],
);
const EXIT_CODE: Metric<1> = Metric::gauge(
    "brain_worker_last_exit_code",
    Unit::None,
    "Exit code of the last end, 128 + n after signal n.",
    ["worker"],
);
const HEARTBEAT: Metric<1> = Metric::gauge(
    "brain_worker_last_heartbeat_timestamp_seconds",
    Unit::Seconds,
    "When the worker last wrote its heartbeat file.",
    ["worker"],
);
const OPEN_FDS: Metric<1> = Metric::gauge(
    "brain_worker_open_fds",
    Unit::None,
    "Open file descriptors of the worker and its descendants, from /proc/<pid>/fd.",
    ["worker"],
);
const THREADS: Metric<1> = Metric::gauge(
    "brain_worker_threads",
    Unit::None,
    "Threads of the worker and its descendants, from /proc/<pid>/stat.",
    ["worker"],
);
const SOURCE_UP: Metric<1> = Metric::gauge(
    "brain_worker_source_up",
    Unit::None,
    "Whether this supervisord answered.",
    ["source"],
);
const INFO: Metric<3> = Metric::gauge(
    "brain_worker_info",
    Unit::None,
    "Where the worker comes from; always 1.",
    ["worker", "source", "group"],
);
const METHOD: Metric<2> = Metric::gauge(
    "brain_worker_restart_source_info",
    Unit::None,
    "What restarts and exits are counted from: log_file, log_rpc or poll; always 1.",
    ["worker", "method"],
);

/// One source, what to show of it, and what was seen there.
pub(crate) struct Seen<'a> {
    pub(crate) source: &'a str,
    pub(crate) settings: &'a SourceSettings,
    pub(crate) observation: &'a Observation,
}

impl Seen<'_> {
    fn shows(&self, id: &Id) -> bool {
        let full_name = format!("{}:{}", id.group, id.name);
        self.settings
            .patterns
            .iter()
            .any(|pattern| pattern.matches(&id.name) || pattern.matches(&full_name))
    }
}

/// One worker under its label.
struct Row<'a> {
    label: String,
    labels: Arc<WorkerLabels>,
    seen: &'a Seen<'a>,
    worker: &'a Worker,
}

/// A worker's labels, rendered once.
struct WorkerLabels {
    worker: Labels<1>,
    states: [Labels<2>; ProcessState::ALL.len()],
    reasons: [Labels<2>; Reason::ALL.len()],
}

impl WorkerLabels {
    fn new(worker: &str) -> Self {
        Self {
            worker: STATUS.labels([worker]),
            states: ProcessState::ALL.map(|state| STATE.labels([worker, state.statename()])),
            reasons: Reason::ALL.map(|reason| EXITS.labels([worker, reason.label()])),
        }
    }
}

/// The pages, one after the other; remembers the labels of the last one.
#[derive(Default)]
pub(crate) struct Pages {
    labels: Mutex<HashMap<String, Arc<WorkerLabels>>>,
}

impl Pages {
    /// All families. Memory and open files are read from `procfs` here, once per page.
    pub(crate) fn families(&self, seen: &[Seen<'_>], procfs: Option<&Procfs>) -> Vec<Family> {
        let rows = self.rows(seen);
        let up = |seen: &Seen<'_>| f64::from(u8::from(seen.observation.workers.is_ok()));
        let mut families = vec![SOURCE_UP.family(seen.iter().map(|seen| ([seen.source], up(seen))))];
        families.extend(lives(&rows));
        families.extend(counts(&rows));
        families.extend(usage(&rows, procfs));
        families
    }

    /// The workers of the sources that answered. Labels also heed the workers of those that did not: a
    /// worker keeps its label while another source is down.
    fn rows<'a>(&self, seen: &'a [Seen<'a>]) -> Vec<Row<'a>> {
        let mut cache = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *cache);
        let mut row = |seen, label: String, worker| {
            let labels = before
                .remove(&label)
                .unwrap_or_else(|| Arc::new(WorkerLabels::new(&label)));
            cache.insert(label.clone(), Arc::clone(&labels));
            Row {
                label,
                labels,
                seen,
                worker,
            }
        };
        let known: Vec<(&Seen<'_>, &Id)> = seen
            .iter()
            .flat_map(|seen| seen.observation.known.iter().map(move |id| (seen, id)))
            .filter(|(seen, id)| seen.shows(id))
            .collect();
        let labels: Vec<(&str, &Id)> = known.iter().map(|(seen, id)| (seen.source, *id)).collect();
        let mut labels = known.into_iter().zip(names::labels(&labels)).peekable();
        let mut rows = Vec::new();
        for seen in seen {
            for worker in seen.observation.workers.iter().flatten() {
                // One that the patterns leave out has no label, and must not use up those of the sources that follow.
                if !seen.shows(&worker.id) {
                    continue;
                }
                // Both lists have the same order.
                while labels
                    .next_if(|((source, _), _)| source.source != seen.source)
                    .is_some()
                {}
                if let Some((_, label)) = labels.next_if(|((_, id), _)| **id == worker.id) {
                    rows.push(row(seen, label, worker));
                }
            }
        }
        rows
    }
}

fn family(metric: &Metric<1>, rows: &[Row<'_>], value: impl Fn(&Row<'_>) -> Option<f64>) -> Family {
    metric.family(
        rows.iter()
            .filter_map(|row| Some((&row.labels.worker, value(row)?))),
    )
}

/// What supervisord says now.
fn lives(rows: &[Row<'_>]) -> Vec<Family> {
    let is = |row: &Row<'_>, state| f64::from(u8::from(row.worker.process.state == state));
    let states = rows.iter().flat_map(|row| {
        row.labels
            .states
            .iter()
            .zip(ProcessState::ALL)
            .map(move |(labels, state)| (labels, is(row, state)))
    });
    let info = |row: &Row<'_>| {
        (
            [
                row.label.clone(),
                row.seen.source.to_owned(),
                row.worker.id.group.clone(),
            ],
            1.0,
        )
    };
    vec![
        family(&STATUS, rows, |row| Some(is(row, ProcessState::Running))),
        STATE.family(states),
        family(&UPTIME, rows, |row| {
            let process = &row.worker.process;
            let start = process.pid.and(process.start)?;
            // supervisord's clock may have been set back.
            Some(process.now.saturating_sub(start).max(0) as f64)
        }),
        INFO.family(rows.iter().map(info)),
        family(&HEARTBEAT, rows, |row| {
            heartbeat::last(row.seen.settings.heartbeat.as_ref()?, &row.label)
        }),
    ]
}

/// What was counted.
fn counts(rows: &[Row<'_>]) -> Vec<Family> {
    let exits = rows.iter().flat_map(|row| {
        let count = |reason| row.worker.account.exits(reason) as f64;
        row.labels.reasons.iter().zip(Reason::ALL.map(count))
    });
    vec![
        family(&RESTARTS, rows, |row| Some(row.worker.account.restarts as f64)),
        EXITS.family(exits),
        family(&EXIT_CODE, rows, |row| {
            Some(row.worker.account.last_exit_code? as f64)
        }),
        METHOD.family(
            rows.iter()
                .map(|row| ([row.label.as_str(), row.worker.method.label()], 1.0)),
        ),
    ]
}

/// What the workers use.
fn usage(rows: &[Row<'_>], procfs: Option<&Procfs>) -> Vec<Family> {
    let page_bytes = rustix::param::page_size() as f64;
    vec![
        family(&MEMORY, rows, |row| {
            let usage = &row.worker.usage;
            let resident = || Some(resident_pages(procfs?, &usage.tree)? as f64 * page_bytes);
            usage.cgroup_bytes.map(|bytes| bytes as f64).or_else(resident)
        }),
        family(&CPU, rows, |row| row.worker.usage.cpu_seconds),
        family(&THREADS, rows, |row| Some(row.worker.usage.threads? as f64)),
        family(&OPEN_FDS, rows, |row| {
            Some(open_files(procfs?, &row.worker.usage.tree)? as f64)
        }),
    ]
}
