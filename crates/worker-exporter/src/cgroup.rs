//! Reads `<sysfs>/fs/cgroup/<path>/{memory.current,cpu.stat,cgroup.procs,cgroup.stat}` of a worker that
//! has a cgroup (version 2) of its own: one that holds its process tree and nothing else.
//!
//! Yields memory without counting shared pages twice, page cache included, and CPU time that misses no
//! short-lived child. Readable by everybody.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::processes::ProcessTable;

/// How far below a worker's cgroup its processes are looked for.
const DEPTH: usize = 4;

/// The cgroup hierarchy, if it is of version 2.
pub(crate) struct Cgroups {
    procfs: PathBuf,
    root: Option<PathBuf>,
}

/// What a cgroup says.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) path: String,
    /// Absent where the memory controller is not on.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_microseconds: u64,
}

/// A cgroup with all below it.
pub(crate) struct Group {
    pub(crate) path: String,
    pub(crate) processes: Vec<u32>,
    /// Absent where the memory controller is not on.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_microseconds: u64,
    /// Threads; absent where the pids controller is not on.
    pub(crate) tasks: Option<u64>,
}

impl Cgroups {
    pub(crate) fn new(procfs: &Path, sysfs: &Path) -> Self {
        // Beside version 1 it is mounted one folder down, without the controllers that version 1 has: memory is
        // absent there, CPU time is not.
        let root = ["fs/cgroup", "fs/cgroup/unified"]
            .into_iter()
            .map(|place| sysfs.join(place))
            .find(|root| root.join("cgroup.controllers").exists());
        Self {
            procfs: procfs.to_owned(),
            root,
        }
    }

    /// The cgroup of a process, `None` without version 2 or beyond the own namespace.
    pub(crate) fn path_of(&self, pid: u32) -> Option<String> {
        self.root.as_ref()?;
        let text = text(&self.procfs.join(format!("{pid}/cgroup")))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
        (!path.split('/').any(|part| part == "..")).then(|| path.to_owned())
    }

    /// What a cgroup says that is the tree's own; `None` when it is not, or not any more.
    pub(crate) fn own(&self, table: &ProcessTable, tree: &[u32], path: String) -> Option<Reading> {
        let folder = self.root.as_ref()?.join(&path);
        if value(&folder.join("cgroup.stat"), "nr_descendants")? != 0 {
            return None;
        }
        let members = exporter::fs::read_text(&folder.join("cgroup.procs")).ok()?;
        let members: HashSet<u32> = members.lines().map(str::parse).collect::<Result<_, _>>().ok()?;
        let tree: HashSet<u32> = tree.iter().copied().collect();
        // A member that the table lacks is younger than the table; one of the tree that is no member
        // must have ended since.
        let only_tree = members
            .iter()
            .all(|pid| tree.contains(pid) || table.get(*pid).is_none());
        let whole_tree = tree.iter().all(|pid| members.contains(pid) || !self.exists(*pid));
        (only_tree && whole_tree).then_some(())?;
        Some(Reading {
            memory_bytes: exporter::fs::read_u64(&folder.join("memory.current")).ok(),
            cpu_microseconds: value(&folder.join("cpu.stat"), "usage_usec")?,
            path,
        })
    }

    /// What a cgroup and those below it say; `None` without version 2, or when it is not there (any more).
    pub(crate) fn whole(&self, path: &str) -> Option<Group> {
        let is_inside = !path.is_empty() && !path.split('/').any(|part| part == "..");
        let folder = is_inside.then_some(self.root.as_ref()?)?.join(path);
        let number = |file: &str| text(&folder.join(file))?.trim().parse().ok();
        let mut processes = Vec::new();
        members(&folder, DEPTH, &mut processes);
        Some(Group {
            path: path.to_owned(),
            memory_bytes: number("memory.current"),
            cpu_microseconds: value(&folder.join("cpu.stat"), "usage_usec")?,
            tasks: number("pids.current"),
            processes,
        })
    }

    /// Whether there is such a process.
    pub(crate) fn exists(&self, pid: u32) -> bool {
        self.procfs.join(pid.to_string()).exists()
    }
}

/// The processes of a cgroup and of those below it.
fn members(folder: &Path, depth: usize, processes: &mut Vec<u32>) {
    let text = text(&folder.join("cgroup.procs")).unwrap_or_default();
    processes.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    if depth > 0 {
        folders.for_each(|entry| members(&entry.path(), depth - 1, processes));
    }
}

/// A file of the kernel: a short one comes in one piece, which saves a thousand workers some thousands of questions.
fn text(path: &Path) -> Option<String> {
    let mut buffer = [0; 1024];
    let length = File::open(path)
        .and_then(|mut file| file.read(&mut buffer))
        .ok()?;
    if length == buffer.len() {
        return exporter::fs::read_text(path).ok();
    }
    std::str::from_utf8(&buffer[..length]).ok().map(str::to_owned)
}

/// The number behind a key in a file of `key number` lines.
fn value(path: &Path, key: &str) -> Option<u64> {
    let text = text(path)?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::procfs::Procfs;

    /// supervisord (10) with two workers, 20 and its child 21 in a cgroup of their own, and 30.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for (pid, parent, cgroup) in [
                (10, 1, "/system.slice/supervisor.service"),
                (20, 10, "/workers/a"),
                (21, 20, "/workers/a"),
                (30, 10, "/system.slice/supervisor.service"),
            ] {
                let stat = format!("{pid} (x) S {parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 0 1\n");
                machine.write(&format!("proc/{pid}/stat"), &stat);
                machine.write(
                    &format!("proc/{pid}/cgroup"),
                    &format!("1:name=systemd:/\n0::{cgroup}\n"),
                );
            }
            machine.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
            machine.cgroup("cgroup.procs", "20\n21\n");
            machine.cgroup("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n");
            machine.cgroup("memory.current", "1048576\n");
            machine.cgroup("cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
            machine
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn cgroup(&self, file: &str, text: &str) {
            self.write(&format!("sys/fs/cgroup/workers/a/{file}"), text);
        }

        fn own(&self, pid: u32) -> Option<Reading> {
            let procfs = self.0.path().join("proc");
            let cgroups = Cgroups::new(&procfs, &self.0.path().join("sys"));
            let table = ProcessTable::read(&Procfs::open(&procfs).unwrap()).unwrap();
            cgroups.own(&table, &table.tree(pid), cgroups.path_of(pid)?)
        }
    }

    #[test]
    fn a_cgroup_that_holds_the_tree_and_nothing_else() {
        let machine = Machine::new();
        let reading = Reading {
            path: "workers/a".into(),
            memory_bytes: Some(1 << 20),
            cpu_microseconds: 2_500_000,
        };
        assert_eq!(machine.own(20), Some(reading));
        assert_eq!(machine.own(30), None, "shares supervisord's");
    }

    #[test]
    fn a_cgroup_that_holds_more_or_less_is_not_its_own() {
        let machine = Machine::new();
        machine.cgroup("cgroup.procs", "20\n21\n30\n");
        assert_eq!(machine.own(20), None);
        machine.cgroup("cgroup.procs", "20\n");
        assert_eq!(machine.own(20), None);
        machine.cgroup("cgroup.procs", "20\n21\n99\n");
        assert!(machine.own(20).is_some(), "99 is younger than the table");
        machine.cgroup("cgroup.stat", "nr_descendants 1\n");
        assert_eq!(machine.own(20), None);
    }

    #[test]
    fn no_memory_controller_and_no_version_2() {
        let machine = Machine::new();
        fs::remove_file(machine.0.path().join("sys/fs/cgroup/workers/a/memory.current")).unwrap();
        assert_eq!(machine.own(20).unwrap().memory_bytes, None);
        let cgroup = machine.0.path().join("sys/fs/cgroup");
        fs::rename(&cgroup, machine.0.path().join("sys/fs/unified")).unwrap();
        assert_eq!(machine.own(20), None);
        fs::create_dir(&cgroup).unwrap();
        fs::rename(machine.0.path().join("sys/fs/unified"), cgroup.join("unified")).unwrap();
        assert_eq!(machine.own(20).unwrap().cpu_microseconds, 2_500_000);
    }
}
