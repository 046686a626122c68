//! Where a project keeps its things: the inventory, the `.mission` folder beside it, and the stack's own configuration
//! in the same folder or, for an example of the repository, in one above it.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What every folder with the stack's own configuration holds.
const STACK: &str = "prometheus/prometheus.yml";

/// Everything that missionctl writes, in the folder of the inventory.
const MISSION: &str = ".mission";

/// The variables of `compose.yaml`, in the run folder.
pub(crate) const COMPOSE_ENVIRONMENT: &str = "compose.env";

/// A folder that holds `mission.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
    stack: PathBuf,
}

/// Why there is no project to work on.
#[derive(Debug)]
pub(crate) struct NoProject(String);

impl fmt::Display for NoProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoProject {}

impl Project {
    /// The folder the user named, or the nearest one above the working directory that looks like a project.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, NoProject> {
        if let Some(named) = named {
            let root = named.canonicalize();
            return root
                .map_err(|error| NoProject(format!("--project {}: {error}", named.display())))
                .and_then(Self::at);
        }
        let here = std::env::current_dir()
            .map_err(|error| NoProject(format!("read the working directory: {error}")))?;
        let root = here.ancestors().find(|folder| is_project(folder));
        Self::at(root.unwrap_or(&here).to_path_buf())
    }

    /// Supervisord's configuration has no escape for some characters, so a folder whose name has them is refused here.
    fn at(root: PathBuf) -> Result<Self, NoProject> {
        let shown = root.display();
        let Some(text) = root.to_str() else {
            return Err(NoProject(format!(
                "{shown}: the folder's name is not UTF-8; rename it"
            )));
        };
        if let Some(bad) = text.chars().find(|c| c.is_control() || "\"'`;#\\$".contains(*c)) {
            return Err(NoProject(format!(
                "{shown}: the folder's name holds {bad:?}, which supervisord's configuration cannot express; rename it"
            )));
        }
        let stack = root.ancestors().find(|folder| folder.join(STACK).is_file());
        // What runs can be looked at and stopped without it.
        match stack.or_else(|| root.join(MISSION).is_dir().then_some(&*root)) {
            Some(stack) => Ok(Self {
                stack: stack.to_path_buf(),
                root,
            }),
            None => Err(NoProject(format!(
                "no {STACK} in {shown} or above it; change into a checkout of Mission Control, or name it with --project"
            ))),
        }
    }

    /// Folder of `prometheus/`, `alertmanager/`, `grafana/` and `docs/`.
    pub(crate) fn stack(&self) -> &Path {
        &self.stack
    }

    /// The project folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The inventory.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.root.join("mission.toml")
    }

    /// Everything that missionctl writes.
    pub(crate) fn mission(&self) -> PathBuf {
        self.root.join(MISSION)
    }

    /// Rendered configuration.
    pub(crate) fn run(&self) -> PathBuf {
        self.mission().join("run")
    }

    /// The variables of `compose.yaml`.
    pub(crate) fn compose_environment(&self) -> PathBuf {
        self.run().join(COMPOSE_ENVIRONMENT)
    }

    /// Leads a plain `docker compose` in the stack's folder `compose/` to the variables. A file of the user's own stays,
    /// and so does the one of the repository's inventory when this is another.
    pub(crate) fn link_environment(&self) -> io::Result<()> {
        let link = self.stack.join("compose/.env");
        if self.root != self.stack || link.symlink_metadata().is_ok() {
            return Ok(());
        }
        std::os::unix::fs::symlink(
            Path::new("..")
                .join(MISSION)
                .join("run")
                .join(COMPOSE_ENVIRONMENT),
            link,
        )
    }

    /// What a service stores.
    pub(crate) fn data(&self, service: &str) -> PathBuf {
        self.mission().join("data").join(service)
    }

    /// All logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.mission().join("log")
    }

    /// One service's log.
    pub(crate) fn log(&self, service: &str) -> PathBuf {
        self.logs().join(format!("{service}.log"))
    }

    /// What was last applied to the running services.
    pub(crate) fn state(&self) -> PathBuf {
        self.mission().join("state.json")
    }

    /// Makes `.mission` and keeps it out of the user's version control.
    pub(crate) fn create_folders(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.run())?;
        // Containers must be able to read what is in it, secrets too, whatever user they run as; nobody else may.
        std::fs::set_permissions(self.run(), Permissions::from_mode(0o700))?;
        std::fs::create_dir_all(self.logs())?;
        let ignore = self.mission().join(".gitignore");
        if !ignore.exists() {
            std::fs::write(ignore, "*\n")?;
        }
        Ok(())
    }
}

/// The rendered configuration looks like a project too, and is none.
fn is_project(folder: &Path) -> bool {
    let is_rendered = folder.components().any(|part| part.as_os_str() == MISSION);
    !is_rendered && (folder.join("mission.toml").is_file() || folder.join(STACK).is_file())
}
