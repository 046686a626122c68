//! Reads the power and energy sensors of CPU packages from `<sysfs>/class/hwmon`, for machines without powercap.
//!
//! Which chips and channels belong to a CPU package is listed in [`RULES`]; all others (graphics cards, power
//! supplies, batteries) are left alone. Some drivers let only root read.
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exporter::fs::{self, ReadError};

use crate::chip::{Chip, chips};
use crate::energy::Raw;
use crate::found::{Found, IsGone};
use crate::meter::{Reading, Role};
use crate::power::since_boot;
use crate::source::{Absence, Reason, Sample};

/// Where package power is found: the chip's driver and the labels of the channels that make up the package.
struct Rule {
    chip: &'static str,
    measures: Measures,
    label: fn(&str) -> bool,
}

/// What a rule's channels hold.
#[derive(Clone, Copy)]
enum Measures {
    /// `energy*_input`, microjoules; one package per channel.
    Energy,
    /// `power*_average` or `power*_input`, microwatts, or voltage times current; one package per chip.
    Power,
}

/// The first rule that finds a sensor is used alone, so that no package counts twice.
const RULES: [Rule; 6] = [
    Rule {
        chip: "zenergy",
        measures: Measures::Energy,
        label: |label| label.starts_with("Esocket"),
    },
    Rule {
        chip: "amd_energy",
        measures: Measures::Energy,
        label: |label| label.starts_with("Esocket"),
    },
    Rule {
        chip: "zenpower",
        measures: Measures::Power,
        label: |label| label == "RAPL_P_Package",
    },
    Rule {
        chip: "zenpower",
        measures: Measures::Power,
        label: |label| label.starts_with("SVI2_P_"),
    },
    Rule {
        chip: "fam15h_power",
        measures: Measures::Power,
        label: |_| true,
    },
    Rule {
        chip: "ina",
        measures: Measures::Power,
        label: |label| label.to_ascii_uppercase().contains("CPU"),
    },
];

/// How long new sensors may stay unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What one CPU package is measured by.
#[derive(Debug)]
struct Package {
    zone: Arc<str>,
    sensor: Sensor,
}

#[derive(Debug)]
enum Sensor {
    /// A counter of microjoules.
    Energy(PathBuf),
    /// Rails whose power adds up to that of the package.
    Power(Vec<Rail>),
}

/// Where the power of one rail is read.
#[derive(Debug)]
enum Rail {
    /// Microwatts.
    Power(PathBuf),
    /// Millivolts and milliamperes.
    Product { volts: PathBuf, amperes: PathBuf },
}

impl Rail {
    /// How the power of the chip's channel is read.
    fn find(chip: &Chip, channel: u32) -> Option<Self> {
        let power = ["average", "input"].map(|what| chip.existing("power", channel, what));
        if let Some(file) = power.into_iter().flatten().next() {
            return Some(Self::Power(file));
        }
        Some(Self::Product {
            volts: chip.existing("in", channel, "input")?,
            amperes: chip.existing("curr", channel, "input")?,
        })
    }

    fn microwatts(&self) -> Result<u64, ReadError> {
        match self {
            Self::Power(file) => fs::read_u64(file),
            Self::Product { volts, amperes } => {
                Ok(fs::read_u64(volts)?.saturating_mul(fs::read_u64(amperes)?))
            }
        }
    }
}

impl Package {
    fn new(socket: u32, sensor: Sensor) -> Self {
        Self {
            zone: format!("package-{socket}").into(),
            sensor,
        }
    }

    fn read(&self) -> Result<Reading, ReadError> {
        let raw = match &self.sensor {
            Sensor::Energy(file) => Raw::Energy {
                microjoules: fs::read_u64(file)?,
                range: None,
            },
            Sensor::Power(rails) => Raw::Power {
                microwatts: rails
                    .iter()
                    .try_fold(0, |sum: u64, rail| Ok(sum.saturating_add(rail.microwatts()?)))?,
            },
        };
        Ok(Reading {
            zone: Arc::clone(&self.zone),
            parent: Arc::default(),
            role: Role::Package,
            raw,
            at: since_boot(),
        })
    }
}

/// The packages' sensors.
#[derive(Debug)]
pub(crate) struct Hwmon {
    sysfs: PathBuf,
    found: Found<Result<Vec<Package>, Absence>>,
}

impl Hwmon {
    /// Sensors below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            sysfs: sysfs.into(),
            found: Found::every(LOOK_AGAIN),
        }
    }

    /// Reads all sensors.
    pub(crate) fn sample(&self) -> Sample {
        self.found.read(
            || find(&self.sysfs),
            |found| match found {
                Ok(packages) => read(packages),
                Err(absence) => (Sample::unavailable(absence.clone()), false),
            },
        )
    }
}

fn read(packages: &[Package]) -> (Sample, IsGone) {
    let mut sample = Sample::default();
    let mut is_gone = false;
    for package in packages {
        match package.read() {
            Ok(reading) => sample.add(reading),
            Err(error) => {
                is_gone |= error.is_missing();
                sample.fail(&error);
            }
        }
    }
    (sample, is_gone)
}

/// The packages of the first rule that finds any.
fn find(sysfs: &Path) -> Result<Vec<Package>, Absence> {
    let chips = chips(sysfs).map_err(|error| (Reason::of_folder(&error), error.to_string()))?;
    RULES
        .iter()
        .map(|rule| rule.packages(&chips))
        .find(|packages| !packages.is_empty())
        .ok_or_else(|| {
            let detail = format!(
                "no chip in {}/class/hwmon measures a CPU package",
                sysfs.display()
            );
            (Reason::Missing, detail)
        })
}

impl Rule {
    fn packages(&self, chips: &[Chip]) -> Vec<Package> {
        let chips = chips.iter().filter(|chip| chip.name.starts_with(self.chip));
        match self.measures {
            Measures::Energy => chips.flat_map(|chip| self.energies(chip)).collect(),
            Measures::Power => {
                let powers = chips
                    .map(|chip| self.rails(chip))
                    .filter(|rails| !rails.is_empty());
                (0..)
                    .zip(powers)
                    .map(|(socket, rails)| Package::new(socket, Sensor::Power(rails)))
                    .collect()
            }
        }
    }

    fn energies(&self, chip: &Chip) -> Vec<Package> {
        let package = |channel| {
            let label = chip
                .label("energy", channel)
                .filter(|label| (self.label)(label))?;
            let number = label.trim_start_matches(|c: char| !c.is_ascii_digit());
            let file = chip.file("energy", channel, "input");
            Some(Package::new(number.parse().unwrap_or(0), Sensor::Energy(file)))
        };
        chip.channels("energy").into_iter().filter_map(package).collect()
    }

    fn rails(&self, chip: &Chip) -> Vec<Rail> {
        rails(chip)
            .into_iter()
            .filter(|(label, _)| (self.label)(label))
            .map(|(_, rail)| rail)
            .collect()
    }
}

/// The channels of the chip that measure power, or from which it can be computed, and their labels.
fn rails(chip: &Chip) -> Vec<(String, Rail)> {
    let mut channels = [chip.channels("power"), chip.channels("curr")].concat();
    channels.sort_unstable();
    channels.dedup();
    let label = |channel| {
        let labels = ["power", "in"].iter().find_map(|kind| chip.label(kind, channel));
        labels.or_else(|| chip.own_label()).unwrap_or_default()
    };
    channels
        .into_iter()
        .filter_map(|channel| Some((label(channel), Rail::find(chip, channel)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn machine(files: &[(&str, &[u8])]) -> (TempDir, Hwmon) {
        let sysfs = tempfile::tempdir().expect("a folder");
        for (file, content) in files {
            let file = sysfs.path().join("class/hwmon").join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
            std::fs::write(file, content).expect("write");
        }
        let hwmon = Hwmon::new(sysfs.path());
        (sysfs, hwmon)
    }

    fn readings(files: &[(&str, &[u8])]) -> Vec<(String, Raw)> {
        let (_sysfs, hwmon) = machine(files);
        hwmon
            .sample()
            .readings
            .into_iter()
            .map(|reading| (reading.zone.to_string(), reading.raw))
            .collect()
    }

    fn power(zone: &str, microwatts: u64) -> (String, Raw) {
        (zone.to_owned(), Raw::Power { microwatts })
    }

    #[test]
    fn rails_of_a_package_are_summed_and_each_chip_is_one() {
        let files: [(&str, &[u8]); 9] = [
            ("hwmon10/name", b"zenpower"),
            ("hwmon10/power1_input", b"30000000"),
            ("hwmon10/power1_label", b"SVI2_P_Core"),
            ("hwmon2/name", b"zenpower"),
            ("hwmon2/power1_input", b"40000000"),
            ("hwmon2/power1_label", b"SVI2_P_Core"),
            ("hwmon2/power2_input", b"5000000"),
            ("hwmon2/power2_label", b"SVI2_P_SoC"),
            ("hwmon2/power3_label", b"SVI2_P_None"),
        ];
        assert_eq!(
            readings(&files),
            [power("package-0", 45_000_000), power("package-1", 30_000_000)]
        );
    }

    #[test]
    fn an_average_is_preferred_and_graphics_cards_are_left_alone() {
        let files: [(&str, &[u8]); 7] = [
            ("hwmon0/name", b"amdgpu"),
            ("hwmon0/power1_average", b"90000000"),
            ("hwmon1/name", b"fam15h_power"),
            ("hwmon1/power1_average", b"61000000"),
            ("hwmon1/power1_input", b"65000000"),
            ("hwmon2/name", b"ina226"),
            ("hwmon2/power1_input", b"7000000"),
        ];
        assert_eq!(readings(&files), [power("package-0", 61_000_000)]);
    }

    #[test]
    fn a_rail_that_cannot_be_read_leaves_no_sum() {
        let files: [(&str, &[u8]); 5] = [
            ("hwmon0/name", b"zenpower"),
            ("hwmon0/power1_input", b"40000000"),
            ("hwmon0/power1_label", b"SVI2_P_Core"),
            ("hwmon0/power2_input", b"nothing"),
            ("hwmon0/power2_label", b"SVI2_P_SoC"),
        ];
        let (_sysfs, hwmon) = machine(&files);
        let sample = hwmon.sample();
        assert!(sample.readings.is_empty());
        assert_eq!(sample.problem.map(|(reason, _)| reason), Some(Reason::Unreadable));
    }

    #[test]
    fn a_sensor_that_moves_leaves_no_gap() {
        let files: [(&str, &[u8]); 3] = [
            ("hwmon0/name", b"zenergy"),
            ("hwmon0/energy1_input", b"70"),
            ("hwmon0/energy1_label", b"Esocket0"),
        ];
        let (sysfs, hwmon) = machine(&files);
        assert_eq!(hwmon.sample().readings.len(), 1);
        let chip = |number| sysfs.path().join(format!("class/hwmon/hwmon{number}"));
        std::fs::rename(chip(0), chip(4)).expect("load the driver again");
        assert_eq!(hwmon.sample().readings.len(), 1);
        std::fs::remove_dir_all(chip(4)).expect("unload the driver");
        let problem = hwmon.sample().problem.map(|(reason, _)| reason);
        assert_eq!(problem, Some(Reason::Missing));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_file_are_survived(name: Vec<u8>, label: Vec<u8>, value in "[0-9]{1,22}") {
            for (chip, prefix) in [("zenpower", "SVI2_P_"), ("ina3221", "CPU"), ("amd_energy", "Esocket")] {
                let label = [prefix.as_bytes(), &label].concat();
                let files: [(&str, &[u8]); 10] = [
                    ("hwmon0/name", &name),
                    ("hwmon1/name", chip.as_bytes()),
                    ("hwmon1/power1_input", value.as_bytes()),
                    ("hwmon1/power1_label", &label),
                    ("hwmon1/in2_input", value.as_bytes()),
                    ("hwmon1/in2_label", &label),
                    ("hwmon1/curr2_input", value.as_bytes()),
                    ("hwmon1/energy1_input", value.as_bytes()),
                    ("hwmon1/energy1_label", &label),
                    ("hwmon1/energy99999999999_input", b"1"),
                ];
                let (_sysfs, hwmon) = machine(&files);
                let sample = hwmon.sample();
                prop_assert!(sample.readings.len() == 1 || sample.problem.is_some());
            }
        }
    }
}
