//! The services of the stack: one word each, used as process name, scrape job, log name and key of `[stack.ports]`.

use std::fmt;

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
    /// Workers under supervisor, systemd and docker.
    WorkerExporter,
    /// A made-up laptop for rapl-exporter to watch.
    DemoMachine,
}

use Service::{
    Alertmanager, DemoMachine, Grafana, NodeExporter, Prometheus, Pushgateway, RaplExporter, WorkerExporter,
};

impl Service {
    /// In the order in which they are started and listed.
    pub(crate) const ALL: [Self; 8] = [
        Prometheus,
        Alertmanager,
        Pushgateway,
        NodeExporter,
        DemoMachine,
        RaplExporter,
        WorkerExporter,
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
            WorkerExporter => "worker-exporter",
            DemoMachine => "demo-machine",
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
            WorkerExporter => Some("worker"),
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
            RaplExporter => Some(9401),
            WorkerExporter => Some(9403),
            DemoMachine => None,
        }
    }

    /// Answers 200 as soon as the service does its work; none for what serves nobody and works when it runs.
    pub(crate) const fn health_path(self) -> Option<&'static str> {
        match self {
            Prometheus | Alertmanager | Pushgateway => Some("/-/ready"),
            Grafana => Some("/api/health"),
            NodeExporter => Some("/"),
            RaplExporter | WorkerExporter => Some("/readyz"),
            DemoMachine => None,
        }
    }

    /// Has a scrape job of its name.
    pub(crate) const fn is_scraped(self) -> bool {
        !matches!(self, Grafana | DemoMachine)
    }

    /// The executable's canonical name.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            NodeExporter => "node_exporter",
            DemoMachine => "missionctl",
            other => other.name(),
        }
    }

    /// Built in this workspace, so looked for beside missionctl.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, RaplExporter | WorkerExporter | DemoMachine)
    }

    /// Read its configuration again on SIGHUP, so that a change needs no restart.
    pub(crate) const fn reloads(self) -> bool {
        matches!(self, Prometheus | Alertmanager)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
