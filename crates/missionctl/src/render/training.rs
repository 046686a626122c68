//! `training-exporter/training-exporter.toml`: what to follow, and the canary set.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::place::{common_folder, real};
use super::{Place, Tree};
use crate::demo;
use crate::inventory::{Canary, Inventory, Source, Training};
use crate::project::Project;
use crate::service::Service;

const FILE: &str = "training-exporter/training-exporter.toml";

#[derive(Default, Serialize)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    orchestra: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Set>,
}

#[derive(Default, Serialize)]
struct Set {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<PathBuf>,
    folder: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_samples: Option<u64>,
}

pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    let file = match &inventory.training {
        Some(training) => file(training, place),
        None if inventory.stack.demo => demonstration(&project.data(Service::DemoMachine.name())),
        None => File::default(),
    };
    let text = toml::to_string(&file).context(FILE)?;
    tree.add(
        FILE,
        format!("# Rendered by missionctl from mission.toml.\n{text}"),
    );
    Ok(())
}

fn file(training: &Training, place: Place) -> File {
    let paths = |paths: &[PathBuf]| paths.iter().map(|path| place.file(path)).collect();
    File {
        metrics: training.metrics.as_deref().map(|path| place.file(path)),
        orchestra: paths(&training.orchestra),
        runs: paths(&training.runs),
        expire: training.expire.clone(),
        canary: training.canary.as_ref().and_then(|canary| set(canary, place)),
    }
}

/// None for a command in a container, which has no programs; [`crate::preflight`] says so.
fn set(canary: &Canary, place: Place) -> Option<Set> {
    let (command, results) = match (&canary.source, place) {
        (Source::Command(words), Place::Processes { .. }) => (words.clone(), None),
        (Source::Command(_), Place::Containers { .. }) => return None,
        (Source::File(path), _) => (Vec::new(), Some(place.file(path))),
    };
    Some(Set {
        command,
        results,
        folder: place.file(&canary.folder),
        every: canary.every.clone(),
        timeout: canary.timeout.clone(),
        drop: canary.drop,
        direction: canary.direction.clone(),
        min_samples: canary.min_samples,
    })
}

/// What the made-up machine trains.
fn demonstration(machine: &Path) -> File {
    File {
        metrics: Some(demo::metrics(machine)),
        orchestra: vec![demo::orchestra(machine)],
        runs: vec![demo::runs(machine)],
        expire: None,
        canary: Some(Set {
            results: Some(demo::canary_results(machine)),
            folder: demo::canary(machine),
            ..Set::default()
        }),
    }
}

/// The folder that everything followed has in common, for a container to be given.
pub(crate) fn files(inventory: &Inventory) -> Option<PathBuf> {
    let training = inventory.training.as_ref()?;
    let folder_of = |path: &PathBuf| real(path).parent().map(Path::to_path_buf);
    let results = training.canary.iter().filter_map(|canary| match &canary.source {
        Source::File(path) => folder_of(path),
        Source::Command(_) => None,
    });
    let files = training
        .metrics
        .iter()
        .chain(&training.orchestra)
        .filter_map(folder_of);
    let runs = training.runs.iter().map(|path| real(path));
    common_folder(files.chain(runs).chain(results))
}
