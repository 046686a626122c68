//! Prometheus exporter for training runs, their quality and the canary set.

use std::process::ExitCode;

fn main() -> ExitCode {
    training_exporter::run()
}
