//! What is read, beyond what docker compose says about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use compose::{MountKind, Project, Service, Variable};

use super::{files, render};

fn load(services: &str) -> Project {
    files::load(format!("name: x\nservices:\n{services}").as_bytes(), &[])
        .unwrap_or_else(|error| panic!("{error}"))
}

fn service(body: &str) -> Service {
    load(&format!("  a: {{image: a, {body}}}\n"))
        .services
        .remove("a")
        .expect("the service is there")
}

#[test]
fn the_stack_loads_with_defaults_alone_and_every_profile_starts_something() {
    let file = files::stack();
    let project = compose::load(&file, &BTreeMap::new()).unwrap_or_else(|error| panic!("{error}"));
    let profiles: BTreeSet<&str> = project
        .services
        .values()
        .flat_map(|service| &service.profiles)
        .map(String::as_str)
        .collect();
    assert!(
        profiles.contains("lite") && profiles.contains("full"),
        "{profiles:?}"
    );
    for profile in &profiles {
        assert!(!project.enabled(&[profile]).is_empty(), "{profile}");
    }
    let all: Vec<&str> = profiles.into_iter().collect();
    let every: BTreeSet<&str> = project.services.keys().map(String::as_str).collect();
    assert_eq!(project.enabled(&all), every);
    assert_eq!(project.order(&every).into_iter().collect::<BTreeSet<_>>(), every);
    let text = std::fs::read_to_string(&file).unwrap();
    for variable in compose::variables(&text).unwrap() {
        assert!(variable.default.is_some(), "{} has no default", variable.name);
    }
}

/// What the feature `oracle` compares with docker compose, kept for where that is not installed.
#[test]
fn the_fixtures_are_read_as_docker_compose_reads_them() {
    for file in files::fixtures() {
        let project = compose::load(&file, &files::variables()).unwrap_or_else(|error| panic!("{error}"));
        let mut value = render::project(&project);
        render::without_null(&mut value);
        let text = serde_json::to_string_pretty(&value).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(
            name,
            text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"), "…")
        );
    }
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/../compose.yaml");
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    std::fs::write(
        &file,
        "name: x\nservices: {a: {image: a, volumes: [\"./b/../c:/c\", \"~:/h\"]}}\n",
    )
    .unwrap();
    let project = compose::load(&file, &files::environment(&[("HOME", "/home/me")])).unwrap();
    assert_eq!(project.folder, folder.path());
    assert_eq!(project.file, folder.path().join("compose.yaml"));
    let source = |index: usize| match &project.services["a"].mounts[index].kind {
        MountKind::Bind { source, .. } => source.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(source(0), folder.path().join("c"));
    assert_eq!(source(1), Path::new("/home/me"));
}

#[test]
fn profiles_enable_services() {
    let project =
        load("  a: {image: a}\n  b: {image: b, profiles: [x, y]}\n  c: {image: c, profiles: [y]}\n");
    let enabled = |profiles: &[&str]| {
        project
            .enabled(profiles)
            .into_iter()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(enabled(&[]), "a");
    assert_eq!(enabled(&["x"]), "a b");
    assert_eq!(enabled(&["y", "z"]), "a b c");
}

#[test]
fn services_start_after_what_they_depend_on() {
    let project = load(
        "  a: {image: a, depends_on: [z]}\n  b: {image: b}\n  m: {image: m, depends_on: [b]}\n  z: {image: z, depends_on: [m]}\n",
    );
    let order = |services: &[&str]| project.order(&services.iter().copied().collect()).join(" ");
    assert_eq!(order(&["a", "b", "m", "z"]), "b m z a");
    assert_eq!(
        order(&["a", "b"]),
        "b a",
        "through services that are not asked for"
    );
    assert_eq!(order(&["z", "unknown"]), "z");
}

#[test]
fn the_hash_tells_containers_apart() {
    let base = service("command: [x]").config_hash();
    assert_eq!(base.len(), 64);
    assert_eq!(
        base,
        service("command: x, profiles: [p], pull_policy: never").config_hash()
    );
    for body in [
        "command: [y]",
        "command: [x], user: b",
        "command: [x], labels: {a: b}",
        "command: [x], ports: [80]",
    ] {
        assert_ne!(base, service(body).config_hash(), "{body}");
    }
    let depends = load("  a: {image: a, command: [x], depends_on: [b]}\n  b: {image: b}\n");
    assert_eq!(base, depends.services["a"].config_hash());
}

#[test]
fn the_hash_stays_the_same_from_release_to_release() {
    let hash = service("environment: {B: b, A: a}, mem_limit: 1m").config_hash();
    assert_eq!(
        hash,
        "1b754d52e2aba6ed543f11fac766127c8fd82c84ca83956d9df9e5db19a86fde"
    );
}

#[test]
fn silence_leaves_the_choice_to_the_image_and_the_engine() {
    let service = service("x-nothing: 1");
    let silent = Service {
        name: "a".into(),
        image: Some("a".into()),
        networks: [("default".to_owned(), Vec::new())].into(),
        ..Service::default()
    };
    assert_eq!(service, silent);
}

#[test]
fn variables_are_found_where_the_file_mentions_them() {
    let text =
        "name: ${A}\nx: [\"${B:-b ${C-c}}\", $$D, \"$E\"]\n# ${F}\n${G}: ${A:-a}\nn: ${H:+h} ${I?i} ${A}\n";
    let found: Vec<_> = compose::variables(text)
        .unwrap()
        .into_iter()
        .map(|Variable { name, default }| (name, default))
        .collect();
    let expected = [
        ("A", None),
        ("A", Some("a")),
        ("B", Some("b ${C-c}")),
        ("C", Some("c")),
        ("E", None),
        ("H", Some("")),
        ("I", None),
    ];
    assert_eq!(
        found,
        expected.map(|(name, default)| (name.to_owned(), default.map(str::to_owned)))
    );
}

#[test]
fn errors_name_the_file_and_the_line() {
    let file = Path::new("no/such/compose.yaml");
    let error = compose::load(file, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such/compose.yaml: cannot be read: No such file or directory (os error 2)"
    );
    let error = compose::variables("a: [").unwrap_err().to_string();
    assert!(error.starts_with("line "), "{error}");
    let error = files::load(
        b"name: x\nservices:\n  a:\n    image: a\n    healthchek: b\n",
        &[],
    )
    .unwrap_err()
    .to_string();
    let (_, message) = error.split_once("compose.yaml").unwrap();
    assert_eq!(
        message,
        ":5: services.a.healthchek: unknown key; did you mean healthcheck?"
    );
}
