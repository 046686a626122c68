//! What a compose file says, in the units of the engine.

mod build;
mod life;
mod mount;
mod network;
mod project;
mod resources;
mod service;

pub use build::{Build, PullPolicy};
pub use life::{Condition, Dependency, Healthcheck, RestartPolicy};
pub use mount::{Mount, MountKind, SecretMount};
pub use network::{NetworkMode, Port, Protocol};
pub use project::{Network, Project, Secret, Subnet, Volume};
pub use resources::{Device, DeviceRequest, Logging, Ulimit};
pub use service::Service;
