//! What a GPU is shared by: processes, and the instances that MIG cuts it into.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlProcessInfo_t, nvmlReturn_t};

use crate::code;
use crate::device::{INVALID, small};
use crate::state::{driver, handle, index_of};

/// `processes` of the scenario.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetComputeRunningProcesses_v3");
    code(subject.and_then(|subject| {
        let processes = &subject.gpu.processes;
        // SAFETY: the caller hands over a place for the count, which says how many it has room for.
        let room = unsafe { count.replace(small(processes.len() as u64)) } as usize;
        if room < processes.len() {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
        }
        for (at, process) in processes.iter().enumerate() {
            let info = nvmlProcessInfo_t {
                pid: process.pid,
                usedGpuMemory: process.bytes,
                gpuInstanceId: c_uint::MAX,
                computeInstanceId: c_uint::MAX,
            };
            // SAFETY: there is room for all of them.
            unsafe { infos.add(at).write(info) };
        }
        Ok(())
    }))
}

/// MIG is on where the scenario has instances.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetMigMode");
    code(subject.map(|subject| {
        let is_on = c_uint::from(!subject.gpu.mig.is_empty());
        // SAFETY: the caller hands over places for both modes.
        unsafe {
            current.write(is_on);
            pending.write(is_on);
        }
    }))
}

/// How many instances there may be: one more than the scenario has, as real GPUs have room for more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(
    device: nvmlDevice_t,
    count: *mut c_uint,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetMaxMigDeviceCount");
    code(subject.map(|subject| {
        // SAFETY: the caller hands over a place for the count.
        unsafe { count.write(small(subject.gpu.mig.len() as u64 + 1)) }
    }))
}

/// One instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    instance: c_uint,
    found: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetMigDeviceHandleByIndex");
    code(subject.and_then(|subject| {
        let index = index_of(device.cast()).ok_or(INVALID)?;
        if instance as usize >= subject.gpu.mig.len() {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
        }
        // SAFETY: the caller hands over a place for the handle.
        unsafe { found.write(handle(index, Some(instance as usize)).cast()) };
        Ok(())
    }))
}
