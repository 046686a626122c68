//! Delivery by remote write: pages go to the spool, and from there to the receiver, once each.
//!
//! A record is done with when the receiver said 2xx, and that is noted on the disk before anything else happens. After a
//! kill in between it is sent again; a receiver with an out-of-order window takes a sample that it has only once.

mod batch;
mod message;
mod overflow;
mod pause;
mod post;
mod preflight;
mod reply;
mod sender;
mod stop;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::overflow::Overflow;
use self::post::Post;
use self::sender::Sender;
use self::stop::{Stage, Stop};
use crate::clock::Clock;
use crate::http::{self, Client};
use crate::sample::Page;
use crate::spool::{self, Holding, Spool};
use crate::tally::{Loss, Tally};

/// Samples of the backlog per second, unless told otherwise: a day of 10 000 series every 15 s in ten minutes.
pub const BACKLOG_RATE: u32 = 100_000;
/// Prometheus takes no sample that is further ahead of its clock.
const MOST_AHEAD_MS: i64 = 10 * 60_000;
/// Stamps continue behind the newest record, unless that is so far ahead that the clock was wrong.
const RESUME_MS: i64 = 60_000;

/// In which order records are sent after an outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Fresh ones first where the receiver says that it takes samples out of order, else the oldest ones first.
    #[default]
    Auto,
    /// Fresh ones first, and the backlog beside them.
    FreshFirst,
    /// The oldest ones first.
    OldestFirst,
}

/// Where samples go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The receiver's address, such as `http://prometheus:9090/api/v1/write`.
    pub url: String,
    /// Users, TLS, proxy and timeout.
    pub http: http::Settings,
    /// What goes first after an outage.
    pub order: Order,
    /// Samples of the backlog per second.
    pub backlog_rate: u32,
    /// Where samples wait.
    pub spool: spool::Settings,
}

/// A spool with a thread that empties it.
pub struct Remote {
    parts: Parts,
    /// Pages come one after the other, so that one at a time is being encoded.
    page: Mutex<()>,
    is_disk_full: AtomicBool,
}

/// What the sender shares with those who bring pages.
#[derive(Clone)]
struct Parts {
    spool: Arc<Spool>,
    overflow: Arc<Overflow>,
    clock: Arc<Clock>,
    tally: Tally,
    stop: Arc<Stop>,
}

impl Remote {
    /// Opens the spool and begins to send what waits in it.
    pub fn start(settings: Settings, clock: Arc<Clock>, tally: Tally) -> anyhow::Result<Self> {
        http::check(&settings.url).with_context(|| settings.url.clone())?;
        let client = Client::new(settings.http.clone())?;
        let spool = Arc::new(Spool::open(settings.spool.clone(), tally.clone())?);
        if let Some(last_ms) = spool.last_ms()
            && last_ms - clock.now_ms() < RESUME_MS
        {
            clock.resume_after(last_ms);
        }
        let parts = Parts {
            spool,
            overflow: Arc::new(Overflow::default()),
            clock: Arc::clone(&clock),
            tally: tally.clone(),
            stop: Arc::new(Stop::default()),
        };
        let post = Post::new(client, settings.url.clone(), clock, tally);
        let sender = Sender::new(settings, parts.clone(), post);
        std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn(move || sender.run_on())
            .context("start a thread")?;
        Ok(Self {
            parts,
            page: Mutex::new(()),
            is_disk_full: AtomicBool::new(false),
        })
    }

    /// Takes a page. It is on the disk when this returns; what the disk does not take waits in memory, and is counted
    /// when that does not last.
    pub fn accept(&self, page: &Page) {
        let _one = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let Parts {
            spool,
            overflow,
            clock,
            tally,
            ..
        } = &self.parts;
        spool.begin_page();
        let now_ms = clock.now_ms();
        let mut outcome = Ok(());
        for record in batch::records(page, now_ms.saturating_add(MOST_AHEAD_MS)) {
            match record {
                Ok(record) => {
                    if let Err(error) =
                        spool.append(now_ms, record.samples, record.newest_ms, &record.payload)
                    {
                        outcome = Err(error);
                        overflow.push(record, tally);
                    }
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "a part of a page cannot be encoded");
                    tally.dropped(Loss::Rejected, batch::RECORD.min(page.len()));
                }
            }
        }
        if clock.is_certain() {
            spool.drop_old(now_ms);
        }
        self.report(outcome.and(spool.finish_page()));
    }

    fn report(&self, outcome: std::io::Result<()>) {
        let was_full = self.is_disk_full.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !was_full => {
                tracing::error!(%error, "the spool's disk takes nothing; samples are sent from memory while the receiver takes them");
            }
            Ok(()) if was_full => tracing::info!("the spool's disk takes samples again"),
            _ => {}
        }
    }

    /// What waits.
    pub fn holding(&self) -> Holding {
        self.parts.spool.holding()
    }

    /// Sends what can be sent within this time; the rest stays in the spool for the next start.
    pub fn stop(&self, within: Duration) {
        let end = Instant::now() + within;
        let stop = &self.parts.stop;
        stop.set(Stage::Emptying);
        self.parts.spool.wake();
        if !stop.wait(Stage::Ended, within) {
            stop.set(Stage::Hurrying);
            stop.wait(Stage::Ended, end.saturating_duration_since(Instant::now()));
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.parts.stop.set(Stage::Hurrying);
        self.parts.spool.wake();
    }
}
