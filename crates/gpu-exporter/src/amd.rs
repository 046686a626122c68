//! AMD GPUs of the `amdgpu` driver, from `<sysfs>/class/drm/card*/device` and its hwmon device. Neither libraries nor
//! rights are needed. A suspended GPU is left alone: reading most of these files would wake it.
//! <https://docs.kernel.org/gpu/amdgpu/thermal.html>, <https://docs.kernel.org/gpu/amdgpu/driver-misc.html>

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exporter::fs;

use crate::chip::Chip;
use crate::driver::{Fault, Place, Reason};
use crate::known::{Found, Look, Roster};
use crate::link;
use crate::reading::{Count, Identity, Reading};
use crate::sleep::{Rests, Sleep};

/// <https://pci-ids.ucw.cz/read/PC/1002>
const AMD: &str = "0x1002";

/// The AMD GPUs of this machine.
pub(crate) struct Amd {
    sysfs: PathBuf,
    roster: Roster,
    rests: Rests,
}

impl Amd {
    pub(crate) fn new(sysfs: &Path, rest: Duration) -> Self {
        Self {
            sysfs: sysfs.into(),
            roster: Roster::new("amd"),
            rests: Rests::new(rest),
        }
    }

    /// Looks at all GPUs that may be asked.
    pub(crate) fn look(&mut self) -> Look {
        let now = Instant::now();
        let found: Vec<_> = cards(&self.sysfs)
            .into_iter()
            .map(|device| self.card(&device, now))
            .collect();
        self.roster.look(found, now)
    }

    fn card(&mut self, device: &Path, now: Instant) -> (Place, Found) {
        let sleep = Sleep::of(device);
        let address = uevent(device, "PCI_SLOT_NAME");
        let key = address.clone().unwrap_or_else(|| device.display().to_string());
        let found = if sleep.is_asleep {
            self.rests.end(&key);
            Found::Asleep
        } else if self.rests.holds(&key, now) {
            Found::Resting
        } else {
            let reading = read(device, address);
            if reading.is_blank() {
                // It looks idle and is not: it must be asked again.
                self.rests.end(&key);
                let detail = format!("nothing in {} can be read", device.display());
                Found::Silent(Fault::new(Reason::Lost, detail))
            } else {
                self.rests.consider(&key, sleep, reading.is_idle(), now);
                Found::Awake(reading.into())
            }
        };
        let place = Place::Bus {
            address: key,
            may_sleep: sleep.is_allowed,
        };
        (place, found)
    }
}

/// The devices in the order of their card numbers. Connectors (`card0-DP-1`) are not cards, and the driver of older cards,
/// `radeon`, has none of the files.
fn cards(sysfs: &Path) -> Vec<PathBuf> {
    let root = sysfs.join("class/drm");
    let names = fs::list(&root).unwrap_or_default();
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| name.strip_prefix("card")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .map(|number| root.join(format!("card{number}/device")))
        .filter(|device| fs::read_text(&device.join("vendor")).is_ok_and(|vendor| vendor == AMD))
        .filter(|device| uevent(device, "DRIVER").is_some_and(|driver| driver == "amdgpu"))
        .collect()
}

/// What the kernel says of the device under this key, as in `PCI_SLOT_NAME=0000:03:00.0`.
fn uevent(device: &Path, key: &str) -> Option<String> {
    let text = fs::read_text(&device.join("uevent")).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.to_owned())
}

fn read(device: &Path, address: Option<String>) -> Reading {
    let number = |file: &str| fs::read_u64(&device.join(file)).ok();
    let text = |file: &str| {
        fs::read_text(&device.join(file))
            .ok()
            .filter(|text| !text.is_empty())
    };
    let chip = Chip::of(device);
    let chip = chip.as_ref();
    let limit = |(threshold, file)| Some((threshold, chip?.celsius(file)?));
    let energy = chip.and_then(Chip::microjoules).map(|raw| (Count::Energy, raw));
    Reading {
        identity: Identity {
            uuid: text("unique_id"),
            name: text("product_name"),
            vendor: "amd",
            driver_version: None,
            pci_bus_id: address,
        },
        // Some chips answer with all bits set.
        utilization: number("gpu_busy_percent")
            .filter(|&percent| percent <= 100)
            .map(|percent| percent as f64),
        fan: chip.and_then(Chip::fan_percent),
        memory_used_bytes: number("mem_info_vram_used"),
        memory_total_bytes: number("mem_info_vram_total"),
        // The edge, else the hottest spot, which is all that newer accelerators tell.
        celsius: chip.and_then(|chip| {
            chip.celsius("temp1_input")
                .or_else(|| chip.celsius("temp2_input"))
        }),
        celsius_limits: [("slowdown", "temp1_crit"), ("shutdown", "temp1_emergency")]
            .into_iter()
            .filter_map(limit)
            .collect(),
        watts: chip.and_then(Chip::watts),
        watts_limit: chip.and_then(Chip::watts_limit),
        sm_hertz: chip.and_then(|chip| chip.hertz("sclk")),
        memory_hertz: chip.and_then(|chip| chip.hertz("mclk")),
        link: link::of(device),
        counts: energy.into_iter().collect(),
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::known::State;

    const FILES: [&str; 9] = [
        "gpu_busy_percent",
        "mem_info_vram_total",
        "mem_info_vram_used",
        "hwmon/hwmon0/temp1_input",
        "hwmon/hwmon0/power1_average",
        "hwmon/hwmon0/freq1_input",
        "hwmon/hwmon0/pwm1",
        "hwmon/hwmon0/pwm1_max",
        "hwmon/hwmon0/energy1_input",
    ];

    fn card(sysfs: &Path, files: &[(&str, &str)]) {
        let device = sysfs.join("class/drm/card0/device");
        let always = [
            ("vendor", "0x1002"),
            ("uevent", "DRIVER=amdgpu"),
            ("hwmon/hwmon0/name", "amdgpu"),
            ("hwmon/hwmon0/freq1_label", "sclk"),
            ("power/control", "auto"),
        ];
        for (file, text) in always.iter().chain(files) {
            let file = device.join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("write");
        }
    }

    fn utilization(look: &Look) -> Option<f64> {
        match &look.rows.first()?.state {
            State::Up { reading, .. } => reading.utilization,
            State::Asleep | State::Down => None,
        }
    }

    #[test]
    fn an_idle_gpu_that_may_sleep_is_left_alone_for_a_while() {
        let sysfs = tempfile::tempdir().expect("a folder");
        let busy = |percent| card(sysfs.path(), &[("gpu_busy_percent", percent)]);
        let mut patient = Amd::new(sysfs.path(), Duration::from_mins(10));
        let mut restless = Amd::new(sysfs.path(), Duration::ZERO);
        busy("0");
        assert_eq!(utilization(&patient.look()), Some(0.0));
        assert_eq!(utilization(&restless.look()), Some(0.0));
        busy("50");
        assert_eq!(utilization(&patient.look()), Some(0.0), "it rests");
        assert_eq!(utilization(&restless.look()), Some(50.0));
    }

    #[test]
    fn a_gpu_that_is_lost_is_down_at_every_look_and_does_not_rest() {
        let sysfs = tempfile::tempdir().expect("a folder");
        let is_down = |look: &Look| matches!(look.rows[0].state, State::Down);
        let mut amd = Amd::new(sysfs.path(), Duration::from_mins(10));
        card(sysfs.path(), &[("gpu_busy_percent", "50")]);
        assert_eq!(utilization(&amd.look()), Some(50.0));
        card(sysfs.path(), &[("gpu_busy_percent", "")]);
        for _ in 0..3 {
            let look = amd.look();
            assert!(is_down(&look) && look.problems.len() == 1, "{look:?}");
        }
        card(sysfs.path(), &[("gpu_busy_percent", "70")]);
        assert_eq!(
            utilization(&amd.look()),
            Some(70.0),
            "asked as soon as it is back"
        );
    }

    #[test]
    fn a_card_of_another_driver_is_none_of_ours() {
        let sysfs = tempfile::tempdir().expect("a folder");
        for uevent in [
            "DRIVER=radeon\nPCI_SLOT_NAME=0000:03:00.0\n",
            "PCI_SLOT_NAME=0000:03:00.0\n",
        ] {
            card(sysfs.path(), &[("uevent", uevent)]);
            let look = Amd::new(sysfs.path(), Duration::ZERO).look();
            assert!(look.rows.is_empty() && look.problems.is_empty(), "{look:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn whatever_the_files_hold_figures_are_possible(texts in prop::array::uniform9("[0-9-]{0,24}|\\PC{0,24}")) {
            let sysfs = tempfile::tempdir().expect("a folder");
            let files: Vec<_> = FILES.into_iter().zip(texts.iter().map(String::as_str)).collect();
            card(sysfs.path(), &files);
            for row in Amd::new(sysfs.path(), Duration::ZERO).look().rows {
                let State::Up { reading, .. } = row.state else { continue };
                prop_assert!(reading.utilization.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
                let figures = [reading.celsius, reading.watts, reading.sm_hertz, reading.fan];
                prop_assert!(figures.into_iter().flatten().all(f64::is_finite));
                let positive = [reading.watts, reading.sm_hertz, reading.fan];
                prop_assert!(positive.into_iter().flatten().all(|figure| figure >= 0.0));
            }
        }
    }
}
