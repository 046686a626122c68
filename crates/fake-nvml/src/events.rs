//! Events: the Xid errors of the scenario.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlReturn_t};

use crate::code;
use crate::state::{driver, handle, index_of};

/// `nvmlEventTypeXidCriticalError`.
const XID: c_ulonglong = 8;

/// A new event set. Its handle is its number, counted from 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetCreate(set: *mut nvmlEventSet_t) -> nvmlReturn_t {
    let mut driver = driver();
    driver.sets.push(None);
    // SAFETY: the caller hands over a place for the handle.
    unsafe { set.write(std::ptr::without_provenance_mut(driver.sets.len())) };
    nvml::nvmlReturn_enum_NVML_SUCCESS
}

/// Ends an event set.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> nvmlReturn_t {
    let mut driver = driver();
    if let Some(slot) = set.addr().checked_sub(1).and_then(|at| driver.sets.get_mut(at)) {
        *slot = None;
    }
    nvml::nvmlReturn_enum_NVML_SUCCESS
}

/// Which events the GPU has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetSupportedEventTypes(
    device: nvmlDevice_t,
    types: *mut c_ulonglong,
) -> nvmlReturn_t {
    let driver = driver();
    let subject = driver.subject(device.cast(), "nvmlDeviceGetSupportedEventTypes");
    code(subject.map(|_| {
        // SAFETY: the caller hands over a place for the types.
        unsafe { types.write(XID) }
    }))
}

/// Watches a GPU.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    _types: c_ulonglong,
    set: nvmlEventSet_t,
) -> nvmlReturn_t {
    let mut driver = driver();
    let registered = driver
        .subject(device.cast(), "nvmlDeviceRegisterEvents")
        .map(drop);
    if registered.is_ok()
        && let Some(slot) = set.addr().checked_sub(1).and_then(|at| driver.sets.get_mut(at))
    {
        *slot = index_of(device.cast());
    }
    code(registered)
}

/// The next event; never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    _timeout: c_uint,
) -> nvmlReturn_t {
    let next = driver().next_xid(set.addr().wrapping_sub(1));
    code(next.map(|(index, xid)| {
        let event = nvmlEventData_t {
            device: handle(index, None).cast(),
            eventType: XID,
            eventData: xid,
            gpuInstanceId: c_uint::MAX,
            computeInstanceId: c_uint::MAX,
        };
        // SAFETY: the caller hands over a place for the event.
        unsafe { data.write(event) }
    }))
}
