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
/// At most so much is read at one look, in bytes.
const BUDGET: u64 = 16 * 1024 * 1024;
/// For so long a scrape catches up with what it has not read: the page has to be ready before the deadline.
pub(crate) const CATCHING_UP: Duration = Duration::from_secs(2);
/// Walks take at most one part in so many of the time.
const REST: u32 = 20;

const NOTHING: &str = "no folder of runs is watched: none is named under `runs`";

/// All runs under the configured folders. A clone is another handle on the same.
#[derive(Clone)]
pub(crate) struct Runs {
    world: Arc<(Processes, Errors, SourceErrors)>,
    /// Another look begins only before so much of a scrape has passed.
    patience: Duration,
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
    /// Watches nothing yet. With more to read than one look may, others follow for as long as `patience`.
    pub(crate) fn new(procfs: &Path, errors: &ReadErrors, patience: Duration) -> Self {
        let folders = errors.of("runs", &["unreadable"]);
        Self {
            world: Arc::new((Processes::new(procfs), Errors::new(errors), folders)),
            patience,
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
        let now = unix(SystemTime::now());
        watched.walk(now, folders);
        let world = World {
            now,
            processes,
            errors,
        };
        let began = Instant::now();
        let shown = loop {
            let (shown, is_behind) = watched.look(&world);
            if !is_behind || began.elapsed() > self.patience {
                break shown;
            }
        };
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
    fn walk(&mut self, now: f64, errors: &SourceErrors) {
        let rests = |(ended, took): (Instant, Duration)| ended.elapsed() < took * REST;
        if self.walked.is_some_and(rests) {
            self.walk.refresh();
            return;
        }
        let began = Instant::now();
        self.walk = walk::walk(&self.folders, now - self.expire.as_secs_f64());
        self.walked = Some((Instant::now(), began.elapsed()));
        let before = std::mem::take(&mut self.unreadable);
        for (folder, error) in self.walk.unreadable.drain(..) {
            if !before.contains(&folder) {
                errors.count("unreadable");
                tracing::warn!(folder = %folder.display(), %error, "a folder cannot be searched for runs");
            }
            self.unreadable.insert(folder);
        }
    }

    /// Looks at all runs, and says which are to be shown, by their names and folders, and whether there is more to read
    /// than one look may.
    fn look(&mut self, world: &World<'_>) -> (Vec<(String, PathBuf)>, bool) {
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
        (shown, budget == 0)
    }
}
