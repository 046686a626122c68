//! The orchestra's log while it is written, rotated and cut.

use std::fs::{self, OpenOptions};

use exporter::testing::{Signal, value};
use serde_json::json;

use crate::lab::{Lab, eventually, wait_for};

const REQUESTS: &str = "llm_orchestra_requests_total{model=\"m\",outcome=\"success\"}";

fn calls(count: usize) -> String {
    format!(
        "{}\n",
        json!({ "event": "call", "model": "m", "outcome": "success", "latency_seconds": 1.5 })
    )
    .repeat(count)
}

#[test]
fn lines_count_once_over_rotation_and_truncation() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(3));
    let running = lab.start();
    wait_for(&running, REQUESTS, 3.0);
    // Renamed, and a writer that was not told goes on.
    fs::rename(lab.path("calls.jsonl"), lab.path("calls.jsonl.1")).expect("rename");
    lab.append("calls.jsonl", calls(2));
    lab.append("calls.jsonl.1", calls(1));
    wait_for(&running, REQUESTS, 6.0);
    // Copied and cut, with a line in between that only the copy has.
    lab.append("calls.jsonl", calls(1));
    fs::copy(lab.path("calls.jsonl"), lab.path("calls.jsonl.2")).expect("copy");
    let log = OpenOptions::new().write(true).open(lab.path("calls.jsonl"));
    log.expect("open").set_len(0).expect("cut");
    lab.append("calls.jsonl", calls(4).replace("1.5", "15"));
    wait_for(&running, REQUESTS, 11.0);
    wait_for(&running, "llm_orchestra_latency_seconds_count{model=\"m\"}", 11.0);
    wait_for(
        &running,
        "llm_orchestra_latency_seconds_bucket{model=\"m\",le=\"2.5\"}",
        7.0,
    );
}

#[test]
fn half_a_line_counts_when_it_is_whole() {
    let lab = Lab::new();
    let line = calls(1);
    let (half, rest) = line.split_at(20);
    lab.append("calls.jsonl", calls(1) + half);
    let running = lab.start();
    wait_for(&running, REQUESTS, 1.0);
    lab.append("calls.jsonl", rest);
    wait_for(&running, REQUESTS, 2.0);
    let page = running.metrics();
    let invalid = "training_read_errors_total{reason=\"invalid\",source=\"orchestra\"}";
    assert_eq!(value(&page, invalid), Some(0.0));
}

#[test]
fn new_files_come_up_and_executions_are_under_way() {
    let lab = Lab::new();
    let running = lab.start();
    lab.append("a.jsonl", calls(1));
    wait_for(&running, REQUESTS, 1.0);
    assert_eq!(
        value(&running.metrics(), "llm_orchestra_concurrent_executions"),
        None
    );
    lab.append(
        "b.jsonl",
        "{\"event\":\"begin\",\"id\":1}\n{\"event\":\"begin\",\"id\":2}\n{\"event\":\"rotation\"}\n",
    );
    wait_for(&running, "llm_orchestra_concurrent_executions", 2.0);
    lab.append(
        "b.jsonl",
        "{\"event\":\"end\",\"id\":2}\n{\"event\":\"cache\",\"result\":\"hit\"}\n",
    );
    wait_for(&running, "llm_orchestra_concurrent_executions", 1.0);
    wait_for(&running, "llm_orchestra_rotations_total", 1.0);
    wait_for(
        &running,
        "llm_orchestra_cache_requests_total{result=\"hit\"}",
        1.0,
    );
}

#[test]
fn a_reload_changes_what_is_watched_and_keeps_what_was_counted() {
    let lab = Lab::new();
    lab.append("a.jsonl", calls(2));
    lab.append("b.log", calls(5));
    let running = lab.start();
    wait_for(&running, REQUESTS, 2.0);
    lab.write("training.toml", "orchestra = [\"*.jsonl\", \"*.log\"]\n");
    running.signal(Signal::HUP);
    wait_for(&running, REQUESTS, 7.0);
    lab.write("training.toml", "orchestra = 5\n");
    running.signal(Signal::HUP);
    wait_for(&running, "training_exporter_config_last_reload_successful", 0.0);
    lab.append("b.log", calls(1));
    wait_for(&running, REQUESTS, 8.0);
    // Back to one of them, and to both again: nothing counts twice.
    lab.write("training.toml", "orchestra = [\"*.jsonl\"]\n");
    running.signal(Signal::HUP);
    wait_for(&running, "training_exporter_config_last_reload_successful", 1.0);
    lab.write("training.toml", "orchestra = [\"*.jsonl\", \"*.log\"]\n");
    running.signal(Signal::HUP);
    lab.append("a.jsonl", calls(1));
    wait_for(&running, REQUESTS, 9.0);
}

#[test]
fn many_models_are_one() {
    let lab = Lab::new();
    for i in 0..500 {
        lab.append("calls.jsonl", format!("{{\"model\":\"model-{i}\"}}\n"));
    }
    let page = lab.once();
    let series = page
        .lines()
        .filter(|line| line.starts_with("llm_orchestra_requests_total{"))
        .count();
    assert_eq!(series, 101);
    let other = "llm_orchestra_requests_total{model=\"other\",outcome=\"unknown\"}";
    assert_eq!(value(&page, other), Some(400.0));
}

#[test]
fn bad_lines_are_counted_by_reason_and_hide_no_other() {
    let lab = Lab::new();
    let running = lab.start();
    let mut noise = vec![0_u8; 3000];
    noise.extend(b"\n\xff\xfe\n[]\n{\"event\":\"party\"}\n{\"event\":\"call\"}\n");
    noise.extend(vec![b'x'; 3 << 20]);
    noise.push(b'\n');
    noise.extend(calls(1).as_bytes());
    lab.append("calls.jsonl", noise);
    wait_for(&running, REQUESTS, 1.0);
    eventually("all of it is counted", || {
        let page = running.metrics();
        [
            ("invalid", 3.0),
            ("event", 1.0),
            ("value", 1.0),
            ("too_large", 1.0),
        ]
        .iter()
        .all(|(reason, count)| {
            let series = format!("training_read_errors_total{{reason=\"{reason}\",source=\"orchestra\"}}");
            value(&page, &series) == Some(*count)
        })
    });
}
