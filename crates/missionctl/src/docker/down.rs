//! `down`: every container and network of the project goes, volumes stay.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, anyhow};
use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions};
use futures_util::future::join_all;

use super::containers::Found;
use super::engine::{Engine, is_unknown, reason};
use super::{containers, labels, variables};
use crate::progress::Progress;
use crate::project::Project;

/// What was taken down.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// How many containers.
    pub(crate) containers: usize,
    /// Volumes of the project that stay.
    pub(crate) volumes: Vec<String>,
}

/// Stops and removes what carries the project's label, whoever started it: missionctl or `docker compose`.
pub(crate) fn down(engine: &Engine, project: &Project, progress: &Progress) -> anyhow::Result<Gone> {
    let name = variables::project_name(project);
    let mut found = containers::all(engine, &name)?;
    // Those of another folder that has the same name are none of ours.
    found.retain(|found| found.is_of(project.root()));
    if !found.is_empty() {
        progress.step(&format!("stopping {} containers", found.len()));
    }
    let count = found.len();
    while !found.is_empty() {
        let (others, last) = without_dependents(found);
        let removed = last.iter().map(|found| containers::removed(engine, &found.id));
        for result in engine.wait(join_all(removed)) {
            result?;
        }
        found = others;
    }
    let is_alone = containers::all(engine, &name)?.is_empty();
    if is_alone {
        remove_networks(engine, &name)?;
    }
    Ok(Gone {
        containers: count,
        volumes: volumes(engine, &name)?,
    })
}

/// Those that others depend on, and those that may go first: what a service needs, it needs until it has ended.
fn without_dependents(found: Vec<Found>) -> (Vec<Found>, Vec<Found>) {
    let needed: BTreeSet<String> = found
        .iter()
        .flat_map(|found| labels::dependencies(&found.labels).map(str::to_owned))
        .collect();
    let (others, last): (Vec<Found>, Vec<Found>) = found
        .into_iter()
        .partition(|found| needed.contains(&found.service));
    // Labels that go round in a circle are none of ours.
    if last.is_empty() {
        (last, others)
    } else {
        (others, last)
    }
}

fn filters(name: &str) -> HashMap<String, Vec<String>> {
    let label = format!("{}={name}", labels::PROJECT);
    HashMap::from([("label".to_owned(), vec![label])])
}

fn remove_networks(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let options = ListNetworksOptions {
        filters: Some(filters(name)),
    };
    let networks = engine
        .wait(engine.docker().list_networks(Some(options)))
        .map_err(|error| anyhow!(reason(&error)))
        .context("list the networks")?;
    for id in networks.into_iter().filter_map(|network| network.id) {
        match engine.wait(engine.docker().remove_network(&id)) {
            Err(error) if !is_unknown(&error) => {
                return Err(anyhow!(reason(&error))).with_context(|| format!("remove the network {id}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn volumes(engine: &Engine, name: &str) -> anyhow::Result<Vec<String>> {
    let options = ListVolumesOptions {
        filters: Some(filters(name)),
    };
    let answer = engine
        .wait(engine.docker().list_volumes(Some(options)))
        .map_err(|error| anyhow!(reason(&error)))
        .context("list the volumes")?;
    let mut names: Vec<String> = answer
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| volume.name)
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(service: &str, needs: &str) -> Found {
        let label = ("com.docker.compose.depends_on".to_owned(), needs.to_owned());
        Found {
            id: String::new(),
            service: service.to_owned(),
            labels: HashMap::from([label]),
            published: Vec::new(),
        }
    }

    #[test]
    fn what_others_need_goes_after_them() {
        let mut left = vec![
            found("grafana", "prometheus:service_started:false"),
            found("loki", ""),
            found(
                "prometheus",
                "alertmanager:service_started:false,gone:service_healthy:true",
            ),
            found("alertmanager", ""),
        ];
        let mut order = Vec::new();
        while !left.is_empty() {
            let (others, last) = without_dependents(left);
            order.push(last.into_iter().map(|found| found.service).collect::<Vec<_>>());
            left = others;
        }
        let expected: [&[&str]; 3] = [&["grafana", "loki"], &["prometheus"], &["alertmanager"]];
        assert_eq!(order, expected);
        let (left, last) = without_dependents(vec![found("a", "b:x:y"), found("b", "a:x:y")]);
        assert_eq!((left.len(), last.len()), (0, 2));
    }
}
