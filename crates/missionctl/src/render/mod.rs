//! From the inventory to the configuration of every service, made in memory, proved in a staging folder, and only then
//! put in place of what runs.

mod alertmanager;
mod blackbox;
mod bridge;
mod devices;
mod expectation;
mod grafana;
mod mutes;
mod password;
mod place;
mod prometheus;
mod secrets;
mod sql;
mod targets;
mod training;
mod tree;
mod worker;

use std::path::Path;

use anyhow::Context;

pub(crate) use self::mutes::TEST_ALERT;
pub(crate) use self::password::{grafana_password, password_file};
pub(crate) use self::place::{Place, common_folder, real};
pub(crate) use self::sql::files as sqlite_files;
pub(crate) use self::targets::scraped_here;
pub(crate) use self::training::files as training_files;
pub(crate) use self::tree::{Tree, hex, scratch, write_atomically};
use crate::inventory::{Inventory, Url};
use crate::project::Project;

/// Everything but what also depends on the programs found: supervisord's own configuration, the variables of
/// `compose.yaml`.
pub(crate) fn configuration(project: &Project, inventory: &Inventory, place: Place) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    prometheus::render(project, inventory, place, &mut tree).context("render prometheus")?;
    alertmanager::render(project, inventory, place, &mut tree).context("render alertmanager")?;
    tree.add(
        "worker-exporter/worker-exporter.toml",
        worker::render(project, inventory, place)?,
    );
    sql::render(project, inventory, place, &mut tree).context("render sql-exporter")?;
    training::render(project, inventory, place, &mut tree).context("render training-exporter")?;
    devices::render(project, inventory, place, &mut tree).context("render device-exporter")?;
    bridge::render(inventory, place, &mut tree).context("render pushgateway-bridge")?;
    tree.add("blackbox-exporter/blackbox.yml", blackbox::render(inventory)?);
    grafana::render(project, inventory, &mut tree).context("render grafana")?;
    let other = match place {
        Place::Processes { .. } => Path::new("containers.alloy"),
        Place::Containers { .. } => Path::new("files.alloy"),
    };
    for (from, to) in [("loki", "loki"), ("loki/alloy", "alloy"), ("jaeger", "jaeger")] {
        let is_wanted = |path: &Path| !path.starts_with("alloy") && path != other;
        tree.copy(&project.stack().join(from), to, is_wanted)
            .with_context(|| format!("copy {from}"))?;
    }
    secrets::render(project, inventory, place, &mut tree).context("render the secrets")?;
    Ok(tree)
}

/// The URL under which the services reach a page that `url` names.
fn reached(url: Url, place: Place) -> Url {
    if url.address().has_own_name() {
        let address = place.local(&url.address());
        url.at(address)
    } else {
        url
    }
}

#[cfg(test)]
mod tests;
