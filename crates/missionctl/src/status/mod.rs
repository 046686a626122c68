//! `status`: services, targets, firing alerts; as lines or as one JSON document.

mod collect;
mod report;

use crate::exit::Exit;
use crate::native::{Outcome, State};
use crate::project::Project;
use crate::tools;

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

/// What `up` shows of each service at its end: state, pid, address, version.
pub(crate) fn service_rows(project: &Project, outcome: &Outcome) -> anyhow::Result<Vec<Vec<String>>> {
    let status = collect::services(project, &State::read(project))?.unwrap_or_default();
    let mut rows = vec![
        ["SERVICE", "STATE", "PID", "ADDRESS", "VERSION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (unit, failure) in outcome.units.iter().zip(&outcome.failures) {
        let service = status.iter().find(|service| service.name == unit.service.name());
        let state = match (failure, service) {
            (None, _) => "healthy".to_owned(),
            (Some(_), Some(service)) => service.state.clone(),
            (Some(_), None) => "unknown".to_owned(),
        };
        rows.push(vec![
            unit.service.to_string(),
            state,
            service
                .and_then(|service| service.pid)
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            unit.url().unwrap_or_else(|| "-".to_owned()),
            tools::version(&unit.program).unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    Ok(rows)
}
