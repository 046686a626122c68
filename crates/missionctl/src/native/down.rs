//! `down`: everything ends, data stays.

use std::time::Duration;

use anyhow::Context;

use super::configuration::stop_seconds;
use super::{Socket, Supervisord};
use crate::process;
use crate::progress::Progress;
use crate::project::Project;
use crate::service::Service;

/// What there was to stop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nothing ran.
    Nothing,
    /// supervisord, and with it everything.
    All,
    /// Processes that had outlived their supervisord.
    Orphans(usize),
}

/// Stops the project's processes and waits until each is gone.
pub(crate) fn down(project: &Project, progress: &Progress) -> anyhow::Result<Stopped> {
    let socket = Socket::of(project);
    let grace = Duration::from_secs(stop_seconds(Service::Prometheus));
    let stopped = match Supervisord::connect(&socket)? {
        Some(supervisord) => {
            progress.step("stopping all services");
            supervisord.shut_down()?;
            process::gone_within(&project.run(), grace);
            // What supervisord could not end, and what a killed one left behind.
            process::stop_ours(&project.run(), grace)?;
            Stopped::All
        }
        None => match process::stop_ours(&project.run(), grace)? {
            0 => Stopped::Nothing,
            orphans => Stopped::Orphans(orphans),
        },
    };
    remove_leftovers(project, &socket)?;
    Ok(stopped)
}

/// The socket and the pid file of a supervisord that was killed.
pub(crate) fn remove_leftovers(project: &Project, socket: &Socket) -> anyhow::Result<()> {
    for path in [socket.path().to_path_buf(), project.run().join("supervisord.pid")] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
