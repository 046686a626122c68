//! What the run behind `latest_metrics.json` does: the run `cet`.

use std::process::{Child, Command};
use std::time::Duration;

use exporter::testing::{Running, value};
use serde_json::{Value, json};

use crate::lab::{Lab, wait_for};

fn state(state: &str) -> String {
    format!("training_run_state{{run=\"cet\",state=\"{state}\"}}")
}

/// A process that stands for a trainer.
struct Trainer(Child);

impl Trainer {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("start a process"))
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.end();
    }
}

fn write(lab: &Lab, values: &Value) {
    lab.write("latest_metrics.json", values.to_string());
}

fn start_with(values: &Value) -> (Lab, Running) {
    let lab = Lab::new();
    write(&lab, values);
    let running = lab.start();
    (lab, running)
}

#[test]
fn a_trainer_that_is_killed_has_crashed() {
    let mut trainer = Trainer::start();
    let version =
        |step: u64| json!({ "phase": "p", "step": step, "state": "running", "pid": trainer.0.id() });
    let (lab, running) = start_with(&version(1));
    wait_for(&running, &state("running"), 1.0);
    write(&lab, &version(2));
    wait_for(&running, "training_step{run=\"cet\"}", 2.0);
    trainer.end();
    wait_for(&running, &state("crashed"), 1.0);
    assert_eq!(value(&running.metrics(), &state("running")), Some(0.0));
}

#[test]
fn a_trainer_that_said_it_is_done_may_go() {
    let mut trainer = Trainer::start();
    let (_lab, running) = start_with(&json!({ "phase": "p", "state": "finished", "pid": trainer.0.id() }));
    trainer.end();
    wait_for(&running, &state("finished"), 1.0);
}

#[test]
fn a_trainer_elsewhere_is_not_looked_for() {
    let mut trainer = Trainer::start();
    let pid = trainer.0.id();
    trainer.end();
    let (lab, running) =
        start_with(&json!({ "phase": "p", "step": 1, "pid": pid, "host": "no-such-machine" }));
    wait_for(&running, &state("running"), 1.0);
    write(&lab, &json!({ "phase": "p", "step": 1, "pid": pid }));
    wait_for(&running, &state("crashed"), 1.0);
}

#[test]
fn a_trainer_that_falls_silent_stalls_unless_it_says_why() {
    let (lab, running) = start_with(&json!({ "phase": "p", "step": 0 }));
    for step in 1..=8 {
        std::thread::sleep(Duration::from_millis(300));
        write(&lab, &json!({ "phase": "p", "step": step }));
    }
    wait_for(&running, "training_step{run=\"cet\"}", 8.0);
    wait_for(&running, &state("stalled"), 1.0);
    write(&lab, &json!({ "phase": "p", "step": 8, "state": "evaluating" }));
    wait_for(&running, &state("evaluating"), 1.0);
    write(&lab, &json!({ "phase": "p", "step": 9, "state": "running" }));
    wait_for(&running, "training_step{run=\"cet\"}", 9.0);
    assert_eq!(value(&running.metrics(), &state("evaluating")), Some(0.0));
}

#[test]
fn what_is_no_number_is_counted_once_a_version() {
    let (lab, running) = start_with(&json!({ "phase": "p", "loss": 0.5 }));
    let nonfinite = "training_nonfinite_total{run=\"cet\",tag=\"loss\"}";
    wait_for(&running, nonfinite, 0.0);
    lab.write("latest_metrics.json", "{\"phase\": \"p\", \"loss\": NaN}");
    wait_for(&running, nonfinite, 1.0);
    assert_eq!(value(&running.metrics(), "cet_training_loss{phase=\"p\"}"), None);
    lab.write("latest_metrics.json", "{\"phase\": \"p\", \"loss\": -Infinity}");
    wait_for(&running, nonfinite, 2.0);
    lab.write("latest_metrics.json", "{\"phase\": \"p\", \"loss\": 0.4}");
    wait_for(&running, "cet_training_loss{phase=\"p\"}", 0.4);
    wait_for(&running, nonfinite, 2.0);
}
