//! NVIDIA GPUs on the PCI bus, from `<sysfs>/bus/pci/devices`: which there are, and which are asleep. Nothing here
//! wakes a GPU: the files read are the kernel's own, not the device's. Readable by everybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exporter::fs;

use crate::sleep::Sleep;

/// <https://pci-ids.ucw.cz/read/PC/10de>
const NVIDIA: &str = "0x10de";

/// An NVIDIA GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Such as `0000:01:00.0`.
    pub(crate) address: String,
    /// Whether it is NVIDIA's driver that has it, not a virtual machine or nouveau: NVML knows of those only.
    pub(crate) has_driver: bool,
    pub(crate) sleep: Sleep,
}

/// The PCI bus.
#[derive(Debug)]
pub(crate) struct Bus {
    root: PathBuf,
    /// Which devices are NVIDIA's GPUs: what a device is does not change while it is there.
    known: BTreeMap<String, bool>,
}

impl Bus {
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            root: sysfs.join("bus/pci/devices"),
            known: BTreeMap::new(),
        }
    }

    /// In the order of their addresses, which is NVML's own. Empty where there is no PCI bus.
    pub(crate) fn gpus(&mut self) -> Vec<Slot> {
        let addresses = fs::list(&self.root).unwrap_or_default();
        self.known
            .retain(|address, _| addresses.binary_search(address).is_ok());
        let gpus = addresses.into_iter().filter(|address| self.is_gpu(address));
        let gpus: Vec<String> = gpus.collect();
        gpus.into_iter().map(|address| self.slot(address)).collect()
    }

    /// A display controller of NVIDIA's; the card's audio and USB functions are others.
    fn is_gpu(&mut self, address: &str) -> bool {
        if let Some(&is_gpu) = self.known.get(address) {
            return is_gpu;
        }
        let text = |file: &str| fs::read_text(&self.root.join(address).join(file)).ok();
        let (Some(vendor), Some(class)) = (text("vendor"), text("class")) else {
            return false;
        };
        let is_gpu = vendor == NVIDIA && class.starts_with("0x03");
        self.known.insert(address.to_owned(), is_gpu);
        is_gpu
    }

    fn slot(&self, address: String) -> Slot {
        let device = self.root.join(&address);
        let belongs = |uevent: String| uevent.lines().any(|line| line == "DRIVER=nvidia");
        Slot {
            has_driver: fs::read_text(&device.join("uevent")).is_ok_and(belongs),
            sleep: Sleep::of(&device),
            address,
        }
    }
}

/// Whether the driver says that it never lets this GPU sleep, whatever the kernel would allow it.
pub(crate) fn stays_awake(procfs: &Path, address: &str) -> bool {
    let power = procfs.join("driver/nvidia/gpus").join(address).join("power");
    let status = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Runtime D3 status:"))?;
        Some(line.trim().to_owned())
    };
    fs::read_text(&power)
        .ok()
        .and_then(|text| status(&text))
        .is_some_and(|status| status.starts_with("Not supported") || status.starts_with("Disabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(sysfs: &Path, address: &str, files: &[(&str, &str)]) {
        let folder = sysfs.join("bus/pci/devices").join(address);
        std::fs::create_dir_all(folder.join("power")).expect("a folder");
        for (file, text) in files {
            std::fs::write(folder.join(file), text).expect("write");
        }
    }

    #[test]
    fn gpus_with_their_driver_and_their_sleep() {
        let sysfs = tempfile::tempdir().expect("a folder");
        let gpu = [
            ("vendor", "0x10de\n"),
            ("class", "0x030000\n"),
            ("uevent", "DRIVER=nvidia\nPCI_CLASS=30000\n"),
        ];
        let asleep = [
            ("power/runtime_status", "suspended\n"),
            ("power/control", "auto\n"),
        ];
        device(sysfs.path(), "0000:02:00.0", &gpu);
        device(sysfs.path(), "0000:01:00.0", &[gpu.as_slice(), &asleep].concat());
        let audio = [("vendor", "0x10de\n"), ("class", "0x040300\n")];
        device(sysfs.path(), "0000:01:00.1", &audio);
        let passed_through = [gpu[0], gpu[1], ("uevent", "DRIVER=vfio-pci\n")];
        device(sysfs.path(), "0000:03:00.0", &passed_through);
        let mut bus = Bus::new(sysfs.path());
        let mut look = || -> Vec<_> {
            let gpus = bus.gpus().into_iter();
            gpus.map(|gpu| (gpu.address, gpu.has_driver, gpu.sleep.is_asleep))
                .collect()
        };
        let gpu_at = |address: &str, has_driver, is_asleep| (address.to_owned(), has_driver, is_asleep);
        let first = gpu_at("0000:01:00.0", true, true);
        let others = [
            gpu_at("0000:02:00.0", true, false),
            gpu_at("0000:03:00.0", false, false),
        ];
        assert_eq!(look(), [&[first][..], &others].concat());
        assert_eq!(look().len(), 3, "and again");

        let awake = [
            ("power/runtime_status", "active\n"),
            ("uevent", "DRIVER=nouveau\n"),
        ];
        device(sysfs.path(), "0000:01:00.0", &awake);
        assert_eq!(look()[0], gpu_at("0000:01:00.0", false, false), "that may change");
        std::fs::remove_dir_all(sysfs.path().join("bus/pci/devices/0000:01:00.0")).expect("remove");
        assert_eq!(look(), others);
        assert_eq!(Bus::new(&sysfs.path().join("none")).gpus(), []);
    }

    #[test]
    fn what_the_driver_says_of_sleep() {
        let procfs = tempfile::tempdir().expect("a folder");
        let folder = procfs.path().join("driver/nvidia/gpus/0000:01:00.0");
        std::fs::create_dir_all(&folder).expect("a folder");
        let cases = [
            ("Enabled (fine-grained)", false),
            ("Enabled (coarse-grained)", false),
            ("Disabled by default", true),
            ("Not supported", true),
            ("?", false),
        ];
        for (status, expected) in cases {
            let text = format!("Runtime D3 status:          {status}\nVideo Memory:               Active\n");
            std::fs::write(folder.join("power"), text).expect("write");
            assert_eq!(stays_awake(procfs.path(), "0000:01:00.0"), expected, "{status}");
        }
        assert!(
            !stays_awake(procfs.path(), "0000:02:00.0"),
            "an older driver says nothing"
        );
    }
}
