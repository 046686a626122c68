//! The log of an LLM orchestra, JSON lines with one event each: `llm_orchestra_*`. `docs/training.md` describes them.
//!
//! Needs the right to read the files and to list their folders. Each line is counted once, over rotation, truncation
//! and restarts of the exporter: what was counted and how far the files were read is one file.

mod event;
mod files;
mod listing;
mod page;
mod positions;
mod rotated;
mod totals;
mod trouble;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use exporter::{CollectError, Collector, Family};
use serde::{Deserialize, Serialize};

use crate::errors::{ReadErrors, SourceErrors};
use crate::follow::Line;
use crate::ledger::Ledger;
use event::Event;
use files::Files;
use positions::Kept;
use totals::Totals;

/// The file's name in the storage folder.
const LEDGER: &str = "orchestra.json";
/// What is read while the page has to wait, in bytes.
const SLICE: u64 = 1024 * 1024;

/// The orchestra's logs, watched. Cloning gives another handle.
#[derive(Clone)]
pub(crate) struct Orchestra(Arc<Shared>);

struct Shared {
    /// Locked before the ledger, and for long.
    files: Mutex<Files>,
    ledger: Mutex<Ledger<Book>>,
    errors: SourceErrors,
    state: Mutex<State>,
}

/// What was counted, and the positions in the files up to which it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Book {
    totals: Totals,
    positions: Vec<Kept>,
}

/// What the page says of the files.
#[derive(Default)]
struct State {
    is_watching: bool,
    trouble: Option<String>,
    /// The path of the last line that was rejected, so that a run of them is logged once.
    rejected: Option<String>,
}

impl Orchestra {
    /// Goes on from what is in the storage folder; `writes`: and keeps it there.
    pub(crate) fn new(storage: &Path, writes: bool, errors: &ReadErrors) -> Self {
        let mut ledger: Ledger<Book> = Ledger::open(&storage.join(LEDGER), writes);
        let errors = errors.of(
            "orchestra",
            &[
                "invalid",
                "value",
                "event",
                "too_large",
                "unreadable",
                "too_many",
                "lost",
            ],
        );
        let positions = ledger.live().positions.clone();
        Self(Arc::new(Shared {
            files: Mutex::new(Files::new(positions, errors.clone())),
            ledger: Mutex::new(ledger),
            errors,
            state: Mutex::default(),
        }))
    }

    /// Watches the files that match these patterns.
    pub(crate) fn apply(&self, patterns: Vec<String>) {
        lock(&self.0.state).is_watching = !patterns.is_empty();
        lock(&self.0.files).apply(patterns);
    }

    /// Reads what is new, for so long at most.
    pub(crate) fn look(&self, time: Duration) {
        let files = &mut *lock(&self.0.files);
        if !files.has_patterns() {
            return;
        }
        let end = Instant::now() + time;
        files.find();
        let mut is_more = true;
        while is_more && Instant::now() < end {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            let mut ledger = lock(&self.0.ledger);
            let book = ledger.live();
            is_more = files.read(SLICE, &mut |path, line| {
                if let Some(event) = self.event(path, line) {
                    book.totals.count(event, now);
                }
            });
            book.totals.expire(now);
            book.positions = files.positions();
        }
        lock(&self.0.state).trouble = files.trouble();
    }

    /// What a line says; one that says nothing is counted, and logged if the one before said something.
    fn event(&self, path: &Path, line: Line<'_>) -> Option<Event> {
        let (reason, error) = match line {
            Line::Whole(b"") => return None,
            Line::Whole(line) => match event::parse(line) {
                Ok(event) => return Some(event),
                Err(rejection) => (rejection.reason(), rejection.to_string()),
            },
            Line::TooLong => ("too_large", "it is longer than 1 MiB".to_owned()),
        };
        self.0.errors.count(reason);
        let rejected = format!("{}: {reason}", path.display());
        let mut state = lock(&self.0.state);
        if state.rejected.as_ref() != Some(&rejected) {
            tracing::warn!(path = %path.display(), error, "a line of the orchestra's log is left out");
            state.rejected = Some(rejected);
        }
        None
    }

    /// Writes down what was counted.
    pub(crate) fn save(&self) {
        let pending = lock(&self.0.ledger).pending();
        if let Some(pending) = pending {
            let result = pending.write();
            lock(&self.0.ledger).written(pending, result);
        }
    }
}

impl Collector for Orchestra {
    fn name(&self) -> &'static str {
        "orchestra"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let (is_watching, trouble) = {
            let state = lock(&self.0.state);
            (state.is_watching, state.trouble.clone())
        };
        if !is_watching {
            return Err(CollectError::absent("no log is named by `orchestra`"));
        }
        let mut ledger = lock(&self.0.ledger);
        let concurrent = ledger.live().totals.concurrent();
        let families = page::families(&ledger.shown().totals, concurrent)?;
        match trouble.or_else(|| ledger.trouble().map(str::to_owned)) {
            Some(error) => Err(CollectError::Partly(families, anyhow!(error))),
            None => Ok(families),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
