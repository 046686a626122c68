//! A thread that scrapes one target at a fixed rate and hands its pages on.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::page::Format;
use super::series::{Identity, Scraped};
use crate::board::Board;
use crate::clock::Clock;
use crate::delivery::{Delivery, Source};
use crate::tally::{Loss, Tally};

/// Fetches a page.
pub(crate) type Fetch = Box<dyn Fn() -> anyhow::Result<(Vec<u8>, Format)> + Send>;

/// When a page is fetched, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// For logs and `bridge_target_up`.
    pub(crate) name: String,
    /// From one scrape to the next.
    pub(crate) interval: Duration,
    /// The labels of its series.
    pub(crate) identity: Identity,
    /// Samples of a page; more is a refusal of the whole page.
    pub(crate) sample_limit: usize,
}

/// What every watch needs of the bridge.
#[derive(Clone)]
pub(crate) struct Context {
    /// Gives samples their time.
    pub(crate) clock: Arc<Clock>,
    /// Takes the pages.
    pub(crate) delivery: Arc<dyn Delivery>,
    /// Counts what is left out.
    pub(crate) tally: Tally,
    /// Shows how each target is; the bridge itself is none.
    pub(crate) board: Option<Arc<Board>>,
}

/// One watched target.
pub(crate) struct Watch {
    /// Dropping it ends the thread after the scrape that is under way.
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

struct Watcher {
    schedule: Schedule,
    source: Source,
    fetch: Fetch,
    context: Context,
    /// What was logged last, so that each failure is logged once. Its numbers do not count: a value in a line that is
    /// refused may be another one each time.
    logged: Option<String>,
}

impl Watch {
    /// Scrapes at once, and then at the interval.
    pub(crate) fn start(schedule: Schedule, fetch: Fetch, context: Context) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let mut watcher = Watcher {
            source: schedule.identity.source(),
            schedule,
            fetch,
            context,
            logged: None,
        };
        let thread = std::thread::Builder::new()
            .name("target".to_owned())
            .spawn(move || watcher.run(&stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends them all, and waits as long as this says for scrapes that are under way.
    pub(crate) fn end(watches: Vec<Self>, is_time_left: impl Fn() -> bool) {
        // All are told before one is waited for.
        let threads: Vec<_> = watches
            .into_iter()
            .map(|watch| (watch.stop, watch.thread).1)
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) && is_time_left() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Watcher {
    fn run(&mut self, stopped: &Receiver<()>) {
        let interval = self.schedule.interval;
        let mut next = Instant::now() + self.offset(interval);
        loop {
            self.scrape(stopped);
            let now = Instant::now();
            while next <= now {
                next += interval;
            }
            match stopped.recv_timeout(next - now) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Spreads the targets over the interval, each always at the same place.
    fn offset(&self, interval: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.schedule.name.hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
        interval * share / 1000
    }

    fn scrape(&mut self, stopped: &Receiver<()>) {
        let Schedule {
            name,
            identity,
            sample_limit,
            ..
        } = &self.schedule;
        let stamp = self.context.clock.stamp();
        let started = Instant::now();
        let scraped = (self.fetch)()
            .and_then(|(body, format)| Ok(identity.read(&body, format, stamp, *sample_limit)?));
        let took = started.elapsed();
        if stopped.try_recv() == Err(TryRecvError::Disconnected) {
            // What a slow target answers then would follow on its end.
            return;
        }
        let (scraped, failure) = match scraped {
            Ok(scraped) => (scraped, None),
            Err(error) => (Scraped::default(), Some(format!("{error:#}"))),
        };
        let up = failure.is_none();
        if let Some(board) = &self.context.board {
            board.target(name, up);
        }
        self.context.tally.dropped(Loss::Duplicate, scraped.duplicates);
        let mut page = scraped.page;
        if let Err(error) = identity.report(&mut page, stamp, up, took, scraped.samples) {
            // Only a page that fills the numbers of its table comes here.
            tracing::warn!(scraped = name, %error, "`up` and its like are left out");
        }
        self.context.delivery.page(&self.source, page);
        self.log(failure.as_deref());
    }

    fn log(&mut self, failure: Option<&str>) {
        let words = failure.map(|error| error.replace(|c: char| !c.is_alphabetic(), ""));
        if self.logged == words {
            return;
        }
        if let Some(error) = failure {
            tracing::warn!(scraped = self.schedule.name, error, "the target is down");
        } else {
            tracing::info!(scraped = self.schedule.name, "the target is up again");
        }
        self.logged = words;
    }
}
