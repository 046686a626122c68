//! Two GPUs, as NVIDIA's library would show them: a consumer's card whose power limit holds it down in the burst, and a
//! server's, which stays below its own.

mod card;
mod scenario;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::card::{CARDS, Card};
use self::scenario::{Gpu, Process, Scenario};
use crate::files;
use crate::machine::Part;
use crate::story::Moment;

const DRIVER: &str = "570.86.15";
/// How fast a cooler follows the power.
const LAG: Duration = Duration::from_secs(25);
/// <https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html>
const IDLE: u64 = 0x1;
const POWER_CAP: u64 = 0x4;
/// Above so many thousandths of load the card is at work, as far as clocks and link are concerned.
const AT_WORK: u64 = 100;
/// Bytes a second over the link at full load: results out, prompts in.
const TRANSMITTED: u64 = 180_000_000;
const RECEIVED: u64 = 640_000_000;

/// The GPUs of a folder.
pub(crate) struct Gpus {
    folder: PathBuf,
    gpus: Vec<State>,
}

/// A GPU at one moment.
#[derive(Debug, Clone)]
struct State {
    card: &'static Card,
    shown: Gpu,
    /// The temperature in thousandths of a degree Celsius, of which the library shows whole ones.
    temperature: u64,
}

/// Makes the GPUs, unless they are there.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    if crate::gpus(folder).exists() {
        return Ok(());
    }
    Gpus::resume(folder)?.write()
}

impl Part for Gpus {
    const NAME: &'static str = "GPUs";
    const EVERY: Duration = Duration::from_secs(1);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        for card in &CARDS {
            write_fixed(folder, card)?;
        }
        let known = Scenario::read(&crate::gpus(folder));
        let state = |card| State::resume(card, &known);
        Ok(Self {
            folder: folder.into(),
            gpus: CARDS.iter().map(state).collect(),
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        for gpu in &mut self.gpus {
            gpu.advance(moment);
        }
        self.write()
    }
}

impl Gpus {
    fn write(&self) -> anyhow::Result<()> {
        let scenario = Scenario {
            driver_version: DRIVER.to_owned(),
            gpu: self.gpus.iter().map(|gpu| gpu.shown.clone()).collect(),
        };
        scenario.write(&crate::gpus(&self.folder))
    }
}

/// The card's slot and the processes on it, laid out as the kernel's files.
fn write_fixed(folder: &Path, card: &Card) -> anyhow::Result<()> {
    let device = crate::sysfs(folder).join("bus/pci/devices").join(card.address);
    let uevent = format!("DRIVER=nvidia\nPCI_SLOT_NAME={}", card.address);
    for (name, line) in [
        ("vendor", "0x10de"),
        ("class", "0x030000"),
        ("uevent", &uevent),
        ("power/control", "on"),
        ("power/runtime_status", "active"),
    ] {
        files::replace_line(&device.join(name), line)?;
    }
    for holder in card.holders {
        let process = crate::procfs(folder).join(holder.pid.to_string());
        files::replace_line(&process.join("comm"), holder.command)?;
        files::replace_line(&process.join("cgroup"), holder.cgroup)?;
    }
    Ok(())
}

impl State {
    /// Counters go on; all else is what an idle card shows until time passes.
    fn resume(card: &'static Card, known: &Scenario) -> Self {
        let before = known.gpu.iter().find(|gpu| gpu.uuid == card.uuid);
        let before = before.cloned().unwrap_or_else(|| Gpu {
            temperature: card.heat.0,
            ..Gpu::default()
        });
        let (generation, width) = card.link;
        let temperature = before.temperature.min(card.limits.1);
        let shown = Gpu {
            uuid: card.uuid.to_owned(),
            name: card.name.to_owned(),
            bus_id: format!("0000{}", card.address),
            memory_total: card.memory,
            temperature,
            slowdown: card.limits.0,
            shutdown: card.limits.1,
            power_milliwatts: card.power.0,
            power_limit_milliwatts: card.limit,
            sm_megahertz: card.clocks.0,
            memory_megahertz: card.memory_clocks.0,
            fan: card.has_fan.then_some(0),
            link_generation: generation,
            link_width: width,
            link_generation_max: generation,
            link_width_max: width,
            throttle_reasons: IDLE,
            ecc_corrected: card.has_ecc.then(|| before.ecc_corrected.unwrap_or(2)),
            ecc_uncorrected: card.has_ecc.then(|| before.ecc_uncorrected.unwrap_or(0)),
            ..before
        };
        Self {
            card,
            shown,
            temperature: temperature * 1000,
        }
    }

    fn advance(&mut self, moment: &Moment) {
        let (card, gpu) = (self.card, &mut self.shown);
        let load = moment.scene.value(card.load).min(1000);
        let is_at_work = load >= AT_WORK;
        let between = |(least, most): (u64, u64)| least + (most - least) * load / 1000;

        let wanted = between(card.power);
        let is_held = wanted > card.limit;
        gpu.power_milliwatts = wanted.min(card.limit);
        let millis = moment.millis();
        let energy = gpu.power_milliwatts.saturating_mul(millis) / 1000;
        gpu.energy_millijoules = gpu.energy_millijoules.saturating_add(energy);
        gpu.utilization = load / 10;
        gpu.throttle_reasons = match (is_held, is_at_work) {
            (true, _) => POWER_CAP,
            (false, true) => 0,
            (false, false) => IDLE,
        };
        if is_held {
            let held = millis.saturating_mul(1_000_000);
            gpu.power_violation = gpu.power_violation.saturating_add(held);
        }
        let (calm, fast, held) = card.clocks;
        gpu.sm_megahertz = match (is_held, is_at_work) {
            (true, _) => held,
            (false, true) => fast,
            (false, false) => calm,
        };
        let (calm, fast) = card.memory_clocks;
        gpu.memory_megahertz = if is_at_work { fast } else { calm };

        self.temperature = moment.follow(self.temperature, between(card.heat) * 1000, LAG);
        gpu.temperature = self.temperature / 1000;
        let warmth = gpu.temperature.saturating_sub(card.heat.0);
        gpu.fan = card.has_fan.then(|| (warmth * 2).min(100));

        let moved = |most: u64| (most * load / 1000).saturating_mul(millis) / 1000;
        gpu.pcie_transmitted = gpu.pcie_transmitted.saturating_add(moved(TRANSMITTED));
        gpu.pcie_received = gpu.pcie_received.saturating_add(moved(RECEIVED));

        gpu.memory_used = card.memory / 1000 * moment.scene.steady(card.memory_share);
        let used = gpu.memory_used;
        let process = |holder: &card::Holder| Process {
            pid: holder.pid,
            bytes: used / 1000 * holder.share,
        };
        gpu.processes = card.holders.iter().map(process).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::story::{ROUND, Scene};

    /// Both GPUs after each second of a whole round.
    fn round() -> Vec<Vec<Gpu>> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut gpus = Gpus::resume(folder.path()).expect("resume");
        (0..ROUND)
            .map(|second| {
                let moment = Moment {
                    scene: Scene::at(Duration::from_secs(second)),
                    elapsed: Gpus::EVERY,
                    now: UNIX_EPOCH,
                };
                gpus.advance(&moment).expect("advance");
                gpus.gpus.iter().map(|gpu| gpu.shown.clone()).collect()
            })
            .collect()
    }

    #[test]
    fn values_are_plausible_and_counters_never_fall() {
        let round = round();
        for pair in round.windows(2) {
            for (before, after) in pair[0].iter().zip(&pair[1]) {
                assert_eq!(
                    after.energy_millijoules - before.energy_millijoules,
                    after.power_milliwatts
                );
                assert!(after.power_violation >= before.power_violation);
                assert!(after.pcie_received > before.pcie_received);
                assert!(after.power_milliwatts <= after.power_limit_milliwatts);
                assert!(after.utilization <= 100 && after.memory_used < after.memory_total);
                assert!(after.temperature.abs_diff(before.temperature) <= 3, "{after:?}");
                assert!(after.temperature < after.slowdown);
                let held: u64 = after.processes.iter().map(|process| process.bytes).sum();
                assert!(held <= after.memory_used && held > after.memory_used * 99 / 100);
            }
        }
    }

    #[test]
    fn only_the_burst_holds_the_consumers_card_down() {
        let round = round();
        let held = |gpu: usize| -> Vec<usize> {
            let is_held = |&second: &usize| round[second][gpu].throttle_reasons & POWER_CAP != 0;
            (0..round.len()).filter(is_held).collect()
        };
        let consumer = held(0);
        assert!(consumer.len() > 100, "{consumer:?}");
        assert!(
            consumer.iter().all(|second| (60..220).contains(second)),
            "{consumer:?}"
        );
        assert_eq!(held(1), [] as [usize; 0]);
        let hottest = round.iter().map(|gpus| gpus[0].temperature).max();
        assert!(hottest > Some(78) && hottest < Some(85), "{hottest:?}");
    }

    #[test]
    fn counters_are_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        prepare(path).expect("prepare");
        let mut gpus = Gpus::resume(path).expect("resume");
        let moment = Moment {
            scene: Scene::at(Duration::from_secs(100)),
            elapsed: Duration::from_secs(5),
            now: UNIX_EPOCH,
        };
        gpus.advance(&moment).expect("advance");
        prepare(path).expect("prepare again");
        let resumed = Gpus::resume(path).expect("resume");
        for (before, after) in gpus.gpus.iter().zip(&resumed.gpus) {
            assert!(after.shown.energy_millijoules > 0);
            assert_eq!(after.shown.energy_millijoules, before.shown.energy_millijoules);
            assert_eq!(after.shown.power_violation, before.shown.power_violation);
            assert_eq!(after.shown.pcie_received, before.shown.pcie_received);
            assert_eq!(after.shown.temperature, before.shown.temperature);
        }
        assert!(gpus.gpus[0].shown.power_violation > 0);
    }
}
