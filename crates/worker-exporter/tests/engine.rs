//! Against a real container engine (feature `engine-tests`), at `DOCKER_HOST` or its usual socket, with the image
//! `debian:bookworm-slim`. `make test-compose` runs it.

use std::process::Command;

use exporter::testing::{self, Running};
use supervisor::testing::eventually;

const EXPORTER: &str = env!("CARGO_BIN_EXE_worker-exporter");
const IMAGE: &str = "debian:bookworm-slim";

/// Containers under one label, removed in the end.
struct Containers {
    label: String,
    folder: tempfile::TempDir,
}

impl Containers {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().file_name().expect("a name").to_string_lossy();
        Self {
            label: format!("worker-exporter.test={name}"),
            folder,
        }
    }

    fn name(name: &str) -> String {
        format!("{name}-{}", std::process::id())
    }

    /// Makes one that does not run yet: what happens from its start on is counted.
    fn create(&self, name: &str, flags: &[&str], script: &str) {
        let name = Self::name(name);
        let mut words = vec![
            "create",
            "--name",
            &name,
            "--label",
            &self.label,
            "--network=none",
        ];
        words.extend(flags);
        words.extend([IMAGE, "sh", "-c", script]);
        docker(&words);
    }

    fn watch(&self) -> Running {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = host.strip_prefix("unix://").unwrap_or_default();
        let config = self.folder.path().join("workers.toml");
        let text = format!(
            "[[source]]\nurl = \"docker://{socket}\"\nlabels = [\"{}\"]\n",
            self.label
        );
        std::fs::write(&config, text).expect("write");
        Running::start(EXPORTER, &["--config.file", config.to_str().expect("UTF-8")])
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let filter = format!("label={}", self.label);
        for key in docker(&["ps", "--all", "--quiet", "--filter", &filter]).lines() {
            docker(&["rm", "--force", key]);
        }
    }
}

fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().expect("docker");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn value(page: &str, metric: &str, name: &str, more: &str) -> Option<f64> {
    let worker = Containers::name(name);
    testing::value(
        page,
        &format!("brain_worker_{metric}{{worker=\"{worker}\"{more}}}"),
    )
}

fn state(page: &str, name: &str, state: &str) -> bool {
    value(page, "state", name, &format!(",state=\"{state}\"")) == Some(1.0)
}

fn exits(page: &str, name: &str, reason: &str) -> Option<f64> {
    value(page, "exits_total", name, &format!(",reason=\"{reason}\""))
}

fn page_with(running: &Running, what: &str, accept: impl Fn(&str) -> bool) -> String {
    eventually(what, || Some(running.metrics()).filter(|page| accept(page)))
}

#[test]
fn starts_and_ends_are_counted_with_their_reasons() {
    let containers = Containers::new();
    let names = ["steady", "ends", "loops", "eats", "absent"];
    containers.create("steady", &[], "while :; do sleep 1; done");
    containers.create("ends", &[], "exit 3");
    containers.create("loops", &["--restart=on-failure:3"], "exit 7");
    // The engine does not always hear of it when the container ends with the process that was killed.
    let eats = "tail /dev/zero; code=$?; sleep 1; exit $code";
    containers.create("eats", &["--memory=20m"], eats);
    let absent = Containers::name("absent");
    docker(&[
        "create",
        "--name",
        &absent,
        "--label",
        &containers.label,
        IMAGE,
        "/no/such/program",
    ]);
    let running = containers.watch();
    page_with(&running, "all of them", |page| {
        names.iter().all(|name| state(page, name, "STOPPED"))
    });
    for name in names {
        docker(&["start", &Containers::name(name)]);
    }
    let page = page_with(&running, "their ends", |page| {
        state(page, "steady", "RUNNING")
            && ["ends", "loops", "eats"]
                .iter()
                .all(|name| state(page, name, "EXITED"))
            && state(page, "absent", "FATAL")
            && value(page, "restart_count", "loops", "") == Some(3.0)
            // The engine may tell the cause after the end.
            && exits(page, "eats", "oom_kill") != exits(page, "eats", "sigkill")
    });
    let told = |metric, name| value(&page, metric, name, "");
    assert_eq!(
        (exits(&page, "ends", "exit_code"), told("last_exit_code", "ends")),
        (Some(1.0), Some(3.0))
    );
    assert_eq!(
        (
            exits(&page, "loops", "exit_code"),
            told("last_exit_code", "loops")
        ),
        (Some(4.0), Some(7.0))
    );
    // The engine does not always hear of it; what it tells is what counts.
    let eats = Containers::name("eats");
    let filters = [format!("container={eats}"), "event=oom".to_owned()];
    let until = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs() + 1;
    let told_oom = docker(&[
        "events",
        "--since",
        "10m",
        "--until",
        &until.to_string(),
        "--filter",
        &filters[0],
        "--filter",
        &filters[1],
    ]);
    let reason = if told_oom.is_empty() {
        "sigkill"
    } else {
        "oom_kill"
    };
    assert_eq!(
        (exits(&page, "eats", reason), told("last_exit_code", "eats")),
        (Some(1.0), Some(137.0))
    );
    assert_eq!(
        (
            exits(&page, "absent", "spawn_error"),
            told("last_exit_code", "absent")
        ),
        (Some(1.0), Some(127.0))
    );
    let count = docker(&[
        "inspect",
        "--format={{.RestartCount}}",
        &Containers::name("loops"),
    ]);
    assert_eq!(count, "3", "the engine's own count");

    docker(&["kill", "--signal=CONT", &Containers::name("steady")]);
    docker(&["restart", "--time=0", &Containers::name("steady")]);
    let page = page_with(&running, "the restart", |page| {
        value(page, "restart_count", "steady", "") == Some(1.0)
    });
    assert_eq!(exits(&page, "steady", "stopped"), Some(1.0));
    docker(&["stop", "--time=0", &Containers::name("steady")]);
    page_with(&running, "the stop", |page| state(page, "steady", "STOPPED"));
    docker(&["rm", &Containers::name("steady")]);
    page_with(&running, "one less", |page| {
        value(page, "status", "steady", "").is_none()
    });
}

#[test]
fn what_the_health_check_says() {
    let containers = Containers::new();
    let check = [
        "--health-cmd=test -e /well",
        "--health-interval=1s",
        "--health-retries=1",
    ];
    containers.create("checked", &check, "while :; do sleep 1; done");
    let running = containers.watch();
    let name = Containers::name("checked");
    docker(&["start", &name]);
    let says = |page: &str, healthy| value(page, "healthy", "checked", "") == Some(healthy);
    let page = page_with(&running, "no health", |page| says(page, 0.0));
    assert_eq!(value(&page, "status", "checked", ""), Some(1.0));
    docker(&["exec", &name, "touch", "/well"]);
    page_with(&running, "health", |page| says(page, 1.0));
    docker(&["stop", "--time=0", &name]);
    page_with(&running, "nothing", |page| {
        value(page, "status", "checked", "") == Some(0.0) && value(page, "healthy", "checked", "").is_none()
    });
}
