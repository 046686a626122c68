//! The laptop's own state: four energy counters that wrap, a temperature that lags behind the power, CPU time.

use std::path::Path;
use std::time::Duration;

use super::story::Scene;
use super::tree;

/// Where the counters start again at 0, in microjoules. Small, so that a wrap happens every few minutes; not smaller,
/// since rapl-exporter would have to sample more often than once a second to be sure of every one.
pub(crate) const RANGE: u64 = 16_000_000_000;

const CPUS: u64 = 8;
/// In thousandths of a degree Celsius: the room with the fan's help, and what the laptop is at when it is switched on.
const COOLED: u64 = 38_000;
/// How fast the heat sink follows the power.
const LAG: Duration = Duration::from_secs(15);

/// Zones of the laptop, in the order of [`Machine::energy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
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
    pub(crate) const ALL: [Self; 4] = [Self::Package, Self::Core, Self::Uncore, Self::Psys];

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
pub(crate) struct Machine {
    /// Microjoules of each zone.
    pub(crate) energy: [u64; 4],
    /// Temperature of the package in thousandths of a degree Celsius.
    pub(crate) temperature: u64,
    /// Time that the CPUs were busy, all together, in milliseconds.
    pub(crate) busy: u64,
    /// Time that they had nothing to do, in milliseconds.
    pub(crate) idle: u64,
}

impl Machine {
    /// The laptop of the folder, just switched on. Energy goes on from where it was: rapl-exporter may be watching, and
    /// would take a step back for a wrap.
    pub(crate) fn resume(folder: &Path) -> Self {
        Self {
            energy: Zone::ALL
                .map(|zone| tree::energy(folder, zone).map_or(zone.initial(), |energy| energy % RANGE)),
            temperature: COOLED,
            busy: 0,
            idle: 0,
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, scene: Scene, elapsed: Duration) {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        for (energy, zone) in self.energy.iter_mut().zip(Zone::ALL) {
            // Milliwatts times microseconds are nanojoules.
            let gain = zone.power(scene.package).saturating_mul(micros) / 1000;
            *energy = energy.saturating_add(gain) % RANGE;
        }
        let warm = COOLED + scene.package * 21 / 20;
        let lag = u64::try_from(LAG.as_millis()).unwrap_or(u64::MAX);
        let step = millis.min(lag);
        self.temperature = (self.temperature * (lag - step) + warm * step) / lag;
        let time = CPUS.saturating_mul(millis);
        let busy = time.saturating_mul(scene.load) / 1000;
        self.busy = self.busy.saturating_add(busy);
        self.idle = self.idle.saturating_add(time.saturating_sub(busy));
    }
}

#[cfg(test)]
mod tests {
    use super::super::story;
    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    /// The laptop at the end of each step of a whole round, with the scene that led there.
    fn round() -> Vec<(Scene, Machine)> {
        let nowhere = tempfile::tempdir().expect("a folder");
        let mut machine = Machine::resume(nowhere.path());
        (0..story::ROUND * 5)
            .map(|step| {
                let scene = story::at(Duration::from_millis(200 * step));
                machine.advance(scene, STEP);
                (scene, machine.clone())
            })
            .collect()
    }

    #[test]
    fn energy_grows_by_power_times_time_and_stays_in_its_range() {
        let round = round();
        let mut wraps = [0; 4];
        for pair in round.windows(2) {
            let (scene, after) = &pair[1];
            for (index, zone) in Zone::ALL.into_iter().enumerate() {
                let (from, to) = (pair[0].1.energy[index], after.energy[index]);
                assert!(to < RANGE);
                wraps[index] += usize::from(to < from);
                // 1 mW over 200 ms are 200 µJ.
                assert_eq!((to + RANGE - from) % RANGE, zone.power(scene.package) * 200);
            }
            let [package, core, uncore, psys] = Zone::ALL.map(|zone| zone.power(scene.package));
            assert!(core + uncore < package && package < psys);
        }
        assert!(wraps[0] == 1 && wraps[3] >= 1, "{wraps:?}");
    }

    #[test]
    fn the_burst_is_above_the_limit_and_hot_for_long_enough_and_then_it_is_over() {
        let round = round();
        let longest = |is: &dyn Fn(&(Scene, Machine)) -> bool| {
            let runs = round.split(|step| !is(step)).map(<[_]>::len);
            STEP * u32::try_from(runs.max().unwrap_or_default()).expect("small")
        };
        let above = longest(&|(scene, _)| scene.package > tree::PL1 / 1000);
        // The window of PL1, a minute of rate, a minute of `for`, and a scrape and an evaluation of 15 s each.
        assert!(above >= Duration::from_secs(28 + 30 + 60 + 30), "{above:?}");
        let calm = longest(&|(scene, _)| scene.package < tree::PL1 / 1000);
        // It has fired on for 3 minutes, and is evaluated every 15 s.
        assert!(calm >= Duration::from_secs(180 + 15), "{calm:?}");
        let hot = longest(&|(_, machine)| machine.temperature > 75_000);
        assert!(
            hot > Duration::from_mins(1) && hot < Duration::from_secs(200),
            "{hot:?}"
        );
        assert!(
            round
                .iter()
                .all(|(_, machine)| (30_000..95_000).contains(&machine.temperature))
        );
    }

    #[test]
    fn cpu_time_passes_at_the_load_of_the_scene() {
        let mut machine = Machine::resume(Path::new("/nowhere"));
        machine.advance(
            Scene {
                package: 0,
                load: 250,
            },
            Duration::from_secs(10),
        );
        assert_eq!((machine.busy, machine.idle), (20_000, 60_000));
    }
}
