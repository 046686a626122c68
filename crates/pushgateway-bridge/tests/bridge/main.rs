//! The bridge between targets and local jobs on one side, and a real Pushgateway or Prometheus on the other.

mod intake;
mod memory;
mod programs;
mod prometheus;
mod pushgateway;

const BRIDGE: &str = env!("CARGO_BIN_EXE_pushgateway-bridge");
