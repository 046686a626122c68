//! A project of its own in a temporary folder, on ports of its own, taken down at the end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use exporter::testing::free_port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Everything that `missionctl` starts from the programs of others, and what checks their configuration.
pub(crate) const PROGRAMS: [&str; 10] = [
    "prometheus",
    "promtool",
    "alertmanager",
    "amtool",
    "node_exporter",
    "pushgateway",
    "blackbox_exporter",
    "postgres_exporter",
    "victoria-metrics",
    "supervisord",
];
const OWN_PROGRAMS: [&str; 10] = [
    "demo-machine",
    "rapl-exporter",
    "gpu-exporter",
    "worker-exporter",
    "lancedb-exporter",
    "sql-exporter",
    "training-exporter",
    "device-exporter",
    "pushgateway-bridge",
    "fake-devices",
];
pub(crate) const SERVICES: [&str; 6] = [
    "prometheus",
    "alertmanager",
    "pushgateway",
    "node-exporter",
    "rapl-exporter",
    "worker-exporter",
];
/// What only some inventories ask for; a port is known for each.
const FURTHER_SERVICES: [&str; 12] = [
    "gpu-exporter",
    "lancedb-exporter",
    "sql-exporter",
    "training-exporter",
    "device-exporter",
    "pushgateway-bridge",
    "grafana",
    "blackbox-exporter",
    "postgres-exporter",
    "victoria-metrics",
    "loki",
    "alloy",
];
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) ports: BTreeMap<&'static str, u16>,
}

impl Lab {
    /// A copy of the repository's configuration and a good inventory for this machine.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mission-")
            .tempdir()
            .expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in ["prometheus", "alertmanager", "grafana", "loki"] {
            copy(&root.join(name), &folder.path().join(name));
        }
        let lab = Self {
            folder,
            ports: SERVICES
                .into_iter()
                .chain(FURTHER_SERVICES)
                .map(|service| (service, free_port()))
                .collect(),
        };
        lab.edit("prometheus/prometheus.yml", |text| {
            let fast = text
                .replace("scrape_interval: 15s", "scrape_interval: 1s")
                .replace("scrape_timeout: 10s", "scrape_timeout: 1s")
                .replace("evaluation_interval: 15s", "evaluation_interval: 1s");
            assert_ne!(
                fast, text,
                "the intervals of prometheus.yml are not where this test expects them"
            );
            fast
        });
        lab.write("mission.toml", &lab.inventory());
        lab
    }

    /// Shortens the times in these rules, and in the routes of alerts.
    pub(crate) fn hurry(&self, rules: &[&str]) {
        for rules in rules {
            self.edit(rules, |text| {
                let fast = text
                    .replace("for: 2m", "for: 2s")
                    .replace("for: 5m", "for: 2s")
                    .replace("keep_firing_for: 3m", "keep_firing_for: 1s")
                    .replace("[1m]", "[5s]");
                assert_ne!(fast, text, "{rules} has no times where this test expects them");
                fast
            });
        }
        self.edit("alertmanager/alertmanager.yml", |text| {
            text.replace("group_wait: 5s", "group_wait: 0s")
                .replace("group_wait: 30s", "group_wait: 0s")
                .replace("group_wait: 1m", "group_wait: 0s")
                .replace("group_interval: 1m", "group_interval: 1s")
                .replace("group_interval: 5m", "group_interval: 1s")
                .replace("group_interval: 10m", "group_interval: 1s")
        });
    }

    pub(crate) fn inventory(&self) -> String {
        format!(
            "[stack]\nbackend = \"native\"\nretention = {{ time = \"1d\" }}\n\n{}\n\
             [[machine]]\nname = \"bench\"\naddress = \"localhost\"\nexporters = [\"node\", \"rapl\", \"worker\"]\n\
             limits = {{ load15 = 12.5 }}\n",
            self.ports_table()
        )
    }

    /// The usual ports may be taken where the test runs.
    pub(crate) fn ports_table(&self) -> String {
        let ports = self
            .ports
            .iter()
            .map(|(service, port)| format!("{service} = {port}"));
        format!("[stack.ports]\n{}\n", ports.collect::<Vec<_>>().join("\n"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
        fs::write(&path, text).expect("write");
    }

    pub(crate) fn write_secret(&self, name: &str, text: &str, mode: u32) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("change the mode");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn edit(&self, name: &str, change: impl Fn(&str) -> String) {
        self.write(name, &change(&self.read(name)));
    }

    /// Runs the real program; nothing is downloaded.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let project = self.folder.path().to_str().expect("UTF-8");
        self.run_in(Path::new("/"), &[&["--project", project], words].concat())
    }

    /// The same, with a working directory.
    pub(crate) fn run_in(&self, folder: &Path, words: &[&str]) -> Ran {
        Ran::of(self.command(folder, words).output().expect("run missionctl"))
    }

    /// The same, with programs of the test's own in front of those on the PATH.
    pub(crate) fn run_with(&self, programs: &Path, words: &[&str]) -> Ran {
        let project = self.folder.path().to_str().expect("UTF-8");
        let mut command = self.command(Path::new("/"), &[&["--project", project], words].concat());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(programs.to_path_buf()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).expect("a PATH"));
        Ran::of(command.output().expect("run missionctl"))
    }

    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_missionctl"));
        command
            .args(words)
            .current_dir(folder)
            .env("MISSION_OFFLINE", "1")
            .env("MISSION_CACHE", self.path("cache"));
        command
    }

    /// `up`, which must end well.
    pub(crate) fn up(&self) -> Ran {
        self.up_with(&[])
    }

    /// The same, with further variables in the environment, which all services inherit.
    pub(crate) fn up_with(&self, variables: &[(&str, &str)]) -> Ran {
        demand_programs();
        let project = self.folder.path().to_str().expect("UTF-8");
        let mut command = self.command(Path::new("/"), &["--project", project, "up"]);
        command.envs(variables.iter().copied());
        let ran = Ran::of(command.output().expect("run missionctl"));
        assert_eq!(ran.code, 0, "up\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    pub(crate) fn status(&self) -> Value {
        let ran = self.run(&["status", "--json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
    }

    /// Pids of all services.
    pub(crate) fn pids(&self) -> BTreeMap<String, u64> {
        let status = self.status();
        let services = status["services"].as_array().expect("services").iter();
        services
            .filter_map(|service| Some((service["name"].as_str()?.to_owned(), service["pid"].as_u64()?)))
            .collect()
    }

    pub(crate) fn supervisord(&self) -> u64 {
        self.read(".mission/run/supervisord.pid")
            .trim()
            .parse()
            .expect("a pid")
    }

    pub(crate) fn url(&self, service: &str, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[service])
    }

    pub(crate) fn get(&self, service: &str, path: &str) -> Option<Value> {
        let mut response = ureq::get(self.url(service, path)).call().ok()?;
        response.body_mut().read_json().ok()
    }

    /// The value of the first sample of an instant query.
    pub(crate) fn value(&self, expression: &str) -> Option<f64> {
        self.query(expression).first().map(|(_, value)| *value)
    }

    /// The samples of an instant query, as (labels, value).
    pub(crate) fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let url = self.url("prometheus", "/api/v1/query");
        let response = ureq::get(url).query("query", expression).call();
        let answer: Option<Value> = response
            .ok()
            .and_then(|mut response| response.body_mut().read_json().ok());
        let result = answer
            .and_then(|answer| answer["data"]["result"].as_array().cloned())
            .unwrap_or_default();
        result
            .into_iter()
            .filter_map(|sample| {
                Some((
                    sample["metric"].clone(),
                    sample["value"][1].as_str()?.parse().ok()?,
                ))
            })
            .collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Looks again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {} s",
            LIMIT.as_secs()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn is_alive(pid: u64) -> bool {
    // A process that has ended and waits for its parent has an empty command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty())
}

pub(crate) fn kill(pid: u64) {
    signal(pid, Signal::KILL);
}

pub(crate) fn signal(pid: u64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("send a signal");
}

fn demand_programs() {
    for program in PROGRAMS {
        on_path(program);
    }
    for program in OWN_PROGRAMS {
        beside(program);
    }
}

/// A program of others.
pub(crate) fn on_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{program} is not on the PATH: run `make test`"))
}

/// A program of the workspace, which is built beside missionctl.
pub(crate) fn beside(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_missionctl")).with_file_name(program);
    assert!(path.is_file(), "{} is not built: run `make test`", path.display());
    path
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copy");
        }
    }
}
