//! The file that fake-nvml answers from; units are NVML's.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::files;

/// What the driver shows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Scenario {
    #[serde(default)]
    pub(super) driver_version: String,
    #[serde(default)]
    pub(super) gpu: Vec<Gpu>,
}

/// One GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Gpu {
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) bus_id: String,
    pub(super) memory_total: u64,
    pub(super) memory_used: u64,
    pub(super) utilization: u64,
    pub(super) encoder: u64,
    pub(super) decoder: u64,
    pub(super) temperature: u64,
    pub(super) slowdown: u64,
    pub(super) shutdown: u64,
    pub(super) power_milliwatts: u64,
    pub(super) power_limit_milliwatts: u64,
    pub(super) energy_millijoules: u64,
    pub(super) sm_megahertz: u64,
    pub(super) memory_megahertz: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fan: Option<u64>,
    pub(super) link_generation: u64,
    pub(super) link_width: u64,
    pub(super) link_generation_max: u64,
    pub(super) link_width_max: u64,
    pub(super) throttle_reasons: u64,
    /// Nanoseconds held down by the power limit and by heat.
    pub(super) power_violation: u64,
    pub(super) thermal_violation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ecc_corrected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ecc_uncorrected: Option<u64>,
    pub(super) pcie_transmitted: u64,
    pub(super) pcie_received: u64,
    pub(super) processes: Vec<Process>,
}

/// A process that holds memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) bytes: u64,
}

impl Scenario {
    /// What the file says; nothing where there is none, or one that cannot be read.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).ok();
        text.and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default()
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = toml::to_string(self).with_context(|| path.display().to_string())?;
        files::replace(path, text)
    }
}
