//! Reads the power limits of all zones, `constraint_*` and `enabled` of powercap; everyone may.
//!
//! Yields `rapl_power_limit_watts` and `rapl_power_limit_window_seconds{zone,constraint}`, `rapl_zone_enabled{zone}`,
//! and for all packages together `val_pl1_limit_watts` and `val_pl2_limit_watts`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exporter::fs::{self, ReadError};
use exporter::units::Microwatts;
use exporter::{CollectError, Collector, Family, Kind, Metric, Unit};

use crate::powercap::{Powercap, Zone};

const LIMIT: Metric<2> = Metric::gauge(
    "rapl_power_limit_watts",
    Unit::Watts,
    "Power limit as set, from constraint_*_power_limit_uw of the zone; absent when it is 0.",
    ["zone", "constraint"],
);
const WINDOW: Metric<2> = Metric::gauge(
    "rapl_power_limit_window_seconds",
    Unit::Seconds,
    "Time over which power is averaged against the limit, from constraint_*_time_window_us of the zone.",
    ["zone", "constraint"],
);
const ENABLED: Metric<1> = Metric::gauge(
    "rapl_zone_enabled",
    Unit::None,
    "Whether the zone's limits are in force (1), from its file enabled; firmware-locked limits read as 0.",
    ["zone"],
);
const PL1: Metric<0> = Metric::contract(
    Kind::Gauge,
    "val_pl1_limit_watts",
    "Long-term power limit (PL1) in force, all CPU packages together.",
    [],
);
const PL2: Metric<0> = Metric::contract(
    Kind::Gauge,
    "val_pl2_limit_watts",
    "Short-term power limit (PL2) in force, all CPU packages together.",
    [],
);

/// The name of PL1 in powercap.
const LONG_TERM: &str = "long_term";
/// The name of PL2 in powercap.
const SHORT_TERM: &str = "short_term";

/// Longer names come from no kernel.
const MAX_NAME: usize = 64;

/// One of a zone's limits: its name and where it is read.
#[derive(Debug)]
pub(crate) struct Constraint {
    name: String,
    power: PathBuf,
    window: PathBuf,
}

/// A limit that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) power: Microwatts,
    pub(crate) window: Duration,
}

impl Constraint {
    /// The constraints of the zone in this folder. One without a readable name is left out.
    pub(crate) fn all(zone: &Path) -> Result<Vec<Self>, ReadError> {
        let names = fs::list(zone)?;
        let constraint = |file: &String| {
            let prefix = file
                .strip_suffix("_name")
                .filter(|prefix| prefix.starts_with("constraint_"))?;
            let name = read_name(&zone.join(file))?;
            let beside = |what: &str| zone.join(format!("{prefix}_{what}"));
            Some(Self {
                name,
                power: beside("power_limit_uw"),
                window: beside("time_window_us"),
            })
        };
        let mut constraints: Vec<Self> = names.iter().filter_map(constraint).collect();
        constraints.sort_by(|a, b| a.name.cmp(&b.name));
        constraints.dedup_by(|a, b| a.name == b.name);
        Ok(constraints)
    }

    /// The limit; none when it is not set or cannot be read.
    pub(crate) fn power(&self) -> Option<Microwatts> {
        fs::read_u64(&self.power)
            .ok()
            .filter(|&power| power > 0)
            .map(Microwatts)
    }

    /// The averaging window; the peak limit (PL4) has none.
    fn window(&self) -> Option<Duration> {
        fs::read_u64(&self.window)
            .ok()
            .filter(|&window| window > 0)
            .map(Duration::from_micros)
    }
}

/// The name of a zone or constraint; none when the file holds something else.
pub(crate) fn read_name(file: &Path) -> Option<String> {
    fs::read_text(file).ok().filter(|text| is_name(text))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// How limits are judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Zones that read as disabled have their limits in force all the same, because the firmware locked them.
    pub(crate) is_locked: bool,
}

impl Policy {
    /// The long-term limit of the zone called `name`.
    pub(crate) fn long_term(self, zones: &[Zone], name: &str) -> Option<Limit> {
        self.in_force(zones, name, LONG_TERM)
    }

    /// The limit of a zone that holds: a zone and its memory-mapped twin both have one, and the processor keeps to
    /// the lower.
    fn in_force(self, zones: &[Zone], name: &str, constraint: &str) -> Option<Limit> {
        zones
            .iter()
            .filter(|zone| zone.twin_of.as_deref().unwrap_or(&zone.name) == name)
            .flat_map(|zone| zone.constraints.iter().map(move |candidate| (zone, candidate)))
            .filter(|(_, candidate)| candidate.name == constraint)
            .filter_map(|(zone, candidate)| {
                let power = candidate.power()?;
                let is_in_force = self.is_locked || is_enabled(zone) != Some(false);
                is_in_force.then(|| Limit {
                    power,
                    window: candidate.window().unwrap_or_default(),
                })
            })
            .min_by_key(|limit| limit.power)
    }

    /// The limits of all packages together; unknown when that of one is.
    fn of_packages(self, zones: &[Zone], constraint: &str) -> Option<f64> {
        let mut packages = zones.iter().filter(|zone| zone.is_package()).peekable();
        packages.peek()?;
        packages
            .map(|zone| {
                self.in_force(zones, &zone.name, constraint)
                    .map(|limit| limit.power.watts())
            })
            .sum()
    }
}

fn is_enabled(zone: &Zone) -> Option<bool> {
    match fs::read_u64(&zone.dir.join("enabled")).ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The collector of the limits.
pub(crate) struct Limits {
    powercap: Arc<Powercap>,
    policy: Policy,
}

impl Limits {
    /// Limits of these zones.
    pub(crate) fn new(powercap: &Arc<Powercap>, policy: Policy) -> Self {
        Self {
            powercap: Arc::clone(powercap),
            policy,
        }
    }
}

impl Collector for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let zones = self.powercap.zones().map_err(|error| {
            if error.is_missing() {
                CollectError::absent(error.to_string())
            } else {
                error.into()
            }
        })?;
        let limits: Vec<_> = zones
            .iter()
            .flat_map(|zone| {
                zone.constraints
                    .iter()
                    .map(|c| (LIMIT.labels([&*zone.name, &c.name]), c))
            })
            .filter_map(|(labels, constraint)| Some((labels, constraint.power()?, constraint.window())))
            .collect();
        Ok(vec![
            LIMIT.family(limits.iter().map(|(labels, power, _)| (labels, power.watts()))),
            WINDOW.family(
                limits
                    .iter()
                    .filter_map(|(labels, _, window)| Some((labels, window.as_ref()?.as_secs_f64()))),
            ),
            ENABLED.family(
                zones
                    .iter()
                    .filter_map(|zone| Some(([&*zone.name], f64::from(u8::from(is_enabled(zone)?))))),
            ),
            PL1.maybe(self.policy.of_packages(&zones, LONG_TERM)),
            PL2.maybe(self.policy.of_packages(&zones, SHORT_TERM)),
        ])
    }
}
