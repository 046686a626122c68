//! The whole project: what `load` answers with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::Service;

/// A compose file, read, resolved and checked: every name that one part uses is defined by another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// The name of the project: `COMPOSE_PROJECT_NAME` of the environment, else `name` of the file.
    pub name: String,
    /// The file that was read, absolute.
    pub file: PathBuf,
    /// The folder that relative paths in the file start from: the file's own, absolute.
    pub folder: PathBuf,
    /// The services by name, of all profiles.
    pub services: BTreeMap<String, Service>,
    /// The networks by their name in the file. `default` is among them when a service uses it.
    pub networks: BTreeMap<String, Network>,
    /// The named volumes by their name in the file.
    pub volumes: BTreeMap<String, Volume>,
    /// The secrets by their name in the file.
    pub secrets: BTreeMap<String, Secret>,
}

/// A network of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Network {
    /// The name in the engine: `name` of the file, else `<project>_<network>`.
    pub name: String,
    /// It exists already and belongs to someone else: never created or removed.
    pub external: bool,
    /// The driver; the engine's own choice (`bridge`) when absent.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether the network has no way out of this machine.
    pub internal: bool,
    /// The address pools; the engine's own choice when empty.
    pub subnets: Vec<Subnet>,
    /// Labels, as in the file.
    pub labels: BTreeMap<String, String>,
}

/// An address pool of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subnet {
    /// The pool as `address/prefix length`.
    pub subnet: String,
    /// The address of this machine in the network; the engine's own choice when absent.
    pub gateway: Option<IpAddr>,
}

/// A named volume of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Volume {
    /// The name in the engine: `name` of the file, else `<project>_<volume>`.
    pub name: String,
    /// It exists already and belongs to someone else: never created or removed.
    pub external: bool,
    /// The driver; the engine's own choice (`local`) when absent.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels, as in the file.
    pub labels: BTreeMap<String, String>,
}

/// A secret of the project: a file on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// The file that holds it, absolute. That it exists is not checked.
    pub file: PathBuf,
}

impl Project {
    /// The services that start when `profiles` are active: those without a profile and those of one of them.
    pub fn enabled(&self, profiles: &[&str]) -> BTreeSet<&str> {
        let active = |service: &&Service| {
            service.profiles.is_empty()
                || service
                    .profiles
                    .iter()
                    .any(|profile| profiles.contains(&profile.as_str()))
        };
        self.services
            .values()
            .filter(active)
            .map(|service| service.name.as_str())
            .collect()
    }

    /// `services` in the order in which they start: each after those of them that it depends on, directly or
    /// through services that are not among them. Otherwise by name. Names that are no services are left out.
    pub fn order<'a>(&'a self, services: &BTreeSet<&str>) -> Vec<&'a str> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in services {
            self.visit(name, &mut seen, &mut order);
        }
        order.retain(|name| services.contains(name));
        order
    }

    /// Appends `name` after all that it depends on. `load` has refused cycles.
    fn visit<'a>(&'a self, name: &str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some((name, service)) = self.services.get_key_value(name) else {
            return;
        };
        if seen.insert(name) {
            for dependency in service.depends_on.keys() {
                self.visit(dependency, seen, order);
            }
            order.push(name);
        }
    }
}
