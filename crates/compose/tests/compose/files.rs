//! Files on disk, for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compose::{Error, Project};

/// A file of that text, read with the variables.
pub(crate) fn load(text: &[u8], variables: &[(&str, &str)]) -> Result<Project, Error> {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("compose.yaml");
    std::fs::write(&file, text).expect("there is room");
    compose::load(&file, &environment(variables))
}

/// What is wrong with that text, a line for each problem, and without the file's name.
pub(crate) fn problems(text: &[u8]) -> Vec<String> {
    let error = load(text, &[]).expect_err("the file is broken");
    let text = |problem: &compose::Problem| {
        let line = problem.line.map_or_else(String::new, |line| format!("{line}: "));
        let path = if problem.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", problem.path)
        };
        format!("{line}{path}{}", problem.message)
    };
    error.problems().iter().map(text).collect()
}

/// Variables by name.
pub(crate) fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The variables of the fixtures.
pub(crate) fn variables() -> BTreeMap<String, String> {
    environment(&[
        ("GIVEN", "given"),
        ("EMPTY", ""),
        ("lower_case", "lower"),
        ("HOME", "/home/somebody"),
    ])
}

/// The files of `tests/fixtures`.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(folder).expect("the fixtures are readable");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a fixture is readable").path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
}

/// The file of the stack.
pub(crate) fn stack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/compose.yaml")
}
