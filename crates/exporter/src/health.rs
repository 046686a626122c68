//! What every exporter says about itself: how each collector did, its build, and its last reload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::family::{Family, Kind, render};

/// The exporter's own families. Their names begin with the exporter's name, `-` written as `_`.
#[derive(Clone)]
pub(crate) struct Health {
    prefix: String,
    version: &'static str,
    reload: Arc<Mutex<Option<Reload>>>,
}

#[derive(Clone, Copy)]
struct Reload {
    successful: bool,
    last_success: Option<SystemTime>,
}

/// What a scrape got from one collector.
pub(crate) struct Report<'a> {
    pub(crate) collector: &'a str,
    pub(crate) success: bool,
    pub(crate) elapsed: Duration,
    pub(crate) last_success: Option<SystemTime>,
}

impl Health {
    pub(crate) fn new(name: &str, version: &'static str) -> Self {
        Self {
            prefix: name.replace('-', "_"),
            version,
            reload: Arc::default(),
        }
    }

    /// Notes how reading the configuration went; exporters that have none never call it.
    pub(crate) fn reloaded(&self, successful: bool) {
        let mut reload = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = reload.and_then(|reload| reload.last_success);
        let last_success = if successful {
            Some(SystemTime::now())
        } else {
            earlier
        };
        *reload = Some(Reload {
            successful,
            last_success,
        });
    }

    pub(crate) fn families(&self, reports: &[Report<'_>]) -> Vec<Family> {
        let per_collector = |name: &str, help: &str, value: fn(&Report<'_>) -> Option<f64>| {
            let samples = reports.iter().filter_map(|report| {
                Some((
                    render([("collector", report.collector)].into_iter()),
                    value(report)?,
                ))
            });
            self.family(name, help, samples)
        };
        let mut families = vec![
            self.family(
                "build_info",
                "The version of the running program; always 1.",
                [(render([("version", self.version)].into_iter()), 1.0)].into_iter(),
            ),
            per_collector(
                "collector_success",
                "Whether the collector delivered within the scrape's deadline.",
                |r| Some(f64::from(u8::from(r.success))),
            ),
            per_collector(
                "collector_duration_seconds",
                "How long the collector's run took, or has taken so far.",
                |r| Some(r.elapsed.as_secs_f64()),
            ),
            per_collector(
                "collector_last_success_timestamp_seconds",
                "When the collector last delivered, Unix time.",
                |r| r.last_success.and_then(unix),
            ),
        ];
        if let Some(reload) = *self.reload.lock().unwrap_or_else(PoisonError::into_inner) {
            let successful = f64::from(u8::from(reload.successful));
            families.push(self.family(
                "config_last_reload_successful",
                "Whether the configuration file could be used when it was read last.",
                [(render([].into_iter()), successful)].into_iter(),
            ));
            families.push(
                self.family(
                    "config_last_reload_success_timestamp_seconds",
                    "When the configuration in use was read, Unix time.",
                    reload
                        .last_success
                        .and_then(unix)
                        .map(|time| (render([].into_iter()), time))
                        .into_iter(),
                ),
            );
        }
        families
    }

    fn family(&self, name: &str, help: &str, samples: impl Iterator<Item = (Arc<str>, f64)>) -> Family {
        let mut family = Family::checked(Kind::Gauge, &format!("{}_{name}", self.prefix), help);
        family.extend(samples);
        family
    }
}

fn unix(time: SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs_f64())
}
