//! `prometheus/`: the repository's files, target files for every job, scrape jobs for the user's own targets, and where
//! samples are kept for long.

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use serde_yaml_ng::{Mapping, Value};

use super::{Place, Tree, targets};
use crate::inventory::{Inventory, Target};
use crate::project::Project;
use crate::service::Service;

const CONFIG: &str = "prometheus/prometheus.yml";

/// Adds everything below `prometheus/`.
pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    tree.copy(&project.stack().join("prometheus"), "prometheus", |path| {
        !path.starts_with("tests")
    })?;
    runbooks(project, inventory, tree)?;
    tree.add("prometheus/rules/inventory.yml", limits(inventory));
    for (job, groups) in targets::files(inventory, place) {
        let text = serde_json::to_string_pretty(&groups).context("write target files")?;
        tree.add(format!("prometheus/targets/{job}.json"), text + "\n");
    }
    let storage = storage(inventory, place);
    // Without anything of the user's own the file is taken as it is, comments and all.
    if storage.is_some() || inventory.receiver.is_some() || !inventory.targets.is_empty() {
        let extended = extend(tree.text(CONFIG)?, inventory, storage).with_context(|| CONFIG.to_owned())?;
        tree.add(CONFIG, extended);
    }
    Ok(())
}

/// Everything also goes to VictoriaMetrics, when it runs. While it is away Prometheus catches up from its own log; the
/// queue holds no more than a few seconds, so that memory stays small.
fn storage(inventory: &Inventory, place: Place) -> Option<Value> {
    let services = inventory.services();
    let (service, port) = services
        .into_iter()
        .find(|(service, _)| *service == Service::VictoriaMetrics)?;
    let address = place.service(inventory, service, port?);
    let storage = json!([{
        "url": format!("http://{address}/api/v1/write"),
        "name": service.name(),
        "queue_config": {"capacity": 10_000, "max_samples_per_send": 2_000, "max_shards": 4},
    }]);
    // Plain JSON is known to be YAML.
    serde_yaml_ng::to_value(storage).ok()
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

fn extend(config: &str, inventory: &Inventory, storage: Option<Value>) -> anyhow::Result<String> {
    let mut config: Value = serde_yaml_ng::from_str(config)?;
    let jobs = config
        .get_mut("scrape_configs")
        .and_then(Value::as_sequence_mut)
        .context("scrape_configs is not a list")?;
    let mut added: Vec<&str> = Vec::new();
    for target in &inventory.targets {
        if !added.contains(&target.job.as_str()) {
            added.push(&target.job);
            jobs.push(Value::Mapping(job(target)));
        }
    }
    let sections = config.as_mapping_mut().context("it is not a mapping")?;
    if let Some(storage) = storage {
        sections.insert("remote_write".into(), storage);
    }
    if let Some(window) = &inventory.receiver {
        let storage = json!({"tsdb": {"out_of_order_time_window": window}});
        sections.insert("storage".into(), serde_yaml_ng::to_value(storage)?);
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
        set("scrape_timeout", targets::timeout(interval).into());
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
