//! Ports, published and exposed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::fields::Fields;
use super::item::Item;
use crate::model::{Port, Protocol};
use crate::yaml::{Bare, Value};

/// The ports of a range at most.
const MAX_RANGE: usize = 100;

/// The published ports of a file at most.
const MAX_PORTS: usize = 10_000;

/// Reads `ports`.
pub(super) fn published(fields: &mut Fields<'_>) -> Vec<Port> {
    let read = |item: &Item<'_>| {
        let ports = match &item.node.value {
            Value::Bare(Bare::Integer(_), _) => item.integer().and_then(|target| unpublished(item, target)),
            Value::Map(_) => long(item),
            Value::Text(_) => item.word().and_then(|text| item.accept(short(&text))),
            _ => {
                item.mismatch("a port, such as \"8080:80\", or a map");
                None
            }
        }?;
        if item.context.published.borrow().len() + ports.len() > MAX_PORTS {
            item.refuse(format!("is beyond the {MAX_PORTS} ports that a file can publish"));
            return None;
        }
        let place = |port: &Port| (port.clone(), item.place.clone());
        item.context
            .published
            .borrow_mut()
            .extend(ports.iter().map(place));
        Some(ports)
    };
    fields.each("ports", read).into_iter().flatten().collect()
}

/// Reads `expose`.
pub(super) fn exposed(fields: &mut Fields<'_>) -> BTreeSet<String> {
    let read = |item: &Item<'_>| {
        let text = match &item.node.value {
            Value::Bare(Bare::Integer(port), _) => port.to_string(),
            _ => item.word()?,
        };
        let (ports, protocol) = item.accept(protocol(&text))?;
        let ports = item.accept(range(ports))?;
        Some(
            ports
                .into_iter()
                .map(move |port| format!("{port}/{protocol}"))
                .collect::<Vec<_>>(),
        )
    };
    fields.each("expose", read).into_iter().flatten().collect()
}

/// A port of the container alone.
fn unpublished(item: &Item<'_>, target: u16) -> Option<Vec<Port>> {
    if target == 0 {
        item.refuse("port 0 cannot be reached");
        return None;
    }
    Some(vec![Port {
        host_ip: None,
        published: None,
        target,
        protocol: Protocol::Tcp,
    }])
}

/// `[[address:]published:]target[/protocol]`, where both ports can be ranges of the same length.
fn short(text: &str) -> Result<Vec<Port>, String> {
    let (ports, protocol) = protocol(text)?;
    let (rest, target) = ports
        .rsplit_once(':')
        .map_or((None, ports), |(rest, target)| (Some(rest), target));
    let (address, published) = match rest.map(|rest| rest.rsplit_once(':').unwrap_or(("", rest))) {
        Some((address, published)) => (address, published),
        None => ("", ""),
    };
    let host_ip = if address.is_empty() {
        None
    } else {
        Some(self::address(address)?)
    };
    let targets = range(target)?;
    if published.is_empty() {
        let port = |target| Port {
            host_ip,
            published: None,
            target,
            protocol,
        };
        return Ok(targets.into_iter().map(port).collect());
    }
    let published = range(published)?;
    if published.len() != targets.len() {
        return Err(format!(
            "`{text}` has {} published ports for {} of the container",
            published.len(),
            targets.len()
        ));
    }
    let port = |(published, target)| Port {
        host_ip,
        published: Some(published),
        target,
        protocol,
    };
    Ok(published.into_iter().zip(targets).map(port).collect())
}

/// The map of a port.
fn long(item: &Item<'_>) -> Option<Vec<Port>> {
    let mut fields = item.fields()?;
    let host_ip = fields
        .take("host_ip")
        .and_then(|item| item.accept(address(&item.word()?)));
    let published = fields.take("published").and_then(|item| port(&item));
    let protocol = fields
        .take("protocol")
        .and_then(|item| item.choice(&[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]));
    let target = fields.take("target");
    if let Some(mode) = fields.take("mode") {
        mode.choice(&[("ingress", ())]);
    }
    fields.finish(&["app_protocol", "name"]);
    let Some(target) = target else {
        item.refuse("has no `target`");
        return None;
    };
    let target = port(&target)?;
    Some(vec![Port {
        host_ip,
        published,
        target,
        protocol: protocol.unwrap_or(Protocol::Tcp),
    }])
}

/// One port, as a number or as text.
fn port(item: &Item<'_>) -> Option<u16> {
    let port = item.integer()?;
    if port == 0 {
        item.refuse("port 0 cannot be reached");
    }
    (port != 0).then_some(port)
}

/// Splits the protocol off, which is TCP when nothing is said.
fn protocol(text: &str) -> Result<(&str, Protocol), String> {
    let Some((ports, word)) = text.rsplit_once('/') else {
        return Ok((text, Protocol::Tcp));
    };
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Ok((ports, Protocol::Tcp)),
        "udp" => Ok((ports, Protocol::Udp)),
        _ => Err(format!("the protocol of `{text}` must be tcp or udp")),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map_err(|_| format!("`{text}` is no address of this machine"))
}

/// A port or a range of ports such as `3000-3005`.
fn range(text: &str) -> Result<Vec<u16>, String> {
    let wrong = || format!("`{text}` is no port: write 1 to 65535, or a range such as 3000-3005");
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse().ok().filter(|port| *port > 0 && digits(text));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if first > last {
        return Err(wrong());
    }
    let ports: Vec<_> = (first..=last).collect();
    if ports.len() > MAX_RANGE {
        return Err(format!("`{text}` is a range of more than {MAX_RANGE} ports"));
    }
    Ok(ports)
}
