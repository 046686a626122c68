//! The services of the stack: one word each, used as process name, scrape job, log name and key of `[stack.ports]`.

use std::fmt;

/// The scrape job of all probes, which is no service's own: blackbox-exporter answers for it.
pub(crate) const PROBE_JOB: &str = "probe";

/// A program that missionctl starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Service {
    /// Collects, stores, evaluates the rules.
    Prometheus,
    /// Routes alerts to people.
    Alertmanager,
    /// Takes what cannot be scraped.
    Pushgateway,
    /// Dashboards.
    Grafana,
    /// The host: CPU, memory, disks, network.
    NodeExporter,
    /// Power, limits, temperature, load of the CPU.
    RaplExporter,
    /// GPUs.
    GpuExporter,
    /// Workers under supervisor, systemd and docker.
    WorkerExporter,
    /// LanceDB tables.
    LancedbExporter,
    /// What SQL queries say.
    SqlExporter,
    /// Training runs, their quality, the canary set.
    TrainingExporter,
    /// Embedded devices on serial lines.
    DeviceExporter,
    /// Brings this machine's metrics to a centre that does not reach it.
    PushgatewayBridge,
    /// A made-up machine for the exporters to watch.
    DemoMachine,
    /// Asks from outside: HTTP, TCP, ICMP.
    BlackboxExporter,
    /// A PostgreSQL server.
    PostgresExporter,
    /// Keeps samples for longer than Prometheus does.
    VictoriaMetrics,
    /// Stores logs.
    Loki,
    /// Reads logs and sends them to Loki.
    Alloy,
    /// Containers.
    Cadvisor,
    /// Stores and shows traces.
    Jaeger,
    /// Stores documents.
    Elasticsearch,
    /// Shows what Elasticsearch has.
    Kibana,
}

use Service::{
    Alertmanager, Alloy, BlackboxExporter, Cadvisor, DemoMachine, DeviceExporter, Elasticsearch, GpuExporter,
    Grafana, Jaeger, Kibana, LancedbExporter, Loki, NodeExporter, PostgresExporter, Prometheus, Pushgateway,
    PushgatewayBridge, RaplExporter, SqlExporter, TrainingExporter, VictoriaMetrics, WorkerExporter,
};

impl Service {
    /// In the order in which they are started and listed.
    pub(crate) const ALL: [Self; 23] = [
        Prometheus,
        Alertmanager,
        Pushgateway,
        NodeExporter,
        DemoMachine,
        RaplExporter,
        GpuExporter,
        WorkerExporter,
        LancedbExporter,
        SqlExporter,
        TrainingExporter,
        DeviceExporter,
        PushgatewayBridge,
        BlackboxExporter,
        PostgresExporter,
        VictoriaMetrics,
        Loki,
        Alloy,
        Cadvisor,
        Jaeger,
        Elasticsearch,
        Kibana,
        Grafana,
    ];

    /// The word used everywhere.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Prometheus => "prometheus",
            Alertmanager => "alertmanager",
            Pushgateway => "pushgateway",
            Grafana => "grafana",
            NodeExporter => "node-exporter",
            RaplExporter => "rapl-exporter",
            GpuExporter => "gpu-exporter",
            WorkerExporter => "worker-exporter",
            LancedbExporter => "lancedb-exporter",
            SqlExporter => "sql-exporter",
            TrainingExporter => "training-exporter",
            DeviceExporter => "device-exporter",
            PushgatewayBridge => "pushgateway-bridge",
            DemoMachine => "demo-machine",
            BlackboxExporter => "blackbox-exporter",
            PostgresExporter => "postgres-exporter",
            VictoriaMetrics => "victoria-metrics",
            Loki => "loki",
            Alloy => "alloy",
            Cadvisor => "cadvisor",
            Jaeger => "jaeger",
            Elasticsearch => "elasticsearch",
            Kibana => "kibana",
        }
    }

    /// The service of a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The word of `exporters = [...]` in a `[[machine]]`, for what runs on the machine that is watched.
    pub(crate) const fn exporter(self) -> Option<&'static str> {
        match self {
            NodeExporter => Some("node"),
            RaplExporter => Some("rapl"),
            GpuExporter => Some("gpu"),
            WorkerExporter => Some("worker"),
            LancedbExporter => Some("lancedb"),
            SqlExporter => Some("sql"),
            TrainingExporter => Some("training"),
            DeviceExporter => Some("device"),
            _ => None,
        }
    }

    /// The exporter of a word in `exporters = [...]`.
    pub(crate) fn from_exporter(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.exporter() == Some(word))
    }

    /// The TCP port unless `[stack.ports]` moves it; none for what serves nobody.
    pub(crate) const fn default_port(self) -> Option<u16> {
        match self {
            Prometheus => Some(9090),
            Alertmanager => Some(9093),
            Pushgateway => Some(9091),
            Grafana => Some(3000),
            NodeExporter => Some(9100),
            GpuExporter => Some(9400),
            RaplExporter => Some(9401),
            SqlExporter => Some(9402),
            WorkerExporter => Some(9403),
            LancedbExporter => Some(9404),
            TrainingExporter => Some(9405),
            DeviceExporter => Some(9406),
            PushgatewayBridge => Some(9407),
            DemoMachine => None,
            BlackboxExporter => Some(9115),
            PostgresExporter => Some(9187),
            VictoriaMetrics => Some(8428),
            Loki => Some(3100),
            Alloy => Some(12345),
            Cadvisor => Some(8080),
            Jaeger => Some(16686),
            Elasticsearch => Some(9200),
            Kibana => Some(5601),
        }
    }

    /// The TCP port on which its metrics are, where that is not the one it serves on.
    pub(crate) const fn metrics_port(self) -> Option<u16> {
        match self {
            Jaeger => Some(8888),
            _ => None,
        }
    }

    /// Answers 200 as soon as the service does its work; none for what works when it runs, and for Jaeger, which says
    /// so on a port of its own.
    pub(crate) const fn health_path(self) -> Option<&'static str> {
        match self {
            Prometheus | Alertmanager | Pushgateway | Alloy => Some("/-/ready"),
            Grafana => Some("/api/health"),
            NodeExporter | PostgresExporter => Some("/"),
            RaplExporter | GpuExporter | WorkerExporter | LancedbExporter | SqlExporter
            | TrainingExporter | DeviceExporter | PushgatewayBridge => Some("/readyz"),
            BlackboxExporter => Some("/-/healthy"),
            VictoriaMetrics => Some("/health"),
            Loki => Some("/ready"),
            Cadvisor => Some("/healthz"),
            Elasticsearch => Some("/_cluster/health?local=true"),
            Kibana => Some("/api/status"),
            DemoMachine | Jaeger => None,
        }
    }

    /// Has a scrape job of its name.
    pub(crate) const fn is_scraped(self) -> bool {
        !matches!(self, DemoMachine | Elasticsearch | Kibana)
    }

    /// Runs as a plain process too; the others exist in containers only.
    pub(crate) const fn exists_natively(self) -> bool {
        !matches!(self, Cadvisor | Jaeger | Elasticsearch | Kibana)
    }

    /// The executable's canonical name.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            NodeExporter => "node_exporter",
            BlackboxExporter => "blackbox_exporter",
            PostgresExporter => "postgres_exporter",
            other => other.name(),
        }
    }

    /// Built in this workspace, so looked for beside missionctl.
    pub(crate) const fn is_own(self) -> bool {
        matches!(
            self,
            RaplExporter
                | GpuExporter
                | WorkerExporter
                | LancedbExporter
                | SqlExporter
                | TrainingExporter
                | DeviceExporter
                | PushgatewayBridge
                | DemoMachine
        )
    }

    /// Read its configuration again on SIGHUP, so that a change needs no restart.
    pub(crate) const fn reloads(self) -> bool {
        matches!(
            self,
            Prometheus | Alertmanager | BlackboxExporter | TrainingExporter | DeviceExporter
        )
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
