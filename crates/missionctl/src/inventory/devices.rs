//! `[[device]]`: embedded devices that device-exporter listens to.

use std::ops::Range;

use toml::Spanned;

use super::choices::one_of;
use super::problem::Findings;
use super::{HostPort, address, file};

/// What device-exporter can be told that a device speaks.
const PROTOCOLS: [&str; 6] = ["auto", "json", "plotter", "influx", "esp-idf", "mlperf-tiny"];
const TCP: &str = "tcp://";

/// A device, or all whose ports match a pattern.
#[derive(Debug)]
pub(crate) struct Device {
    /// Where it is.
    pub(crate) port: Port,
    /// Bits a second of a serial port.
    pub(crate) baud: Option<u32>,
    /// What it speaks.
    pub(crate) protocol: Option<String>,
    /// What it is, when it does not say.
    pub(crate) platform: Option<String>,
    /// What it is called, when it does not say.
    pub(crate) id: Option<String>,
    /// Ask it, where it waits to be asked.
    pub(crate) probe: bool,
    /// Where the inventory names its port.
    pub(crate) span: Range<usize>,
}

/// Where devices are.
#[derive(Debug)]
pub(crate) enum Port {
    /// A path of this machine, with `*` in it perhaps.
    Serial(String),
    /// A server of serial lines, such as ser2net.
    Tcp(HostPort),
}

/// Checks every `[[device]]`. Devices come and go, so none has to be there.
pub(crate) fn check(devices: &[file::Device], findings: &mut Findings) -> Vec<Device> {
    let mut checked = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let Some(port) = port(&device.port, findings) else {
            continue;
        };
        let mut before = devices[..index].iter();
        if before.any(|other| other.port.get_ref() == device.port.get_ref()) {
            let what = format!("`{}` is listed twice", device.port.get_ref());
            findings.refuse(Some(device.port.span()), what, "remove one");
        }
        if let Some(protocol) = &device.protocol
            && !PROTOCOLS.contains(&protocol.get_ref().as_str())
        {
            one_of(protocol.span(), protocol.get_ref(), &PROTOCOLS, findings);
        }
        if let Some(id) = &device.id
            && device.port.get_ref().contains(['*', '?', '['])
        {
            findings.refuse(
                Some(id.span()),
                format!(
                    "all devices that match `{}` would be called `{}`",
                    device.port.get_ref(),
                    id.get_ref()
                ),
                "name a single port, or leave `id` out: devices are told apart by what they report and their serial numbers",
            );
        }
        let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.get_ref().clone());
        checked.push(Device {
            port,
            baud: device.baud.as_ref().map(|baud| *baud.get_ref()),
            protocol: text(&device.protocol),
            platform: text(&device.platform),
            id: text(&device.id),
            probe: device.probe,
            span: device.port.span(),
        });
    }
    checked
}

fn port(port: &Spanned<String>, findings: &mut Findings) -> Option<Port> {
    let text = port.get_ref();
    if let Some(server) = text.strip_prefix(TCP) {
        return match address::host_port(server) {
            Ok(address) => Some(Port::Tcp(address)),
            Err((what, _)) => {
                findings.refuse(Some(port.span()), what, "write tcp://host:port");
                None
            }
        };
    }
    if text.starts_with('/') && !text.contains(char::is_control) {
        return Some(Port::Serial(text.clone()));
    }
    findings.refuse(
        Some(port.span()),
        format!("`{text}` is no port"),
        "write a path such as /dev/serial/by-id/* or /dev/ttyACM0, or tcp://host:port",
    );
    None
}
