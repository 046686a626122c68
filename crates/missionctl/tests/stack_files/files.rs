//! The files under test, and the programs that read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml_ng::Value;

use crate::SEVERITIES;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

pub(crate) fn yaml(path: &Path) -> Value {
    let mut value: Value = serde_yaml_ng::from_str(&read(path))
        .unwrap_or_else(|error| panic!("parse {}: {error}", path.display()));
    value.apply_merge().expect("merge keys");
    value
}

/// The files with this ending below a folder, sorted. There must be some, else a test would pass over nothing.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no *{ending} below {}", folder.display());
    found.sort();
    found
}

pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().expect("a file").to_string_lossy().into_owned()
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_sequence).into_iter().flatten()
}

/// What the program said; it must have succeeded.
pub(crate) fn run(program: &str, folder: &Path, arguments: &[&str]) -> String {
    let output = match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            panic!("{program} is not on PATH: run `make test`")
        }
        Err(error) => panic!("run {program}: {error}"),
    };
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(
        output.status.success(),
        "{program} {}:\n{said}",
        arguments.join(" ")
    );
    said
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create folder");
    for path in files(from, "") {
        let target = to.join(path.strip_prefix(from).expect("below"));
        fs::create_dir_all(target.parent().expect("parent")).expect("create folder");
        fs::copy(&path, &target).expect("copy");
    }
}

/// The rules of all rule files.
pub(crate) fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for path in files(&root().join("prometheus/rules"), ".yml") {
        let file = yaml(&path);
        rules.extend(
            list(&file, "groups")
                .flat_map(|group| list(group, "rules"))
                .cloned(),
        );
    }
    rules
}

/// The alerting rules by name. Rules share a name when they tell the same thing in different severities, worst first.
pub(crate) fn alerts() -> BTreeMap<String, Vec<Value>> {
    let mut alerts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for rule in rules().into_iter().filter(|rule| rule.get("alert").is_some()) {
        alerts
            .entry(text(&rule, "alert").to_owned())
            .or_default()
            .push(rule);
    }
    for (name, rules) in &mut alerts {
        rules.sort_by_key(|rule| SEVERITIES.iter().position(|known| *known == severity(rule)));
        let is_same = |pair: &[Value]| severity(&pair[0]) == severity(&pair[1]);
        assert!(
            !rules.windows(2).any(is_same),
            "two rules of one severity are called {name}"
        );
    }
    alerts
}

/// The severity of an alerting rule, empty when it has none.
pub(crate) fn severity(rule: &Value) -> &str {
    rule.get("labels")
        .map(|labels| text(labels, "severity"))
        .unwrap_or_default()
}

pub(crate) fn alertmanager() -> PathBuf {
    root().join("alertmanager")
}
