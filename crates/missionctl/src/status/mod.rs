//! `status`: services, targets, firing alerts; as lines or as one JSON document.

mod collect;
mod report;

pub(crate) use self::collect::ServiceStatus;

use crate::exit::Exit;
use crate::project::Project;

/// Prints the status.
pub(crate) fn show(project: &Project, as_json: bool) -> anyhow::Result<Exit> {
    let status = collect::collect(project)?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", report::lines(&status));
    }
    Ok(match (status.running, status.healthy) {
        (false, _) => Exit::NotRunning,
        (true, true) => Exit::Healthy,
        (true, false) => Exit::Unhealthy,
    })
}
