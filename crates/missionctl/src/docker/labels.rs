//! The labels by which `docker compose` knows its containers, networks and volumes, so that it and missionctl take each
//! other's for their own.

use std::collections::HashMap;

use compose::{Condition, Service};

use super::plan::Plan;

/// Which project something belongs to.
pub(crate) const PROJECT: &str = "com.docker.compose.project";
/// Which service a container runs.
pub(crate) const SERVICE: &str = "com.docker.compose.service";
/// What a container was made from.
pub(crate) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Id of the image that a container was made from.
pub(crate) const IMAGE: &str = "com.docker.compose.image";
/// `True` on what `docker compose run` makes, to end by itself.
pub(crate) const ONE_OFF: &str = "com.docker.compose.oneoff";
const VERSION: &str = "com.docker.compose.version";
const CONFIG_FILES: &str = "com.docker.compose.project.config_files";

/// Digest of the rendered files that a service reads when it starts.
pub(crate) const FILES: &str = "mission-control.files";
/// Folder of the inventory that the container was started for.
pub(crate) const ROOT: &str = "mission-control.root";

/// The version of compose whose labels these are.
const COMPOSE: &str = "2.26.1";

/// Labels of a container.
pub(crate) fn container(plan: &Plan, service: &Service, image: &str, files: &str) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = service.labels.clone().into_iter().collect();
    let dependencies: Vec<String> = service
        .depends_on
        .iter()
        .map(|(name, dependency)| {
            let condition = match dependency.condition {
                Condition::Started => "service_started",
                Condition::Healthy => "service_healthy",
                Condition::Completed => "service_completed_successfully",
            };
            format!("{name}:{condition}:{}", dependency.restart)
        })
        .collect();
    let own = [
        (PROJECT, plan.compose.name.clone()),
        (SERVICE, service.name.clone()),
        (CONFIG_HASH, service.config_hash()),
        (IMAGE, image.to_owned()),
        (ONE_OFF, "False".to_owned()),
        (VERSION, COMPOSE.to_owned()),
        ("com.docker.compose.container-number", "1".to_owned()),
        (DEPENDS_ON, dependencies.join(",")),
        (CONFIG_FILES, plan.compose.file.display().to_string()),
        (
            "com.docker.compose.project.working_dir",
            plan.compose.folder.display().to_string(),
        ),
        (
            "com.docker.compose.project.environment_file",
            plan.environment_file.display().to_string(),
        ),
        (FILES, files.to_owned()),
        (ROOT, plan.root.display().to_string()),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// Labels of a container that ends by itself.
pub(crate) fn one_off(plan: &Plan, service: &str) -> HashMap<String, String> {
    let root = plan.root.display().to_string();
    [
        (PROJECT, plan.compose.name.as_str()),
        (SERVICE, service),
        (ONE_OFF, "True"),
        (ROOT, &root),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The services that a container's service depends on.
pub(crate) fn dependencies(has: &HashMap<String, String>) -> impl Iterator<Item = &str> {
    let list = has.get(DEPENDS_ON).map(String::as_str).unwrap_or_default();
    list.split(',').filter_map(|entry| entry.split(':').next())
}

/// Whether a container still is what `container` would label so.
pub(crate) fn is_current(has: &HashMap<String, String>, wanted: &HashMap<String, String>) -> bool {
    [CONFIG_HASH, IMAGE, FILES]
        .iter()
        .all(|name| has.get(*name) == wanted.get(*name))
}

/// Labels of a network, by its name in the file.
pub(crate) fn network(plan: &Plan, name: &str) -> HashMap<String, String> {
    resource(plan, "com.docker.compose.network", name)
}

/// Labels of a volume, by its name in the file.
pub(crate) fn volume(plan: &Plan, name: &str) -> HashMap<String, String> {
    resource(plan, "com.docker.compose.volume", name)
}

fn resource(plan: &Plan, kind: &str, name: &str) -> HashMap<String, String> {
    [
        (PROJECT, plan.compose.name.as_str()),
        (kind, name),
        (VERSION, COMPOSE),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
