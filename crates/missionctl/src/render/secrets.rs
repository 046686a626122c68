//! `secrets/`: what containers are given as files. All of them are always there, empty when there is nothing to tell,
//! since a container does not start without a file that it is given. The folder that they are in is its owner's alone.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{Place, Tree, grafana_password, reached};
use crate::inventory::{Inventory, Url};
use crate::project::Project;

const FOLDER: &str = "secrets";

/// Names of the secrets in `compose.yaml`.
pub(super) const SLACK: &str = "slack-webhook-url";
const POSTGRES: &str = "postgres-password";
const GRAFANA: &str = "grafana-admin-password";

pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    // Processes read the originals; copies that containers were given once are taken away.
    tree.claim(FOLDER);
    if let Place::Processes { .. } = place {
        return Ok(());
    }
    let slack = inventory.slack.as_ref().map(|slack| read(&slack.url_file));
    let slack = slack.transpose()?.map(|url| match Url::parse(&url) {
        Ok(parsed) => reached(parsed, place).to_string(),
        Err(_) => url,
    });
    let password = inventory
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.password_file.as_deref());
    let mut add = |name: &str, text: Option<String>| {
        tree.add(format!("{FOLDER}/{name}"), text.unwrap_or_default());
    };
    add(SLACK, slack);
    add(POSTGRES, password.map(read).transpose()?);
    add(GRAFANA, Some(grafana_password(project)?));
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim().to_owned())
}
