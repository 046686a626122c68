//! The canary set's part of the page for each folder of fixtures, as `--once` prints it.

use std::fs;
use std::path::Path;
use std::process::Command;

use exporter::testing::{assert_golden, lint};

use crate::lab::page;

/// As old as the copy of the fixture; the page keeps the series.
const VOLATILE: &str = "canary_last_run_timestamp_seconds ";

fn check(name: &str) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let place = tempfile::tempdir().expect("a folder");
    let fixture = home.join("fixtures/canary").join(name);
    let copied = Command::new("cp")
        .arg("-r")
        .arg(fixture)
        .arg(place.path())
        .status();
    assert!(copied.expect("run cp").success());
    let folder = place.path().join(name);
    let before = listing(&folder);
    let page = page(&folder, &place.path().join("data"));
    assert_eq!(listing(&folder), before, "who only looks writes nothing");
    lint(&page, &[]);
    let shown: String = page
        .lines()
        .filter(|line| {
            line.trim_start_matches("# HELP ")
                .trim_start_matches("# TYPE ")
                .starts_with("canary_")
        })
        .map(|line| {
            let masked = line.strip_prefix(VOLATILE).map(|_| format!("{VOLATILE}*"));
            masked.unwrap_or_else(|| line.to_owned()) + "\n"
        })
        .collect();
    assert_golden(&shown, &home.join(format!("golden/canary-{name}.prom")));
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = [folder.to_owned(), folder.join("canary")];
    let entries = entries
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn before_the_first_result() {
    check("nothing");
}

#[test]
fn a_first_result_of_too_few_samples() {
    check("first");
}

#[test]
fn nearly_as_good_as_the_baseline() {
    check("pass");
}

#[test]
fn a_loss_that_is_worse_within_the_limit() {
    check("loss");
}

#[test]
fn a_second_result_beyond_the_limit() {
    check("fail");
}

#[test]
fn a_baseline_that_was_changed() {
    check("changed");
}
