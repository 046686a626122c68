//! What the driver knows between calls.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::nvmlReturn_t;

use crate::scenario::{Fault, Gpu, Scenario};

/// Names the scenario file.
const VARIABLE: &str = "FAKE_NVML_SCENARIO";
/// Handles are numbers, `GPU * INSTANCES + instance`, both counted from 1; no instance is 0.
const INSTANCES: usize = 64;

static DRIVER: Mutex<Driver> = Mutex::new(Driver {
    users: 0,
    text: String::new(),
    scenario: None,
    looks: Vec::new(),
    reported: Vec::new(),
    sets: Vec::new(),
});

/// The one driver.
pub(crate) struct Driver {
    /// How often it was initialized and not yet shut down.
    users: usize,
    /// What the scenario was read from.
    text: String,
    /// `None` until it is initialized.
    scenario: Option<Scenario>,
    /// How often each GPU was looked at.
    looks: Vec<u64>,
    /// How many of its errors each GPU has reported.
    reported: Vec<usize>,
    /// Which GPU each event set watches.
    pub(crate) sets: Vec<Option<usize>>,
}

/// A GPU or an instance of one, at its present look.
pub(crate) struct Subject<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) look: u64,
}

/// The driver, which one call at a time may have.
pub(crate) fn driver() -> MutexGuard<'static, Driver> {
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    /// Begins to be used.
    pub(crate) fn initialize(&mut self) -> Result<(), nvmlReturn_t> {
        let tried = self.refresh().and_then(|()| self.check());
        if tried.is_ok() {
            self.users += 1;
        } else if self.users == 0 {
            self.scenario = None;
        }
        tried
    }

    /// Reads the scenario again, in case that it was rewritten.
    fn refresh(&mut self) -> Result<(), nvmlReturn_t> {
        let (path, text) = read()?;
        if self.scenario.is_none() || text != self.text {
            let scenario: Scenario =
                toml::from_str(&text).map_err(|error| unusable(&format!("{path}: {error}")))?;
            self.looks.resize(scenario.gpu.len(), 0);
            self.reported.resize(scenario.gpu.len(), 0);
            self.scenario = Some(scenario);
            self.text = text;
        }
        Ok(())
    }

    /// As many have to end as began.
    pub(crate) fn shut_down(&mut self) {
        self.users = self.users.saturating_sub(1);
        if self.users == 0 {
            self.scenario = None;
            self.sets.clear();
        }
    }

    /// How many GPUs there are.
    pub(crate) fn count(&mut self) -> Result<usize, nvmlReturn_t> {
        self.scenario()?;
        self.refresh()?;
        self.check()?;
        Ok(self.scenario()?.gpu.len())
    }

    /// Whether a call that hangs still does.
    pub(crate) fn hangs(&mut self, index: usize) -> bool {
        let refreshed = self.refresh();
        let gpu = self
            .scenario
            .as_ref()
            .and_then(|scenario| scenario.gpu.get(index));
        refreshed.is_err() || gpu.is_some_and(|gpu| gpu.hangs)
    }

    pub(crate) fn scenario(&self) -> Result<&Scenario, nvmlReturn_t> {
        self.scenario
            .as_ref()
            .ok_or(nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED)
    }

    fn check(&self) -> Result<(), nvmlReturn_t> {
        Err(match self.scenario()?.fault {
            None => return Ok(()),
            Some(Fault::DriverNotLoaded) => nvml::nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED,
            Some(Fault::VersionMismatch) => nvml::nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH,
            Some(Fault::Uninitialized) => nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED,
            Some(Fault::NoPermission) => nvml::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION,
            Some(Fault::Unknown) => nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN,
        })
    }

    /// Begins a look at a GPU; the answer says whether it hangs.
    pub(crate) fn begin(&mut self, index: usize) -> Result<bool, nvmlReturn_t> {
        self.check()?;
        self.refresh()?;
        let gpu = self.scenario()?.gpu.get(index);
        let (hangs, lost) = gpu
            .map(|gpu| (gpu.hangs, gpu.lost))
            .ok_or(nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
        self.looks[index] += 1;
        let present = self.looks[index];
        match lost {
            Some([from, to]) if (from..=to).contains(&present) => {
                Err(nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST)
            }
            _ => Ok(hangs),
        }
    }

    /// The subject of a handle, if it supports the function.
    pub(crate) fn subject(&self, handle: *mut c_void, function: &str) -> Result<Subject<'_>, nvmlReturn_t> {
        self.check()?;
        let (index, instance) = (handle.addr() / INSTANCES, handle.addr() % INSTANCES);
        let invalid = nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
        let index = index.checked_sub(1).ok_or(invalid)?;
        let gpu = self.scenario()?.gpu.get(index).ok_or(invalid)?;
        let gpu = match instance.checked_sub(1) {
            None => gpu,
            Some(instance) => gpu.mig.get(instance).ok_or(invalid)?,
        };
        if gpu.unsupported.iter().any(|name| name == function) {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
        }
        Ok(Subject {
            gpu,
            look: self.looks[index],
        })
    }

    /// The next error of the GPU that an event set watches.
    pub(crate) fn next_xid(&mut self, set: usize) -> Result<(usize, u64), nvmlReturn_t> {
        let invalid = nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
        let index = self.sets.get(set).copied().flatten().ok_or(invalid)?;
        let due = self.scenario()?.gpu.get(index).ok_or(invalid)?;
        let mut due = due.xids.iter().filter(|xid| xid.look <= self.looks[index]);
        let next = due.nth(self.reported[index]).map(|xid| xid.code);
        let code = next.ok_or(nvml::nvmlReturn_enum_NVML_ERROR_TIMEOUT)?;
        self.reported[index] += 1;
        Ok((index, code))
    }
}

/// The handle of a GPU, or of one of its instances.
pub(crate) fn handle(index: usize, instance: Option<usize>) -> *mut c_void {
    let instance = instance.map_or(0, |instance| instance + 1);
    std::ptr::without_provenance_mut((index + 1) * INSTANCES + instance)
}

/// The GPU of a handle.
pub(crate) fn index_of(handle: *mut c_void) -> Option<usize> {
    (handle.addr() / INSTANCES).checked_sub(1)
}

fn unusable(problem: &str) -> nvmlReturn_t {
    eprintln!("fake-nvml: {problem}");
    nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN
}

/// The scenario's path and text.
fn read() -> Result<(String, String), nvmlReturn_t> {
    let path =
        std::env::var_os(VARIABLE).ok_or_else(|| unusable(&format!("{VARIABLE} names no scenario")))?;
    let shown = path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path).map_err(|error| unusable(&format!("read {shown}: {error}")))?;
    Ok((shown, text))
}
