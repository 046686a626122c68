//! Xid errors of one GPU, from an event set of its own: a set that one GPU refuses is lost for all that share it.

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::{Device, EventSet, Nvml};

/// At most this many are taken at a time: a GPU in a storm of errors must not hold its thread for ever.
const BATCH: usize = 256;
/// What stands for an error that the driver cannot name.
const UNKNOWN: u64 = 999;

/// The errors that the driver reports.
pub(super) struct Events<'a> {
    nvml: &'a Nvml,
    set: Watch<'a>,
}

enum Watch<'a> {
    Untried,
    Refused,
    On(EventSet<'a>),
}

impl<'a> Events<'a> {
    pub(super) fn new(nvml: &'a Nvml) -> Self {
        Self {
            nvml,
            set: Watch::Untried,
        }
    }

    /// Errors since the last call, or since watching began; `None` where they cannot be watched.
    pub(super) fn xids(&mut self, device: &Device<'a>) -> Option<Vec<u64>> {
        if matches!(self.set, Watch::Untried) {
            self.set = register(self.nvml, device).map_or(Watch::Refused, Watch::On);
        }
        matches!(self.set, Watch::On(_)).then(|| self.take())
    }

    /// What the GPU reported before it was lost. What was registered may be void when it is back: the next call watches
    /// anew.
    pub(super) fn end(&mut self) -> Vec<u64> {
        let xids = self.take();
        self.set = Watch::Untried;
        xids
    }

    fn take(&self) -> Vec<u64> {
        let Watch::On(set) = &self.set else {
            return Vec::new();
        };
        let next = || match set.wait(0).ok()?.event_data? {
            XidError::Value(code) => Some(code),
            XidError::Unknown => Some(UNKNOWN),
        };
        std::iter::from_fn(next).take(BATCH).collect()
    }
}

fn register<'a>(nvml: &'a Nvml, device: &Device<'a>) -> Option<EventSet<'a>> {
    let supported = device.supported_event_types().ok()?;
    if !supported.contains(EventTypes::CRITICAL_XID_ERROR) {
        return None;
    }
    let set = nvml.create_event_set().ok()?;
    device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()
}
