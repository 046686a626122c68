//! The collectors of folders: the newest manifests at every scrape and now and then between, all files on a timer of
//! their own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use exporter::{CollectError, Collector, Common, Exporter, Family, Sampler};

use crate::args::Args;
use crate::database::{Database, Databases};
use crate::page::{self, Measured, Row};
use crate::snapshot::Snapshot;
use crate::table::Trouble;
use crate::{disk, engine, history};

/// Errors that one line of the log names.
const MOST_ERRORS: usize = 5;

const NOTHING: &str = "no folder of tables is watched: none is named by --lancedb.path";

/// Makes the collectors and starts the timers.
pub(crate) fn build(args: &Args, _: &Common) -> anyhow::Result<Exporter> {
    let named = args.databases()?;
    let of_the_library = engine::collectors(args, &named)?;
    let is_watching = !named.folders.is_empty();
    if !is_watching {
        tracing::info!("{NOTHING}");
    }
    let databases = Arc::new(Databases::new(named.folders));
    let files = Arc::new(Files::new(Arc::clone(&databases)));
    let start = |name, interval, tick: Box<dyn FnMut() + Send>| {
        is_watching
            .then(|| Sampler::every(name, interval, tick))
            .transpose()
    };
    let look = {
        let databases = Arc::clone(&databases);
        move || drop(databases.look())
    };
    let measure = {
        let files = Arc::clone(&files);
        move || files.measure()
    };
    let watch = start("watch", args.watch_interval, Box::new(look))?;
    let sampler = start("disk", args.disk_interval, Box::new(measure))?;
    let mut collectors: Vec<Box<dyn Collector>> = vec![
        Box::new(TablesCollector {
            databases,
            _watch: watch,
        }),
        Box::new(DiskCollector { files, sampler }),
    ];
    collectors.extend(of_the_library);
    Ok(Exporter::new(collectors))
}

/// Reads the manifests that are new.
struct TablesCollector {
    databases: Arc<Databases>,
    /// Looks between scrapes while this lives: versions may be pruned soon after they were written.
    _watch: Option<Sampler>,
}

impl Collector for TablesCollector {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let mut databases = self.databases.look();
        if databases.is_empty() {
            return Err(CollectError::absent(NOTHING));
        }
        let mut errors: Vec<String> = databases
            .iter()
            .filter_map(|database| Some(format!("{:#}", database.error.as_ref()?)))
            .collect();
        let mut rows: Vec<Row<'_>> = databases
            .iter_mut()
            .flat_map(Database::tables)
            .map(|watched| Row {
                label: &watched.label,
                labels: &watched.labels,
                table: &mut watched.table,
            })
            .collect();
        let mut families = page::tables(&mut rows, Instant::now());
        errors.extend(rows.iter().filter_map(|row| match &row.table.current {
            Err(Trouble::Unsupported(error) | Trouble::Unreadable(error)) => Some(error.clone()),
            // A table without manifest is on its way in or out, which is no fault.
            Err(Trouble::Empty) | Ok(_) => None,
        }));
        drop(rows);
        let connections = databases
            .iter()
            .map(|database| (database.name(), database.error.is_none()));
        families.push(page::connections(connections));
        if errors.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(families, one(&errors)))
        }
    }
}

/// One error of many, of a length that a line of the log may have.
pub(crate) fn one(errors: &[String]) -> anyhow::Error {
    let (named, others) = errors.split_at(errors.len().min(MOST_ERRORS));
    let named = named.join("; ");
    if others.is_empty() {
        anyhow!(named)
    } else {
        anyhow!("{named}; and {} more", others.len())
    }
}

/// Shows what the timer measured.
struct DiskCollector {
    files: Arc<Files>,
    /// Measures while this lives; `None` where there is nothing to measure.
    sampler: Option<Sampler>,
}

impl Collector for DiskCollector {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        if self.sampler.is_none() {
            return Err(CollectError::absent(NOTHING));
        }
        self.files.families()
    }
}

/// The files of all tables, measured now and then.
struct Files {
    databases: Arc<Databases>,
    last: Mutex<Option<Measurement>>,
    first: Condvar,
}

#[derive(Default)]
struct Measurement {
    tables: Vec<Measured>,
    errors: Vec<String>,
}

/// A table that is to be measured.
struct Job {
    label: String,
    folder: PathBuf,
    current: Arc<Snapshot>,
    /// Older versions have not been searched for a compaction.
    is_new: bool,
}

impl Files {
    fn new(databases: Arc<Databases>) -> Self {
        Self {
            databases,
            last: Mutex::new(None),
            first: Condvar::new(),
        }
    }

    /// Measures all tables. The databases are not locked meanwhile, so that scrapes go on.
    fn measure(&self) {
        let mut measurement = Measurement::default();
        for job in self.jobs() {
            if job.is_new
                && let Some(time) = history::last_compaction(&job.folder, job.current.version)
            {
                self.remember_compaction(&job, time);
            }
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            match disk::measure(&job.folder, &job.current.files) {
                Ok(None) => {}
                Ok(Some(usage)) => measurement.tables.push(Measured {
                    label: job.label,
                    usage,
                    time: time.as_secs_f64(),
                }),
                Err(error) => measurement
                    .errors
                    .push(format!("measure {}: {error}", job.folder.display())),
            }
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(measurement);
        self.first.notify_all();
    }

    fn jobs(&self) -> Vec<Job> {
        let mut databases = self.databases.look();
        let tables = databases.iter_mut().flat_map(Database::tables);
        tables
            .filter_map(|watched| {
                let current = Arc::clone(watched.table.current.as_ref().ok()?);
                Some(Job {
                    label: watched.label.clone(),
                    folder: watched.table.folder.clone(),
                    current,
                    is_new: !std::mem::replace(&mut watched.table.history_searched, true),
                })
            })
            .collect()
    }

    fn remember_compaction(&self, job: &Job, time: f64) {
        for watched in self.databases.last().iter_mut().flat_map(Database::tables) {
            if watched.label == job.label && watched.table.last_compaction.is_none() {
                watched.table.last_compaction = Some(time);
            }
        }
    }

    /// What was measured of the tables that are still there; waits for the first measurement.
    fn families(&self) -> Result<Vec<Family>, CollectError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        while last.is_none() {
            last = self.first.wait(last).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(measurement) = &*last else {
            return Err(CollectError::absent(NOTHING));
        };
        let mut databases = self.databases.last();
        let mut present = HashSet::new();
        let mut compacted = Vec::new();
        for watched in databases.iter_mut().flat_map(Database::tables) {
            present.insert(watched.label.as_str());
            compacted.extend(
                watched
                    .table
                    .last_compaction
                    .map(|time| (watched.label.clone(), time)),
            );
        }
        let tables: Vec<Measured> = measurement
            .tables
            .iter()
            .filter(|table| present.contains(table.label.as_str()))
            .cloned()
            .collect();
        let families = page::disk(&tables, &compacted);
        if measurement.errors.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(families, one(&measurement.errors)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_errors_are_one_line() {
        let errors = |count: usize| -> Vec<String> { (0..count).map(|i| i.to_string()).collect() };
        assert_eq!(one(&errors(1)).to_string(), "0");
        assert_eq!(one(&errors(5)).to_string(), "0; 1; 2; 3; 4");
        assert_eq!(one(&errors(3000)).to_string(), "0; 1; 2; 3; 4; and 2995 more");
    }
}
