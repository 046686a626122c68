//! Files that cannot be read, and a storage that cannot be written.

use std::fs;
use std::os::unix::fs::symlink;

use exporter::testing::{Signal, value};

use crate::lab::{Lab, eventually, wait_for, wait_for_storage};

const REQUESTS: &str = "llm_orchestra_requests_total{model=\"m\",outcome=\"success\"}";

fn calls(count: usize) -> String {
    "{\"event\":\"call\",\"model\":\"m\",\"outcome\":\"success\"}\n".repeat(count)
}

fn fails(page: &str, collector: &str) -> bool {
    page.contains(&format!(
        "training_exporter_collector_success{{collector=\"{collector}\"}} 0"
    ))
}

#[test]
fn what_is_no_metrics_file_is_said_and_hides_nothing() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(1));
    fs::create_dir(lab.path("latest_metrics.json")).expect("a folder");
    let running = lab.start();
    let errors =
        |reason: &str| format!("training_read_errors_total{{reason=\"{reason}\",source=\"metrics\"}}");
    wait_for(&running, &errors("unreadable"), 1.0);
    wait_for(&running, REQUESTS, 1.0);
    assert!(fails(&running.metrics(), "metrics"));
    fs::remove_dir(lab.path("latest_metrics.json")).expect("remove");
    lab.write("latest_metrics.json", "x".repeat(2 << 20));
    wait_for(&running, &errors("too_large"), 1.0);
    lab.write("latest_metrics.json", "[]");
    wait_for(&running, &errors("invalid"), 1.0);
    lab.write("latest_metrics.json", "{\"phase\":\"p\",\"loss\":1}");
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 1.0);
    let page = running.metrics();
    assert!(!fails(&page, "metrics"));
    assert_eq!(value(&page, &errors("unreadable")), Some(1.0));
}

/// A full disk: `/dev/full` takes no byte.
#[test]
fn counting_goes_on_while_the_disk_is_full_and_is_kept_afterwards() {
    let lab = Lab::new();
    fs::create_dir(lab.path("data")).expect("a folder");
    symlink("/dev/full", lab.path("data/orchestra.json.new")).expect("a link");
    symlink("/dev/full", lab.path("data/metrics.json.new")).expect("a link");
    lab.append("calls.jsonl", calls(2));
    lab.write("latest_metrics.json", "{\"phase\":\"p\",\"step\":3}");
    let mut running = lab.start();
    wait_for(&running, REQUESTS, 2.0);
    wait_for(&running, "cet_training_steps_total{phase=\"p\"}", 3.0);
    eventually("both collectors say so", || {
        let page = running.metrics();
        fails(&page, "orchestra") && fails(&page, "metrics")
    });
    lab.append("calls.jsonl", calls(1));
    wait_for(&running, REQUESTS, 3.0);
    assert!(!lab.path("data/orchestra.json").exists());
    fs::remove_file(lab.path("data/orchestra.json.new")).expect("remove");
    fs::remove_file(lab.path("data/metrics.json.new")).expect("remove");
    eventually("there is space again", || {
        let page = running.metrics();
        !fails(&page, "orchestra") && !fails(&page, "metrics")
    });
    running.signal(Signal::KILL);
    running.wait();
    let running = lab.start();
    wait_for(&running, REQUESTS, 3.0);
}

#[test]
fn a_disk_that_is_full_in_the_middle_loses_nothing() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(2));
    let mut running = lab.start();
    wait_for_storage(&lab.path("data/orchestra.json"), "\"success\":2");
    symlink("/dev/full", lab.path("data/orchestra.json.new")).expect("a link");
    lab.append("calls.jsonl", calls(3));
    wait_for(&running, REQUESTS, 5.0);
    running.signal(Signal::KILL);
    running.wait();
    let running = lab.start();
    wait_for(&running, REQUESTS, 5.0);
}

#[test]
fn a_storage_that_is_broken_is_set_aside() {
    let lab = Lab::new();
    fs::create_dir(lab.path("data")).expect("a folder");
    fs::write(lab.path("data/orchestra.json"), "{\"totals\":").expect("write");
    lab.append("calls.jsonl", calls(2));
    let running = lab.start();
    wait_for(&running, REQUESTS, 2.0);
    assert_eq!(
        fs::read_to_string(lab.path("data/orchestra.json.unreadable")).expect("kept"),
        "{\"totals\":"
    );
}
