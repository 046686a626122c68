//! Where this machine reaches what runs in containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use compose::{NetworkMode, Service};

use super::plan::Plan;
use crate::inventory::{HostPort, Inventory};
use crate::service;

/// `host:port` of a service; none when it is not reached from outside its network.
pub(crate) fn published(plan: &Plan, inventory: &Inventory, service: &Service) -> Option<String> {
    if service.network_mode == Some(NetworkMode::Host) {
        let known = service::Service::from_name(&service.name)?;
        let (_, port) = inventory
            .services()
            .into_iter()
            .find(|(other, _)| *other == known)?;
        let host = gateway(plan)?.to_string();
        return Some(HostPort { host, port: port? }.to_string());
    }
    let (ip, port) = socket(service)?;
    let host = ip.to_string();
    Some(HostPort { host, port }.to_string())
}

/// The page that says whether a service does its work, as this machine reaches it.
pub(crate) fn health_page(service: &Service) -> Option<String> {
    let path = service::Service::from_name(&service.name)?.health_path()?;
    let (ip, port) = socket(service)?;
    let host = ip.to_string();
    Some(format!("http://{}{path}", HostPort { host, port }))
}

/// The address of this machine in the network of the services.
pub(crate) fn gateway(plan: &Plan) -> Option<IpAddr> {
    let mut networks = plan.compose.networks.values();
    networks.find_map(|network| network.subnets.first()?.gateway)
}

/// What is published of the port that the service is known for, else of its first.
fn socket(service: &Service) -> Option<(IpAddr, u16)> {
    let known = service::Service::from_name(&service.name).and_then(service::Service::default_port);
    let port = service
        .ports
        .iter()
        .find(|port| Some(port.target) == known)
        .or_else(|| service.ports.first())?;
    let ip = match port.host_ip {
        Some(ip) if !ip.is_unspecified() => ip,
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    Some((ip, port.published?))
}
