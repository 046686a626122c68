//! The processor: four energy counters that wrap, a temperature that lags behind the power, CPU time.

mod tree;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::Part;
use crate::story::{Course, Moment};

/// Where the counters start again at 0, in microjoules. Small, so that a wrap happens every few minutes; not smaller,
/// since rapl-exporter would have to sample more often than once a second to be sure of every one.
const RANGE: u64 = 16_000_000_000;

const CPUS: u64 = 8;
/// Power of the package in milliwatts.
const POWER: Course = Course::new(5_000, 22_000, 44_000, 8_000);
/// Share of the time that the CPUs are busy, in thousandths.
const LOAD: Course = Course::new(30, 550, 960, 120);
/// In thousandths of a degree Celsius: the room with the fan's help, and what the laptop is at when it is switched on.
const COOLED: u64 = 38_000;
/// Nothing is hotter, whatever a file says.
const MELTED: u64 = 150_000;
/// How fast the heat sink follows the power.
const LAG: Duration = Duration::from_secs(15);

/// Zones of the laptop, in the order of [`State::energy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    /// The whole processor.
    Package,
    /// Its cores.
    Core,
    /// Its graphics.
    Uncore,
    /// The whole laptop.
    Psys,
}

impl Zone {
    const ALL: [Self; 4] = [Self::Package, Self::Core, Self::Uncore, Self::Psys];

    /// Milliwatts of the zone when the package draws so many.
    const fn power(self, package: u64) -> u64 {
        match self {
            Self::Package => package,
            Self::Core => package * 7 / 10,
            Self::Uncore => package / 10,
            // Display, memory, disk, and what the power supply wastes.
            Self::Psys => package * 11 / 10 + 6_000,
        }
    }

    /// Microjoules at first. The package is about to wrap, so that a short look shows it.
    const fn initial(self) -> u64 {
        match self {
            Self::Package => RANGE - 3_000_000_000,
            Self::Core => 9_120_000_000,
            Self::Uncore => 1_300_000_000,
            Self::Psys => 4_700_000_000,
        }
    }
}

/// The laptop at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// Microjoules of each zone.
    energy: [u64; 4],
    /// Temperature of the package in thousandths of a degree Celsius.
    temperature: u64,
    /// Time that the CPUs were busy, all together, in milliseconds.
    busy: u64,
    /// Time that they had nothing to do, in milliseconds.
    idle: u64,
}

/// The laptop of a folder.
pub(crate) struct Laptop {
    folder: PathBuf,
    state: State,
}

/// Makes the laptop, unless it is there.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    if tree::is_complete(folder) {
        return Ok(());
    }
    tree::write_fixed(folder)?;
    tree::write_moving(folder, &State::resume(folder))
}

impl Part for Laptop {
    const NAME: &'static str = "power, temperature and load";
    const EVERY: Duration = Duration::ZERO;

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        tree::write_fixed(folder)?;
        Ok(Self {
            folder: folder.into(),
            state: State::resume(folder),
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        self.state.advance(moment);
        tree::write_moving(&self.folder, &self.state)
    }
}

impl State {
    fn resume(folder: &Path) -> Self {
        let (busy, idle) = tree::times(folder).unwrap_or_default();
        Self {
            energy: Zone::ALL
                .map(|zone| tree::energy(folder, zone).map_or(zone.initial(), |energy| energy % RANGE)),
            temperature: tree::temperature(folder).map_or(COOLED, |temperature| temperature.min(MELTED)),
            busy,
            idle,
        }
    }

    fn advance(&mut self, moment: &Moment) {
        let micros = u64::try_from(moment.elapsed.as_micros()).unwrap_or(u64::MAX);
        let package = moment.scene.value(POWER);
        for (energy, zone) in self.energy.iter_mut().zip(Zone::ALL) {
            // Milliwatts times microseconds are nanojoules.
            let gain = zone.power(package).saturating_mul(micros) / 1000;
            *energy = energy.saturating_add(gain) % RANGE;
        }
        self.temperature = moment.follow(self.temperature, COOLED + package * 21 / 20, LAG);
        let time = CPUS.saturating_mul(moment.millis());
        let busy = time.saturating_mul(moment.scene.value(LOAD)) / 1000;
        self.busy = self.busy.saturating_add(busy);
        self.idle = self.idle.saturating_add(time.saturating_sub(busy));
    }
}

#[cfg(test)]
mod tests;
