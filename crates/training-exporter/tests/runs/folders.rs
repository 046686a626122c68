//! How runs are found, and what happens to files that are not what they should be.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use exporter::testing::value;

use crate::lab::{Lab, eventually, of, of_tag, set_times, state};

const ENTRIES: &str = "{\"step\": 1, \"loss\": 2.0}\n{\"step\": 2, \"loss\": 1.5}\n";

fn success(page: &str) -> Option<f64> {
    value(page, "training_exporter_collector_success{collector=\"runs\"}")
}

fn errors(page: &str, source: &str, reason: &str) -> Option<f64> {
    value(
        page,
        &format!("training_read_errors_total{{reason=\"{reason}\",source=\"{source}\"}}"),
    )
}

/// The names of the runs on a page.
fn runs(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("training_run_info{run=\"")?.split('"').next())
        .collect()
}

#[test]
fn runs_are_named_after_their_folders() {
    let lab = Lab::new();
    for name in ["a/log.jsonl", "b/c/log.jsonl", "cet/log.jsonl", "log.jsonl"] {
        lab.write(name, ENTRIES);
    }
    let page = lab.once();
    assert_eq!(runs(&page), ["a", "b/c", "runs", "runs/cet"]);
    assert_eq!(of(&page, "training_step", "b/c"), Some(2.0));
}

#[test]
fn event_files_of_huggingface_belong_to_its_output_folder() {
    let lab = Lab::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs/folders");
    let take = |from: &str, to: &str| {
        lab.write(to, fs::read(fixtures.join(from)).expect("a fixture"));
    };
    lab.configure("runs = [\"runs\"]\nexpire = \"10000d\"\n");
    let events = "events.out.tfevents.1795381477.lab.23472.0";
    let time = "runs/Nov22_21-04-37_lab";
    take(
        &format!("huggingface/{time}/{events}"),
        &format!("out/{time}/{events}"),
    );
    // As torch does by itself.
    let torch = "events.out.tfevents.1795381465.lab.23368.0";
    take(
        &format!("torch/{torch}"),
        &format!("own/runs/Nov22_20-00-00_lab/{torch}"),
    );
    let names = ["out", "own/runs/Nov22_20-00-00_lab"];
    assert_eq!(runs(&lab.once()), names);
    take(
        "huggingface/checkpoint-30/trainer_state.json",
        "out/checkpoint-30/trainer_state.json",
    );
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_381_477);
    set_times(&lab.run("out"), written);
    let page = lab.once();
    assert_eq!(runs(&page), ["out", "out", names[1]]);
    assert_eq!(state(&page, "out"), Some("finished"));
}

#[test]
fn several_folders_are_told_apart() {
    let lab = Lab::new();
    lab.write("one/runs/x/log.jsonl", ENTRIES);
    lab.write("two/x/log.jsonl", ENTRIES);
    lab.configure("runs = [\"runs/one/runs\", \"runs/two\", \"runs/none\"]\n");
    let page = lab.once();
    assert_eq!(runs(&page), ["runs/x", "two/x"]);
    assert_eq!(success(&page), Some(0.0), "one of the folders is missing");
}

#[test]
fn files_of_other_things_are_left_alone() {
    let lab = Lab::new();
    lab.write(
        "data/train.jsonl",
        "{\"prompt\": \"2 + 2\", \"completion\": \"4\"}\n".repeat(30_000),
    );
    lab.write("data/prices.csv", "name,price\nx,1\n");
    lab.write("data/notes.jsonl", "no JSON\n".repeat(100));
    lab.write("data/log_1.txt", "a log\n".repeat(100));
    lab.write("data/.hidden/log.jsonl", ENTRIES);
    let page = lab.once();
    assert_eq!(runs(&page), [""; 0]);
    assert_eq!(errors(&page, "jsonl", "invalid"), Some(0.0));
    assert_eq!(success(&page), Some(1.0));
}

#[test]
fn a_log_is_found_among_data() {
    let lab = Lab::new();
    for shard in 0..20 {
        lab.write(
            &format!("a/data-{shard}.jsonl"),
            "{\"text\": \"a\"}\n".repeat(9000),
        );
    }
    lab.write("a/trainer_log.jsonl", ENTRIES);
    lab.write("jobs/jobs.jsonl", "{\"job\": \"a\", \"status\": \"done\"}\n");
    let page = lab.once();
    assert_eq!(runs(&page), ["a"]);
    assert_eq!(state(&page, "a"), Some("running"));
}

#[test]
fn a_folder_inside_of_another_is_read_once() {
    let lab = Lab::new();
    lab.write("a/b/log.jsonl", format!("{ENTRIES}broken\n"));
    lab.configure("runs = [\"runs\", \"runs/a\"]\n");
    let running = lab.start();
    eventually(&running, "the run", |page| runs(page) == ["a/b"]);
    let page = running.metrics();
    assert_eq!(errors(&page, "jsonl", "invalid"), Some(1.0));
}

#[test]
fn of_too_many_folders_the_upper_and_the_last_are_searched() {
    let lab = Lab::new();
    for folder in 0..5001 {
        fs::create_dir_all(lab.run(&format!("2025-{folder:04}/below"))).expect("create");
    }
    lab.write("2026-01/log.jsonl", ENTRIES);
    let page = lab.once();
    assert_eq!(runs(&page), ["2026-01"]);
    assert_eq!(value(&page, "training_runs_dropped"), Some(5001.0));
}

#[test]
fn what_was_written_long_ago_is_stalled_whatever_it_holds() {
    let lab = Lab::new();
    // Nothing but the head of an event file.
    let head = fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/runs/folders/torch/events.out.tfevents.1795381465.lab.23368.0"),
    )
    .expect("a fixture");
    lab.write("a/events.out.tfevents.1795381465.elsewhere.1.0", &head[..40]);
    assert_eq!(state(&lab.once(), "a"), Some("running"));
    set_times(&lab.run("a"), SystemTime::now() - Duration::from_hours(2));
    assert_eq!(state(&lab.once(), "a"), Some("stalled"));
}

#[test]
fn what_two_sources_say_is_counted_once() {
    let lab = Lab::new();
    let entries = "{\"step\": 1, \"loss\": NaN}, {\"step\": 2, \"loss\": 0.5}";
    lab.write(
        "a/trainer_log.jsonl",
        format!("\u{feff}{}\n", entries.replace("}, ", "}\n")),
    );
    lab.write(
        "a/checkpoint-2/trainer_state.json",
        format!("{{\"global_step\": 2, \"log_history\": [{entries}]}}"),
    );
    let page = lab.once();
    assert_eq!(runs(&page), ["a", "a"]);
    assert_eq!(of_tag(&page, "training_nonfinite_total", "a", "loss"), Some(1.0));
    assert_eq!(of_tag(&page, "training_scalar", "a", "loss"), Some(0.5));
}

#[test]
fn a_long_log_is_read_to_its_end() {
    let lab = Lab::new();
    let text = "x".repeat(1_000_000);
    let line = |step| format!("{{\"step\": {step}, \"loss\": 1, \"text\": \"{text}\"}}");
    let log = (1..20).map(line).collect::<Vec<_>>().join("\n") + "\n";
    lab.write("a/log.jsonl", log);
    let running = lab.start();
    let page = eventually(&running, "its state", |page| state(page, "a").is_some());
    assert_eq!(of(&page, "training_step", "a"), Some(19.0));
}

#[test]
fn a_history_that_is_too_large_holds_nothing_up() {
    let lab = Lab::new();
    lab.write("a/log.jsonl", ENTRIES);
    let state_file = lab.write("b/checkpoint-1/trainer_state.json", "");
    fs::File::options()
        .write(true)
        .open(state_file)
        .expect("open")
        .set_len(33 * 1024 * 1024)
        .expect("make it large");
    let page = lab.once();
    assert_eq!(errors(&page, "huggingface", "too_large"), Some(1.0));
    assert_eq!(state(&page, "a"), Some("running"));
}

#[test]
fn links_lead_nowhere() {
    let lab = Lab::new();
    lab.write("a/log.jsonl", ENTRIES);
    symlink(lab.run(""), lab.run("a/up")).expect("link");
    symlink(lab.run("a"), lab.run("latest")).expect("link");
    symlink("/", lab.run("root")).expect("link");
    assert_eq!(runs(&lab.once()), ["a"]);
}

#[test]
fn a_run_expires_unless_its_process_is_there() {
    let lab = Lab::new();
    for name in ["old", "held"] {
        lab.write(&format!("{name}/log.jsonl"), ENTRIES);
    }
    lab.write("held/pid", std::process::id().to_string());
    let now = SystemTime::now();
    set_times(&lab.run(""), now - Duration::from_hours(25));
    // A process that started after its file is another one.
    fs::File::open(lab.run("held/pid"))
        .expect("open")
        .set_modified(now)
        .expect("set");
    set_times(&lab.run("old"), now - Duration::from_hours(25));
    lab.write("new/log.jsonl", ENTRIES);
    assert_eq!(runs(&lab.once()), ["held", "new"]);
    lab.configure("runs = [\"runs\"]\nexpire = \"26h\"\n");
    assert_eq!(runs(&lab.once()), ["held", "new", "old"]);
}

#[test]
fn too_many_runs_and_tags_are_counted() {
    let lab = Lab::new();
    for run in 0..203 {
        lab.write(&format!("{run}/log.jsonl"), ENTRIES);
    }
    let tags: Vec<String> = (0..150).map(|tag| format!("\"t{tag}\": 1")).collect();
    lab.write("0/log.jsonl", format!("{{\"step\": 1, {}}}\n", tags.join(", ")));
    let page = lab.once();
    assert_eq!(runs(&page).len(), 200);
    assert_eq!(value(&page, "training_runs_dropped"), Some(3.0));
    assert_eq!(of(&page, "training_scalars_dropped_total", "0"), Some(50.0));
}

#[test]
fn a_broken_file_hides_nothing() {
    let lab = Lab::new();
    lab.write("good/log.jsonl", ENTRIES);
    lab.write(
        "bad/log.jsonl",
        format!("{ENTRIES}no JSON\n{{\"step\": 3, \"loss\": Infinity}}\n{{\"torn\": "),
    );
    lab.write("bad/events.out.tfevents.1795381465.host", [7; 5000]);
    lab.write("bad/trainer_state.json", "{\"log_history\": [[]]}");
    lab.write("bad/metrics.csv", "step,loss\n1,2,3\n1,2\n1,2,3\n");
    fs::create_dir_all(lab.run("bad/checkpoint-5/trainer_state.json")).expect("create");
    let page = lab.once();
    assert_eq!(runs(&page), ["bad", "bad", "bad", "bad", "good"]);
    assert_eq!(of(&page, "training_step", "good"), Some(2.0));
    assert_eq!(
        of_tag(&page, "training_nonfinite_total", "bad", "loss"),
        Some(1.0)
    );
    for (source, reason, count) in [
        ("jsonl", "invalid", 1.0),
        ("tensorboard", "crc", 1.0),
        ("huggingface", "invalid", 1.0),
        ("csv", "invalid", 1.0),
    ] {
        assert_eq!(errors(&page, source, reason), Some(count), "{source} {reason}");
    }
}

#[test]
fn a_trainers_words_are_believed() {
    let lab = Lab::new();
    for (name, line) in [
        (
            "evaluating",
            "{\"step\": 3, \"loss\": 1, \"state\": \"evaluating\"}",
        ),
        ("finished", "{\"step\": 3, \"state\": \"finished\"}"),
        (
            "last-step",
            "{\"current_steps\": 9, \"total_steps\": 9, \"loss\": 1}",
        ),
        ("crashed", "{\"step\": 3, \"loss\": 1, \"pid\": 2147483647}"),
        (
            "elsewhere",
            "{\"step\": 3, \"loss\": 1, \"pid\": 2147483647, \"host\": \"no.such.host\"}",
        ),
        ("running", "{\"step\": 3, \"loss\": 1, \"state\": \"running\"}"),
        ("marked", "{\"step\": 3, \"loss\": 1}"),
    ] {
        lab.write(&format!("{name}/log.jsonl"), format!("{ENTRIES}{line}\n"));
    }
    lab.write("marked/finished", "");
    let page = lab.once();
    for (run, expected) in [
        ("evaluating", "evaluating"),
        ("finished", "finished"),
        ("last-step", "finished"),
        ("crashed", "crashed"),
        ("elsewhere", "running"),
        ("running", "running"),
        ("marked", "finished"),
    ] {
        assert_eq!(state(&page, run), Some(expected), "{run}");
    }
}

#[test]
fn a_log_that_is_written_anew_is_counted_once() {
    let lab = Lab::new();
    let rows = "1,nan\n2,nan\n3,0.5\n";
    lab.write("a/metrics.csv", format!("step,loss\n{rows}"));
    let running = lab.start();
    let nonfinite = |page: &str| of_tag(page, "training_nonfinite_total", "a", "loss");
    eventually(&running, "two numbers that are none", |page| {
        nonfinite(page) == Some(2.0)
    });
    lab.write(
        "a/metrics.csv",
        "step,loss,val_loss\n1,nan,\n2,nan,\n3,0.5,\n4,nan,\n4,,0.25\n",
    );
    let page = eventually(&running, "the new column", |page| {
        of_tag(page, "training_scalar", "a", "val_loss") == Some(0.25)
    });
    assert_eq!(nonfinite(&page), Some(3.0));
    assert_eq!(of(&page, "training_step", "a"), Some(4.0));
    // Another run takes the place, whose loss is not to be held to the one before.
    lab.write("a/metrics.csv", "step,loss\n1,inf\n2,9\n");
    let page = eventually(&running, "the other run", |page| nonfinite(page) == Some(4.0));
    assert_eq!(of(&page, "training_loss_divergence_ratio", "a"), Some(1.0));
    assert_eq!(of_tag(&page, "training_scalar", "a", "val_loss"), None);
}

#[test]
fn runs_come_and_go_and_the_configuration_is_read_again() {
    let lab = Lab::new();
    let running = lab.start();
    assert_eq!(runs(&running.metrics()), [""; 0]);
    lab.write("a/log.jsonl", ENTRIES);
    eventually(&running, "a new run", |page| runs(page) == ["a"]);
    fs::remove_dir_all(lab.run("a")).expect("remove");
    eventually(&running, "no run", |page| runs(page).is_empty());
    lab.write("b/c/log.jsonl", ENTRIES);
    lab.configure("runs = [\"runs/b\"]\n");
    running.signal(rustix::process::Signal::HUP);
    eventually(&running, "the other folder", |page| runs(page) == ["c"]);
}
