//! Devices, limits and logs of a container.

use std::collections::BTreeMap;

use serde::Serialize;

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The path on this machine.
    pub host: String,
    /// The path in the container.
    pub container: String,
    /// Some of `r`, `w` and `m` (make nodes).
    pub permissions: String,
}

/// Devices that a driver finds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeviceRequest {
    /// The driver, such as `nvidia`; the engine's choice when absent.
    pub driver: Option<String>,
    /// How many; -1 for all; absent when `device_ids` names them.
    pub count: Option<i64>,
    /// Which.
    pub device_ids: Vec<String>,
    /// What they must be able to do, all of it, such as `gpu`.
    pub capabilities: Vec<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// Where the output of a container goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Logging {
    /// The driver; the engine's own choice when absent.
    pub driver: Option<String>,
    /// Options of the driver, such as `max-size`.
    pub options: BTreeMap<String, String>,
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// The limit in force; -1 for none.
    pub soft: i64,
    /// How far a process may raise it; -1 for no end.
    pub hard: i64,
}
