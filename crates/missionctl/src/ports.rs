//! Who listens on a TCP port: `/proc/net/tcp` and `/proc/net/tcp6` give sockets, `/proc/<pid>/fd` their owners.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket in state LISTEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listener {
    ip: IpAddr,
    port: u16,
    uid: u32,
    inode: u64,
}

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process that we may look at.
    Process {
        /// Its pid.
        pid: u32,
        /// Its command name.
        name: String,
    },
    /// A process of a user whose files we may not read.
    User(u32),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "{name}, pid {pid}"),
            Self::User(uid) => write!(f, "a process of the user with id {uid}"),
        }
    }
}

/// Who stands in the way of listening on `ip:port`; none when nobody does.
pub(crate) fn holder(ip: IpAddr, port: u16) -> Option<Holder> {
    let conflicts = |other: &Listener| {
        other.port == port && (other.ip == ip || other.ip.is_unspecified() || ip.is_unspecified())
    };
    let listener = listeners().into_iter().find(conflicts)?;
    Some(owner(listener.inode).unwrap_or(Holder::User(listener.uid)))
}

/// Whether something listens on the port, and on loopback addresses alone, where containers do not reach it.
pub(crate) fn is_only_on_loopback(port: u16) -> bool {
    let mut on_port = listeners()
        .into_iter()
        .filter(|listener| listener.port == port)
        .peekable();
    on_port.peek().is_some() && on_port.all(|listener| listener.ip.is_loopback())
}

fn listeners() -> Vec<Listener> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`, kernel documentation `proc_net_tcp`.
fn parse(line: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, state, _, _, _, uid, _, inode, ..] = fields.as_slice() else {
        return None;
    };
    if *state != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    Some(Listener {
        ip: parse_ip(ip)?,
        port: u16::from_str_radix(port, 16).ok()?,
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// Groups of four bytes in the machine's own byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for start in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    // A mapped address takes the IPv4 port.
    let ip = Ipv6Addr::from(sixteen);
    Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
}

fn owner(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        let holds = descriptors
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|link| link.as_os_str() == wanted.as_str());
        if holds {
            return Some(Holder::Process {
                pid,
                name: crate::process::name(pid)?,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found_by_pid() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let holder = holder(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        assert!(
            matches!(holder, Some(Holder::Process { pid, .. }) if pid == std::process::id()),
            "{holder:?}"
        );
    }

    #[test]
    fn another_address_of_the_same_port_does_not_stand_in_the_way() {
        let listener = TcpListener::bind("127.0.0.2:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        assert_eq!(holder(IpAddr::V4(Ipv4Addr::LOCALHOST), port), None);
        assert!(holder(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).is_some());
    }

    #[test]
    fn ipv6_words_are_read_in_machine_order() {
        let loopback = if cfg!(target_endian = "little") {
            "00000000000000000000000001000000"
        } else {
            "00000000000000000000000000000001"
        };
        assert_eq!(parse_ip(loopback), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }
}
