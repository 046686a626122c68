//! What this crate reads from a file, and what the real docker compose reads from it, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

use super::{files, generate, render};

/// What the real program prints about `file`, or what it complains about.
fn docker_compose(
    file: &Path,
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
) -> Result<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = Command::new("docker-compose")
        .args(["--profile", "*", "--file"])
        .arg(file)
        .arg("config")
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .envs(environment)
        .output()
        .expect("docker-compose 2 must be on the PATH: Debian has it in the package docker-compose");
    let errors = String::from_utf8(output.stderr).expect("docker compose writes text");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("docker compose writes text"))
    } else {
        Err(errors)
    }
}

fn model_of_docker_compose(file: &Path, environment: &BTreeMap<String, String>) -> Result<Value, String> {
    let text = docker_compose(file, environment, &["--format", "json"])?;
    // In its output every `$` is doubled, so that it could be read again.
    Ok(serde_json::from_str(&text.replace("$$", "$")).expect("docker compose writes JSON"))
}

/// Reads `file` both ways, and says what differs.
pub(crate) fn compare(file: &Path, environment: &BTreeMap<String, String>) -> Result<(), String> {
    let project = compose::load(file, environment).map_err(|error| error.to_string())?;
    let theirs = normal(model_of_docker_compose(file, environment)?);
    let differences = differences("", &normal(render::project(&project)), &theirs);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.join("\n"))
    }
}

/// So many cases, the same in every run: which program it runs against is not this crate's doing.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn every_field_is_what_docker_compose_reads() {
    for file in files::fixtures().into_iter().chain([files::stack()]) {
        compare(&file, &files::variables()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn a_project_name_from_the_environment_wins() {
    let environment: BTreeMap<_, _> = files::variables()
        .into_iter()
        .chain([("COMPOSE_PROJECT_NAME".into(), "other".into())])
        .collect();
    let file = &files::fixtures()[0];
    let project = compose::load(file, &environment).unwrap();
    let theirs = model_of_docker_compose(file, &environment).unwrap();
    assert_eq!(project.name, "other");
    assert_eq!(theirs["name"], "other");
    assert_eq!(
        theirs["networks"]["default"]["name"],
        project.networks["default"].name
    );
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn generated_projects_are_what_docker_compose_reads(project in generate::project()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yaml");
        std::fs::write(&file, generate::text(&project)).unwrap();
        let compared = compare(&file, &BTreeMap::new());
        prop_assert_eq!(compared, Ok(()));
    }
}

/// The one form of what can be printed in several.
fn normal(mut project: Value) -> Value {
    // Extension fields are printed as they are, and mean nothing.
    object(&mut project).retain(|key, _| !key.starts_with("x-"));
    let name = project["name"].clone();
    for (secret, value) in object(&mut project["secrets"]) {
        let printed = object(value).remove("name");
        let expected = format!("{}_{secret}", name.as_str().expect("text"));
        assert!(printed.is_none_or(|printed| printed == expected), "{secret}");
    }
    for service in object(&mut project["services"]).values_mut() {
        normal_service(object(service));
    }
    prune(&mut project);
    project
}

fn normal_service(service: &mut Map<String, Value>) {
    for network in service
        .get_mut("networks")
        .map(object)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        *network = json!({"attached": true, "aliases": network["aliases"]});
    }
    if let Some(check) = service
        .get_mut("healthcheck")
        .filter(|check| check["disable"] == true)
    {
        *check = json!({"test": ["NONE"]});
    }
    service.entry("restart").or_insert_with(|| json!("no"));
    for key in ["profiles", "expose", "extra_hosts"] {
        let Some(list) = service.get_mut(key) else {
            continue;
        };
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        *list = if key == "expose" {
            json!(words.flat_map(exposed).collect::<BTreeSet<_>>())
        } else {
            json!(words.collect::<BTreeSet<_>>())
        };
    }
    if let Some(ports) = service.get_mut("ports") {
        items(ports).sort_by_key(|port| port["target"].as_u64());
    }
    // What is 0 is not printed.
    for key in [
        "mem_limit",
        "mem_reservation",
        "memswap_limit",
        "shm_size",
        "pids_limit",
        "oom_score_adj",
    ] {
        if service.get(key).is_some_and(|value| number(value) == 0.0) {
            service.remove(key);
        }
    }
    for key in [
        "mem_limit",
        "mem_reservation",
        "memswap_limit",
        "shm_size",
        "cpus",
    ] {
        service.entry(key).and_modify(|value| *value = number(value));
    }
    for mount in service
        .get_mut("volumes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(size) = mount.pointer_mut("/tmpfs/size") {
            *size = number(size);
        }
    }
    for limit in service
        .get_mut("ulimits")
        .map(object)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let part = |key| {
            if limit.is_number() {
                limit.clone()
            } else {
                limit.get(key).cloned().unwrap_or(json!(0))
            }
        };
        *limit = json!({"soft": part("soft"), "hard": part("hard")});
    }
    for request in service
        .get_mut("deploy")
        .and_then(|deploy| deploy.pointer_mut(DEVICES))
        .into_iter()
        .flat_map(items)
    {
        if request["count"] == -1 {
            request["count"] = json!("all");
        }
    }
    for secret in service.get_mut("secrets").into_iter().flat_map(items) {
        let target = secret["target"].as_str().expect("text");
        secret["target"] = json!(Path::new("/run/secrets").join(target));
    }
}

/// Where GPUs are asked for.
const DEVICES: &str = "/resources/reservations/devices";

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().expect("a map")
}

fn items(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}

/// A number that can be printed as text.
fn number(value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!(text.parse::<f64>().expect("a number"))
}

/// Each port of `7000-7002/udp`.
fn exposed(text: &str) -> Vec<String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = first.parse::<u16>().expect("a port")..=last.parse().expect("a port");
    range.map(|port| format!("{port}/{protocol}")).collect()
}

/// Leaves out what says nothing: `null`, and empty lists and maps other than empty commands.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                prune(value);
                if value == &json!([]) && key != "command" && key != "entrypoint" {
                    *value = Value::Null;
                }
            }
            map.retain(|_, value| !value.is_null());
            if map.is_empty() {
                *value = Value::Null;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Where two values differ, and how.
fn differences(path: &str, ours: &Value, theirs: &Value) -> Vec<String> {
    if let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) {
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        let value = |map: &Map<String, Value>, key: &String| map.get(key).cloned().unwrap_or_default();
        return keys
            .into_iter()
            .flat_map(|key| differences(&format!("{path}.{key}"), &value(ours, key), &value(theirs, key)))
            .collect();
    }
    if ours == theirs {
        Vec::new()
    } else {
        vec![format!("{path}: we read {ours}, docker compose {theirs}")]
    }
}
