//! From start to end.

use std::path::Path;

use exporter::testing::{Signal, value};
use training_exporter::canary::{Acceptance, State, accept_baseline, status};

use crate::lab::{Lab, eventually, wait_for};

const WITH_COMMAND: &str = "[canary]\ncommand = [\"sh\", \"canary.sh\"]\nfolder = \"canary\"\n";

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn an_exporter_that_ends_ends_its_command_too() {
    let lab = Lab::new(WITH_COMMAND);
    lab.write(
        "canary.sh",
        "trap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done\n",
    );
    let running = lab.start();
    let pid = lab.number("pid");
    assert!(is_alive(pid));
    assert_eq!(running.end(), Some(0));
    eventually("the command has ended", || !is_alive(pid));
}

#[test]
fn a_reload_changes_the_command_and_a_bad_file_does_not() {
    let lab = Lab::new(WITH_COMMAND);
    lab.write("canary.sh", "echo $$ > pid\nsleep 1000\n");
    let running = lab.start();
    let pid = lab.number("pid");
    lab.write("training.toml", "[canary]\ncommand = []\n");
    running.signal(Signal::HUP);
    wait_for(&running, "training_exporter_config_last_reload_successful", 0.0);
    assert!(is_alive(pid));
    lab.write("other.sh", "echo '{\"performance\": 0.5}'\n");
    lab.write("training.toml", &WITH_COMMAND.replace("canary.sh", "other.sh"));
    running.signal(Signal::HUP);
    wait_for(&running, "canary_set_performance", 0.5);
    assert!(!is_alive(pid));
}

#[test]
fn a_result_is_held_to_the_newest_checkpoint_that_the_training_reports() {
    let lab = Lab::new("metrics = \"latest_metrics.json\"\n[canary]\nresults = \"results.json\"\n");
    let checkpoint = |step| {
        let text =
            format!("{{\"phase\": \"p\", \"checkpoint\": {{\"step\": {step}, \"timestamp\": 4000000000}}}}");
        lab.write("latest_metrics.json", &text);
    };
    checkpoint(100);
    lab.write(
        "results.json",
        "{\"performance\": 0.8, \"samples\": 9, \"checkpoint\": {\"step\": 100}}",
    );
    let running = lab.start();
    let old = "canary_inconclusive{reason=\"older_than_checkpoint\"}";
    wait_for(&running, "canary_set_performance", 0.8);
    wait_for(&running, old, 0.0);
    // Beside the metrics, where nothing else is said.
    let folder = lab.path("canary");
    eventually("a decision", || {
        status(&folder).is_ok_and(|status| status.results.result.is_some())
    });
    let acceptance = Acceptance {
        who: "ada",
        why: "a test",
        force: false,
    };
    accept_baseline(&folder, acceptance).expect("accepted");
    wait_for(&running, "canary_set_state{state=\"pass\"}", 1.0);
    checkpoint(200);
    wait_for(&running, old, 1.0);
    assert_eq!(
        value(&running.metrics(), "canary_set_performance_degradation"),
        None
    );
    eventually("it is in the record", || {
        status(&folder).is_ok_and(|status| status.decision.state == State::Inconclusive)
    });
}

#[test]
fn a_flood_and_a_hang_leave_the_page_as_it_is() {
    let lab = Lab::new(&format!("{WITH_COMMAND}every = \"1s\"\ntimeout = \"1s\"\n"));
    lab.write(
        "canary.sh",
        "if [ -e flooded ]; then sleep 1000 & sleep 1000; fi; touch flooded; yes; yes >&2\n",
    );
    let running = lab.start();
    wait_for(&running, "canary_runs_total{outcome=\"too_large\"}", 1.0);
    eventually("it hung", || {
        value(&running.metrics(), "canary_runs_total{outcome=\"timeout\"}").is_some_and(|runs| runs >= 1.0)
    });
    assert_eq!(
        value(
            &running.metrics(),
            "training_exporter_collector_success{collector=\"canary\"}"
        ),
        Some(1.0)
    );
}
