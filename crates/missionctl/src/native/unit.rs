//! What is started: a service, its program, and where it is reached.

use std::path::PathBuf;

use anyhow::Context;

use crate::inventory::{HostPort, Inventory};
use crate::service::Service;
use crate::tools::{Programs, find_on_path, is_executable};

/// A service with everything that is needed to start it.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Which one.
    pub(crate) service: Service,
    /// Where this machine reaches it; none when it serves nobody.
    pub(crate) address: Option<HostPort>,
    /// Its executable.
    pub(crate) program: PathBuf,
}

impl Unit {
    /// Its base URL, without a slash at its end.
    pub(crate) fn url(&self) -> Option<String> {
        self.address.as_ref().map(|address| format!("http://{address}"))
    }

    /// Answers 200 as soon as it does its work.
    pub(crate) fn health_url(&self) -> Option<String> {
        Some(self.url()? + self.service.health_path()?)
    }
}

/// The services of the inventory whose programs are there. A program of our own that is not there is an error.
pub(crate) fn units(inventory: &Inventory, programs: &Programs) -> anyhow::Result<Vec<Unit>> {
    let mut units = Vec::new();
    for (service, port) in inventory.services() {
        let program = if service.is_own() {
            own_program(service.program())?
        } else {
            match programs.get(service.program()) {
                Some(program) => program.path.clone(),
                None => continue,
            }
        };
        units.push(Unit {
            service,
            address: port.map(|port| inventory.dial(port)),
            program,
        });
    }
    Ok(units)
}

/// Exporters are built and installed together with missionctl.
fn own_program(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find the running missionctl")?;
    let beside = this
        .parent()
        .map(|folder| folder.join(name))
        .filter(|path| is_executable(path));
    beside.or_else(|| find_on_path(name, |_| true)).with_context(|| {
        format!(
            "{name} is neither beside {} nor on the PATH; build it: cargo build --release",
            this.display()
        )
    })
}
