//! What the program says of its configuration.

use std::fs;

use exporter::testing::{Running, lint, value, withstands_half_open_connections};

use crate::lab::{Lab, PROGRAM};

fn check(lab: &Lab) -> (bool, String) {
    let output = lab.run(&["--config.check"]);
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_good_file_is_good() {
    let lab = Lab::new();
    lab.write(
        "training.toml",
        "metrics = \"m.json\"\norchestra = [\"logs/*.jsonl\", \"/var/log/x.jsonl\"]\nruns = [\"/srv/runs\"]\n\
         expire = \"24h\"\n[canary]\ncommand = [\"./canary.sh\"]\nevery = \"1h\"\ntimeout = \"30m\"\ndrop = 0.10\n\
         direction = \"higher\"\nmin_samples = 5\nfolder = \"canary\"\n",
    );
    let (is_good, log) = check(&lab);
    assert!(is_good, "{log}");
    assert!(!lab.path("data").exists(), "who only checks writes nothing");
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let lab = Lab::new();
    for (text, expected) in [
        ("metric = \"x\"", "training.toml:1: unknown field `metric`"),
        ("metrics = \"x\"\nexpire = \"soon\"", "training.toml:2: "),
        ("orchestra = [\"a\", \"\"]", "training.toml:1: orchestra: "),
        ("metrics = \"\"", "training.toml:1: metrics: "),
        ("\nruns = [\"r\", \"\"]", "training.toml:2: runs: "),
        (
            "metrics = \"m\"\norchestra = [\n  \"x/[\",\n]",
            "training.toml:3: orchestra: ",
        ),
        (
            "[canary]\nresults = \"x\"",
            "training.toml:1: canary: folder: name one",
        ),
        (
            "[canary]\ncommand = []\nfolder = \"c\"",
            "training.toml:1: canary: ",
        ),
        ("= 1", "training.toml:1: "),
    ] {
        lab.write("training.toml", text);
        let (is_good, log) = check(&lab);
        assert!(!is_good && log.contains(expected), "{text}\n{log}");
    }
    fs::remove_file(lab.path("training.toml")).expect("remove");
    let (is_good, log) = check(&lab);
    assert!(
        !is_good && log.contains("read ") && log.contains("training.toml: No such file"),
        "{log}"
    );
}

#[test]
fn without_anything_to_watch_it_is_healthy() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = format!("--storage.path={}", folder.path().join("data").display());
    let running = Running::start(PROGRAM, &[&storage]);
    let page = running.metrics();
    lint(&page, &[]);
    for collector in ["metrics", "orchestra", "canary"] {
        let series = format!("training_exporter_collector_success{{collector=\"{collector}\"}}");
        assert_eq!(value(&page, &series), Some(1.0), "{series}");
    }
    withstands_half_open_connections(&running);
}

#[test]
fn two_exporters_do_not_share_a_storage_folder() {
    let lab = Lab::new();
    let _running = lab.start();
    let output = lab.run(&["--web.listen-address=127.0.0.1:0"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("another training-exporter uses it"), "{log}");
    // To look is allowed.
    assert!(lab.run(&["--once"]).status.success());
}
