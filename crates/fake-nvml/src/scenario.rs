//! The scenario file.

use serde::Deserialize;

/// What the driver has and does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) driver_version: Option<String>,
    /// What every call fails with.
    pub(crate) fault: Option<Fault>,
    pub(crate) gpu: Vec<Gpu>,
}

/// Errors that concern the whole library.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    DriverNotLoaded,
    VersionMismatch,
    Uninitialized,
    NoPermission,
    Unknown,
}

/// One GPU, or a MIG instance of one. Units are NVML's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gpu {
    pub(crate) uuid: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) bus_id: Option<String>,
    /// The first and the last look at which it is lost.
    pub(crate) lost: Option<[u64; 2]>,
    pub(crate) hangs: bool,
    /// Functions that it does not support.
    pub(crate) unsupported: Vec<String>,
    pub(crate) memory_total: Option<Story>,
    pub(crate) memory_used: Option<Story>,
    pub(crate) utilization: Option<Story>,
    pub(crate) encoder: Option<Story>,
    pub(crate) decoder: Option<Story>,
    pub(crate) temperature: Option<Story>,
    pub(crate) slowdown: Option<Story>,
    pub(crate) shutdown: Option<Story>,
    pub(crate) power_milliwatts: Option<Story>,
    pub(crate) power_limit_milliwatts: Option<Story>,
    pub(crate) energy_millijoules: Option<Story>,
    pub(crate) sm_megahertz: Option<Story>,
    pub(crate) memory_megahertz: Option<Story>,
    pub(crate) fan: Option<Story>,
    pub(crate) link_generation: Option<Story>,
    pub(crate) link_width: Option<Story>,
    pub(crate) link_generation_max: Option<Story>,
    pub(crate) link_width_max: Option<Story>,
    pub(crate) throttle_reasons: Option<Story>,
    /// Nanoseconds held down by the power limit and by heat.
    pub(crate) power_violation: Option<Story>,
    pub(crate) thermal_violation: Option<Story>,
    pub(crate) ecc_corrected: Option<Story>,
    pub(crate) ecc_uncorrected: Option<Story>,
    pub(crate) pcie_transmitted: Option<Story>,
    pub(crate) pcie_received: Option<Story>,
    pub(crate) processes: Vec<Process>,
    pub(crate) xids: Vec<Xid>,
    pub(crate) mig: Vec<Gpu>,
}

/// One value, or one for each look.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Story {
    Same(u64),
    Each(Vec<u64>),
}

impl Story {
    /// The value at this look, counted from 1; after the last one the first comes again.
    pub(crate) fn at(&self, look: u64) -> Option<u64> {
        match self {
            Self::Same(value) => Some(*value),
            Self::Each(values) => {
                let count = u64::try_from(values.len()).ok().filter(|&count| count > 0)?;
                values
                    .get(usize::try_from(look.saturating_sub(1) % count).ok()?)
                    .copied()
            }
        }
    }
}

/// A process that holds memory.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) bytes: u64,
}

/// An error at one look.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Xid {
    pub(crate) look: u64,
    pub(crate) code: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_begins_again() {
        let story = Story::Each(vec![1, 2, 3]);
        assert_eq!(
            [1, 2, 3, 4].map(|look| story.at(look)),
            [Some(1), Some(2), Some(3), Some(1)]
        );
        assert_eq!(Story::Each(vec![]).at(1), None);
        assert_eq!(Story::Same(7).at(9), Some(7));
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Scenario>("[[gpu]]\nutilisation = 5\n").expect_err("a misspelt key");
        assert!(error.to_string().contains("utilisation"), "{error}");
    }
}
