//! `supervisord.conf`: one program per service, with a fingerprint of what it is made of, so that supervisord itself
//! can tell which ones a new configuration changes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::unit::Unit;
use super::{grafana, logs};
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
        Service::Prometheus | Service::VictoriaMetrics | Service::Loki => 60,
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
    let mut words = vec![unit.program.display().to_string()];
    words.extend(arguments(project, inventory, unit));
    words.extend(listen(inventory, unit));
    if unit.service == Service::Alloy {
        // All files of the folder are one configuration.
        words.push(project.run().join("alloy").display().to_string());
    }
    words
}

fn arguments(project: &Project, inventory: &Inventory, unit: &Unit) -> Vec<String> {
    let data = project.data(unit.service.name());
    let data = data.display();
    let run = project.run();
    let run = run.display();
    match unit.service {
        Service::Prometheus => prometheus(project, inventory, unit),
        Service::Alertmanager => vec![
            format!("--config.file={run}/alertmanager/alertmanager.yml"),
            format!("--storage.path={data}"),
            // One instance gossips with nobody, and so opens no second port.
            "--cluster.listen-address=".to_owned(),
            format!("--web.external-url={}/", unit.url().unwrap_or_default()),
        ],
        Service::Pushgateway => vec![
            format!("--persistence.file={data}/metrics"),
            "--persistence.interval=1m".to_owned(),
        ],
        Service::WorkerExporter => vec![format!("--config.file={run}/worker-exporter/worker-exporter.toml")],
        Service::BlackboxExporter => vec![format!("--config.file={run}/blackbox-exporter/blackbox.yml")],
        Service::Grafana => vec![
            "server".to_owned(),
            format!("--homepath={}", grafana::home(&unit.program).display()),
        ],
        Service::DemoMachine => vec![data.to_string()],
        Service::NodeExporter => vec![
            // Debian turns on what needs rights that are not there, and reads a folder that is not there.
            "--no-collector.systemd".to_owned(),
            format!("--collector.textfile.directory={data}"),
        ],
        Service::RaplExporter if inventory.stack.demo => demo::paths(&machine(project)),
        Service::GpuExporter => gpu(project, inventory, unit),
        Service::LancedbExporter if inventory.stack.demo => {
            vec![format!("--lancedb.path={}", demo::brain(&machine(project)).display())]
        }
        Service::LancedbExporter => {
            let folders = inventory.lancedb.iter();
            folders.map(|folder| format!("--lancedb.path={}", folder.path.display())).collect()
        }
        Service::SqlExporter => vec![format!("--config.file={run}/sql-exporter/sql-exporter.toml")],
        Service::TrainingExporter => vec![
            format!("--config.file={run}/training-exporter/training-exporter.toml"),
            format!("--storage.path={data}"),
        ],
        Service::DeviceExporter => vec![
            format!("--config.file={run}/device-exporter/device-exporter.toml"),
            format!("--storage.path={data}"),
        ],
        Service::PushgatewayBridge => {
            let intake = inventory.bridge.as_ref().and_then(|bridge| bridge.intake.as_ref());
            let mut words = vec![
                format!("--config.file={run}/pushgateway-bridge/pushgateway-bridge.toml"),
                format!("--storage.path={data}"),
            ];
            words.extend(intake.map(|intake| format!("--intake.listen-address={intake}")));
            words
        }
        Service::VictoriaMetrics => vec![
            format!("-storageDataPath={data}"),
            format!("-retentionPeriod={}", inventory.stack.retention_longterm),
        ],
        Service::Loki => vec![
            format!("-config.file={run}/loki/loki.yaml"),
            "-config.expand-env=true".to_owned(),
        ],
        Service::Alloy => vec![
            "run".to_owned(),
            format!("--storage.path={data}"),
            "--disable-reporting".to_owned(),
        ],
        Service::RaplExporter
        | Service::PostgresExporter
        // These exist in containers only.
        | Service::Cadvisor
        | Service::Jaeger
        | Service::Elasticsearch
        | Service::Kibana => Vec::new(),
    }
}

/// Folder of the made-up machine.
fn machine(project: &Project) -> PathBuf {
    project.data(Service::DemoMachine.name())
}

fn gpu(project: &Project, inventory: &Inventory, unit: &Unit) -> Vec<String> {
    let mut words = Vec::new();
    if inventory.stack.demo {
        words.extend(demo::paths(&machine(project)));
        words.push(format!("--nvml.library={}", demo::nvml(&unit.program).display()));
    }
    let expected = inventory.expected_gpus.iter();
    words.extend(expected.map(|expected| format!("--gpu.expected={expected}")));
    words
}

fn prometheus(project: &Project, inventory: &Inventory, unit: &Unit) -> Vec<String> {
    let data = project.data(unit.service.name());
    let configuration = project.run().join("prometheus/prometheus.yml");
    // --rules.alert.resend-delay stays at its minute: without Prometheus an alert lives four times as long, which is
    // enough for a restart, after which the alert waits for its `for` again. At 15 s every restart would send
    // "resolved" and then the same alert anew.
    let mut words = vec![
        format!("--config.file={}", configuration.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--storage.tsdb.retention.time={}", inventory.stack.retention_time),
    ];
    let size = inventory.stack.retention_size.as_ref();
    words.extend(size.map(|size| format!("--storage.tsdb.retention.size={size}")));
    if inventory.receiver.is_some() {
        words.push("--web.enable-remote-write-receiver".to_owned());
    }
    // A minute by default, for which a reload would hang when the long-term storage is gone.
    words.push("--storage.remote.flush-deadline=5s".to_owned());
    words.push(format!("--web.external-url={}/", unit.url().unwrap_or_default()));
    words
}

/// The flag that says where to listen; none for what is told by its environment.
fn listen(inventory: &Inventory, unit: &Unit) -> Option<String> {
    let flag = match unit.service {
        Service::Grafana | Service::Loki => return None,
        Service::VictoriaMetrics => "-httpListenAddr",
        Service::Alloy => "--server.http.listen-addr",
        _ => "--web.listen-address",
    };
    let address = SocketAddr::new(inventory.stack.bind, unit.address.as_ref()?.port);
    Some(format!("{flag}={address}"))
}

fn environment(project: &Project, inventory: &Inventory, unit: &Unit, tree: &Tree) -> anyhow::Result<String> {
    let mut variables = vec![
        (MARKER.to_owned(), project.run().display().to_string()),
        ("MISSION_FINGERPRINT".to_owned(), fingerprint(unit, tree)?),
    ];
    match unit.service {
        Service::Grafana => variables.extend(grafana::variables(project, inventory)),
        Service::Loki => variables.extend(logs::loki(project, inventory)),
        Service::Alloy => variables.extend(logs::alloy(project, inventory)),
        Service::PostgresExporter => variables.extend(data_source(inventory)),
        Service::GpuExporter if inventory.stack.demo => {
            let scenario = demo::gpus(&machine(project)).display().to_string();
            variables.push(("FAKE_NVML_SCENARIO".to_owned(), scenario));
        }
        _ => {}
    }
    let entries = variables
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    Ok(entries.collect::<Vec<_>>().join(","))
}

/// What postgres-exporter connects to.
fn data_source(inventory: &Inventory) -> Vec<(String, String)> {
    let Some(postgres) = &inventory.postgres else {
        return Vec::new();
    };
    let mut variables = vec![
        (
            "DATA_SOURCE_URI",
            format!(
                "{}/{}?sslmode={}",
                postgres.address, postgres.database, postgres.sslmode
            ),
        ),
        ("DATA_SOURCE_USER", postgres.user.clone()),
    ];
    let file = postgres.password_file.as_ref();
    variables.extend(file.map(|file| ("DATA_SOURCE_PASS_FILE", file.display().to_string())));
    let owned = variables.into_iter();
    owned.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Changes when the executable does, or a file that the service reads only when it starts.
fn fingerprint(unit: &Unit, tree: &Tree) -> anyhow::Result<String> {
    let real = unit
        .program
        .canonicalize()
        .with_context(|| unit.program.display().to_string())?;
    let metadata = real.metadata().with_context(|| real.display().to_string())?;
    let files = match unit.service {
        Service::WorkerExporter => tree.digest(|path| path.starts_with("worker-exporter")),
        Service::SqlExporter => tree.digest(|path| path.starts_with("sql-exporter")),
        Service::PushgatewayBridge => tree.digest(|path| path.starts_with("pushgateway-bridge")),
        Service::Grafana => tree.digest(|path| path.starts_with("grafana/provisioning")),
        Service::Loki => tree.digest(|path| path.starts_with("loki")),
        Service::Alloy => tree.digest(|path| path.starts_with("alloy")),
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
