//! `up`: from an inventory to healthy services, touching only what differs.

use std::time::Duration;

use anyhow::Context;
use supervisor::ProcessState;

use super::configuration;
use super::down::remove_leftovers;
use super::unit::{self, Unit};
use super::wait::{Failure, until_healthy};
use super::{Socket, Supervisord, diagnosis};
use crate::demo;
use crate::inventory::Inventory;
use crate::logs;
use crate::outcome::Outcome;
use crate::process;
use crate::progress::Progress;
use crate::project::Project;
use crate::reload::{Runner, reload};
use crate::render::{self, Place, Tree};
use crate::scrapes::{Expected, Scrapes, until_scraped};
use crate::service::Service;
use crate::state::{Backend, State};
use crate::text;
use crate::tools::{self, Programs};
use crate::validate;

/// All configuration of the project, proved by the programs that will read it.
pub(crate) fn rendered(
    project: &Project,
    inventory: &Inventory,
    programs: &Programs,
) -> anyhow::Result<(Tree, Vec<Unit>)> {
    let socket = Socket::of(project);
    let place = Place::Processes {
        supervisord: socket.path(),
    };
    let mut tree = render::configuration(project, inventory, place)?;
    let units = unit::units(inventory, programs)?;
    let text = configuration::render(project, inventory, &units, &tree, socket.path())?;
    tree.add("supervisord.conf", text);
    validate::staged(project, &tree, programs, &units)?;
    Ok((tree, units))
}

/// Brings the services to what the inventory says. What is wrong with one does not stop the others.
pub(crate) fn up(
    project: &Project,
    inventory: &Inventory,
    programs: &Programs,
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    progress.step("rendering the configuration");
    let (tree, units) = rendered(project, inventory, programs)?;
    for unit in &units {
        prepare(project, unit.service)?;
    }
    tree.apply(&project.run())?;
    record(project, inventory, &units)?;

    let (supervisord, mut touched) = match Supervisord::connect(&Socket::of(project))? {
        Some(supervisord) => {
            let touched = change(&supervisord, &units, progress)?;
            (supervisord, touched)
        }
        None => start(project, programs, &units, progress)?,
    };
    let started = touched.clone();
    let runner = Processes {
        project,
        supervisord: &supervisord,
    };
    for unit in units.iter().filter(|unit| unit.service.reloads()) {
        let is_new = started.iter().any(|name| name == unit.service.name());
        let url = unit.url().unwrap_or_default();
        if reload(project, &runner, &tree, unit.service, &url, is_new)? {
            progress.step(&format!("{} has read its configuration again", unit.service));
            touched.push(unit.service.name().to_owned());
        }
    }
    let failures = until_healthy(&supervisord, &units, limit, progress)?;
    let healthy: Vec<&Unit> = units
        .iter()
        .zip(&failures)
        .filter_map(|(unit, failure)| failure.is_none().then_some(unit))
        .collect();
    Ok(Outcome {
        table: table(&supervisord, &units, &failures)?,
        urls: units
            .iter()
            .filter_map(|unit| Some((unit.service, unit.url()?)))
            .collect(),
        failures: units
            .iter()
            .zip(&failures)
            .filter_map(|(unit, failure)| Some(explain(project, inventory, unit, failure.as_ref()?)))
            .collect(),
        left_out: left_out(programs),
        scrapes: scrapes(project, inventory, &healthy, &started, limit, progress),
        touched,
    })
}

/// Sends signals and reads logs for a reload.
struct Processes<'a> {
    project: &'a Project,
    supervisord: &'a Supervisord,
}

impl Runner for Processes<'_> {
    fn hang_up(&self, name: &str) -> anyhow::Result<()> {
        self.supervisord.hang_up(name)
    }

    fn last_lines(&self, name: &str, count: usize) -> Vec<String> {
        logs::last_lines(&self.project.log(name), count)
    }
}

fn scrapes(
    project: &Project,
    inventory: &Inventory,
    healthy: &[&Unit],
    started: &[String],
    limit: Duration,
    progress: &Progress,
) -> Scrapes {
    let prometheus = healthy.iter().find(|unit| unit.service == Service::Prometheus);
    let Some(url) = prometheus.and_then(|unit| unit.url()) else {
        return Scrapes::default();
    };
    let socket = Socket::of(project);
    let place = Place::Processes {
        supervisord: socket.path(),
    };
    let works = |service| healthy.iter().any(|unit| unit.service == service);
    let expected = Expected::of(inventory, place, works);
    until_scraped(&url, &expected, started, limit, progress)
}

/// Only programs that the stack can do without are ever missing here.
fn left_out(programs: &Programs) -> Vec<String> {
    let missing = programs.missing.iter().map(|(tool, reason)| {
        let cost = tool.without.unwrap_or_default();
        format!("{} could not be had, so {cost} ({reason})", tool.name)
    });
    missing.collect()
}

/// State, pid, address, version of each service.
fn table(
    supervisord: &Supervisord,
    units: &[Unit],
    failures: &[Option<Failure>],
) -> anyhow::Result<Vec<Vec<String>>> {
    let processes = supervisord.processes()?;
    let mut rows = vec![
        ["SERVICE", "STATE", "PID", "ADDRESS", "VERSION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (unit, failure) in units.iter().zip(failures) {
        let process = processes
            .iter()
            .find(|process| process.name == unit.service.name());
        let state = match (failure, process) {
            (None, _) => "healthy".to_owned(),
            (Some(_), Some(process)) => process.state.name().to_owned(),
            (Some(_), None) => "unknown".to_owned(),
        };
        let unknown = || "-".to_owned();
        rows.push(vec![
            unit.service.to_string(),
            state,
            process
                .and_then(|process| process.pid)
                .map_or_else(unknown, |pid| pid.to_string()),
            unit.url().unwrap_or_else(unknown),
            tools::version(&unit.program).unwrap_or_else(unknown),
        ]);
    }
    Ok(rows)
}

/// What a service finds when it starts.
fn prepare(project: &Project, service: Service) -> anyhow::Result<()> {
    let data = project.data(service.name());
    std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
    match service {
        Service::Grafana => render::grafana_password(project).map(drop),
        // rapl-exporter looks for its sources when it starts.
        Service::DemoMachine => demo::prepare(&data),
        _ => Ok(()),
    }
}

/// From here on the other commands find the services where they are going to be.
fn record(project: &Project, inventory: &Inventory, units: &[Unit]) -> anyhow::Result<()> {
    let old = State::read(project);
    let address = |unit: &Unit| {
        let address = unit.address.as_ref().map(ToString::to_string);
        (unit.service.name().to_owned(), address)
    };
    let state = State {
        backend: Some(Backend::Native),
        machine: inventory.local_name(),
        runbook_base: inventory.runbook_base(project),
        addresses: units.iter().map(address).collect(),
        loaded: old.loaded.clone(),
    };
    if state == old {
        Ok(())
    } else {
        state.write(project)
    }
}

fn start(
    project: &Project,
    programs: &Programs,
    units: &[Unit],
    progress: &Progress,
) -> anyhow::Result<(Supervisord, Vec<String>)> {
    let grace = Duration::from_secs(configuration::stop_seconds(Service::Prometheus));
    let orphans = process::stop_ours(&project.run(), grace)?;
    if orphans > 0 {
        progress.note(&format!(
            "stopped {} that had outlived their supervisord",
            text::processes(orphans)
        ));
    }
    let socket = Socket::of(project);
    remove_leftovers(project, &socket)?;
    progress.step("starting supervisord");
    let program = programs.get("supervisord").context("supervisord is missing")?;
    let supervisord = Supervisord::start(project, &socket, &program.path)?;
    Ok((
        supervisord,
        units.iter().map(|unit| unit.service.name().to_owned()).collect(),
    ))
}

/// Lets supervisord find the differences, then starts what was stopped or given up.
fn change(supervisord: &Supervisord, units: &[Unit], progress: &Progress) -> anyhow::Result<Vec<String>> {
    let changes = supervisord.apply(|what, group| progress.step(&format!("{what} {group}")))?;
    let mut touched = [changes.added, changes.changed, changes.removed].concat();
    for process in supervisord.processes()? {
        let runs = matches!(
            process.state,
            ProcessState::Running | ProcessState::Starting | ProcessState::Backoff
        );
        let is_wanted = units.iter().any(|unit| unit.service.name() == process.name);
        if !runs && is_wanted && !touched.contains(&process.name) {
            progress.step(&format!("starting {}, which was {}", process.name, process.state));
            supervisord.start_program(&process.name)?;
            touched.push(process.name);
        }
    }
    Ok(touched)
}

/// What to tell about a service that is not healthy.
fn explain(project: &Project, inventory: &Inventory, unit: &Unit, failure: &Failure) -> String {
    let log = project.log(unit.service.name());
    let last = logs::last_lines(&log, 8);
    let mut lines = vec![format!("{} is not healthy: {}", unit.service, failure.reason)];
    let cause = diagnosis::likely_cause(unit, &failure.reason, &last, inventory);
    lines.extend(cause.map(|cause| format!("  likely cause: {cause}")));
    lines.push(format!("  last lines of {}:", log.display()));
    lines.extend(last.iter().map(|line| format!("    {line}")));
    lines.join("\n")
}
