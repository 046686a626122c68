//! Runbooks and the list of alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::files::{alerts, files, read, root, severity, stem};

#[test]
fn runbooks_and_alerts_are_one_to_one() {
    let runbooks: BTreeSet<String> = files(&root().join("docs/runbooks"), ".md")
        .iter()
        .map(|path| stem(path))
        .collect();
    assert_eq!(runbooks, alerts().into_keys().collect());
}

#[test]
fn the_list_of_alerts_agrees_with_the_rules() {
    let document = read(&root().join("docs/alerting.md"));
    let listed: BTreeMap<&str, &str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ["))
        .filter_map(|line| Some((line.split_once(']')?.0, line.split('|').nth(1)?.trim())))
        .collect();
    let alerts = alerts();
    let defined: BTreeMap<&str, String> = alerts
        .iter()
        .map(|(name, rules)| {
            let severities: Vec<&str> = rules.iter().map(severity).collect();
            (name.as_str(), severities.join(", "))
        })
        .collect();
    assert_eq!(
        listed,
        defined
            .iter()
            .map(|(name, severities)| (*name, severities.as_str()))
            .collect()
    );
}

/// Type and labels of each metric that docs/metrics.md lists.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let quoted = |cell: &str| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut metrics = BTreeMap::new();
    for line in read(&root().join("docs/metrics.md")).lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [
            names,
            kind @ ("gauge" | "counter" | "histogram"),
            _unit,
            labels,
            _meaning,
        ] = cells[..]
        {
            let labels: BTreeSet<String> = quoted(labels).into_iter().collect();
            metrics.extend(
                quoted(names)
                    .into_iter()
                    .map(|name| (name, (kind.to_owned(), labels.clone()))),
            );
        }
    }
    metrics
}

#[test]
fn exporters_publish_what_is_documented() {
    let documented = documented();
    let mut published = BTreeSet::new();
    let is_golden = |path: &PathBuf| {
        path.parent()
            .is_some_and(|folder| folder.ends_with("tests/golden"))
    };
    for path in files(&root().join("crates"), ".prom")
        .into_iter()
        .filter(is_golden)
    {
        let page = read(&path);
        let exporter = path
            .ancestors()
            .nth(3)
            .map(stem)
            .expect("<exporter>/tests/golden/<page>")
            .replace('-', "_");
        for (name, kind) in page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        {
            let general = name.replacen(&exporter, "<name>", 1);
            let known = documented.get(name).or_else(|| documented.get(&general));
            let (documented_kind, labels) =
                known.unwrap_or_else(|| panic!("docs/metrics.md lacks {name} of {}", path.display()));
            assert_eq!(
                documented_kind,
                kind,
                "type of {name} in docs/metrics.md and {}",
                path.display()
            );
            let samples = page
                .lines()
                .filter(|line| line.split(['{', ' ']).next() == Some(name));
            for found in samples.map(label_names) {
                assert_eq!(
                    labels,
                    &found,
                    "labels of {name} in docs/metrics.md and {}",
                    path.display()
                );
            }
            published.insert(name.to_owned());
        }
    }
    assert!(published.len() > 20, "golden pages hold only {published:?}");
}

/// The label names of a line of the text format, whose label values may hold anything in quotes.
fn label_names(sample: &str) -> BTreeSet<String> {
    let outside_quotes = sample
        .replace("\\\"", "")
        .split('"')
        .step_by(2)
        .collect::<String>();
    let labels = outside_quotes
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let names = labels.into_iter().flat_map(|(labels, _)| labels.split(','));
    names
        .filter_map(|label| label.strip_suffix('='))
        .map(str::to_owned)
        .collect()
}
