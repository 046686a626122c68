//! What a container sees of this machine's files.

use std::path::PathBuf;

use serde::Serialize;

/// A folder, a file or a volume in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Where, in the container, absolute.
    pub target: String,
    /// Whether the container cannot write it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MountKind {
    /// A folder or file of this machine.
    Bind {
        /// Its path, absolute.
        source: PathBuf,
        /// Whether a missing path is made a folder; otherwise it is an error.
        create_host_path: bool,
        /// How mounts beneath it travel, such as `rslave`; the engine's choice (`rprivate`) when absent.
        propagation: Option<String>,
    },
    /// A volume.
    Volume {
        /// Its name in the file: a key of `Project::volumes`.
        name: String,
    },
    /// Memory.
    Tmpfs {
        /// Its size in bytes; half of the machine's memory when absent.
        size: Option<u64>,
        /// Its permissions; 0o1777 when absent.
        mode: Option<u32>,
    },
}

/// A secret in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretMount {
    /// Its name in the file: a key of `Project::secrets`.
    pub name: String,
    /// The file in the container, absolute; read-only.
    pub target: String,
}
