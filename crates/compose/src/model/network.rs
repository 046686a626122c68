//! How a service is reached.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// A network of the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NetworkMode {
    /// The engine's default bridge, without names.
    Bridge,
    /// This machine's own.
    Host,
    /// None but loopback.
    None,
}

impl NetworkMode {
    /// The engine's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

/// A port reached from outside the networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The address on this machine; all of them when absent.
    pub host_ip: Option<IpAddr>,
    /// The port on this machine; the engine picks a free one when absent.
    pub published: Option<u16>,
    /// The port in the container.
    pub target: u16,
    /// The protocol of both.
    pub protocol: Protocol,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    /// The engine's word for it, as in `9090/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}
