//! `device-exporter/device-exporter.toml`: which ports to listen to.

use anyhow::Context;
use serde::Serialize;

use super::{Place, Tree};
use crate::demo;
use crate::inventory::{Device, Inventory, Port};
use crate::project::Project;
use crate::service::Service;

const FILE: &str = "device-exporter/device-exporter.toml";

#[derive(Serialize)]
struct File {
    device: Vec<Entry>,
}

#[derive(Default, Serialize)]
struct Entry {
    port: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    baud: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    probe: bool,
}

pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    let mut device: Vec<Entry> = inventory
        .devices
        .iter()
        .map(|device| entry(device, place))
        .collect();
    if inventory.stack.demo {
        let folder = demo::devices(&project.data(Service::DemoMachine.name()));
        device.push(Entry {
            port: format!("{}/*", folder.display()),
            ..Entry::default()
        });
    }
    let text = toml::to_string(&File { device }).context(FILE)?;
    tree.add(
        FILE,
        format!("# Rendered by missionctl from mission.toml.\n{text}"),
    );
    Ok(())
}

fn entry(device: &Device, place: Place) -> Entry {
    Entry {
        port: match &device.port {
            // A container has the machine's /dev as its own.
            Port::Serial(path) => path.clone(),
            Port::Tcp(address) => format!("tcp://{}", place.reached(address)),
        },
        baud: device.baud,
        protocol: device.protocol.clone(),
        platform: device.platform.clone(),
        id: device.id.clone(),
        probe: device.probe,
    }
}
