//! A project whose services run in containers, with a name, ports and addresses of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use exporter::testing::free_port;
use serde_json::Value;

use crate::lab::{Ran, copy};

/// What the images of our own programs are built from, and what is rendered.
const PARTS: [&str; 7] = [
    "alertmanager",
    "compose",
    "crates",
    "grafana",
    "jaeger",
    "loki",
    "prometheus",
];
const FILES: [&str; 3] = [".dockerignore", "Cargo.lock", "Cargo.toml"];
const SERVICES: [&str; 16] = [
    "gpu-exporter",
    "lancedb-exporter",
    "sql-exporter",
    "training-exporter",
    "device-exporter",
    "pushgateway-bridge",
    "prometheus",
    "alertmanager",
    "pushgateway",
    "grafana",
    "node-exporter",
    "rapl-exporter",
    "worker-exporter",
    "blackbox-exporter",
    "postgres-exporter",
    "victoria-metrics",
];

/// An image that can be had nowhere.
pub(crate) const NOWHERE: &str = "mission-control/no-such-image:0";

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    name: String,
    network: u8,
    pub(crate) ports: BTreeMap<&'static str, u16>,
}

impl Lab {
    /// A copy of the repository with a project in it: `inventory` is added to what every test needs.
    pub(crate) fn new(stack: &str, inventory: &str) -> Self {
        // Tests run side by side, and so do test runs.
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let folder = tempfile::Builder::new()
            .prefix("mission-")
            .tempdir()
            .expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for part in PARTS {
            copy(&root.join(part), &folder.path().join(part));
        }
        for file in FILES {
            fs::copy(root.join(file), folder.path().join(file)).expect("copy");
        }
        let lab = Self {
            folder,
            name: format!("lab-{pid}-{number}"),
            network: u8::try_from(pid % 200).expect("a byte").wrapping_add(number),
            ports: SERVICES
                .into_iter()
                .map(|service| (service, free_port()))
                .collect(),
        };
        lab.hurry();
        lab.write("mission.toml", &lab.inventory(stack, inventory));
        lab
    }

    pub(crate) fn inventory(&self, stack: &str, rest: &str) -> String {
        let ports: Vec<String> = self
            .ports
            .iter()
            .map(|(service, port)| format!("{service} = {port}"))
            .collect();
        let ports = ports.join("\n");
        let subnet = format!("172.29.{}", self.network);
        // Other images than the pinned ones can be tried.
        let images: Vec<String> = std::env::vars()
            .filter(|(name, _)| name.ends_with("_IMAGE") && name != "GRAFANA_IMAGE")
            .map(|(name, value)| format!("{name} = \"{value}\""))
            .collect();
        let images = images.join("\n");
        format!(
            "[stack]\nbackend = \"docker\"\n{stack}\n\
             [stack.variables]\nBUILD_NETWORK = \"host\"\nHEALTH_INTERVAL = \"1s\"\n\
             GRAFANA_IMAGE = \"{NOWHERE}\"\n{images}\n\
             MISSION_SUBNET = \"{subnet}.0/24\"\nMISSION_GATEWAY = \"{subnet}.1\"\n\n\
             [stack.ports]\n{ports}\n\n{rest}"
        )
    }

    fn hurry(&self) {
        let config = self.folder.path().join("prometheus/prometheus.yml");
        let text = fs::read_to_string(&config).expect("prometheus.yml");
        let fast = text
            .replace("scrape_interval: 15s", "scrape_interval: 1s")
            .replace("scrape_timeout: 10s", "scrape_timeout: 1s")
            .replace("evaluation_interval: 15s", "evaluation_interval: 1s");
        assert_ne!(fast, text, "the intervals are not where this test expects them");
        fs::write(config, fast).expect("write");
    }

    /// The folder of the copied repository.
    pub(crate) fn stack(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("examples").join(&self.name).join(name)
    }

    /// What compose calls the project.
    pub(crate) fn project(&self) -> String {
        format!("mission-control-{}", self.name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
        fs::write(&path, text).expect("write");
    }

    /// A file that only its owner may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("change the mode");
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        // Containers run as users of their own, whatever this user's new files are like.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "umask 077; exec \"$@\"",
                "sh",
                env!("CARGO_BIN_EXE_missionctl"),
                "--project",
            ])
            .arg(self.path(""))
            .args(words)
            .env("MISSION_CACHE", self.folder.path().join("cache"))
            .env("MISSION_OFFLINE", "1");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words).output().expect("run missionctl"))
    }

    /// `up`, which must end well.
    pub(crate) fn up(&self) -> Ran {
        let ran = self.run(&["up", "--timeout", "120"]);
        assert_eq!(ran.code, 0, "up\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    pub(crate) fn status(&self) -> Value {
        let ran = self.run(&["status", "--json"]);
        serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
    }

    /// One service of the status.
    pub(crate) fn service(&self, name: &str) -> Value {
        let status = self.status();
        let mut services = status["services"].as_array().expect("services").iter();
        services
            .find(|service| service["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {status}"))
            .clone()
    }

    /// Id and moment of the start of each container, by service.
    pub(crate) fn containers(&self) -> BTreeMap<String, String> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.Id}} {{.State.StartedAt}}";
        let words: Vec<&str> = ["inspect", "--format", format]
            .into_iter()
            .chain(ids.lines())
            .collect();
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let lines = docker(&words);
        let named = lines.lines().filter_map(|line| line.split_once(' '));
        named
            .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
            .collect()
    }

    /// Networks or volumes of the project.
    pub(crate) fn labelled(&self, kind: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.project());
        let names = docker(&[kind, "ls", "--filter", &filter, "--format", "{{.Name}}"]);
        names.lines().map(str::to_owned).collect()
    }

    pub(crate) fn get(&self, service: &str, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[service]);
        ureq::get(url).call().ok()?.body_mut().read_json().ok()
    }

    /// `docker compose` for this project, as a user would call it after `missionctl render`.
    pub(crate) fn compose(&self, words: &[&str]) -> Ran {
        let output = Command::new("docker")
            .args(["compose", "--env-file"])
            .arg(self.path(".mission/run/compose.env"))
            .arg("--file")
            .arg(self.folder.path().join("compose/compose.yaml"))
            .args(words)
            .output()
            .expect("run docker compose");
        Ran::of(output)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
        let volumes = self.labelled("volume");
        if !volumes.is_empty() {
            let words: Vec<&str> = ["volume", "rm"]
                .into_iter()
                .chain(volumes.iter().map(String::as_str))
                .collect();
            docker(&words);
        }
    }
}

/// What the engine's own client says.
pub(crate) fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().expect("run docker");
    assert!(
        output.status.success(),
        "docker {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
