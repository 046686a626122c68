//! Dashboards: their place, their sources, their links, and the metrics that they and the rules ask for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;
use serde_yaml_ng::Value;

use crate::files::{files, list, read, root, rules, stem, text, yaml};
use crate::promql::metrics;

fn dashboards() -> Vec<PathBuf> {
    files(&root().join("grafana/dashboards"), ".json")
}

fn dashboard(path: &Path) -> serde_json::Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("parse {}: {error}", path.display()))
}

/// Every value of `key` at any depth.
fn every<'a>(value: &'a serde_json::Value, key: &str) -> Vec<&'a serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => {
            let inner = map.values().flat_map(|value| every(value, key));
            map.get(key).into_iter().chain(inner).collect()
        }
        serde_json::Value::Array(items) => items.iter().flat_map(|item| every(item, key)).collect(),
        _ => Vec::new(),
    }
}

fn queries(dashboard: &serde_json::Value) -> Vec<String> {
    every(dashboard, "expr")
        .into_iter()
        .filter_map(|expr| expr.as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboards_are_where_their_uid_says_and_ask_provisioned_sources() {
    let provisioned: Vec<Value> = files(&root().join("grafana/provisioning/datasources"), ".yml")
        .iter()
        .map(|path| yaml(path))
        .collect();
    let sources: Vec<&str> = provisioned
        .iter()
        .flat_map(|file| list(file, "datasources"))
        .map(|source| text(source, "uid"))
        .collect();
    let once: BTreeSet<&&str> = sources.iter().collect();
    assert_eq!(once.len(), sources.len(), "two sources have one uid: {sources:?}");
    for path in dashboards() {
        let dashboard = dashboard(&path);
        assert_eq!(dashboard["uid"], json!(stem(&path)), "{}", path.display());
        assert!(!queries(&dashboard).is_empty(), "{} asks nothing", path.display());
        for source in every(&dashboard, "datasource") {
            let uid = source["uid"].as_str().unwrap_or_default();
            assert!(
                sources.contains(&uid),
                "{}: nobody provisions the source {source}",
                path.display()
            );
        }
        let panels = dashboard["panels"].as_array().expect("panels");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let words = panel["description"].as_str().unwrap_or_default();
            assert!(
                !words.is_empty(),
                "{}: panel {} has no description",
                path.display(),
                panel["title"]
            );
        }
    }
}

#[test]
fn dashboards_link_runbooks_that_exist() {
    for path in dashboards() {
        let dashboard = dashboard(&path);
        let links: Vec<&str> = every(&dashboard, "url")
            .into_iter()
            .filter_map(|url| url.as_str())
            .collect();
        let runbooks: Vec<&&str> = links
            .iter()
            .filter(|url| url.contains("docs/runbooks/"))
            .collect();
        assert!(!runbooks.is_empty(), "{} links no runbook", path.display());
        for url in runbooks {
            assert!(
                root().join(url).is_file(),
                "{}: {url} does not exist",
                path.display()
            );
        }
    }
}

#[test]
fn every_metric_in_use_is_documented() {
    let document = read(&root().join("docs/metrics.md"));
    let documented: BTreeSet<&str> = document.split('`').skip(1).step_by(2).collect();
    let is_known = |metric: &str| {
        let others = ["up", "ALERTS", "ALERTS_FOR_STATE"].contains(&metric) || metric.starts_with("node_");
        let health = [
            "_build_info",
            "_collector_success",
            "_collector_last_success_timestamp_seconds",
        ];
        let of_a_histogram = ["_bucket", "_count", "_sum"]
            .iter()
            .filter_map(|ending| metric.strip_suffix(ending))
            .any(|name| documented.contains(name));
        others
            || of_a_histogram
            || documented.contains(metric)
            || health.iter().any(|ending| metric.ends_with(ending))
    };
    let mut expressions: Vec<String> = rules().iter().map(|rule| text(rule, "expr").to_owned()).collect();
    for path in dashboards() {
        expressions.extend(queries(&dashboard(&path)));
    }
    for expression in expressions {
        for metric in metrics(&expression) {
            assert!(
                is_known(&metric),
                "docs/metrics.md does not know {metric}, which is used in\n{expression}"
            );
        }
    }
}
