//! Takes records from the spool to the receiver: fresh ones first and the backlog beside them, or all in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::batch::{Batch, RECORD, Record};
use super::pause::Pause;
use super::post::{Post, Unavailable};
use super::preflight::{self, Receiver};
use super::reply::Version;
use super::stop::Stage;
use super::{MOST_AHEAD_MS, Order, Parts, Settings};
use crate::spool::{Entry, Holding, Reader};
use crate::tally::{Loss, Outcome};

/// What one request carries at most.
const MOST_SAMPLES: usize = 10_000;
const MOST_BYTES: usize = 1 << 20;
/// The receiver is asked again what it takes after this, and after every outage.
const ASK_AGAIN: Duration = Duration::from_hours(1);
/// How often the spool is looked at when nobody says that there is something new.
const TICK: Duration = Duration::from_secs(1);
/// Each outage leaves a gap in what is done with. With more of them than this, records are sent in order until some are
/// filled.
const MOST_PIECES: usize = 256;

/// The loop that empties the spool.
pub(super) struct Sender {
    settings: Settings,
    parts: Parts,
    post: Post,
    receiver: Receiver,
    asked: Option<Instant>,
    pause: Pause,
    /// From here on records are fresh; before it is the backlog. None when all are sent in order.
    fresh: Option<u64>,
    fresh_reader: Reader,
    backlog_reader: Reader,
    /// Records before it were passed over, since their time has not come.
    passed: u64,
    /// When the backlog may go on.
    backlog_at: Instant,
    is_away: bool,
    is_late: bool,
}

/// What goes out next.
struct Load {
    batch: Batch,
    source: Source,
}

enum Source {
    /// Records from and up to without these numbers.
    Fresh(u64, u64),
    Backlog(u64, u64),
    Overflow(Record),
}

impl Sender {
    pub(super) fn new(settings: Settings, parts: Parts, post: Post) -> Self {
        Self {
            settings,
            parts,
            post,
            receiver: Receiver::default(),
            asked: None,
            pause: Pause::default(),
            fresh: None,
            fresh_reader: Reader::default(),
            backlog_reader: Reader::default(),
            passed: 0,
            backlog_at: Instant::now(),
            is_away: false,
            is_late: false,
        }
    }

    /// Runs until it is told to stop. What panics is begun again.
    pub(super) fn run_on(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            tracing::error!("sending to the receiver panicked and is begun again");
            self.parts.stop.wait(Stage::Hurrying, TICK);
        }
    }

    fn run(&mut self) {
        while self.parts.stop.stage() < Stage::Hurrying {
            let next = self.parts.spool.holding().next;
            match self.step() {
                Ok(true) => self.worked(),
                Ok(false) | Err(_) if self.parts.stop.stage() >= Stage::Emptying => break,
                Ok(false) => {
                    let backlog = self.backlog_at.saturating_duration_since(Instant::now());
                    let most = Some(backlog).filter(|wait| !wait.is_zero()).unwrap_or(TICK);
                    self.parts.spool.wait(next, most.min(TICK));
                }
                Err(unavailable) => self.failed(&unavailable),
            }
        }
        self.parts.overflow.abandon(&self.parts.tally);
        self.parts.stop.set(Stage::Ended);
    }

    /// Sends one batch, if there is something to send.
    fn step(&mut self) -> Result<bool, Unavailable> {
        if self.asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
            self.ask()?;
        }
        let Some(Load { batch, source }) = self.load() else {
            return Ok(false);
        };
        let samples = batch.samples();
        match (self.post.deliver(batch), source) {
            (Ok(()), Source::Fresh(start, end)) => {
                self.parts.spool.done(start, end);
                self.fresh = Some(end);
            }
            (Ok(()), Source::Backlog(start, end)) => {
                self.parts.spool.done(start, end);
                let rate = f64::from(self.settings.backlog_rate.max(1));
                self.backlog_at = Instant::now() + Duration::from_secs_f64(samples as f64 / rate);
            }
            (Ok(()), Source::Overflow(_)) => {}
            (Err(unavailable), Source::Overflow(record)) => {
                self.parts.overflow.put_back(record);
                return Err(unavailable);
            }
            (Err(unavailable), _) => return Err(unavailable),
        }
        Ok(true)
    }

    fn ask(&mut self) -> Result<(), Unavailable> {
        let (client, url) = self.post.line();
        let (Parts { clock, tally, .. }, started) = (&self.parts, Instant::now());
        let receiver = preflight::ask(client, url, clock).map_err(|error| {
            tally.pushed(Outcome::Unavailable, started.elapsed(), clock.now_ms());
            let text = error.to_string();
            Unavailable { after: None, text }
        })?;
        if receiver != self.receiver {
            preflight::advise(&receiver, self.parts.spool.age());
        }
        self.receiver = receiver;
        self.asked = Some(Instant::now());
        self.post.version = Version::V2;
        self.post.is_proven |= receiver.takes_writes;
        Ok(())
    }

    fn load(&mut self) -> Option<Load> {
        let holding = self.parts.spool.holding();
        self.choose(&holding);
        if (self.fresh.is_some() || holding.first == holding.next)
            && let Some(record) = self.parts.overflow.pop()
            && let Ok(batch) = Batch::decode(&record.payload)
        {
            return Some(Load {
                batch,
                source: Source::Overflow(record),
            });
        }
        if let Some(fresh) = self.fresh
            && let Some((batch, start, end)) = self.gather(true, fresh, holding.next)
        {
            return Some(Load {
                batch,
                source: Source::Fresh(start, end),
            });
        }
        if Instant::now() < self.backlog_at {
            return None;
        }
        let from = self.passed.max(holding.first);
        let found = self.gather(false, from, self.fresh.unwrap_or(holding.next));
        if found.is_none() {
            // Those that were passed over are looked at again with the next tick.
            self.passed = 0;
        }
        found.map(|(batch, start, end)| Load {
            batch,
            source: Source::Backlog(start, end),
        })
    }

    /// Decides whether fresh records go before the backlog: only where the receiver takes what comes after.
    fn choose(&mut self, holding: &Holding) {
        let age = holding
            .oldest_ms
            .map_or(0, |oldest| self.parts.clock.now_ms() - oldest);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
        let is_fresh_first = match self.settings.order {
            Order::FreshFirst => true,
            Order::OldestFirst => false,
            Order::Auto => self.receiver.takes_late(age),
        } && holding.pieces < MOST_PIECES;
        self.fresh = is_fresh_first.then(|| self.fresh.unwrap_or(holding.page));
        let is_late = self
            .receiver
            .reach()
            .is_some_and(|reach| age > reach.mul_f64(0.8));
        if is_late && !self.is_late {
            tracing::warn!(
                waiting = ?age, taken = ?self.receiver.reach(),
                "samples have waited so long that the receiver will soon refuse them as too old; \
                 set storage.tsdb.out_of_order_time_window there to the age of the spool"
            );
        }
        self.is_late = is_late;
    }

    /// Records from `from` on and below `below`, as many as one request carries.
    fn gather(&mut self, is_fresh: bool, from: u64, below: u64) -> Option<(Batch, u64, u64)> {
        let (mut batches, mut samples, mut bytes) = (Vec::new(), 0, 0);
        let (mut start, mut end) = (from, from);
        while samples + RECORD <= MOST_SAMPLES && bytes < MOST_BYTES {
            let reader = if is_fresh {
                &mut self.fresh_reader
            } else {
                &mut self.backlog_reader
            };
            let Some(entry) = self.parts.spool.read(reader, end, below) else {
                break;
            };
            if self.is_ahead(&entry) {
                if !batches.is_empty() {
                    break;
                }
                (start, end) = (entry.seq + 1, entry.seq + 1);
                if is_fresh {
                    self.fresh = Some(end);
                } else {
                    self.passed = end;
                }
                continue;
            }
            if batches.is_empty() {
                start = entry.seq;
            }
            end = entry.seq + 1;
            match Batch::decode(&entry.payload) {
                Ok(batch) => batches.push(batch),
                Err(error) => {
                    tracing::warn!(
                        record = entry.seq,
                        error = format!("{error:#}"),
                        "a record cannot be read and is left out"
                    );
                    self.parts.tally.dropped(Loss::Corrupt, entry.samples);
                    self.parts.spool.done(entry.seq, end);
                }
            }
            samples += entry.samples;
            bytes += entry.payload.len();
        }
        (!batches.is_empty()).then(|| (Batch::merge(batches), start, end))
    }

    /// Whether the record's time has not come; what is further ahead than the spool keeps is given up.
    fn is_ahead(&self, entry: &Entry) -> bool {
        let ahead = entry.newest_ms.saturating_sub(self.parts.clock.now_ms());
        if ahead <= MOST_AHEAD_MS {
            return false;
        }
        if u128::try_from(ahead).is_ok_and(|ahead| ahead > self.parts.spool.age().as_millis()) {
            self.parts.tally.dropped(Loss::Future, entry.samples);
            self.parts.spool.done(entry.seq, entry.seq + 1);
        }
        true
    }

    fn worked(&mut self) {
        self.pause.reset();
        if self.is_away {
            self.is_away = false;
            tracing::info!("the receiver takes samples again");
        }
    }

    fn failed(&mut self, unavailable: &Unavailable) {
        let wait = self.pause.next(unavailable.after);
        if self.is_away {
            tracing::debug!(error = unavailable.text, ?wait, "the receiver is still away");
        } else {
            self.is_away = true;
            tracing::warn!(
                error = unavailable.text,
                "the receiver takes no samples; they wait in the spool"
            );
        }
        // It may be another one when it comes back, and is then to have the newest page first.
        self.asked = None;
        let page = self.parts.spool.holding().page;
        self.fresh = self.fresh.map(|fresh| fresh.max(page));
        self.parts.stop.wait(Stage::Emptying, wait);
    }
}
