//! Reads how often CPUs were throttled for heat, `<sysfs>/devices/system/cpu/cpu*/thermal_throttle`; everyone may.
//! Intel only.
//!
//! Yields `rapl_cpu_throttle_events_total{scope}` with `scope` one of `core` and `package`, since boot. Threads of one
//! core and CPUs of one package report the same events; each core and each package counts once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use exporter::{CollectError, Collector, Family, Metric, Unit, fs};

const EVENTS: Metric<1> = Metric::counter(
    "rapl_cpu_throttle_events_total",
    Unit::None,
    "Times that CPUs were slowed down for heat since boot, over all cores or all packages.",
    ["scope"],
);

/// What an event counter belongs to: package and die, and for cores the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    package: u64,
    die: u64,
    core: Option<u64>,
}

/// A count that goes on when the kernel's starts again, as it may when a CPU was offline.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    last: u64,
    total: u64,
}

/// The collector of throttle events.
pub(crate) struct Throttle {
    cpus: PathBuf,
    counts: Mutex<BTreeMap<Place, Count>>,
}

impl Throttle {
    /// CPUs below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            cpus: sysfs.join("devices/system/cpu"),
            counts: Mutex::default(),
        }
    }

    /// The highest count of each place that is there now.
    fn read(&self) -> BTreeMap<Place, u64> {
        let mut counts = BTreeMap::new();
        for name in fs::list(&self.cpus).unwrap_or_default() {
            if name
                .strip_prefix("cpu")
                .is_none_or(|number| number.parse::<u32>().is_err())
            {
                continue;
            }
            let cpu = self.cpus.join(name);
            let topology = |file: &str| fs::read_u64(&cpu.join("topology").join(file));
            let (Ok(package), Ok(core)) = (topology("physical_package_id"), topology("core_id")) else {
                continue;
            };
            let die = topology("die_id").unwrap_or(0);
            for (scope, core) in [("core", Some(core)), ("package", None)] {
                let file = cpu.join(format!("thermal_throttle/{scope}_throttle_count"));
                if let Ok(count) = fs::read_u64(&file) {
                    let highest = counts.entry(Place { package, die, core }).or_insert(0);
                    *highest = count.max(*highest);
                }
            }
        }
        counts
    }
}

impl Count {
    fn advance(&mut self, now: u64) {
        let gain = now.checked_sub(self.last).unwrap_or(now);
        self.total = self.total.saturating_add(gain);
        self.last = now;
    }
}

impl Collector for Throttle {
    fn name(&self) -> &'static str {
        "throttle"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let now = self.read();
        if now.is_empty() {
            return Err(CollectError::absent("no CPU counts throttle events"));
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, count) in now {
            counts.entry(place).or_default().advance(count);
        }
        let total = |is_core: bool| {
            let counts = counts.iter().filter(|(place, _)| place.core.is_some() == is_core);
            counts.map(|(_, count)| count.total).reduce(u64::saturating_add)
        };
        let scopes = [("core", total(true)), ("package", total(false))];
        Ok(vec![
            EVENTS.family(
                scopes
                    .into_iter()
                    .filter_map(|(scope, total)| Some(([scope], total? as f64))),
            ),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(cpus: &Path, cpu: u32, [package, core]: [u32; 2], [in_core, in_package]: [u32; 2]) {
        let dir = cpus.join(format!("devices/system/cpu/cpu{cpu}"));
        for (file, value) in [
            ("topology/physical_package_id", package),
            ("topology/core_id", core),
            ("thermal_throttle/core_throttle_count", in_core),
            ("thermal_throttle/package_throttle_count", in_package),
        ] {
            let file = dir.join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
            std::fs::write(file, value.to_string()).expect("write");
        }
    }

    fn events(throttle: &Throttle) -> Option<(f64, f64)> {
        let families = throttle.collect().ok()?;
        Some((
            families[0].get(r#"scope="core""#)?,
            families[0].get(r#"scope="package""#)?,
        ))
    }

    #[test]
    fn threads_and_offline_cpus_count_once() {
        let sysfs = tempfile::tempdir().expect("a folder");
        let throttle = Throttle::new(sysfs.path());
        assert_eq!(events(&throttle), None);
        count(sysfs.path(), 0, [0, 0], [5, 9]);
        count(sysfs.path(), 1, [0, 1], [2, 9]);
        count(sysfs.path(), 2, [0, 0], [5, 8]);
        count(sysfs.path(), 3, [1, 0], [1, 1]);
        assert_eq!(events(&throttle), Some((8.0, 10.0)));

        std::fs::remove_dir_all(sysfs.path().join("devices/system/cpu/cpu3")).expect("take the CPU offline");
        assert_eq!(events(&throttle), Some((8.0, 10.0)), "a counter does not go back");
        count(sysfs.path(), 3, [1, 0], [2, 0]);
        assert_eq!(
            events(&throttle),
            Some((9.0, 10.0)),
            "the package's count began again"
        );
        count(sysfs.path(), 3, [1, 0], [2, 3]);
        assert_eq!(events(&throttle), Some((9.0, 13.0)));
    }
}
