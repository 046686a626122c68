//! CPU time and threads of the workers' process trees, and memory where a worker has a cgroup of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use supervisor::ProcessInfo;

use crate::cgroup::{Cgroups, Reading};
use crate::cpu::{CpuClock, Identity};
use crate::ledger::Id;
use crate::processes::ProcessTable;
use crate::procfs::Procfs;

/// How long a worker that shares supervisord's cgroup is thought to stay there.
const SHARES: Duration = Duration::from_mins(1);

/// What one worker's processes use together; `None` where it is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Of its own cgroup, where it has one.
    pub(crate) cgroup_bytes: Option<u64>,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) threads: Option<u64>,
    /// The processes: the worker's own first, then its descendants.
    pub(crate) tree: Vec<u32>,
}

/// The meters of all workers of one supervisord.
pub(crate) struct Meters {
    procfs: PathBuf,
    cgroups: Cgroups,
    ticks_per_second: f64,
    by_worker: HashMap<Id, Meter>,
}

/// The CPU time of one worker over all its lives.
#[derive(Default)]
struct Meter {
    clock: CpuClock,
    cgroup: Option<(String, u64)>,
    seconds: f64,
    used: bool,
    /// It shared supervisord's cgroup when that was looked up last.
    shares: Option<(Identity, Instant)>,
}

/// Whether the processes can be found in this `procfs`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kinship {
    /// All that have a pid are children of that supervisord.
    Children,
    /// Some are not: supervisord has another pid by now, or lives on another machine or in a container.
    Strangers,
}

impl Meters {
    pub(crate) fn new(procfs: &Path, sysfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
            cgroups: Cgroups::new(procfs, sysfs),
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            by_worker: HashMap::new(),
        }
    }

    /// Reads all processes once and returns the usage of each worker, in their order.
    pub(crate) fn read(
        &mut self,
        supervisord: u32,
        workers: &[ProcessInfo],
    ) -> std::io::Result<(Vec<Usage>, Kinship)> {
        let table = ProcessTable::read(&Procfs::open(&self.procfs)?)?;
        let shared = self.cgroups.path_of(supervisord);
        let known = self.is_supervisord(supervisord);
        let mut kinship = Kinship::Children;
        let usages = workers.iter().map(|worker| {
            let tree = match worker.pid.map(|pid| (pid, table.get(pid))) {
                Some((pid, Some(stat))) if known && stat.parent == supervisord => table.tree(pid),
                // Ended between supervisord's answer and this look, and reaped.
                Some((_, None)) if known => Vec::new(),
                None => Vec::new(),
                Some(_) => {
                    kinship = Kinship::Strangers;
                    Vec::new()
                }
            };
            self.usage(&table, tree, Id::of(worker), shared.as_deref())
        });
        let usages = usages.collect();
        Ok((usages, kinship))
    }

    /// A pid of another machine or container may be anybody here: a worker's memory must not be read
    /// from a stranger.
    fn is_supervisord(&self, pid: u32) -> bool {
        let command = exporter::fs::read_text(&self.procfs.join(pid.to_string()).join("cmdline"));
        command.is_ok_and(|command| command.contains("supervisor"))
    }

    fn usage(&mut self, table: &ProcessTable, tree: Vec<u32>, id: Id, shared: Option<&str>) -> Usage {
        let meter = self.by_worker.entry(id).or_default();
        let path = meter.own_path(&self.cgroups, table, &tree, shared);
        let cgroup = path.and_then(|path| self.cgroups.own(table, &tree, path));
        meter.advance(table, &tree, self.ticks_per_second, cgroup.as_ref());
        let runs = !tree.is_empty();
        Usage {
            cgroup_bytes: cgroup.and_then(|cgroup| cgroup.memory_bytes),
            cpu_seconds: meter.used.then_some(meter.seconds),
            threads: runs.then(|| {
                tree.iter()
                    .filter_map(|pid| table.get(*pid))
                    .map(|stat| stat.threads)
                    .sum()
            }),
            tree,
        }
    }
}

impl Meter {
    /// The cgroup of the worker's first process, unless it is supervisord's. Most are, and stay there: that takes no
    /// question for a while.
    fn own_path(
        &mut self,
        cgroups: &Cgroups,
        table: &ProcessTable,
        tree: &[u32],
        shared: Option<&str>,
    ) -> Option<String> {
        let pid = *tree.first()?;
        let identity = (pid, table.get(pid)?.start);
        if let Some((one, since)) = self.shares
            && one == identity
            && since.elapsed() < SHARES
        {
            return None;
        }
        let path = cgroups
            .path_of(pid)
            .filter(|path| !path.is_empty() && shared != Some(path));
        self.shares = path.is_none().then(|| (identity, Instant::now()));
        path
    }

    fn advance(
        &mut self,
        table: &ProcessTable,
        tree: &[u32],
        ticks_per_second: f64,
        cgroup: Option<&Reading>,
    ) {
        let before = self.clock.ticks();
        self.clock
            .advance(table.times(tree), |identity| table.lives(identity));
        let gained = (self.clock.ticks() - before) as f64 / ticks_per_second;
        self.seconds += match (cgroup, &self.cgroup) {
            (Some(now), Some((path, last))) if now.path == *path => {
                // Made anew under the same name it counts from 0.
                let gained = now
                    .cpu_microseconds
                    .checked_sub(*last)
                    .unwrap_or(now.cpu_microseconds);
                gained as f64 / 1e6
            }
            (Some(now), None) if !self.used => now.cpu_microseconds as f64 / 1e6,
            _ => gained,
        };
        self.cgroup = cgroup.map(|now| (now.path.clone(), now.cpu_microseconds));
        self.used |= !tree.is_empty();
    }
}
