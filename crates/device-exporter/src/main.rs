//! Prometheus exporter for embedded devices on serial lines and TCP.

use std::process::ExitCode;

use exporter::App;

const APP: App = App {
    name: "device-exporter",
    about: "Exports what embedded devices on serial lines and TCP say: load, heat, power, models, profiling sessions.",
    port: 9406,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, device_exporter::exporter)
}
