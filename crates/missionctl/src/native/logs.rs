//! Loki and Alloy: what their configuration takes from the environment.

use crate::inventory::Inventory;
use crate::project::Project;
use crate::service::Service;

/// Where Loki listens, keeps its data, and sends the alerts of its rules.
pub(super) fn loki(project: &Project, inventory: &Inventory) -> Vec<(String, String)> {
    let rules = project.run().join("loki/rules");
    let mut variables = vec![
        (
            "LOKI_DATA",
            project.data(Service::Loki.name()).display().to_string(),
        ),
        ("LOKI_LISTEN", inventory.stack.bind.to_string()),
        ("LOKI_RULES", rules.display().to_string()),
    ];
    let port = inventory.stack.port(Service::Loki);
    variables.extend(port.map(|port| ("LOKI_PORT", port.to_string())));
    variables.extend(url(inventory, Service::Alertmanager).map(|url| ("ALERTMANAGER_URL", url)));
    owned(variables)
}

/// Which logs Alloy reads, and where it sends them.
pub(super) fn alloy(project: &Project, inventory: &Inventory) -> Vec<(String, String)> {
    let mut variables = vec![
        ("MISSION_MACHINE", inventory.local_name()),
        ("MISSION_LOGS", project.logs().display().to_string()),
    ];
    variables.extend(url(inventory, Service::Loki).map(|url| ("LOKI_URL", url)));
    owned(variables)
}

fn url(inventory: &Inventory, service: Service) -> Option<String> {
    let port = inventory.stack.port(service)?;
    Some(format!("http://{}", inventory.dial(port)))
}

fn owned(variables: Vec<(&str, String)>) -> Vec<(String, String)> {
    let variables = variables.into_iter();
    variables.map(|(name, value)| (name.to_owned(), value)).collect()
}
