//! Where an image comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// How to build an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Build {
    /// The folder that the build sees, absolute.
    pub context: PathBuf,
    /// The file with the instructions, relative to the context or absolute; `Dockerfile` when the file is silent.
    pub dockerfile: PathBuf,
    /// Build arguments. Those without a value in the file have the loader's, or are left out.
    pub args: BTreeMap<String, String>,
    /// The stage to build; the last when absent.
    pub target: Option<String>,
    /// The network of the build's commands, such as `host`.
    pub network: Option<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
}

/// When to pull an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the engine does not have it.
    Missing,
    /// Not at all.
    Never,
    /// Not at all: it is built.
    Build,
}
