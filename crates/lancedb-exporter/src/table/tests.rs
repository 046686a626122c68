use std::fs;

use prost::Message as _;
use tempfile::TempDir;

use super::*;
use crate::message;

/// A table that the library wrote, of which only some versions are there yet.
struct Growing {
    source: PathBuf,
    folder: TempDir,
    table: Table,
}

impl Growing {
    /// `versions` are there before the table is watched.
    fn new(name: &str, versions: impl IntoIterator<Item = u64>) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/brain")
            .join(format!("{name}.lance"));
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("_versions")).expect("create");
        let table = Table::new(folder.path().into(), None, Instant::now());
        let growing = Self {
            source,
            folder,
            table,
        };
        versions.into_iter().for_each(|version| growing.commit(version));
        growing
    }

    fn path(folder: &Path, version: u64) -> PathBuf {
        folder.join(format!("_versions/{:020}.manifest", u64::MAX - version))
    }

    /// As the library does: all at once.
    fn commit(&self, version: u64) {
        let new = self.folder.path().join("new");
        fs::copy(Self::path(&self.source, version), &new).expect("copy");
        fs::rename(new, Self::path(self.folder.path(), version)).expect("rename");
    }

    /// A version that appends so many rows, committed at this time (Unix, in seconds).
    fn append(&self, version: u64, rows: u64, committed: i64) {
        let fragment = message::Fragment {
            physical_rows: rows,
            ..message::Fragment::default()
        };
        let append = message::Append {
            fragments: vec![fragment.clone()],
        };
        let transaction = message::Transaction {
            append: Some(append.encode_to_vec()),
            ..message::Transaction::default()
        };
        let manifest = message::Manifest {
            version,
            fragments: vec![fragment],
            timestamp: Some(message::Timestamp {
                seconds: committed,
                nanos: 0,
            }),
            transaction_section: Some(0),
            ..message::Manifest::default()
        };
        let section = |message: &[u8]| {
            let length = u32::try_from(message.len()).expect("short");
            [&length.to_le_bytes(), message].concat()
        };
        let mut file = section(&transaction.encode_to_vec());
        let offset = file.len() as u64;
        file.extend(section(&manifest.encode_to_vec()));
        file.extend(offset.to_le_bytes());
        file.extend(b"\0\0\x02\0LANC");
        fs::write(Self::path(self.folder.path(), version), file).expect("write");
    }

    fn remove(&self, version: u64) {
        fs::remove_file(Self::path(self.folder.path(), version)).expect("remove");
    }

    fn look(&mut self) -> &Table {
        self.table.look(Instant::now());
        &self.table
    }

    /// Version, live rows and rows that came in.
    fn numbers(&mut self) -> (u64, Option<u64>, u64) {
        let table = self.look();
        let current = table.current.as_ref().expect("a version");
        (current.version, current.rows, table.ingestion.total)
    }
}

#[test]
fn rows_come_in_by_append_and_merge_only() {
    let mut table = Growing::new("events", [1]);
    assert_eq!(table.numbers(), (1, Some(100), 0));
    for (version, rows, ingested) in [
        (2, 120, 20), // append
        (3, 110, 20), // delete
        (4, 110, 20), // index
        (5, 115, 25), // append
        (6, 120, 30), // merge: three rows changed, five inserted
        (7, 120, 30), // update
    ] {
        table.commit(version);
        assert_eq!(table.numbers(), (version, Some(rows), ingested));
    }
}

#[test]
fn versions_between_two_looks_are_counted_once() {
    let mut table = Growing::new("compacted", [1, 2]);
    assert_eq!(table.numbers(), (2, Some(120), 0));
    (3..=10).for_each(|version| table.commit(version));
    assert_eq!(table.numbers(), (10, Some(120), 10));
    assert_eq!(table.numbers(), (10, Some(120), 10));
    let compaction = manifest::read(&table.source, &Growing::path(&table.source, 9)).expect("a manifest");
    assert_eq!(table.table.last_compaction, compaction.committed);
    assert!(table.table.last_compaction.is_some());
}

#[test]
fn an_overwrite_and_a_restore_bring_nothing() {
    let mut table = Growing::new("overwritten", [1]);
    assert_eq!(table.numbers(), (1, Some(10), 0));
    table.commit(2);
    assert_eq!(table.numbers(), (2, Some(3), 0));
    table.commit(3);
    assert_eq!(table.numbers(), (3, Some(10), 0));
}

#[test]
fn pruned_versions_are_passed_over() {
    let mut table = Growing::new("events", [1]);
    table.look();
    // 2, an append, was pruned before this look; 6, a merge, has lost its predecessor.
    table.commit(4);
    table.commit(6);
    table.remove(1);
    assert_eq!(table.numbers(), (6, Some(120), 0));
    assert_eq!(table.table.versions, 2);
}

#[test]
fn a_torn_manifest_is_counted_once_and_read_when_it_is_whole() {
    let mut table = Growing::new("events", [1]);
    table.look();
    let whole = fs::read(Growing::path(&table.source, 2)).expect("a manifest");
    let path = Growing::path(table.folder.path(), 2);
    fs::write(&path, &whole[..100]).expect("write");
    for _ in 0..3 {
        let seen = table.look();
        assert!(
            matches!(seen.current, Err(Trouble::Unreadable(_))),
            "{:?}",
            seen.current
        );
        assert_eq!(seen.unreadable.torn, 1);
    }
    fs::write(&path, &whole).expect("write");
    assert_eq!(table.numbers(), (2, Some(120), 20));
    assert_eq!(table.table.unreadable.torn, 1);
}

#[test]
fn a_failure_to_read_is_tried_again() {
    let mut table = Growing::new("events", [1]);
    table.look();
    let path = Growing::path(table.folder.path(), 2);
    fs::create_dir(&path).expect("create");
    let error = table
        .look()
        .current
        .as_ref()
        .expect_err("a folder is no file")
        .clone();
    assert!(matches!(error, Trouble::Unreadable(_)), "{error:?}");
    assert_eq!(
        (table.table.known, table.table.unreadable),
        (Some(1), Unreadable::default())
    );
    fs::remove_dir(&path).expect("remove");
    table.commit(2);
    assert_eq!(table.numbers(), (2, Some(120), 20));
}

#[test]
fn a_table_that_is_dropped_and_made_anew_starts_over() {
    let mut table = Growing::new("events", 1..=5);
    assert_eq!(table.numbers(), (5, Some(115), 0));
    (1..=5).for_each(|version| table.remove(version));
    assert_eq!(table.look().current.as_ref().err(), Some(&Trouble::Empty));
    let now = i64::try_from(UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("small");
    table.append(1, 3, now);
    assert_eq!(table.numbers(), (1, Some(3), 3));
    table.append(2, 4, now + 1);
    assert_eq!(table.numbers(), (2, Some(4), 7));
    fs::remove_dir_all(table.folder.path().join("_versions")).expect("remove");
    assert_eq!(table.look().current.as_ref().err(), Some(&Trouble::Empty));
}

#[test]
fn a_version_counts_once_however_often_its_file_comes_back() {
    let mut table = Growing::new("events", [1]);
    assert_eq!(table.numbers(), (1, Some(100), 0));
    table.append(2, 20, 2_000_000_000);
    table.append(3, 30, 2_000_000_001);
    assert_eq!(table.numbers(), (3, Some(30), 50));

    // A copy in its place.
    let path = |version| Growing::path(table.folder.path(), version);
    let (second, third) = (path(2), path(3));
    let aside = table.folder.path().join("aside");
    fs::copy(&third, &aside).expect("copy");
    fs::rename(&aside, &third).expect("rename");
    assert_eq!(table.numbers(), (3, Some(30), 50));

    // Away and back, one and all.
    fs::rename(&third, &aside).expect("rename");
    assert_eq!(table.numbers(), (2, Some(20), 50));
    fs::rename(&aside, &third).expect("rename");
    assert_eq!(table.numbers(), (3, Some(30), 50));
    let versions = table.folder.path().join("_versions");
    fs::rename(&versions, &aside).expect("rename");
    assert_eq!(table.look().current.as_ref().err(), Some(&Trouble::Empty));
    fs::rename(&aside, &versions).expect("rename");
    assert_eq!(table.numbers(), (3, Some(30), 50));

    // Back to an older version, as from a backup: only what is committed on top of it is new.
    fs::remove_file(&third).expect("remove");
    fs::remove_file(&second).expect("remove");
    assert_eq!(table.numbers(), (1, Some(100), 50));
    table.append(2, 5, 2_000_000_002);
    table.append(3, 6, 2_000_000_003);
    assert_eq!(table.numbers(), (3, Some(6), 61));
}

#[test]
fn a_table_that_is_read_from_its_first_version_on_is_not_searched_for_a_compaction() {
    let there_before = Growing::new("events", [1]);
    assert!(!there_before.table.history_searched);
    let mut appeared = Growing::new("compacted", 1..=10);
    appeared.table = Table::new(appeared.folder.path().into(), Some(UNIX_EPOCH), Instant::now());
    assert!(appeared.look().last_compaction.is_some());
    assert!(appeared.table.history_searched);
    appeared.table.history_searched = false;
    appeared.table.restart(UNIX_EPOCH);
    assert!(appeared.table.history_searched);
}

#[test]
fn a_table_that_appears_later_counts_what_was_committed_since() {
    let mut table = Growing::new("events", 1..=5);
    let committed = |version| {
        let path = Growing::path(&table.source, version);
        let seconds = manifest::read(&table.source, &path)
            .expect("a manifest")
            .committed;
        UNIX_EPOCH + Duration::from_secs_f64(seconds.expect("a time"))
    };
    let (second, third) = (committed(2), committed(3));
    for (since, expected) in [
        (UNIX_EPOCH, 25),
        (second - Duration::from_micros(1), 25),
        (third, 5),
    ] {
        table.table = Table::new(table.folder.path().into(), Some(since), Instant::now());
        assert_eq!(table.numbers(), (5, Some(115), expected), "{since:?}");
    }
}

#[test]
fn no_manifest_is_read_twice() {
    let mut table = Growing::new("events", 1..=3);
    table.look();
    // The same file by all that tells files apart, with nothing left in it: reading it again would fail.
    let path = Growing::path(table.folder.path(), 3);
    let modified = fs::metadata(&path)
        .and_then(|metadata| metadata.modified())
        .expect("a time");
    let length = fs::metadata(&path).expect("metadata").len();
    let file = fs::File::options().write(true).open(&path).expect("open");
    file.set_len(0).expect("empty it");
    file.set_len(length).expect("fill it with zeros");
    file.set_modified(modified).expect("set the time back");
    assert_eq!(table.numbers(), (3, Some(110), 0));
    table.commit(4);
    assert_eq!(table.numbers(), (4, Some(110), 0));
}

#[test]
fn only_a_change_of_long_ago_is_settled() {
    let now = SystemTime::now();
    let changed = |changed| Folder {
        inode: 1,
        created: None,
        changed,
    };
    assert!(changed(UNIX_EPOCH).is_settled(now));
    assert!(changed(now - SETTLED).is_settled(now));
    assert!(!changed(now - SETTLED / 2).is_settled(now));
    assert!(!changed(now + Duration::from_mins(1)).is_settled(now));
}

#[test]
fn a_table_that_is_replaced_between_two_looks_starts_over() {
    for (last_look, ingested) in [(SystemTime::now(), 0), (UNIX_EPOCH, 25)] {
        let mut table = Growing::new("events", 1..=3);
        assert_eq!(table.numbers(), (3, Some(110), 0));
        let (_, folder) = table.table.looked.expect("a look");
        table.table.looked = Some((last_look, folder));
        let versions = table.folder.path().join("_versions");
        fs::remove_dir_all(&versions).expect("remove");
        fs::create_dir(&versions).expect("create");
        (1..=5).for_each(|version| table.commit(version));
        // What was committed before the last look did not come in since.
        assert_eq!(table.numbers(), (5, Some(115), ingested));
    }
}
