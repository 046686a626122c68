//! `worker-exporter.toml`: the stack's own supervisord where there is one, and what the
//! inventory names.

use std::path::Path;

use serde::Serialize;

use super::{Place, reached};
use crate::inventory::{Inventory, Url};
use crate::project::Project;

const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// The engine's socket where `DOCKER_HOST` names no other.
const ENGINE: &str = "/var/run/docker.sock";

#[derive(Serialize)]
struct File {
    source: Vec<Source>,
}

#[derive(Serialize)]
struct Source {
    url: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    patterns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
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
            labels: Vec::new(),
            log: Some(project.log("supervisord").display().to_string()),
            heartbeat: None,
        }),
        Place::Containers { .. } => None,
    };
    let workers = &inventory.workers;
    let source = |url: String, patterns: &[String], labels: &[String]| Source {
        url,
        patterns: patterns.to_vec(),
        labels: labels.to_vec(),
        log: None,
        heartbeat: workers
            .heartbeat
            .as_ref()
            .map(|path| place.file(Path::new(path)).display().to_string()),
    };
    let socket = |scheme: &str, path: &str| format!("{scheme}://{}", place.file(Path::new(path)).display());
    let mut users: Vec<Source> = Vec::new();
    for url in &workers.supervisors {
        users.push(source(address(url, place), &workers.patterns, &[]));
    }
    if !workers.systemd.is_empty() {
        users.push(source(socket("systemd", SYSTEM_BUS), &workers.systemd, &[]));
    }
    if !workers.systemd_user.is_empty() {
        users.push(source(socket("systemd", &user_bus()), &workers.systemd_user, &[]));
    }
    if let Some(names) = &workers.docker {
        users.push(source(socket("docker", &engine()), names, &workers.docker_labels));
    }
    let file = File {
        source: own.into_iter().chain(users).collect(),
    };
    Ok(format!(
        "# Rendered by missionctl from mission.toml.\n{}",
        toml::to_string(&file)?
    ))
}

/// The socket of the engine that missionctl itself speaks to.
fn engine() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = host
        .strip_prefix("unix://")
        .filter(|socket| socket.starts_with('/'));
    socket.unwrap_or(ENGINE).to_owned()
}

/// The bus of the user who runs missionctl.
fn user_bus() -> String {
    format!("/run/user/{}/bus", rustix::process::getuid().as_raw())
}

/// A socket is a file of this machine, anything else a URL.
fn address(url: &str, place: Place) -> String {
    match url.strip_prefix("unix://") {
        Some(path) => format!("unix://{}", place.file(Path::new(path)).display()),
        None => Url::parse(url).map_or_else(|_| url.to_owned(), |url| reached(url, place).to_string()),
    }
}
