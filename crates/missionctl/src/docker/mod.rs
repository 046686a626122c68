//! The docker backend: the services of `compose/compose.yaml` as containers, made through the engine's API and labelled
//! as `docker compose` labels them.

mod addresses;
mod container;
mod containers;
mod context;
mod costs;
mod down;
mod engine;
mod images;
mod labels;
mod logs;
mod networks;
mod plan;
mod report;
mod run;
mod status;
mod up;
mod validate;
mod variables;
mod wait;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};

pub(crate) use self::down::down;
pub(crate) use self::engine::Engine;
use self::images::Image;
pub(crate) use self::logs::{LogMark, show as show_logs};
pub(crate) use self::plan::check_variables;
pub(crate) use self::status::services;
pub(crate) use self::up::{Options, rendered, up};
use crate::inventory::{Findings, Inventory};
use crate::progress::Progress;
use crate::project::Project;
use crate::service::Service;

/// Whether the engine can run everything that the inventory asks for; else why not.
pub(crate) fn can_run(
    engine: &Engine,
    project: &Project,
    inventory: &Inventory,
) -> anyhow::Result<Result<(), String>> {
    let plan = match plan::Plan::new(project, inventory) {
        Ok(plan) => plan,
        Err(error) => return Ok(Err(format!("{error:#}"))),
    };
    images::obtainable(engine, &plan.services().collect::<Vec<_>>())
}

/// There while the driver is loaded.
const NVIDIA_DRIVER: &str = "/proc/driver/nvidia/version";

/// Finds out what the engine can do for the services that are to run, and says what it cannot.
pub(crate) fn adapt(
    engine: &Engine,
    inventory: &mut Inventory,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if inventory.runs(Service::GpuExporter) {
        let information = engine.wait(engine.docker().info());
        let information = information.context("ask the engine for its runtimes")?;
        if information
            .runtimes
            .is_some_and(|runtimes| runtimes.contains_key(variables::NVIDIA))
        {
            inventory.hand_over_nvidia();
        } else if Path::new(NVIDIA_DRIVER).exists() {
            findings.warn(
                inventory.local().map(|machine| machine.span.clone()),
                "the container engine cannot hand over NVIDIA's GPUs, so gpu-exporter sees them as down",
                "install nvidia-container-toolkit, then: nvidia-ctk runtime configure, and restart the engine",
            );
        }
    }
    Ok(())
}

/// The project's own containers: the service of each, and the ports of this machine that lead to it.
pub(crate) fn own_containers(engine: &Engine, project: &Project) -> anyhow::Result<Vec<(String, Vec<u16>)>> {
    let found = containers::of(engine, &variables::project_name(project))?;
    Ok(found
        .into_iter()
        .filter(|found| found.is_of(project.root()))
        .map(|found| (found.service, found.published))
        .collect())
}

/// Builds the images of every program of this repository whose sources have changed, and returns their names.
pub(crate) fn build_images(
    engine: &Engine,
    project: &Project,
    network: Option<&str>,
    progress: &Progress,
) -> anyhow::Result<Vec<String>> {
    let mut variables = if project.inventory().exists() {
        let (inventory, findings) = Inventory::load(project);
        variables::of(project, &inventory.ok_or_else(|| anyhow!("{findings}"))?)
    } else {
        BTreeMap::new()
    };
    variables.extend(network.map(|network| ("BUILD_NETWORK".to_owned(), network.to_owned())));
    let compose = compose::load(&plan::file(project), &variables)?;
    let own: Vec<&compose::Service> = compose
        .services
        .values()
        .filter(|service| service.build.is_some())
        .collect();
    let built = images::build_all(engine, &own, progress)?;
    let mut names = Vec::new();
    for (service, (name, image)) in own.iter().zip(built) {
        match image {
            Image::Here(_) => names.push(service.image.clone().unwrap_or(name)),
            Image::Stale(_, reason) | Image::Missing(reason) => bail!("{reason}"),
        }
    }
    Ok(names)
}
