//! Reads a compose file strictly, into a typed and checked model. Talks to no engine.
//!
//! What docker compose would read in another way, or what the model has no place for, is an error that names the
//! line, the key and what to write instead. All errors of a file are found in one go.

mod check;
mod error;
mod load;
mod model;
mod path;
mod read;
mod template;
mod units;
mod words;
mod yaml;

pub use error::{Error, Problem};
pub use load::{Variable, load, variables};
pub use model::{
    Build, Condition, Dependency, Device, DeviceRequest, Healthcheck, Logging, Mount, MountKind, Network,
    NetworkMode, Port, Project, Protocol, PullPolicy, RestartPolicy, Secret, SecretMount, Service, Subnet,
    Ulimit, Volume,
};
