//! Asks supervisord or the container engine, the services, Prometheus.

use std::time::Duration;

use serde::Serialize;
use supervisor::{ProcessInfo, ProcessState};

use crate::backend;
use crate::docker;
use crate::http::Http;
use crate::native::{Socket, Supervisord};
use crate::process;
use crate::project::Project;
use crate::prometheus::{self, ActiveTarget};
use crate::service::Service;
use crate::state::{Backend, State};

const LIMIT: Duration = Duration::from_secs(3);

/// The document of `status --json`. Fields are added over time, never renamed or removed.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// What the services run as: `native` or `docker`.
    pub(crate) backend: &'static str,
    /// supervisord answers, or there are containers.
    pub(crate) running: bool,
    /// Every service is healthy and no target is down.
    pub(crate) healthy: bool,
    /// Processes that run without their supervisord; `up` or `down` stops them.
    pub(crate) orphans: usize,
    /// In the order of starting.
    pub(crate) services: Vec<ServiceStatus>,
    /// Absent when Prometheus does not answer.
    pub(crate) targets: Option<Targets>,
    /// Firing alerts; absent when Prometheus does not answer.
    pub(crate) alerts: Option<Vec<Alert>>,
}

/// One service.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceStatus {
    /// Its name.
    pub(crate) name: String,
    /// supervisord's word (`running`, `starting`, `backoff`, `stopped`, `exited`, `fatal`), or the container engine's
    /// (`created`, `running`, `restarting`, `paused`, `exited`, `dead`).
    pub(crate) state: String,
    /// Its health page answers 200.
    pub(crate) healthy: bool,
    /// Why it is not healthy.
    pub(crate) error: Option<String>,
    /// `host:port`; absent when it serves nobody.
    pub(crate) address: Option<String>,
    /// Process id.
    pub(crate) pid: Option<u32>,
    /// Seconds since it started.
    pub(crate) uptime_seconds: Option<u64>,
    /// Resident memory in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// How often it ended by itself since supervisord started, or since the container was made.
    pub(crate) restarts: usize,
}

/// What Prometheus scrapes.
#[derive(Debug, Serialize)]
pub(crate) struct Targets {
    /// That answered the last scrape.
    pub(crate) up: usize,
    /// All.
    pub(crate) total: usize,
    /// That did not answer.
    pub(crate) down: Vec<Target>,
}

/// A target that is down.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    /// Scrape job.
    pub(crate) job: String,
    /// `host:port`
    pub(crate) instance: String,
    /// Machine of the inventory.
    pub(crate) machine: String,
    /// Prometheus' reason.
    pub(crate) error: String,
}

/// A firing alert.
#[derive(Debug, Serialize)]
pub(crate) struct Alert {
    /// Its name.
    pub(crate) name: String,
    /// Label `severity`.
    pub(crate) severity: String,
    /// Label `machine`; empty when it is about no machine.
    pub(crate) machine: String,
    /// Annotation `summary`.
    pub(crate) summary: String,
    /// Since when, RFC 3339.
    pub(crate) since: String,
}

/// Asks everything.
pub(crate) fn collect(project: &Project) -> anyhow::Result<Status> {
    let state = State::read(project);
    let backend = backend::last(project)?;
    // Asked once: a supervisord that ends between two questions must not leave an empty list that looks healthy.
    let Some(services) = services(project, &state, backend)? else {
        return Ok(Status {
            backend: backend.name(),
            running: false,
            healthy: false,
            orphans: process::ours(&project.run()).len(),
            services: Vec::new(),
            targets: None,
            alerts: None,
        });
    };
    let prometheus = state.url(Service::Prometheus);
    let targets = prometheus.as_deref().and_then(targets);
    let alerts = prometheus.as_deref().and_then(alerts);
    // An agent has no Prometheus to ask.
    let is_scraped = match &targets {
        Some(targets) => targets.down.is_empty(),
        None => prometheus.is_none(),
    };
    let healthy = services.iter().all(|service| service.healthy) && is_scraped;
    Ok(Status {
        backend: backend.name(),
        running: true,
        healthy,
        orphans: 0,
        services,
        targets,
        alerts,
    })
}

/// Every service of the last `up`; none when nothing runs them.
fn services(
    project: &Project,
    state: &State,
    backend: Backend,
) -> anyhow::Result<Option<Vec<ServiceStatus>>> {
    match backend {
        Backend::Native => processes(project, state),
        Backend::Docker => docker::services(project, state),
    }
}

fn processes(project: &Project, state: &State) -> anyhow::Result<Option<Vec<ServiceStatus>>> {
    let Some(supervisord) = Supervisord::connect(&Socket::of(project))? else {
        return Ok(None);
    };
    let processes = supervisord.processes()?;
    let log = std::fs::read_to_string(project.log("supervisord")).unwrap_or_default();
    let http = Http::new(LIMIT);
    let one = |(service, address): (Service, Option<&str>)| {
        let process = processes.iter().find(|process| process.name == service.name());
        service_status(service, address, process, &http, exits(&log, service.name()))
    };
    Ok(Some(state.services().map(one).collect()))
}

fn service_status(
    service: Service,
    address: Option<&str>,
    process: Option<&ProcessInfo>,
    http: &Http,
    restarts: usize,
) -> ServiceStatus {
    let state = process.map_or_else(|| "unknown".to_owned(), |process| process.state.name().to_owned());
    let runs = process
        .is_some_and(|process| matches!(process.state, ProcessState::Running | ProcessState::Starting));
    let error = if runs {
        let page = address.zip(service.health_path());
        page.and_then(|(address, path)| sick(http, &format!("http://{address}{path}")))
    } else {
        let spawn_error = process
            .map(|process| process.spawn_error.clone())
            .filter(|error| !error.is_empty());
        Some(spawn_error.unwrap_or_else(|| format!("it is {state}")))
    };
    let pid = process.and_then(|process| process.pid);
    let usage = pid.and_then(process::usage);
    ServiceStatus {
        name: service.name().to_owned(),
        state,
        healthy: error.is_none(),
        error,
        address: address.map(str::to_owned),
        pid,
        uptime_seconds: usage.as_ref().map(|usage| usage.uptime.as_secs()),
        memory_bytes: usage.map(|usage| usage.memory_bytes),
        restarts,
    }
}

/// What is wrong with a health page.
fn sick(http: &Http, url: &str) -> Option<String> {
    match http.get(url) {
        Ok((200, _)) => None,
        Ok((status, _)) => Some(format!("its health page answers {status}")),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// supervisord says "exited" of what ended by itself and "stopped" of what it was asked to stop.
fn exits(log: &str, name: &str) -> usize {
    let last_start = log.rfind("supervisord started with pid").unwrap_or_default();
    log[last_start..].matches(&format!(" exited: {name} (")).count()
}

fn targets(prometheus: &str) -> Option<Targets> {
    let all = prometheus::targets(&Http::new(LIMIT), prometheus).ok()?;
    let (total, up) = (all.len(), all.iter().filter(|target| target.is_up()).count());
    let down = all
        .into_iter()
        .filter(ActiveTarget::is_down)
        .map(|target| Target {
            job: target.labels.job,
            instance: target.labels.instance,
            machine: target.labels.machine,
            error: target.last_error,
        });
    Some(Targets {
        up,
        total,
        down: down.collect(),
    })
}

fn alerts(prometheus: &str) -> Option<Vec<Alert>> {
    let firing = prometheus::alerts(&Http::new(LIMIT), prometheus)
        .ok()?
        .into_iter()
        .filter(|alert| alert.state == "firing")
        .map(|mut alert| Alert {
            name: alert.labels.remove("alertname").unwrap_or_default(),
            severity: alert.labels.remove("severity").unwrap_or_default(),
            machine: alert.labels.remove("machine").unwrap_or_default(),
            summary: alert.annotations.remove("summary").unwrap_or_default(),
            since: alert.active_at,
        });
    Some(firing.collect())
}
