//! What every query last said, and how it went: what the page shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exporter::{Family, Metric, NameError, Unit};

use crate::failure::{Failure, Kind};
use crate::query::{Query, Shape};
use crate::samples::{self, Distribution, Sample, Value};
use crate::table::Table;
use crate::tally::Tally;

const DATABASES: Metric<0> = Metric::gauge(
    "sql_databases",
    Unit::None,
    "Databases that the configuration names; 0 without a configuration.",
    [],
);
const PROBE: Metric<1> = Metric::histogram(
    "sql_probe_seconds",
    Unit::Seconds,
    "How long SELECT 1 took in a read-only transaction, over a connection of its own, without connecting.",
    ["database"],
);
/// From a local socket to the timeout.
const PROBE_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
];
const SUCCESS: Metric<1> = Metric::gauge(
    "sql_query_success",
    Unit::None,
    "Whether the query's last run yielded its values.",
    ["query"],
);
const DURATION: Metric<1> = Metric::gauge(
    "sql_query_duration_seconds",
    Unit::Seconds,
    "How long the last successful run took, without connecting.",
    ["query"],
);
const ROWS: Metric<1> = Metric::gauge(
    "sql_query_rows",
    Unit::None,
    "Rows of the last successful run.",
    ["query"],
);
const LAST_SUCCESS: Metric<1> = Metric::gauge(
    "sql_query_last_success_timestamp_seconds",
    Unit::Seconds,
    "When the query last succeeded: the age of its values.",
    ["query"],
);
const ERRORS: Metric<2> = Metric::counter(
    "sql_query_errors_total",
    Unit::None,
    "Failed runs: connection, authentication, timeout, permission, schema, rows, value, query.",
    ["query", "kind"],
);
const DROPPED: Metric<1> = Metric::counter(
    "sql_series_dropped_total",
    Unit::None,
    "Series that a run yielded beyond max_series and that are not on the page.",
    ["query"],
);

/// One query of one database.
pub(crate) struct Entry {
    /// `database/query`, the label.
    pub(crate) id: String,
    pub(crate) query: Query,
    database: String,
    labels: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    /// Unknown until the first run is over.
    success: Option<bool>,
    last: Option<Success>,
    /// Whether a page showed the last result.
    shown: bool,
    errors: [u64; Kind::ALL.len()],
    dropped: u64,
    /// How long each success took, of a query without metrics: the probe.
    times: Option<Distribution>,
}

struct Success {
    samples: Vec<Sample>,
    rows: usize,
    took: Duration,
    at: SystemTime,
    expires: Instant,
}

impl Entry {
    pub(crate) fn new(database: &str, labels: &[(String, String)], query: Query) -> Self {
        let state = State {
            times: query
                .metrics
                .is_empty()
                .then(|| Distribution::new(&PROBE_BUCKETS)),
            ..State::default()
        };
        Self {
            id: format!("{database}/{}", query.name),
            query,
            database: database.to_owned(),
            labels: labels.to_vec(),
            state: Mutex::new(state),
        }
    }

    /// Whether it is the same question about the same database, so that it may keep its counters.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.id == other.id && self.query == other.query && self.labels == other.labels
    }

    /// Whether it ran.
    pub(crate) fn has_run(&self) -> bool {
        self.state().success.is_some()
    }

    /// Takes in how a run went. An answer may still turn out to be none: the reason comes back.
    pub(crate) fn take(&self, answer: Result<(Table, Duration), Failure>) -> Result<(), Failure> {
        let read = answer.and_then(|(table, took)| {
            let readings = samples::read(&self.query, &table)?;
            Ok((readings, table.rows.len(), took))
        });
        let mut state = self.state();
        state.success = Some(read.is_ok());
        match read {
            Ok((readings, rows, took)) => {
                let shown = std::mem::take(&mut state.shown);
                let taken = state.tally.take(&self.query, readings, shown);
                state.dropped += taken.dropped;
                if let Some(times) = &mut state.times {
                    times.observe(took.as_secs_f64());
                }
                state.last = Some(Success {
                    samples: taken.samples,
                    rows,
                    took,
                    at: SystemTime::now(),
                    expires: Instant::now() + self.query.expire,
                });
                Ok(())
            }
            Err(failure) => {
                state.errors[failure.kind as usize] += 1;
                Err(failure)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds its values, unless they are too old.
    fn add_values(&self, families: &mut BTreeMap<String, Family>) -> Result<(), NameError> {
        let mut state = self.state();
        let State { last, shown, .. } = &mut *state;
        let Some(last) = last.as_ref().filter(|last| Instant::now() < last.expires) else {
            return Ok(());
        };
        *shown = true;
        for sample in &last.samples {
            let (index, values) = &sample.key;
            let metric = &self.query.metrics[*index];
            let mut labels: Vec<(&str, &str)> = Vec::new();
            let fixed = self.labels.iter().chain(&metric.constants);
            labels.extend(fixed.map(|(label, value)| (label.as_str(), value.as_str())));
            let mut values = values.iter().map(String::as_str);
            labels.extend(
                metric
                    .labels
                    .iter()
                    .map(|(label, _)| label.as_str())
                    .zip(&mut values),
            );
            if let Shape::StateSet { .. } = metric.shape {
                labels.extend(values.next().map(|state| ("state", state)));
            }
            if !families.contains_key(&metric.name) {
                let family = Family::new(metric.kind(), &metric.name, &metric.help)?;
                families.insert(metric.name.clone(), family);
            }
            let Some(family) = families.get_mut(&metric.name) else {
                continue;
            };
            match &sample.value {
                Value::Number(value) => family.push(&labels, *value)?,
                Value::Distribution(distribution) => family.push_histogram(
                    &labels,
                    &distribution.buckets,
                    distribution.sum,
                    distribution.count,
                )?,
            }
        }
        Ok(())
    }
}

/// All families of the queries of so many databases.
pub(crate) fn families(databases: usize, entries: &[&Entry]) -> Result<Vec<Family>, NameError> {
    let mut values = BTreeMap::new();
    for entry in entries {
        entry.add_values(&mut values)?;
    }
    let mut families = vec![DATABASES.value(databases as f64)];
    if databases > 0 {
        families.extend(health(entries));
        families.push(probes(entries)?);
    }
    families.extend(values.into_values());
    Ok(families)
}

fn probes(entries: &[&Entry]) -> Result<Family, NameError> {
    let no_numbers: [([&str; 1], f64); 0] = [];
    let mut family = PROBE.family(no_numbers);
    for entry in entries {
        if let Some(times) = &entry.state().times {
            let labels = [("database", entry.database.as_str())];
            family.push_histogram(&labels, &times.buckets, times.sum, times.count)?;
        }
    }
    Ok(family)
}

fn health(entries: &[&Entry]) -> Vec<Family> {
    let gauge = |metric: &Metric<1>, value: fn(&State) -> Option<f64>| {
        metric.family(
            entries
                .iter()
                .filter_map(|entry| Some(([entry.id.as_str()], value(&entry.state())?))),
        )
    };
    let errors = entries.iter().flat_map(|entry| {
        let counts = entry.state().errors;
        Kind::ALL
            .iter()
            .zip(counts)
            .map(|(kind, count)| ([entry.id.as_str(), kind.label()], count as f64))
    });
    vec![
        gauge(&SUCCESS, |state| {
            state.success.map(|success| f64::from(u8::from(success)))
        }),
        gauge(&DURATION, |state| Some(state.last.as_ref()?.took.as_secs_f64())),
        gauge(&ROWS, |state| Some(state.last.as_ref()?.rows as f64)),
        gauge(&LAST_SUCCESS, |state| {
            let since = state.last.as_ref()?.at.duration_since(UNIX_EPOCH).ok()?;
            Some(since.as_secs_f64())
        }),
        ERRORS.family(errors),
        gauge(&DROPPED, |state| Some(state.dropped as f64)),
    ]
}
