//! Reads the CPU package's temperature, from hwmon where there is a sensor, else from the thermal zones; everyone may.
//!
//! Yields `hw_temp_package_celsius`, the hottest package when there are several.
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>, <https://docs.kernel.org/driver-api/thermal/sysfs-api.html>

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use exporter::fs::{self, ReadError};
use exporter::units::Millicelsius;
use exporter::{CollectError, Collector, Family, Kind, Metric};

use crate::chip::{Chip, chips};
use crate::found::{Found, IsGone};

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

/// How long new sensors may stay unnoticed.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The collector of the package temperature.
#[derive(Clone)]
pub(crate) struct Temperature {
    sysfs: PathBuf,
    sensors: Arc<Found<Sensors>>,
}

/// The sensors' files by rank, best first.
struct Sensors(Vec<Vec<PathBuf>>);

/// What all sensors of one rank said.
type Readings = Vec<Result<i64, ReadError>>;

impl Temperature {
    /// Sensors below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            sysfs: sysfs.into(),
            sensors: Arc::new(Found::every(LOOK_AGAIN)),
        }
    }

    /// Degrees Celsius.
    pub(crate) fn read(&self) -> Result<f64, CollectError> {
        self.sensors.read(|| Sensors::find(&self.sysfs), Sensors::read)
    }
}

impl Sensors {
    fn find(sysfs: &Path) -> Self {
        let chips = chips(sysfs).unwrap_or_default();
        let zones = thermal_zones(sysfs);
        let of_chips = CHIPS.iter().map(|(names, labels)| {
            let named = chips.iter().filter(|chip| names.contains(&chip.name.as_str()));
            named.flat_map(|chip| of_chip(chip, labels)).collect()
        });
        let of_zones = THERMAL_ZONES.iter().map(|types| {
            let of_type = zones
                .iter()
                .filter(|(_, name)| types.iter().any(|start| name.starts_with(start)));
            of_type.map(|(dir, _)| dir.join("temp")).collect()
        });
        Self(of_chips.chain(of_zones).collect())
    }

    fn read(&self) -> (Result<f64, CollectError>, IsGone) {
        let is_gone = Cell::new(false);
        let read = |file: &PathBuf| {
            fs::read_i64(file).inspect_err(|error| is_gone.set(is_gone.get() || error.is_missing()))
        };
        let ranks = self.0.iter().map(|files| files.iter().map(read).collect());
        (first_plausible(ranks), is_gone.get())
    }
}

/// The folders of the thermal zones and their types.
fn thermal_zones(sysfs: &Path) -> Vec<(PathBuf, String)> {
    let root = sysfs.join("class/thermal");
    let names = fs::list(&root).unwrap_or_default();
    let zones = names
        .iter()
        .filter(|name| name.starts_with("thermal_zone"))
        .map(|name| root.join(name));
    zones
        .filter_map(|dir| fs::read_text(&dir.join("type")).ok().map(|name| (dir, name)))
        .collect()
}

/// The chip's channels whose labels begin with one of these.
fn of_chip(chip: &Chip, labels: &[&str]) -> Vec<PathBuf> {
    let fits = |channel: &u32| {
        let label = chip.label("temp", *channel).unwrap_or_default();
        labels.iter().any(|start| label.starts_with(start))
    };
    let channels = chip.channels("temp").into_iter().filter(fits);
    channels
        .map(|channel| chip.file("temp", channel, "input"))
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
    fn sensors_come_move_and_go() {
        let sysfs = tempfile::tempdir().expect("a folder");
        let write = |file: &str, content: &str| {
            let file = sysfs.path().join("class").join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
            std::fs::write(file, content).expect("write");
        };
        let temperature = Temperature::new(sysfs.path());
        let read = || temperature.read().ok();
        assert_eq!(read(), None);
        let a_minute_passes = || temperature.sensors.forget();

        write("thermal/thermal_zone0/type", "acpitz");
        write("thermal/thermal_zone0/temp", "27800");
        a_minute_passes();
        assert_eq!(read(), Some(27.8));

        write("hwmon/hwmon1/name", "coretemp");
        write("hwmon/hwmon1/temp1_label", "Package id 0");
        write("hwmon/hwmon1/temp1_input", "61000");
        a_minute_passes();
        assert_eq!(read(), Some(61.0), "a better sensor");
        write("hwmon/hwmon1/temp1_input", "62000");
        assert_eq!(read(), Some(62.0), "the value is never an old one");

        let chip = |number| sysfs.path().join(format!("class/hwmon/hwmon{number}"));
        std::fs::rename(chip(1), chip(7)).expect("load the driver again");
        assert_eq!(read(), Some(62.0), "found at once under its new number");
        std::fs::remove_dir_all(chip(7)).expect("unload the driver");
        assert_eq!(read(), Some(27.8), "the thermal zone stands in");
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
