//! `up`: from an inventory to healthy services, touching only what differs.

use std::time::Duration;

use anyhow::Context;
use supervisor::ProcessState;

use super::configuration;
use super::down::remove_leftovers;
use super::reload::reload;
use super::scrapes::{Scrapes, until_scraped};
use super::state::State;
use super::unit::{self, Unit};
use super::wait::{Failure, until_healthy};
use super::{Socket, Supervisord, diagnosis, grafana};
use crate::demo;
use crate::inventory::Inventory;
use crate::logs;
use crate::process;
use crate::progress::Progress;
use crate::project::Project;
use crate::render::{self, Tree};
use crate::service::Service;
use crate::text;
use crate::tools::Programs;
use crate::validate;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The services, started or found running.
    pub(crate) units: Vec<Unit>,
    /// Why a service is not healthy, in the order of the units.
    pub(crate) failures: Vec<Option<Failure>>,
    /// Whether their numbers arrive.
    pub(crate) scrapes: Scrapes,
    /// Services that were started, restarted, reloaded or removed.
    pub(crate) touched: Vec<String>,
}

impl Outcome {
    /// Whether everything works.
    pub(crate) fn is_healthy(&self) -> bool {
        self.failures.iter().all(Option::is_none) && self.scrapes.failures.is_empty()
    }
}

/// All configuration of the project, proved by the programs that will read it.
pub(crate) fn rendered(
    project: &Project,
    inventory: &Inventory,
    programs: &Programs,
) -> anyhow::Result<(Tree, Vec<Unit>)> {
    let socket = Socket::of(project);
    let mut tree = render::configuration(project, inventory, socket.path())?;
    let units = unit::units(inventory, programs)?;
    let text = configuration::render(project, inventory, &units, &tree, socket.path())?;
    tree.add("supervisord.conf", text);
    validate::staged(project, &tree, programs)?;
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
    for unit in units.iter().filter(|unit| unit.service.reloads()) {
        let is_new = started.iter().any(|name| name == unit.service.name());
        if reload(project, &supervisord, &tree, unit, is_new)? {
            touched.push(unit.service.name().to_owned());
        }
    }
    let failures = until_healthy(&supervisord, &units, limit, progress)?;
    let healthy: Vec<&Unit> = units
        .iter()
        .zip(&failures)
        .filter_map(|(unit, failure)| failure.is_none().then_some(unit))
        .collect();
    let scrapes = until_scraped(&healthy, &started, &inventory.local_name(), limit, progress);
    Ok(Outcome {
        units,
        failures,
        scrapes,
        touched,
    })
}

/// What a service finds when it starts.
fn prepare(project: &Project, service: Service) -> anyhow::Result<()> {
    let data = project.data(service.name());
    std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
    match service {
        Service::Grafana => grafana::make_password(project),
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
pub(crate) fn explain(project: &Project, inventory: &Inventory, unit: &Unit, failure: &Failure) -> String {
    let log = project.log(unit.service.name());
    let last = logs::last_lines(&log, 8);
    let mut lines = vec![format!("{} is not healthy: {}", unit.service, failure.reason)];
    let cause = diagnosis::likely_cause(unit, &failure.reason, &last, inventory);
    lines.extend(cause.map(|cause| format!("  likely cause: {cause}")));
    lines.push(format!("  last lines of {}:", log.display()));
    lines.extend(last.iter().map(|line| format!("    {line}")));
    lines.join("\n")
}
