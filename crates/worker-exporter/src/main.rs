//! Prometheus exporter for workers under supervisord, systemd and docker.

mod cgroup;
mod config;
mod counts;
mod cpu;
mod docker;
mod group;
mod heartbeat;
mod ledger;
mod link;
mod main_log;
mod names;
mod origin;
mod own_runtime;
mod page;
mod pattern;
mod processes;
mod procfs;
mod source;
mod supervisord;
mod systemd;
mod twice;
mod usage;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;

use exporter::{App, Exporter};

const APP: App = App {
    name: "worker-exporter",
    about: "Exports the state, restarts, exits, memory and CPU time of workers under supervisord, systemd and docker.",
    port: 9403,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, |flags: &config::Flags, common| {
        let settings = config::read(flags, common)?;
        let workers = Arc::new(workers::Workers::new(settings, &common.procfs, &common.sysfs)?);
        let (flags, common) = (flags.clone(), common.clone());
        let collector = workers::SupervisorCollector(Arc::clone(&workers));
        Ok(Exporter::new(vec![Box::new(collector)])
            .on_reload(move || workers.apply(config::read(&flags, &common)?)))
    })
}
