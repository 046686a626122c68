//! `supervisord.conf`: one program per service, with a fingerprint of what it is made of, so that supervisord itself
//! can tell which ones a new configuration changes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::grafana;
use super::unit::Unit;
use crate::demo;
use crate::inventory::Inventory;
use crate::process::MARKER;
use crate::project::Project;
use crate::render::{Tree, hex};
use crate::service::Service;

/// The file's text.
pub(crate) fn render(
    project: &Project,
    inventory: &Inventory,
    units: &[Unit],
    tree: &Tree,
    socket: &Path,
) -> anyhow::Result<String> {
    let mut text = "; Rendered by missionctl from mission.toml.\n".to_owned();
    let path = |path: &Path| escape(&path.display().to_string());
    write!(
        text,
        "[unix_http_server]\nfile = {socket}\nchmod = 0700\n\n\
         [supervisord]\nlogfile = {log}\nlogfile_maxbytes = 10MB\nlogfile_backups = 3\npidfile = {pid}\n\
         identifier = mission-control\ndirectory = {mission}\nchildlogdir = {logs}\numask = 027\n\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\n\
         [supervisorctl]\nserverurl = unix://{socket}\n",
        socket = path(socket),
        log = path(&project.log("supervisord")),
        pid = path(&project.run().join("supervisord.pid")),
        mission = path(&project.mission()),
        logs = path(&project.logs()),
    )?;
    for unit in units {
        let name = unit.service.name();
        let command: Vec<String> = command(project, inventory, unit)
            .iter()
            .map(|word| quote(&escape(word)))
            .collect();
        write!(
            text,
            "\n[program:{name}]\ncommand = {command}\ndirectory = {data}\nenvironment = {environment}\n\
             autostart = true\nautorestart = true\nstartsecs = 2\nstartretries = 20\nstopwaitsecs = {grace}\n\
             killasgroup = true\nredirect_stderr = true\nstdout_logfile = {log}\nstdout_logfile_maxbytes = 100MB\n\
             stdout_logfile_backups = 10\n",
            command = command.join(" "),
            data = path(&project.data(name)),
            environment = environment(project, inventory, unit, tree)?,
            grace = stop_seconds(unit.service),
            log = path(&project.log(name)),
        )?;
    }
    Ok(text)
}

/// How long a service may take to write down what it holds in memory.
pub(crate) const fn stop_seconds(service: Service) -> u64 {
    match service {
        Service::Prometheus => 60,
        _ => 10,
    }
}

/// A percent sign begins an expansion in supervisord's configuration.
fn escape(text: &str) -> String {
    text.replace('%', "%%")
}

/// Names of projects are known to hold no quotes.
fn quote(word: &str) -> String {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_=./:%+,[]".contains(c));
    if plain {
        word.to_owned()
    } else {
        format!("\"{word}\"")
    }
}

fn command(project: &Project, inventory: &Inventory, unit: &Unit) -> Vec<String> {
    let data = project.data(unit.service.name());
    let data = data.display();
    let run = project.run();
    let run = run.display();
    let url = unit.url().unwrap_or_default();
    let mut words = vec![unit.program.display().to_string()];
    match unit.service {
        // --rules.alert.resend-delay stays at its minute: without Prometheus an alert lives four times as long, which
        // is enough for a restart, after which the alert waits for its `for` again. At 15 s every restart would send
        // "resolved" and then the same alert anew.
        Service::Prometheus => {
            words.push(format!("--config.file={run}/prometheus/prometheus.yml"));
            words.push(format!("--storage.tsdb.path={data}"));
            words.push(format!(
                "--storage.tsdb.retention.time={}",
                inventory.stack.retention_time
            ));
            if let Some(size) = &inventory.stack.retention_size {
                words.push(format!("--storage.tsdb.retention.size={size}"));
            }
            words.push(format!("--web.external-url={url}/"));
        }
        Service::Alertmanager => {
            words.push(format!("--config.file={run}/alertmanager/alertmanager.yml"));
            words.push(format!("--storage.path={data}"));
            // One instance gossips with nobody, and so opens no second port.
            words.push("--cluster.listen-address=".to_owned());
            words.push(format!("--web.external-url={url}/"));
        }
        Service::Pushgateway => {
            words.push(format!("--persistence.file={data}/metrics"));
            words.push("--persistence.interval=1m".to_owned());
        }
        Service::WorkerExporter => words.push(format!("--config.file={run}/worker-exporter.toml")),
        Service::Grafana => {
            words.push("server".to_owned());
            words.push(format!("--homepath={}", grafana::home(&unit.program).display()));
        }
        Service::DemoMachine => {
            words.push("demo-machine".to_owned());
            words.push(data.to_string());
        }
        Service::NodeExporter => {
            // Debian turns on what needs rights that are not there, and reads a folder that is not there.
            words.push("--no-collector.systemd".to_owned());
            words.push(format!("--collector.textfile.directory={data}"));
        }
        Service::RaplExporter if inventory.stack.demo => {
            let machine = project.data(Service::DemoMachine.name());
            words.push(format!("--path.sysfs={}", demo::sysfs(&machine).display()));
            words.push(format!("--path.procfs={}", demo::procfs(&machine).display()));
        }
        Service::RaplExporter => {}
    }
    // Grafana is told by its environment.
    if let Some(address) = unit.address.as_ref().filter(|_| unit.service != Service::Grafana) {
        let listen = SocketAddr::new(inventory.stack.bind, address.port);
        words.push(format!("--web.listen-address={listen}"));
    }
    words
}

fn environment(project: &Project, inventory: &Inventory, unit: &Unit, tree: &Tree) -> anyhow::Result<String> {
    let mut variables = vec![
        (MARKER.to_owned(), project.run().display().to_string()),
        ("MISSION_FINGERPRINT".to_owned(), fingerprint(unit, tree)?),
    ];
    if unit.service == Service::Grafana {
        variables.extend(grafana::variables(project, inventory));
    }
    let entries = variables
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    Ok(entries.collect::<Vec<_>>().join(","))
}

/// Changes when the executable does, or a file that the service reads only when it starts.
fn fingerprint(unit: &Unit, tree: &Tree) -> anyhow::Result<String> {
    let real = unit
        .program
        .canonicalize()
        .with_context(|| unit.program.display().to_string())?;
    let metadata = real.metadata().with_context(|| real.display().to_string())?;
    let files = match unit.service {
        Service::WorkerExporter => tree.digest(|path| path == Path::new("worker-exporter.toml")),
        Service::Grafana => tree.digest(|path| path.starts_with("grafana/provisioning")),
        _ => String::new(),
    };
    let mut hash = Sha256::new();
    hash.update(format!(
        "{} {} {} {}",
        real.display(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ));
    hash.update(files);
    Ok(hex(&hash.finalize()[..8]))
}
