//! `prometheus/`: the repository's files, target files for every job, scrape jobs for the user's own targets.

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use serde_yaml_ng::{Mapping, Value};

use super::Tree;
use crate::inventory::{HostPort, Inventory, Target, milliseconds};
use crate::project::Project;
use crate::service::Service;

const CONFIG: &str = "prometheus/prometheus.yml";

/// Adds everything below `prometheus/`.
pub(crate) fn render(project: &Project, inventory: &Inventory, tree: &mut Tree) -> anyhow::Result<()> {
    tree.copy(&project.stack().join("prometheus"), "prometheus", |path| {
        !path.starts_with("tests")
    })?;
    runbooks(project, inventory, tree)?;
    tree.add("prometheus/rules/inventory.yml", limits(inventory));
    for (job, groups) in targets(inventory) {
        let text = serde_json::to_string_pretty(&groups).context("write target files")?;
        tree.add(format!("prometheus/targets/{job}.json"), text + "\n");
    }
    // Without jobs of the user's own the file is taken as it is, comments and all.
    if !inventory.targets.is_empty() {
        let with_jobs =
            add_jobs(tree.text(CONFIG)?, &inventory.targets).with_context(|| CONFIG.to_owned())?;
        tree.add(CONFIG, with_jobs);
    }
    Ok(())
}

/// Rules name runbooks relative to the repository; whoever reads an alert needs a whole address.
fn runbooks(project: &Project, inventory: &Inventory, tree: &mut Tree) -> anyhow::Result<()> {
    let base = inventory.runbook_base(project);
    let rules: Vec<String> = tree
        .paths()
        .filter(|path| path.starts_with("prometheus/rules"))
        .filter_map(Path::to_str)
        .map(str::to_owned)
        .collect();
    for path in rules {
        let text = tree.text(&path)?;
        let rewritten: String = text
            .split_inclusive('\n')
            .map(|line| absolute_runbook(line, &base))
            .collect();
        tree.add(path, rewritten);
    }
    Ok(())
}

fn absolute_runbook(line: &str, base: &str) -> String {
    let Some((before, value)) = line.split_once("runbook_url:") else {
        return line.to_owned();
    };
    let value = value.trim().trim_matches(['"', '\'']);
    if before.trim().is_empty() && value.starts_with("docs/") {
        format!("{before}runbook_url: \"{base}{value}\"\n")
    } else {
        line.to_owned()
    }
}

/// Recording rules that carry the inventory's limits to the alert rules.
fn limits(inventory: &Inventory) -> String {
    let limited = inventory
        .machines
        .iter()
        .filter_map(|machine| Some((machine, machine.load15?)));
    let rules: Vec<String> = limited
        .map(|(machine, limit)| {
            let labels = json!({ "machine": machine.name });
            format!("      - record: mission:load15_limit\n        expr: vector({limit})\n        labels: {labels}\n")
        })
        .collect();
    if rules.is_empty() {
        return "# mission.toml names no limits.\ngroups: []\n".to_owned();
    }
    format!(
        "# Limits from mission.toml.\ngroups:\n  - name: inventory\n    rules:\n{}",
        rules.concat()
    )
}

/// Every job of the stack has its file, an empty one where nothing runs; plus one for each job of the user's own.
fn targets(inventory: &Inventory) -> Vec<(String, Vec<serde_json::Value>)> {
    let group = |address: &HostPort, labels: serde_json::Value| json!({"targets": [address.to_string()], "labels": labels});
    let running = inventory.services();
    let mut files: Vec<(String, Vec<serde_json::Value>)> = Vec::new();
    for service in Service::ALL.into_iter().filter(|service| service.is_scraped()) {
        let groups = if service.exporter().is_some() {
            exporter_addresses(inventory, service)
                .iter()
                .map(|(machine, address)| group(address, json!({"machine": machine})))
                .collect()
        } else {
            let here = running.iter().filter(|(running, _)| *running == service);
            here.filter_map(|(_, port)| {
                Some(group(
                    &inventory.dial((*port)?),
                    json!({"machine": inventory.local_name()}),
                ))
            })
            .collect()
        };
        files.push((service.name().to_owned(), groups));
    }
    for target in &inventory.targets {
        let mut labels =
            serde_json::Map::from_iter([("machine".to_owned(), json!(machine_of(inventory, target)))]);
        labels.extend(
            target
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), json!(value))),
        );
        let group = group(&target.address, serde_json::Value::Object(labels));
        match files.iter_mut().find(|(job, _)| *job == target.job) {
            Some((_, groups)) => groups.push(group),
            None => files.push((target.job.clone(), vec![group])),
        }
    }
    files
}

fn exporter_addresses(inventory: &Inventory, service: Service) -> Vec<(String, HostPort)> {
    let mut addresses = Vec::new();
    for machine in &inventory.machines {
        for (_, port) in machine
            .exporters
            .iter()
            .filter(|(exporter, _)| *exporter == service)
        {
            let address = if machine.is_local {
                inventory.dial(*port)
            } else {
                HostPort {
                    host: machine.host.clone(),
                    port: *port,
                }
            };
            addresses.push((machine.name.clone(), address));
        }
    }
    addresses
}

/// The machine whose address the target has, else the target's own host name.
fn machine_of(inventory: &Inventory, target: &Target) -> String {
    if target.is_local() {
        return inventory.local_name();
    }
    let machine = inventory
        .machines
        .iter()
        .find(|machine| machine.host == target.address.host);
    machine.map_or_else(|| target.address.host.clone(), |machine| machine.name.clone())
}

fn add_jobs(config: &str, targets: &[Target]) -> anyhow::Result<String> {
    let mut config: Value = serde_yaml_ng::from_str(config)?;
    let jobs = config
        .get_mut("scrape_configs")
        .and_then(Value::as_sequence_mut)
        .context("scrape_configs is not a list")?;
    let mut added: Vec<&str> = Vec::new();
    for target in targets {
        if !added.contains(&target.job.as_str()) {
            added.push(&target.job);
            jobs.push(Value::Mapping(job(target)));
        }
    }
    Ok(format!(
        "# Rendered by missionctl from mission.toml and prometheus/prometheus.yml.\n{}",
        serde_yaml_ng::to_string(&config)?
    ))
}

fn job(target: &Target) -> Mapping {
    let mut job = Mapping::new();
    let mut set = |key: &str, value: Value| {
        job.insert(key.into(), value);
    };
    set("job_name", target.job.as_str().into());
    if let Some(path) = &target.path {
        set("metrics_path", path.as_str().into());
    }
    if let Some(interval) = &target.interval {
        set("scrape_interval", interval.as_str().into());
        // Prometheus takes no timeout above the interval.
        set("scrape_timeout", shorter(interval, "10s").into());
    }
    set("sample_limit", 50_000.into());
    set("label_limit", 64.into());
    set("label_name_length_limit", 128.into());
    set("label_value_length_limit", 1024.into());
    set("body_size_limit", "32MB".into());
    let files = Value::Sequence(vec![format!("targets/{}.json", target.job).into()]);
    let mut discovery = Mapping::new();
    discovery.insert("files".into(), files);
    set(
        "file_sd_configs",
        Value::Sequence(vec![Value::Mapping(discovery)]),
    );
    job
}

fn shorter<'a>(one: &'a str, other: &'a str) -> &'a str {
    if milliseconds(one) < milliseconds(other) {
        one
    } else {
        other
    }
}
