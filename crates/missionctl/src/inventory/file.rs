//! `mission.toml` as it is written: types and key names, nothing more. Spans are kept for the messages.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) stack: Stack,
    pub(crate) machine: Vec<Machine>,
    pub(crate) target: Vec<Target>,
    pub(crate) probe: Vec<Probe>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) workers: Workers,
    pub(crate) gpu: Gpu,
    pub(crate) lancedb: Option<Lancedb>,
    pub(crate) sql: Vec<Sql>,
    pub(crate) training: Option<Training>,
    pub(crate) device: Vec<Device>,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) notify: Notify,
    pub(crate) maintenance: Vec<Maintenance>,
}

/// `[stack]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stack {
    pub(crate) bind: Option<Spanned<String>>,
    pub(crate) backend: Option<Spanned<String>>,
    pub(crate) profile: Option<Spanned<String>>,
    pub(crate) extras: Vec<Spanned<String>>,
    pub(crate) demo: Option<Spanned<bool>>,
    pub(crate) retention: Retention,
    pub(crate) ports: Ports,
    pub(crate) runbook_base: Option<Spanned<String>>,
    pub(crate) variables: BTreeMap<String, Spanned<String>>,
}

/// `retention = { time = "15d", size = "10GB", longterm = "1y" }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    pub(crate) time: Option<Spanned<String>>,
    pub(crate) size: Option<Spanned<String>>,
    pub(crate) longterm: Option<Spanned<String>>,
}

/// `[stack.ports]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Ports {
    pub(crate) prometheus: Option<Spanned<u16>>,
    pub(crate) alertmanager: Option<Spanned<u16>>,
    pub(crate) pushgateway: Option<Spanned<u16>>,
    pub(crate) grafana: Option<Spanned<u16>>,
    pub(crate) node_exporter: Option<Spanned<u16>>,
    pub(crate) rapl_exporter: Option<Spanned<u16>>,
    pub(crate) gpu_exporter: Option<Spanned<u16>>,
    pub(crate) worker_exporter: Option<Spanned<u16>>,
    pub(crate) lancedb_exporter: Option<Spanned<u16>>,
    pub(crate) sql_exporter: Option<Spanned<u16>>,
    pub(crate) training_exporter: Option<Spanned<u16>>,
    pub(crate) device_exporter: Option<Spanned<u16>>,
    pub(crate) pushgateway_bridge: Option<Spanned<u16>>,
    pub(crate) blackbox_exporter: Option<Spanned<u16>>,
    pub(crate) postgres_exporter: Option<Spanned<u16>>,
    pub(crate) victoria_metrics: Option<Spanned<u16>>,
    pub(crate) loki: Option<Spanned<u16>>,
    pub(crate) alloy: Option<Spanned<u16>>,
    pub(crate) cadvisor: Option<Spanned<u16>>,
    pub(crate) jaeger: Option<Spanned<u16>>,
    pub(crate) elasticsearch: Option<Spanned<u16>>,
    pub(crate) kibana: Option<Spanned<u16>>,
}

/// `[[machine]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    pub(crate) name: Spanned<String>,
    pub(crate) address: Spanned<String>,
    #[serde(default)]
    pub(crate) exporters: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// `limits = { load15 = 12 }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) load15: Option<Spanned<f64>>,
}

/// `[[target]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) job: Spanned<String>,
    pub(crate) address: Spanned<String>,
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) interval: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default = "yes")]
    pub(crate) required: bool,
}

fn yes() -> bool {
    true
}

/// `[[probe]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) name: Spanned<String>,
    pub(crate) url: Option<Spanned<String>>,
    pub(crate) tcp: Option<Spanned<String>>,
    pub(crate) icmp: Option<Spanned<String>>,
    pub(crate) expect_json: Option<Spanned<toml::Table>>,
    pub(crate) interval: Option<Spanned<String>>,
}

/// `[postgres]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    pub(crate) address: Spanned<String>,
    pub(crate) database: Option<Spanned<String>>,
    pub(crate) user: Spanned<String>,
    pub(crate) password_file: Option<Spanned<String>>,
    pub(crate) sslmode: Option<Spanned<String>>,
}

/// `[workers]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Workers {
    pub(crate) supervisor: Vec<Spanned<String>>,
    #[serde(rename = "match")]
    pub(crate) patterns: Option<Spanned<OneOrMany>>,
    pub(crate) systemd: Vec<Spanned<String>>,
    pub(crate) systemd_user: Vec<Spanned<String>>,
    pub(crate) docker: Option<Spanned<Containers>>,
    pub(crate) docker_labels: Vec<Spanned<String>>,
    pub(crate) heartbeat: Option<Spanned<String>>,
}

/// `[gpu]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gpu {
    pub(crate) expected: Option<Spanned<u16>>,
}

/// `[lancedb]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lancedb {
    pub(crate) path: Spanned<OneOrMany>,
}

/// `[[sql]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sql {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) pack: Spanned<String>,
    pub(crate) dsn: Option<Spanned<String>>,
    pub(crate) dsn_file: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) probe_interval: Option<Spanned<String>>,
}

/// `[training]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub(crate) metrics: Option<Spanned<String>>,
    pub(crate) orchestra: Option<Spanned<OneOrMany>>,
    pub(crate) runs: Option<Spanned<OneOrMany>>,
    pub(crate) expire: Option<Spanned<String>>,
    pub(crate) canary: Option<Canary>,
}

/// `canary = { command = ["./canary.sh"], every = "1h", drop = 0.10 }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canary {
    pub(crate) command: Option<Spanned<Vec<String>>>,
    pub(crate) results: Option<Spanned<String>>,
    pub(crate) every: Option<Spanned<String>>,
    pub(crate) timeout: Option<Spanned<String>>,
    pub(crate) drop: Option<Spanned<f64>>,
    pub(crate) direction: Option<Spanned<String>>,
    pub(crate) min_samples: Option<Spanned<u64>>,
    pub(crate) folder: Option<Spanned<String>>,
}

/// `[[device]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device {
    pub(crate) port: Spanned<String>,
    pub(crate) baud: Option<Spanned<u32>>,
    pub(crate) protocol: Option<Spanned<String>>,
    pub(crate) platform: Option<Spanned<String>>,
    pub(crate) id: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) probe: bool,
}

/// `[bridge]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bridge {
    pub(crate) remote_write: Option<Spanned<String>>,
    pub(crate) pushgateway: Option<Spanned<String>>,
    pub(crate) user: Option<Spanned<String>>,
    pub(crate) password_file: Option<Spanned<String>>,
    pub(crate) token_file: Option<Spanned<String>>,
    pub(crate) ca_file: Option<Spanned<String>>,
    pub(crate) proxy: Option<Spanned<String>>,
    pub(crate) interval: Option<Spanned<String>>,
    pub(crate) intake: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) spool: Spool,
}

/// `spool = { size = "1GB", age = "24h" }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spool {
    pub(crate) size: Option<Spanned<String>>,
    pub(crate) age: Option<Spanned<String>>,
}

/// `[receiver]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    pub(crate) out_of_order: Spanned<String>,
}

/// `docker = true` or `docker = ["worker_*"]`
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected true, false, or names of containers")]
pub(crate) enum Containers {
    AllOrNone(bool),
    Named(OneOrMany),
}

/// `match = "worker_*"` or `match = ["worker_*", "brain_*"]`
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(texts) => texts.clone(),
        }
    }
}

/// `[notify.*]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    pub(crate) slack: Option<Slack>,
    pub(crate) webhook: Option<Webhook>,
}

/// `[notify.slack]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slack {
    pub(crate) webhook_url_file: Spanned<String>,
    pub(crate) channel: Option<Spanned<String>>,
}

/// `[notify.webhook]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) url_file: Spanned<String>,
}

/// `[[maintenance]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maintenance {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) days: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) times: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) mutes: Mutes,
}

/// `mutes = { severity = ["warning", "info"], machine = ["pc"] }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mutes {
    pub(crate) severity: Vec<Spanned<String>>,
    pub(crate) machine: Vec<Spanned<String>>,
}
