//! The values of `compose.yaml`'s variables: from the inventory where missionctl knows better, else the user's.

use std::collections::BTreeMap;

use crate::inventory::{Extra, Inventory};
use crate::project::Project;
use crate::render::{Place, common_folder, real, sqlite_files, training_files};
use crate::service::Service;

/// The engine's runtime that gives NVIDIA's GPUs to containers, as `nvidia-ctk` registers it.
pub(crate) const NVIDIA: &str = "nvidia";

/// Everything that has a value; the file's own defaults are for the rest.
pub(crate) fn of(project: &Project, inventory: &Inventory) -> BTreeMap<String, String> {
    let mut variables = inventory.stack.variables.clone();
    variables.extend(rendered(project, inventory));
    variables
}

/// Profiles of `compose.yaml` that the inventory turns on.
pub(crate) fn profiles(inventory: &Inventory) -> Vec<&'static str> {
    let mut profiles = vec![inventory.stack.profile.name()];
    profiles.extend(inventory.stack.extras.iter().map(|extra| extra.name()));
    if inventory.postgres.is_some() {
        profiles.push("postgres");
    }
    if inventory.runs(Service::SqlExporter) {
        profiles.push("sql");
    }
    for (service, profile) in [
        (Service::TrainingExporter, "training"),
        (Service::DeviceExporter, "device"),
        (Service::PushgatewayBridge, "bridge"),
    ] {
        profiles.extend(inventory.runs(service).then_some(profile));
    }
    if inventory.runs(Service::GpuExporter) {
        profiles.push(if inventory.hands_over_nvidia() {
            "gpu-nvidia"
        } else {
            "gpu-amd"
        });
    }
    profiles
}

/// What missionctl itself sets.
pub(crate) fn rendered(project: &Project, inventory: &Inventory) -> BTreeMap<String, String> {
    let stack = &inventory.stack;
    let run = project.run().display().to_string();
    let mut variables = BTreeMap::from(
        [
            ("COMPOSE_PROJECT_NAME", project_name(project)),
            ("COMPOSE_PROFILES", profiles(inventory).join(",")),
            ("MISSION_BIND", stack.bind.to_string()),
            ("MISSION_MACHINE", inventory.local_name()),
            ("MISSION_RUN", run),
            ("MISSION_VERSION", env!("CARGO_PKG_VERSION").to_owned()),
            ("PROMETHEUS_RETENTION_TIME", stack.retention_time.clone()),
            ("VICTORIA_METRICS_RETENTION", stack.retention_longterm.clone()),
            // Zero is no limit.
            (
                "PROMETHEUS_RETENTION_SIZE",
                stack.retention_size.clone().unwrap_or_else(|| "0MB".to_owned()),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    variables.extend(postgres(inventory));
    variables.extend(exporters(project, inventory));
    for (service, port) in inventory.services() {
        let Some(port) = port else { continue };
        let prefix = prefix(service);
        variables.insert(format!("{prefix}_PORT"), port.to_string());
        let has_pages = [
            Service::Prometheus,
            Service::Alertmanager,
            Service::Grafana,
            Service::Kibana,
        ];
        if has_pages.contains(&service) {
            variables.insert(
                format!("{prefix}_EXTERNAL_URL"),
                format!("http://{}/", inventory.dial(port)),
            );
        }
    }
    variables
}

/// `NODE_EXPORTER` of node-exporter.
fn prefix(service: Service) -> String {
    service.name().to_uppercase().replace('-', "_")
}

/// The stack of the repository itself has the plain name; each other inventory has its folder's name added.
pub(crate) fn project_name(project: &Project) -> String {
    const NAME: &str = "mission-control";
    if project.root() == project.stack() {
        return NAME.to_owned();
    }
    let folder = project.root().file_name().unwrap_or_default().to_string_lossy();
    let plain: String = folder
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{NAME}-{}", plain.trim_matches('-'))
}

/// What our exporters are told by their environment or their mounts.
fn exporters(project: &Project, inventory: &Inventory) -> Vec<(String, String)> {
    let place = Place::Containers { published: &[] };
    let mut variables = Vec::new();
    let mut add = |name: &str, value: String| variables.push((name.to_owned(), value));
    if inventory.hands_over_nvidia() {
        add("GPU_EXPORTER_RUNTIME", NVIDIA.to_owned());
    }
    if let Some(expected) = inventory.expected_gpus {
        add("GPU_EXPORTER_EXPECTED", expected.to_string());
    }
    if !inventory.lancedb.is_empty() {
        let folders = inventory.lancedb.iter();
        let paths: Vec<String> = folders
            .map(|folder| place.file(&folder.path).display().to_string())
            .collect();
        add("LANCEDB_EXPORTER_PATH", paths.join(","));
    }
    // Without databases nothing of this machine has to be seen.
    let databases = common_folder(inventory.lancedb.iter().map(|folder| real(&folder.path)));
    let databases = databases.filter(|folder| folder.is_dir());
    add(
        "LANCEDB_EXPORTER_FILES",
        databases.unwrap_or_else(|| project.run()).display().to_string(),
    );
    if let Some(folder) = sqlite_files(inventory) {
        add("SQL_EXPORTER_FILES", folder.display().to_string());
    }
    if let Some(folder) = training_files(inventory) {
        add("TRAINING_EXPORTER_FILES", folder.display().to_string());
    }
    let canary = inventory
        .training
        .as_ref()
        .and_then(|training| training.canary.as_ref());
    if let Some(canary) = canary {
        add(
            "TRAINING_EXPORTER_CANARY",
            real(&canary.folder).display().to_string(),
        );
    }
    if inventory.stack.extras.contains(&Extra::Tracing) {
        add("DEVICE_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4318".to_owned());
    }
    if inventory.receiver.is_some() {
        add(
            "PROMETHEUS_RECEIVER",
            "web.enable-remote-write-receiver".to_owned(),
        );
    }
    variables
}

/// What postgres-exporter connects to; its password is a secret.
fn postgres(inventory: &Inventory) -> Vec<(String, String)> {
    let Some(postgres) = &inventory.postgres else {
        return Vec::new();
    };
    let address = Place::Containers { published: &[] }.reached(&postgres.address);
    [
        ("POSTGRES_ADDRESS", address.to_string()),
        ("POSTGRES_DATABASE", postgres.database.clone()),
        ("POSTGRES_USER", postgres.user.clone()),
        ("POSTGRES_SSLMODE", postgres.sslmode.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The text of `compose.env`, which compose reads as it reads any `.env`.
pub(crate) fn environment_file(variables: &BTreeMap<String, String>) -> String {
    let lines = variables
        .iter()
        .map(|(name, value)| format!("{name}={}\n", quoted(value)));
    format!(
        "# Rendered by missionctl from mission.toml; docker compose reads it through compose/.env or --env-file.\n{}",
        lines.collect::<String>()
    )
}

/// Only between double quotes can everything be said.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%=".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        match c {
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("127.0.0.1:9090"), "127.0.0.1:9090");
        assert_eq!(quoted("/my lab/$x"), "\"/my lab/\\$x\"");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
        assert_eq!(quoted(""), "");
    }
}
