//! `[stack]`: what listens where, how much is started, how long data is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::address;
use super::file;
use super::problem::{Findings, did_you_mean};
use crate::service::Service;

/// How much of the stack is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Collect and alert; nothing that a small machine can do without.
    Lite,
    /// Dashboards and the push gateway as well.
    Core,
}

/// `[stack]`, checked.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Address that every service listens on.
    pub(crate) bind: IpAddr,
    /// How much is started.
    pub(crate) profile: Profile,
    /// rapl-exporter watches a made-up laptop instead of this machine.
    pub(crate) demo: bool,
    /// How long samples are kept, as Prometheus writes it.
    pub(crate) retention_time: String,
    /// How much disk samples may take, as Prometheus writes it.
    pub(crate) retention_size: Option<String>,
    /// Where alerts find their runbooks; none means the project's own folder.
    pub(crate) runbook_base: Option<String>,
    ports: BTreeMap<Service, (u16, Range<usize>)>,
}

impl Stack {
    /// Whether a service that no `[[machine]]` names is started.
    pub(crate) const fn starts(&self, service: Service) -> bool {
        match service {
            Service::Grafana | Service::Pushgateway => matches!(self.profile, Profile::Core),
            Service::DemoMachine => self.demo,
            _ => true,
        }
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
pub(crate) fn check(stack: &file::Stack, findings: &mut Findings) -> Stack {
    backend(stack.backend.as_ref(), findings);
    Stack {
        bind: bind(stack.bind.as_ref(), findings),
        profile: profile(stack.profile.as_ref(), findings),
        demo: stack.demo.as_ref().is_some_and(|demo| *demo.get_ref()),
        retention_time: retention_time(stack.retention.time.as_ref(), findings),
        retention_size: retention_size(stack.retention.size.as_ref(), findings),
        runbook_base: runbook_base(stack.runbook_base.as_ref(), findings),
        ports: ports(&stack.ports, findings),
    }
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

fn backend(backend: Option<&Spanned<String>>, findings: &mut Findings) {
    let Some(backend) = backend else { return };
    match backend.get_ref().as_str() {
        "auto" | "native" => {}
        "docker" => findings.refuse(
            Some(backend.span()),
            "the docker backend is not part of this version",
            "write backend = \"native\" (plain processes, no root needed) or \"auto\"",
        ),
        other => one_of(backend.span(), other, &["auto", "native"], findings),
    }
}

fn profile(profile: Option<&Spanned<String>>, findings: &mut Findings) -> Profile {
    let Some(profile) = profile else {
        return Profile::Core;
    };
    match profile.get_ref().as_str() {
        "lite" => return Profile::Lite,
        "core" => {}
        "full" => findings.refuse(
            Some(profile.span()),
            "the full profile (logs, traces, long-term storage) is not part of this version",
            "write profile = \"core\"",
        ),
        other => one_of(profile.span(), other, &["lite", "core"], findings),
    }
    Profile::Core
}

/// Refuses a word that is none of the known ones.
pub(crate) fn one_of(at: Range<usize>, word: &str, known: &[&str], findings: &mut Findings) {
    let hint = match did_you_mean(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "this file names none; remove it".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    findings.refuse(Some(at), format!("`{word}` is not known here"), hint);
}

fn retention_time(time: Option<&Spanned<String>>, findings: &mut Findings) -> String {
    const DEFAULT: &str = "15d";
    time.and_then(|time| duration(time, findings))
        .unwrap_or_else(|| DEFAULT.to_owned())
}

/// Refuses what Prometheus would not take as a duration.
pub(crate) fn duration(text: &Spanned<String>, findings: &mut Findings) -> Option<String> {
    if is_duration(text.get_ref()) {
        return Some(text.get_ref().clone());
    }
    findings.refuse(
        Some(text.span()),
        format!("`{}` is not a duration", text.get_ref()),
        "write a number and a unit, 290y at most: 30s, 5m, 12h, 15d, 2w, 1y",
    );
    None
}

/// Whether Prometheus takes the text as a duration that is not zero.
fn is_duration(text: &str) -> bool {
    // It counts nanoseconds in 64 bits, which is enough for 292 years.
    const LONGEST: u64 = i64::MAX as u64 / 1_000_000;
    milliseconds(text).is_some_and(|duration| (1..=LONGEST).contains(&duration))
}

/// A duration as Prometheus writes it; none for other text, and for what does not fit.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

fn retention_size(size: Option<&Spanned<String>>, findings: &mut Findings) -> Option<String> {
    let size = size?;
    let text = size.get_ref();
    let bytes = number_and_unit(text).and_then(|(number, unit)| {
        let factor: u64 = match unit {
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            "TB" => 1 << 40,
            _ => return None,
        };
        number.checked_mul(factor)
    });
    if bytes.is_some_and(|bytes| bytes > 0 && i64::try_from(bytes).is_ok()) {
        return Some(text.clone());
    }
    findings.refuse(
        Some(size.span()),
        format!("`{text}` is not a size"),
        "write a whole number and a unit: 500MB, 10GB, 1TB",
    );
    None
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
        (Service::WorkerExporter, &ports.worker_exporter),
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
