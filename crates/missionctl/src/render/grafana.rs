//! Grafana's provisioning and dashboards, copied; links to runbooks become whole addresses. A data source whose service
//! does not run is left out.

use std::path::Path;

use crate::inventory::Inventory;
use crate::project::Project;
use crate::service::Service;

use super::Tree;

/// How a dashboard names a runbook, relative to the repository.
const RUNBOOKS: &str = "\"docs/runbooks/";

pub(super) fn render(project: &Project, inventory: &Inventory, tree: &mut Tree) -> anyhow::Result<()> {
    tree.copy(&project.stack().join("grafana"), "grafana", |path| {
        let source = path.strip_prefix("provisioning/datasources").ok();
        let service = source
            .and_then(Path::file_stem)
            .and_then(|name| Service::from_name(name.to_str()?));
        service.is_none_or(|service| inventory.runs(service))
    })?;
    let whole = serde_json::to_string(&format!("{}docs/runbooks/", inventory.runbook_base(project)))?;
    let dashboards: Vec<String> = tree
        .paths()
        .filter(|path| path.extension() == Some("json".as_ref()))
        .filter(|path| path.starts_with(Path::new("grafana/dashboards")))
        .filter_map(|path| Some(path.to_str()?.to_owned()))
        .collect();
    for path in dashboards {
        let text = tree.text(&path)?.replace(RUNBOOKS, whole.trim_end_matches('"'));
        tree.add(path, text);
    }
    Ok(())
}
