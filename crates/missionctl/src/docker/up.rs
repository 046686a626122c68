//! `up`: from an inventory to healthy containers, touching only what differs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};

use super::containers::{self, Found};
use super::engine::Engine;
use super::images::{self, Images};
use super::plan::Plan;
use super::run::Run;
use super::{addresses, costs, labels, networks, validate, variables};
use crate::inventory::Inventory;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::project::{COMPOSE_ENVIRONMENT, Project};
use crate::render::{self, Place, Tree};
use crate::service::Service;
use crate::state::{Backend, State};

/// How an `up` is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// For the services to be healthy, and as long again for their scrapes.
    pub(crate) limit: Duration,
    /// Refuse to start when an image cannot be had.
    pub(crate) is_strict: bool,
}

/// All configuration of the project, for containers.
pub(crate) fn rendered(project: &Project, inventory: &Inventory) -> anyhow::Result<Tree> {
    let published = published(inventory);
    let mut tree = render::configuration(
        project,
        inventory,
        Place::Containers {
            published: &published,
        },
    )?;
    let variables = variables::of(project, inventory);
    tree.add(COMPOSE_ENVIRONMENT, variables::environment_file(&variables));
    Ok(tree)
}

/// The ports of this machine that lead to services of the stack.
pub(super) fn published(inventory: &Inventory) -> Vec<(u16, Service)> {
    let services = inventory.services().into_iter();
    services
        .filter_map(|(service, port)| Some((port?, service)))
        .collect()
}

/// Brings the containers to what the inventory says. What is wrong with one does not stop the others.
pub(crate) fn up(
    project: &Project,
    inventory: &mut Inventory,
    engine: &Engine,
    options: Options,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let plan = Plan::new(project, inventory)?;
    let present = containers::of(engine, &plan.compose.name)?;
    refuse_strangers(&plan, &present)?;
    let mut images = images::ensure(engine, &plan.services().collect::<Vec<_>>(), progress)?;
    if options.is_strict && !images.missing.is_empty() {
        bail!(
            "--strict: nothing was started or changed\n  {}",
            sentences(&images).join("\n  ")
        );
    }
    images.keep(&present);
    for name in images.missing.keys() {
        if let Some(service) = Service::from_name(name) {
            inventory.leave_out(service);
        }
    }

    progress.step("rendering the configuration");
    let tree = rendered(project, inventory)?;
    let checked = validate::staged(engine, project, &plan, &tree, &images)?;
    networks::ensure(engine, &plan)?;
    tree.apply(&project.run())?;
    project.link_environment().context("link compose/.env")?;
    record(project, inventory, &plan, &images, checked)?;

    let mut run = Run {
        engine,
        plan: &plan,
        images: &images,
        tree: &tree,
        limit: options.limit,
        progress,
        ids: BTreeMap::new(),
        touched: Vec::new(),
        failures: BTreeMap::new(),
    };
    run.remove_others(&present)?;
    for service in plan.services() {
        run.bring(service, &present);
    }
    run.reload(project, inventory);
    run.watch()?;
    run.outcome(inventory, sentences(&images))
}

/// Why images are missing, and what that costs.
fn sentences(images: &Images) -> Vec<String> {
    let missing = images.missing.iter();
    missing
        .map(|(name, reason)| costs::sentence(name, reason))
        .collect()
}

/// Containers of the same name that were started for another folder are not touched.
fn refuse_strangers(plan: &Plan, present: &[Found]) -> anyhow::Result<()> {
    let mut strangers = present.iter().filter(|found| !found.is_of(&plan.root));
    match strangers.find_map(|found| found.labels.get(labels::ROOT)) {
        Some(root) => bail!(
            "the containers of {} belong to {root}; take them down first: missionctl --project {root} down",
            plan.compose.name
        ),
        None => Ok(()),
    }
}

/// From here on the other commands find the services where they are going to be.
fn record(
    project: &Project,
    inventory: &Inventory,
    plan: &Plan,
    images: &Images,
    checked: String,
) -> anyhow::Result<()> {
    let old = State::read(project);
    let mut loaded = match old.backend {
        Some(Backend::Docker) => old.loaded.clone(),
        _ => BTreeMap::new(),
    };
    loaded.insert(validate::CHECKED.to_owned(), checked);
    let state = State {
        backend: Some(Backend::Docker),
        machine: inventory.local_name(),
        runbook_base: inventory.runbook_base(project),
        addresses: plan
            .services()
            .filter(|service| images.ids.contains_key(&service.name))
            .map(|service| {
                (
                    service.name.clone(),
                    addresses::published(plan, inventory, service),
                )
            })
            .collect(),
        loaded,
    };
    if state == old {
        Ok(())
    } else {
        state.write(project)
    }
}
