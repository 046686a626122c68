//! What the native backend cannot run on this machine: left out, and said before anything is touched.

use std::fs;

use crate::inventory::{Findings, Inventory, Question};
use crate::service::Service;
use crate::tools::Programs;

/// Leaves out what exists in containers only, and says what will not work.
pub(crate) fn narrow(inventory: &mut Inventory, findings: &mut Findings) {
    for (service, _) in inventory.services() {
        if !service.exists_natively() {
            findings.warn(
                inventory.stack.wanted_at(service),
                format!("{service} runs in containers only; left out"),
                "backend = \"docker\" runs it; no other service needs it",
            );
            inventory.leave_out(service);
        }
    }
    let mut probes = inventory.probes.iter();
    if let Some(probe) = probes.find(|probe| matches!(probe.question, Question::Icmp(_)))
        && !may_ping()
    {
        findings.warn(
            Some(probe.span.clone()),
            "this user may not send pings, so probes by icmp fail",
            "allow it to everybody: sudo sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"; to keep that, put it into \
             /etc/sysctl.d/",
        );
    }
}

/// Leaves out services whose program could not be had, so that nobody waits for them.
pub(crate) fn leave_out_missing(inventory: &mut Inventory, programs: &Programs) {
    for (service, _) in inventory.services() {
        if !service.is_own() && programs.get(service.program()).is_none() {
            inventory.leave_out(service);
        }
    }
    // Without Loki nobody takes what Alloy sends.
    if !inventory.runs(Service::Loki) {
        inventory.leave_out(Service::Alloy);
    }
}

/// Whether a program of this user may send ICMP echo requests: as one of the groups that the kernel lets, or by the
/// capability to send anything.
fn may_ping() -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    is_group_in_range(&read("/proc/sys/net/ipv4/ping_group_range"), &groups())
        || has_raw_sockets(&read("/proc/self/status"), rustix::process::geteuid().is_root())
}

fn groups() -> Vec<u32> {
    let mut groups: Vec<u32> = rustix::process::getgroups()
        .unwrap_or_default()
        .iter()
        .map(|group| group.as_raw())
        .collect();
    groups.push(rustix::process::getegid().as_raw());
    groups
}

fn is_group_in_range(range: &str, groups: &[u32]) -> bool {
    let mut bounds = range
        .split_whitespace()
        .filter_map(|bound| bound.parse::<u32>().ok());
    match (bounds.next(), bounds.next()) {
        (Some(first), Some(last)) => groups.iter().any(|group| (first..=last).contains(group)),
        _ => false,
    }
}

/// What root has, its programs have too; others pass on only what is ambient.
fn has_raw_sockets(status: &str, is_root: bool) -> bool {
    const CAP_NET_RAW: u64 = 1 << 13;
    let set = if is_root { "CapEff:" } else { "CapAmb:" };
    let mut lines = status.lines();
    let digits = lines.find_map(|line| line.strip_prefix(set)).map(str::trim);
    let capabilities = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    capabilities.is_some_and(|capabilities| capabilities & CAP_NET_RAW != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_default_lets_nobody_ping() {
        assert!(!is_group_in_range("1\t0\n", &[0, 1, 1000]));
        assert!(is_group_in_range("0\t2147483647\n", &[1000]));
        assert!(is_group_in_range("100\t100\n", &[1000, 100]));
        assert!(!is_group_in_range("", &[0]));
    }

    #[test]
    fn root_may_ping_unless_the_capability_was_taken_from_it() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nCapAmb:\t0000000000000000\n";
        assert!(has_raw_sockets(status, true));
        assert!(!has_raw_sockets(status, false));
        assert!(!has_raw_sockets("CapEff:\t0000000000000000\n", true));
    }
}
