//! Has Prometheus and Alertmanager read their configuration in a staging folder, each with the tool of its own image,
//! before anything that runs can see it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;

use super::containers;
use super::engine::{Engine, reason};
use super::images::Images;
use super::plan::Plan;
use crate::project::Project;
use crate::render::{Tree, scratch};
use crate::state::State;

/// Far more than thousands of rules take.
const LIMIT: Duration = Duration::from_mins(1);
/// How the checked configuration is remembered, among what services have loaded.
const CHECKED: &str = "checked";

struct Check<'a> {
    service: &'a str,
    program: &'a str,
    words: &'a [&'a str],
    folder: &'a str,
}

const CHECKS: [Check; 2] = [
    Check {
        service: "prometheus",
        program: "/bin/promtool",
        words: &["check", "config", "/etc/prometheus/prometheus.yml"],
        folder: "/etc/prometheus",
    },
    Check {
        service: "alertmanager",
        program: "/bin/amtool",
        words: &["check-config", "/etc/alertmanager/alertmanager.yml"],
        folder: "/etc/alertmanager",
    },
];

/// Fails with the tool's own words when a file is not valid. What was checked once is not checked again.
pub(crate) fn staged(
    engine: &Engine,
    project: &Project,
    plan: &Plan,
    tree: &Tree,
    images: &Images,
) -> anyhow::Result<()> {
    let is_checked_file = |path: &Path| CHECKS.iter().any(|check| path.starts_with(check.service));
    let digest = format!("{:?} {}", images.ids, tree.digest(is_checked_file));
    let mut state = State::read(project);
    if state.loaded.get(CHECKED) == Some(&digest) {
        return Ok(());
    }
    let staging = scratch(&project.mission(), ".staging")?;
    tree.stage(staging.path())?;
    for check in &CHECKS {
        let user = plan
            .compose
            .services
            .get(check.service)
            .and_then(|service| service.user.clone());
        if let Some(image) = images.ids.get(check.service) {
            run(engine, check, image, user, &staging.path().join(check.service))?;
        }
    }
    state.loaded.insert(CHECKED.to_owned(), digest);
    state.write(project)
}

fn run(
    engine: &Engine,
    check: &Check,
    image: &str,
    user: Option<String>,
    folder: &Path,
) -> anyhow::Result<()> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        user,
        entrypoint: Some(vec![check.program.to_owned()]),
        cmd: Some(check.words.iter().map(|word| (*word).to_owned()).collect()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            mounts: Some(vec![Mount {
                typ: Some(MountType::BIND),
                source: Some(folder.display().to_string()),
                target: Some(check.folder.to_owned()),
                read_only: Some(true),
                ..Mount::default()
            }]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let docker = engine.docker();
    let created = engine
        .wait(docker.create_container(None::<CreateContainerOptions>, body))
        .map_err(|error| anyhow!(containers::with_advice(&reason(&error))))
        .with_context(|| format!("check the configuration of {}", check.service))?;
    let verdict = containers::start(engine, &created.id)
        .map_err(|error| anyhow!(error))
        .and_then(|()| ended(engine, &created.id));
    let said = containers::last_lines(engine, &created.id, 40);
    containers::remove(engine, &created.id)?;
    if verdict.with_context(|| format!("run {} in the image of {}", check.program, check.service))? == 0 {
        return Ok(());
    }
    let said: Vec<String> = said
        .into_iter()
        .filter(|line| !line.trim().is_empty() && !line.contains("SUCCESS"))
        .map(|line| format!("  {}", line.replace(&format!("{}/", check.folder), "")))
        .collect();
    bail!(
        "{} refuses the rendered configuration; what runs was not touched\n{}",
        check.service,
        said.join("\n")
    )
}

/// The exit code.
fn ended(engine: &Engine, id: &str) -> anyhow::Result<i64> {
    let waited = engine.wait(async {
        let mut stream = engine.docker().wait_container(id, None::<WaitContainerOptions>);
        tokio::time::timeout(LIMIT, stream.next()).await
    });
    match waited {
        Ok(Some(Ok(answer))) => Ok(answer.status_code),
        // The client takes any exit code but 0 for an error.
        Ok(Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. }))) => Ok(code),
        Ok(Some(Err(error))) => bail!(reason(&error)),
        Ok(None) => bail!("the engine does not say how it ended"),
        Err(_) => bail!("it has not ended after {} s", LIMIT.as_secs()),
    }
}
