//! One table: versions that follow each other as applications and upkeep would make them.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use roaring::RoaringBitmap;

use super::folder::Folder;
use super::message::{
    Append, DataFile, DeletionFile, Details, Fragment, IndexFile, Manifest, Operation, Segment, Timestamp,
    Transaction, Untold, Uuid,
};
use super::version::{Version, deletions, hyphenated};
use crate::story::{Moment, Phase};

/// Versions that stay on disk. Older ones go away with what only they needed; lancedb-exporter has looked at them by
/// then.
const KEPT: usize = 40;
/// What a data file has beside its rows, in bytes.
const OVERHEAD: u64 = 700;
/// What an index needs for a row, in bytes.
const INDEX_ROW: u64 = 24;

/// What a table is.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    /// Bytes of a row.
    pub(super) row: u64,
    /// Rows that stay when old ones are deleted.
    pub(super) rows: u64,
    /// Rows that come at once while there is inference, and how often.
    pub(super) append: (u64, Duration),
    /// Name and kind of its index.
    pub(super) index: Option<(&'static str, &'static str)>,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    plan: &'static Plan,
    folder: Folder,
    /// Those on disk, oldest first; never empty.
    versions: Vec<Version>,
    /// How long nothing is to be done.
    rest: Duration,
}

impl Table {
    /// The table as it is in the database; a new one has some rows.
    pub(super) fn resume(database: &Path, plan: &'static Plan, now: Duration) -> anyhow::Result<Self> {
        let folder = Folder::new(database.join(format!("{}.lance", plan.name)));
        let versions = folder.versions()?;
        let is_new = versions.is_empty();
        let mut table = Self {
            plan,
            folder,
            versions,
            rest: Duration::ZERO,
        };
        if is_new {
            let mut next = table.next();
            table.add(&mut next, plan.rows / 2)?;
            table.commit(next, Operation::Overwrite(Untold {}), now)?;
            table.index(now)?;
        }
        Ok(table)
    }

    /// Does what is due: appends while there is work, upkeep while the machine recovers, nothing while it idles.
    pub(super) fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        self.rest = self.rest.saturating_sub(moment.elapsed);
        if !self.rest.is_zero() {
            return Ok(());
        }
        let (rows, every) = self.plan.append;
        let now = moment.unix();
        match moment.scene.phase {
            Phase::Idle => Ok(()),
            Phase::Inference => {
                self.rest = every;
                self.append(rows * moment.scene.unrest / 1000, now)
            }
            Phase::Burst => {
                self.rest = every * 2 / 3;
                self.append(rows * 2 * moment.scene.unrest / 1000, now)
            }
            Phase::Recovery => {
                self.rest = Duration::from_secs(15);
                self.tend(now)
            }
        }
    }

    fn append(&mut self, rows: u64, now: Duration) -> anyhow::Result<()> {
        let mut next = self.next();
        let fragment = self.add(&mut next, rows.max(1))?;
        let fragments = vec![fragment];
        self.commit(next, Operation::Append(Append { fragments }), now)
    }

    /// One step of upkeep at a time: old rows are deleted, the index catches up, the fragments become one.
    fn tend(&mut self, now: Duration) -> anyhow::Result<()> {
        let current = self.current();
        let fragments = &current.manifest.fragments;
        let has_deleted = fragments.iter().any(|fragment| fragment.deleted() > 0);
        if current.rows() > self.plan.rows && !has_deleted {
            self.delete(current.rows() - self.plan.rows, now)
        } else if !current.is_indexed() {
            self.index(now)
        } else if fragments.len() > 1 || has_deleted {
            self.compact(now)
        } else {
            Ok(())
        }
    }

    /// Deletes the oldest rows.
    fn delete(&mut self, rows: u64, now: Duration) -> anyhow::Result<()> {
        let mut next = self.next();
        let fragments = &mut next.manifest.fragments;
        let mut left = rows;
        while let Some(oldest) = fragments.first().filter(|oldest| oldest.rows() <= left) {
            left -= oldest.rows();
            fragments.remove(0);
        }
        if let Some(oldest) = fragments.first_mut().filter(|_| left > 0) {
            oldest.deletion_file = Some(DeletionFile {
                read_version: next.manifest.version - 1,
                id: oldest.id,
                num_deleted_rows: left,
            });
            if let Some(file) = deletions(oldest) {
                self.folder.fill(&file, OVERHEAD + left * 4)?;
            }
        }
        self.commit(next, Operation::Delete(Untold {}), now)
    }

    /// Makes the index anew, of all fragments.
    fn index(&mut self, now: Duration) -> anyhow::Result<()> {
        let mut next = self.next();
        self.cover(&mut next)?;
        self.commit(next, Operation::CreateIndex(Untold {}), now)
    }

    /// Makes one fragment of all. The index follows if it knew them all.
    fn compact(&mut self, now: Duration) -> anyhow::Result<()> {
        let mut next = self.next();
        let rows = next.rows();
        let was_indexed = next.is_indexed();
        next.manifest.fragments.clear();
        self.add(&mut next, rows)?;
        if was_indexed {
            self.cover(&mut next)?;
        }
        self.commit(next, Operation::Rewrite(Untold {}), now)
    }

    fn current(&self) -> &Version {
        self.versions
            .last()
            .expect("a table has a version from the start")
    }

    /// What follows the newest version, the same but for its number.
    fn next(&self) -> Version {
        let mut next = self.versions.last().cloned().unwrap_or(Version {
            manifest: Manifest::default(),
            index: None,
        });
        next.manifest.version += 1;
        next
    }

    /// Adds a fragment with new rows.
    fn add(&self, next: &mut Version, rows: u64) -> anyhow::Result<Fragment> {
        let id = next.manifest.max_fragment_id.map_or(0, |id| id.saturating_add(1));
        let file = DataFile {
            path: format!("{}.lance", name(next.manifest.version, id)),
            file_size_bytes: OVERHEAD + rows * self.plan.row,
        };
        self.folder
            .fill(&format!("data/{}", file.path), file.file_size_bytes)?;
        let fragment = Fragment {
            id: u64::from(id),
            files: vec![file],
            deletion_file: None,
            physical_rows: rows,
        };
        next.manifest.max_fragment_id = Some(id);
        next.manifest.fragments.push(fragment.clone());
        Ok(fragment)
    }

    /// Lets a new index cover all fragments.
    fn cover(&self, next: &mut Version) -> anyhow::Result<()> {
        let Some((name, kind)) = self.plan.index else {
            return Ok(());
        };
        let ids = next.manifest.fragments.iter().map(|fragment| fragment.id);
        let covered: RoaringBitmap = ids.filter_map(|id| u32::try_from(id).ok()).collect();
        let mut bitmap = Vec::new();
        covered.serialize_into(&mut bitmap)?;
        let uuid = uuid(next.manifest.version, 1);
        let file = IndexFile {
            path: "index.idx".to_owned(),
            size_bytes: OVERHEAD + next.rows() * INDEX_ROW,
        };
        let path = format!("_indices/{}/{}", hyphenated(uuid), file.path);
        self.folder.fill(&path, file.size_bytes)?;
        next.index = Some(Segment {
            uuid: Some(Uuid { bytes: uuid.to_vec() }),
            name: name.to_owned(),
            dataset_version: next.manifest.version - 1,
            fragment_bitmap: bitmap,
            details: Some(Details {
                type_url: format!("/lance.table.{kind}IndexDetails"),
            }),
            files: vec![file],
        });
        Ok(())
    }

    /// Makes the version the newest one.
    fn commit(&mut self, mut next: Version, operation: Operation, now: Duration) -> anyhow::Result<()> {
        let read_version = next.manifest.version - 1;
        let transaction = Transaction {
            read_version,
            uuid: hyphenated(uuid(next.manifest.version, 0)),
            operation: Some(operation),
        };
        let file = format!("{read_version}-{}.txn", transaction.uuid);
        self.folder.write(
            &format!("_transactions/{file}"),
            &prost::Message::encode_to_vec(&transaction),
        )?;
        next.manifest.transaction_file = file;
        next.manifest.timestamp = Some(Timestamp {
            seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(now.subsec_nanos()).unwrap_or_default(),
        });
        self.folder
            .write(&format!("_versions/{}", next.file()), &next.encode())?;
        self.versions.push(next);
        self.versions.drain(..self.versions.len().saturating_sub(KEPT));
        let needed: HashSet<String> = self.versions.iter().flat_map(Version::needs).collect();
        self.folder.sweep(&needed)
    }
}

/// The name of a data file: in a real table a random one, here one that no other version gives.
fn name(version: u64, fragment: u32) -> String {
    format!("{version:016x}{fragment:016x}")
}

/// A UUID (version 8) that nothing else in the table has.
fn uuid(version: u64, kind: u8) -> [u8; 16] {
    let mut bytes = u128::from(version).to_be_bytes();
    bytes[0] = kind;
    bytes[6] = 0x80;
    bytes[8..].copy_from_slice(&version.to_be_bytes());
    bytes[8] |= 0x80;
    bytes
}

#[cfg(test)]
mod tests;
