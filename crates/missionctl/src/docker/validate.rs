//! Has Prometheus, Alertmanager and our exporters with a configuration of the user's read theirs in a staging folder,
//! each in its own image, before anything that runs can see it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;

use super::engine::{Engine, reason};
use super::images::Images;
use super::plan::Plan;
use super::{containers, labels};
use crate::project::Project;
use crate::render::{Tree, scratch};
use crate::state::State;

/// Far more than thousands of rules take.
const LIMIT: Duration = Duration::from_mins(1);
/// How the checked configuration is remembered, among what services have loaded.
pub(super) const CHECKED: &str = "checked";

struct Check<'a> {
    service: &'a str,
    program: &'a str,
    words: &'a [&'a str],
    folder: &'a str,
}

const CHECKS: [Check; 6] = [
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
    Check {
        service: "sql-exporter",
        program: "/exporter",
        words: &[
            "--config.check",
            "--config.file=/etc/sql-exporter/sql-exporter.toml",
        ],
        folder: "/etc/sql-exporter",
    },
    Check {
        service: "training-exporter",
        program: "/exporter",
        words: &[
            "--config.check",
            "--config.file=/etc/training-exporter/training-exporter.toml",
        ],
        folder: "/etc/training-exporter",
    },
    Check {
        service: "device-exporter",
        program: "/exporter",
        words: &[
            "--config.check",
            "--config.file=/etc/device-exporter/device-exporter.toml",
        ],
        folder: "/etc/device-exporter",
    },
    Check {
        service: "pushgateway-bridge",
        program: "/exporter",
        words: &[
            "--config.check",
            "--config.file=/etc/pushgateway-bridge/pushgateway-bridge.toml",
        ],
        folder: "/etc/pushgateway-bridge",
    },
];

/// Fails with the tool's own words when a file is not valid. What was checked once, as the state knows, is not checked
/// again. Returns what the state is to know.
pub(crate) fn staged(
    engine: &Engine,
    project: &Project,
    plan: &Plan,
    tree: &Tree,
    images: &Images,
) -> anyhow::Result<String> {
    let is_checked = |path: &Path| CHECKS.iter().any(|check| path.starts_with(check.service));
    let ids = CHECKS.iter().filter_map(|check| images.ids.get(check.service));
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    let digest = format!("{} {}", tree.digest(is_checked), ids.join(" "));
    if State::read(project).loaded.get(CHECKED) == Some(&digest) {
        return Ok(digest);
    }
    let staging = scratch(&project.mission(), ".staging")?;
    tree.stage(staging.path(), is_checked)?;
    for check in &CHECKS {
        if let Some(image) = images.ids.get(check.service) {
            run(engine, plan, check, image, &staging.path().join(check.service))?;
        }
    }
    Ok(digest)
}

fn run(engine: &Engine, plan: &Plan, check: &Check, image: &str, folder: &Path) -> anyhow::Result<()> {
    let service = plan.compose.services.get(check.service);
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        user: service.and_then(|service| service.user.clone()),
        labels: Some(labels::one_off(plan, check.service)),
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
    let name = format!("{}-check-{}", plan.compose.name, check.service);
    // What a check that was interrupted has left.
    containers::remove(engine, &name)?;
    let options = CreateContainerOptions {
        name: Some(name),
        ..CreateContainerOptions::default()
    };
    let created = engine
        .wait(docker.create_container(Some(options), body))
        .map_err(|error| anyhow!(containers::with_advice(&reason(&error))))
        .with_context(|| format!("check the configuration of {}", check.service))?;
    let verdict = containers::start(engine, &created.id, false)
        .map_err(|error| anyhow!(error))
        .and_then(|()| ended(engine, &created.id));
    let said = containers::last_lines(engine, &created.id, 40);
    let removed = containers::remove(engine, &created.id);
    if verdict.with_context(|| format!("run {} in the image of {}", check.program, check.service))? == 0 {
        return removed;
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
