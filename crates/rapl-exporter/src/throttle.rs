//! Reads how often CPUs were throttled for heat, `<sysfs>/devices/system/cpu/cpu*/thermal_throttle`; everyone may.
//! Intel only.
//!
//! Yields `rapl_cpu_throttle_events_total{scope}` with `scope` one of `core` and `package`, since boot. Threads of one
//! core and CPUs of one package report the same events; each core and each package counts once, by the CPU that has
//! seen the most of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use exporter::fs::{self, ReadError};
use exporter::{CollectError, Collector, Family, Metric, Unit};

use crate::found::{Found, IsGone};

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

/// A place, and the CPU that counts its events.
type Counted = (Place, u32);

/// A count that goes on when the kernel's starts again, as it may when a CPU was offline.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    last: u64,
    total: u64,
}

/// One file with a count.
#[derive(Debug)]
struct Counter {
    counted: Counted,
    file: PathBuf,
}

/// How long new CPUs may stay unnoticed.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The collector of throttle events.
pub(crate) struct Throttle {
    cpus: PathBuf,
    counters: Found<Vec<Counter>>,
    counts: Mutex<BTreeMap<Counted, Count>>,
}

impl Throttle {
    /// CPUs below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            cpus: sysfs.join("devices/system/cpu"),
            counters: Found::every(LOOK_AGAIN),
            counts: Mutex::default(),
        }
    }

    /// The counts that are there now.
    fn read(&self) -> Vec<(Counted, u64)> {
        self.counters.read(|| find(&self.cpus), |counters| read(counters))
    }
}

fn read(counters: &[Counter]) -> (Vec<(Counted, u64)>, IsGone) {
    let mut counts = Vec::with_capacity(counters.len());
    let mut is_gone = false;
    for counter in counters {
        match fs::read_u64(&counter.file) {
            Ok(count) => counts.push((counter.counted, count)),
            Err(error) => is_gone |= error.is_missing(),
        }
    }
    (counts, is_gone)
}

/// The counters of all CPUs.
fn find(cpus: &Path) -> Vec<Counter> {
    let names = fs::list(cpus).unwrap_or_default();
    let numbers = names
        .iter()
        .filter_map(|name| name.strip_prefix("cpu")?.parse().ok());
    numbers
        .flat_map(|cpu| of_cpu(cpus, cpu).unwrap_or_default())
        .collect()
}

fn of_cpu(cpus: &Path, cpu: u32) -> Result<Vec<Counter>, ReadError> {
    let cpu_dir = cpus.join(format!("cpu{cpu}"));
    let dir = cpu_dir.join("thermal_throttle");
    let files = fs::list(&dir)?;
    let topology = |file: &str| fs::read_u64(&cpu_dir.join("topology").join(file));
    let package = topology("physical_package_id")?;
    let die = topology("die_id").unwrap_or(0);
    let core = topology("core_id")?;
    let counters = [
        ("core_throttle_count", Some(core)),
        ("package_throttle_count", None),
    ];
    Ok(counters
        .into_iter()
        .filter(|(file, _)| files.iter().any(|name| name == file))
        .map(|(file, core)| Counter {
            counted: (Place { package, die, core }, cpu),
            file: dir.join(file),
        })
        .collect())
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
        for (counted, count) in now {
            counts.entry(counted).or_default().advance(count);
        }
        let mut highest: BTreeMap<Place, u64> = BTreeMap::new();
        for ((place, _), count) in &*counts {
            let known = highest.entry(*place).or_default();
            *known = count.total.max(*known);
        }
        let total = |is_core: bool| {
            let places = highest
                .iter()
                .filter(|(place, _)| place.core.is_some() == is_core);
            places.map(|(_, &count)| count).reduce(u64::saturating_add)
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
        let a_minute_passes = || throttle.counters.forget();
        a_minute_passes();
        count(sysfs.path(), 0, [0, 0], [5, 9]);
        count(sysfs.path(), 1, [0, 1], [2, 9]);
        count(sysfs.path(), 2, [0, 0], [4, 8]);
        count(sysfs.path(), 3, [1, 0], [1, 1]);
        assert_eq!(events(&throttle), Some((8.0, 10.0)));

        std::fs::remove_dir_all(sysfs.path().join("devices/system/cpu/cpu3")).expect("take the CPU offline");
        assert_eq!(events(&throttle), Some((8.0, 10.0)), "a counter does not go back");
        count(sysfs.path(), 3, [1, 0], [2, 0]);
        a_minute_passes();
        assert_eq!(
            events(&throttle),
            Some((9.0, 10.0)),
            "the package's count began again"
        );
        count(sysfs.path(), 3, [1, 0], [2, 3]);
        assert_eq!(events(&throttle), Some((9.0, 13.0)));

        std::fs::remove_dir_all(sysfs.path().join("devices/system/cpu/cpu0")).expect("take the CPU offline");
        assert_eq!(
            events(&throttle),
            Some((9.0, 13.0)),
            "what its sibling has counted is no new event"
        );
    }
}
