//! `latest_metrics.json` while it is written.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};

use exporter::testing::value;
use serde_json::json;

use crate::lab::{Lab, eventually, wait_for};

fn errors(page: &str, reason: &str) -> f64 {
    let series = format!("training_read_errors_total{{reason=\"{reason}\",source=\"metrics\"}}");
    value(page, &series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
}

#[test]
fn the_page_follows_the_file() {
    let lab = Lab::new();
    let running = lab.start();
    assert_eq!(
        value(&running.metrics(), "cet_training_loss{phase=\"phase1\"}"),
        None
    );
    assert!(
        running
            .metrics()
            .contains("training_exporter_collector_success{collector=\"metrics\"} 1")
    );

    let write = |phase: &str, step: u64, loss: f64| {
        lab.write(
            "latest_metrics.json",
            json!({ "phase": phase, "loss": loss, "step": step, "step_duration_seconds": 2 }).to_string(),
        );
    };
    write("phase1", 100, 1.5);
    wait_for(&running, "cet_training_loss{phase=\"phase1\"}", 1.5);
    wait_for(&running, "cet_training_steps_total{phase=\"phase1\"}", 100.0);
    write("phase1", 101, 1.4);
    wait_for(
        &running,
        "cet_training_duration_seconds_count{phase=\"phase1\"}",
        2.0,
    );
    write("phase2", 1, 0.9);
    wait_for(&running, "cet_training_loss{phase=\"phase2\"}", 0.9);
    wait_for(&running, "cet_training_steps_total{phase=\"phase2\"}", 1.0);
    let page = running.metrics();
    assert_eq!(
        value(&page, "cet_training_loss{phase=\"phase1\"}"),
        None,
        "{page}"
    );
    assert_eq!(
        value(&page, "cet_training_last_update_timestamp{phase=\"phase1\"}"),
        None
    );
    assert_eq!(
        value(&page, "cet_training_steps_total{phase=\"phase1\"}"),
        Some(101.0)
    );

    fs::remove_file(lab.path("latest_metrics.json")).expect("remove");
    eventually("the values are gone with the file", || {
        value(&running.metrics(), "cet_training_loss{phase=\"phase2\"}").is_none()
    });
    let page = running.metrics();
    assert_eq!(
        value(&page, "cet_training_steps_total{phase=\"phase2\"}"),
        Some(1.0)
    );
    assert!(page.contains("training_exporter_collector_success{collector=\"metrics\"} 1"));
}

#[test]
fn a_torn_file_keeps_the_last_values_and_is_counted() {
    let lab = Lab::new();
    let whole = json!({ "phase": "p", "loss": 0.5, "step": 10, "note": "x".repeat(2000) }).to_string();
    lab.write("latest_metrics.json", &whole);
    let running = lab.start();
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 0.5);
    let updated = value(
        &running.metrics(),
        "cet_training_last_update_timestamp{phase=\"p\"}",
    );
    // In place, as a careless trainer does.
    fs::write(lab.path("latest_metrics.json"), &whole[..1000]).expect("write");
    eventually("a torn read", || errors(&running.metrics(), "torn") > 0.0);
    let page = running.metrics();
    assert_eq!(value(&page, "cet_training_loss{phase=\"p\"}"), Some(0.5));
    assert_eq!(
        value(&page, "cet_training_last_update_timestamp{phase=\"p\"}"),
        updated
    );
    // It stays torn, so it is no matter of a moment.
    eventually("the collector fails", || {
        running
            .metrics()
            .contains("training_exporter_collector_success{collector=\"metrics\"} 0")
    });
    assert_eq!(
        value(&running.metrics(), "cet_training_loss{phase=\"p\"}"),
        Some(0.5)
    );
    assert!(
        (errors(&running.metrics(), "torn") - 1.0).abs() < 0.1,
        "one version is one error"
    );
    lab.write("latest_metrics.json", whole.replace("0.5", "0.25"));
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 0.25);
    assert!(
        running
            .metrics()
            .contains("training_exporter_collector_success{collector=\"metrics\"} 1")
    );
}

/// A writer that writes in place, byte by byte, is never read wrong: there are the values of a whole file or none.
#[test]
fn a_file_that_is_being_written_shows_whole_versions_only() {
    let lab = Lab::new();
    let path = lab.path("latest_metrics.json");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .expect("open");
    let running = lab.start();
    let mut seen = 0;
    for step in 1..=60_u64 {
        let version = json!({ "phase": "p", "step": step, "loss": step as f64, "reward": step as f64 });
        file.set_len(0).expect("cut");
        file.seek(SeekFrom::Start(0)).expect("seek");
        for byte in version.to_string().bytes() {
            file.write_all(&[byte]).expect("write");
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(17));
        let page = running.metrics();
        let loss = value(&page, "cet_training_loss{phase=\"p\"}");
        assert_eq!(loss, value(&page, "cet_training_reward{phase=\"p\"}"));
        seen += u32::from(loss.is_some());
    }
    wait_for(&running, "cet_training_steps_total{phase=\"p\"}", 60.0);
    assert!(seen > 0);
}

#[test]
fn a_rewrite_within_one_tick_of_the_clock_is_seen() {
    let lab = Lab::new();
    let write = |loss: f64| {
        fs::write(
            lab.path("latest_metrics.json"),
            json!({ "phase": "p", "loss": loss }).to_string(),
        )
        .expect("write");
        let file = fs::File::options()
            .append(true)
            .open(lab.path("latest_metrics.json"));
        file.expect("open")
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000))
            .expect("set the time");
    };
    write(0.5);
    let running = lab.start();
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 0.5);
    wait_for(
        &running,
        "cet_training_last_update_timestamp{phase=\"p\"}",
        1_700_000_000.0,
    );
    write(0.7);
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 0.7);
    // The file's time says nothing of this version; it is of now.
    let updated = value(
        &running.metrics(),
        "cet_training_last_update_timestamp{phase=\"p\"}",
    );
    assert!(updated.expect("a time") > 1_700_000_001.0);
}

#[test]
fn a_time_in_the_future_is_now() {
    let lab = Lab::new();
    lab.write("latest_metrics.json", "{\"phase\": \"p\"}");
    let file = fs::File::options()
        .append(true)
        .open(lab.path("latest_metrics.json"));
    let later = std::time::SystemTime::now() + std::time::Duration::from_hours(5);
    file.expect("open").set_modified(later).expect("set the time");
    let page = lab.once();
    let updated = value(&page, "cet_training_last_update_timestamp{phase=\"p\"}").expect("a time");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs_f64();
    assert!(updated <= now, "{updated} is after {now}");
}
