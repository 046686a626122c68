//! `compose.yaml` and what its services read: rights, health, limits, variables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use compose::{Project, Service};

use crate::files::{files, read, root, yaml};

/// What writes into its own image, as its Dockerfile leaves no other way.
const WRITABLE: [&str; 2] = ["elasticsearch", "kibana"];

fn project() -> Project {
    compose::load(&root().join("compose/compose.yaml"), &BTreeMap::new()).expect("compose.yaml is good")
}

#[test]
fn every_container_has_least_rights_and_ends_somewhere() {
    for (name, service) in project().services {
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert!(!service.privileged, "{name}");
        let options = &service.security_opt;
        assert!(
            options
                .iter()
                .any(|option| option.starts_with("no-new-privileges")),
            "{name}"
        );
        assert_eq!(service.read_only, !WRITABLE.contains(&name.as_str()), "{name}");
        assert!(service.user.is_some(), "{name} runs as whatever its image says");
        assert!(
            service.mem_limit.is_some() && service.pids_limit.is_some(),
            "{name} has no limits"
        );
        let logging = service.logging.unwrap_or_default();
        for option in ["max-size", "max-file", "compress"] {
            assert!(logging.options.contains_key(option), "{name}: {option}");
        }
        // cAdvisor's image brings its own.
        assert_eq!(service.healthcheck.is_some(), name != "cadvisor", "{name}");
        let is_pinned = service
            .image
            .as_deref()
            .is_some_and(|image| !image.ends_with(":latest"));
        assert!(is_pinned, "{name}");
    }
}

#[test]
fn what_is_published_is_published_on_loopback() {
    for (name, service) in project().services {
        for port in service.ports {
            assert!(port.host_ip.is_some_and(|ip| ip.is_loopback()), "{name}");
        }
    }
}

/// Loki's image has no shell and nothing that speaks HTTP.
#[test]
fn the_health_of_loki_is_asked_with_loki() {
    let loki = &project().services["loki"];
    let health = loki.healthcheck.as_ref().expect("a health check");
    assert_eq!(health.test, ["CMD", "/usr/bin/loki", "-health"]);
}

#[test]
fn the_example_has_every_variable_with_its_default() {
    let text = read(&root().join("compose/compose.yaml"));
    let variables = compose::variables(&text).expect("variables");
    let used: BTreeMap<String, String> = variables
        .into_iter()
        .map(|variable| (variable.name, variable.default.unwrap_or_default()))
        .collect();
    let example = read(&root().join("compose/.env.example"));
    let listed: BTreeMap<String, String> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(listed, used);
}

/// The names of variables that stand between `begin` and `end`.
fn mentioned(text: &str, begin: &str, end: char) -> BTreeSet<String> {
    let pieces = text.split(begin).skip(1);
    pieces
        .map(|piece| piece.chars().take_while(|c| *c != end && *c != ':').collect())
        .collect()
}

fn assert_set(service: &Service, names: &BTreeSet<String>, by: &Path) {
    assert!(!names.is_empty(), "{} mentions no variable", by.display());
    for name in names {
        // With a default it may be left out.
        let has_default = read(by).contains(&format!("{name}:-"));
        assert!(
            has_default || service.environment.contains_key(name),
            "{}: {name} is not set in {}",
            by.display(),
            service.name
        );
    }
}

#[test]
fn every_variable_that_a_configuration_reads_is_set() {
    let services = project().services;
    let loki = root().join("loki/loki.yaml");
    assert_set(&services["loki"], &mentioned(&read(&loki), "${", '}'), &loki);
    let jaeger = root().join("jaeger/jaeger.yaml");
    assert_set(
        &services["jaeger"],
        &mentioned(&read(&jaeger), "${env:", '}'),
        &jaeger,
    );
    for name in ["common", "containers"] {
        let alloy = root().join(format!("loki/alloy/{name}.alloy"));
        assert_set(
            &services["alloy"],
            &mentioned(&read(&alloy), "sys.env(\"", '"'),
            &alloy,
        );
    }
    for file in files(&root().join("grafana/provisioning"), ".yml") {
        let names = mentioned(&read(&file), "${", '}');
        if !names.is_empty() {
            assert_set(&services["grafana"], &names, &file);
        }
    }
}

/// Loki 4 starts with no older store, and deletes nothing without a place to note what is to be deleted.
#[test]
fn loki_keeps_logs_in_today_s_form_and_not_for_ever() {
    let loki = yaml(&root().join("loki/loki.yaml"));
    let schemas = loki["schema_config"]["configs"].as_sequence().expect("schemas");
    for schema in schemas {
        assert_eq!(
            (schema["store"].as_str(), schema["schema"].as_str()),
            (Some("tsdb"), Some("v13"))
        );
    }
    assert_eq!(loki["compactor"]["retention_enabled"].as_bool(), Some(true));
    assert_eq!(
        loki["compactor"]["delete_request_store"].as_str(),
        Some("filesystem")
    );
    assert!(loki["limits_config"]["retention_period"].is_string());
    assert_eq!(loki["analytics"]["reporting_enabled"].as_bool(), Some(false));
}

#[test]
fn every_service_is_described() {
    let document = read(&root().join("docs/images.md"));
    for name in project().services.keys() {
        assert!(
            document.contains(&format!("| {name} |")),
            "{name} has no row in docs/images.md"
        );
    }
}
