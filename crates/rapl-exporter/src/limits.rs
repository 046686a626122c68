//! Reads the power limits of all zones, `constraint_*` and `enabled` of powercap; everyone may.
//!
//! Yields `rapl_power_limit_watts` and `rapl_power_limit_window_seconds{zone,constraint}`, `rapl_zone_enabled{zone}`,
//! and for all packages together `val_pl1_limit_watts` and `val_pl2_limit_watts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use exporter::fs::{self, ReadError};
use exporter::units::Microwatts;
use exporter::{CollectError, Collector, Family, Kind, Labels, Metric, Unit};

use crate::powercap::{Powercap, Zone};
use crate::source::Reason;

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
    "Long-term power limit (PL1) as set, all CPU packages together; rapl_zone_enabled says whether it is in force.",
    [],
);
const PL2: Metric<0> = Metric::contract(
    Kind::Gauge,
    "val_pl2_limit_watts",
    "Short-term power limit (PL2) as set, all CPU packages together; rapl_zone_enabled says whether it is in force.",
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
    /// `zone` and `constraint`.
    labels: Labels<2>,
    power: PathBuf,
    window: Option<PathBuf>,
}

/// A limit that is set. The lower one is the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Limit {
    /// Above 0.
    pub(crate) power: Microwatts,
    /// The time over which power is averaged against it, above 0; the peak limit (PL4) has none.
    pub(crate) window: Option<Duration>,
}

impl Constraint {
    /// The constraints of the zone called `zone` in this folder. One without a readable name is left out.
    pub(crate) fn all(dir: &Path, zone: &str) -> Result<Vec<Self>, ReadError> {
        let files = fs::list(dir)?;
        let constraint = |file: &String| {
            let prefix = file
                .strip_suffix("_name")
                .filter(|prefix| prefix.starts_with("constraint_"))?;
            let name = read_name(&dir.join(file))?;
            let window = format!("{prefix}_time_window_us");
            Some(Self {
                labels: LIMIT.labels([zone, &name]),
                name,
                power: dir.join(format!("{prefix}_power_limit_uw")),
                window: files.contains(&window).then(|| dir.join(window)),
            })
        };
        let mut constraints: Vec<Self> = files.iter().filter_map(constraint).collect();
        constraints.sort_by(|a, b| a.name.cmp(&b.name));
        constraints.dedup_by(|a, b| a.name == b.name);
        Ok(constraints)
    }

    /// The limit; none when it is not set or cannot be read.
    pub(crate) fn read(&self) -> Option<Limit> {
        let above_0 = |file: &Path| fs::read_u64(file).ok().filter(|&value| value > 0);
        Some(Limit {
            power: above_0(&self.power).map(Microwatts)?,
            window: self
                .window
                .as_deref()
                .and_then(above_0)
                .map(Duration::from_micros),
        })
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
    /// The long-term limits in force by zone. A zone and its memory-mapped twin both have one, and the processor keeps
    /// to the lower.
    pub(crate) fn long_term(self, zones: &[Zone]) -> BTreeMap<&str, Limit> {
        let mut lowest = BTreeMap::new();
        for zone in zones {
            let constraint = zone.constraints.iter().find(|c| c.name == LONG_TERM);
            if let Some(limit) = constraint.and_then(Constraint::read)
                && self.is_in_force(zone)
            {
                let known = lowest.entry(zone.original()).or_insert(limit);
                *known = limit.min(*known);
            }
        }
        lowest
    }

    /// A zone without the file cannot be disabled.
    fn is_in_force(self, zone: &Zone) -> bool {
        self.is_locked
            || match read_enabled(zone) {
                Ok(enabled) => enabled == Some(true),
                Err(error) => error.is_missing(),
            }
    }
}

/// What the zone's file `enabled` says; nothing when that is neither 0 nor 1.
fn read_enabled(zone: &Zone) -> Result<Option<bool>, ReadError> {
    Ok(match fs::read_u64(&zone.enabled)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    })
}

/// A limit with what it belongs to.
type SetLimit<'a> = (&'a Zone, &'a Constraint, Limit);

/// All limits that are set, each read once.
fn read_limits(zones: &[Zone]) -> Vec<SetLimit<'_>> {
    let constraints = zones
        .iter()
        .flat_map(|zone| zone.constraints.iter().map(move |constraint| (zone, constraint)));
    constraints
        .filter_map(|(zone, constraint)| Some((zone, constraint, constraint.read()?)))
        .collect()
}

/// The limits with this name of all packages together, in watts, of a package and its twin the lower one; unknown when
/// that of one package is.
fn of_packages(zones: &[Zone], limits: &[SetLimit], name: &str) -> Option<f64> {
    let mut packages = zones.iter().filter(|zone| zone.is_package()).peekable();
    packages.peek()?;
    packages
        .map(|package| {
            let of_package = limits
                .iter()
                .filter(|(zone, constraint, _)| zone.original() == &*package.name && constraint.name == name);
            of_package
                .map(|(.., limit)| limit.power)
                .min()
                .map(Microwatts::watts)
        })
        .sum()
}

/// The collector of the limits.
pub(crate) struct Limits {
    powercap: Arc<Powercap>,
}

impl Limits {
    /// Limits of these zones.
    pub(crate) fn new(powercap: &Arc<Powercap>) -> Self {
        Self {
            powercap: Arc::clone(powercap),
        }
    }
}

impl Collector for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let zones = self.powercap.zones().map_err(|(reason, detail)| match reason {
            Reason::Missing | Reason::Masked => CollectError::absent(detail),
            _ => anyhow!(detail).into(),
        })?;
        let limits = read_limits(&zones);
        let window = |limit: &Limit| limit.window.map(|window| window.as_secs_f64());
        let enabled = |zone: &Zone| read_enabled(zone).ok().flatten().map(u8::from);
        Ok(vec![
            LIMIT.family(
                limits
                    .iter()
                    .map(|(_, c, limit)| (&c.labels, limit.power.watts())),
            ),
            WINDOW.family(
                limits
                    .iter()
                    .filter_map(|(_, c, limit)| Some((&c.labels, window(limit)?))),
            ),
            ENABLED.family(
                zones
                    .iter()
                    .filter_map(|zone| Some(([&*zone.name], f64::from(enabled(zone)?)))),
            ),
            PL1.maybe(of_packages(&zones, &limits, LONG_TERM)),
            PL2.maybe(of_packages(&zones, &limits, SHORT_TERM)),
        ])
    }
}
