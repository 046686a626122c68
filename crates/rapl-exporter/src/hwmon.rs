//! Reads the power and energy sensors of CPU packages from `<sysfs>/class/hwmon`, for machines without powercap.
//!
//! Which chips and channels belong to a CPU package is listed in [`RULES`]; all others (graphics cards, power
//! supplies, batteries) are left alone. Some drivers let only root read.
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::fs::{self, ReadError};

use crate::energy::Raw;
use crate::meter::{Reading, Role};
use crate::power::since_boot;
use crate::source::{Reason, Sample};

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

/// Where there was no sensor, a new one may stay unnoticed for so long.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// One hwmon device.
#[derive(Debug)]
pub(crate) struct Chip {
    /// The driver's name for it.
    pub(crate) name: String,
    dir: PathBuf,
}

/// All chips in the order of their numbers; one without a readable name is left out.
pub(crate) fn chips(sysfs: &Path) -> Result<Vec<Chip>, ReadError> {
    let root = sysfs.join("class/hwmon");
    let mut numbers: Vec<u32> = fs::list(&root)?
        .iter()
        .filter_map(|name| name.strip_prefix("hwmon")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let chip = |number| {
        let dir = root.join(format!("hwmon{number}"));
        Some(Chip {
            name: fs::read_text(&dir.join("name")).ok()?,
            dir,
        })
    };
    Ok(numbers.into_iter().filter_map(chip).collect())
}

impl Chip {
    /// The numbers of the channels that have a value: 1 for `temp1_input`.
    pub(crate) fn channels(&self, kind: &str) -> Vec<u32> {
        let number = |name: &String| {
            let channel = name.strip_prefix(kind)?;
            channel
                .strip_suffix("_input")
                .or_else(|| channel.strip_suffix("_average"))?
                .parse()
                .ok()
        };
        let names = fs::list(&self.dir).unwrap_or_default();
        let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// What the driver calls the channel.
    pub(crate) fn label(&self, kind: &str, channel: u32) -> Option<String> {
        fs::read_text(&self.file(kind, channel, "label")).ok()
    }

    /// The path of one of the channel's files.
    pub(crate) fn file(&self, kind: &str, channel: u32, what: &str) -> PathBuf {
        self.dir.join(format!("{kind}{channel}_{what}"))
    }

    /// What the channel's power comes to, in microwatts.
    fn power(&self, channel: u32) -> Result<u64, ReadError> {
        for what in ["average", "input"] {
            match fs::read_u64(&self.file("power", channel, what)) {
                Err(error) if error.is_missing() => {}
                read => return read,
            }
        }
        // Millivolts times milliamperes.
        let volts = fs::read_u64(&self.file("in", channel, "input"))?;
        Ok(volts.saturating_mul(fs::read_u64(&self.file("curr", channel, "input"))?))
    }

    /// The channels that measure power, or from which it can be computed, and their labels.
    fn power_channels(&self) -> Vec<(u32, String)> {
        let mut channels = [self.channels("power"), self.channels("curr")].concat();
        channels.sort_unstable();
        channels.dedup();
        let label = |channel| {
            let labels = ["power", "in"].iter().find_map(|kind| self.label(kind, channel));
            labels
                .or_else(|| fs::read_text(&self.dir.join("label")).ok())
                .unwrap_or_default()
        };
        channels
            .into_iter()
            .map(|channel| (channel, label(channel)))
            .collect()
    }
}

/// The packages' sensors.
#[derive(Debug)]
pub(crate) struct Hwmon {
    sysfs: PathBuf,
    /// Until when there are none, and why.
    absent: Option<(Instant, Reason, String)>,
}

impl Hwmon {
    /// Sensors below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            sysfs: sysfs.into(),
            absent: None,
        }
    }

    /// Reads all sensors.
    pub(crate) fn sample(&mut self) -> Sample {
        let now = Instant::now();
        if let Some((until, reason, detail)) = &self.absent
            && now < *until
        {
            return Sample::unavailable(*reason, detail.clone());
        }
        self.absent = None;
        self.look().unwrap_or_else(|(reason, detail)| {
            self.absent = Some((now + LOOK_AGAIN, reason, detail.clone()));
            Sample::unavailable(reason, detail)
        })
    }

    /// What the first rule with a sensor reads, or why there is none.
    fn look(&self) -> Result<Sample, (Reason, String)> {
        let chips = chips(&self.sysfs).map_err(|error| (Reason::of_folder(&error), error.to_string()))?;
        RULES
            .iter()
            .map(|rule| rule.sample(&chips))
            .find(Sample::found_something)
            .ok_or_else(|| {
                let detail = format!(
                    "no chip in {}/class/hwmon measures a CPU package",
                    self.sysfs.display()
                );
                (Reason::Missing, detail)
            })
    }
}

impl Rule {
    fn sample(&self, chips: &[Chip]) -> Sample {
        let chips = chips.iter().filter(|chip| chip.name.starts_with(self.chip));
        match self.measures {
            Measures::Energy => self.energies(chips),
            Measures::Power => self.powers(chips),
        }
    }

    fn energies<'a>(&self, chips: impl Iterator<Item = &'a Chip>) -> Sample {
        let mut sample = Sample::default();
        for chip in chips {
            for channel in chip.channels("energy") {
                let Some(label) = chip.label("energy", channel).filter(|label| (self.label)(label)) else {
                    continue;
                };
                let socket = label
                    .trim_start_matches(|c: char| !c.is_ascii_digit())
                    .parse::<u32>()
                    .unwrap_or(0);
                match fs::read_u64(&chip.file("energy", channel, "input")) {
                    Ok(microjoules) => sample.add(package(
                        socket,
                        Raw::Energy {
                            microjoules,
                            range: None,
                        },
                    )),
                    Err(error) => sample.fail(&error),
                }
            }
        }
        sample
    }

    fn powers<'a>(&self, chips: impl Iterator<Item = &'a Chip>) -> Sample {
        let mut sample = Sample::default();
        let mut socket = 0;
        for chip in chips {
            let channels: Vec<_> = chip
                .power_channels()
                .into_iter()
                .filter(|(_, label)| (self.label)(label))
                .collect();
            if channels.is_empty() {
                continue;
            }
            let add = |sum: u64, (channel, _): &(u32, String)| Ok(sum.saturating_add(chip.power(*channel)?));
            let sum: Result<u64, ReadError> = channels.iter().try_fold(0, add);
            match sum {
                Ok(microwatts) => sample.add(package(socket, Raw::Power { microwatts })),
                Err(error) => sample.fail(&error),
            }
            socket += 1;
        }
        sample
    }
}

fn package(socket: u32, raw: Raw) -> Reading {
    let zone: Arc<str> = format!("package-{socket}").into();
    Reading {
        zone,
        parent: Arc::default(),
        role: Role::Package,
        raw,
        at: since_boot(),
    }
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
        let (_sysfs, mut hwmon) = machine(files);
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
        let (_sysfs, mut hwmon) = machine(&files);
        let sample = hwmon.sample();
        assert!(sample.readings.is_empty());
        assert_eq!(sample.problem.map(|(reason, _)| reason), Some(Reason::Unreadable));
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
                let (_sysfs, mut hwmon) = machine(&files);
                prop_assert!(hwmon.sample().found_something());
            }
        }
    }
}
