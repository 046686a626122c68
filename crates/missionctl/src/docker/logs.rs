//! `logs`: what the containers write, from their last lines on.

use std::io::Write;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;
use futures_util::stream::select_all;

use super::containers::{self, Found};
use super::engine::{Engine, reason};
use super::variables;
use crate::exit::Exit;
use crate::inventory::did_you_mean;
use crate::project::Project;

/// Prints the last lines of one service or all.
pub(crate) fn show(
    project: &Project,
    service: Option<&str>,
    follow: bool,
    count: usize,
) -> anyhow::Result<Exit> {
    let engine = Engine::connect()??;
    let mut all = containers::of(&engine, &variables::project_name(project))?;
    all.retain(|found| found.is_of(project.root()));
    let wanted = wanted(&all, service)?;
    let width = wanted
        .iter()
        .map(|found| found.service.len())
        .max()
        .unwrap_or_default();
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        tail: count.to_string(),
        ..LogsOptions::default()
    };
    let is_alone = wanted.len() == 1;
    let streams = wanted.iter().map(|found| {
        let prefix = if is_alone {
            String::new()
        } else {
            format!("{:width$} | ", found.service)
        };
        let stream = engine.docker().logs(&found.id, Some(options.clone()));
        Box::pin(stream.map(move |output| (prefix.clone(), output)))
    });
    if !follow {
        // One after the other: lines of different containers that come at once have no order.
        for mut stream in streams {
            while let Some((prefix, output)) = engine.wait(stream.next()) {
                print(&prefix, output)?;
            }
        }
        return Ok(Exit::Healthy);
    }
    let mut all = select_all(streams);
    while let Some((prefix, output)) = engine.wait(all.next()) {
        print(&prefix, output)?;
    }
    Ok(Exit::Healthy)
}

/// A moment in what a container writes.
pub(crate) struct LogMark {
    engine: Engine,
    id: String,
    since: SystemTime,
}

impl LogMark {
    /// Now.
    pub(crate) fn now(project: &Project, service: &str) -> anyhow::Result<Self> {
        let engine = Engine::connect()??;
        let found = containers::of(&engine, &variables::project_name(project))?;
        let mut own = found.into_iter().filter(|found| found.is_of(project.root()));
        let found = own.find(|found| found.service == service);
        Ok(Self {
            id: found.with_context(|| format!("{service} has no container"))?.id,
            engine,
            since: SystemTime::now(),
        })
    }

    /// Everything that was written since, to the second.
    pub(crate) fn written_since(&self) -> String {
        let since = self
            .since
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            since: i32::try_from(since.as_secs()).unwrap_or_default(),
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        containers::text(&self.engine, &self.id, options)
    }
}

fn wanted<'a>(all: &'a [Found], service: Option<&str>) -> anyhow::Result<Vec<&'a Found>> {
    if all.is_empty() {
        bail!("there are no containers; missionctl up starts the services");
    }
    let Some(name) = service else {
        return Ok(all.iter().collect());
    };
    let names: Vec<&str> = all.iter().map(|found| found.service.as_str()).collect();
    if !names.contains(&name) {
        match did_you_mean(name, names.iter().copied()) {
            Some(meant) => bail!("there is no log of {name}; did you mean {meant}?"),
            None => bail!("there is no log of {name}; there are: {}", names.join(", ")),
        }
    }
    Ok(all.iter().filter(|found| found.service == name).collect())
}

fn print(prefix: &str, output: Result<LogOutput, bollard::errors::Error>) -> anyhow::Result<()> {
    let bytes = output.map_err(|error| anyhow!(reason(&error)))?.into_bytes();
    let mut out = std::io::stdout().lock();
    for line in String::from_utf8_lossy(&bytes).lines() {
        writeln!(out, "{prefix}{line}")?;
    }
    Ok(out.flush()?)
}
