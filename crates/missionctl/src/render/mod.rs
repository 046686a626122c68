//! From the inventory to the configuration of every service, made in memory, proved in a staging folder, and only then
//! put in place of what runs.

mod alertmanager;
mod blackbox;
mod expectation;
mod grafana;
mod mutes;
mod password;
mod place;
mod prometheus;
mod secrets;
mod targets;
mod tree;
mod worker;

use std::path::Path;

use anyhow::Context;

pub(crate) use self::mutes::TEST_ALERT;
pub(crate) use self::password::{grafana_password, password_file};
pub(crate) use self::place::Place;
pub(crate) use self::targets::scraped_here;
pub(crate) use self::tree::{Tree, hex, scratch, write_atomically};
use crate::inventory::{Inventory, Url};
use crate::project::Project;

/// Everything but what also depends on the programs found: supervisord's own configuration, the variables of
/// `compose.yaml`.
pub(crate) fn configuration(project: &Project, inventory: &Inventory, place: Place) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    prometheus::render(project, inventory, place, &mut tree).context("render prometheus")?;
    alertmanager::render(project, inventory, place, &mut tree).context("render alertmanager")?;
    tree.add(
        "worker-exporter/worker-exporter.toml",
        worker::render(project, inventory, place)?,
    );
    tree.add("blackbox-exporter/blackbox.yml", blackbox::render(inventory)?);
    grafana::render(project, inventory, &mut tree).context("render grafana")?;
    let other = match place {
        Place::Processes { .. } => Path::new("containers.alloy"),
        Place::Containers { .. } => Path::new("files.alloy"),
    };
    for (from, to) in [("loki", "loki"), ("loki/alloy", "alloy"), ("jaeger", "jaeger")] {
        let is_wanted = |path: &Path| !path.starts_with("alloy") && path != other;
        tree.copy(&project.stack().join(from), to, is_wanted)
            .with_context(|| format!("copy {from}"))?;
    }
    secrets::render(project, inventory, place, &mut tree).context("render the secrets")?;
    Ok(tree)
}

/// The URL under which the services reach a page that `url` names.
fn reached(url: Url, place: Place) -> Url {
    if url.address().has_own_name() {
        let address = place.local(&url.address());
        url.at(address)
    } else {
        url
    }
}

#[cfg(test)]
mod tests {
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
[workers]
supervisor = ["unix:///nowhere/supervisor.sock", "http://me:hush@localhost:9001/RPC2"]
heartbeat = "/nowhere/{worker}"
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
        ] {
            fs::write(folder.join(name), text).expect("write");
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600))
                .expect("change the mode");
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
        assert_eq!(
            workers.matches("url = ").count(),
            2,
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
}
