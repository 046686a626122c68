//! `init`: a commented `mission.toml` from what is found on this machine.

mod found;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::found::{Found, Thing};
use crate::project::Project;

/// Writes the file; one that is there stays as it is.
pub(crate) fn write(project: &Project) -> anyhow::Result<()> {
    let path = project.inventory();
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let found = Found::look(Path::new("/"), home.as_deref());
    let mut file = match File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already and stays as it is", path.display())
        }
        file => file.with_context(|| format!("create {}", path.display()))?,
    };
    file.write_all(text(&found).as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// The whole file.
fn text(found: &Found) -> String {
    let mut text = head(found);
    text.push_str(REMOTE);
    if found.has(Thing::Postgres) {
        text.push_str("\n# PostgreSQL listens here; docs/inventory.md says how to make the role.\n");
    } else {
        text.push_str("\n# A PostgreSQL server; docs/inventory.md says how to make the role.\n");
    }
    text.push_str(POSTGRES);
    workers(found, &mut text);
    lancedb(found, &mut text);
    if found.has(Thing::LiteLlm) {
        text.push_str("\n# LiteLLM listens here; what it spends stands in its database:\n");
    } else {
        text.push_str(
            "\n# Figures from databases: what LiteLLM spends, queues, revenue, whatever SQL can say.\n",
        );
    }
    text.push_str(SQL);
    training(found, &mut text);
    devices(found, &mut text);
    text.push_str(if found.has(Thing::Wsl) { WSL } else { BRIDGE });
    text.push_str(NOTIFY);
    text
}

fn head(found: &Found) -> String {
    let name = if found.machine.is_empty() {
        "here"
    } else {
        &found.machine
    };
    let mut exporters = vec!["node", "rapl"];
    exporters.extend(found.has(Thing::Gpu).then_some("gpu"));
    exporters.push("worker");
    exporters.extend((!found.lancedb.is_empty()).then_some("lancedb"));
    exporters.extend((!found.runs.is_empty()).then_some("training"));
    exporters.extend((!found.serial.is_empty()).then_some("device"));
    let exporters: Vec<String> = exporters.iter().map(|word| format!("\"{word}\"")).collect();
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
exporters = [{exporters}]
"#,
        exporters = exporters.join(", ")
    );
    if !found.has(Thing::Power) {
        text.push_str(SIMULATED);
    }
    if !found.has(Thing::Gpu) {
        text.push_str("# no GPU was found; where there is one, add \"gpu\" to the exporters\n");
    }
    text.push_str(
        "# limits = { load15 = 12 }  # HighCPULoad fires above it; by default above 1.5 times the cores\n",
    );
    text.push_str(if found.has(Thing::Gpu) { GPU } else { "" });
    text
}

fn workers(found: &Found, text: &mut String) {
    let sockets: Vec<String> = found
        .supervisors
        .iter()
        .map(|socket| format!("\"unix://{socket}\""))
        .collect();
    if sockets.is_empty() {
        text.push_str("\n# What runs your models; no supervisord was found:\n# [workers]\n");
        text.push_str("# supervisor = [\"unix:///var/run/supervisor.sock\"]\n# match = \"worker_*\"\n");
    } else {
        // Writing to a string cannot go wrong.
        let _ = writeln!(
            text,
            "\n[workers]                   # what runs your models\nsupervisor = [{}]\nmatch = \"*\"",
            sockets.join(", ")
        );
    }
    let runs = |thing| {
        if found.has(thing) {
            "runs here"
        } else {
            "was not found"
        }
    };
    // Which of them are to run always, only the user knows: WorkerDown is critical.
    let _ = writeln!(
        text,
        "# systemd = [\"worker@*.service\", \"ollama\"]   # units; systemd {}; systemd_user: your own\n\
         # docker = [\"brain-*\"]      # containers; an engine {}; true: all of them, also those that have ended",
        runs(Thing::Systemd),
        runs(Thing::Engine)
    );
}

fn lancedb(found: &Found, text: &mut String) {
    let mut names: Vec<&OsStr> = Vec::new();
    let (mut good, mut others) = (Vec::new(), Vec::new());
    for path in &found.lancedb {
        let name = path.file_name().unwrap_or_default();
        let is_plain = |path: &&str| !path.chars().any(|c| c.is_control() || ",;\"\\".contains(c));
        let plain = path.to_str().filter(is_plain);
        match plain {
            // Tables of two folders of one name could not be told apart.
            Some(plain) if !names.contains(&name) => {
                names.push(name);
                good.push(format!("\"{plain}\""));
            }
            // Anybody may have made it: a line break in its name must not become one here.
            _ => others.push(format!("{:?}", path.display().to_string())),
        }
    }
    if good.is_empty() {
        text.push_str("\n# No LanceDB tables were found; where there are some, the folder that applications connect to:\n");
        text.push_str("# [lancedb]\n# path = \"/srv/brain\"\n");
    } else {
        let _ = writeln!(
            text,
            "\n[lancedb]                   # folders with tables\npath = [{}]",
            good.join(", ")
        );
    }
    for other in others {
        let _ = writeln!(text, "# found too, under a name that needs a change: {other}");
    }
}

fn training(found: &Found, text: &mut String) {
    let runs: Vec<&str> = found.runs.iter().filter_map(|path| path.to_str()).collect();
    let is_plain = |path: &&str| !path.chars().any(|c| c.is_control() || "\"\\".contains(c));
    let runs: Vec<String> = runs
        .into_iter()
        .filter(is_plain)
        .map(|path| format!("\"{path}\""))
        .collect();
    if runs.is_empty() {
        text.push_str("\n# No training runs were found; where there are some:\n# [training]\n# runs = [\"/srv/runs\"]     # folders with runs of any trainer\n");
    } else {
        let _ = writeln!(
            text,
            "\n[training]                  # folders with runs of any trainer\nruns = [{}]",
            runs.join(", ")
        );
    }
    text.push_str(TRAINING);
}

fn devices(found: &Found, text: &mut String) {
    if found.serial.is_empty() {
        text.push_str("\n# No serial ports were found; where boards are plugged in:\n# [[device]]\n# port = \"/dev/serial/by-id/*\"\n");
    }
    for pattern in &found.serial {
        let _ = writeln!(
            text,
            "\n[[device]]                  # embedded devices; opening a port can reset its board (docs/devices.md)\nport = \"{pattern}\""
        );
    }
}

const TRAINING: &str =
    "# metrics = \"training/latest_metrics.json\"   # a file that your trainer rewrites: docs/training.md
# canary = { command = [\"./canary.sh\"], every = \"1h\", drop = 0.10 }
";

const BRIDGE: &str = "
# [bridge]                  # to a Prometheus elsewhere that does not reach this machine
# remote_write = \"http://centre:9090/api/v1/write\"

# [receiver]                # lets such machines write to this one; bind must let them in
# out_of_order = \"24h\"
";

const WSL: &str = "
# This is WSL2, which other machines mostly do not reach: docs/wsl2.md. To bring everything to a Prometheus elsewhere,
# write profile = \"agent\" above, and here:
# [bridge]
# remote_write = \"http://centre:9090/api/v1/write\"

# [receiver]                # lets such machines write to this one; bind must let them in
# out_of_order = \"24h\"
";

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

const GPU: &str = "
# [gpu]
# expected = 2              # GPUMissing fires when fewer answer; else when one is lost that was seen before
";

const SQL: &str = "# [[sql]]
# pack = \"litellm\"          # or signal-queue, business, or a file with queries of your own: docs/sql.md
# dsn_file = \"secrets/litellm.dsn\"
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
    use std::fs;

    use super::*;

    const EXPORTERS: &str = "exporters = [\"node\", \"rapl\", \"worker\"]\n";

    #[test]
    fn what_is_found_is_written_and_what_is_not_is_said() {
        let root = tempfile::tempdir().expect("a folder");
        let bare = text(&Found::look(root.path(), None));
        assert!(bare.contains(EXPORTERS), "{bare}");
        assert!(bare.contains(SIMULATED), "{bare}");
        assert!(bare.contains("\n# [workers]\n"), "{bare}");
        assert!(bare.contains("# A PostgreSQL server;"), "{bare}");
        assert!(bare.contains("an engine was not found"), "{bare}");

        fs::create_dir_all(root.path().join("sys/class/powercap/intel-rapl:0")).expect("a zone");
        fs::create_dir_all(root.path().join("srv/brain/a.lance/_versions")).expect("a table");
        let gpu = root.path().join("sys/bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(&gpu).expect("a device");
        fs::write(gpu.join("vendor"), "0x10de\n").expect("write");
        fs::write(gpu.join("class"), "0x030000\n").expect("write");
        fs::create_dir_all(root.path().join("var/run")).expect("a folder");
        fs::write(root.path().join("var/run/supervisor.sock"), "").expect("a socket");
        fs::write(root.path().join("var/run/docker.sock"), "").expect("a socket");
        fs::create_dir_all(root.path().join("proc/net")).expect("a folder");
        let sockets = "  sl  local_address rem_address   st\n   0: 0100007F:1538 00000000:0000 0A\n";
        fs::write(root.path().join("proc/net/tcp"), sockets).expect("a table");
        let full = text(&Found::look(root.path(), None));
        assert!(full.contains("# PostgreSQL listens here;"), "{full}");
        assert!(full.contains("an engine runs here"), "{full}");
        assert!(full.parse::<toml::Table>().is_ok(), "{full}");
        let all = "exporters = [\"node\", \"rapl\", \"gpu\", \"worker\", \"lancedb\"]\n";
        assert!(full.contains(all), "{full}");
        assert!(full.contains("\n# [gpu]\n"), "{full}");
        let brain = format!("\npath = [\"{}/srv/brain\"]\n", root.path().display());
        assert!(full.contains(&brain), "{full}");
        assert!(!full.contains("simulated"), "{full}");
        assert!(
            full.contains("supervisor = [\"unix:///var/run/supervisor.sock\"]"),
            "{full}"
        );
    }

    #[test]
    fn what_somebody_called_a_folder_becomes_no_setting() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["a\n[[target]]\njob = \"x\"", "b, \"c", "d"] {
            fs::create_dir_all(root.path().join("srv").join(name).join("t.lance/_versions"))
                .expect("a table");
        }
        let text = text(&Found::look(root.path(), None));
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(!table.contains_key("target"), "{text}");
        assert_eq!(
            table["lancedb"]["path"].as_array().map(Vec::len),
            Some(1),
            "{text}"
        );
        assert_eq!(text.matches("# found too").count(), 2, "{text}");
    }

    #[test]
    fn every_comment_that_is_a_setting_is_a_good_one() {
        let text = text(&Found::look(Path::new("/nowhere"), None));
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
            "lancedb",
            "sql",
            "training",
            "device",
            "bridge",
            "receiver",
            "notify",
            "maintenance",
        ] {
            assert!(table.contains_key(table_name), "{table_name} is in no comment");
        }
    }
}
