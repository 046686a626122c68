//! Reads the CPU package's temperature, from hwmon where there is a sensor, else from the thermal zones; everyone may.
//!
//! Yields `hw_temp_package_celsius`, the hottest package when there are several.
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>, <https://docs.kernel.org/driver-api/thermal/sysfs-api.html>

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use exporter::fs::{self, ReadError};
use exporter::units::Millicelsius;
use exporter::{CollectError, Collector, Family, Kind, Metric};

use crate::hwmon::{self, Chip};

const TEMPERATURE: Metric<0> = Metric::contract(
    Kind::Gauge,
    "hw_temp_package_celsius",
    "Temperature of the CPU package, the hottest one when there are several, from hwmon or else a thermal zone.",
    [],
);

/// Chips and the beginnings of their channels' labels, best first.
const CHIPS: [(&[&str], &[&str]); 5] = [
    (&["coretemp"], &["Package id", "Physical id"]),
    (&["k10temp", "zenpower"], &["Tdie"]),
    (&["k10temp", "zenpower"], &["Tctl"]),
    // Processors without a package sensor; drivers without labels.
    (&["coretemp"], &["Core "]),
    (&["k10temp", "cpu_thermal", "soc_thermal"], &[""]),
];
/// Beginnings of thermal zones' types, best first.
const THERMAL_ZONES: [&[&str]; 3] = [&["x86_pkg_temp"], &["cpu", "soc"], &["acpitz"]];

/// Beyond this range a sensor is not connected or broken.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = -40.0..=130.0;

/// The collector of the package temperature.
#[derive(Clone)]
pub(crate) struct Temperature {
    sysfs: PathBuf,
}

/// What all sensors of one rank said.
type Readings = Vec<Result<i64, ReadError>>;

impl Temperature {
    /// Sensors below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self { sysfs: sysfs.into() }
    }

    /// Degrees Celsius.
    pub(crate) fn read(&self) -> Result<f64, CollectError> {
        let chips = hwmon::chips(&self.sysfs).unwrap_or_default();
        let zones = self.thermal_zones();
        let of_chips = CHIPS.iter().map(|(names, labels)| {
            chips
                .iter()
                .filter(|chip| names.contains(&chip.name.as_str()))
                .flat_map(|chip| read(chip, labels))
                .collect()
        });
        let of_zones = THERMAL_ZONES.iter().map(|types| {
            let of_type = zones
                .iter()
                .filter(|(_, name)| types.iter().any(|start| name.starts_with(start)));
            of_type.map(|(dir, _)| fs::read_i64(&dir.join("temp"))).collect()
        });
        first_plausible(of_chips.chain(of_zones))
    }

    /// The folders of the thermal zones and their types.
    fn thermal_zones(&self) -> Vec<(PathBuf, String)> {
        let root = self.sysfs.join("class/thermal");
        let names = fs::list(&root).unwrap_or_default();
        let zones = names
            .iter()
            .filter(|name| name.starts_with("thermal_zone"))
            .map(|name| root.join(name));
        zones
            .filter_map(|dir| fs::read_text(&dir.join("type")).ok().map(|name| (dir, name)))
            .collect()
    }
}

fn read(chip: &Chip, labels: &[&str]) -> Readings {
    let fits = |channel: &u32| {
        let label = chip.label("temp", *channel).unwrap_or_default();
        labels.iter().any(|start| label.starts_with(start))
    };
    chip.channels("temp")
        .into_iter()
        .filter(fits)
        .map(|channel| fs::read_i64(&chip.file("temp", channel, "input")))
        .collect()
}

/// The hottest value of the first rank that has any.
fn first_plausible(ranks: impl Iterator<Item = Readings>) -> Result<f64, CollectError> {
    let mut problem = CollectError::absent("no temperature sensor of a CPU package");
    for readings in ranks {
        let mut hottest: Option<f64> = None;
        for reading in readings {
            match reading.map(|raw| Millicelsius(raw).celsius()) {
                Ok(celsius) if PLAUSIBLE.contains(&celsius) => {
                    hottest = Some(hottest.map_or(celsius, |other| other.max(celsius)));
                }
                Ok(celsius) => {
                    problem = anyhow!("the package's sensor says {celsius} °C, which no CPU has").into();
                }
                Err(error) => problem = error.into(),
            }
        }
        if let Some(celsius) = hottest {
            return Ok(celsius);
        }
    }
    Err(problem)
}

impl Collector for Temperature {
    fn name(&self) -> &'static str {
        "temperature"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        Ok(vec![TEMPERATURE.value(self.read()?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn celsius(ranks: &[&[i64]]) -> Option<f64> {
        first_plausible(ranks.iter().map(|rank| rank.iter().map(|&raw| Ok(raw)).collect())).ok()
    }

    #[test]
    fn the_hottest_package_of_the_best_rank_counts() {
        assert_eq!(celsius(&[&[], &[41_000, 55_500], &[99_000]]), Some(55.5));
        assert_eq!(celsius(&[&[-5_000]]), Some(-5.0));
    }

    #[test]
    fn what_no_cpu_can_have_is_passed_over() {
        assert_eq!(celsius(&[&[-128_000, 255_000], &[48_000]]), Some(48.0));
        assert_eq!(celsius(&[&[i64::MAX, 60_000, i64::MIN]]), Some(60.0));
    }

    #[test]
    fn a_missing_sensor_is_absent_and_a_broken_one_a_failure() {
        let of = |ranks: Vec<Readings>| first_plausible(ranks.into_iter());
        assert!(matches!(of(vec![]), Err(CollectError::Absent(_))));
        assert!(matches!(
            of(vec![vec![Ok(255_000)]]),
            Err(CollectError::Failed(_))
        ));
    }
}
