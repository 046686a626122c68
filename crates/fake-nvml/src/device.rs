//! What a GPU answers.

use std::ffi::{c_char, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{
    nvmlClockType_t, nvmlDevice_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlPciInfo_t, nvmlReturn_t,
    nvmlTemperatureSensors_t, nvmlTemperatureThresholds_t, nvmlUtilization_t,
};

use crate::scenario::{Gpu, Story};
use crate::state::{driver, index_of};
use crate::{code, write_text};

pub(crate) const UNSUPPORTED: nvmlReturn_t = nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
pub(crate) const INVALID: nvmlReturn_t = nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;

/// What the scenario says at the present look.
pub(crate) fn told(
    device: nvmlDevice_t,
    function: &str,
    story: impl FnOnce(&Gpu) -> Option<&Story>,
) -> Result<u64, nvmlReturn_t> {
    let driver = driver();
    let subject = driver.subject(device.cast(), function)?;
    story(subject.gpu)
        .and_then(|story| story.at(subject.look))
        .ok_or(UNSUPPORTED)
}

pub(crate) fn small(value: u64) -> c_uint {
    c_uint::try_from(value).unwrap_or(c_uint::MAX)
}

/// A function that tells one number.
macro_rules! number {
    ($($name:ident($($argument:ident: $type:ty),*) -> $raw:ty = $field:ident as $convert:expr;)+) => {$(
        #[doc = concat!("`", stringify!($field), "` of the scenario.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(device: nvmlDevice_t, $($argument: $type,)* value: *mut $raw) -> nvmlReturn_t {
            $(let _ = $argument;)*
            code(told(device, stringify!($name), |gpu| gpu.$field.as_ref()).map(|told| {
                // SAFETY: the caller hands over a place for the number.
                unsafe { value.write($convert(told)) }
            }))
        }
    )+};
}

number! {
    nvmlDeviceGetTemperature(sensor: nvmlTemperatureSensors_t) -> c_uint = temperature as small;
    nvmlDeviceGetPowerUsage() -> c_uint = power_milliwatts as small;
    nvmlDeviceGetEnforcedPowerLimit() -> c_uint = power_limit_milliwatts as small;
    nvmlDeviceGetTotalEnergyConsumption() -> c_ulonglong = energy_millijoules as u64::from;
    nvmlDeviceGetFanSpeed_v2(fan: c_uint) -> c_uint = fan as small;
    nvmlDeviceGetCurrPcieLinkGeneration() -> c_uint = link_generation as small;
    nvmlDeviceGetCurrPcieLinkWidth() -> c_uint = link_width as small;
    nvmlDeviceGetMaxPcieLinkGeneration() -> c_uint = link_generation_max as small;
    nvmlDeviceGetMaxPcieLinkWidth() -> c_uint = link_width_max as small;
    nvmlDeviceGetCurrentClocksThrottleReasons() -> c_ulonglong = throttle_reasons as u64::from;
}

/// A function that tells how busy an engine is, over the last second.
macro_rules! engine {
    ($($name:ident = $field:ident;)+) => {$(
        #[doc = concat!("`", stringify!($field), "` of the scenario.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            device: nvmlDevice_t,
            percent: *mut c_uint,
            period: *mut c_uint,
        ) -> nvmlReturn_t {
            code(told(device, stringify!($name), |gpu| gpu.$field.as_ref()).map(|told| {
                // SAFETY: the caller hands over places for both numbers.
                unsafe {
                    percent.write(small(told));
                    period.write(1_000_000);
                }
            }))
        }
    )+};
}

engine! {
    nvmlDeviceGetEncoderUtilization = encoder;
    nvmlDeviceGetDecoderUtilization = decoder;
}

/// A function that tells one text.
macro_rules! text {
    ($($name:ident = $field:ident;)+) => {$(
        #[doc = concat!("`", stringify!($field), "` of the scenario.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(device: nvmlDevice_t, buffer: *mut c_char, length: c_uint) -> nvmlReturn_t {
            let driver = driver();
            let subject = driver.subject(device.cast(), stringify!($name));
            code(subject.and_then(|subject| {
                let text = subject.gpu.$field.as_ref().ok_or(UNSUPPORTED)?;
                // SAFETY: the caller says how long its buffer is.
                unsafe { write_text(text, buffer, length as usize) }
            }))
        }
    )+};
}

text! {
    nvmlDeviceGetUUID = uuid;
    nvmlDeviceGetName = name;
}

/// The GPU's number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetIndex(device: nvmlDevice_t, index: *mut c_uint) -> nvmlReturn_t {
    let found = index_of(device.cast()).and_then(|index| c_uint::try_from(index).ok());
    code(found.ok_or(INVALID).map(|found| {
        // SAFETY: the caller hands over a place for the number.
        unsafe { index.write(found) }
    }))
}

/// The GPU's PCI address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(
    device: nvmlDevice_t,
    pci: *mut nvmlPciInfo_t,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetPciInfo_v3");
    code(subject.and_then(|subject| {
        let bus_id = subject.gpu.bus_id.as_ref().ok_or(UNSUPPORTED)?;
        // SAFETY: the caller hands over a whole struct; all of it may be 0.
        let pci = unsafe {
            pci.write_bytes(0, 1);
            &mut *pci
        };
        // SAFETY: the buffer is as long as it is.
        unsafe { write_text(bus_id, pci.busId.as_mut_ptr(), pci.busId.len()) }
    }))
}

fn memory(device: nvmlDevice_t, function: &str) -> Result<(u64, u64), nvmlReturn_t> {
    let total = told(device, function, |gpu| gpu.memory_total.as_ref())?;
    let used = told(device, function, |gpu| gpu.memory_used.as_ref())?;
    Ok((total, used))
}

/// `memory_total` and `memory_used` of the scenario, for programs that do not know the second version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(
    device: nvmlDevice_t,
    info: *mut nvmlMemory_t,
) -> nvmlReturn_t {
    code(memory(device, "nvmlDeviceGetMemoryInfo").map(|(total, used)| {
        let free = total.saturating_sub(used);
        // SAFETY: the caller hands over a place for the struct.
        unsafe { info.write(nvmlMemory_t { total, free, used }) }
    }))
}

/// `memory_total` and `memory_used` of the scenario. As in the driver, the caller must say which version it means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    info: *mut nvmlMemory_v2_t,
) -> nvmlReturn_t {
    // SAFETY: the caller hands over a whole struct, whose version it has set.
    let info = unsafe { &mut *info };
    let version = size_of::<nvmlMemory_v2_t>() | 2 << 24;
    if info.version as usize != version {
        return nvml::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    }
    code(memory(device, "nvmlDeviceGetMemoryInfo_v2").map(|(total, used)| {
        info.total = total;
        info.used = used;
        info.free = total.saturating_sub(used);
        info.reserved = 0;
    }))
}

/// `utilization` of the scenario.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    rates: *mut nvmlUtilization_t,
) -> nvmlReturn_t {
    let told = told(device, "nvmlDeviceGetUtilizationRates", |gpu| {
        gpu.utilization.as_ref()
    });
    code(told.map(|gpu| {
        let both = nvmlUtilization_t {
            gpu: small(gpu),
            memory: 0,
        };
        // SAFETY: the caller hands over a place for the struct.
        unsafe { rates.write(both) }
    }))
}

/// `slowdown` and `shutdown` of the scenario.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperatureThreshold(
    device: nvmlDevice_t,
    threshold: nvmlTemperatureThresholds_t,
    celsius: *mut c_uint,
) -> nvmlReturn_t {
    let told = told(
        device,
        "nvmlDeviceGetTemperatureThreshold",
        |gpu| match threshold {
            nvml::nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SHUTDOWN => gpu.shutdown.as_ref(),
            nvml::nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN => gpu.slowdown.as_ref(),
            _ => None,
        },
    );
    code(told.map(|told| {
        // SAFETY: the caller hands over a place for the number.
        unsafe { celsius.write(small(told)) }
    }))
}

/// `sm_megahertz` and `memory_megahertz` of the scenario.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: nvmlDevice_t,
    clock: nvmlClockType_t,
    megahertz: *mut c_uint,
) -> nvmlReturn_t {
    let told = told(device, "nvmlDeviceGetClockInfo", |gpu| match clock {
        nvml::nvmlClockType_enum_NVML_CLOCK_SM => gpu.sm_megahertz.as_ref(),
        nvml::nvmlClockType_enum_NVML_CLOCK_MEM => gpu.memory_megahertz.as_ref(),
        _ => None,
    });
    code(told.map(|told| {
        // SAFETY: the caller hands over a place for the number.
        unsafe { megahertz.write(small(told)) }
    }))
}
