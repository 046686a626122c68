//! Waits until Prometheus has scraped what `up` started: a service that answers is of no use while its numbers do not
//! arrive.

use std::time::{Duration, Instant};

use crate::http::Http;
use crate::inventory::Inventory;
use crate::progress::Progress;
use crate::prometheus::{self, ActiveTarget};
use crate::render::{self, Place};
use crate::service::Service;

const PAUSE: Duration = Duration::from_millis(200);

/// What Prometheus says of its targets.
#[derive(Debug, Default)]
pub(crate) struct Scrapes {
    /// Targets of this stack that are not up, one sentence each.
    pub(crate) failures: Vec<String>,
    /// Targets down that this stack does not start: other machines, programs of the user's own. One sentence each.
    pub(crate) elsewhere: Vec<String>,
}

/// A service that Prometheus is expected to scrape.
#[derive(Debug)]
pub(crate) struct Expected {
    /// Its job has its name.
    pub(crate) service: Service,
    /// `host:port` as Prometheus reaches it.
    pub(crate) instance: String,
    /// The machine that its numbers are about.
    pub(crate) machine: String,
}

impl Expected {
    /// Of what Prometheus scrapes here, the services that work.
    pub(crate) fn of(inventory: &Inventory, place: Place, works: impl Fn(Service) -> bool) -> Vec<Self> {
        let scraped = render::scraped_here(inventory, place).into_iter();
        let expected = scraped.filter(|(service, ..)| works(*service));
        expected
            .map(|(service, instance, machine)| Self {
                service,
                instance,
                machine,
            })
            .collect()
    }
}

/// Waits until the Prometheus at `url` has scraped each one. Of those in `started`, a scrape from before the wait does
/// not count.
pub(crate) fn until_scraped(
    url: &str,
    expected: &[Expected],
    started: &[String],
    limit: Duration,
    progress: &Progress,
) -> Scrapes {
    let is_started = |service: Service| started.iter().any(|name| name == service.name());
    // One that has just been started has scraped nothing before.
    let may_be_stale = |service: Service| is_started(service) && !is_started(Service::Prometheus);
    let http = Http::new(Duration::from_secs(2));
    let deadline = Instant::now() + limit;
    let mut awaited: Option<Vec<Awaited>> = None;
    progress.step("waiting until Prometheus has scraped them");
    loop {
        let answer = prometheus::targets(&http, url);
        let is_late = Instant::now() > deadline;
        match answer {
            Ok(targets) => {
                let awaited = awaited.get_or_insert_with(|| {
                    let awaited = expected
                        .iter()
                        .map(|one| Awaited::new(one, &targets, may_be_stale(one.service)));
                    awaited.collect()
                });
                let open: Vec<&Awaited> = awaited.iter().filter(|one| !one.is_up(&targets)).collect();
                if open.is_empty() || is_late {
                    return Scrapes {
                        failures: open.iter().map(|one| one.failure(&targets, limit)).collect(),
                        elsewhere: elsewhere(awaited, &targets),
                    };
                }
                let names: Vec<&str> = open.iter().map(|one| one.job).collect();
                progress.detail(&format!("waiting for Prometheus to scrape {}", names.join(", ")));
            }
            Err(error) if is_late => {
                return Scrapes {
                    failures: vec![format!("prometheus does not say what it scrapes: {error:#}")],
                    elsewhere: Vec::new(),
                };
            }
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

struct Awaited<'a> {
    job: &'static str,
    instance: String,
    /// After a change Prometheus goes on for a moment with targets that carry the old name.
    machine: &'a str,
    /// When the last scrape began that does not count.
    stale: Option<String>,
}

impl<'a> Awaited<'a> {
    fn new(expected: &'a Expected, targets: &[ActiveTarget], may_be_stale: bool) -> Self {
        let mut awaited = Self {
            job: expected.service.name(),
            instance: expected.instance.clone(),
            machine: &expected.machine,
            stale: None,
        };
        let before = awaited.find(targets).filter(|_| may_be_stale);
        awaited.stale = before.map(|target| target.last_scrape.clone());
        awaited
    }

    fn is(&self, target: &ActiveTarget) -> bool {
        target.labels.job == self.job && target.labels.instance == self.instance
    }

    fn find<'t>(&self, targets: &'t [ActiveTarget]) -> Option<&'t ActiveTarget> {
        let mut targets = targets.iter();
        targets.find(|target| self.is(target) && target.labels.machine == self.machine)
    }

    fn counts(&self, target: &ActiveTarget) -> bool {
        self.stale.as_ref() != Some(&target.last_scrape)
    }

    fn is_up(&self, targets: &[ActiveTarget]) -> bool {
        self.find(targets)
            .is_some_and(|target| target.is_up() && self.counts(target))
    }

    fn failure(&self, targets: &[ActiveTarget], limit: Duration) -> String {
        let reason = match self.find(targets) {
            None => "it is not among the targets that Prometheus knows".to_owned(),
            Some(target) if target.is_down() => target.last_error.clone(),
            Some(_) => format!(
                "not within {} s; --timeout waits longer, scrape_interval in prometheus/prometheus.yml says how often",
                limit.as_secs()
            ),
        };
        format!(
            "prometheus has not scraped {} at {}: {reason}",
            self.job, self.instance
        )
    }
}

fn elsewhere(awaited: &[Awaited], targets: &[ActiveTarget]) -> Vec<String> {
    let others = targets
        .iter()
        .filter(|target| target.is_down() && !awaited.iter().any(|one| one.is(target)));
    let sentence = |target: &ActiveTarget| {
        format!(
            "{} on {} ({}) is down: {}",
            target.labels.job, target.labels.machine, target.labels.instance, target.last_error
        )
    };
    others.map(sentence).collect()
}
