//! Brings the metrics of a host that Prometheus cannot reach to a Pushgateway or by remote write.

use std::process::ExitCode;

fn main() -> ExitCode {
    pushgateway_bridge::run()
}
