//! How the containers of the last `up` are.

use std::collections::HashMap;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::containers::{self, Condition, Found, Health};
use super::engine::Engine;
use super::variables;
use crate::process;
use crate::project::Project;
use crate::state::State;
use crate::status::ServiceStatus;

/// Every service of the last `up`; none when there is no container.
pub(crate) fn services(project: &Project, state: &State) -> anyhow::Result<Option<Vec<ServiceStatus>>> {
    let engine = Engine::connect()??;
    let mut found = containers::of(&engine, &variables::project_name(project))?;
    found.retain(|found| found.is_of(project.root()));
    if found.is_empty() {
        return Ok(None);
    }
    let ids: Vec<&str> = found.iter().map(|found| found.id.as_str()).collect();
    let conditions = containers::conditions(&engine, &ids)?;
    let memory = engine.wait(join_all(ids.iter().map(|id| memory(&engine, id))));
    let mut by_name: HashMap<&str, (Option<Condition>, Option<u64>)> = found
        .iter()
        .map(|found| found.service.as_str())
        .zip(conditions.into_iter().zip(memory))
        .collect();
    let listed = state.addresses.iter().map(|(name, address)| {
        let (condition, memory) = by_name.remove(name.as_str()).unwrap_or_default();
        service(name, address.as_deref(), condition, memory)
    });
    let mut listed: Vec<ServiceStatus> = listed.collect();
    let others = found
        .iter()
        .filter(|found| !state.addresses.contains_key(&found.service));
    let others: Vec<&Found> = others.collect();
    listed.extend(others.into_iter().map(|found| {
        let (condition, memory) = by_name.remove(found.service.as_str()).unwrap_or_default();
        service(&found.service, None, condition, memory)
    }));
    Ok(Some(listed))
}

fn service(
    name: &str,
    address: Option<&str>,
    condition: Option<Condition>,
    memory: Option<u64>,
) -> ServiceStatus {
    let error = match &condition {
        None => Some("it has no container; missionctl up makes it".to_owned()),
        Some(condition) => condition.ailment().or_else(|| {
            (condition.health == Health::Starting)
                .then(|| "its health check has not succeeded yet".to_owned())
        }),
    };
    let condition = condition.unwrap_or_else(|| Condition {
        state: "missing".to_owned(),
        ..Condition::default()
    });
    ServiceStatus {
        name: name.to_owned(),
        healthy: error.is_none(),
        error,
        address: address.map(str::to_owned),
        pid: condition.pid,
        uptime_seconds: condition
            .pid
            .and_then(process::usage)
            .map(|usage| usage.uptime.as_secs()),
        memory_bytes: memory,
        restarts: usize::try_from(condition.restarts).unwrap_or(usize::MAX),
        state: condition.state,
    }
}

/// What the kernel cannot take back from it, as `docker stats` counts: without the pages of files.
async fn memory(engine: &Engine, id: &str) -> Option<u64> {
    let options = StatsOptions {
        stream: false,
        one_shot: true,
    };
    let mut stream = engine.docker().stats(id, Some(options));
    let stats: ContainerStatsResponse = stream.next().await?.ok()?;
    let memory = stats.memory_stats?;
    let details = memory.stats.unwrap_or_default();
    // The first is the name of cgroup v1, the second of v2.
    let files = ["total_inactive_file", "inactive_file"]
        .iter()
        .find_map(|name| details.get(*name).copied())
        .unwrap_or_default();
    Some(memory.usage?.saturating_sub(files))
}
