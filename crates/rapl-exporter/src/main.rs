//! CPU power, power limits, temperature, load and throttling for Prometheus.

mod args;
mod chip;
mod collectors;
mod energy;
mod found;
mod history;
mod hwmon;
mod limits;
mod load;
mod meter;
mod power;
mod powercap;
mod simulation;
mod source;
mod temperature;
mod throttle;

use std::process::ExitCode;

const APP: exporter::App = exporter::App {
    name: "rapl-exporter",
    about: "CPU power against its limits, temperature, load and throttling",
    port: 9401,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, collectors::build)
}
