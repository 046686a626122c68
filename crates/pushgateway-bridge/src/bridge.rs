//! The parts put together: targets and local jobs on one side, a delivery on the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use exporter::{Common, Exporter, Instruments};

use crate::board::{Board, Own};
use crate::clock::Clock;
use crate::config::{self, Flags, Receiver, Settings};
use crate::delivery::{Delivery, Nowhere};
use crate::intake::Intake;
use crate::pushgateway::Pushgateway;
use crate::scrape::{Clash, Context, Format, Identity, Schedule, Target, Watch};
use crate::tally::Tally;
use crate::written::Written;

/// The job under which the bridge delivers its own page, and how often.
const OWN_JOB: &str = "pushgateway-bridge";
const OWN_INTERVAL: Duration = Duration::from_secs(15);
/// `--once` waits at most this long for the first scrapes; less than the library waits for the page.
const FIRST_SCRAPES: Duration = Duration::from_secs(25);
/// How long to wait for scrapes that are under way: at a reload, and when there is no time left.
const SCRAPES_END: Duration = Duration::from_secs(30);
const SCRAPES_END_AT_ONCE: Duration = Duration::from_secs(1);

/// A running bridge.
pub(crate) struct Bridge {
    clock: Arc<Clock>,
    tally: Tally,
    instruments: Instruments,
    board: Arc<Board>,
    /// What it was started with; the targets may have changed since.
    settings: Settings,
    running: Mutex<Running>,
    /// A reload that waits for a slow target does so no longer.
    is_stopping: AtomicBool,
}

#[derive(Default)]
struct Running {
    delivery: Option<Arc<dyn Delivery>>,
    own: Option<Watch>,
    intake: Option<Intake>,
    targets: Vec<(Target, Watch)>,
}

impl Bridge {
    /// Starts everything, inside the Tokio runtime.
    pub(crate) fn start(flags: &Flags, common: &Common, settings: Settings) -> anyhow::Result<Arc<Self>> {
        let instruments = Instruments::new();
        let clock = Arc::new(Clock::new());
        let tally = Tally::new(&instruments)?;
        let bridge = Self {
            board: Arc::new(Board::new(Arc::clone(&clock), tally.clone(), instruments.clone())),
            clock,
            tally,
            instruments,
            settings,
            running: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        };
        if common.once {
            bridge.scrape_once()?;
        } else {
            bridge.run(flags)?;
        }
        Ok(Arc::new(bridge))
    }

    /// The bridge as the shared library runs it.
    pub(crate) fn exporter(self: &Arc<Self>, common: &Common) -> Exporter {
        let (bridge, common) = (Arc::clone(self), common.clone());
        Exporter::new(vec![Box::new(Own(Arc::clone(&self.board)))])
            .instruments(self.instruments.clone())
            .on_reload(move || bridge.reload(&config::read(&common)?))
    }

    fn run(&self, flags: &Flags) -> anyhow::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(delivery) = self.delivery(flags)? else {
            ensure!(
                flags.intake.is_none(),
                "--intake.listen-address: there is no receiver to bring pushes to; name one in --config.file"
            );
            tracing::warn!("no receiver is configured, so nothing is delivered; name one in --config.file");
            return Ok(());
        };
        if self.settings.targets.is_empty() {
            tracing::info!("no target is configured; the bridge delivers its own page");
        }
        if let Some(address) = &flags.intake {
            let folder = flags.storage.join("intake");
            let context = self.context(&delivery, None);
            running.intake = Some(Intake::start(address, &folder, &self.settings.machine, context)?);
        }
        running.own = Some(self.own(&delivery)?);
        self.board.show(Arc::clone(&delivery));
        self.change_targets(&mut running, &delivery, &self.settings.targets)?;
        running.delivery = Some(delivery);
        Ok(())
    }

    /// Changes to these targets.
    fn reload(&self, settings: &Settings) -> anyhow::Result<()> {
        ensure!(
            self.settings.has_receiver_of(settings),
            "the receiver, `machine` or the spool changed; that takes a restart"
        );
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.delivery.clone() {
            Some(delivery) => self.change_targets(&mut running, &delivery, &settings.targets),
            // There is none, or the bridge is stopping.
            None => Ok(()),
        }
    }

    /// Ends targets that are no longer wanted as they are, and starts those that are new.
    fn change_targets(
        &self,
        running: &mut Running,
        delivery: &Arc<dyn Delivery>,
        wanted: &[Target],
    ) -> anyhow::Result<()> {
        let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut running.targets)
            .into_iter()
            .partition(|(target, _)| wanted.contains(target));
        running.targets = kept;
        let (ended, watches): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        // What answers to earlier settings must not arrive after what answers to the next.
        let deadline = Instant::now() + SCRAPES_END;
        let is_stopping = || self.is_stopping.load(Ordering::Relaxed);
        Watch::end(watches, || Instant::now() < deadline && !is_stopping());
        for target in ended {
            self.board.forget(&target.name);
            let goes_on = |other: &Target| other.identity.labels == target.identity.labels;
            if !wanted.iter().any(goes_on) {
                delivery.end(&target.identity.source());
            }
        }
        for target in wanted {
            if running.targets.iter().all(|(known, _)| known != target) {
                let watch = self.watch(target, delivery)?;
                running.targets.push((target.clone(), watch));
            }
        }
        Ok(())
    }

    fn watch(&self, target: &Target, delivery: &Arc<dyn Delivery>) -> anyhow::Result<Watch> {
        let fetch = Box::new(target.fetch().with_context(|| target.name.clone())?);
        let context = self.context(delivery, Some(&self.board));
        Watch::start(target.schedule(), fetch, context).context("start a thread")
    }

    /// The bridge's own page goes the way of all others.
    fn own(&self, delivery: &Arc<dyn Delivery>) -> anyhow::Result<Watch> {
        let machine = self.settings.machine.as_str();
        let labels = [("instance", machine), ("job", OWN_JOB), ("machine", machine)];
        let schedule = Schedule {
            name: OWN_JOB.to_owned(),
            interval: OWN_INTERVAL,
            identity: Identity {
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
                clash: Clash::Rename,
            },
            sample_limit: usize::MAX,
        };
        let board = Arc::clone(&self.board);
        let fetch = Box::new(move || Ok((board.page(), Format::Text)));
        Watch::start(schedule, fetch, self.context(delivery, None)).context("start a thread")
    }

    fn context(&self, delivery: &Arc<dyn Delivery>, board: Option<&Arc<Board>>) -> Context {
        Context {
            clock: Arc::clone(&self.clock),
            delivery: Arc::clone(delivery),
            tally: self.tally.clone(),
            board: board.cloned(),
        }
    }

    fn delivery(&self, flags: &Flags) -> anyhow::Result<Option<Arc<dyn Delivery>>> {
        let (clock, tally) = (Arc::clone(&self.clock), self.tally.clone());
        Ok(match &self.settings.receiver {
            None => None,
            Some(Receiver::Pushgateway(endpoint)) => Some(Arc::new(Pushgateway::new(
                &endpoint.url,
                endpoint.http.clone(),
                clock,
                tally,
            )?)),
            Some(Receiver::RemoteWrite(endpoint)) => {
                let folder = flags.storage.join("spool");
                let settings = self.settings.spool.remote_write(endpoint, folder);
                Some(Arc::new(Written::start(settings, clock, tally)?))
            }
        })
    }

    /// Ends everything until then, with a last push. A second call waits for the first one.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let Some(mut running) = self.running_until(deadline) else {
            return;
        };
        running.intake = None;
        let targets = std::mem::take(&mut running.targets);
        let mut watches: Vec<_> = targets.into_iter().map(|(_, watch)| watch).collect();
        watches.extend(running.own.take());
        let scrapes_end = Instant::now() + SCRAPES_END_AT_ONCE;
        Watch::end(watches, || Instant::now() < scrapes_end);
        if let Some(delivery) = running.delivery.take() {
            delivery.stop(deadline);
        }
    }

    /// What runs, unless a reload has it until then.
    fn running_until(&self, deadline: Instant) -> Option<MutexGuard<'_, Running>> {
        loop {
            match self.running.try_lock() {
                Ok(running) => return Some(running),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }

    /// Scrapes every target once, and delivers nothing.
    fn scrape_once(&self) -> anyhow::Result<()> {
        let delivery: Arc<dyn Delivery> = Arc::new(Nowhere);
        let targets = &self.settings.targets;
        let watches = targets.iter().map(|target| self.watch(target, &delivery));
        let watches: Vec<Watch> = watches.collect::<Result<_, _>>()?;
        let deadline = Instant::now() + FIRST_SCRAPES;
        while self.board.targets() < targets.len() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        Watch::end(watches, || false);
        Ok(())
    }
}
