//! What one look at a GPU found, as plain data in base units. What the GPU does not tell is `None` or not in the list.

use crate::processes::Holder;

/// What a GPU is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Identity {
    pub(crate) uuid: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) vendor: &'static str,
    pub(crate) driver_version: Option<String>,
    pub(crate) pci_bus_id: Option<String>,
}

/// One look at one GPU, or at one of its MIG instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The driver's number for it.
    pub(crate) index: Option<u32>,
    pub(crate) identity: Identity,
    /// 0 to 100.
    pub(crate) utilization: Option<f64>,
    /// 0 to 100.
    pub(crate) encoder: Option<f64>,
    /// 0 to 100.
    pub(crate) decoder: Option<f64>,
    /// 0 to 100.
    pub(crate) fan: Option<f64>,
    pub(crate) memory_used_bytes: Option<u64>,
    pub(crate) memory_total_bytes: Option<u64>,
    pub(crate) celsius: Option<f64>,
    pub(crate) celsius_limits: Vec<(&'static str, f64)>,
    pub(crate) watts: Option<f64>,
    pub(crate) watts_limit: Option<f64>,
    pub(crate) sm_hertz: Option<f64>,
    pub(crate) memory_hertz: Option<f64>,
    pub(crate) link: Link,
    /// Each reason that is told, and whether it holds the clocks down now.
    pub(crate) throttled: Vec<(&'static str, bool)>,
    /// The driver's own counters, which begin anew with the driver.
    pub(crate) counts: Vec<(Count, u64)>,
    /// Errors since the last look; `None` when they cannot be watched.
    pub(crate) xids: Option<Vec<u64>>,
    pub(crate) processes: Vec<Process>,
    /// Who the processes are, with the bytes that each holds.
    pub(crate) holders: Vec<(Holder, u64)>,
    /// MIG instances, by their index.
    pub(crate) instances: Vec<(u32, Reading)>,
}

impl Reading {
    /// Whether the GPU has nothing to do. What it does not tell is nothing.
    pub(crate) fn is_idle(&self) -> bool {
        let engines = [self.utilization, self.encoder, self.decoder];
        engines.into_iter().flatten().all(|percent| percent == 0.0)
    }

    /// Whether it tells none of what every GPU tells: then it is not there, whatever else it says.
    pub(crate) fn is_blank(&self) -> bool {
        let figures = [self.utilization, self.celsius, self.watts, self.sm_hertz];
        self.memory_total_bytes.is_none() && figures.into_iter().all(|figure| figure.is_none())
    }
}

/// The PCI Express link as it is, and the best that GPU and slot can do together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Link {
    pub(crate) generation: Option<u32>,
    pub(crate) width: Option<u32>,
    pub(crate) generation_max: Option<u32>,
    pub(crate) width_max: Option<u32>,
}

/// A counter of the driver, with the unit of its raw value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    /// Microjoules.
    Energy,
    /// Nanoseconds with the clocks held down for this reason.
    Throttled(&'static str),
    /// Errors.
    Ecc {
        severity: &'static str,
        location: &'static str,
    },
    /// Bytes over the PCI Express link, in this direction.
    Pcie(&'static str),
}

/// A process that holds memory of the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) bytes: u64,
}
