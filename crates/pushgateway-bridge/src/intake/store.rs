//! The groups that local jobs pushed, each in a file of its own, so that they outlive a restart.
//!
//! A push is on the disk before it is answered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::push::Blocks;

/// Groups, and bytes of all they hold. Who pushes must not be able to fill memory or disk.
const MAX_GROUPS: usize = 1000;
const MAX_BYTES: usize = 64 << 20;
const SUFFIX: &str = ".group.json";

/// The labels of a group, sorted by name.
pub(super) type Labels = Vec<(String, String)>;

/// What is known of one group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) families: Blocks,
    /// Unix time in seconds.
    pub(super) pushed: Option<f64>,
    pub(super) failed: Option<f64>,
    /// Whether the receiver keeps it, so that it need not be brought again after a restart.
    pub(super) delivered: bool,
    /// Whether it was brought since it was pushed.
    #[serde(skip)]
    pub(super) brought: bool,
}

/// All groups.
pub(super) struct Store {
    folder: PathBuf,
    groups: Mutex<Groups>,
}

#[derive(Default)]
struct Groups {
    known: BTreeMap<Labels, Kept>,
    next: u64,
    bytes: usize,
}

struct Kept {
    /// Of its file.
    number: u64,
    group: Group,
}

/// Why a push is not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is no room.
    Full(&'static str),
    /// It cannot be kept.
    Disk(io::Error),
}

impl Group {
    fn size(&self) -> usize {
        let labels = self.labels.iter().map(|(name, value)| name.len() + value.len());
        let families = self.families.iter().map(|(name, text)| name.len() + text.len());
        labels.chain(families).sum()
    }
}

impl Store {
    /// Opens the folder, or makes it. A file that cannot be read costs its group.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let mut groups = Groups::default();
        let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("read {}", folder.display()))?
                .path();
            let Some(number) = number(&path) else {
                continue;
            };
            groups.next = groups.next.max(number + 1);
            match load(&path) {
                Ok(mut group) => {
                    group.brought = group.delivered;
                    groups.bytes += group.size();
                    groups.known.insert(group.labels.clone(), Kept { number, group });
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a pushed group is lost; its job has to push again");
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            groups: Mutex::new(groups),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes families into a group, in place of all it has or of those of the same names.
    pub(super) fn push(
        &self,
        labels: Labels,
        families: Blocks,
        replace_all: bool,
        now: f64,
    ) -> Result<(), Refused> {
        let mut groups = self.lock();
        let earlier = groups.known.get(&labels);
        let mut group = earlier.map_or_else(Group::default, |kept| kept.group.clone());
        let (before, is_new) = (group.size(), earlier.is_none());
        if replace_all {
            group.families = families;
        } else {
            group.families.extend(families);
        }
        group.labels = labels;
        group.pushed = Some(now);
        group.delivered = false;
        group.brought = false;
        if is_new && groups.known.len() >= MAX_GROUPS {
            return Err(Refused::Full("1000 groups are there already; delete some"));
        }
        let bytes = groups.bytes - before + group.size();
        if bytes > MAX_BYTES {
            return Err(Refused::Full(
                "all groups together hold more than 64 MiB; delete some",
            ));
        }
        self.keep(&mut groups, group).map_err(Refused::Disk)?;
        groups.bytes = bytes;
        Ok(())
    }

    /// Notes that a push to a known group was refused.
    pub(super) fn failed(&self, labels: &Labels, now: f64) {
        if let Some(kept) = self.lock().known.get_mut(labels) {
            kept.group.failed = Some(now);
        }
    }

    /// Notes that the group was brought as it was pushed at this time, and whether the receiver keeps it.
    pub(super) fn brought(&self, labels: &Labels, pushed: Option<f64>, is_kept: bool) -> io::Result<()> {
        let mut groups = self.lock();
        let known = groups.known.get_mut(labels);
        let Some(kept) = known.filter(|kept| kept.group.pushed == pushed) else {
            return Ok(());
        };
        kept.group.brought = true;
        if !is_kept || kept.group.delivered {
            return Ok(());
        }
        let group = Group {
            delivered: true,
            ..kept.group.clone()
        };
        self.keep(&mut groups, group)
    }

    /// Removes a group; false when there was none.
    pub(super) fn delete(&self, labels: &Labels) -> io::Result<bool> {
        let mut groups = self.lock();
        let Some(kept) = groups.known.get(labels) else {
            return Ok(false);
        };
        let size = kept.group.size();
        fs::remove_file(self.path(kept.number))?;
        File::open(&self.folder)?.sync_all()?;
        groups.known.remove(labels);
        groups.bytes -= size;
        Ok(true)
    }

    /// Whether the group is there.
    pub(super) fn has(&self, labels: &Labels) -> bool {
        self.lock().known.contains_key(labels)
    }

    /// The groups that were not brought since they were pushed, or all.
    pub(super) fn groups(&self, all: bool) -> Vec<Group> {
        let groups = self.lock();
        let known = groups.known.values().map(|kept| &kept.group);
        known.filter(|group| all || !group.brought).cloned().collect()
    }

    fn keep(&self, groups: &mut Groups, group: Group) -> io::Result<()> {
        let number = groups
            .known
            .get(&group.labels)
            .map_or(groups.next, |kept| kept.number);
        let path = self.path(number);
        let temporary = path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&group)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(&self.folder)?.sync_all()?;
        groups.next = groups.next.max(number + 1);
        groups.known.insert(group.labels.clone(), Kept { number, group });
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}{SUFFIX}"))
    }
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.parse().ok()
}

fn load(path: &Path) -> io::Result<Group> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(job: &str) -> Labels {
        vec![("job".to_owned(), job.to_owned())]
    }

    fn families(pairs: &[(&str, &str)]) -> Blocks {
        pairs
            .iter()
            .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
            .collect()
    }

    #[test]
    fn groups_outlive_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("open");
        let push = |job, pairs: &[_], all| {
            store
                .push(labels(job), families(pairs), all, 1.5)
                .expect("pushed");
        };
        push("a", &[("x", "x 1\n"), ("y", "y 1\n")], true);
        push("a", &[("y", "y 2\n")], false);
        push("b", &[("x", "x 1\n")], true);
        push("b", &[("z", "z 1\n")], true);
        push("c", &[], true);
        assert!(store.delete(&labels("c")).expect("deleted"));
        assert!(!store.delete(&labels("c")).expect("there is none"));
        store.brought(&labels("a"), Some(1.5), true).expect("noted");
        fs::write(folder.path().join("77.group.json"), "torn {").expect("a torn file");
        let again = Store::open(folder.path()).expect("open again");
        let groups = again.groups(true);
        let shown: Vec<_> = groups
            .iter()
            .map(|group| (&group.families, group.delivered))
            .collect();
        let a = families(&[("x", "x 1\n"), ("y", "y 2\n")]);
        let b = families(&[("z", "z 1\n")]);
        assert_eq!(shown, [(&a, true), (&b, false)]);
        assert_eq!(again.lock().bytes, store.lock().bytes);
        again
            .push(labels("d"), Blocks::new(), true, 2.0)
            .expect("a free number");
        assert!(folder.path().join("78.group.json").exists());
    }

    #[test]
    fn a_push_during_a_delivery_is_delivered_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("open");
        store.push(labels("a"), Blocks::new(), true, 1.0).expect("pushed");
        store.push(labels("a"), Blocks::new(), true, 2.0).expect("pushed");
        store.brought(&labels("a"), Some(1.0), true).expect("noted");
        assert_eq!(store.groups(false).len(), 1);
    }

    #[test]
    fn there_is_room_for_so_much() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("open");
        let big = families(&[("x", "x".repeat(MAX_BYTES).as_str())]);
        let refused = store.push(labels("a"), big, true, 1.0);
        assert!(matches!(refused, Err(Refused::Full(_))), "{refused:?}");
        assert!(store.groups(true).is_empty());
    }
}
