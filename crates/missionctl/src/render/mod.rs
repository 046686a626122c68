//! From the inventory to the configuration of every service, made in memory, proved in a staging folder, and only then
//! put in place of what runs.

mod alertmanager;
mod grafana;
mod mutes;
mod prometheus;
mod tree;
mod worker;

use std::path::Path;

use anyhow::Context;

pub(crate) use self::mutes::TEST_ALERT;
pub(crate) use self::tree::{Tree, hex, scratch, write_atomically};
use crate::inventory::Inventory;
use crate::project::Project;
use crate::service::Service;

/// Everything but supervisord's own configuration, which also depends on the programs found.
pub(crate) fn configuration(project: &Project, inventory: &Inventory, socket: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    prometheus::render(project, inventory, &mut tree).context("render prometheus")?;
    alertmanager::render(project, inventory, &mut tree).context("render alertmanager")?;
    tree.add(
        "worker-exporter.toml",
        worker::render(project, inventory, socket)?,
    );
    if inventory.stack.starts(Service::Grafana) {
        grafana::render(project, inventory, &mut tree).context("render grafana")?;
    }
    Ok(tree)
}
