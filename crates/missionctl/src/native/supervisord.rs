//! The running supervisord of a project: started, spoken to, told of a new configuration.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use supervisor::{Client, ConfigChanges, Endpoint, FaultKind, ProcessInfo};
use tokio::runtime::Runtime;

use super::socket::Socket;
use crate::process::MARKER;
use crate::project::Project;

/// A stop waits for the service: Prometheus may write for a minute.
const CALL_LIMIT: Duration = Duration::from_secs(75);

/// A supervisord that answers.
pub(crate) struct Supervisord {
    runtime: Runtime,
    client: Client,
}

impl Supervisord {
    /// The supervisord of the project, when it runs.
    pub(crate) fn connect(socket: &Socket) -> anyhow::Result<Option<Self>> {
        if !socket.path().exists() {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("start the runtime")?;
        let client = Client::new(Endpoint::unix(socket.path())).with_timeout(CALL_LIMIT);
        match runtime.block_on(client.pid()) {
            Ok(_) => Ok(Some(Self { runtime, client })),
            // It is about to go, with all it runs: as good as gone, and what is left then are its processes.
            Err(error)
                if error
                    .fault()
                    .is_some_and(|fault| fault.kind() == FaultKind::ShutdownState) =>
            {
                Ok(None)
            }
            // A socket that nobody listens on was left by one that was killed.
            Err(_) if std::os::unix::net::UnixStream::connect(socket.path()).is_err_and(is_stale) => Ok(None),
            Err(error) => bail!("{error}"),
        }
    }

    /// Starts supervisord and waits until it answers; it goes on in the background.
    pub(crate) fn start(project: &Project, socket: &Socket, program: &Path) -> anyhow::Result<Self> {
        socket.prepare()?;
        let configuration = project.run().join("supervisord.conf");
        let output = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .env(MARKER, project.run())
            .current_dir(project.mission())
            .output()
            .with_context(|| format!("run {}", program.display()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
                .trim()
                .to_owned();
            let reason = text.lines().last().unwrap_or("it gave no reason").to_owned();
            bail!("{} -c {}: {reason}", program.display(), configuration.display());
        }
        Self::connect(socket)?.with_context(|| {
            format!(
                "supervisord started and does not answer at {}",
                socket.path().display()
            )
        })
    }

    /// Everything it runs.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<ProcessInfo>> {
        Ok(self.runtime.block_on(self.client.all_process_info())?)
    }

    /// Reads its configuration again and stops, starts and restarts what that changes, and nothing else.
    pub(crate) fn apply(&self, mut note: impl FnMut(&str, &str)) -> anyhow::Result<ConfigChanges> {
        let changes = self.runtime.block_on(self.client.reload_config())?;
        for group in changes.removed.iter().chain(&changes.changed) {
            note("stopping", group);
            self.runtime.block_on(async {
                self.client.stop_process_group(group, true).await?;
                self.client.remove_process_group(group).await
            })?;
        }
        for group in changes.changed.iter().chain(&changes.added) {
            note("starting", group);
            self.runtime.block_on(self.client.add_process_group(group))?;
        }
        Ok(changes)
    }

    /// Starts a program that was stopped or given up; one that runs already is fine.
    pub(crate) fn start_program(&self, name: &str) -> anyhow::Result<()> {
        match self.runtime.block_on(self.client.start_process(name, false)) {
            Err(error)
                if error
                    .fault()
                    .is_some_and(|fault| fault.kind() == FaultKind::AlreadyStarted) =>
            {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Asks a program to read its configuration again.
    pub(crate) fn hang_up(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.client.signal_process(name, "HUP"))?)
    }

    /// Stops every program and then itself; returns at once.
    pub(crate) fn shut_down(&self) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.client.shutdown())?)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`is_err_and` hands the error over")]
fn is_stale(error: std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound
    )
}
