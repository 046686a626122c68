//! `[stack]`: what listens where, how much is started, how long data is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::amounts::{retention_longterm, retention_size, retention_time};
use super::choices::{self, Backend, Extra, Profile};
use super::problem::Findings;
use super::{address, bridge, file, lancedb, sql, training};
use crate::service::Service;

/// `[stack]`, checked.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Address that every service listens on.
    pub(crate) bind: IpAddr,
    /// What the services run as.
    pub(crate) backend: Backend,
    /// How much is started.
    pub(crate) profile: Profile,
    /// What is started on top of it.
    pub(crate) extras: Vec<Extra>,
    /// The exporters watch a made-up machine instead of this one.
    pub(crate) demo: bool,
    /// How long samples are kept, as Prometheus writes it.
    pub(crate) retention_time: String,
    /// How much disk samples may take, as Prometheus writes it.
    pub(crate) retention_size: Option<String>,
    /// How long VictoriaMetrics keeps samples, as it writes it.
    pub(crate) retention_longterm: String,
    /// Where alerts find their runbooks; none means the project's own folder.
    pub(crate) runbook_base: Option<String>,
    /// Variables of `compose.yaml` that the user sets.
    pub(crate) variables: BTreeMap<String, String>,
    variable_spans: BTreeMap<String, Range<usize>>,
    ports: BTreeMap<Service, (u16, Range<usize>)>,
    wanted: BTreeMap<Service, Option<Range<usize>>>,
}

impl Stack {
    /// Whether the inventory asks for a service that no `[[machine]]` has to name.
    pub(crate) fn wants(&self, service: Service) -> bool {
        self.wanted.contains_key(&service)
    }

    /// Where it asks for it, when it does so in so many words.
    pub(crate) fn wanted_at(&self, service: Service) -> Option<Range<usize>> {
        self.wanted.get(&service).cloned().flatten()
    }

    /// Whether such a service is started, as far as the inventory decides it.
    pub(crate) fn starts(&self, service: Service) -> bool {
        self.wants(service) && (self.backend != Backend::Native || service.exists_natively())
    }

    /// Where the inventory sets a variable.
    pub(crate) fn variable_span(&self, name: &str) -> Option<Range<usize>> {
        self.variable_spans.get(name).cloned()
    }

    /// The port of a service; none when it has none.
    pub(crate) fn port(&self, service: Service) -> Option<u16> {
        let moved = self.ports.get(&service).map(|(port, _)| *port);
        moved.or(service.default_port())
    }

    /// Where the inventory sets the port of a service.
    pub(crate) fn port_span(&self, service: Service) -> Option<Range<usize>> {
        self.ports.get(&service).map(|(_, span)| span.clone())
    }
}

/// Checks `[stack]`; what is wrong is replaced by its default so that the rest can be checked too.
pub(crate) fn check(file: &file::File, findings: &mut Findings) -> Stack {
    let stack = &file.stack;
    let demo = stack.demo.as_ref().filter(|demo| *demo.get_ref());
    let backend = choices::backend(stack.backend.as_ref(), demo, findings);
    let profile = choices::profile(stack.profile.as_ref(), findings);
    let extras = choices::extras(&stack.extras, findings);
    let mut checked = Stack {
        bind: bind(stack.bind.as_ref(), findings),
        backend,
        profile,
        extras,
        demo: demo.is_some(),
        retention_time: retention_time(stack.retention.time.as_ref(), findings),
        retention_size: retention_size(stack.retention.size.as_ref(), findings),
        retention_longterm: retention_longterm(stack.retention.longterm.as_ref(), findings),
        runbook_base: runbook_base(stack.runbook_base.as_ref(), findings),
        variables: variables(&stack.variables, findings),
        variable_spans: spans(&stack.variables),
        ports: ports(&stack.ports, findings),
        wanted: BTreeMap::new(),
    };
    checked.wanted = wanted(&checked, file);
    checked
}

/// The services that no `[[machine]]` has to name, each with the word that asks for it.
fn wanted(stack: &Stack, file: &file::File) -> BTreeMap<Service, Option<Range<usize>>> {
    let mut wanted = BTreeMap::new();
    let mut add = |services: &[Service], at: Option<Range<usize>>| {
        wanted.extend(services.iter().map(|service| (*service, at.clone())));
    };
    let profile = file.stack.profile.as_ref().map(Spanned::span);
    if stack.profile >= Profile::Lite {
        add(&[Service::Prometheus, Service::Alertmanager], None);
    }
    if stack.profile >= Profile::Core {
        add(&[Service::Pushgateway, Service::Grafana], profile.clone());
    }
    if stack.profile >= Profile::Full {
        add(&[Service::Loki, Service::Alloy, Service::Cadvisor], profile);
    }
    for extra in &stack.extras {
        let mut words = file.stack.extras.iter();
        let at = words
            .find(|word| word.get_ref() == extra.name())
            .map(Spanned::span);
        match extra {
            Extra::Longterm => add(&[Service::VictoriaMetrics], at),
            Extra::Tracing => add(&[Service::Jaeger], at),
            Extra::Elk => add(&[Service::Elasticsearch, Service::Kibana], at),
        }
    }
    if let Some(probe) = file.probe.first() {
        add(&[Service::BlackboxExporter], Some(probe.name.span()));
    }
    if let Some(postgres) = &file.postgres {
        add(&[Service::PostgresExporter], Some(postgres.address.span()));
    }
    if let Some(folders) = &file.lancedb {
        add(&[Service::LancedbExporter], Some(lancedb::span(folders)));
    }
    if let Some(sql) = file.sql.first() {
        add(&[Service::SqlExporter], Some(sql::span(sql)));
    }
    if let Some(training) = &file.training {
        add(&[Service::TrainingExporter], training::span(training));
    }
    if let Some(device) = file.device.first() {
        add(&[Service::DeviceExporter], Some(device.port.span()));
    }
    if let Some(bridge) = &file.bridge {
        add(&[Service::PushgatewayBridge], bridge::span(bridge));
    }
    if stack.demo {
        add(
            &[Service::DemoMachine],
            file.stack.demo.as_ref().map(Spanned::span),
        );
    }
    wanted
}

fn bind(bind: Option<&Spanned<String>>, findings: &mut Findings) -> IpAddr {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let Some(bind) = bind else { return loopback };
    let Ok(ip) = bind.get_ref().parse::<IpAddr>() else {
        findings.refuse(
            Some(bind.span()),
            format!("`{}` is not an IP address", bind.get_ref()),
            "write 127.0.0.1 for this machine only, 0.0.0.0 for every interface, or the address of one interface",
        );
        return loopback;
    };
    if let Err(error) = address::is_ours(ip) {
        findings.refuse(
            Some(bind.span()),
            format!("cannot listen on {ip}: {}", crate::text::io_reason(&error)),
            "use an address of this machine (`ip addr` lists them), or 127.0.0.1",
        );
    }
    ip
}

fn variables(
    variables: &BTreeMap<String, Spanned<String>>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    for (name, value) in variables {
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            let hint = "the variables of compose/compose.yaml have capital letters, digits and underscores";
            findings.refuse(
                Some(value.span()),
                format!("`{name}` is no name of a variable"),
                hint,
            );
        }
    }
    variables
        .iter()
        .map(|(name, value)| (name.clone(), value.get_ref().clone()))
        .collect()
}

fn spans(variables: &BTreeMap<String, Spanned<String>>) -> BTreeMap<String, Range<usize>> {
    variables
        .iter()
        .map(|(name, value)| (name.clone(), value.span()))
        .collect()
}

fn runbook_base(base: Option<&Spanned<String>>, findings: &mut Findings) -> Option<String> {
    let base = base?;
    let text = base.get_ref();
    if ["https://", "http://", "file:///"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return Some(format!("{}/", text.trim_end_matches('/')));
    }
    findings.refuse(
        Some(base.span()),
        format!("`{text}` is not a URL"),
        "write where the folder docs/ can be read: https://… or file:///…",
    );
    None
}

fn ports(ports: &file::Ports, findings: &mut Findings) -> BTreeMap<Service, (u16, Range<usize>)> {
    let named = [
        (Service::Prometheus, &ports.prometheus),
        (Service::Alertmanager, &ports.alertmanager),
        (Service::Pushgateway, &ports.pushgateway),
        (Service::Grafana, &ports.grafana),
        (Service::NodeExporter, &ports.node_exporter),
        (Service::RaplExporter, &ports.rapl_exporter),
        (Service::GpuExporter, &ports.gpu_exporter),
        (Service::WorkerExporter, &ports.worker_exporter),
        (Service::LancedbExporter, &ports.lancedb_exporter),
        (Service::SqlExporter, &ports.sql_exporter),
        (Service::TrainingExporter, &ports.training_exporter),
        (Service::DeviceExporter, &ports.device_exporter),
        (Service::PushgatewayBridge, &ports.pushgateway_bridge),
        (Service::BlackboxExporter, &ports.blackbox_exporter),
        (Service::PostgresExporter, &ports.postgres_exporter),
        (Service::VictoriaMetrics, &ports.victoria_metrics),
        (Service::Loki, &ports.loki),
        (Service::Alloy, &ports.alloy),
        (Service::Cadvisor, &ports.cadvisor),
        (Service::Jaeger, &ports.jaeger),
        (Service::Elasticsearch, &ports.elasticsearch),
        (Service::Kibana, &ports.kibana),
    ];
    let mut moved = BTreeMap::new();
    for (service, port) in named {
        let Some(port) = port else { continue };
        if *port.get_ref() == 0 {
            let hint = "ports are whole numbers from 1 to 65535";
            findings.refuse(
                Some(port.span()),
                format!("port 0 cannot be given to {service}"),
                hint,
            );
            continue;
        }
        moved.insert(service, (*port.get_ref(), port.span()));
    }
    moved
}
