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
    let has_processes = || -> anyhow::Result<bool> {
        let supervisord = native::Supervisord::connect(&native::Socket::of(project))?;
        Ok(supervisord.is_some() || !process::ours(&project.run()).is_empty())
    };
    let known = State::read(project).backend;
    let has_containers = || -> anyhow::Result<bool> {
        match Engine::connect()? {
            Ok(engine) => Ok(!docker::own_containers(&engine, project)?.is_empty()),
            // They come back with their engine, beside whatever was started meanwhile.
            Err(unusable) if known == Some(Backend::Docker) => bail!(
                "the services run as containers, and {unusable}. When that engine is gone for good, remove {}",
                project.state().display()
            ),
            Err(_) => Ok(false),
        }
    };
    if known != Some(Backend::Docker) && has_processes()? {
        return Ok(Some(Backend::Native));
    }
    if known != Some(Backend::Native) && has_containers()? {
        return Ok(Some(Backend::Docker));
    }
    Ok(None)
}

/// What the services ran as last, also when they run no more; found out where nothing was written down.
pub(crate) fn last(project: &Project) -> anyhow::Result<Backend> {
    Ok(match State::read(project).backend {
        Some(known) => known,
        None => running(project)?.unwrap_or(Backend::Native),
    })
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
