//! `worker-exporter.toml`: the stack's own supervisord, and the user's.

use std::path::Path;

use serde::Serialize;

use crate::inventory::Inventory;
use crate::project::Project;

#[derive(Serialize)]
struct File {
    source: Vec<Source>,
}

#[derive(Serialize)]
struct Source {
    url: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    patterns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<String>,
}

/// The file's text.
pub(crate) fn render(project: &Project, inventory: &Inventory, socket: &Path) -> anyhow::Result<String> {
    let own = Source {
        url: format!("unix://{}", socket.display()),
        patterns: vec!["*".to_owned()],
        log: Some(project.log("supervisord").display().to_string()),
        heartbeat: None,
    };
    let users = inventory.workers.supervisors.iter().map(|url| Source {
        url: url.clone(),
        patterns: inventory.workers.patterns.clone(),
        log: None,
        heartbeat: inventory.workers.heartbeat.clone(),
    });
    let file = File {
        source: std::iter::once(own).chain(users).collect(),
    };
    Ok(format!(
        "# Rendered by missionctl from mission.toml.\n{}",
        toml::to_string(&file)?
    ))
}
