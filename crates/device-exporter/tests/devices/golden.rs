//! The whole page of each recorded device.

use std::path::Path;

use exporter::testing::{assert_golden, lint, value};

use crate::lab::{Lab, eventually};

/// Names that the public contract fixes.
const CONTRACT: [&str; 9] = [
    "device_cpu_utilization_percent",
    "device_memory_total_bytes",
    "device_power_consumption_mw",
    "model_tokens_per_second",
    "model_memory_usage_kb",
    "model_latency_p95_ms",
    "model_accuracy_score",
    "quantization_error_rate",
    "profiling_sessions_total",
];

/// What differs from run to run; the page keeps the series.
const VOLATILE: [&str; 2] = [
    "device_last_seen_timestamp_seconds",
    "device_exporter_config_last_reload_success_timestamp_seconds",
];

fn compare(page: &str, port: &str, place: &str, golden: &str) {
    lint(page, &CONTRACT);
    let masked: String = page
        .replace(place, "ports/device")
        .replace(port, "pts/*")
        .lines()
        .map(|line| {
            let is_volatile = VOLATILE.iter().any(|name| line.starts_with(name));
            match line.rsplit_once(' ') {
                Some((series, _)) if is_volatile => format!("{series} *\n"),
                _ => format!("{line}\n"),
            }
        })
        .fold(String::new(), |page, line| page + &line);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{golden}.prom"));
    assert_golden(&masked, &path);
}

fn fixture(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}/said.txt"));
    let said = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lab = Lab::new("");
    let mut port = lab.plug("device");
    let running = lab.start();
    eventually(&running, "the port is open", |page| {
        value(page, "device_ports_open") == Some(1.0)
    });
    port.send(&said);
    let lines = said
        .split(|byte| *byte == b'\n' || *byte == b'\r')
        .filter(|line| !line.is_empty())
        .count() as f64;
    let page = eventually(&running, &format!("{lines} lines"), |page| {
        let frames = page
            .lines()
            .find_map(|line| line.strip_prefix("device_frames_total{")?.rsplit_once(' '));
        frames.and_then(|(_, value)| value.parse().ok()) == Some(lines)
    });
    compare(&page, &port.name, &port.place, name);
}

#[test]
fn nothing() {
    let lab = Lab::new("");
    lab.configure("device = []");
    compare(&lab.start().metrics(), "no port", "no place", "nothing");
}

#[test]
fn esp32_profiling() {
    fixture("esp32-profiling");
}

#[test]
fn esp32_crash() {
    fixture("esp32-crash");
}

#[test]
fn arduino_plotter() {
    fixture("arduino-plotter");
}

#[test]
fn influx_sensor() {
    fixture("influx-sensor");
}

#[test]
fn mlperf_tiny() {
    fixture("mlperf-tiny");
}

#[test]
fn one_look_without_a_server() {
    let lab = Lab::new("");
    let mut port = lab.plug("device");
    port.say("{\"type\":\"hello\",\"id\":\"esp-1\",\"platform\":\"esp32\"}\n{\"power_mw\":3}\n");
    let output = lab.run(&["--once"]);
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        value(
            &page,
            "device_power_consumption_mw{device_id=\"esp-1\",platform=\"esp32\"}"
        ),
        Some(3.0),
        "{page}"
    );
}
