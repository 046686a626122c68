//! `.mission/state.json`: what `up` last applied. The other commands go by it rather than by `mission.toml`, which the
//! user may be changing.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::project::Project;
use crate::render::write_atomically;
use crate::service::Service;

/// What the services run as.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// Processes under supervisord.
    Native,
    /// Containers.
    Docker,
}

impl Backend {
    /// Its word in `mission.toml`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker => "docker",
        }
    }
}

/// What was last applied.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct State {
    /// What the services run as; none when nothing was applied, or nobody knows any more.
    pub(crate) backend: Option<Backend>,
    /// Value of the label `machine` for this machine.
    pub(crate) machine: String,
    /// Where alerts find their runbooks.
    pub(crate) runbook_base: String,
    /// `host:port` of each service that has one, by its name.
    pub(crate) addresses: BTreeMap<String, Option<String>>,
    /// Digest of the configuration that a service has loaded, by its name. Written when that has worked, so that an
    /// interrupted `up` is completed by the next one.
    pub(crate) loaded: BTreeMap<String, String>,
}

impl State {
    /// A file that is not there or was torn means that nothing is known, and everything is loaded anew.
    pub(crate) fn read(project: &Project) -> Self {
        let text = std::fs::read_to_string(project.state()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes the file.
    pub(crate) fn write(&self, project: &Project) -> anyhow::Result<()> {
        let path = project.state();
        let text = serde_json::to_string_pretty(self).context("write the state")?;
        write_atomically(&path, (text + "\n").as_bytes(), 0o644)
            .with_context(|| format!("write {}", path.display()))
    }

    /// Nothing runs any more, so the next `up` is free to choose.
    pub(crate) fn forget_backend(project: &Project) -> anyhow::Result<()> {
        let state = Self {
            backend: None,
            ..Self::read(project)
        };
        state.write(project)
    }

    /// The services in the order in which they are listed, with their addresses.
    pub(crate) fn services(&self) -> impl Iterator<Item = (Service, Option<&str>)> {
        Service::ALL
            .into_iter()
            .filter_map(|service| Some((service, self.addresses.get(service.name())?.as_deref())))
    }

    /// Base URL of a service.
    pub(crate) fn url(&self, service: Service) -> Option<String> {
        let address = self.addresses.get(service.name())?.as_ref()?;
        Some(format!("http://{address}"))
    }
}
