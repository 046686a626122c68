//! What is to run: `compose/compose.yaml` with the inventory's values in it, and of its services those that the
//! inventory asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use compose::Service;

use super::variables;
use crate::inventory::{Findings, Inventory, did_you_mean};
use crate::project::Project;
use crate::service;

/// The description of every service, below the stack's folder.
const FILE: &str = "compose/compose.yaml";

/// The file and what of it is wanted.
#[derive(Debug)]
pub(crate) struct Plan {
    /// All that the file describes.
    pub(crate) compose: compose::Project,
    /// Names of the services to run, in the order in which they start.
    pub(crate) wanted: Vec<String>,
    /// `.mission/run/compose.env`.
    pub(crate) environment_file: PathBuf,
    /// Folder of the inventory.
    pub(crate) root: PathBuf,
}

impl Plan {
    /// Reads the file for an inventory.
    pub(crate) fn new(project: &Project, inventory: &Inventory) -> anyhow::Result<Self> {
        let variables = variables::of(project, inventory);
        let mut compose = compose::load(&file(project), &variables)?;
        for service in compose
            .services
            .values_mut()
            .filter(|service| service.image.is_none())
        {
            service.image = Some(format!("{}-{}", compose.name, service.name));
        }
        let profiles = variables::profiles(inventory);
        let asked: BTreeSet<&str> = inventory
            .services()
            .iter()
            .map(|(service, _)| service.name())
            .collect();
        let enabled = compose.enabled(&profiles);
        // What missionctl knows nothing of was added to the file by the user, who wants it then.
        let wanted = enabled
            .into_iter()
            .filter(|name| service::Service::from_name(name).is_none() || asked.contains(name))
            .collect();
        let wanted = compose.order(&wanted).into_iter().map(str::to_owned).collect();
        Ok(Self {
            wanted,
            compose,
            environment_file: project.compose_environment(),
            root: project.root().to_path_buf(),
        })
    }

    /// The services to run, in the order in which they start.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.wanted
            .iter()
            .filter_map(|name| self.compose.services.get(name))
    }
}

/// The compose file of a project.
pub(crate) fn file(project: &Project) -> PathBuf {
    project.stack().join(FILE)
}

/// Refuses variables of the inventory that the file does not mention, and those that missionctl sets itself.
pub(crate) fn check_variables(
    project: &Project,
    inventory: &Inventory,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if inventory.stack.variables.is_empty() {
        return Ok(());
    }
    let known = known_variables(&file(project))?;
    let own = variables::rendered(project, inventory);
    for name in inventory.stack.variables.keys() {
        let at = inventory.stack.variable_span(name);
        if own.contains_key(name.as_str()) {
            let hint = "set what it is made from: [stack], its ports, or the project's folder";
            findings.refuse(at, format!("{name} is set by missionctl itself"), hint);
        } else if !known.contains_key(name) {
            let hint = match did_you_mean(name, known.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "compose/.env.example lists those that it does".to_owned(),
            };
            findings.refuse(at, format!("{FILE} mentions no variable {name}"), hint);
        }
    }
    Ok(())
}

fn known_variables(file: &Path) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => bail!("read {}: {error}", file.display()),
    };
    let variables = compose::variables(&text).with_context(|| file.display().to_string())?;
    Ok(variables
        .into_iter()
        .map(|variable| (variable.name, variable.default))
        .collect())
}
