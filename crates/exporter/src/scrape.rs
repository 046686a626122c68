//! Runs the collectors for one scrape and reports how each of them did.
//!
//! Every collector has a slot with at most one run under way. A scrape joins the run that is under way or starts one,
//! waits for it until its own deadline, and writes the page with what has arrived; so concurrent scrapes share one
//! read, and a collector that hangs costs its own families only. A late result is dropped: it would be an old value.
//!
//! The runs of a scrape share one thread, since waking one for each costs more than most collectors do. When that
//! thread is still busy after a moment, another one takes what waits behind it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::collector::{CollectError, Collector};
use crate::encode::{arrange, encode};
use crate::family::Family;
use crate::health::{Health, Report};
use crate::instruments::Instruments;
use crate::process;

/// How long the runs of a scrape wait behind a busy collector before they get another thread.
const MOMENT: Duration = Duration::from_millis(10);

/// The collectors of one exporter, and what goes onto each page beside theirs.
pub(crate) struct Scraper {
    slots: Vec<Arc<Slot>>,
    health: Health,
    instruments: Option<Instruments>,
    /// What the last page could not carry, so that it is logged once.
    left_off: Mutex<Vec<String>>,
}

/// The end of one run of a collector.
struct Outcome {
    result: Result<Vec<Family>, CollectError>,
    elapsed: Duration,
}

type Run = watch::Receiver<Option<Arc<Outcome>>>;

/// A run that no thread has begun yet.
struct Job {
    slot: Arc<Slot>,
    done: watch::Sender<Option<Arc<Outcome>>>,
}

type Jobs = Arc<Mutex<VecDeque<Job>>>;

struct Slot {
    collector: Box<dyn Collector>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<(Instant, Run)>,
    last_success: Option<SystemTime>,
    /// The text of the failure that was logged last, so that each is logged once.
    logged: Option<String>,
}

impl Scraper {
    pub(crate) fn new(
        collectors: Vec<Box<dyn Collector>>,
        health: Health,
        instruments: Option<Instruments>,
    ) -> Self {
        let slots = collectors
            .into_iter()
            .map(|collector| {
                Arc::new(Slot {
                    collector,
                    state: Mutex::default(),
                })
            })
            .collect();
        Self {
            slots,
            health,
            instruments,
            left_off: Mutex::default(),
        }
    }

    /// Collects until `deadline` at the latest and returns the page. Must be called inside a Tokio runtime.
    pub(crate) async fn page(&self, deadline: Instant) -> Vec<u8> {
        let mut jobs = VecDeque::new();
        let runs: Vec<_> = self.slots.iter().map(|slot| slot.join(&mut jobs)).collect();
        if !jobs.is_empty() {
            // A task of its own: the runs go on when the client of this scrape has hung up.
            tokio::spawn(start(Arc::new(Mutex::new(jobs))));
        }
        // Waiting for the last one first wakes this task once instead of once for each run, since they share a thread.
        let mut ended = Vec::with_capacity(runs.len());
        for (started, mut run) in runs.into_iter().rev() {
            let outcome = match timeout_at(deadline, run.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                // The run never ended, or its thread could not even be started.
                Ok(Err(_)) | Err(_) => None,
            };
            ended.push((started, outcome));
        }
        let mut families = Vec::new();
        let mut reports = Vec::with_capacity(ended.len());
        for (slot, (started, outcome)) in self.slots.iter().zip(ended.iter().rev()) {
            reports.push(slot.report(outcome.as_deref(), *started));
            if let Some(Ok(collected) | Err(CollectError::Partly(collected, _))) =
                outcome.as_deref().map(|outcome| &outcome.result)
            {
                families.extend_from_slice(collected);
            }
        }
        families.extend(self.health.families(&reports));
        families.extend(process::families());
        families.extend(self.instruments.iter().flat_map(Instruments::gather));
        let (families, dropped) = arrange(families);
        self.report_left_off(dropped);
        let mut page = Vec::with_capacity(16 * 1024);
        encode(&families, &mut page);
        page
    }

    fn report_left_off(&self, now: Vec<String>) {
        let mut before = self.left_off.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = now.first().filter(|_| *before != now) {
            tracing::error!(error = first, count = now.len(), "left off the page");
        }
        *before = now;
    }
}

impl Slot {
    /// The run that is under way, or a new one, which is put to the jobs.
    fn join(self: &Arc<Self>, jobs: &mut VecDeque<Job>) -> (Instant, Run) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &state.running {
            return running.clone();
        }
        let (done, run) = watch::channel(None);
        jobs.push_back(Job {
            slot: Arc::clone(self),
            done,
        });
        state.running.insert((Instant::now(), run)).clone()
    }

    fn report(&self, outcome: Option<&Outcome>, started: Instant) -> Report<'_> {
        let collector = self.collector.name();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match outcome.map(|outcome| &outcome.result) {
            Some(Ok(_)) => None,
            Some(Err(CollectError::Absent(reason))) => {
                tracing::debug!(collector, reason, "nothing to collect");
                None
            }
            Some(Err(CollectError::Failed(error) | CollectError::Partly(_, error))) => {
                Some(format!("{error:#}"))
            }
            None => {
                Some("missed the deadline of the scrape; it goes on, and the next scrape joins it".into())
            }
        };
        if state.logged != failure {
            if let Some(error) = &failure {
                tracing::warn!(collector, error, "collector failed");
            } else {
                tracing::info!(collector, "collector works again");
            }
            state.logged.clone_from(&failure);
        }
        if failure.is_none() {
            state.last_success = Some(SystemTime::now());
        }
        Report {
            collector,
            success: failure.is_none(),
            elapsed: outcome.map_or_else(|| started.elapsed(), |outcome| outcome.elapsed),
            last_success: state.last_success,
        }
    }
}

/// Begins the jobs on one thread, and on one more whenever a moment has not been enough.
async fn start(jobs: Jobs) {
    loop {
        let worker = Arc::clone(&jobs);
        tokio::task::spawn_blocking(move || {
            while let Some(job) = next(&worker) {
                job.run();
            }
        });
        sleep(MOMENT).await;
        if jobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
    }
}

fn next(jobs: &Jobs) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

impl Job {
    fn run(self) {
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| self.slot.collector.collect()))
            .unwrap_or_else(|panic| Err(CollectError::Failed(panic_error(panic.as_ref()))));
        self.slot
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .running = None;
        self.done.send_replace(Some(Arc::new(Outcome {
            result,
            elapsed: started.elapsed(),
        })));
    }
}

/// The text of a panic, which is a string in all but exotic cases.
pub(crate) fn panic_error(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    anyhow::anyhow!("panic: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::metric::{Metric, Unit};

    const RUNS: Metric<0> = Metric::gauge("test_runs", Unit::None, "Runs.", []);
    const FINE: Metric<0> = Metric::gauge("test_fine", Unit::None, "Fine.", []);

    /// Counts its runs and waits in each until the gate is open.
    #[derive(Default)]
    struct Gated {
        runs: AtomicUsize,
        open: Mutex<bool>,
        opened: Condvar,
    }

    impl Gated {
        fn open(&self) {
            *self.open.lock().expect("lock") = true;
            self.opened.notify_all();
        }
    }

    impl Collector for Arc<Gated> {
        fn name(&self) -> &'static str {
            "gated"
        }

        fn collect(&self) -> Result<Vec<Family>, CollectError> {
            let runs = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            let mut open = self.open.lock().expect("lock");
            while !*open {
                open = self.opened.wait(open).expect("lock");
            }
            #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
            Ok(vec![RUNS.value(runs as f64)])
        }
    }

    struct Simple(&'static str, fn() -> Result<Vec<Family>, CollectError>);

    impl Collector for Simple {
        fn name(&self) -> &'static str {
            self.0
        }

        fn collect(&self) -> Result<Vec<Family>, CollectError> {
            self.1()
        }
    }

    fn scraper(collectors: Vec<Box<dyn Collector>>) -> Scraper {
        Scraper::new(collectors, Health::new("test-exporter", "1.2.3"), None)
    }

    async fn page(scraper: &Scraper, limit: Duration) -> String {
        String::from_utf8(scraper.page(Instant::now() + limit).await).expect("UTF-8")
    }

    struct OpenOnDrop(Arc<Gated>);

    impl Drop for OpenOnDrop {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    /// Long enough for a collector that answers at once, on a busy machine too.
    const SHORT: Duration = Duration::from_secs(2);
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_hung_collector_costs_its_own_families_only_and_runs_once() {
        let gated = Arc::new(Gated::default());
        let scraper = scraper(vec![
            Box::new(Arc::clone(&gated)),
            Box::new(Simple("fine", || Ok(vec![FINE.value(1.0)]))),
        ]);
        // Without this a failed assertion would wait for the hung thread for ever.
        let _opened_at_the_end = OpenOnDrop(Arc::clone(&gated));
        for _ in 0..2 {
            let page = page(&scraper, SHORT).await;
            assert!(page.contains("\ntest_fine 1\n"), "{page}");
            assert!(!page.contains("test_runs"), "{page}");
            assert!(
                page.contains("test_exporter_collector_success{collector=\"gated\"} 0\n"),
                "{page}"
            );
            assert!(
                page.contains("test_exporter_collector_success{collector=\"fine\"} 1\n"),
                "{page}"
            );
            assert!(
                !page.contains("last_success_timestamp_seconds{collector=\"gated\"}"),
                "{page}"
            );
        }
        gated.open();
        let page = page(&scraper, LONG).await;
        assert!(
            page.contains("\ntest_runs 1\n") || page.contains("\ntest_runs 2\n"),
            "{page}"
        );
        assert!(gated.runs.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn concurrent_scrapes_share_one_run() {
        let gated = Arc::new(Gated::default());
        let scraper = scraper(vec![Box::new(Arc::clone(&gated))]);
        let opener = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            gated.open();
        };
        let (a, b, ()) = tokio::join!(page(&scraper, LONG), page(&scraper, LONG), opener);
        assert!(a.contains("\ntest_runs 1\n"), "{a}");
        assert!(b.contains("\ntest_runs 1\n"), "{b}");
    }

    #[tokio::test]
    async fn what_could_be_read_is_shown_beside_the_failure() {
        let partly = || {
            Err(CollectError::Partly(
                vec![FINE.value(1.0)],
                anyhow::anyhow!("one of two"),
            ))
        };
        let page = page(&scraper(vec![Box::new(Simple("partly", partly))]), LONG).await;
        assert!(page.contains("\ntest_fine 1\n"), "{page}");
        assert!(
            page.contains("test_exporter_collector_success{collector=\"partly\"} 0\n"),
            "{page}"
        );
    }

    #[tokio::test]
    async fn a_panic_a_failure_and_an_absence_are_told_apart() {
        let scraper = scraper(vec![
            Box::new(Simple("panics", || panic!("out of cheese"))),
            Box::new(Simple("fails", || Err(anyhow::anyhow!("torn file").into()))),
            Box::new(Simple("absent", || Err(CollectError::absent("no such hardware")))),
            Box::new(Simple("fine", || Ok(vec![FINE.value(1.0)]))),
        ]);
        for _ in 0..2 {
            let page = page(&scraper, LONG).await;
            for (collector, success) in [("panics", 0), ("fails", 0), ("absent", 1), ("fine", 1)] {
                let line =
                    format!("test_exporter_collector_success{{collector=\"{collector}\"}} {success}\n");
                assert!(page.contains(&line), "{line} is not on\n{page}");
            }
            assert!(page.contains("\ntest_fine 1\n"), "{page}");
        }
    }
}
