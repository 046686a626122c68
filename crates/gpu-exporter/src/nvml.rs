//! NVML through `nvml-wrapper`. Devices are looked up anew for each read, so that nothing outlives a driver's reload.
//!
//! No rights are needed beyond access to `/dev/nvidiactl` and `/dev/nvidia<n>`, which everybody has. Nothing is ever
//! set. Bytes over PCI Express are read as field values; the throughput call would block for 20 ms in each direction.

mod events;
mod faults;
mod figures;

use std::path::PathBuf;
use std::sync::Arc;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::driver::{Driver, Fault, Gpu, Library, Place, Reason};
use crate::reading::{Identity, Process, Reading};
use events::Events;
use faults::{fault, not_loaded, optional};

/// The library that the driver brought.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) PathBuf);

/// The library once it is initialized.
struct Loaded {
    nvml: Nvml,
    version: Option<String>,
}

/// One GPU of it.
struct Card<'a> {
    loaded: &'a Loaded,
    place: Place,
    events: Events<'a>,
}

impl Library for Shared {
    fn open(&self) -> Result<Arc<dyn Driver>, Fault> {
        let nvml = Nvml::builder()
            .lib_path(self.0.as_os_str())
            .init()
            .map_err(|error| match error {
                NvmlError::LibloadingError(linker) => not_loaded(&self.0, &linker.to_string()),
                error => fault("initialize NVML", &error),
            })?;
        if nvml.lib().nvmlShutdown.is_err() {
            // The wrapper would panic when it ends.
            std::mem::forget(nvml);
            let detail = format!(
                "{}: has no nvmlShutdown; it is not NVIDIA's library",
                self.0.display()
            );
            return Err(Fault::new(Reason::Failed, detail));
        }
        let version = nvml.sys_driver_version().ok();
        Ok(Arc::new(Loaded { nvml, version }))
    }
}

impl Driver for Loaded {
    fn count(&self) -> Result<u32, Fault> {
        self.nvml
            .device_count()
            .map_err(|error| fault("count GPUs", &error))
    }

    fn gpu<'a>(&'a self, place: &Place) -> Box<dyn Gpu + 'a> {
        Box::new(Card {
            loaded: self,
            place: place.clone(),
            events: Events::new(&self.nvml),
        })
    }
}

impl Gpu for Card<'_> {
    fn read(&mut self) -> Result<Reading, Fault> {
        self.look().map_err(|fault| Fault {
            xids: self.events.end(),
            ..fault
        })
    }
}

impl Card<'_> {
    fn look(&mut self) -> Result<Reading, Fault> {
        let nvml = &self.loaded.nvml;
        let device = match &self.place {
            Place::Bus { address, .. } => nvml.device_by_pci_bus_id(address.as_str()),
            Place::Index(index) => nvml.device_by_index(*index),
        };
        let device = device.map_err(|error| fault("find it", &error))?;
        let mut reading = figures::read(&device)?;
        if reading.is_blank() {
            // As in a container that lost its devices: the handle is good, and every question fails.
            let detail = "it answers no question; a container that lost its devices must be created anew";
            return Err(Fault::new(Reason::Failed, detail));
        }
        reading.index = optional(device.index())?;
        reading.identity = self.identity(&device)?;
        let instances = optional(device.mig_mode())?.is_some_and(|mode| mode.current == 1);
        if instances {
            reading.instances = self.instances(&device)?;
        } else {
            reading.processes = processes(&device)?;
        }
        // Watching keeps the device open, which would keep a GPU awake that may sleep.
        if !matches!(self.place, Place::Bus { may_sleep: true, .. }) {
            reading.xids = self.events.xids(&device);
        }
        Ok(reading)
    }

    fn identity(&self, device: &Device<'_>) -> Result<Identity, Fault> {
        let address = match &self.place {
            Place::Bus { address, .. } => Some(address.clone()),
            // NVML writes the domain with eight digits, everybody else with four.
            Place::Index(_) => optional(device.pci_info())?.map(|pci| {
                let id = pci.bus_id.to_lowercase();
                id.strip_prefix("0000").map_or(id.clone(), str::to_owned)
            }),
        };
        Ok(Identity {
            uuid: Some(device.uuid().map_err(|error| fault("read its UUID", &error))?),
            name: optional(device.name())?,
            vendor: "nvidia",
            driver_version: self.loaded.version.clone(),
            pci_bus_id: address,
        })
    }

    /// The parts that MIG has cut the GPU into.
    fn instances(&self, device: &Device<'_>) -> Result<Vec<(u32, Reading)>, Fault> {
        let mut instances = Vec::new();
        for index in 0..optional(device.mig_device_count())?.unwrap_or(0) {
            let Some(instance) = optional(device.mig_device_by_index(index))? else {
                continue;
            };
            let memory = optional(instance.memory_info())?;
            let reading = Reading {
                identity: Identity {
                    uuid: optional(instance.uuid())?,
                    name: optional(instance.name())?,
                    ..self.identity(device)?
                },
                memory_used_bytes: memory.as_ref().map(|memory| memory.used),
                memory_total_bytes: memory.as_ref().map(|memory| memory.total),
                processes: processes(&instance)?,
                ..Reading::default()
            };
            instances.push((index, reading));
        }
        Ok(instances)
    }
}

/// Processes that compute or draw; one that does both holds its memory once.
fn processes(device: &Device<'_>) -> Result<Vec<Process>, Fault> {
    use nvml_wrapper::enums::device::UsedGpuMemory;

    let computing = optional(device.running_compute_processes())?.unwrap_or_default();
    let drawing = optional(device.running_graphics_processes())?.unwrap_or_default();
    let mut processes: Vec<Process> = Vec::new();
    for process in computing.into_iter().chain(drawing) {
        let UsedGpuMemory::Used(bytes) = process.used_gpu_memory else {
            continue;
        };
        match processes.iter_mut().find(|other| other.pid == process.pid) {
            Some(other) => other.bytes = other.bytes.max(bytes),
            None => processes.push(Process {
                pid: process.pid,
                bytes,
            }),
        }
    }
    Ok(processes)
}
