//! Workers that two sources know. Such a worker is reported once.
//!
//! A container that supervisord or systemd starts: who starts it tells its state, its starts and its ends (the
//! container is made anew each time, or the engine leaves restarts to others); the engine knows its processes and its
//! health. It is the same when the container's process is one of the other's, or when both have the same name, unless
//! the other runs and no client of an engine is among its processes: then a machine's own `redis` stands beside a
//! container `redis`.
//!
//! A container with a supervisord that is watched: its workers are those of that supervisord, it is none itself.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::ledger::Id;
use crate::page::Seen;
use crate::procfs::Procfs;
use crate::source::Worker;

/// Programs that have an engine run a container and wait for it.
const CLIENTS: [&str; 5] = ["docker", "docker-compose", "podman", "podman-compose", "nerdctl"];

type Key<'a> = (&'a str, &'a Id);

/// What is known twice.
#[derive(Default)]
pub(crate) struct Twice<'a> {
    hidden: HashSet<Key<'a>>,
    inner: HashMap<Key<'a>, &'a Worker>,
}

/// Pairs of the same name that were told apart. They stay apart while one of them does not run.
#[derive(Default)]
pub(crate) struct Namesakes(Mutex<HashSet<[(String, Id); 2]>>);

impl Namesakes {
    /// Whether the container and the other are the same; `worker` is the other while its source answers.
    fn are_one(
        &self,
        container: Key<'_>,
        other: Key<'_>,
        worker: Option<&Worker>,
        procfs: Option<&Procfs>,
    ) -> bool {
        let pair = [container, other].map(|(source, id)| (source.to_owned(), id.clone()));
        let mut apart = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = worker.map_or(&[][..], |worker| &worker.usage.tree);
        match procfs.and_then(|procfs| has_client(procfs, tree)) {
            Some(true) => apart.remove(&pair),
            Some(false) => apart.insert(pair.clone()),
            None => false,
        };
        !apart.contains(&pair)
    }
}

impl<'a> Twice<'a> {
    pub(crate) fn find(seen: &'a [Seen<'a>], namesakes: &Namesakes, procfs: Option<&Procfs>) -> Self {
        let mut twice = Self::default();
        let (engines, others): (Vec<_>, Vec<_>) = seen
            .iter()
            .partition(|seen| !seen.settings.origin.starts_others());
        if engines.is_empty() || others.is_empty() {
            return twice;
        }
        let mut names: HashMap<&str, Key<'a>> = HashMap::new();
        let mut pids: HashMap<u32, Key<'a>> = HashMap::new();
        let mut running: HashMap<Key<'a>, &Worker> = HashMap::new();
        for seen in &others {
            names.extend(seen.known().map(|id| (id.name.as_str(), (seen.source, id))));
            for worker in seen.workers() {
                let key = (seen.source, &worker.id);
                pids.extend(worker.usage.tree.iter().map(|pid| (*pid, key)));
                running.insert(key, worker);
            }
        }
        let supervisors: HashSet<u32> = others
            .iter()
            .filter_map(|seen| seen.observation.process)
            .collect();
        for seen in engines {
            let workers: HashMap<&Id, &Worker> = seen.workers().map(|worker| (&worker.id, worker)).collect();
            for id in seen.known() {
                let key = (seen.source, id);
                let worker = workers.get(id).copied();
                let tree = worker.map_or(&[][..], |worker| &worker.usage.tree);
                if tree.iter().any(|pid| supervisors.contains(pid)) {
                    twice.hidden.insert(key);
                    continue;
                }
                let by_name = || {
                    let other = names.get(id.name.as_str())?;
                    let worker = running.get(other).copied();
                    namesakes.are_one(key, *other, worker, procfs).then_some(other)
                };
                let by_process = tree.first().and_then(|pid| pids.get(pid));
                if let Some(same) = by_process.or_else(by_name) {
                    twice.hidden.insert(key);
                    twice.inner.extend(worker.map(|worker| (*same, worker)));
                }
            }
        }
        twice
    }

    /// Whether this is a container that another source reports.
    pub(crate) fn hides(&self, source: &str, id: &Id) -> bool {
        self.hidden.contains(&(source, id))
    }

    /// The container that this worker is, where there is one.
    pub(crate) fn inner(&self, source: &str, id: &Id) -> Option<&'a Worker> {
        self.inner.get(&(source, id)).copied()
    }
}

/// Whether one of the processes is a client of an engine; `None` where no process shows its command.
fn has_client(procfs: &Procfs, tree: &[u32]) -> Option<bool> {
    let is_client = |pid: &u32| {
        let mut buffer = [0; _];
        let line = procfs.line(*pid, "cmdline", &mut buffer).ok()?;
        let program = std::str::from_utf8(line.split(|byte| *byte == 0).next()?).ok()?;
        (!program.is_empty()).then(|| CLIENTS.contains(&program.rsplit('/').next().unwrap_or(program)))
    };
    tree.iter()
        .filter_map(is_client)
        .reduce(|one, other| one || other)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_client_of_an_engine_among_the_processes() {
        let folder = tempfile::tempdir().unwrap();
        let process = |pid: u32, command: &str| {
            let path = folder.path().join(pid.to_string());
            fs::create_dir(&path).unwrap();
            fs::write(path.join("cmdline"), command).unwrap();
        };
        process(1, "/bin/sh\0-c\0docker start -a redis\0");
        process(2, "/usr/bin/docker\0start\0-a\0redis\0");
        process(3, "redis-server\0--docker\0");
        process(4, "");
        let procfs = Procfs::open(Path::new(folder.path())).unwrap();
        for (tree, expected) in [
            (&[1, 2][..], Some(true)),
            (&[3], Some(false)),
            (&[3, 9], Some(false)),
            (&[4, 9], None),
            (&[], None),
        ] {
            assert_eq!(has_client(&procfs, tree), expected, "{tree:?}");
        }
    }
}
