//! The functions of NVML that gpu-exporter calls, answered from a scenario file: see the README.

#![allow(non_snake_case, reason = "the names of the functions are NVML's")]

mod counters;
mod device;
mod events;
mod parts;
mod scenario;
mod state;

use std::ffi::{CStr, c_char, c_uint};
use std::time::Duration;

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

use state::{driver, handle};

/// What NVML returns for a result.
pub(crate) fn code(result: Result<(), nvmlReturn_t>) -> nvmlReturn_t {
    result.err().unwrap_or(nvml::nvmlReturn_enum_NVML_SUCCESS)
}

/// Copies a text into a buffer of the caller, with its end.
///
/// # Safety
///
/// The buffer has `length` bytes.
pub(crate) unsafe fn write_text(text: &str, buffer: *mut c_char, length: usize) -> Result<(), nvmlReturn_t> {
    if text.len() >= length {
        return Err(nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
    }
    // SAFETY: text and end fit, and a Rust string does not overlap the caller's buffer.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}

/// Begins to use the library.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    code(driver().initialize())
}

/// Begins to use the library; no flag changes anything here.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    nvmlInit_v2()
}

/// Ends the use of the library.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    driver().shut_down();
    nvml::nvmlReturn_enum_NVML_SUCCESS
}

/// The driver's version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> nvmlReturn_t {
    let text = driver()
        .scenario()
        .map(|scenario| scenario.driver_version.clone());
    code(text.and_then(|text| {
        let text = text.ok_or(nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED)?;
        // SAFETY: the caller says how long its buffer is.
        unsafe { write_text(&text, version, length as usize) }
    }))
}

/// How many GPUs there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> nvmlReturn_t {
    let counted = driver().count();
    code(counted.map(|gpus| {
        // SAFETY: the caller hands over a place for the count.
        unsafe { count.write(c_uint::try_from(gpus).unwrap_or(c_uint::MAX)) }
    }))
}

/// A GPU by its number; begins a look at it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(
    index: c_uint,
    device: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    // SAFETY: the caller hands over a place for the handle.
    unsafe { look(index as usize, device) }
}

/// A GPU by its PCI address, whose domain has four or eight digits; begins a look at it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(
    address: *const c_char,
    device: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    // SAFETY: the caller hands over a text with an end.
    let address = unsafe { CStr::from_ptr(address) }
        .to_string_lossy()
        .to_lowercase();
    let is_it = |bus_id: &str| {
        let bus_id = bus_id.to_lowercase();
        bus_id == address || bus_id.strip_prefix("0000") == Some(&address)
    };
    let index = driver().scenario().map(|scenario| {
        scenario
            .gpu
            .iter()
            .position(|gpu| gpu.bus_id.as_deref().is_some_and(is_it))
    });
    match index {
        // SAFETY: the caller hands over a place for the handle.
        Ok(Some(index)) => unsafe { look(index, device) },
        Ok(None) => nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND,
        Err(error) => error,
    }
}

/// # Safety
///
/// `device` is a place for a handle.
unsafe fn look(index: usize, device: *mut nvmlDevice_t) -> nvmlReturn_t {
    let begun = driver().begin(index);
    code(begun.map(|hangs| {
        // Until the scenario is rewritten.
        while hangs && driver().hangs(index) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // SAFETY: as the caller of this function promises.
        unsafe { device.write(handle(index, None).cast()) }
    }))
}
