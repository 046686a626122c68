//! Training runs and the canary set, from the files of a trainer to the webhook.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::lab::{Lab, eventually};
use crate::receiver::Receiver;

/// A trainer, as far as the exporter sees it: a process, and what it says of itself.
struct Trainer(Child);

impl Trainer {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000000").spawn().expect("start sleep"))
    }

    fn says(&self, lab: &Lab, step: u64) {
        let metrics = json!({
            "phase": "phase3", "loss": 0.5, "reward": 0.7, "test_pass_rate": 0.8, "variance": 0.03,
            "step": step, "step_duration_seconds": 1.5, "apps": 40, "pid": self.0.id(),
        });
        replace(&lab.path("training/latest_metrics.json"), &metrics);
    }

    fn kill(&mut self) {
        self.0.kill().expect("kill it");
        self.0.wait().expect("wait for it");
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn replace(path: &Path, value: &Value) {
    let beside = path.with_extension("new");
    fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
    fs::write(&beside, value.to_string()).expect("write");
    fs::rename(beside, path).expect("rename");
}

fn canary_scores(lab: &Lab, performance: f64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let result = json!({
        "performance": performance, "samples": 25, "timestamp": now.as_secs_f64(),
        "apps": { "chess": performance - 0.1, "notes": performance + 0.1 },
    });
    replace(&lab.path("training/result.json"), &result);
}

#[test]
fn a_trainer_that_is_killed_and_a_model_that_forgets_reach_the_webhook() {
    let receiver = Receiver::answering("200 OK", "ok");
    let lab = Lab::new();
    lab.hurry(&["prometheus/rules/training.yml"]);
    lab.write_secret("secrets/webhook", &receiver.url("/hook"), 0o600);
    let mut trainer = Trainer::start();
    trainer.says(&lab, 1);
    canary_scores(&lab, 0.8);
    lab.edit("mission.toml", |text| {
        format!(
            "{text}\n[training]\nmetrics = \"training/latest_metrics.json\"\n\
             canary = {{ results = \"training/result.json\", drop = 0.1 }}\n\n\
             [notify.webhook]\nurl_file = \"secrets/webhook\"\n"
        )
    });
    lab.up();
    let before = lab.pids();
    let (labels, _) = eventually("its loss", || lab.query("cet_training_loss").pop());
    assert_eq!(
        (&labels["machine"], &labels["phase"]),
        (&json!("bench"), &json!("phase3"))
    );

    // Nothing is compared before somebody says what is good.
    eventually("no baseline", || {
        lab.query("canary_set_state{state=\"inconclusive\"} == 1").pop()
    });
    let status = lab.run(&["canary", "status"]);
    assert_eq!(status.code, 1, "{}\n{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("inconclusive"), "{}", status.stdout);
    let accepted = lab.run(&["canary", "accept-baseline", "--why", "release 3"]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    eventually("the baseline counts", || {
        lab.query("canary_set_state{state=\"pass\"} == 1").pop()
    });
    assert_eq!(lab.value("canary_set_baseline"), Some(0.8));

    // It forgets, and learns again.
    let forgetting = eventually("CatastrophicForgetting reaches the webhook", || {
        canary_scores(&lab, 0.5);
        receiver.heard("firing", "CatastrophicForgetting", ("machine", "bench"))
    });
    assert_eq!(forgetting["labels"]["severity"], "critical");
    let action = forgetting["annotations"]["action"].as_str().expect("an action");
    assert!(action.to_lowercase().contains("previous checkpoint"), "{action}");
    let status = lab.run(&["canary", "status", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["state"], "fail", "{status:#}");
    eventually("its return reaches the webhook", || {
        canary_scores(&lab, 0.81);
        receiver.heard("resolved", "CatastrophicForgetting", ("machine", "bench"))
    });

    trainer.kill();
    let failed = eventually("TrainingFailed reaches the webhook", || {
        receiver.heard("firing", "TrainingFailed", ("run", "cet"))
    });
    assert_eq!(failed["labels"]["severity"], "critical");
    let mut next = Trainer::start();
    eventually("its return reaches the webhook", || {
        next.says(&lab, 2);
        receiver.heard("resolved", "TrainingFailed", ("run", "cet"))
    });

    // A change of the configuration is read by the running exporter.
    lab.edit("mission.toml", |text| text.replace("drop = 0.1 ", "drop = 0.3 "));
    lab.up();
    assert_eq!(lab.pids(), before);
    next.kill();
}
