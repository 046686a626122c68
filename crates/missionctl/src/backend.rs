//! Which backend runs the services: what the inventory says, else what runs already, else containers where an engine can
//! run all that the inventory asks for, else processes.

use anyhow::bail;

use crate::docker::{self, Engine};
use crate::inventory::{self, Inventory};
use crate::native;
use crate::process;
use crate::progress::Progress;
use crate::project::Project;
use crate::state::{Backend, State};

/// A backend, ready to be used.
pub(crate) enum Chosen {
    /// Processes.
    Native,
    /// Containers of this engine.
    Docker(Engine),
}

impl Chosen {
    /// Which one it is.
    pub(crate) const fn backend(&self) -> Backend {
        match self {
            Self::Native => Backend::Native,
            Self::Docker(_) => Backend::Docker,
        }
    }
}

/// Chooses, and says why where the inventory leaves the choice.
pub(crate) fn choose(
    project: &Project,
    inventory: &Inventory,
    progress: &Progress,
) -> anyhow::Result<Chosen> {
    let running = running(project)?;
    let chosen = match inventory.stack.backend {
        inventory::Backend::Native => Chosen::Native,
        inventory::Backend::Docker => Chosen::Docker(Engine::connect()??),
        inventory::Backend::Auto => automatic(project, inventory, running, progress)?,
    };
    match running {
        Some(running) if running != chosen.backend() => bail!(
            "the services run as {0} and mission.toml says backend = \"{1}\": run missionctl down first. \
             What was measured stays with {0}, since each backend keeps its data in a place of its own",
            words(running),
            chosen.backend().name()
        ),
        _ => Ok(chosen),
    }
}

const fn words(backend: Backend) -> &'static str {
    match backend {
        Backend::Native => "processes",
        Backend::Docker => "containers",
    }
}

/// What the last `up` has started and nobody has stopped.
pub(crate) fn running(project: &Project) -> anyhow::Result<Option<Backend>> {
    let backend = State::read(project).backend;
    let runs = match backend {
        Backend::Native => {
            native::Supervisord::connect(&native::Socket::of(project))?.is_some()
                || !process::ours(&project.run()).is_empty()
        }
        Backend::Docker => match Engine::connect()? {
            Ok(engine) => docker::has_containers(&engine, project)?,
            Err(_) => false,
        },
    };
    Ok(runs.then_some(backend))
}

fn automatic(
    project: &Project,
    inventory: &Inventory,
    running: Option<Backend>,
    progress: &Progress,
) -> anyhow::Result<Chosen> {
    if running == Some(Backend::Native) {
        return Ok(Chosen::Native);
    }
    if inventory.stack.demo {
        progress.note("backend: native, since the made-up machine of demo = true is a process");
        return Ok(Chosen::Native);
    }
    let engine = match Engine::connect()? {
        Ok(engine) => engine,
        Err(unusable) => {
            progress.note(&format!("backend: native, since {unusable}"));
            return Ok(Chosen::Native);
        }
    };
    if running == Some(Backend::Docker) {
        return Ok(Chosen::Docker(engine));
    }
    progress.step("looking for images");
    match docker::can_run(&engine, project, inventory)? {
        Ok(()) => {
            progress.note(&format!(
                "backend: docker, since engine {} answers and has or can pull every image",
                engine.version()
            ));
            Ok(Chosen::Docker(engine))
        }
        Err(reason) => {
            progress.note(&format!("backend: native, since {reason}"));
            Ok(Chosen::Native)
        }
    }
}
