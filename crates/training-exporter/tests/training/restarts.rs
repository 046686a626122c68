//! What counts once, whenever the exporter is killed.

use std::fs::{self, OpenOptions};
use std::sync::atomic::{AtomicBool, Ordering};

use exporter::testing::{Signal, value};
use serde_json::json;

use crate::lab::{Lab, eventually, wait_for, wait_for_storage};

const REQUESTS: &str = "llm_orchestra_requests_total{model=\"m\",outcome=\"success\"}";

fn calls(count: usize) -> String {
    "{\"event\":\"call\",\"model\":\"m\",\"outcome\":\"success\",\"latency_seconds\":0.5}\n".repeat(count)
}

fn step(step: u64) -> String {
    json!({ "phase": "p", "step": step, "loss": step }).to_string()
}

/// A writer that never rests, rotation by renaming, and kill -9 at any moment: no counter ever goes back, and in the
/// end every line counted once.
#[test]
fn no_line_is_lost_or_counted_twice_over_kill_9() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(1));
    let is_over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 1_usize;
            for round in 0_usize.. {
                let count = round % 7 + 1;
                lab.append("calls.jsonl", calls(count));
                written += count;
                if round % 40 == 39 {
                    for i in (1..500)
                        .rev()
                        .filter(|i| lab.path(&format!("calls.jsonl.{i}")).exists())
                    {
                        let to = lab.path(&format!("calls.jsonl.{}", i + 1));
                        fs::rename(lab.path(&format!("calls.jsonl.{i}")), to).expect("rename");
                    }
                    fs::rename(lab.path("calls.jsonl"), lab.path("calls.jsonl.1")).expect("rename");
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
                if is_over.load(Ordering::Relaxed) {
                    return written;
                }
            }
            written
        });
        let mut last = 0.0;
        for round in 0..6 {
            let mut running = lab.start();
            let goal = last + 1.0;
            eventually("it counts on", || {
                let now = value(&running.metrics(), REQUESTS).unwrap_or(0.0);
                assert!(now >= last, "{now} after {last}, in round {round}");
                last = now;
                now >= goal
            });
            std::thread::sleep(std::time::Duration::from_millis(137 * round));
            last = value(&running.metrics(), REQUESTS).unwrap_or(0.0).max(last);
            running.signal(Signal::KILL);
            running.wait();
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().expect("the writer")
    });
    let running = lab.start();
    wait_for(&running, REQUESTS, written as f64);
    wait_for(
        &running,
        "llm_orchestra_latency_seconds_count{model=\"m\"}",
        written as f64,
    );
}

#[test]
fn what_was_copied_and_cut_while_nobody_looked_is_read() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(3));
    let mut running = lab.start();
    wait_for(&running, REQUESTS, 3.0);
    wait_for_storage(&lab.path("data/orchestra.json"), "\"success\":3");
    running.signal(Signal::KILL);
    running.wait();
    lab.append("calls.jsonl", calls(2));
    fs::copy(lab.path("calls.jsonl"), lab.path("calls.jsonl.1")).expect("copy");
    let log = OpenOptions::new().write(true).open(lab.path("calls.jsonl"));
    log.expect("open").set_len(0).expect("cut");
    lab.append("calls.jsonl", calls(1).replace("0.5", "0.75"));
    let running = lab.start();
    wait_for(&running, REQUESTS, 6.0);
}

#[test]
fn a_log_that_is_gone_with_lines_that_were_not_read_is_said() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(3));
    let mut running = lab.start();
    wait_for_storage(&lab.path("data/orchestra.json"), "\"success\":3");
    running.signal(Signal::KILL);
    running.wait();
    fs::remove_file(lab.path("calls.jsonl")).expect("remove");
    let running = lab.start();
    wait_for(
        &running,
        "training_read_errors_total{reason=\"lost\",source=\"orchestra\"}",
        1.0,
    );
    wait_for(&running, REQUESTS, 3.0);
}

#[test]
fn steps_go_on_over_restarts_of_both() {
    let lab = Lab::new();
    lab.write("latest_metrics.json", step(100));
    let mut running = lab.start();
    let steps = "cet_training_steps_total{phase=\"p\"}";
    wait_for(&running, steps, 100.0);
    // Back to a checkpoint.
    lab.write("latest_metrics.json", step(90));
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 90.0);
    wait_for(&running, steps, 100.0);
    lab.write("latest_metrics.json", step(110));
    wait_for(&running, steps, 120.0);
    running.signal(Signal::KILL);
    running.wait();
    let running = lab.start();
    wait_for(&running, steps, 120.0);
    lab.write("latest_metrics.json", step(112));
    wait_for(&running, steps, 122.0);
}

#[test]
fn an_end_in_peace_takes_no_time() {
    let lab = Lab::new();
    lab.append("calls.jsonl", calls(3));
    let mut running = lab.start();
    wait_for(&running, REQUESTS, 3.0);
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(0));
}
