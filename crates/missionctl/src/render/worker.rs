//! `worker-exporter.toml`: the stack's own supervisord where there is one, and the user's.

use std::path::Path;

use serde::Serialize;

use super::{Place, reached};
use crate::inventory::{Inventory, Url};
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
pub(super) fn render(project: &Project, inventory: &Inventory, place: Place) -> anyhow::Result<String> {
    let own = match place {
        Place::Processes { supervisord } => Some(Source {
            url: format!("unix://{}", supervisord.display()),
            patterns: vec!["*".to_owned()],
            log: Some(project.log("supervisord").display().to_string()),
            heartbeat: None,
        }),
        Place::Containers { .. } => None,
    };
    let workers = &inventory.workers;
    let users = workers.supervisors.iter().map(|url| Source {
        url: address(url, place),
        patterns: workers.patterns.clone(),
        log: None,
        heartbeat: workers
            .heartbeat
            .as_ref()
            .map(|path| place.file(Path::new(path)).display().to_string()),
    });
    let file = File {
        source: own.into_iter().chain(users).collect(),
    };
    Ok(format!(
        "# Rendered by missionctl from mission.toml.\n{}",
        toml::to_string(&file)?
    ))
}

/// A socket is a file of this machine, anything else a URL.
fn address(url: &str, place: Place) -> String {
    match url.strip_prefix("unix://") {
        Some(path) => format!("unix://{}", place.file(Path::new(path)).display()),
        None => Url::parse(url).map_or_else(|_| url.to_owned(), |url| reached(url, place).to_string()),
    }
}
