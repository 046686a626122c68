//! Configuration, rules and their tests.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use serde_yaml_ng::Value;

use crate::files::{alerts, copy, files, list, root, rules, run, severity, text, yaml};
use crate::{ANNOTATIONS, SEVERITIES, WATCHDOG};

#[test]
fn prometheus_takes_the_configuration_as_missionctl_renders_it() {
    let folder = tempfile::tempdir().expect("folder");
    copy(&root().join("prometheus"), folder.path());
    let targets = json!([{"targets": ["127.0.0.1:9401"], "labels": {"machine": "alienware"}}]).to_string();
    fs::create_dir(folder.path().join("targets")).expect("create folder");
    let config = yaml(&folder.path().join("prometheus.yml"));
    for job in list(&config, "scrape_configs") {
        let name = text(job, "job_name");
        fs::write(folder.path().join(format!("targets/{name}.json")), &targets).expect("write targets");
    }
    let limits = "groups: [{name: inventory, rules: [{record: 'mission:load15_limit', expr: vector(12), labels: {machine: a}}]}]";
    fs::write(folder.path().join("rules/inventory.yml"), limits).expect("write rules");

    let said = run(
        "promtool",
        folder.path(),
        &["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
    );
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn every_job_finds_its_targets_in_a_file_of_its_name_and_is_limited() {
    let config = yaml(&root().join("prometheus/prometheus.yml"));
    let mut jobs = BTreeSet::new();
    for job in list(&config, "scrape_configs") {
        let name = text(job, "job_name");
        jobs.insert(name.to_owned());
        let found: Vec<&Value> = list(job, "file_sd_configs")
            .flat_map(|discovery| list(discovery, "files"))
            .collect();
        assert_eq!(found, [&Value::from(format!("targets/{name}.json"))], "{name}");
        let honors_labels = job.get("honor_labels") == Some(&Value::Bool(true));
        assert_eq!(honors_labels, name == "pushgateway", "{name}");
        for limit in [
            "sample_limit",
            "label_limit",
            "label_name_length_limit",
            "label_value_length_limit",
            "body_size_limit",
        ] {
            assert!(job.get(limit).is_some(), "{name} has no {limit}");
        }
    }
    for job in [
        "prometheus",
        "alertmanager",
        "node-exporter",
        "pushgateway",
        "rapl-exporter",
        "gpu-exporter",
        "worker-exporter",
        "lancedb-exporter",
        "sql-exporter",
        "training-exporter",
        "device-exporter",
        "pushgateway-bridge",
        "grafana",
        "blackbox-exporter",
        "probe",
        "postgres-exporter",
        "victoria-metrics",
        "loki",
        "alloy",
        "cadvisor",
        "jaeger",
    ] {
        assert!(jobs.contains(job), "there is no job {job}");
    }
}

#[test]
fn rules_do_what_their_tests_say() {
    let tests = root().join("prometheus/tests");
    let names: Vec<String> = files(&tests, "_test.yml")
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let arguments: Vec<&str> = ["test", "rules"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    run("promtool", &tests, &arguments);
}

#[test]
fn every_alert_is_shown_to_fire_and_to_stay_silent() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for path in files(&root().join("prometheus/tests"), "_test.yml") {
        let file = yaml(&path);
        for case in list(&file, "tests").flat_map(|test| list(test, "alert_rule_test")) {
            let seen = if list(case, "exp_alerts").next().is_some() {
                &mut fires
            } else {
                &mut silent
            };
            seen.insert(text(case, "alertname").to_owned());
        }
    }
    for name in alerts().into_keys() {
        assert!(
            fires.contains(&name),
            "no test in prometheus/tests lets {name} fire"
        );
        assert!(
            silent.contains(&name) || name == WATCHDOG,
            "no test in prometheus/tests keeps {name} silent"
        );
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let alerts = alerts();
    let rules = alerts
        .iter()
        .flat_map(|(name, rules)| rules.iter().map(move |rule| (name, rule)));
    for (name, rule) in rules {
        let labels = rule.get("labels").unwrap_or(&Value::Null);
        assert!(SEVERITIES.contains(&severity(rule)), "{name} has no severity");
        assert_eq!(
            severity(rule) == "none",
            name == WATCHDOG,
            "{name}: severity none is the watchdog's"
        );
        assert!(
            !text(labels, "subject").is_empty(),
            "{name} has no subject, so nothing can mute it"
        );
        let annotations = rule.get("annotations").unwrap_or(&Value::Null);
        for annotation in ANNOTATIONS {
            assert!(
                !text(annotations, annotation).trim().is_empty(),
                "{name} has no {annotation}"
            );
        }
        assert!(
            !text(annotations, "summary").contains("$value"),
            "{name}: the value belongs into the description"
        );
        assert_eq!(
            text(annotations, "runbook_url"),
            format!("docs/runbooks/{name}.md")
        );
    }
}

#[test]
fn recording_rules_are_named_level_metric_operation() {
    for rule in rules().iter().filter(|rule| rule.get("record").is_some()) {
        let name = text(rule, "record");
        assert_eq!(
            name.split(':').filter(|part| !part.is_empty()).count(),
            3,
            "{name}"
        );
    }
}
