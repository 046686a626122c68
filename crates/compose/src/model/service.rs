//! A service: what a container is made from, in the units of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    Build, Dependency, Device, DeviceRequest, Healthcheck, Logging, Mount, NetworkMode, Port, PullPolicy,
    RestartPolicy, SecretMount, Ulimit,
};

/// One service. What the file does not say is absent or empty, and then the image or the engine decides.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Service {
    /// The name in the file.
    pub name: String,
    /// The profiles that start it; always started when empty.
    #[serde(skip)]
    pub profiles: BTreeSet<String>,
    /// The image. Absent only together with a `build`: then the image is `<project>-<service>`.
    pub image: Option<String>,
    /// How to build the image.
    #[serde(skip)]
    pub build: Option<Build>,
    /// When to pull the image; when it is missing, if absent.
    #[serde(skip)]
    pub pull_policy: Option<PullPolicy>,
    /// Arguments in place of the image's. Empty but present: none.
    pub command: Option<Vec<String>>,
    /// The program in place of the image's. Empty but present: none.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables. Those without a value in the file have the loader's, or are left out.
    pub environment: BTreeMap<String, String>,
    /// The user, as `name`, `uid` or `uid:gid`.
    pub user: Option<String>,
    /// The working directory, in the container.
    pub working_dir: Option<String>,
    /// The host name that the container sees as its own.
    pub hostname: Option<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether an init process of the engine's reaps zombies.
    pub init: Option<bool>,
    /// Memory file systems, each as `path` or `path:options`.
    pub tmpfs: Vec<String>,
    /// Capabilities beyond the engine's own set.
    pub cap_add: Vec<String>,
    /// Capabilities taken from the engine's own set.
    pub cap_drop: Vec<String>,
    /// Security options, such as `no-new-privileges:true`.
    pub security_opt: Vec<String>,
    /// Whether all protections are off.
    pub privileged: bool,
    /// Devices of this machine.
    pub devices: Vec<Device>,
    /// Kinds of devices that the container may open, whenever they come, such as `c 188:* rw`; type, major and minor
    /// number as in the kernel's `Documentation/admin-guide/devices.txt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_cgroup_rules: Vec<String>,
    /// Devices that a driver finds, such as GPUs (`deploy.resources.reservations.devices`).
    pub device_requests: Vec<DeviceRequest>,
    /// Groups of the user beyond its own, by name or number.
    pub group_add: Vec<String>,
    /// The process namespace: `host` or absent.
    pub pid: Option<String>,
    /// The host name's namespace: `host` or absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts: Option<String>,
    /// The user namespace: `host` or absent.
    pub userns_mode: Option<String>,
    /// The control group namespace: `host` or `private`.
    pub cgroup: Option<String>,
    /// The container runtime, such as `nvidia`.
    pub runtime: Option<String>,
    /// A network of the engine's in place of `networks`, which is then empty.
    pub network_mode: Option<NetworkMode>,
    /// The networks by their name in the file, each with the service's further names in it. Its own name, which
    /// every service has in each of its networks, is not among them. `default` when the file names no network.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Host names with the address of each, which may be the engine's word `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// Ports reached from outside the networks.
    pub ports: Vec<Port>,
    /// Ports shown as reachable within the networks, each as `port/protocol`.
    pub expose: BTreeSet<String>,
    /// Folders, files and volumes, in the order of the file.
    pub mounts: Vec<Mount>,
    /// Secrets, in the order of the file.
    pub secrets: Vec<SecretMount>,
    /// How the engine asks whether the service works; as the image says when absent.
    pub healthcheck: Option<Healthcheck>,
    /// What must have started before, by service.
    #[serde(skip)]
    pub depends_on: BTreeMap<String, Dependency>,
    /// What happens when the container ends.
    pub restart: RestartPolicy,
    /// The time between the signal to stop and the kill.
    pub stop_grace_period: Option<Duration>,
    /// The signal to stop, such as `SIGINT`.
    pub stop_signal: Option<String>,
    /// Where the output goes.
    pub logging: Option<Logging>,
    /// The memory at most, in bytes.
    pub mem_limit: Option<u64>,
    /// The memory left to it when memory is scarce, in bytes.
    pub mem_reservation: Option<u64>,
    /// Memory and swap at most, in bytes; -1 for no limit.
    pub memswap_limit: Option<i64>,
    /// The size of `/dev/shm`, in bytes.
    pub shm_size: Option<u64>,
    /// The processor time at most, in processors.
    pub cpus: Option<f64>,
    /// Processes at most; -1 for no limit.
    pub pids_limit: Option<i64>,
    /// Resource limits by name, such as `nofile`.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Kernel settings of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// How willingly the kernel kills it when memory runs out: -1000 (never) to 1000.
    pub oom_score_adj: Option<i64>,
    /// Labels, as in the file.
    pub labels: BTreeMap<String, String>,
}

impl Service {
    /// SHA-256, in hexadecimal, of everything here that makes a container differ. Not of what only says when it
    /// starts (`profiles`, `depends_on`) or where its image comes from (`build`, `pull_policy`).
    pub fn config_hash(&self) -> String {
        // Plain data with string keys: this conversion has no way to fail.
        let text = serde_json::to_vec(self).unwrap_or_default();
        format!("{:x}", Sha256::digest(text))
    }
}
