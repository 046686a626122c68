//! Grafana's provisioning and dashboards, copied; links to runbooks become whole addresses.

use std::path::Path;

use crate::inventory::Inventory;
use crate::project::Project;

use super::Tree;

/// How a dashboard names a runbook, relative to the repository.
const RUNBOOKS: &str = "\"docs/runbooks/";

pub(super) fn render(project: &Project, inventory: &Inventory, tree: &mut Tree) -> anyhow::Result<()> {
    tree.copy(&project.stack().join("grafana"), "grafana", |_| true)?;
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
