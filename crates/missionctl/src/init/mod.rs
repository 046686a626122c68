//! `init`: a commented `mission.toml` from what is found on this machine.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, bail};

use crate::inventory::hostname;
use crate::project::Project;

/// Where distributions and users put the socket of their supervisord.
const SUPERVISOR_SOCKETS: [&str; 4] = [
    "/var/run/supervisor.sock",
    "/run/supervisor/supervisor.sock",
    "/var/run/supervisord.sock",
    "/tmp/supervisor.sock",
];

const POSTGRES_PORT: u16 = 5432;

/// Writes the file; one that is there stays as it is.
pub(crate) fn write(project: &Project) -> anyhow::Result<()> {
    let path = project.inventory();
    let found = Found::look(Path::new("/"));
    let mut file = match File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already and stays as it is", path.display())
        }
        file => file.with_context(|| format!("create {}", path.display()))?,
    };
    file.write_all(found.inventory().as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// What can be watched here.
#[derive(Debug)]
struct Found {
    machine: String,
    has_power: bool,
    has_postgres: bool,
    sockets: Vec<String>,
}

impl Found {
    fn look(root: &Path) -> Self {
        let folder_has = |path: &str, prefix: &str| {
            let entries = fs::read_dir(root.join(path)).into_iter().flatten().flatten();
            entries
                .into_iter()
                .any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        };
        let sockets = SUPERVISOR_SOCKETS
            .iter()
            .filter(|socket| root.join(&socket[1..]).exists());
        let mut sockets: Vec<String> = sockets.map(|socket| (*socket).to_owned()).collect();
        // /var/run is mostly a link to /run.
        sockets.dedup_by_key(|socket| root.join(&socket[1..]).canonicalize().ok());
        Self {
            machine: hostname()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect(),
            has_power: folder_has("sys/class/powercap", "intel-rapl")
                || folder_has("sys/class/thermal", "thermal_zone")
                || folder_has("sys/class/hwmon", "hwmon"),
            has_postgres: listens(root, POSTGRES_PORT),
            sockets,
        }
    }

    fn inventory(&self) -> String {
        let name = if self.machine.is_empty() {
            "here"
        } else {
            &self.machine
        };
        let mut text = format!(
            r#"# What Mission Control watches. After a change: missionctl check, then missionctl up.

[stack]
bind = "127.0.0.1"          # nothing is reachable from other machines unless you say so
profile = "core"            # lite leaves out dashboards and the push gateway, full adds logs and containers
# extras = ["longterm"]     # keep everything for a year; also: tracing, elk
retention = {{ time = "15d", size = "10GB" }}

# [stack.ports]             # when something else has a port already
# prometheus = 9090

[[machine]]                 # its name becomes the label "machine" on everything that is measured
name = "{name}"
address = "localhost"
exporters = ["node", "rapl", "worker"]
"#
        );
        if !self.has_power {
            text.push_str(SIMULATED);
        }
        text.push_str("# limits = { load15 = 12 }  # HighCPULoad fires above it; by default above 1.5 times the cores\n");
        text.push_str(REMOTE);
        if self.has_postgres {
            text.push_str("\n# PostgreSQL listens here; docs/inventory.md says how to make the role.\n");
        } else {
            text.push_str("\n# A PostgreSQL server; docs/inventory.md says how to make the role.\n");
        }
        text.push_str(POSTGRES);
        self.workers(&mut text);
        text.push_str(NOTIFY);
        text
    }

    fn workers(&self, text: &mut String) {
        let quoted: Vec<String> = self
            .sockets
            .iter()
            .map(|socket| format!("\"unix://{socket}\""))
            .collect();
        if quoted.is_empty() {
            text.push_str("\n# No supervisord was found; when there is one:\n# [workers]\n");
            text.push_str("# supervisor = [\"unix:///var/run/supervisor.sock\"]\n# match = \"worker_*\"\n");
        } else {
            // Writing to a string cannot go wrong.
            let _ = write!(
                text,
                "\n[workers]                   # programs of your supervisord\nsupervisor = [{}]\nmatch = \"*\"\n",
                quoted.join(", ")
            );
        }
    }
}

/// Whether something listens on the port of this machine: `/proc/net/tcp`, kernel documentation `proc_net_tcp`.
fn listens(root: &Path, port: u16) -> bool {
    let local = format!(":{port:04X}");
    let table = fs::read_to_string(root.join("proc/net/tcp")).unwrap_or_default();
    let mut sockets = table.lines().map(|line| line.split_whitespace());
    sockets
        .any(|mut fields| fields.nth(1).is_some_and(|at| at.ends_with(&local)) && fields.nth(1) == Some("0A"))
}

const SIMULATED: &str =
    "# power and temperature cannot be read here: load is measured, power is simulated (docs/rapl.md)\n";

const REMOTE: &str = r#"
# [[machine]]               # another machine, on which the exporters run already
# name = "pc"
# address = "192.168.1.20"
# exporters = ["node", "worker:9403"]

# [[target]]                # anything that already speaks Prometheus
# job = "my-app"
# address = "localhost:8080"
# path = "/metrics"
# interval = "15s"

# [[probe]]                 # health from outside: one of url, tcp, icmp
# name = "my-app"
# url = "http://localhost:8080/health"
# expect_json = { status = "healthy" }
"#;

const POSTGRES: &str = "# [postgres]
# address = \"localhost:5432\"
# user = \"watcher\"
# password_file = \"secrets/postgres\"
";

const NOTIFY: &str = r##"
# Alerts go where you say, through files that only you can read (chmod 600).
# [notify.slack]
# webhook_url_file = "secrets/slack"
# channel = "#alerts"

# [notify.webhook]
# url_file = "secrets/webhook"

# [[maintenance]]           # not sent at these times, in local time
# name = "sunday-backup"
# days = ["sunday"]
# times = ["02:00-04:00"]
# mutes = { severity = ["warning", "info"] }
"##;

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORTERS: &str = "exporters = [\"node\", \"rapl\", \"worker\"]\n";

    #[test]
    fn what_is_found_is_written_and_what_is_not_is_said() {
        let root = tempfile::tempdir().expect("a folder");
        let bare = Found::look(root.path()).inventory();
        assert!(bare.contains(EXPORTERS), "{bare}");
        assert!(bare.contains(SIMULATED), "{bare}");
        assert!(bare.contains("\n# [workers]\n"), "{bare}");
        assert!(bare.contains("# A PostgreSQL server;"), "{bare}");

        fs::create_dir_all(root.path().join("sys/class/powercap/intel-rapl:0")).expect("a zone");
        fs::create_dir_all(root.path().join("var/run")).expect("a folder");
        fs::write(root.path().join("var/run/supervisor.sock"), "").expect("a socket");
        fs::create_dir_all(root.path().join("proc/net")).expect("a folder");
        let sockets = "  sl  local_address rem_address   st\n   0: 0100007F:1538 00000000:0000 0A\n";
        fs::write(root.path().join("proc/net/tcp"), sockets).expect("a table");
        let full = Found::look(root.path()).inventory();
        assert!(full.contains("# PostgreSQL listens here;"), "{full}");
        assert!(full.contains(EXPORTERS), "{full}");
        assert!(!full.contains("simulated"), "{full}");
        assert!(
            full.contains("supervisor = [\"unix:///var/run/supervisor.sock\"]"),
            "{full}"
        );
    }

    #[test]
    fn every_comment_that_is_a_setting_is_a_good_one() {
        let text = Found::look(Path::new("/nowhere")).inventory();
        let settings = text.lines().map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_setting =
                bare.starts_with('[') || bare.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
            if is_setting { bare } else { line }
        });
        let text: Vec<&str> = settings.collect();
        let table: toml::Table = text
            .join("\n")
            .parse()
            .unwrap_or_else(|error| panic!("{error}\n{text:#?}"));
        for table_name in [
            "stack",
            "machine",
            "target",
            "probe",
            "postgres",
            "workers",
            "notify",
            "maintenance",
        ] {
            assert!(table.contains_key(table_name), "{table_name} is in no comment");
        }
    }
}
