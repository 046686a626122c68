//! The watched sources, and the collector that asks them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exporter::{CollectError, Collector, Family, Sampler};

use crate::config::{self, Settings, SourceSettings};
use crate::docker::Docker;
use crate::origin::Origin;
use crate::page::{Pages, Seen};
use crate::pattern::Patterns;
use crate::procfs::Procfs;
use crate::source::{Observation, Roots, Source, Watch};
use crate::supervisord::Supervisord;
use crate::systemd::Systemd;

/// How often every source is looked at beside the scrapes.
const INTERVAL: Duration = Duration::from_secs(2);

/// All sources.
pub(crate) struct Workers {
    roots: Roots,
    setup: Mutex<Setup>,
    pages: Pages,
}

struct Setup {
    watched: Arc<Vec<Watched>>,
    /// Look for the usual sockets while there is none.
    usual: Option<Patterns>,
}

/// A source and what to show of it.
struct Watched {
    polled: Arc<Polled>,
    settings: SourceSettings,
}

struct Polled {
    source: Arc<Source>,
    _sampler: Sampler,
}

impl Workers {
    pub(crate) fn new(settings: Settings, procfs: &Path, sysfs: &Path) -> anyhow::Result<Self> {
        let workers = Self {
            roots: Roots {
                procfs: procfs.to_owned(),
                sysfs: sysfs.to_owned(),
            },
            setup: Mutex::new(Setup {
                watched: Arc::default(),
                usual: None,
            }),
            pages: Pages::default(),
        };
        workers.apply(settings)?;
        Ok(workers)
    }

    /// Changes to these settings. A source that stays keeps its counters.
    pub(crate) fn apply(&self, settings: Settings) -> anyhow::Result<()> {
        let mut setup = self.setup.lock().unwrap_or_else(PoisonError::into_inner);
        let (sources, usual) = match settings {
            Settings::Given(sources) => (sources, None),
            Settings::Usual(patterns) => (config::usual(&patterns), Some(patterns)),
        };
        let watch = |settings: SourceSettings| {
            let same = |other: &&Watched| other.settings.goes_on(&settings);
            let polled = match setup.watched.iter().find(same) {
                Some(other) => Arc::clone(&other.polled),
                None => Arc::new(self.poll(&settings)?),
            };
            Ok(Watched { polled, settings })
        };
        let watched = sources
            .into_iter()
            .map(watch)
            .collect::<anyhow::Result<Vec<_>>>()?;
        *setup = Setup {
            watched: Arc::new(watched),
            usual,
        };
        Ok(())
    }

    fn poll(&self, settings: &SourceSettings) -> anyhow::Result<Polled> {
        let roots = &self.roots;
        let watch: Box<dyn Watch> = match &settings.origin {
            Origin::Supervisord(endpoint) => Box::new(Supervisord::new(
                endpoint.clone(),
                settings.log.as_deref(),
                roots,
            )?),
            Origin::Systemd(bus) => Box::new(Systemd::new(bus, settings.patterns.texts(), roots)?),
            Origin::Docker(socket) => Box::new(Docker::new(socket, settings.clone(), roots)?),
        };
        let source = Arc::new(Source::new(settings.origin.to_string(), watch));
        let looked_at = Arc::clone(&source);
        let sampler = Sampler::every(settings.origin.kind(), INTERVAL, move || {
            looked_at.observe_when_due();
        })?;
        Ok(Polled {
            source,
            _sampler: sampler,
        })
    }

    fn watched(&self) -> Result<Arc<Vec<Watched>>, CollectError> {
        let current = |setup: &Setup| (Arc::clone(&setup.watched), setup.usual.clone());
        let (watched, usual) = current(&self.setup.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(patterns) = usual.filter(|_| watched.is_empty()) else {
            return Ok(watched);
        };
        self.apply(Settings::Usual(patterns))?;
        let (watched, _) = current(&self.setup.lock().unwrap_or_else(PoisonError::into_inner));
        if watched.is_empty() {
            let reason = format!(
                "none of {} exists; give --supervisor.url",
                config::usual_sockets()
            );
            return Err(CollectError::Absent(reason));
        }
        Ok(watched)
    }
}

/// The one collector. Asks all sources at the same time: a hung one costs its own values only.
pub(crate) struct SupervisorCollector(pub(crate) Arc<Workers>);

impl Collector for SupervisorCollector {
    fn name(&self) -> &'static str {
        "supervisor"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let watched = self.0.watched()?;
        let observations = observe(&watched);
        let seen: Vec<_> = watched
            .iter()
            .zip(&observations)
            .map(|(watched, observation)| Seen {
                source: watched.polled.source.address(),
                settings: &watched.settings,
                observation,
            })
            .collect();
        let procfs = Procfs::open(&self.0.roots.procfs).ok();
        let families = self.0.pages.families(&seen, procfs.as_ref());
        let silent: Vec<&str> = observations
            .iter()
            .filter_map(|observation| observation.workers.as_ref().err().map(String::as_str))
            .collect();
        if silent.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(families, anyhow::anyhow!(silent.join("; "))))
        }
    }
}

fn observe(watched: &[Watched]) -> Vec<Arc<Observation>> {
    let source = |watched: &Watched| Arc::clone(&watched.polled.source);
    if let [only] = watched {
        return vec![source(only).observe()];
    }
    std::thread::scope(|scope| {
        let looks: Vec<_> = watched
            .iter()
            .map(source)
            .map(|source| scope.spawn(move || source.observe()))
            .collect();
        looks
            .into_iter()
            .map(|look| {
                look.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}
