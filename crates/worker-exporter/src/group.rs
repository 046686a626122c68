//! What workers use that have a cgroup (version 2) of their own and are known by it: units and containers.
//!
//! The files of a cgroup count what is below it too, so one read per worker is enough, whatever its children.

use std::collections::HashMap;

use crate::cgroup::{Cgroups, Group};
use crate::ledger::Id;
use crate::source::Roots;
use crate::usage::Usage;

/// The meters of all workers of one source.
pub(crate) struct GroupMeters {
    cgroups: Cgroups,
    by_worker: HashMap<Id, Meter>,
    /// That no cgroup can be seen was logged.
    warned: bool,
}

/// The CPU time of one worker over all its lives.
#[derive(Default)]
struct Meter {
    last: Option<(String, u64)>,
    microseconds: u64,
}

impl GroupMeters {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            cgroups: Cgroups::new(&roots.procfs, &roots.sysfs),
            by_worker: HashMap::new(),
            warned: false,
        }
    }

    /// The cgroup of a process.
    pub(crate) fn path_of(&self, pid: u32) -> Option<String> {
        self.cgroups.path_of(pid).filter(|path| !path.is_empty())
    }

    /// What the worker uses; its cgroup's path has no slash at its beginning. `main` is its first process.
    pub(crate) fn read(&mut self, id: &Id, path: Option<&str>, main: Option<u32>) -> Usage {
        let group = path.and_then(|path| self.cgroups.whole(path));
        self.report(id, main, group.is_some());
        let meter = match &group {
            Some(_) => Some(self.by_worker.entry(id.clone()).or_default()),
            None => self.by_worker.get_mut(id),
        };
        let cpu_seconds = meter.map(|meter| {
            if let Some(group) = &group {
                meter.advance(group);
            }
            meter.microseconds as f64 / 1e6
        });
        let Some(group) = group else {
            return Usage {
                cpu_seconds,
                ..Usage::default()
            };
        };
        let mut tree = group.processes;
        // The first of the list is the worker's own.
        tree.sort_by_key(|pid| (Some(*pid) != main, *pid));
        Usage {
            cgroup_bytes: group.memory_bytes,
            cpu_seconds,
            threads: group.tasks,
            tree,
        }
    }

    /// Logs once that what runs has no cgroup here.
    fn report(&mut self, id: &Id, main: Option<u32>, is_seen: bool) {
        let runs = |pid| self.cgroups.exists(pid);
        if !is_seen && !self.warned && main.is_some_and(runs) {
            tracing::warn!(
                worker = id.name,
                "its cgroup cannot be seen: there is no cgroup version 2 at --path.sysfs, or the exporter is in a \
                 container without `cgroup: host` and `pid: host`. Memory, CPU time, threads and files stay unknown"
            );
            self.warned = true;
        }
    }

    /// Forgets the workers that are no more.
    pub(crate) fn keep(&mut self, is_known: impl Fn(&Id) -> bool) {
        self.by_worker.retain(|id, _| is_known(id));
    }
}

impl Meter {
    fn advance(&mut self, group: &Group) {
        let now = group.cpu_microseconds;
        self.microseconds += match &self.last {
            // Made anew under the same name it counts from 0.
            Some((path, last)) if *path == group.path => now.checked_sub(*last).unwrap_or(now),
            _ => now,
        };
        self.last = Some((group.path.clone(), now));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine() -> (tempfile::TempDir, GroupMeters) {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("fs/cgroup/system.slice/a.service/inner");
        fs::create_dir_all(&group).unwrap();
        fs::write(folder.path().join("fs/cgroup/cgroup.controllers"), "cpu memory\n").unwrap();
        fs::write(group.join("cgroup.procs"), "41\n").unwrap();
        let outer = group.parent().unwrap();
        fs::write(outer.join("cgroup.procs"), "40\n42\n").unwrap();
        fs::write(outer.join("pids.current"), "9\n").unwrap();
        fs::write(outer.join("memory.current"), "4096\n").unwrap();
        let roots = Roots {
            procfs: folder.path().join("proc"),
            sysfs: folder.path().to_owned(),
        };
        (folder, GroupMeters::new(&roots))
    }

    #[test]
    fn a_group_is_read_with_what_is_below_it_and_cpu_time_goes_on_over_its_lives() {
        let (folder, mut meters) = machine();
        let outer = folder.path().join("fs/cgroup/system.slice/a.service");
        let id = Id {
            group: "a".into(),
            name: "a".into(),
        };
        let mut read = |microseconds: u64| {
            fs::write(outer.join("cpu.stat"), format!("usage_usec {microseconds}\n")).unwrap();
            meters.read(&id, Some("system.slice/a.service"), Some(42))
        };
        let usage = read(2_000_000);
        assert_eq!((usage.cgroup_bytes, usage.threads), (Some(4096), Some(9)));
        assert_eq!(usage.tree, [42, 40, 41]);
        assert_eq!(usage.cpu_seconds, Some(2.0));
        assert_eq!(read(2_500_000).cpu_seconds, Some(2.5));
        assert_eq!(read(100_000).cpu_seconds, Some(2.6), "started anew");
        let gone = meters.read(&id, None, None);
        assert_eq!((gone.cgroup_bytes, gone.cpu_seconds), (None, Some(2.6)));
    }
}
