//! What stands in the way of containers, and what is said about it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use super::engines::Fake;
use super::lab::{Lab, NOWHERE, docker};
use crate::lab::Ran;

const MACHINE: &str =
    "[[machine]]\nname = \"bench\"\naddress = \"localhost\"\nexporters = [\"node\", \"rapl\"]\n";

#[test]
fn an_engine_that_is_absent_is_named_with_what_to_do() {
    let lab = Lab::new("", MACHINE);
    let ran = with_engine(&lab, "unix:///nowhere/docker.sock", &["up"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("no container engine answers at unix:///nowhere/docker.sock"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("docker.io"), "{}", ran.stderr);
    let ran = with_engine(&lab, "ftp://example.org", &["up"]);
    assert!(ran.stderr.contains("no address of an engine"), "{}", ran.stderr);
}

#[test]
fn an_engine_that_is_too_old_is_named_with_its_version() {
    let lab = Lab::new("", MACHINE);
    let fake = Fake::start("1.40", |_, _| None);
    let ran = with_engine(&lab, &fake.host(), &["up"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("too old: it speaks API 1.40, and 1.41 is needed"),
        "{}",
        ran.stderr
    );
}

#[test]
fn who_may_not_use_the_engine_is_told_how_to_be_let_in() {
    let lab = Lab::new("", MACHINE);
    let fake = Fake::start("1.41", |_, _| None);
    fs::set_permissions(fake.socket(), fs::Permissions::from_mode(0o000)).expect("change the mode");
    let mut command = lab.command(&["check"]);
    command.env("DOCKER_HOST", fake.host());
    if rustix::process::geteuid().is_root() {
        // Root may do everything.
        fs::set_permissions(lab.stack(), fs::Permissions::from_mode(0o755)).expect("change the mode");
        command.uid(65534);
    }
    let ran = Ran::of(command.output().expect("run missionctl"));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("does not let this user in"), "{}", ran.stderr);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_started() {
    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let full = "{\"message\":\"mkdir /var/lib/docker/overlay2/x: no space left on device\"}";
    let fake = Fake::start("1.41", move |method, path| match (method, path) {
        ("GET", path) if path.contains("/images/") => Some((200, Fake::IMAGE.to_owned())),
        ("POST", path) if path.ends_with("/networks/create") || path.contains("/containers/create") => {
            Some((500, full.to_owned()))
        }
        ("POST", path) if path.contains("/build") => Some((500, full.to_owned())),
        _ => None,
    });
    let ran = with_engine(&lab, &fake.host(), &["up"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("the disk of the container engine is full"),
        "{}",
        ran.stderr
    );
    let asked = fake.requests();
    assert!(
        asked.iter().any(|path| path.ends_with("/containers/create")),
        "{asked:?}"
    );
    assert!(!asked.iter().any(|path| path.ends_with("/start")), "{asked:?}");
}

#[test]
fn a_port_that_is_taken_is_refused_before_anything_starts() {
    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let port = lab.ports["alertmanager"];
    let _taken = TcpListener::bind(("127.0.0.1", port)).expect("bind");
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains(&format!("port {port} of alertmanager is taken by")),
        "{}",
        ran.stderr
    );
    assert!(lab.containers().is_empty());
}

#[test]
fn a_container_that_dies_at_its_start_is_explained_and_the_rest_runs() {
    // Another program's image, which does not know the flags.
    let image = "MISSION_SUBNET = ";
    let lab = Lab::new("profile = \"core\"", MACHINE);
    let inventory = lab.inventory("profile = \"core\"", MACHINE).replace(
        image,
        &format!("PUSHGATEWAY_IMAGE = \"docker.io/prom/node-exporter:v1.12.1\"\n{image}"),
    );
    lab.write("mission.toml", &inventory);
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("pushgateway is not healthy"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("unknown long flag '--persistence.file'"),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.service("prometheus")["healthy"], true);
    assert_eq!(lab.service("pushgateway")["healthy"], false);
    assert_eq!(lab.run(&["status"]).code, 1);
}

#[test]
fn strict_starts_nothing_when_an_image_is_missing() {
    let lab = Lab::new("", MACHINE);
    let ran = lab.run(&["up", "--strict"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("--strict: nothing was started or changed"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("grafana is left out, so there are no dashboards"),
        "{}",
        ran.stderr
    );
    assert!(lab.containers().is_empty());
    assert!(lab.labelled("network").is_empty());
}

#[test]
fn without_a_choice_containers_run_only_what_they_can_run_whole() {
    let automatic = |lab: &Lab, stack: &str| {
        let inventory = lab.inventory(stack, MACHINE);
        lab.write(
            "mission.toml",
            &inventory.replace("backend = \"docker\"", "backend = \"auto\""),
        );
        lab.run(&["check"])
    };
    let lab = Lab::new("", MACHINE);
    let core = automatic(&lab, "profile = \"core\"");
    assert_eq!(core.code, 0, "{}", core.stderr);
    assert!(
        core.stderr
            .contains(&format!("backend: native, since {NOWHERE} is neither here")),
        "{}",
        core.stderr
    );
    let lite = automatic(&lab, "profile = \"lite\"");
    assert_eq!(lite.code, 0, "{}", lite.stderr);
    assert!(
        lite.stderr.contains("backend: docker, since engine"),
        "{}",
        lite.stderr
    );
    assert!(lite.stdout.contains("with the docker backend"), "{}", lite.stdout);
}

#[test]
fn a_compose_file_with_a_key_that_is_not_understood_is_refused_with_its_line() {
    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let file = lab.stack().join("compose/compose.yaml");
    let text = fs::read_to_string(&file).expect("compose.yaml");
    let line = text
        .lines()
        .position(|line| line == "  alertmanager:")
        .expect("alertmanager")
        + 2;
    let odd = text.replacen("  alertmanager:\n", "  alertmanager:\n    healthchek: {}\n", 1);
    fs::write(&file, odd).expect("write");
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains(&format!("compose.yaml:{line}: services.alertmanager.healthchek")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("did you mean healthcheck?"), "{}", ran.stderr);
    assert!(lab.containers().is_empty());
}

#[test]
fn a_variable_that_no_file_mentions_is_refused_with_a_hint() {
    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let inventory = lab.inventory("profile = \"lite\"", MACHINE);
    lab.write(
        "mission.toml",
        &inventory.replace("HEALTH_INTERVAL", "HEALTH_INTERVALL"),
    );
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("did you mean HEALTH_INTERVAL?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn containers_of_another_folder_are_not_touched() {
    let lab = Lab::new("profile = \"lite\"", MACHINE);
    let image = "docker.io/prom/node-exporter:v1.12.1";
    let project = format!("com.docker.compose.project={}", lab.project());
    let labels = [
        "com.docker.compose.service=prometheus",
        "mission-control.root=/usr",
    ];
    let id = docker(&[
        "create", "--label", &project, "--label", labels[0], "--label", labels[1], image,
    ]);
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("belong to /usr"), "{}", ran.stderr);
    assert_eq!(lab.containers().len(), 1);
    docker(&["rm", &id]);
}

fn with_engine(lab: &Lab, host: &str, words: &[&str]) -> Ran {
    let output = lab.command(words).env("DOCKER_HOST", host).output();
    Ran::of(output.expect("run missionctl"))
}

#[test]
fn gpus_are_handed_over_where_the_engine_can() {
    let machine = MACHINE.replace("\"rapl\"]", "\"rapl\", \"gpu\"]");
    let lab = Lab::new("profile = \"lite\"", &machine);
    let environment = |runtimes: &'static str| {
        let fake = Fake::start("1.41", move |_, path| {
            path.ends_with("/info")
                .then(|| (200, format!("{{\"Runtimes\":{{{runtimes}}}}}")))
        });
        let ran = with_engine(&lab, &fake.host(), &["render"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        fs::read_to_string(lab.path(".mission/run/compose.env")).expect("the variables")
    };
    let with = environment("\"runc\":{\"path\":\"runc\"},\"nvidia\":{\"path\":\"nvidia-container-runtime\"}");
    assert!(with.contains("GPU_EXPORTER_RUNTIME=nvidia\n"), "{with}");
    assert!(with.contains("COMPOSE_PROFILES=lite,gpu-nvidia\n"), "{with}");
    let without = environment("\"runc\":{\"path\":\"runc\"}");
    assert!(!without.contains("GPU_EXPORTER_RUNTIME"), "{without}");
    assert!(without.contains("COMPOSE_PROFILES=lite,gpu-amd\n"), "{without}");
}
