//! Any trainer's runs, unmodified: found under folders, read from the files that trainers write anyway.
//!
//! Read are the state of Hugging Face's trainer ([`huggingface`]), TensorBoard's event files ([`tensorboard`]) and logs
//! of one entry per line ([`lines`]): JSON, CSV, and that of torchtune. A folder with such files is a run. Yields the
//! families in [`page`]. Needs to read the folders; to tell a crash it needs the trainer's process in procfs.
//!
//! Files are read when the page is asked for, as far as they are new. State machine and pace ([`state`], [`track`]) are
//! pure, and also serve `latest_metrics.json`.

mod board;
mod csv;
mod evaluation;
mod file;
mod huggingface;
mod jsonl;
mod lines;
pub(crate) mod loss;
mod names;
pub(crate) mod page;
mod place;
pub(crate) mod process;
mod recent;
mod record;
mod run;
pub(crate) mod state;
mod tensorboard;
mod torchtune;
pub(crate) mod track;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;
use exporter::{CollectError, Collector, Family};

use self::page::Row;
use self::process::Processes;
use self::run::{Errors, Run, World};
use self::state::Process;
use self::walk::Walk;
use crate::clock::unix;
use crate::errors::{ReadErrors, SourceErrors};

/// A run without progress for so long is left out, unless told otherwise.
const EXPIRE: Duration = Duration::from_hours(24);
/// Further runs are left out, the oldest first.
const MOST_RUNS: usize = 200;
/// At most so much is read at one look, in bytes: a look has to end before the scrape's deadline.
const BUDGET: u64 = 16 * 1024 * 1024;
/// Walks take at most one part in so many of the time.
const REST: u32 = 20;

const NOTHING: &str = "no folder of runs is watched: none is named under `runs`";

/// All runs under the configured folders. A clone is another handle on the same.
#[derive(Clone)]
pub(crate) struct Runs {
    world: Arc<(Processes, Errors, SourceErrors)>,
    watched: Arc<Mutex<Watched>>,
}

/// What is watched, and what is known of it.
#[derive(Default)]
struct Watched {
    folders: Vec<PathBuf>,
    expire: Duration,
    walk: Walk,
    /// When the last walk ended, and how long it took.
    walked: Option<(Instant, Duration)>,
    /// By folder.
    runs: HashMap<PathBuf, Run>,
    left_out: usize,
    /// Folders of which it has been said that they cannot be read.
    unreadable: HashSet<PathBuf>,
}

impl Runs {
    /// Watches nothing yet.
    pub(crate) fn new(procfs: &Path, errors: &ReadErrors) -> Self {
        let folders = errors.of("runs", &["unreadable"]);
        Self {
            world: Arc::new((Processes::new(procfs), Errors::new(errors), folders)),
            watched: Arc::default(),
        }
    }

    /// Watches these folders; what is known of their runs is kept.
    pub(crate) fn apply(&self, folders: Vec<PathBuf>, expire: Option<Duration>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.folders = folders;
        watched.expire = expire.unwrap_or(EXPIRE);
        watched.walked = None;
    }
}

impl Collector for Runs {
    fn name(&self) -> &'static str {
        "runs"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.folders.is_empty() {
            return Err(CollectError::absent(NOTHING));
        }
        let (processes, errors, folders) = &*self.world;
        watched.walk(folders);
        let world = World {
            now: unix(SystemTime::now()),
            processes,
            errors,
        };
        let shown = watched.look(&world);
        let rows: Vec<Row<'_>> = shown
            .iter()
            .filter_map(|(name, folder)| Some(Row::new(name, watched.runs.get(folder)?)))
            .collect();
        let families = page::families(&rows, watched.left_out);
        if watched.walk.missing.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(
                families,
                anyhow!(watched.walk.missing.join("; ")),
            ))
        }
    }
}

impl Watched {
    /// Walks over the folders, unless that takes long and was done not long ago; then only the known files are asked.
    fn walk(&mut self, errors: &SourceErrors) {
        let rests = |(ended, took): (Instant, Duration)| ended.elapsed() < took * REST;
        if self.walked.is_some_and(rests) {
            self.walk.refresh();
            return;
        }
        let began = Instant::now();
        self.walk = walk::walk(&self.folders);
        self.walked = Some((Instant::now(), began.elapsed()));
        let unreadable: HashSet<PathBuf> = self.walk.unreadable.drain(..).collect();
        for folder in unreadable.difference(&self.unreadable) {
            errors.count("unreadable");
            tracing::warn!(folder = %folder.display(), "a folder cannot be searched for runs");
        }
        self.unreadable = unreadable;
    }

    /// Looks at all runs, and says which are to be shown: their names and folders.
    fn look(&mut self, world: &World<'_>) -> Vec<(String, PathBuf)> {
        let mut shown = Vec::new();
        let mut runs = HashMap::with_capacity(self.runs.len());
        let mut budget = BUDGET;
        self.left_out = self.walk.left_out;
        for (name, place) in &self.walk.places {
            let mut run = self.runs.remove(&place.folder).unwrap_or_default();
            let is_old = world.now - place.modified() > self.expire.as_secs_f64();
            if is_old && run.process(place, world) != Process::Alive {
                continue;
            }
            if shown.len() == MOST_RUNS {
                self.left_out += 1;
                continue;
            }
            run.look(place, world, &mut budget);
            if run.is_run() {
                shown.push((name.clone(), place.folder.clone()));
            }
            runs.insert(place.folder.clone(), run);
        }
        self.runs = runs;
        shown
    }
}
