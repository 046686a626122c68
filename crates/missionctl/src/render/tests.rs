//! What containers and processes are told about the same inventory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::service::Service;

const INVENTORY: &str = r#"
[stack]
profile = "full"
extras = ["longterm", "tracing"]
[stack.ports]
prometheus = 19090
node-exporter = 19100
[[machine]]
name = "here"
address = "localhost"
exporters = ["node", "worker"]
[[machine]]
name = "pc"
address = "10.255.255.1"
[[target]]
job = "app"
address = "localhost:4000"
[[target]]
job = "router"
address = "10.255.255.1:8788"
[[probe]]
name = "api"
url = "https://localhost:8443/health"
interval = "5s"
[[probe]]
name = "self"
url = "http://127.0.0.1:19090/-/ready"
[[probe]]
name = "pc"
icmp = "10.255.255.1"
[postgres]
address = "10.255.255.1:5432"
user = "watcher"
[gpu]
expected = 2
[lancedb]
path = ["/nowhere/brain", "/nowhere/notes"]
[[sql]]
pack = "litellm"
dsn_file = "litellm.dsn"
[[sql]]
name = "shop"
pack = "shop.toml"
dsn = "sqlite:data/shop.db"
[[sql]]
pack = "business"
dsn = "sqlite:data/more/figures.db"
[workers]
supervisor = ["unix:///nowhere/supervisor.sock", "http://me:hush@localhost:9001/RPC2"]
heartbeat = "/nowhere/{worker}"
systemd = ["worker@*.service"]
docker = ["brain-*"]
docker_labels = ["brain.worker"]
[training]
metrics = "training/latest_metrics.json"
runs = "/nowhere/runs"
canary = { command = ["./canary.sh", "--fast"], every = "2h" }
[[device]]
port = "/dev/serial/by-id/*"
[[device]]
port = "tcp://localhost:3333"
platform = "esp32"
[bridge]
remote_write = "http://localhost:19090/api/v1/write"
user = "me"
password_file = "centre"
[receiver]
out_of_order = "6h"
[notify.slack]
webhook_url_file = "slack"
[notify.webhook]
url_file = "webhook"
"#;

/// The stack's own files and this inventory.
fn project(folder: &Path) -> Project {
    let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["prometheus", "alertmanager", "grafana", "loki", "jaeger"] {
        symlink(stack.join(name), folder.join(name)).expect("a link");
    }
    for (name, text) in [
        ("mission.toml", INVENTORY),
        ("slack", "http://localhost:8065/hooks/x\n"),
        ("webhook", "http://127.0.0.1:5001/hook\n"),
        ("litellm.dsn", "postgres://me:hush@localhost/litellm\n"),
        ("shop.toml", "[[query]]\n"),
        ("centre", "hush\n"),
    ] {
        fs::write(folder.join(name), text).expect("write");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).expect("change the mode");
    }
    Project::find(Some(folder)).expect("a project")
}

/// What is rendered for containers, Loki left out.
struct Rendered {
    folder: tempfile::TempDir,
    project: Project,
    inventory: Inventory,
}

impl Rendered {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let project = project(folder.path());
        let (inventory, findings) = Inventory::load(&project);
        let mut inventory = inventory.unwrap_or_else(|| panic!("{findings}"));
        inventory.leave_out(Service::Loki);
        let rendered = Self {
            folder,
            project,
            inventory,
        };
        rendered.render(Place::Containers {
            published: &[(19090, Service::Prometheus)],
        });
        rendered
    }

    fn render(&self, place: Place) {
        let tree = configuration(&self.project, &self.inventory, place).expect("rendered");
        tree.apply(&self.run()).expect("written");
    }

    fn run(&self) -> std::path::PathBuf {
        self.folder.path().join("run")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.run().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn targets(&self, job: &str) -> serde_json::Value {
        let text = self.read(&format!("prometheus/targets/{job}.json"));
        serde_json::from_str(&text).expect("JSON")
    }
}

#[test]
fn containers_are_scraped_by_their_names_and_this_machine_by_another() {
    let rendered = Rendered::new();
    let targets = |job: &str| rendered.targets(job);
    assert_eq!(targets("prometheus")[0]["targets"][0], "prometheus:9090");
    assert_eq!(
        targets("node-exporter")[0]["targets"][0],
        "host.docker.internal:19100"
    );
    assert_eq!(targets("jaeger")[0]["targets"][0], "jaeger:8888");
    assert_eq!(targets("postgres-exporter")[0]["labels"]["machine"], "pc");
    assert!(targets("loki").as_array().expect("a list").is_empty());
    assert_eq!(targets("app")[0]["targets"][0], "host.docker.internal:4000");
    assert_eq!(targets("app")[0]["labels"]["instance"], "localhost:4000");
    assert_eq!(targets("router")[0]["targets"][0], "10.255.255.1:8788");
    assert!(targets("router")[0]["labels"]["instance"].is_null());
}

#[test]
fn probes_of_this_machine_ask_it_under_its_own_name() {
    let rendered = Rendered::new();
    let targets = |job: &str| rendered.targets(job);
    let read = |path: &str| rendered.read(path);
    let probe = |index: usize, label: &str| targets("probe")[index]["labels"][label].clone();
    assert_eq!(targets("probe")[0]["targets"][0], "blackbox-exporter:9115");
    assert_eq!(probe(0, "instance"), "https://localhost:8443/health");
    assert_eq!(
        probe(0, "__param_target"),
        "https://host.docker.internal:8443/health"
    );
    assert_eq!(probe(0, "__scrape_timeout__"), "5s");
    assert_eq!(probe(1, "__param_target"), "http://prometheus:9090/-/ready");
    assert_eq!(
        (probe(2, "__param_target"), probe(2, "machine")),
        ("10.255.255.1".into(), "pc".into())
    );
    let modules: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&read("blackbox-exporter/blackbox.yml")).expect("YAML");
    let api = &modules["modules"]["api"]["http"];
    assert_eq!(api["headers"]["Host"], "localhost:8443");
    assert_eq!(api["tls_config"]["server_name"], "localhost");
}

#[test]
fn containers_are_told_files_and_secrets_as_they_see_them() {
    let rendered = Rendered::new();
    let read = |path: &str| rendered.read(path);
    let run = rendered.run();
    let workers = read("worker-exporter/worker-exporter.toml");
    assert!(
        workers.contains("unix:///host/nowhere/supervisor.sock"),
        "{workers}"
    );
    assert!(
        workers.contains("http://me:hush@host.docker.internal:9001/RPC2"),
        "{workers}"
    );
    assert!(workers.contains("/host/nowhere/{worker}"), "{workers}");
    let units = "/run/dbus/system_bus_socket\"\nmatch = [\"worker@*.service\"]";
    assert!(
        workers.contains(units) && workers.contains("\"systemd:///host/"),
        "{workers}"
    );
    let containers = "docker.sock\"\nmatch = [\"brain-*\"]\nlabels = [\"brain.worker\"]";
    assert!(workers.contains(containers), "{workers}");
    assert_eq!(
        workers.matches("url = ").count(),
        4,
        "no supervisord runs the stack\n{workers}"
    );

    let alerts = read("alertmanager/alertmanager.yml");
    assert!(alerts.contains("/run/secrets/slack-webhook-url"), "{alerts}");
    assert!(
        alerts.contains("http://host.docker.internal:5001/hook"),
        "{alerts}"
    );
    assert_eq!(
        read("secrets/slack-webhook-url"),
        "http://host.docker.internal:8065/hooks/x"
    );
    assert_eq!(read("secrets/postgres-password"), "");
    assert_eq!(read("secrets/grafana-admin-password").len(), 32);
    assert!(read("prometheus/prometheus.yml").contains("http://victoria-metrics:8428/api/v1/write"));
    assert!(run.join("alloy/containers.alloy").exists() && !run.join("alloy/files.alloy").exists());
    assert!(!run.join("grafana/provisioning/datasources/loki.yml").exists());
    // Their users are none of this machine's.
    let mode = run
        .join("alertmanager/alertmanager.yml")
        .metadata()
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);

    // Processes need no copies of secrets, and take away those that were there.
    rendered.render(Place::Processes {
        supervisord: Path::new("/run/supervisor.sock"),
    });
    assert_eq!(fs::read_dir(run.join("secrets")).expect("a folder").count(), 0);
    assert!(run.join("alloy/files.alloy").exists() && !run.join("alloy/containers.alloy").exists());
}

#[test]
fn databases_are_named_as_whoever_asks_them_reaches_them() {
    let rendered = Rendered::new();
    fs::create_dir_all(rendered.folder.path().join("data/more")).expect("a folder");
    for file in ["data/shop.db", "data/more/figures.db"] {
        fs::write(rendered.folder.path().join(file), "").expect("a file");
    }
    rendered.render(Place::Containers { published: &[] });
    let text = rendered.read("sql-exporter/sql-exporter.toml");
    assert!(!text.contains("hush"), "{text}");
    for line in [
        "dsn_file = \"/etc/sql-exporter/addresses/litellm\"",
        "queries = \"queries/shop.toml\"",
        "dsn = \"sqlite:/files/shop.db\"",
        "dsn = \"sqlite:/files/more/figures.db\"",
        "pack = \"business\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(
        rendered.read("sql-exporter/addresses/litellm"),
        "postgres://me:hush@host.docker.internal:5432/litellm"
    );
    assert_eq!(
        sqlite_files(&rendered.inventory),
        Some(
            rendered
                .folder
                .path()
                .join("data")
                .canonicalize()
                .expect("the folder")
        )
    );

    rendered.render(Place::Processes {
        supervisord: Path::new("/run/supervisor.sock"),
    });
    let text = rendered.read("sql-exporter/sql-exporter.toml");
    let original = rendered.project.root().join("litellm.dsn");
    assert!(text.contains(&original.display().to_string()), "{text}");
    assert!(text.contains("/data/shop.db\""), "{text}");
    let copies = fs::read_dir(rendered.run().join("sql-exporter/addresses")).expect("a folder");
    for copy in copies.flatten() {
        let text = fs::read_to_string(copy.path()).expect("a file");
        assert!(!text.contains("hush"), "{}", copy.path().display());
    }
}

#[test]
fn training_runs_and_devices_are_named_as_their_exporters_see_them() {
    let rendered = Rendered::new();
    let root = rendered.project.root().to_path_buf();
    let in_container = |path: &str| format!("\"/host{}\"", real(&root.join(path)).display());
    let text = rendered.read("training-exporter/training-exporter.toml");
    let metrics = in_container("training/latest_metrics.json");
    assert!(text.contains(&format!("metrics = {metrics}\n")), "{text}");
    assert!(text.contains("runs = [\"/host/nowhere/runs\"]"), "{text}");
    assert!(
        !text.contains("canary"),
        "a container has no such program\n{text}"
    );
    assert_eq!(training_files(&rendered.inventory), Some("/".into()));
    let text = rendered.read("device-exporter/device-exporter.toml");
    assert!(text.contains("port = \"/dev/serial/by-id/*\""), "{text}");
    assert!(
        text.contains("port = \"tcp://host.docker.internal:3333\""),
        "{text}"
    );

    rendered.render(Place::Processes {
        supervisord: Path::new("/run/supervisor.sock"),
    });
    let text = rendered.read("training-exporter/training-exporter.toml");
    let command = format!("command = [\"{}/canary.sh\", \"--fast\"]", root.display());
    assert!(text.contains(&command), "{text}");
    let folder = format!("folder = \"{}/training/canary\"", root.display());
    assert!(text.contains(&folder), "{text}");
    let text = rendered.read("device-exporter/device-exporter.toml");
    assert!(text.contains("port = \"tcp://localhost:3333\""), "{text}");
}

#[test]
fn a_bridge_is_told_what_to_scrape_and_where_to_bring_it() {
    let rendered = Rendered::new();
    let read = || {
        let text = rendered.read("pushgateway-bridge/pushgateway-bridge.toml");
        assert!(!text.contains("hush"), "{text}");
        text.parse::<toml::Table>().expect("TOML")
    };
    let bridge = read();
    assert_eq!(bridge["machine"].as_str(), Some("here"));
    let to = &bridge["remote_write"];
    assert_eq!(to["url"].as_str(), Some("http://prometheus:9090/api/v1/write"));
    assert_eq!(
        to["password_file"].as_str(),
        Some("/etc/pushgateway-bridge/password")
    );
    assert_eq!(rendered.read("pushgateway-bridge/password"), "hush\n");
    let targets: Vec<(&str, &str)> = bridge["target"]
        .as_array()
        .expect("targets")
        .iter()
        .filter_map(|target| Some((target["job"].as_str()?, target["url"].as_str()?)))
        .collect();
    for expected in [
        ("node-exporter", "http://host.docker.internal:19100/metrics"),
        ("worker-exporter", "http://worker-exporter:9403/metrics"),
        ("app", "http://host.docker.internal:4000/metrics"),
        (
            "probe",
            "http://blackbox-exporter:9115/probe?module=api&target=https%3A%2F%2Fhost.docker.internal%3A8443%2Fhealth",
        ),
    ] {
        assert!(targets.contains(&expected), "{expected:?} is not in {targets:#?}");
    }
    assert!(
        targets.iter().all(|(job, _)| *job != "prometheus"),
        "{targets:#?}"
    );
    let config = rendered.read("prometheus/prometheus.yml");
    assert!(config.contains("out_of_order_time_window: 6h"), "{config}");

    rendered.render(Place::Processes {
        supervisord: Path::new("/run/supervisor.sock"),
    });
    let bridge = read();
    let to = &bridge["remote_write"];
    assert_eq!(to["url"].as_str(), Some("http://localhost:19090/api/v1/write"));
    let original = rendered.project.root().join("centre").display().to_string();
    assert_eq!(to["password_file"].as_str(), Some(original.as_str()));
    assert!(!rendered.run().join("pushgateway-bridge/password").exists());
}
