//! From the last lines of a log to what most likely has to be done.

use super::unit::Unit;
use crate::inventory::Inventory;
use crate::ports;

/// The likely cause, when the log or the spawn error shows one.
pub(crate) fn likely_cause(
    unit: &Unit,
    reason: &str,
    log: &[String],
    inventory: &Inventory,
) -> Option<String> {
    let text = format!("{reason}\n{}", log.join("\n")).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["address already in use"])
        && let Some(address) = &unit.address
    {
        let holder = ports::holder(inventory.stack.bind, address.port).map_or_else(
            || "a process that has ended meanwhile".to_owned(),
            |holder| holder.to_string(),
        );
        return Some(format!(
            "port {} is taken by {holder}; stop it or move {} in [stack.ports]",
            address.port, unit.service
        ));
    }
    if has(&["no space left on device"]) {
        return Some("the disk is full; free space, or lower [stack] retention".to_owned());
    }
    let is_denied = has(&["permission denied", "operation not permitted"]);
    if is_denied && unit.address.as_ref().is_some_and(|address| address.port < 1024) {
        return Some(format!(
            "ports below 1024 are for root; move {} in [stack.ports]",
            unit.service
        ));
    }
    if is_denied {
        return Some(format!(
            "the user who runs missionctl may not do this; see the log of {}",
            unit.service
        ));
    }
    if has(&[
        "unknown long flag",
        "unknown short flag",
        "flag provided but not defined",
        "unexpected argument",
    ]) {
        return Some(format!(
            "{} is of a version that lacks a flag used here",
            unit.program.display()
        ));
    }
    if has(&["can't find command", "no such file or directory: '"]) {
        return Some(format!(
            "{} is gone; run missionctl tools",
            unit.program.display()
        ));
    }
    if has(&["lock db directory", "resource temporarily unavailable"]) {
        return Some("another process uses the same data folder; run missionctl down first".to_owned());
    }
    None
}
