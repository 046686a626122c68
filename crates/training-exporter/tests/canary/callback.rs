//! `docs/callback`: the Python module's own test, and the module with the real exporter.

use std::path::PathBuf;
use std::process::Command;

use exporter::testing::value;

use crate::lab::{Lab, eventually, wait_for};

fn python() -> Command {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/callback"]
        .iter()
        .collect();
    let mut command = Command::new("python3");
    command
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("RANK");
    command
}

#[test]
fn its_own_test_passes() {
    let output = python()
        .args(["-m", "unittest", "test_mission_control"])
        .output()
        .expect("run python3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_it_writes_is_on_the_page() {
    const LOOP: &str = "
import sys
from mission_control import Mission

with Mission(sys.argv[1], phase='phase3') as mission:
    mission.step(41, loss=float('nan'))
    sys.stdin.readline()
    mission.step(42, duration=0.25, loss=1.5, reward=-2.0, kl=0.1)
    mission.update(test_pass_rate=0.75, variance=0.02, api_compatibility=0.99, apps=3, per_app={'chess': 0.5})
    mission.checkpoint()
    mission.pause()
    sys.stdin.readline()
";
    let lab = Lab::new("metrics = \"training/latest_metrics.json\"\n");
    let running = lab.start();
    let mut training = python()
        .args(["-c", LOOP])
        .arg(lab.path("training/latest_metrics.json"))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("run python3");
    let mut go_on = || {
        use std::io::Write as _;
        let stdin = training.stdin.as_mut().expect("a pipe");
        stdin
            .write_all(b"\n")
            .and_then(|()| stdin.flush())
            .expect("a line");
    };
    let series = |name: &str| format!("{name}{{phase=\"phase3\"}}");
    wait_for(&running, &series("cet_training_steps_total"), 41.0);
    go_on();
    for (name, expected) in [
        ("cet_training_steps_total", 42.0),
        ("cet_training_loss", 1.5),
        ("cet_training_reward", -2.0),
        ("cet_test_pass_rate", 0.75),
        ("cet_reconstruction_variance", 0.02),
        ("cet_training_apps_total", 3.0),
    ] {
        wait_for(&running, &series(name), expected);
    }
    for (series, expected) in [
        ("cet_app_pass_rate{app=\"chess\"}", 0.5),
        ("cet_api_compatibility_ratio", 0.99),
        ("cet_checkpoints_total", 1.0),
        ("cet_checkpoint_steps_at_risk", 0.0),
    ] {
        wait_for(&running, series, expected);
    }
    go_on();
    eventually("the loop has ended", || {
        training.try_wait().expect("a child").is_some()
    });
    let text = std::fs::read_to_string(lab.path("training/latest_metrics.json")).expect("a file");
    assert!(text.contains("\"state\": \"finished\""), "{text}");
    let errors = "training_read_errors_total{reason=\"torn\",source=\"metrics\"}";
    assert_eq!(value(&running.metrics(), errors), Some(0.0));
}
