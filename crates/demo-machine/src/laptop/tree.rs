//! The laptop's files, laid out as the kernel's: `sys/class/powercap`, `sys/class/hwmon`, `proc/stat`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{RANGE, State, Zone};
use crate::files::replace_line as replace;
use crate::{procfs, sysfs};

/// The package's long-term limit in microwatts.
pub(super) const PL1: u64 = 28_000_000;
const PL2: u64 = 64_000_000;
/// Linux shows CPU time in hundredths of a second.
const MILLIS_PER_TICK: u64 = 10;
const TEMPERATURE: &str = "class/hwmon/hwmon0/temp1_input";

/// Whether everything has been written once.
pub(super) fn is_complete(folder: &Path) -> bool {
    stat(folder).exists()
}

/// The zone's counter in microjoules, when there is one.
pub(super) fn energy(folder: &Path, zone: Zone) -> Option<u64> {
    number(&zone_folder(folder, zone).join("energy_uj"))
}

/// The package's temperature in thousandths of a degree Celsius, when there is one.
pub(super) fn temperature(folder: &Path) -> Option<u64> {
    number(&sysfs(folder).join(TEMPERATURE))
}

/// How long the CPUs were busy and idle, in milliseconds, when there are files.
pub(super) fn times(folder: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(stat(folder)).ok()?;
    let ticks: Vec<u64> = text
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let millis = |at: usize| Some(ticks.get(at)?.saturating_mul(MILLIS_PER_TICK));
    Some((millis(0)?, millis(3)?))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Writes what stays as it is: names, ranges, limits.
pub(super) fn write_fixed(folder: &Path) -> anyhow::Result<()> {
    for zone in Zone::ALL {
        let zone_folder = zone_folder(folder, zone);
        for (name, value) in fixed(zone) {
            replace(&zone_folder.join(name), value)?;
        }
        replace(&zone_folder.join("max_energy_range_uj"), &RANGE.to_string())?;
    }
    let package = zone_folder(folder, Zone::Package);
    replace(&package.join("constraint_0_power_limit_uw"), &PL1.to_string())?;
    replace(&package.join("constraint_1_power_limit_uw"), &PL2.to_string())?;
    let chip = sysfs(folder).join("class/hwmon/hwmon0");
    let fixed = [
        ("name", "coretemp"),
        ("temp1_label", "Package id 0"),
        ("temp1_crit", "100000"),
    ];
    for (name, value) in fixed {
        replace(&chip.join(name), value)?;
    }
    Ok(())
}

/// Writes what moves. `proc/stat` comes last: when it is there, everything is.
pub(super) fn write_moving(folder: &Path, state: &State) -> anyhow::Result<()> {
    for (zone, energy) in Zone::ALL.into_iter().zip(state.energy) {
        replace(&zone_folder(folder, zone).join("energy_uj"), &energy.to_string())?;
    }
    replace(&sysfs(folder).join(TEMPERATURE), &state.temperature.to_string())?;
    let (busy, idle) = (state.busy / MILLIS_PER_TICK, state.idle / MILLIS_PER_TICK);
    // user nice system idle iowait irq softirq steal guest guest_nice
    replace(&stat(folder), &format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0"))
}

fn stat(folder: &Path) -> PathBuf {
    procfs(folder).join("stat")
}

fn zone_folder(folder: &Path, zone: Zone) -> PathBuf {
    sysfs(folder).join("class/powercap").join(match zone {
        Zone::Package => "intel-rapl:0",
        Zone::Core => "intel-rapl:0:0",
        Zone::Uncore => "intel-rapl:0:1",
        Zone::Psys => "intel-rapl:1",
    })
}

const fn fixed(zone: Zone) -> &'static [(&'static str, &'static str)] {
    match zone {
        // The windows are those that Intel's processors choose themselves: about 28 s and 2.4 ms.
        Zone::Package => &[
            ("name", "package-0"),
            ("enabled", "1"),
            ("constraint_0_name", "long_term"),
            ("constraint_0_time_window_us", "27983872"),
            ("constraint_1_name", "short_term"),
            ("constraint_1_time_window_us", "2440"),
        ],
        Zone::Core => &[("name", "core"), ("enabled", "0")],
        Zone::Uncore => &[("name", "uncore"), ("enabled", "0")],
        Zone::Psys => &[("name", "psys"), ("enabled", "0")],
    }
}
