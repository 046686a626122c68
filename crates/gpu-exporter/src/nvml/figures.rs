//! The figures of one GPU: raw values of NVML in, base units out.

use nvml_wrapper::Device;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, MemoryLocation, PerformancePolicy, TemperatureSensor,
    TemperatureThreshold,
};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::structs::device::FieldId;

use super::faults::optional;
use crate::driver::Fault;
use crate::reading::{Count, Link, Reading};

/// `NVML_FI_DEV_PCIE_COUNT_TX_BYTES` and `_RX_BYTES`, as seen from the GPU.
const PCIE_BYTES: [(FieldId, &str); 2] = [(FieldId(197), "transmit"), (FieldId(198), "receive")];

const LIMITS: [(TemperatureThreshold, &str); 4] = [
    (TemperatureThreshold::Shutdown, "shutdown"),
    (TemperatureThreshold::Slowdown, "slowdown"),
    (TemperatureThreshold::GpuMax, "max_operating"),
    (TemperatureThreshold::MemoryMax, "memory_max"),
];

/// Idleness lowers the clocks too; it is no throttling.
const REASONS: [(ThrottleReasons, &str); 8] = [
    (
        ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
        "applications_clocks",
    ),
    (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync_boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake"),
    (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display_clocks"),
];

const POLICIES: [(PerformancePolicy, &str); 5] = [
    (PerformancePolicy::Power, "power"),
    (PerformancePolicy::Thermal, "thermal"),
    (PerformancePolicy::SyncBoost, "sync_boost"),
    (PerformancePolicy::BoardLimit, "board_limit"),
    (PerformancePolicy::Reliability, "reliability"),
];

const SEVERITIES: [(MemoryError, &str); 2] = [
    (MemoryError::Corrected, "corrected"),
    (MemoryError::Uncorrected, "uncorrected"),
];

/// Where ECC counts: memory, and either all memories on the chip together (since Ampere) or each of them.
const LOCATIONS: [(MemoryLocation, &str); 6] = [
    (MemoryLocation::Device, "device_memory"),
    (MemoryLocation::SRAM, "sram"),
    (MemoryLocation::L1Cache, "l1_cache"),
    (MemoryLocation::L2Cache, "l2_cache"),
    (MemoryLocation::RegisterFile, "register_file"),
    (MemoryLocation::Texture, "texture_memory"),
];

/// All figures that the GPU tells.
pub(super) fn read(device: &Device<'_>) -> Result<Reading, Fault> {
    let percent = |percent: u32| f64::from(percent);
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1e3;
    let hertz = |megahertz: u32| f64::from(megahertz) * 1e6;
    let memory = optional(device.memory_info())?;
    Ok(Reading {
        utilization: optional(device.utilization_rates())?.map(|rates| percent(rates.gpu)),
        encoder: optional(device.encoder_utilization())?.map(|info| percent(info.utilization)),
        decoder: optional(device.decoder_utilization())?.map(|info| percent(info.utilization)),
        fan: fan(device)?.map(percent),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        celsius: optional(device.temperature(TemperatureSensor::Gpu))?.map(f64::from),
        celsius_limits: limits(device)?,
        watts: optional(device.power_usage())?.map(watts),
        watts_limit: optional(device.enforced_power_limit())?.map(watts),
        sm_hertz: optional(device.clock_info(Clock::SM))?.map(hertz),
        memory_hertz: optional(device.clock_info(Clock::Memory))?.map(hertz),
        link: Link {
            generation: optional(device.current_pcie_link_gen())?,
            width: optional(device.current_pcie_link_width())?,
            generation_max: optional(device.max_pcie_link_gen())?,
            width_max: optional(device.max_pcie_link_width())?,
        },
        throttled: throttled(device)?,
        counts: counts(device)?,
        ..Reading::default()
    })
}

/// The fastest fan.
fn fan(device: &Device<'_>) -> Result<Option<u32>, Fault> {
    let mut fastest = None;
    for fan in 0..optional(device.num_fans())?.unwrap_or(1) {
        fastest = fastest.max(optional(device.fan_speed(fan))?);
    }
    Ok(fastest)
}

fn limits(device: &Device<'_>) -> Result<Vec<(&'static str, f64)>, Fault> {
    let mut limits = Vec::new();
    for (threshold, word) in LIMITS {
        let celsius = optional(device.temperature_threshold(threshold))?;
        // Some GPUs answer 0 for a threshold that they do not have.
        limits.extend(
            celsius
                .filter(|&celsius| celsius > 0)
                .map(|celsius| (word, f64::from(celsius))),
        );
    }
    Ok(limits)
}

fn throttled(device: &Device<'_>) -> Result<Vec<(&'static str, bool)>, Fault> {
    let Some(now) = optional(device.current_throttle_reasons())? else {
        return Ok(Vec::new());
    };
    let supported = optional(device.supported_throttle_reasons())?.unwrap_or(ThrottleReasons::all());
    let told = REASONS
        .into_iter()
        .filter(|&(reason, _)| supported.contains(reason));
    Ok(told.map(|(reason, word)| (word, now.contains(reason))).collect())
}

/// The driver's counters, in the raw units of [`Count`].
fn counts(device: &Device<'_>) -> Result<Vec<(Count, u64)>, Fault> {
    let mut counts = Vec::new();
    let millijoules = optional(device.total_energy_consumption())?;
    counts.extend(millijoules.map(|millijoules| (Count::Energy, millijoules.saturating_mul(1000))));
    for (policy, word) in POLICIES {
        let time = optional(device.violation_status(policy))?;
        counts.extend(time.map(|time| (Count::Throttled(word), time.violation_time)));
    }
    counts.extend(ecc(device)?);
    counts.extend(pcie(device)?);
    Ok(counts)
}

/// Errors since the driver was loaded; none where ECC is off or not there.
fn ecc(device: &Device<'_>) -> Result<Vec<(Count, u64)>, Fault> {
    let mut counts = Vec::new();
    if !optional(device.is_ecc_enabled())?.is_some_and(|mode| mode.currently_enabled) {
        return Ok(counts);
    }
    for (kind, severity) in SEVERITIES {
        for (memory, location) in LOCATIONS {
            let errors = optional(device.memory_error_counter(kind, EccCounter::Volatile, memory))?;
            counts.extend(errors.map(|errors| (Count::Ecc { severity, location }, errors)));
            if memory == MemoryLocation::SRAM && errors.is_some() {
                // The others are parts of it.
                break;
            }
        }
    }
    Ok(counts)
}

fn pcie(device: &Device<'_>) -> Result<Vec<(Count, u64)>, Fault> {
    let fields = PCIE_BYTES.map(|(field, _)| field);
    let Some(samples) = optional(device.field_values_for(&fields))? else {
        return Ok(Vec::new());
    };
    // By position: newer drivers number fields differently, and the sample says the driver's number.
    let bytes = |((_, direction), sample): ((FieldId, &'static str), Result<_, _>)| {
        let sample: nvml_wrapper::struct_wrappers::device::FieldValueSample = optional(sample).ok()??;
        let bytes = match optional(sample.value).ok()?? {
            SampleValue::U64(bytes) => bytes,
            SampleValue::I64(bytes) => u64::try_from(bytes).ok()?,
            // Such a counter wraps around several times a second: what it gained cannot be told.
            SampleValue::U32(_) | SampleValue::F64(_) => return None,
        };
        Some((Count::Pcie(direction), bytes))
    };
    Ok(PCIE_BYTES.into_iter().zip(samples).filter_map(bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gpu.md");
        let text = std::fs::read_to_string(path).expect("docs/gpu.md");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
        let has = |column: usize, word: &str| {
            let word = format!("`{word}`");
            rows.iter()
                .any(|cells| cells.len() == 5 && cells[column].contains(&word))
        };
        for (_, word) in REASONS {
            assert!(has(2, word), "{word} of gpu_throttle_active");
        }
        for (_, word) in POLICIES {
            assert!(has(3, word), "{word} of gpu_throttled_seconds_total");
        }
    }
}
