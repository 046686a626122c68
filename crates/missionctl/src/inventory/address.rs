//! Addresses as users write them, and which of them are this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

/// A host and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// Name or IP address, an IPv6 address without brackets.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

impl HostPort {
    /// It is on the machine that missionctl runs on.
    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.host)
    }

    /// Only this machine itself calls it so.
    pub(crate) fn has_own_name(&self) -> bool {
        is_own_name(&self.host)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A host without a port, or what is wrong with it and what to do.
pub(crate) fn host(text: &str) -> Result<String, (String, String)> {
    let wrong = |hint: &str| {
        Err((
            format!("`{text}` is not a host name or IP address"),
            hint.to_owned(),
        ))
    };
    if text.is_empty() {
        return wrong("write a name such as `pc`, or an address such as `192.168.1.20`");
    }
    if text.contains("://") || text.contains('/') {
        return wrong("leave out the scheme and the path; only the name or the IP address belongs here");
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.unwrap_or(text).parse::<IpAddr>().is_ok() {
        return Ok(bare.unwrap_or(text).to_owned());
    }
    if text.contains('%') {
        return wrong("Prometheus knows no zones (%eth0); use a name or a global address");
    }
    if text.contains(':') {
        return wrong("leave out the port; exporters take theirs as `\"worker:9403\"`");
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return wrong("an IPv4 address has four numbers from 0 to 255");
    }
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if text.trim_end_matches('.').split('.').all(label_is_good) {
        Ok(text.to_owned())
    } else {
        wrong("names have letters, digits, hyphens and dots")
    }
}

/// A host with a port, or what is wrong with it and what to do.
pub(crate) fn host_port(text: &str) -> Result<HostPort, (String, String)> {
    if text.contains("://") || text.contains('/') {
        return Err((
            format!("`{text}` is not `host:port`"),
            "leave out the scheme; the path goes into `path = \"/metrics\"`".to_owned(),
        ));
    }
    let missing = || {
        (
            format!("`{text}` has no port"),
            "write `host:port`, such as `localhost:8080`".to_owned(),
        )
    };
    let (name, number) = text.rsplit_once(':').ok_or_else(missing)?;
    let port = port(number)?;
    Ok(HostPort {
        host: host(name)?,
        port,
    })
}

/// A TCP port, or what is wrong with it and what to do.
pub(crate) fn port(text: &str) -> Result<u16, (String, String)> {
    match text.parse() {
        Ok(0) | Err(_) => Err((
            format!("`{text}` is not a port"),
            "ports are whole numbers from 1 to 65535".to_owned(),
        )),
        Ok(port) => Ok(port),
    }
}

/// This machine's name.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether the host is this machine to itself alone: containers that ask for it find themselves, or nobody.
fn is_own_name(host: &str) -> bool {
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    host == "localhost" || host == hostname() || is_loopback
}

/// Whether the host is this machine: by name, or because one of its interfaces has the address.
pub(crate) fn is_local(host: &str) -> bool {
    if host == "localhost" || host == hostname() {
        return true;
    }
    host.parse::<IpAddr>().is_ok_and(|ip| is_ours(ip).is_ok())
}

/// Binding to an address is the one test that needs no list of interfaces.
pub(crate) fn is_ours(ip: IpAddr) -> std::io::Result<()> {
    TcpListener::bind(SocketAddr::new(ip, 0)).map(drop)
}

/// Connects, and says why not. Bounded also where the resolver hangs.
pub(crate) fn connect(address: &HostPort, limit: Duration) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    let (host, port) = (address.host.clone(), address.port);
    std::thread::spawn(move || {
        // The receiver is gone when the limit has passed; nobody wants the answer then.
        let _ = sender.send(try_connect(&host, port, limit));
    });
    receiver
        .recv_timeout(limit * 2)
        .unwrap_or_else(|_| Err("the name does not resolve in time".to_owned()))
}

fn try_connect(host: &str, port: u16, limit: Duration) -> Result<(), String> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|_| "the name does not resolve".to_owned())?;
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => reason = crate::text::io_reason(&error),
        }
    }
    Err(reason)
}
