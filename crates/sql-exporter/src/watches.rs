//! The watched databases, each on a thread of its own, and the collector that shows what they said.

use std::process::exit;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use exporter::{CollectError, Collector, Common, Exporter, Family};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::board::{self, Entry};
use crate::config::{self, Flags, Settings};
use crate::line::Line;
use crate::query::{Missing, Query};
use crate::schedule::Task;

/// `--once` waits at most this long for every query's first run; less than the library waits for the page.
const FIRST_RUNS: Duration = Duration::from_secs(25);

/// The exporter; with `--config.check`, the end of the program.
pub(crate) fn exporter(flags: &Flags, common: &Common) -> anyhow::Result<Exporter> {
    let settings = config::read(flags, common)?;
    if flags.check {
        // Nothing was begun yet that would have to be ended.
        exit(0);
    }
    let watches = Watches::new(settings, common.once)?;
    let collector = SqlCollector(Arc::clone(&watches));
    let (flags, common) = (flags.clone(), common.clone());
    Ok(Exporter::new(vec![Box::new(collector)])
        .on_reload(move || watches.apply(config::read(&flags, &common)?)))
}

/// All databases.
struct Watches {
    watched: Mutex<Vec<Watch>>,
    /// Wait for the first runs before the page.
    once: bool,
}

/// One database.
struct Watch {
    settings: Settings,
    entries: Vec<Arc<Entry>>,
    /// Dropping it ends the thread.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Watches {
    fn new(settings: Vec<Settings>, once: bool) -> anyhow::Result<Arc<Self>> {
        let watches = Self {
            watched: Mutex::default(),
            once,
        };
        watches.apply(settings)?;
        Ok(Arc::new(watches))
    }

    /// Changes to these settings. A database whose settings stay goes on as it is; a query that stays in one that
    /// changed keeps its counters.
    fn apply(&self, settings: Vec<Settings>) -> anyhow::Result<()> {
        if settings.is_empty() {
            tracing::warn!("no database is configured, so nothing is asked; name one in --config.file");
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, changed): (Vec<_>, Vec<_>) = std::mem::take(&mut *watched)
            .into_iter()
            .partition(|watch| settings.contains(&watch.settings));
        *watched = kept;
        // What answers an earlier question must not arrive after what answers the next.
        let changed: Vec<_> = changed.into_iter().map(Watch::end).collect();
        for settings in settings {
            if watched.iter().all(|watch| watch.settings != settings) {
                let earlier = changed
                    .iter()
                    .find(|(earlier, _)| earlier.dsn.address() == settings.dsn.address());
                let entries = earlier.map_or(&[][..], |(_, entries)| entries);
                watched.push(Watch::start(settings, entries)?);
            }
        }
        Ok(())
    }

    fn entries(&self) -> (usize, Vec<Arc<Entry>>) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = watched.iter().flat_map(|watch| watch.entries.iter().cloned());
        (watched.len(), entries.collect())
    }
}

impl Watch {
    /// Starts to ask, going on with those earlier entries that are alike.
    fn start(settings: Settings, earlier: &[Arc<Entry>]) -> anyhow::Result<Self> {
        let entry = |query| {
            let entry = Arc::new(Entry::new(&settings.name, &settings.labels, query));
            let alike = earlier.iter().find(|earlier| earlier.is_like(&entry));
            alike.cloned().unwrap_or(entry)
        };
        let mut entries = vec![entry(probe(settings.probe))];
        entries.extend(settings.queries.iter().cloned().map(entry));
        let (stop, stopped) = oneshot::channel();
        let (watched, asked) = (settings.clone(), entries.clone());
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || run(&watched, &asked, stopped))
            .context("start a thread")?;
        Ok(Self {
            settings,
            entries,
            stop,
            thread,
        })
    }

    fn end(self) -> (Settings, Vec<Arc<Entry>>) {
        drop(self.stop);
        // A thread that panicked has ended too, and has said so.
        let _ = self.thread.join();
        (self.settings, self.entries)
    }
}

/// What is asked of every database.
fn probe(interval: Duration) -> Query {
    Query {
        name: "probe".to_owned(),
        sql: "SELECT 1".to_owned(),
        interval,
        timeout: Duration::from_secs(5),
        expire: interval * 2,
        max_rows: 1,
        max_series: 1,
        missing: Missing::Absent,
        metrics: Vec::new(),
    }
}

/// The probe has a connection of its own, so that it does not wait for queries; these share one, so that a database
/// is never asked two of them at once.
fn run(settings: &Settings, entries: &[Arc<Entry>], stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(database = settings.dsn.address(), %error, "no runtime; the database is not asked");
            return;
        }
    };
    let shared = Arc::new(Line::new(&settings.dsn));
    let tasks = entries.iter().enumerate().map(|(i, entry)| {
        let line = if i == 0 {
            Arc::new(Line::new(&settings.dsn))
        } else {
            Arc::clone(&shared)
        };
        Task {
            entry: Arc::clone(entry),
            line,
            dsn: settings.dsn.clone(),
        }
        .run()
    });
    let tasks = join_all(tasks);
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            _ = tasks => {}
        }
    });
    // Somebody may be asking a name server that does not answer.
    runtime.shutdown_background();
}

/// The one collector. It asks nobody: the page shows what the queries' own timers brought.
struct SqlCollector(Arc<Watches>);

impl Collector for SqlCollector {
    fn name(&self) -> &'static str {
        "sql"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let (databases, entries) = self.0.entries();
        if self.0.once {
            let end = Instant::now() + FIRST_RUNS;
            while !entries.iter().all(|entry| entry.has_run()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let entries: Vec<&Entry> = entries.iter().map(Arc::as_ref).collect();
        Ok(board::families(databases, &entries)?)
    }
}
