//! Networks, of the project and of a service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::context::Section;
use super::fields::Fields;
use super::item::Item;
use super::storage;
use crate::model::{Network, NetworkMode, Service, Subnet};
use crate::yaml::Value;

/// Reads how a service is attached and what it knows of other machines.
pub(super) fn of_service(service: &mut Service, item: &Item<'_>, fields: &mut Fields<'_>) {
    let mode = fields.take("network_mode");
    let networks = fields.take("networks");
    service.extra_hosts = fields
        .take("extra_hosts")
        .and_then(|item| extra_hosts(&item))
        .unwrap_or_default();
    let Some(mode) = mode else {
        service.networks = networks.and_then(|item| attachments(&item)).unwrap_or_default();
        if service.networks.is_empty() {
            service.networks.insert("default".to_owned(), Vec::new());
        }
        return;
    };
    if networks.is_some() {
        item.refuse("`network_mode` and `networks` contradict each other: leave one out");
    }
    service.network_mode = mode.choice(&[
        ("bridge", NetworkMode::Bridge),
        ("host", NetworkMode::Host),
        ("none", NetworkMode::None),
    ]);
}

/// The networks of a service: a list of names, or a map with further names of the service in each.
fn attachments(item: &Item<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    if matches!(item.node.value, Value::List(_)) {
        for name in item.texts()? {
            item.refer(Section::Networks, &name);
            all.insert(name, Vec::new());
        }
        return Some(all);
    }
    for (name, item) in item.entries()? {
        item.refer(Section::Networks, name);
        let mut aliases = Vec::new();
        if !item.is_null() {
            let Some(mut fields) = item.fields() else { continue };
            aliases = fields.texts("aliases");
            fields.finish(&[
                "driver_opts",
                "gw_priority",
                "ipv4_address",
                "ipv6_address",
                "link_local_ips",
                "mac_address",
                "priority",
            ]);
        }
        all.insert(name.to_owned(), aliases);
    }
    Some(all)
}

/// `name:address` or `name=address` in a list, or a map.
fn extra_hosts(item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let mut hosts = Vec::new();
    let mut add = |item: &Item<'_>, name: &str, address: &str| {
        let bare = address
            .strip_prefix('[')
            .and_then(|bare| bare.strip_suffix(']'))
            .unwrap_or(address);
        if name.is_empty() || name.contains([':', '=']) {
            item.refuse(format!("`{name}` is no host name"));
        } else if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
            item.refuse(format!("`{address}` is no address: write one, or host-gateway"));
        } else {
            hosts.push((name.to_owned(), bare.to_owned()));
        }
    };
    if matches!(item.node.value, Value::List(_)) {
        for item in item.list()? {
            let Some(text) = item.word() else { continue };
            match text.split_once('=').or_else(|| text.split_once(':')) {
                Some((name, address)) => add(&item, name, address),
                None => item.refuse(format!("must be name:address, but is `{text}`")),
            }
        }
    } else {
        for (name, item) in item.entries()? {
            for address in item.text_or_texts().unwrap_or_default() {
                add(&item, name, &address);
            }
        }
    }
    Some(hosts)
}

/// A network of the project. Nothing stands for one with nothing special.
pub(super) fn network(project: &str, name: &str, item: &Item<'_>) -> Option<Network> {
    let mut network = Network {
        name: format!("{project}_{name}"),
        ..Network::default()
    };
    if item.is_null() {
        return Some(network);
    }
    let mut fields = item.fields()?;
    (network.name, network.external) = storage::identity(project, name, item, &mut fields);
    if network.external {
        fields.finish_external("network");
        return Some(network);
    }
    network.driver = fields.text("driver");
    network.driver_opts = fields.labels("driver_opts");
    network.internal = fields.boolean("internal").unwrap_or_default();
    network.labels = fields.labels("labels");
    network.subnets = fields
        .take("ipam")
        .and_then(|item| ipam(&item))
        .unwrap_or_default();
    fields.finish(&["attachable", "enable_ipv4", "enable_ipv6"]);
    Some(network)
}

fn ipam(item: &Item<'_>) -> Option<Vec<Subnet>> {
    let mut fields = item.fields()?;
    let subnets = fields.each("config", subnet);
    fields.finish(&["driver", "options"]);
    Some(subnets)
}

fn subnet(item: &Item<'_>) -> Option<Subnet> {
    let mut fields = item.fields()?;
    let subnet = fields.take("subnet");
    let gateway = fields.take("gateway");
    fields.finish(&["aux_addresses", "ip_range"]);
    let Some(subnet) = subnet else {
        item.refuse("has no `subnet`");
        return None;
    };
    let text = subnet.word()?;
    let (address, prefix) = subnet.accept(parse_subnet(&text))?;
    let gateway = match gateway {
        None => None,
        Some(gateway) => {
            let text = gateway.word()?;
            let parsed = text
                .parse()
                .ok()
                .filter(|gateway| masked(*gateway, prefix) == Some(address));
            if parsed.is_none() {
                gateway.refuse(format!("`{text}` is no address in the subnet"));
            }
            parsed
        }
    };
    Some(Subnet {
        subnet: text,
        gateway,
    })
}

/// The address and the prefix length of `address/prefix`.
fn parse_subnet(text: &str) -> Result<(IpAddr, u32), String> {
    let wrong = || format!("`{text}` is no subnet: write one such as 172.31.94.0/24");
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let (address, prefix) = address
        .parse::<IpAddr>()
        .ok()
        .zip(prefix.parse::<u32>().ok())
        .ok_or_else(wrong)?;
    let network = masked(address, prefix).ok_or_else(wrong)?;
    if network == address {
        Ok((address, prefix))
    } else {
        Err(format!("`{text}` is inside the subnet {network}/{prefix}"))
    }
}

/// The first address of the subnet of `address`; none when the prefix is too long.
fn masked(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or(0);
            Some(IpAddr::V4((u32::from(address) & mask).into()))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or(0);
            Some(IpAddr::V6((u128::from(address) & mask).into()))
        }
    }
}
