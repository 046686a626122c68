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
use crate::twice::{Namesakes, Twice};
use crate::usage::Usage;

const STATUS: Metric<1> = Metric::gauge(
    "brain_worker_status",
    Unit::None,
    "1 while the worker is RUNNING, else 0 (STARTING included).",
    ["worker"],
);
const STATE: Metric<2> = Metric::gauge(
    "brain_worker_state",
    Unit::None,
    "1 for the state of the worker, 0 for the others; supervisord's names for all sources.",
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
    "Starts after the first one, by the source itself or by hand, since this exporter watches.",
    ["worker"],
);
const UPTIME: Metric<1> = Metric::gauge(
    "brain_worker_uptime_seconds",
    Unit::Seconds,
    "Since the last start, by the clock of the source.",
    ["worker"],
);
const HEALTHY: Metric<1> = Metric::gauge(
    "brain_worker_healthy",
    Unit::None,
    "Whether the worker's own health check says that it is well, from the container engine.",
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
    "Whether this supervisord, systemd or container engine answered.",
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
    "What restarts and exits are counted from: log_file, log_rpc, poll, signals or events; always 1.",
    ["worker", "method"],
);

/// One source, what to show of it, and what was seen there.
pub(crate) struct Seen<'a> {
    pub(crate) source: &'a str,
    pub(crate) settings: &'a SourceSettings,
    pub(crate) observation: &'a Observation,
}

impl Seen<'_> {
    /// The workers that are to be shown and were there at the last answer.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Id> {
        self.observation.known.iter().filter(|id| self.settings.shows(id))
    }

    /// The workers that are to be shown.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Worker> {
        let workers = self.observation.workers.iter().flatten();
        workers.filter(|worker| self.settings.shows(&worker.id))
    }
}

/// One worker under its label.
struct Row<'a> {
    label: String,
    labels: Arc<WorkerLabels>,
    seen: &'a Seen<'a>,
    worker: &'a Worker,
    /// The container that it is, where another source starts it.
    inner: Option<&'a Worker>,
}

impl Row<'_> {
    fn usage(&self) -> &Usage {
        &self.inner.unwrap_or(self.worker).usage
    }
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
    namesakes: Namesakes,
}

impl Pages {
    /// All families. Memory and open files are read from `procfs` here, once per page.
    pub(crate) fn families(&self, seen: &[Seen<'_>], procfs: Option<&Procfs>) -> Vec<Family> {
        let rows = self.rows(seen, procfs);
        let up = |seen: &Seen<'_>| f64::from(u8::from(seen.observation.workers.is_ok()));
        let mut families = vec![SOURCE_UP.family(seen.iter().map(|seen| ([seen.source], up(seen))))];
        families.extend(lives(&rows));
        families.extend(counts(&rows));
        families.extend(usage(&rows, procfs));
        families
    }

    /// The workers of the sources that answered. Labels also heed the workers of those that did not: a
    /// worker keeps its label while another source is down.
    fn rows<'a>(&self, seen: &'a [Seen<'a>], procfs: Option<&Procfs>) -> Vec<Row<'a>> {
        let mut cache = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *cache);
        let twice = Twice::find(seen, &self.namesakes, procfs);
        let mut row = |seen: &'a Seen<'a>, label: String, worker: &'a Worker| {
            let labels = before
                .remove(&label)
                .unwrap_or_else(|| Arc::new(WorkerLabels::new(&label)));
            cache.insert(label.clone(), Arc::clone(&labels));
            Row {
                label,
                labels,
                seen,
                worker,
                inner: twice.inner(seen.source, &worker.id),
            }
        };
        let known: Vec<(&str, &Id)> = seen
            .iter()
            .flat_map(|seen| seen.known().map(move |id| (seen.source, id)))
            .filter(|(source, id)| !twice.hides(source, id))
            .collect();
        let labels = names::labels(&known);
        let mut labels: HashMap<(&str, &Id), String> = known.into_iter().zip(labels).collect();
        let mut rows = Vec::new();
        for seen in seen {
            for worker in seen.workers() {
                if let Some(label) = labels.remove(&(seen.source, &worker.id)) {
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

/// What the sources say now.
fn lives(rows: &[Row<'_>]) -> Vec<Family> {
    let is = |row: &Row<'_>, state| f64::from(u8::from(row.worker.state == state));
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
        family(&UPTIME, rows, |row| row.worker.uptime_seconds),
        family(&HEALTHY, rows, |row| {
            row.inner
                .unwrap_or(row.worker)
                .healthy
                .map(|healthy| f64::from(u8::from(healthy)))
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
        let count = |reason| row.worker.counts.exits(reason) as f64;
        row.labels.reasons.iter().zip(Reason::ALL.map(count))
    });
    vec![
        family(&RESTARTS, rows, |row| Some(row.worker.counts.restarts as f64)),
        EXITS.family(exits),
        family(&EXIT_CODE, rows, |row| {
            Some(row.worker.counts.last_exit_code? as f64)
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
            let usage = row.usage();
            let resident = || Some(resident_pages(procfs?, &usage.tree)? as f64 * page_bytes);
            usage.cgroup_bytes.map(|bytes| bytes as f64).or_else(resident)
        }),
        family(&CPU, rows, |row| row.usage().cpu_seconds),
        family(&THREADS, rows, |row| Some(row.usage().threads? as f64)),
        family(&OPEN_FDS, rows, |row| {
            Some(open_files(procfs?, &row.usage().tree)? as f64)
        }),
    ]
}
