//! What a GPU has counted.

use std::ffi::{c_int, c_ulonglong};

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEccCounterType_t, nvmlEnableState_t, nvmlFieldValue_t, nvmlMemoryErrorType_t,
    nvmlMemoryLocation_t, nvmlPerfPolicyType_t, nvmlReturn_t, nvmlViolationTime_t,
};

use crate::code;
use crate::device::told;
use crate::state::driver;

/// `power_violation` and `thermal_violation` of the scenario.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetViolationStatus(
    device: nvmlDevice_t,
    policy: nvmlPerfPolicyType_t,
    time: *mut nvmlViolationTime_t,
) -> nvmlReturn_t {
    let told = told(device, "nvmlDeviceGetViolationStatus", |gpu| match policy {
        nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_POWER => gpu.power_violation.as_ref(),
        nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL => gpu.thermal_violation.as_ref(),
        _ => None,
    });
    code(told.map(|nanoseconds| {
        let both = nvmlViolationTime_t {
            referenceTime: 0,
            violationTime: nanoseconds,
        };
        // SAFETY: the caller hands over a place for the struct.
        unsafe { time.write(both) }
    }))
}

/// ECC is on where the scenario counts errors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetEccMode(
    device: nvmlDevice_t,
    current: *mut nvmlEnableState_t,
    pending: *mut nvmlEnableState_t,
) -> nvmlReturn_t {
    let told = told(device, "nvmlDeviceGetEccMode", |gpu| gpu.ecc_uncorrected.as_ref());
    code(told.map(|_| {
        // SAFETY: the caller hands over places for both states.
        unsafe {
            current.write(1);
            pending.write(1);
        }
    }))
}

/// `ecc_corrected` and `ecc_uncorrected` of the scenario, all of them in the GPU's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryErrorCounter(
    device: nvmlDevice_t,
    severity: nvmlMemoryErrorType_t,
    _counter: nvmlEccCounterType_t,
    location: nvmlMemoryLocation_t,
    count: *mut c_ulonglong,
) -> nvmlReturn_t {
    let told = told(device, "nvmlDeviceGetMemoryErrorCounter", |gpu| {
        match (severity, location) {
            (0, nvml::nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_DEVICE_MEMORY) => {
                gpu.ecc_corrected.as_ref()
            }
            (1, nvml::nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_DEVICE_MEMORY) => {
                gpu.ecc_uncorrected.as_ref()
            }
            _ => None,
        }
    });
    code(told.map(|told| {
        // SAFETY: the caller hands over a place for the number.
        unsafe { count.write(told) }
    }))
}

/// `pcie_transmitted` and `pcie_received` of the scenario; no other field is supported.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    values: *mut nvmlFieldValue_t,
) -> nvmlReturn_t {
    let function = "nvmlDeviceGetFieldValues";
    if let Err(error) = driver().subject(device.cast(), function) {
        return error;
    }
    // SAFETY: the caller says how many values it hands over.
    let values = unsafe { std::slice::from_raw_parts_mut(values, usize::try_from(count).unwrap_or(0)) };
    for value in values {
        let told = told(device, function, |gpu| match value.fieldId {
            nvml::field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES => gpu.pcie_transmitted.as_ref(),
            nvml::field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES => gpu.pcie_received.as_ref(),
            _ => None,
        });
        value.valueType = nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
        value.nvmlReturn = code(told.map(|bytes| value.value.ullVal = bytes));
    }
    nvml::nvmlReturn_enum_NVML_SUCCESS
}
