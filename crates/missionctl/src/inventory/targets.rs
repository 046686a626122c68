//! `[[target]]` and `[workers]`: what already speaks Prometheus, and which workers to watch.

use std::collections::BTreeMap;

use toml::Spanned;

use super::amounts::duration;
use super::file::Containers;
use super::problem::Findings;
use super::stack::Stack;
use super::url::Url;
use super::{Machine, Target, Workers, address, file};
use crate::service::{PROBE_JOB, Service};

/// Checks every target. Whether it answers is a matter for [`crate::preflight`].
pub(crate) fn check(
    targets: &[file::Target],
    machines: &[Machine],
    stack: &Stack,
    findings: &mut Findings,
) -> Vec<Target> {
    let mut checked: Vec<Target> = Vec::new();
    for target in targets {
        job(&target.job, findings);
        let address = match address::host_port(target.address.get_ref()) {
            Ok(address) => address,
            Err((what, hint)) => {
                findings.refuse(Some(target.address.span()), what, hint);
                continue;
            }
        };
        if address::is_local(&address.host)
            && let Some(service) = own_service(address.port, machines, stack)
        {
            let what = format!("port {} is {service}'s, which this stack starts", address.port);
            let hint = format!("remove the target, or move {service} in [stack.ports]");
            findings.refuse(Some(target.address.span()), what, hint);
        }
        let target = Target {
            job: target.job.get_ref().clone(),
            address,
            path: path(target.path.as_ref(), findings),
            interval: target
                .interval
                .as_ref()
                .and_then(|interval| duration(interval, findings)),
            labels: labels(&target.labels, findings),
            required: target.required,
            span: target.address.span(),
        };
        if let Some(other) = checked.iter().find(|other| other.job == target.job) {
            same_job(other, &target, findings);
        }
        checked.push(target);
    }
    checked
}

fn job(job: &Spanned<String>, findings: &mut Findings) {
    let text = job.get_ref();
    if text.is_empty()
        || !text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    {
        let what = format!("`{text}` is no job name");
        findings.refuse(
            Some(job.span()),
            what,
            "use letters, digits, hyphens, underscores, dots",
        );
    }
    if Service::from_name(text).is_some() || text == PROBE_JOB {
        let what = format!("the job `{text}` belongs to the stack");
        let hint = "choose another name; for the same exporter elsewhere, list it in that [[machine]]";
        findings.refuse(Some(job.span()), what, hint);
    }
}

fn own_service(port: u16, machines: &[Machine], stack: &Stack) -> Option<Service> {
    let mut local = machines
        .iter()
        .filter(|machine| machine.is_local)
        .flat_map(|machine| &machine.exporters);
    let exporter = local
        .find(|(_, taken)| *taken == port)
        .map(|(service, _)| *service);
    exporter.or_else(|| {
        let central = |service: &Service| stack.starts(*service);
        Service::ALL
            .into_iter()
            .filter(central)
            .find(|service| stack.port(*service) == Some(port))
    })
}

/// Targets of one job share one scrape configuration.
fn same_job(first: &Target, second: &Target, findings: &mut Findings) {
    if first.address == second.address {
        let what = format!("job `{}` already has {}", first.job, first.address);
        findings.refuse(
            Some(second.span.clone()),
            what,
            "remove one of the two, or give them different jobs",
        );
    } else if first.path != second.path || first.interval != second.interval {
        let what = format!("targets of job `{}` differ in path or interval", first.job);
        findings.refuse(
            Some(second.span.clone()),
            what,
            "make them the same, or give them different jobs",
        );
    }
}

fn path(path: Option<&Spanned<String>>, findings: &mut Findings) -> Option<String> {
    let path = path?;
    let text = path.get_ref();
    if text.contains(['?', '#']) {
        let hint = "Prometheus would ask for a page of just that name; leave out what follows";
        findings.refuse(Some(path.span()), format!("`{text}` is more than a path"), hint);
        return None;
    }
    if text.starts_with('/') && !text.contains(char::is_whitespace) {
        return Some(text.clone());
    }
    findings.refuse(
        Some(path.span()),
        format!("`{text}` is no path"),
        "a path begins with a slash: /metrics",
    );
    None
}

pub(super) fn labels(
    labels: &BTreeMap<String, Spanned<String>>,
    findings: &mut Findings,
) -> Vec<(String, String)> {
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with("__")
            && name != "job"
    };
    for (name, value) in labels {
        if !good(name) {
            let hint = "letters, digits and underscores, not beginning with a digit or `__`, not `job`";
            findings.refuse(Some(value.span()), format!("`{name}` is no label name"), hint);
        }
        if name == "machine" && value.get_ref().is_empty() {
            let hint = "leave it out; then it is set from the address";
            findings.refuse(Some(value.span()), "the label `machine` is empty", hint);
        }
    }
    labels
        .iter()
        .map(|(name, value)| (name.clone(), value.get_ref().clone()))
        .collect()
}

/// Checks `[workers]`.
pub(crate) fn workers(workers: &file::Workers, findings: &mut Findings) -> Workers {
    for url in &workers.supervisor {
        let text = url.get_ref();
        let good = text
            .strip_prefix("unix://")
            .is_some_and(|path| path.starts_with('/'))
            || Url::parse(text).is_ok_and(|url| !url.is_https());
        if !good {
            let what = format!("`{text}` is no address of a supervisor");
            let hint = "write unix:///var/run/supervisor.sock or http://host:9001";
            findings.refuse(Some(url.span()), what, hint);
        }
    }
    if let Some(heartbeat) = &workers.heartbeat
        && !heartbeat.get_ref().contains("{worker}")
    {
        let what = format!("`{}` names the same file for every worker", heartbeat.get_ref());
        findings.refuse(
            Some(heartbeat.span()),
            what,
            "put {worker} where its name stands: /run/heartbeat/{worker}",
        );
    }
    for unit in workers.systemd.iter().chain(&workers.systemd_user) {
        if unit.get_ref().is_empty() || unit.get_ref().contains('/') {
            let what = format!("`{}` is no name of a unit", unit.get_ref());
            let hint = "write the name as systemctl shows it, with * and ?: worker@*.service";
            findings.refuse(Some(unit.span()), what, hint);
        }
    }
    let docker = workers.docker.as_ref().map(Spanned::get_ref).and_then(containers);
    if let Some(label) = workers.docker_labels.first().filter(|_| docker.is_none()) {
        let what = "labels of containers are given, and no containers are watched".to_owned();
        findings.refuse(Some(label.span()), what, "write docker = true too");
    }
    let texts = |list: &[Spanned<String>]| list.iter().map(|text| text.get_ref().clone()).collect();
    Workers {
        supervisors: texts(&workers.supervisor),
        patterns: workers
            .patterns
            .as_ref()
            .map_or_else(Vec::new, |patterns| patterns.get_ref().list()),
        systemd: texts(&workers.systemd),
        systemd_user: texts(&workers.systemd_user),
        docker,
        docker_labels: texts(&workers.docker_labels),
        heartbeat: workers
            .heartbeat
            .as_ref()
            .map(|heartbeat| heartbeat.get_ref().clone()),
    }
}

/// Patterns of containers; none means all.
fn containers(containers: &Containers) -> Option<Vec<String>> {
    match containers {
        Containers::AllOrNone(false) => None,
        Containers::AllOrNone(true) => Some(Vec::new()),
        Containers::Named(patterns) => Some(patterns.list()),
    }
}
