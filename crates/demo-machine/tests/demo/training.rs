//! The training, as training-exporter sees it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lab::{Lab, once, value};

fn page(folder: &Path) -> String {
    let quoted = |path: PathBuf| format!("{:?}", path.display().to_string());
    let configuration = format!(
        "metrics = {}\norchestra = [{}]\nruns = [{}]\n[canary]\nresults = {}\nfolder = {}\n",
        quoted(demo_machine::metrics(folder)),
        quoted(demo_machine::orchestra(folder)),
        quoted(demo_machine::runs(folder)),
        quoted(demo_machine::canary_results(folder)),
        quoted(demo_machine::canary(folder)),
    );
    let path = folder.join("training.toml");
    fs::write(&path, configuration).expect("write");
    let flags = [
        format!("--config.file={}", path.display()),
        format!("--storage.path={}", folder.join("state").display()),
    ];
    once("training-exporter", &flags, &[])
}

#[test]
fn training_exporter_sees_runs_calls_and_the_canary_set_move() {
    let mut lab = Lab::ago(300);
    lab.advance(50);
    let inference = page(lab.path());
    lab.advance(130);
    let burst = page(lab.path());
    for series in [
        r#"cet_training_steps_total{phase="phase3"}"#,
        r#"cet_training_apps_total{phase="phase3"}"#,
        r#"cet_training_reward{phase="phase3"}"#,
        "cet_checkpoints_total",
        "canary_last_run_timestamp_seconds",
        r#"llm_orchestra_cache_requests_total{result="hit"}"#,
        r#"training_step{run="lora-7b"}"#,
        r#"training_step{run="distill-tiny"}"#,
    ] {
        let (before, after) = (value(&inference, series), value(&burst, series));
        assert!(after > before, "{series}: {before}, then {after}\n{burst}");
    }
    for series in [
        r#"llm_orchestra_latency_seconds_count{model="llama-3.1-70b"}"#,
        "llm_orchestra_concurrent_executions",
        r#"cet_app_pass_rate{app="maze"}"#,
        r#"training_scalar{run="lora-7b",tag="loss"}"#,
        r#"training_scalar{run="distill-tiny",tag="val_loss"}"#,
    ] {
        assert!(value(&burst, series) > 0.0, "{series}\n{burst}");
    }
    // Nothing is forgotten, and nothing stands still.
    let degradation = value(&burst, "canary_set_performance_degradation");
    assert!(degradation > 0.03 && degradation < 0.05, "{degradation}");
    for (run, state) in [
        ("cet", "running"),
        ("lora-7b", "running"),
        ("distill-tiny", "running"),
    ] {
        let series = format!("training_run_state{{run=\"{run}\",state=\"{state}\"}}");
        assert!(value(&burst, &series) > 0.5, "{series}\n{burst}");
    }
    let wrong = burst
        .lines()
        .find(|line| line.starts_with("training_read_errors_total{") && !line.ends_with(" 0"));
    assert_eq!(wrong, None);
    // Switched off and on, it goes on where it was.
    let mut lab = lab.restart();
    lab.advance(10);
    let resumed = page(lab.path());
    let steps = |page: &str| value(page, r#"cet_training_steps_total{phase="phase3"}"#);
    assert!(steps(&resumed) > steps(&burst) && steps(&resumed) < steps(&burst) + 10.0);
}
