//! The status for people.

use std::time::Duration;

use super::collect::{ServiceStatus, Status};
use crate::service::Service;
use crate::{table, text};

/// Always firing: that it does shows that alerting works.
const HEARTBEAT: &str = "Watchdog";

/// All lines.
pub(crate) fn lines(status: &Status) -> String {
    if !status.running {
        return match status.orphans {
            0 => "not running; missionctl up starts the stack\n".to_owned(),
            count => format!(
                "supervisord is gone or about to go, and {} of the stack still run; \
                 missionctl up recovers, missionctl down stops them\n",
                text::processes(count)
            ),
        };
    }
    let rest = [String::new()]
        .into_iter()
        .chain(targets(status))
        .chain(alerts(status));
    services(&status.services) + &rest.map(|line| line + "\n").collect::<String>()
}

fn services(services: &[ServiceStatus]) -> String {
    let header = [
        "SERVICE", "HEALTH", "STATE", "PID", "UPTIME", "MEMORY", "RESTARTS", "ADDRESS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let unknown = || "-".to_owned();
    for service in services {
        rows.push(vec![
            service.name.clone(),
            if service.healthy { "healthy" } else { "unhealthy" }.to_owned(),
            service.state.clone(),
            service.pid.map_or_else(unknown, |pid| pid.to_string()),
            service
                .uptime_seconds
                .map_or_else(unknown, |seconds| text::duration(Duration::from_secs(seconds))),
            service.memory_bytes.map_or_else(unknown, text::bytes),
            service.restarts.to_string(),
            service
                .address
                .as_ref()
                .map_or_else(unknown, |address| format!("http://{address}")),
        ]);
    }
    let errors = services.iter().filter_map(|service| {
        let error = service.error.as_ref()?;
        Some(format!(
            "{0} is not healthy: {error}; missionctl logs {0} shows more\n",
            service.name
        ))
    });
    table::columns(&rows) + &errors.collect::<String>()
}

fn targets(status: &Status) -> Vec<String> {
    let Some(targets) = &status.targets else {
        let has_prometheus = status
            .services
            .iter()
            .any(|service| service.name == Service::Prometheus.name());
        let unknown = has_prometheus.then(|| "targets: unknown, Prometheus does not answer".to_owned());
        return unknown.into_iter().collect();
    };
    let mut lines = vec![format!("targets: {} of {} up", targets.up, targets.total)];
    lines.extend(targets.down.iter().map(|target| {
        format!(
            "  down: {} on {} ({}): {}",
            target.job, target.machine, target.instance, target.error
        )
    }));
    let waiting = targets.total - targets.up - targets.down.len();
    if waiting > 0 {
        lines.push(format!("  {waiting} not scraped yet"));
    }
    lines
}

fn alerts(status: &Status) -> Vec<String> {
    let Some(alerts) = &status.alerts else {
        return Vec::new();
    };
    let works = alerts.iter().any(|alert| alert.name == HEARTBEAT);
    let firing: Vec<_> = alerts.iter().filter(|alert| alert.name != HEARTBEAT).collect();
    let heartbeat = if works {
        ""
    } else {
        " (the heartbeat Watchdog does not fire yet)"
    };
    let mut lines = vec![format!("alerts: {} firing{heartbeat}", firing.len())];
    lines.extend(firing.iter().map(|alert| {
        let machine = if alert.machine.is_empty() {
            String::new()
        } else {
            format!(" on {}", alert.machine)
        };
        format!("  {} {}{machine}: {}", alert.severity, alert.name, alert.summary)
    }));
    lines
}
