//! `prometheus/targets/`: a file for every job of the stack, an empty one where nothing runs, and for each of the
//! user's own.

use serde_json::{Map, Value, json};

use super::{Place, reached};
use crate::inventory::{HostPort, Inventory, Probe, Question, Target, milliseconds};
use crate::service::{PROBE_JOB, Service};

/// Prometheus' own limit for a scrape, unless the interval is shorter.
const TIMEOUT: &str = "10s";

/// The job and the groups of each file.
pub(super) fn files(inventory: &Inventory, place: Place) -> Vec<(String, Vec<Value>)> {
    let scraped = Service::ALL.into_iter().filter(|service| service.is_scraped());
    let mut files: Vec<(String, Vec<Value>)> = scraped
        .map(|service| (service.name().to_owned(), groups(inventory, service, place)))
        .collect();
    files.push((PROBE_JOB.to_owned(), probes(inventory, place)));
    for target in &inventory.targets {
        let group = target_group(inventory, target, place);
        match files.iter_mut().find(|(job, _)| *job == target.job) {
            Some((_, groups)) => groups.push(group),
            None => files.push((target.job.clone(), vec![group])),
        }
    }
    files
}

fn group(address: &HostPort, labels: &Value) -> Value {
    json!({"targets": [address.to_string()], "labels": labels})
}

/// Where a service of the stack runs: here, and for an exporter on the other machines that list it.
fn groups(inventory: &Inventory, service: Service, place: Place) -> Vec<Value> {
    let here = here(inventory, service, place).map(|address| (machine_watched(inventory, service), address));
    let others = inventory.machines.iter().filter(|machine| !machine.is_local);
    let elsewhere = others.flat_map(|machine| {
        let listed = machine
            .exporters
            .iter()
            .filter(move |(exporter, _)| *exporter == service);
        listed.map(|(_, port)| {
            let host = machine.host.clone();
            (machine.name.clone(), HostPort { host, port: *port })
        })
    });
    here.into_iter()
        .chain(elsewhere)
        .map(|(machine, address)| group(&address, &json!({"machine": machine})))
        .collect()
}

/// The services that run here and have metrics, with the labels `instance` and `machine` of each.
pub(crate) fn scraped_here(inventory: &Inventory, place: Place) -> Vec<(Service, String, String)> {
    let services = Service::ALL.into_iter().filter(|service| service.is_scraped());
    let scraped = services.filter_map(|service| {
        let address = here(inventory, service, place)?;
        Some((service, address.to_string(), machine_watched(inventory, service)))
    });
    scraped.collect()
}

/// The address of a service's metrics, when it runs here.
fn here(inventory: &Inventory, service: Service, place: Place) -> Option<HostPort> {
    let services = inventory.services();
    let (_, port) = services.into_iter().find(|(running, _)| *running == service)?;
    let mut address = place.service(inventory, service, port?);
    address.port = service.metrics_port().unwrap_or(address.port);
    Some(address)
}

/// What a service says is mostly about the machine that it runs on.
fn machine_watched(inventory: &Inventory, service: Service) -> String {
    match (service, &inventory.postgres) {
        (Service::PostgresExporter, Some(postgres)) => inventory.machine_of(&postgres.address.host),
        _ => inventory.local_name(),
    }
}

fn target_group(inventory: &Inventory, target: &Target, place: Place) -> Value {
    let address = place.reached(&target.address);
    let mut labels = Map::new();
    labels.insert(
        "machine".to_owned(),
        json!(inventory.machine_of(&target.address.host)),
    );
    if address != target.address {
        // Named as the user named it, whatever the services call this machine.
        labels.insert("instance".to_owned(), json!(target.address.to_string()));
    }
    let own = target.labels.iter();
    labels.extend(own.map(|(name, value)| (name.clone(), json!(value))));
    group(&address, &Value::Object(labels))
}

fn probes(inventory: &Inventory, place: Place) -> Vec<Value> {
    let Some(blackbox) = here(inventory, Service::BlackboxExporter, place) else {
        return Vec::new();
    };
    let probes = inventory.probes.iter();
    probes
        .map(|probe| group(&blackbox, &probe_labels(inventory, probe, place)))
        .collect()
}

/// What a probe asks, as the blackbox-exporter reaches it.
fn asked(probe: &Probe, place: Place) -> String {
    match &probe.question {
        Question::Http { url, .. } => reached(url.clone(), place).to_string(),
        Question::Tcp(address) => place.reached(address).to_string(),
        Question::Icmp(host) => {
            let address = HostPort {
                host: host.clone(),
                port: 0,
            };
            place.reached(&address).host
        }
    }
}

/// The page of the blackbox-exporter that makes a probe, when it runs here.
pub(super) fn probe_url(inventory: &Inventory, probe: &Probe, place: Place) -> Option<String> {
    let blackbox = here(inventory, Service::BlackboxExporter, place)?;
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let asked: String = asked(probe, place).bytes().map(escape).collect();
    Some(format!(
        "http://{blackbox}/probe?module={}&target={asked}",
        probe.name
    ))
}

fn probe_labels(inventory: &Inventory, probe: &Probe, place: Place) -> Value {
    let mut labels = json!({
        "machine": inventory.machine_of(probe.host()),
        "probe": probe.name,
        "instance": probe.subject(),
        "__param_target": asked(probe, place),
        "__param_module": probe.name,
    });
    if let Some(interval) = &probe.interval {
        labels["__scrape_interval__"] = json!(interval);
        labels["__scrape_timeout__"] = json!(timeout(interval));
    }
    labels
}

/// Prometheus takes no timeout above the interval.
pub(super) fn timeout(interval: &str) -> &str {
    if milliseconds(interval) < milliseconds(TIMEOUT) {
        interval
    } else {
        TIMEOUT
    }
}
