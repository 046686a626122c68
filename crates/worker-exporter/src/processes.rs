//! Reads `<procfs>/<pid>/stat` of all processes once, and walks the trees below the workers; reads `statm`
//! and `fd` of the processes of a tree.
//!
//! Yields threads and CPU ticks per process, memory (resident pages) and open files per tree. `stat` and
//! `statm` are open to everybody; the number of open files needs the worker's own user or root before
//! Linux 6.2.

use std::collections::HashMap;
use std::io;

use crate::cpu::{Identity, Times};
use crate::procfs::Procfs;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// Clock ticks since boot.
    pub(crate) start: u64,
    own_ticks: u64,
    reaped_ticks: u64,
    pub(crate) threads: u64,
}

/// All processes of one moment.
pub(crate) struct ProcessTable {
    stats: HashMap<u32, Stat>,
    children: HashMap<u32, Vec<u32>>,
}

impl ProcessTable {
    /// Reads the table; processes that end meanwhile are left out.
    pub(crate) fn read(procfs: &Procfs) -> io::Result<Self> {
        let mut stats = HashMap::new();
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut buffer = [0; _];
        for pid in procfs.pids()? {
            let line = procfs.line(pid, "stat", &mut buffer);
            if let Some(stat) = line.ok().and_then(parse) {
                children.entry(stat.parent).or_default().push(pid);
                stats.insert(pid, stat);
            }
        }
        Ok(Self { stats, children })
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Stat> {
        self.stats.get(&pid)
    }

    pub(crate) fn lives(&self, (pid, start): Identity) -> bool {
        self.get(pid).is_some_and(|stat| stat.start == start)
    }

    /// The process and all its descendants, parents first.
    pub(crate) fn tree(&self, root: u32) -> Vec<u32> {
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            // Only a forged table has a circle: no process is its own ancestor.
            let children = self
                .children
                .get(pid)
                .into_iter()
                .flatten()
                .filter(|child| **child != root);
            tree.extend(children);
            next += 1;
            if tree.len() > self.stats.len() {
                break;
            }
        }
        tree.retain(|pid| self.stats.contains_key(pid));
        tree
    }

    /// The CPU times of these processes.
    pub(crate) fn times(&self, tree: &[u32]) -> HashMap<Identity, Times> {
        let times = |pid: &u32| {
            let stat = self.get(*pid)?;
            let parent = self.get(stat.parent).map(|parent| (stat.parent, parent.start));
            Some((
                (*pid, stat.start),
                Times {
                    parent,
                    own: stat.own_ticks,
                    reaped: stat.reaped_ticks,
                },
            ))
        };
        tree.iter().filter_map(times).collect()
    }
}

/// Reads a `stat` line. The second field is the program's name in parentheses and may hold anything.
fn parse(line: &[u8]) -> Option<Stat> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
    // rest[0] is field 3 of proc_pid_stat(5).
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    // cutime and cstime are signed.
    let signed = |number: usize| {
        fields
            .get(number - 3)?
            .parse::<i64>()
            .ok()
            .map(|ticks| ticks.max(0).unsigned_abs())
    };
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        own_ticks: field(14)?.saturating_add(field(15)?),
        reaped_ticks: signed(16)?.saturating_add(signed(17)?),
        threads: field(20)?,
        start: field(22)?,
    })
}

/// The resident pages of these processes, shared ones counted for each; `None` when all have ended. The
/// number in `stat` lags behind by up to a few hundred pages; the one in `statm` does not since Linux 6.17.
pub(crate) fn resident_pages(procfs: &Procfs, tree: &[u32]) -> Option<u64> {
    let pages = |pid: &u32| {
        let mut buffer = [0; _];
        let line = std::str::from_utf8(procfs.line(*pid, "statm", &mut buffer).ok()?).ok()?;
        line.split(' ').nth(1)?.parse::<u64>().ok()
    };
    tree.iter().filter_map(pages).reduce(u64::saturating_add)
}

/// The number of open files of these processes; `None` when it may not be known for one of them, or when
/// all have ended.
pub(crate) fn open_files(procfs: &Procfs, tree: &[u32]) -> Option<u64> {
    let mut open = None;
    for pid in tree {
        match procfs.open_files(*pid) {
            Ok(count) => open = Some(open.unwrap_or(0) + count),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            // It has ended.
            Err(_) => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "4242 (a ) (b) S 1 4242 4242 0 -1 4194560 500 600 0 0 70 30 -1 12 20 0 3 0 987654 \
        10000000 2500 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_name_may_hold_blanks_and_parentheses() {
        let stat = Stat {
            parent: 1,
            start: 987_654,
            own_ticks: 100,
            reaped_ticks: 12,
            threads: 3,
        };
        assert_eq!(parse(LINE.as_bytes()), Some(stat));
    }

    #[test]
    fn own_process_stands_in_the_own_table() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        let table = ProcessTable::read(&procfs).unwrap();
        let tree = table.tree(std::process::id());
        assert_eq!(tree[0], std::process::id());
        assert!(open_files(&procfs, &tree).unwrap() > 2);
        assert!(resident_pages(&procfs, &tree).unwrap() > 0);
    }

    #[test]
    fn a_forged_circle_ends() {
        let folder = tempfile::tempdir().unwrap();
        for (pid, parent) in [(10, 12), (11, 10), (12, 11), (13, 13)] {
            fs::create_dir(folder.path().join(pid.to_string())).unwrap();
            let line = LINE.replace("S 1 ", &format!("S {parent} "));
            fs::write(folder.path().join(format!("{pid}/stat")), line).unwrap();
        }
        let table = ProcessTable::read(&Procfs::open(folder.path()).unwrap()).unwrap();
        assert_eq!(table.tree(10), [10, 11, 12]);
        assert_eq!(table.tree(13), [13]);
    }

    proptest! {
        #[test]
        fn torn_lines_and_noise_are_no_process(length in 0..LINE.len(), noise in any::<Vec<u8>>()) {
            let _ = parse(&LINE.as_bytes()[..length]);
            let _ = parse(&noise);
        }
    }
}
