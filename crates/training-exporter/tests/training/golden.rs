//! The whole page for each folder of fixtures, as `--once` prints it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use exporter::testing::{assert_golden, lint, once};

use crate::lab::PROGRAM;

/// Names that the public contract fixes.
const CONTRACT: [&str; 1] = ["cet_training_last_update_timestamp"];

/// The page with the files of a folder, written at a fixed time.
fn page(folder: &str) -> String {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = home.join("tests/fixtures").join(folder);
    let data = tempfile::tempdir().expect("a folder");
    // A copy, since the time at which it was written is on the page.
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(&folder)
        .arg(data.path())
        .status();
    assert!(copied.expect("run cp").success());
    let lab = data.path().join(folder.file_name().expect("a name"));
    if let Ok(file) = File::options().append(true).open(lab.join("latest_metrics.json")) {
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_800_000))
            .expect("set the time");
    }
    once(
        PROGRAM,
        &[
            &format!("--config.file={}", lab.join("training.toml").display()),
            &format!("--storage.path={}", data.path().join("data").display()),
        ],
    )
}

fn check(folder: &str) {
    let page = page(folder);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{folder}.prom"));
    assert_golden(&page, &golden);
    lint(&page, &CONTRACT);
}

#[test]
fn all_fields_and_an_orchestra() {
    check("whole");
}

#[test]
fn only_the_fields_of_the_first_description() {
    check("bare");
}

#[test]
fn numbers_that_are_none() {
    check("nonfinite");
}

#[test]
fn wrong_fields_and_lines() {
    check("wrong");
}

#[test]
fn nothing_to_watch() {
    let data = tempfile::tempdir().expect("a folder");
    let storage = format!("--storage.path={}", data.path().join("data").display());
    let page = once(PROGRAM, &[&storage]);
    assert_golden(
        &page,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/nothing.prom"),
    );
    lint(&page, &[]);
    assert!(
        !data.path().join("data").exists(),
        "who only looks writes nothing"
    );
}
