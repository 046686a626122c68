//! `pushgateway-bridge/`: what to scrape here and where to bring it; for containers also the secrets, which they are
//! given as copies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::targets::{probe_url, timeout};
use super::{Place, Tree, reached, targets};
use crate::inventory::{Bridge, Centre, Inventory};
use crate::service::{PROBE_JOB, Service};

const FOLDER: &str = "pushgateway-bridge";
const IN_CONTAINER: &str = "/etc/pushgateway-bridge";

#[derive(Serialize)]
struct File {
    machine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_write: Option<To>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushgateway: Option<To>,
    spool: Spool,
    target: Vec<Target>,
}

#[derive(Serialize)]
struct To {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
}

#[derive(Serialize)]
struct Spool {
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<String>,
}

#[derive(Serialize)]
struct Target {
    job: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    labels: BTreeMap<String, String>,
}

pub(super) fn render(inventory: &Inventory, place: Place, tree: &mut Tree) -> anyhow::Result<()> {
    tree.claim(FOLDER);
    let Some(bridge) = &inventory.bridge else {
        return Ok(());
    };
    let to = to(bridge, place, tree)?;
    let (remote_write, pushgateway) = match bridge.centre {
        Centre::RemoteWrite(_) => (Some(to), None),
        Centre::Pushgateway(_) => (None, Some(to)),
    };
    let file = File {
        machine: inventory.local_name(),
        interval: bridge.interval.clone(),
        remote_write,
        pushgateway,
        spool: Spool {
            size: bridge.spool_size.clone(),
            age: bridge.spool_age.clone(),
        },
        target: watched(inventory, place),
    };
    let text = toml::to_string(&file).context("pushgateway-bridge.toml")?;
    tree.add(
        format!("{FOLDER}/pushgateway-bridge.toml"),
        format!("# Rendered by missionctl from mission.toml.\n{text}"),
    );
    Ok(())
}

fn to(bridge: &Bridge, place: Place, tree: &mut Tree) -> anyhow::Result<To> {
    let mut file = |name: &str, path: Option<&PathBuf>| -> anyhow::Result<Option<PathBuf>> {
        let Some(path) = path else { return Ok(None) };
        if let Place::Processes { .. } = place {
            return Ok(Some(path.clone()));
        }
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        tree.add(format!("{FOLDER}/{name}"), text);
        Ok(Some(Path::new(IN_CONTAINER).join(name)))
    };
    Ok(To {
        url: reached(bridge.centre.url().clone(), place).to_string(),
        user: bridge.user.clone(),
        password_file: file("password", bridge.password_file.as_ref())?,
        token_file: file("token", bridge.token_file.as_ref())?,
        ca_file: file("ca.pem", bridge.ca_file.as_ref())?,
        proxy: bridge
            .proxy
            .clone()
            .map(|proxy| reached(proxy, place).to_string()),
    })
}

/// Everything that says something of this machine, and what the user added. The stack's own servers are not brought: a
/// centre has its own.
fn watched(inventory: &Inventory, place: Place) -> Vec<Target> {
    let here = targets::scraped_here(inventory, place).into_iter();
    let exporters = here.filter(|(service, ..)| {
        service.exporter().is_some()
            || matches!(
                service,
                Service::BlackboxExporter | Service::PostgresExporter | Service::Cadvisor
            )
    });
    let exporters = exporters.map(|(service, address, machine)| Target {
        job: service.name().to_owned(),
        url: format!("http://{address}/metrics"),
        interval: None,
        timeout: None,
        labels: BTreeMap::from([("machine".to_owned(), machine)]),
    });
    exporters
        .chain(users(inventory, place))
        .chain(probes(inventory, place))
        .collect()
}

fn users(inventory: &Inventory, place: Place) -> impl Iterator<Item = Target> {
    inventory.targets.iter().map(move |target| {
        let address = place.reached(&target.address);
        let path = target.path.as_deref().unwrap_or("/metrics");
        let mut labels = BTreeMap::from([
            ("machine".to_owned(), inventory.machine_of(&target.address.host)),
            ("instance".to_owned(), target.address.to_string()),
        ]);
        labels.extend(target.labels.iter().cloned());
        Target {
            job: target.job.clone(),
            url: format!("http://{address}{path}"),
            interval: target.interval.clone(),
            timeout: target.interval.as_deref().map(timeout).map(str::to_owned),
            labels,
        }
    })
}

fn probes(inventory: &Inventory, place: Place) -> impl Iterator<Item = Target> {
    inventory.probes.iter().filter_map(move |probe| {
        let labels = BTreeMap::from([
            ("machine".to_owned(), inventory.machine_of(probe.host())),
            ("probe".to_owned(), probe.name.clone()),
            ("instance".to_owned(), probe.subject()),
        ]);
        Some(Target {
            job: PROBE_JOB.to_owned(),
            url: probe_url(inventory, probe, place)?,
            interval: probe.interval.clone(),
            timeout: probe.interval.as_deref().map(timeout).map(str::to_owned),
            labels,
        })
    })
}
