//! The containers of a project as the engine has them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::engine::{Engine, advice, is_so_already, is_unknown, reason};
use super::labels;

/// A container, by its labels.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its id.
    pub(crate) id: String,
    /// The service that it runs.
    pub(crate) service: String,
    /// All of them.
    pub(crate) labels: HashMap<String, String>,
    /// Ports of this machine that lead to it.
    pub(crate) published: Vec<u16>,
}

impl Found {
    /// It was started for the project in this folder, or by `docker compose`, or for a folder that is there no more,
    /// since it was renamed.
    pub(crate) fn is_of(&self, root: &Path) -> bool {
        let labelled = self.labels.get(labels::ROOT).map(Path::new);
        labelled.is_none_or(|labelled| labelled == root || !labelled.exists())
    }

    /// `docker compose run` made it, to end by itself.
    fn is_one_off(&self) -> bool {
        self.labels
            .get(labels::ONE_OFF)
            .is_some_and(|word| word == "True")
    }
}

/// The containers that run the services of a project, running or not.
pub(crate) fn of(engine: &Engine, project: &str) -> anyhow::Result<Vec<Found>> {
    let mut found = all(engine, project)?;
    found.retain(|found| !found.is_one_off());
    Ok(found)
}

/// All containers of a project, also those that `docker compose run` made.
pub(crate) fn all(engine: &Engine, project: &str) -> anyhow::Result<Vec<Found>> {
    let filter = format!("{}={project}", labels::PROJECT);
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), vec![filter])])),
        ..ListContainersOptions::default()
    };
    let found = engine
        .wait(engine.docker().list_containers(Some(options)))
        .map_err(|error| anyhow!(reason(&error)))
        .context("list the containers")?;
    let mut found: Vec<Found> = found
        .into_iter()
        .filter_map(|container| {
            let labels = container.labels.unwrap_or_default();
            Some(Found {
                id: container.id?,
                service: labels.get(labels::SERVICE)?.clone(),
                published: container
                    .ports
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|port| port.public_port)
                    .collect(),
                labels,
            })
        })
        .collect();
    found.sort_by(|one, other| one.service.cmp(&other.service));
    Ok(found)
}

/// What the health check of a container says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// There is none.
    #[default]
    Unchecked,
    /// Nothing yet.
    Starting,
    /// It works.
    Healthy,
    /// It has failed several times in a row.
    Unhealthy,
}

/// How a container is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// The engine's word: `created`, `running`, `restarting`, `exited`, …
    pub(crate) state: String,
    /// What its health check says.
    pub(crate) health: Health,
    /// What the last health check that failed printed.
    pub(crate) sickness: Option<String>,
    /// Of the process, as this machine counts.
    pub(crate) pid: Option<u32>,
    /// How often the engine has started it again.
    pub(crate) restarts: u64,
    /// Of the last end.
    pub(crate) exit_code: i64,
    /// It was ended because it used more memory than it may.
    pub(crate) was_out_of_memory: bool,
    /// Why the engine could not start it.
    pub(crate) error: String,
}

impl Condition {
    /// Its process is there.
    pub(crate) fn runs(&self) -> bool {
        self.state == "running"
    }

    /// Why it does not work; none when it does, or when nothing can be said yet.
    pub(crate) fn ailment(&self) -> Option<String> {
        if self.was_out_of_memory {
            return Some("it needed more memory than mem_limit in compose.yaml gives it".to_owned());
        }
        if !self.error.is_empty() {
            return Some(self.error.clone());
        }
        match self.state.as_str() {
            "running" if self.health == Health::Unhealthy => Some(match &self.sickness {
                Some(said) => format!("its health check fails: {said}"),
                None => "its health check fails".to_owned(),
            }),
            "running" => None,
            "paused" => Some("it is paused; docker unpause lets it go on".to_owned()),
            "restarting" => Some(format!(
                "it ends right after it starts, with exit code {}; the engine keeps trying",
                self.exit_code
            )),
            state => Some(format!("it is {state}, with exit code {}", self.exit_code)),
        }
    }
}

/// How containers are, in their order; none for one that has gone meanwhile.
pub(crate) fn conditions(engine: &Engine, ids: &[&str]) -> anyhow::Result<Vec<Option<Condition>>> {
    let questions = ids.iter().map(|id| {
        engine
            .docker()
            .inspect_container(id, None::<InspectContainerOptions>)
    });
    let answers = engine.wait(join_all(questions));
    answers
        .into_iter()
        .map(|answer| match answer {
            Ok(container) => Ok(Some(condition(container))),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(anyhow!(reason(&error))).context("look at a container"),
        })
        .collect()
}

fn condition(container: ContainerInspectResponse) -> Condition {
    let state: ContainerState = container.state.unwrap_or_default();
    let health = state.health.unwrap_or_default();
    let is = match health.status {
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::Unchecked,
    };
    let last = health.log.unwrap_or_default().into_iter().next_back();
    Condition {
        state: state
            .status
            .unwrap_or(ContainerStateStatusEnum::EMPTY)
            .to_string(),
        health: is,
        sickness: last
            .filter(|check| check.exit_code != Some(0))
            .and_then(|check| check.output)
            .map(|output| output.trim().to_owned())
            .filter(|output| !output.is_empty()),
        pid: state
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0),
        restarts: container
            .restart_count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default(),
        exit_code: state.exit_code.unwrap_or_default(),
        was_out_of_memory: state.oom_killed.unwrap_or_default() && state.running != Some(true),
        error: state.error.unwrap_or_default(),
    }
}

/// Starts a container; one that runs is fine, and one that is paused goes on.
pub(crate) fn start(engine: &Engine, id: &str, is_paused: bool) -> Result<(), String> {
    if is_paused {
        let unpaused = engine.wait(engine.docker().unpause_container(id));
        return unpaused.map_err(|error| with_advice(&reason(&error)));
    }
    match engine.wait(engine.docker().start_container(id, None::<StartContainerOptions>)) {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 304, .. }) | Ok(()) => Ok(()),
        Err(error) => Err(with_advice(&reason(&error))),
    }
}

/// Stops and removes a container, with the volumes that have no name; one that is gone is fine.
pub(crate) async fn removed(engine: &Engine, id: &str) -> anyhow::Result<()> {
    let docker = engine.docker();
    let remove = async {
        match docker.stop_container(id, None::<StopContainerOptions>).await {
            Err(error) if !is_so_already(&error) => return Err(error),
            _ => {}
        }
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..RemoveContainerOptions::default()
        };
        docker.remove_container(id, Some(options)).await
    };
    match remove.await {
        Err(error) if !is_unknown(&error) && !is_so_already(&error) => {
            Err(anyhow!(reason(&error))).with_context(|| format!("remove container {id}"))
        }
        _ => Ok(()),
    }
}

/// The same, waited for.
pub(crate) fn remove(engine: &Engine, id: &str) -> anyhow::Result<()> {
    engine.wait(removed(engine, id))
}

/// Has a container's process read its configuration again. The signal is sent from inside: one that the engine sends,
/// whichever it is, the engine takes for a stop by hand, and starts the container never again by itself.
pub(crate) fn hang_up(engine: &Engine, id: &str) -> anyhow::Result<()> {
    let docker = engine.docker();
    let config = ExecConfig {
        cmd: Some(["/bin/sh", "-c", "kill -HUP 1"].map(str::to_owned).to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let sent = engine.wait(async {
        let exec = docker.create_exec(id, config).await?.id;
        let mut said = String::new();
        if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec, None).await? {
            while let Some(Ok(output)) = output.next().await {
                said.push_str(&String::from_utf8_lossy(&output.into_bytes()));
            }
        }
        let code = docker.inspect_exec(&exec).await?.exit_code;
        Ok::<_, bollard::errors::Error>((code, said))
    });
    let (code, said) = sent
        .map_err(|error| anyhow!(reason(&error)))
        .with_context(|| format!("send SIGHUP in container {id}"))?;
    ensure!(code == Some(0), "send SIGHUP in container {id}: {}", said.trim());
    Ok(())
}

/// The last lines that a container wrote.
pub(crate) fn last_lines(engine: &Engine, id: &str, count: usize) -> Vec<String> {
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        tail: count.to_string(),
        ..LogsOptions::default()
    };
    text(engine, id, options).lines().map(str::to_owned).collect()
}

/// What a container wrote.
pub(crate) fn text(engine: &Engine, id: &str, options: LogsOptions) -> String {
    let mut text = String::new();
    engine.wait(async {
        let mut stream = engine.docker().logs(id, Some(options));
        while let Some(Ok(output)) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&output.into_bytes()));
        }
    });
    text
}

/// What an engine says, with what to do about it.
pub(crate) fn with_advice(said: &str) -> String {
    match advice(said) {
        Some(advice) => format!("{said}; {advice}"),
        None => said.to_owned(),
    }
}
