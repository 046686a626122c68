//! Units of one systemd, asked over its message bus.
//!
//! Two questions per look list the units; a third one follows for each unit that changed. Starts and ends between
//! two looks are told by the signals that systemd sends to those who ask for them. What a unit uses stands in the
//! files of its cgroup.

mod bus;
mod facts;
mod life;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::group::GroupMeters;
use crate::ledger::Id;
use crate::main_log::Method;
use crate::source::{Roots, Watch, Worker};

use bus::{Bus, Row};
use facts::Facts;
use life::Life;

/// The units of a systemd.
pub(crate) struct Systemd {
    bus: Bus,
    patterns: Vec<String>,
    meters: GroupMeters,
    /// By name, with the ending. A unit that was seen is asked for by name from then on: systemd forgets one that
    /// is stopped, and a list by pattern does not hold it then.
    units: BTreeMap<String, Unit>,
}

#[derive(Default)]
struct Unit {
    facts: Facts,
    life: Life,
    /// The facts may be old.
    changed: bool,
}

impl Systemd {
    /// `patterns` without the ending `.service`.
    pub(crate) fn new(bus: &Path, patterns: &[String], roots: &Roots) -> std::io::Result<Self> {
        Ok(Self {
            bus: Bus::new(bus)?,
            patterns: patterns
                .iter()
                .map(|pattern| format!("{pattern}.service"))
                .collect(),
            meters: GroupMeters::new(roots),
            units: BTreeMap::new(),
        })
    }
}

impl Watch for Systemd {
    fn look(&mut self) -> Result<Vec<Worker>, String> {
        let seen = self.ask();
        if seen.is_err() {
            // Signals may be lost until it answers again.
            self.units.values_mut().for_each(|unit| unit.changed = true);
        }
        seen
    }
}

impl Systemd {
    fn ask(&mut self) -> Result<Vec<Worker>, String> {
        let rows = self.list()?;
        self.hear();
        for row in &rows {
            let unit = self.units.entry(row.name.clone()).or_default();
            let agrees = unit.facts.active == row.active && unit.facts.sub == row.sub;
            if unit.life.has_begun() && agrees && !unit.changed {
                continue;
            }
            row.active.clone_into(&mut unit.facts.active);
            row.sub.clone_into(&mut unit.facts.sub);
            let properties = self.bus.properties(&row.path)?;
            // What was told before this answer is older than the answer.
            self.hear();
            if let Some(unit) = self.units.get_mut(&row.name) {
                unit.hear(&properties);
                unit.changed = false;
            }
        }
        let listed: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        self.units.retain(|name, _| listed.contains(name.as_str()));
        let workers: Vec<Worker> = rows.iter().filter_map(|row| self.worker(&row.name)).collect();
        let known: HashSet<&Id> = workers.iter().map(|worker| &worker.id).collect();
        self.meters.keep(|id| known.contains(id));
        Ok(workers)
    }

    /// The units that fit, those that were seen before, and those that are named in full.
    fn list(&mut self) -> Result<Vec<Row>, String> {
        let is_name = |pattern: &&String| !pattern.contains(['*', '?']);
        let mut rows = BTreeMap::new();
        let globs: Vec<&str> = self
            .patterns
            .iter()
            .filter(|pattern| !is_name(pattern))
            .map(String::as_str)
            .collect();
        if !globs.is_empty() {
            let found = self.bus.by_patterns(&globs)?;
            rows.extend(found.into_iter().map(|row| (row.name.clone(), row)));
        }
        let seen = self.units.keys().filter(|name| !rows.contains_key(*name));
        let wanted = self.patterns.iter().filter(is_name);
        let names: BTreeSet<&str> = seen.chain(wanted).map(String::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        if !names.is_empty() {
            let found = self.bus.by_names(&names)?;
            rows.extend(found.into_iter().map(|row| (row.name.clone(), row)));
        }
        Ok(rows.into_values().filter(Row::exists).collect())
    }

    /// Enters what systemd told since the last look.
    fn hear(&mut self) {
        for change in self.bus.changes() {
            if let Some(unit) = self.units.get_mut(&change.unit) {
                unit.changed = true;
                if unit.life.has_begun() {
                    unit.hear(&change.properties);
                }
            }
        }
    }

    fn worker(&mut self, name: &str) -> Option<Worker> {
        let Unit { facts, life, .. } = self.units.get(name)?;
        let id = id(name);
        let group = facts.control_group.strip_prefix('/');
        let usage = self
            .meters
            .read(&id, group.filter(|path| !path.is_empty()), facts.main_pid());
        Some(Worker {
            state: facts.state(),
            uptime_seconds: facts.main_pid().and(since(facts.started)),
            healthy: None,
            counts: life.counts().clone(),
            method: Method::Signals,
            usage,
            id,
        })
    }
}

impl Unit {
    fn hear(&mut self, properties: &bus::Properties) {
        self.facts.update(properties);
        self.life.see(&self.facts);
    }
}

/// A unit's name without its ending; the group of the units of one template is the template's name.
fn id(unit: &str) -> Id {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let group = name.split_once('@').map_or(name, |(template, _)| template);
    Id {
        group: group.to_owned(),
        name: name.to_owned(),
    }
}

/// Seconds since a time in microseconds since 1970, 0 for one ahead.
fn since(microseconds: u64) -> Option<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let began = microseconds as f64 / 1e6;
    (microseconds != 0).then(|| (now.as_secs_f64() - began).max(0.0))
}
