//! `[[machine]]`: names, addresses, and what runs there; no two things on one port.

use std::ops::Range;

use toml::Spanned;

use super::problem::{Findings, did_you_mean};
use super::stack::Stack;
use super::{Machine, address, file, lancedb, sql, training};
use crate::service::Service;

/// Exporters that can be shown made-up things.
const WATCH_THE_DEMO: [Service; 6] = [
    Service::RaplExporter,
    Service::GpuExporter,
    Service::LancedbExporter,
    Service::SqlExporter,
    Service::TrainingExporter,
    Service::DeviceExporter,
];
const KNOWN: [&str; 8] = [
    "node", "rapl", "gpu", "worker", "lancedb", "sql", "training", "device",
];

/// Checks every machine, and that what runs on this one gets ports of its own.
pub(crate) fn check(machines: &[file::Machine], stack: &Stack, findings: &mut Findings) -> Vec<Machine> {
    let mut checked: Vec<Machine> = Vec::new();
    for machine in machines {
        let name = name(&machine.name, &checked, findings);
        let host = match address::host(machine.address.get_ref()) {
            Ok(host) => host,
            Err((what, hint)) => {
                findings.refuse(Some(machine.address.span()), what, hint);
                continue;
            }
        };
        let is_local = address::is_local(&host);
        if let Some(other) = checked
            .iter()
            .find(|other| other.host == host || (is_local && other.is_local))
        {
            let what = format!("{name} and {} are the same machine", other.name);
            findings.refuse(
                Some(machine.address.span()),
                what,
                "list all of its exporters in one [[machine]]",
            );
        }
        let span = machine
            .exporters
            .first()
            .map_or_else(|| machine.name.span(), Spanned::span);
        let exporters = exporters(&machine.exporters, is_local, stack, findings);
        let load15 = load15(&machine.limits, findings);
        checked.push(Machine {
            name,
            host,
            is_local,
            exporters,
            load15,
            span,
        });
    }
    own_ports(&checked, stack, findings);
    checked
}

fn name(name: &Spanned<String>, others: &[Machine], findings: &mut Findings) -> String {
    let text = name.get_ref();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        findings.refuse(
            Some(name.span()),
            format!("{text:?} is no name"),
            "use letters, digits, hyphens",
        );
    }
    if others.iter().any(|other| other.name == *text) {
        findings.refuse(
            Some(name.span()),
            format!("two machines are named `{text}`"),
            "the name becomes the label `machine`, so each needs its own",
        );
    }
    text.clone()
}

fn exporters(
    entries: &[Spanned<String>],
    is_local: bool,
    stack: &Stack,
    findings: &mut Findings,
) -> Vec<(Service, u16)> {
    let mut checked: Vec<(Service, u16)> = Vec::new();
    for entry in entries {
        let Some((service, port)) = exporter(entry, is_local, stack, findings) else {
            continue;
        };
        if let Some((other, _)) = checked
            .iter()
            .find(|(other, taken)| *other == service || *taken == port)
        {
            let what = if *other == service {
                format!("`{}` is listed twice", entry.get_ref())
            } else {
                format!("{service} and {other} cannot both listen on port {port}")
            };
            findings.refuse(Some(entry.span()), what, "remove one, or give it another port");
            continue;
        }
        checked.push((service, port));
    }
    checked
}

fn exporter(
    entry: &Spanned<String>,
    is_local: bool,
    stack: &Stack,
    findings: &mut Findings,
) -> Option<(Service, u16)> {
    let text = entry.get_ref();
    let (word, number) = text
        .split_once(':')
        .map_or((text.as_str(), None), |(word, number)| (word, Some(number)));
    let Some(service) = Service::from_exporter(word) else {
        findings.refuse(
            Some(entry.span()),
            format!("`{word}` is not an exporter of this version"),
            hint(word),
        );
        return None;
    };
    let default = if is_local {
        stack.port(service)
    } else {
        service.default_port()
    }?;
    let port = match number.map(address::port) {
        None => default,
        Some(Ok(port)) => port,
        Some(Err((what, hint))) => {
            findings.refuse(Some(entry.span()), what, hint);
            return None;
        }
    };
    if is_local && number.is_some() && stack.port_span(service).is_some() && port != default {
        let what = format!("{service} has port {port} here and {default} in [stack.ports]");
        findings.refuse(Some(entry.span()), what, "keep one of the two");
    }
    Some((service, port))
}

fn hint(word: &str) -> String {
    match did_you_mean(word, KNOWN) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!(
            "known are {}; whatever speaks Prometheus already can be a [[target]]",
            KNOWN.join(", ")
        ),
    }
}

fn load15(limits: &file::Limits, findings: &mut Findings) -> Option<f64> {
    let limit = limits.load15.as_ref()?;
    if *limit.get_ref() > 0.0 && limit.get_ref().is_finite() {
        return Some(*limit.get_ref());
    }
    let what = format!("{} is no limit for a load", limit.get_ref());
    findings.refuse(
        Some(limit.span()),
        what,
        "write a number above 0; the default is 1.5 times the cores",
    );
    None
}

/// A made-up machine is of use only to the exporters that watch it.
pub(crate) fn demo(file: &file::File, machines: &[Machine], findings: &mut Findings) {
    let watches = |machine: &Machine| {
        let mut exporters = machine.exporters.iter();
        machine.is_local && exporters.any(|(exporter, _)| WATCH_THE_DEMO.contains(exporter))
    };
    let Some(demo) = file.stack.demo.as_ref().filter(|demo| *demo.get_ref()) else {
        return;
    };
    let tables = file.lancedb.as_ref().map(lancedb::span);
    let databases = file.sql.first().map(sql::span);
    let runs = file.training.as_ref().and_then(training::span);
    let devices = file.device.first().map(|device| device.port.span());
    if let Some(span) = tables.or(databases).or(runs).or(devices) {
        findings.refuse(
            Some(span),
            "the made-up machine brings tables, databases, runs and devices of its own",
            "remove this table, or `demo`",
        );
    }
    if !machines.iter().any(watches) {
        findings.refuse(
            Some(demo.span()),
            "nothing here would watch the made-up machine".to_owned(),
            "add a [[machine]] with address = \"localhost\" and \"rapl\" among its exporters",
        );
    }
}

/// A number of GPUs is of use only where somebody counts them.
pub(crate) fn gpus(gpu: &file::Gpu, machines: &[Machine], findings: &mut Findings) {
    let Some(expected) = &gpu.expected else { return };
    if *expected.get_ref() == 0 {
        let hint = "remove it, and \"gpu\" from the exporters, where there are no GPUs";
        findings.refuse(Some(expected.span()), "no GPUs cannot be missed", hint);
    }
    let counts = |machine: &Machine| {
        let mut exporters = machine.exporters.iter();
        machine.is_local && exporters.any(|(exporter, _)| *exporter == Service::GpuExporter)
    };
    if !machines.iter().any(counts) {
        findings.warn(
            Some(expected.span()),
            "nobody counts GPUs here",
            "add \"gpu\" to the exporters of the [[machine]] with address = \"localhost\"",
        );
    }
}

/// Everything that is started on this machine shares its ports.
fn own_ports(machines: &[Machine], stack: &Stack, findings: &mut Findings) {
    let is_listed = |service: Service| {
        let mut local = machines.iter().filter(|machine| machine.is_local);
        local.any(|machine| machine.exporters.iter().any(|(exporter, _)| *exporter == service))
    };
    let central = Service::ALL
        .into_iter()
        .filter(|service| stack.starts(*service) && !is_listed(*service))
        .filter_map(|service| Some((service, stack.port(service)?, stack.port_span(service))));
    let local = machines
        .iter()
        .filter(|machine| machine.is_local)
        .flat_map(|machine| {
            machine.exporters.iter().map(|(service, port)| {
                let span = stack.port_span(*service).unwrap_or_else(|| machine.span.clone());
                (*service, *port, Some(span))
            })
        });
    let mut seen: Vec<(Service, u16, Option<Range<usize>>)> = Vec::new();
    for (service, port, span) in central.chain(local) {
        if let Some((other, _, other_span)) = seen.iter().find(|(_, taken, _)| *taken == port) {
            // Either line explains it; one of the two was written by the user.
            let at = span.clone().or_else(|| other_span.clone());
            findings.refuse(
                at,
                format!("{other} and {service} cannot both listen on port {port}"),
                format!(
                    "give one of them another port: [stack.ports] {service} = {}",
                    free_hint(port)
                ),
            );
        }
        seen.push((service, port, span));
    }
}

fn free_hint(port: u16) -> u16 {
    port.checked_add(1000).unwrap_or_else(|| port - 1000)
}
