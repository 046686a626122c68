//! The hwmon device of a GPU: heat, power, clocks and fan. Units are hwmon's:
//! <https://docs.kernel.org/hwmon/sysfs-interface.html>.

use std::path::{Path, PathBuf};

use exporter::fs;
use exporter::units::{Microwatts, Millicelsius};

/// The sensors of one GPU.
#[derive(Debug)]
pub(crate) struct Chip(PathBuf);

impl Chip {
    /// Of the PCI device in this folder.
    pub(crate) fn of(device: &Path) -> Option<Self> {
        let root = device.join("hwmon");
        let is_driver_s =
            |chip: &PathBuf| fs::read_text(&chip.join("name")).is_ok_and(|name| name == "amdgpu");
        let names = fs::list(&root).ok()?;
        let mut chips = names.iter().map(|name| root.join(name));
        chips.find(is_driver_s).map(Self)
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_u64(&self.0.join(file)).ok()
    }

    /// Degrees Celsius in one of the files of `temp`.
    pub(crate) fn celsius(&self, file: &str) -> Option<f64> {
        let raw = fs::read_i64(&self.0.join(file)).ok()?;
        Some(Millicelsius(raw).celsius())
    }

    /// Watts: the average where the driver keeps one, as it did before Linux 6.5, else now.
    pub(crate) fn watts(&self) -> Option<f64> {
        let raw = self
            .number("power1_average")
            .or_else(|| self.number("power1_input"))?;
        Some(Microwatts(raw).watts())
    }

    /// The power limit in watts.
    pub(crate) fn watts_limit(&self) -> Option<f64> {
        Some(Microwatts(self.number("power1_cap")?).watts())
    }

    /// Energy since the driver was loaded in microjoules.
    pub(crate) fn microjoules(&self) -> Option<u64> {
        self.number("energy1_input")
    }

    /// The clock of this label, `sclk` or `mclk`, in hertz.
    pub(crate) fn hertz(&self, label: &str) -> Option<f64> {
        let is_it = |channel: &u32| {
            fs::read_text(&self.0.join(format!("freq{channel}_label"))).is_ok_and(|text| text == label)
        };
        let channel = (1..=4).find(is_it)?;
        Some(self.number(&format!("freq{channel}_input"))? as f64)
    }

    /// How fast the fan is set, 0 to 100.
    pub(crate) fn fan_percent(&self) -> Option<f64> {
        let max = self.number("pwm1_max").filter(|&max| max > 0).unwrap_or(255);
        Some(self.number("pwm1")? as f64 / max as f64 * 100.0)
    }
}
