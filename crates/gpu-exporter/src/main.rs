//! NVIDIA and AMD GPUs for Prometheus.

mod amd;
mod args;
mod attendant;
mod chip;
mod collector;
mod driver;
mod known;
mod ledger;
mod link;
mod metrics;
mod nvidia;
mod nvml;
mod page;
mod pci;
mod processes;
mod reading;
mod session;
mod sleep;
mod xid;

use std::process::ExitCode;

const APP: exporter::App = exporter::App {
    name: "gpu-exporter",
    about: "Utilization, memory, heat, power, throttling, errors and processes of NVIDIA and AMD GPUs",
    port: 9400,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, collector::build)
}
