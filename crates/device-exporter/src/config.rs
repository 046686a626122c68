//! Which ports to open and how: from the configuration file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use exporter::text;
use serde::Deserialize;
use toml::Spanned;

use crate::protocol::{Label, Protocol};

/// Rates that no adapter goes beyond or below.
const BAUD: std::ops::RangeInclusive<u32> = 50..=12_000_000;

/// What the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The ports; the first rule that names a port holds for it.
    pub rules: Vec<Rule>,
    /// How long a measured value stays after the device last said it.
    pub expire: Duration,
    /// The same for results of models: speed, memory, latency, accuracy.
    pub expire_results: Duration,
    /// How long a device that is gone stays, as not connected.
    pub forget: Duration,
    /// Most devices, present and remembered ones.
    pub max_devices: usize,
    /// Most values of one device, and as many models.
    pub max_series: usize,
    /// Most values and models of all devices.
    pub max_series_total: usize,
}

/// One entry: some ports and how to read them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Where.
    pub port: Port,
    /// Bits per second.
    pub baud: u32,
    /// None finds out by itself.
    pub protocol: Option<Protocol>,
    /// Where the device does not say its own.
    pub platform: Option<Label>,
    /// Instead of everything that the device or its adapter says.
    pub id: Option<Label>,
    /// Whether to ask the device for MLPerf Tiny results.
    pub probe: bool,
}

impl Rule {
    /// Whether an open port stays as it is when this rule takes the other's place.
    pub(crate) fn reads_like(&self, other: &Self) -> bool {
        let is_port_alike = self.port == other.port || !(self.port.is_one() || other.port.is_one());
        let port = other.port.clone();
        is_port_alike && *other == Self { port, ..self.clone() }
    }
}

/// Where devices are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// Serial ports that this pattern matches.
    Serial(String),
    /// A TCP server such as ser2net: `host:port`.
    Tcp(String),
}

impl Port {
    /// Whether this names one port, which is missed when it is not there.
    pub fn is_one(&self) -> bool {
        match self {
            Self::Serial(pattern) => !pattern.contains(['*', '?', '[']),
            Self::Tcp(_) => true,
        }
    }

    fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
        if let Some(address) = text.strip_prefix("tcp://") {
            let (host, port) = address
                .rsplit_once(':')
                .with_context(|| format!("{text:?} has no port; write tcp://host:port"))?;
            let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
            ensure!(
                is_host && port.parse::<u16>().is_ok_and(|port| port > 0),
                "{text:?} is no address; write tcp://host:port, as in tcp://192.168.1.9:3001"
            );
            return Ok(Self::Tcp(address.to_owned()));
        }
        ensure!(
            !text.is_empty(),
            "empty; write a path such as /dev/serial/by-id/*"
        );
        ensure!(
            !text.contains("://"),
            "{text:?}: only tcp:// is spoken over a network; write tcp://host:port, or the path of a serial port"
        );
        let pattern = folder.join(text);
        let pattern = pattern.to_str().context("the path is not UTF-8")?;
        glob::Pattern::new(pattern)
            .map_err(|error| anyhow!("{text:?} is no pattern: {} at {}", error.msg, error.pos))?;
        Ok(Self::Serial(pattern.to_owned()))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            expire: Duration::from_mins(2),
            expire_results: Duration::from_hours(1),
            forget: Duration::from_hours(24),
            max_devices: 1000,
            max_series: 200,
            max_series_total: 20_000,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// An empty list has to be written: it says that nothing is to be opened, a file without one is a mistake.
    device: Option<Vec<Spanned<Entry>>>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    expire: Option<Duration>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    expire_results: Option<Duration>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    forget: Option<Duration>,
    max_devices: Option<Spanned<usize>>,
    max_series: Option<Spanned<usize>>,
    max_series_total: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    port: String,
    baud: Option<u32>,
    protocol: Option<String>,
    platform: Option<String>,
    id: Option<String>,
    #[serde(default)]
    probe: bool,
}

/// Reads the file; no file means no devices.
pub fn read(path: Option<&PathBuf>) -> anyhow::Result<Settings> {
    let Some(path) = path else {
        return Ok(Settings::default());
    };
    // It may be a pipe: a shell's `<(…)`.
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Settings> {
    let at = |offset| format!("{}:{}", path.display(), text::line(text, offset));
    let file: File = toml::from_str(text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow!("{place}: {}", error.message())
    })?;
    let Some(listed) = file.device else {
        bail!(
            "{}: no [[device]]; give at least one, or `device = []` to open nothing",
            path.display()
        );
    };
    let default = Settings::default();
    let limit = |name: &str, given: Option<Spanned<usize>>, default, most: usize| match given {
        None => Ok(default),
        Some(given) if (1..=most).contains(given.as_ref()) => Ok(given.into_inner()),
        Some(given) => Err(anyhow!(
            "{}: {name}: {} is not between 1 and {most}",
            at(given.span().start),
            given.as_ref()
        )),
    };
    let mut settings = Settings {
        expire: file.expire.unwrap_or(default.expire),
        expire_results: file.expire_results.unwrap_or(default.expire_results),
        forget: file.forget.unwrap_or(default.forget),
        max_devices: limit("max_devices", file.max_devices, default.max_devices, 10_000)?,
        max_series: limit("max_series", file.max_series, default.max_series, 10_000)?,
        max_series_total: limit(
            "max_series_total",
            file.max_series_total,
            default.max_series_total,
            1_000_000,
        )?,
        rules: Vec::new(),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    for entry in listed {
        let place = at(entry.span().start);
        let rule = rule(entry.into_inner(), folder).with_context(|| place.clone())?;
        check_beside(&rule, &settings.rules).with_context(|| place)?;
        settings.rules.push(rule);
    }
    Ok(settings)
}

fn rule(entry: Entry, folder: &Path) -> anyhow::Result<Rule> {
    let label = |key: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => match Label::new(&text) {
            Some(label) => Ok(Some(label)),
            None => Err(anyhow!(
                "{key}: {:?} is empty or longer than {} bytes",
                text::cut(&text, 40),
                Label::MOST
            )),
        },
    };
    let protocol = match entry.protocol.as_deref() {
        None | Some("auto") => None,
        Some(name) => Some(Protocol::from_name(name).with_context(|| {
            let names: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
            format!(
                "protocol: there is no {name:?}; there are auto, {}",
                names.join(", ")
            )
        })?),
    };
    let rule = Rule {
        port: Port::parse(&entry.port, folder).context("port")?,
        baud: entry.baud.unwrap_or(115_200),
        protocol,
        platform: label("platform", entry.platform)?,
        id: label("id", entry.id)?,
        probe: entry.probe,
    };
    ensure!(
        BAUD.contains(&rule.baud),
        "baud: {} is not between {} and {}",
        rule.baud,
        BAUD.start(),
        BAUD.end()
    );
    ensure!(
        rule.id.is_none() || rule.port.is_one(),
        "id: {:?} may match several ports, and they would all be one device; leave `id` out or name one port",
        entry.port
    );
    ensure!(
        entry.baud.is_none() || matches!(rule.port, Port::Serial(_)),
        "baud: the server at the other end of a TCP connection sets the rate; leave it out"
    );
    ensure!(
        !rule.probe || matches!(rule.protocol, None | Some(Protocol::MlperfTiny)),
        "probe: only devices with the protocol mlperf-tiny can be asked"
    );
    Ok(rule)
}

fn check_beside(rule: &Rule, others: &[Rule]) -> anyhow::Result<()> {
    for other in others {
        ensure!(
            rule.port != other.port,
            "port: an earlier [[device]] has the same; only the first would hold"
        );
        ensure!(
            rule.id.is_none() || rule.id != other.id,
            "id: an earlier [[device]] has the same; give each port its own"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let text = "forget = \"7d\"\n[[device]]\nport = \"/dev/serial/by-id/*\"\n[[device]]\nport = \"tcp://[::1]:3001\"\nid = \"bench\"";
        let settings = parse(Path::new("/etc/devices.toml"), text).expect("good");
        assert_eq!(settings.forget, Duration::from_hours(7 * 24));
        assert_eq!(settings.expire, Duration::from_mins(2));
        let [serial, tcp] = &settings.rules[..] else {
            panic!("{settings:?}")
        };
        assert_eq!(serial.port, Port::Serial("/dev/serial/by-id/*".into()));
        assert_eq!((serial.baud, serial.protocol), (115_200, None));
        assert!(!serial.port.is_one() && tcp.port.is_one());
        assert_eq!(tcp.id.as_deref(), Some("bench"));
    }

    #[test]
    fn a_relative_port_is_relative_to_the_file() {
        let text = "[[device]]\nport = \"ports/*\"";
        let settings = parse(Path::new("/etc/devices.toml"), text).expect("good");
        assert_eq!(settings.rules[0].port, Port::Serial("/etc/ports/*".into()));
    }

    #[test]
    fn refusals_say_where_and_what_to_do() {
        for (text, expected) in [
            ("", "d.toml: no [[device]]; give at least one"),
            ("device = []\nx = 1", "d.toml:2: unknown field `x`"),
            ("[[device]]\nbaud = 9600", "d.toml:1: missing field `port`"),
            ("\n[[device]]\nport = \"\"", "d.toml:2: port: empty"),
            (
                "[[device]]\nport = \"tcp://host\"",
                "has no port; write tcp://host:port",
            ),
            ("[[device]]\nport = \"tcp://a/b:1\"", "is no address"),
            ("[[device]]\nport = \"udp://a:1\"", "only tcp:// is spoken"),
            ("[[device]]\nport = \"/dev/tty[\"", "is no pattern"),
            (
                "[[device]]\nport = \"/dev/ttyS0\"\nbaud = 0",
                "baud: 0 is not between 50",
            ),
            (
                "[[device]]\nport = \"tcp://a:1\"\nbaud = 9600",
                "sets the rate; leave it out",
            ),
            (
                "[[device]]\nport = \"/dev/tty*\"\nid = \"a\"",
                "may match several ports",
            ),
            (
                "[[device]]\nport = \"/dev/ttyS0\"\nid = \" \"",
                "id: \" \" is empty",
            ),
            (
                "[[device]]\nport = \"/dev/ttyS0\"\nprotocol = \"xml\"",
                "there is no \"xml\"; there are auto, json",
            ),
            (
                "[[device]]\nport = \"/dev/ttyS0\"\nprotocol = \"json\"\nprobe = true",
                "probe: only",
            ),
            (
                "[[device]]\nport = \"/a\"\n[[device]]\nport = \"/a\"",
                "d.toml:3: port: an earlier",
            ),
            (
                "[[device]]\nport = \"/a\"\nid = \"x\"\n[[device]]\nport = \"/b\"\nid = \"x\"",
                "d.toml:4: id: an earlier",
            ),
            (
                "expire = \"0s\"\ndevice = []",
                "d.toml:1: \"0s\" is no duration above 0",
            ),
            (
                "device = []\nmax_series = 0",
                "d.toml:2: max_series: 0 is not between 1 and",
            ),
        ] {
            let error = parse(Path::new("/etc/d.toml"), text).expect_err("refused");
            let refused = format!("{error:#}");
            assert!(refused.contains(expected), "{text}\n{refused}");
        }
    }

    proptest! {
        /// Any file is taken, or refused with its name.
        #[test]
        fn any_file_is_read_or_refused(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "[[device]]", "[device]", "port = \"/dev/a*\"", "port = \"/dev/b\"", "port = \"tcp://h:1\"", "port = 1",
                    "port = \"tcp://\"", "id = \"a\"", "id = \"\"", "baud = 9600", "baud = -1", "protocol = \"json\"",
                    "probe = true", "platform = \"é\"", "expire = \"5s\"", "expire = \"99999999999999d\"",
                    "max_devices = 0", "max_devices = 99999999999999999999", "{", "\"", "é",
                ]),
                0..12,
            ),
        ) {
            if let Err(error) = parse(Path::new("/etc/d.toml"), &lines.join("\n")) {
                let shown = format!("{error:#}");
                prop_assert!(shown.contains("/etc/d.toml"), "{}", shown);
            }
        }
    }
}
