use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use exporter::Instruments;

use super::*;
use crate::canary::folder::Folder;

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

struct Lab {
    place: tempfile::TempDir,
    newest: NewestCheckpoint,
}

impl Lab {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().expect("a folder"),
            newest: NewestCheckpoint::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn folder(&self) -> PathBuf {
        self.path("canary")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("write");
    }

    fn settings(&self, text: &str) -> Settings {
        let entry: Entry = toml::from_str(&format!("folder = \"canary\"\n{text}")).expect("an entry");
        entry.settings(self.place.path(), None).expect("settings")
    }

    fn canary(&self, settings: &Settings) -> Canary {
        let errors = ReadErrors::new(&Instruments::new()).expect("new");
        let canary = Canary::new(self.newest.clone(), &errors, false);
        canary.apply(Some(settings.clone())).expect("a thread");
        canary
    }

    /// A command that notes each run and prints what is in `next.json`.
    fn counting(&self, more: &str) -> Settings {
        self.write("canary.sh", "#!/bin/sh\necho run >> runs\ncat next.json\n");
        self.settings(&format!("command = [\"sh\", \"canary.sh\"]\n{more}"))
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    fn accept(&self, who: &str) -> anyhow::Result<Accepted> {
        let acceptance = Acceptance {
            who,
            why: "a test",
            force: false,
        };
        accept_baseline(&self.folder(), acceptance)
    }

    fn decision(&self) -> Option<Decision> {
        Folder::new(&self.folder()).decision().ok().flatten()
    }

    fn causes(&self) -> Vec<Cause> {
        let reasons = self
            .decision()
            .map(|decision| decision.reasons)
            .unwrap_or_default();
        reasons.into_iter().map(|reason| reason.cause).collect()
    }

    fn history(&self, name: &str) -> usize {
        fs::read_to_string(self.folder().join(name))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn value(families: &[Family], name: &str, labels: &str) -> Option<f64> {
    families.iter().find(|family| family.name() == name)?.get(labels)
}

fn page(canary: &Canary) -> Vec<Family> {
    match canary.collect() {
        Ok(families) | Err(CollectError::Partly(families, _)) => families,
        Err(error) => panic!("{error:?}"),
    }
}

fn shows(canary: &Canary, name: &str, labels: &str, wanted: f64) {
    eventually(&format!("{name}{{{labels}}} {wanted}"), || {
        value(&page(canary), name, labels).is_some_and(|value| (value - wanted).abs() < 1e-9)
    });
}

const GOOD: &str = "{\"performance\": 0.8, \"samples\": 20}";
const BAD: &str = "{\"performance\": 0.6, \"samples\": 20}";

#[test]
fn from_the_first_result_to_a_failure_and_back() {
    let lab = Lab::new();
    lab.write("next.json", GOOD);
    let canary = lab.canary(&lab.counting("every = \"2s\"\ntimeout = \"60s\""));
    shows(&canary, "canary_set_performance", "", 0.8);
    shows(&canary, "canary_inconclusive", "reason=\"no_baseline\"", 1.0);
    assert_eq!(
        value(&page(&canary), "canary_set_performance_degradation", ""),
        None
    );
    assert!(lab.accept("ada").expect("accepted").is_new);
    shows(&canary, "canary_set_state", "state=\"pass\"", 1.0);
    lab.write("next.json", BAD);
    shows(&canary, "canary_set_state", "state=\"fail\"", 1.0);
    shows(&canary, "canary_set_performance_degradation", "", 0.25);
    let status = status(&lab.folder()).expect("a status");
    assert_eq!(
        (status.decision.state, status.decision.degradation),
        (State::Fail, Some(0.25))
    );
    lab.write("next.json", GOOD);
    shows(&canary, "canary_set_state", "state=\"pass\"", 1.0);
    assert!(value(&page(&canary), "canary_runs_total", "outcome=\"ok\"").expect("a count") >= 4.0);
    assert!(lab.history("decisions.jsonl") >= 4);
}

#[test]
fn a_first_failure_is_measured_again_at_once() {
    let lab = Lab::new();
    lab.write("next.json", GOOD);
    let settings = lab.counting("every = \"31d\"");
    let canary = lab.canary(&settings);
    shows(&canary, "canary_set_performance", "", 0.8);
    lab.accept("ada").expect("accepted");
    drop(canary);
    // The next run is due, since the last one is of no time that there was.
    fs::remove_file(lab.folder().join("result.json")).expect("remove");
    lab.write("next.json", BAD);
    let canary = lab.canary(&settings);
    shows(&canary, "canary_set_state", "state=\"fail\"", 1.0);
    assert_eq!(lab.runs(), 3);
}

#[test]
fn a_restart_goes_on_with_the_schedule() {
    let lab = Lab::new();
    lab.write("next.json", GOOD);
    let settings = lab.counting("every = \"1h\"");
    let canary = lab.canary(&settings);
    shows(&canary, "canary_set_performance", "", 0.8);
    drop(canary);
    let canary = lab.canary(&settings);
    shows(&canary, "canary_set_performance", "", 0.8);
    shows(&canary, "canary_runs_total", "outcome=\"ok\"", 0.0);
    drop(canary);
    assert_eq!(lab.runs(), 1);
    // A clock that was set back: the last run is in the future.
    let path = lab.folder().join("result.json");
    let text = fs::read_to_string(&path).expect("a file");
    let mut results: Results = serde_json::from_str(&text).expect("JSON");
    results.run.as_mut().expect("a run").started_at += 1e6;
    results.result.as_mut().expect("a result").timestamp += 1e6;
    fs::write(&path, serde_json::to_vec(&results).expect("JSON")).expect("write");
    let canary = lab.canary(&settings);
    shows(&canary, "canary_runs_total", "outcome=\"ok\"", 1.0);
    shows(&canary, "canary_inconclusive", "reason=\"from_the_future\"", 0.0);
    assert_eq!(lab.runs(), 2);
}

#[test]
fn a_failed_run_is_shown_and_not_repeated_by_restarts() {
    let lab = Lab::new();
    lab.write("canary.sh", "echo run >> runs\necho 'no GPU' >&2\nexit 1\n");
    let settings = lab.settings("command = [\"sh\", \"canary.sh\"]");
    let canary = lab.canary(&settings);
    shows(&canary, "canary_runs_total", "outcome=\"failed\"", 1.0);
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 1.0);
    drop(canary);
    let canary = lab.canary(&settings);
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 1.0);
    let decision = lab.decision().expect("a decision");
    assert!(
        decision
            .reasons
            .iter()
            .any(|reason| reason.text.ends_with("exit status: 1: no GPU")),
        "{decision:?}"
    );
    assert_eq!(decision.recommendation, "repair what runs the canary set");
    assert_eq!(lab.runs(), 1);
}

#[test]
fn one_command_runs_at_a_time_whoever_started_it() {
    let lab = Lab::new();
    let first = lab.canary(&lab.settings("command = [\"sleep\", \"1000\"]"));
    let is_locked = || Folder::new(&lab.folder()).lock().is_ok_and(|lock| lock.is_none());
    eventually("the command runs", is_locked);
    lab.write("next.json", GOOD);
    let impatient = lab.canary(&lab.counting("timeout = \"1s\""));
    shows(&impatient, "canary_runs_total", "outcome=\"not_started\"", 1.0);
    drop(impatient);
    fs::remove_file(lab.folder().join("result.json")).expect("remove");
    let second = lab.canary(&lab.counting(""));
    shows(&second, "canary_inconclusive", "reason=\"no_result\"", 1.0);
    assert_eq!(lab.runs(), 0);
    drop(first);
    shows(&second, "canary_runs_total", "outcome=\"ok\"", 1.0);
}

#[test]
fn a_file_of_results_is_read_as_it_changes() {
    let lab = Lab::new();
    let settings = lab.settings("results = \"results.json\"");
    let canary = lab.canary(&settings);
    shows(&canary, "canary_inconclusive", "reason=\"no_result\"", 1.0);
    lab.write("results.json", GOOD);
    shows(&canary, "canary_set_performance", "", 0.8);
    // One that is being written changes nothing.
    lab.write("results.json", "{\"performance\": 0.6, \"sam");
    std::thread::sleep(source::LATER + Duration::from_secs(1));
    shows(&canary, "canary_set_performance", "", 0.8);
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 0.0);
    lab.write("results.json", BAD);
    shows(&canary, "canary_set_performance", "", 0.6);
    shows(&canary, "canary_runs_total", "outcome=\"ok\"", 2.0);
    lab.write("results.json", "{\"performance\": Infinity}");
    shows(&canary, "canary_runs_total", "outcome=\"invalid\"", 1.0);
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 1.0);
    drop(canary);
    // A restart does not count what it reads again.
    let canary = lab.canary(&settings);
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 1.0);
    shows(&canary, "canary_runs_total", "outcome=\"invalid\"", 0.0);
    shows(&canary, "canary_set_performance", "", 0.6);
}

#[test]
fn a_file_of_results_that_cannot_be_opened_is_said() {
    let lab = Lab::new();
    let path = lab.path("results.json");
    std::os::unix::fs::symlink("results.json", &path).expect("a link to itself");
    let canary = lab.canary(&lab.settings("results = \"results.json\""));
    shows(&canary, "canary_inconclusive", "reason=\"run_failed\"", 1.0);
    shows(&canary, "canary_runs_total", "outcome=\"failed\"", 1.0);
    std::fs::remove_file(&path).expect("remove the link");
    lab.write("results.json", GOOD);
    shows(&canary, "canary_set_performance", "", 0.8);
    shows(&canary, "canary_runs_total", "outcome=\"failed\"", 1.0);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_record_only() {
    let lab = Lab::new();
    lab.write("canary", "a file");
    lab.write("next.json", GOOD);
    let canary = lab.canary(&lab.counting(""));
    shows(&canary, "canary_set_performance", "", 0.8);
    let Err(CollectError::Partly(_, error)) = canary.collect() else {
        panic!("no trouble");
    };
    assert!(error.to_string().contains("/canary/"), "{error}");
}

#[test]
fn a_full_disk_costs_the_record_only_and_is_made_good_later() {
    let lab = Lab::new();
    fs::create_dir(lab.folder()).expect("a folder");
    lab.write("results.json", GOOD);
    for name in ["result.json.new", "decision.json.new"] {
        std::os::unix::fs::symlink("/dev/full", lab.folder().join(name)).expect("a link");
    }
    let canary = lab.canary(&lab.settings("results = \"results.json\""));
    shows(&canary, "canary_set_performance", "", 0.8);
    assert!(matches!(canary.collect(), Err(CollectError::Partly(..))));
    for name in ["result.json.new", "decision.json.new"] {
        fs::remove_file(lab.folder().join(name)).expect("remove");
    }
    eventually("the record", || {
        lab.decision().is_some() && canary.collect().is_ok()
    });
    assert!(
        Folder::new(&lab.folder())
            .results()
            .expect("results")
            .result
            .is_some()
    );
}

#[test]
fn a_newer_checkpoint_makes_a_result_old() {
    let lab = Lab::new();
    lab.write("results.json", GOOD);
    let canary = lab.canary(&lab.settings("results = \"results.json\""));
    eventually("a decision", || lab.causes() == [Cause::NoBaseline]);
    lab.newest.set(Some(Checkpoint {
        step: Some(1300),
        timestamp: Some(now() + 1.0),
        ..Checkpoint::default()
    }));
    eventually("it is old", || {
        lab.causes() == [Cause::NoBaseline, Cause::OlderThanCheckpoint]
    });
    let error = lab.accept("ada").expect_err("old");
    assert!(
        error
            .to_string()
            .contains("older than the newest checkpoint, the checkpoint of step 1300"),
        "{error}"
    );
    let forced = Acceptance {
        who: "ada",
        why: "the checkpoint is a copy",
        force: true,
    };
    let accepted = accept_baseline(&lab.folder(), forced).expect("forced");
    assert_eq!(accepted.overruled.len(), 1);
    shows(&canary, "canary_inconclusive", "reason=\"no_baseline\"", 0.0);
    shows(
        &canary,
        "canary_inconclusive",
        "reason=\"older_than_checkpoint\"",
        1.0,
    );
}

#[test]
fn a_baseline_is_accepted_once_and_the_earlier_ones_are_kept() {
    let lab = Lab::new();
    let error = lab.accept("ada").expect_err("nothing there");
    assert!(error.to_string().contains("there is no decision.json"), "{error}");
    let settings = lab.settings("results = \"results.json\"");
    let canary = lab.canary(&settings);
    eventually("a decision", || lab.decision().is_some());
    let error = lab.accept("ada").expect_err("no result");
    assert!(error.to_string().contains("there is no result yet"), "{error}");
    assert!(
        lab.accept(" ")
            .expect_err("nobody")
            .to_string()
            .starts_with("who: ")
    );
    lab.write("results.json", GOOD);
    shows(&canary, "canary_set_performance", "", 0.8);
    let first = lab.accept("ada").expect("accepted");
    assert!(first.is_new && first.replaced.is_none());
    let again = lab.accept("bob").expect("accepted");
    assert!(!again.is_new);
    assert_eq!(
        (again.baseline, lab.history("baselines.jsonl")),
        (first.baseline.clone(), 1)
    );
    lab.write("results.json", BAD);
    shows(&canary, "canary_set_performance", "", 0.6);
    let second = lab.accept("bob").expect("accepted");
    assert_eq!(
        (second.replaced, lab.history("baselines.jsonl")),
        (Some(first.baseline), 2)
    );
    shows(&canary, "canary_set_baseline", "", 0.6);
    shows(&canary, "canary_set_state", "state=\"pass\"", 1.0);
}

#[test]
fn a_baseline_that_was_changed_is_refused_until_another_is_accepted() {
    let lab = Lab::new();
    lab.write("results.json", GOOD);
    let canary = lab.canary(&lab.settings("results = \"results.json\""));
    shows(&canary, "canary_set_performance", "", 0.8);
    lab.accept("ada").expect("accepted");
    shows(&canary, "canary_set_state", "state=\"pass\"", 1.0);
    let path = lab.folder().join("baseline.json");
    let text = fs::read_to_string(&path).expect("a baseline");
    fs::write(&path, text.replace("0.8", "0.5")).expect("write");
    shows(&canary, "canary_inconclusive", "reason=\"baseline_changed\"", 1.0);
    assert_eq!(value(&page(&canary), "canary_set_baseline", ""), None);
    assert!(lab.accept("ada").expect("accepted").is_new);
    shows(&canary, "canary_set_state", "state=\"pass\"", 1.0);
}

#[test]
fn a_status_grows_old_without_an_exporter() {
    let lab = Lab::new();
    lab.write(
        "results.json",
        &format!(
            "{{\"performance\": 0.8, \"samples\": 9, \"timestamp\": {}}}",
            now() - 7100.0
        ),
    );
    let canary = lab.canary(&lab.settings("results = \"results.json\""));
    eventually("a decision", || lab.causes() == [Cause::NoBaseline]);
    lab.accept("ada").expect("accepted");
    drop(canary);
    assert_eq!(
        status(&lab.folder()).expect("a status").decision.state,
        State::Pass
    );
    let path = lab.folder().join("result.json");
    let mut results: Results =
        serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    results.result.as_mut().expect("a result").timestamp -= 200.0;
    fs::write(&path, serde_json::to_vec(&results).expect("JSON")).expect("write");
    let status = status(&lab.folder()).expect("a status");
    assert!(status.decision.has(Cause::Stale), "{status:?}");
}

#[test]
fn torn_files_of_the_folder_are_no_end() {
    let lab = Lab::new();
    fs::create_dir(lab.folder()).expect("a folder");
    for name in ["result.json", "decision.json", "baseline.json"] {
        fs::write(lab.folder().join(name), "{\"half\":").expect("write");
    }
    let error = status(&lab.folder()).expect_err("half a decision");
    assert!(
        format!("{error:#}").contains("restart training-exporter"),
        "{error:#}"
    );
    lab.write("next.json", GOOD);
    let canary = lab.canary(&lab.counting(""));
    shows(&canary, "canary_set_performance", "", 0.8);
    shows(&canary, "canary_inconclusive", "reason=\"baseline_changed\"", 1.0);
    assert!(lab.decision().is_some());
}

#[test]
fn settings_change_without_a_restart() {
    let lab = Lab::new();
    lab.write("next.json", GOOD);
    let canary = lab.canary(&lab.settings("command = [\"sleep\", \"1000\"]"));
    let is_locked = || Folder::new(&lab.folder()).lock().is_ok_and(|lock| lock.is_none());
    eventually("the command runs", is_locked);
    canary.apply(Some(lab.counting(""))).expect("a thread");
    shows(&canary, "canary_set_performance", "", 0.8);
    canary.apply(None).expect("no thread");
    assert!(matches!(canary.collect(), Err(CollectError::Absent(_))));
}

#[test]
fn who_only_looks_runs_and_writes_nothing() {
    let lab = Lab::new();
    lab.write("next.json", GOOD);
    lab.write("results.json", GOOD);
    let errors = ReadErrors::new(&Instruments::new()).expect("new");
    let canary = Canary::new(NewestCheckpoint::default(), &errors, true);
    canary.apply(Some(lab.counting(""))).expect("looked");
    assert_eq!(
        value(&page(&canary), "canary_inconclusive", "reason=\"no_result\""),
        Some(1.0)
    );
    canary
        .apply(Some(lab.settings("results = \"results.json\"")))
        .expect("looked");
    assert_eq!(value(&page(&canary), "canary_set_performance", ""), Some(0.8));
    assert!(lab.runs() == 0 && !Path::new(&lab.folder()).exists());
}
