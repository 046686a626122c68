use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::*;
use crate::story::{ROUND, Scene};

const PLAN: Plan = Plan {
    name: "notes",
    row: 100,
    rows: 3_000,
    append: (10, Duration::from_secs(2)),
    index: Some(("vector_idx", "Vector")),
};

fn moment(second: u64) -> Moment {
    Moment {
        scene: Scene::at(Duration::from_secs(second)),
        elapsed: Duration::from_secs(1),
        now: UNIX_EPOCH + Duration::from_secs(1_000_000 + second),
    }
}

/// All files of the table with their lengths, by their path in it.
fn files(table: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    let mut ahead: Vec<PathBuf> = vec![table.into()];
    while let Some(path) = ahead.pop() {
        for entry in fs::read_dir(&path).expect("a folder") {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("metadata");
            if metadata.is_dir() {
                ahead.push(entry.path());
            } else {
                let name = entry
                    .path()
                    .strip_prefix(table)
                    .expect("within")
                    .display()
                    .to_string();
                files.push((name, metadata.len()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn rounds_pass_and_everything_stays_bounded_and_adds_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.lance");
    let mut table = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect("a table");
    let (mut most, mut longest_lag, mut most_deleted) = (0, 0, 0);
    for second in 0..3 * ROUND {
        table.advance(&moment(second)).expect("advance");
        let current = table.current();
        assert!(current.rows() < PLAN.rows * 2, "{}", current.rows());
        let covered = current.covered();
        let uncovered = current
            .manifest
            .fragments
            .iter()
            .filter(|fragment| !covered.contains(u32::try_from(fragment.id).expect("small")));
        longest_lag = longest_lag.max(uncovered.map(Fragment::rows).sum());
        most_deleted = most_deleted.max(current.manifest.fragments.iter().map(Fragment::deleted).sum());
        let bytes: u64 = files(&path).iter().map(|(_, length)| length).sum();
        most = most.max(bytes);
        assert!(table.versions.len() <= KEPT);
    }
    assert!(
        longest_lag > 500 && most_deleted > 100,
        "{longest_lag} {most_deleted}"
    );
    assert!(most < 2 << 20, "{most} bytes");

    // What is on disk is what the versions need, and as large as they say.
    let files = files(&path);
    let needed: HashSet<String> = table.versions.iter().flat_map(Version::needs).collect();
    let is_needed = |name: &str| {
        let index_folder = name.rsplit_once('/').map_or(name, |(folder, _)| folder);
        needed.contains(name) || needed.contains(index_folder)
    };
    assert!(files.iter().all(|(name, _)| is_needed(name)), "{files:?}");
    for fragment in &table.current().manifest.fragments {
        let file = &fragment.files[0];
        let on_disk = files
            .iter()
            .find(|(name, _)| *name == format!("data/{}", file.path));
        assert_eq!(on_disk.map(|(_, length)| *length), Some(file.file_size_bytes));
    }
}

#[test]
fn a_table_goes_on_from_what_is_on_disk_and_removes_what_was_never_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect("a table");
    for second in 60..70 {
        table.advance(&moment(second)).expect("advance");
    }
    let orphan = folder.path().join("notes.lance/data/orphan.lance");
    fs::write(&orphan, "half").expect("write");
    let mut resumed = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect("the table");
    assert_eq!(resumed.versions.len(), table.versions.len());
    let (before, after) = (table.current(), resumed.current());
    assert_eq!(after.manifest.version, before.manifest.version);
    assert_eq!(after.rows(), before.rows());
    assert!(orphan.exists(), "who only looks removes nothing");

    resumed.advance(&moment(70)).expect("advance");
    assert_eq!(
        resumed.current().manifest.version,
        before.manifest.version + 1,
        "an append"
    );
    assert!(resumed.current().rows() > before.rows());
    assert!(!orphan.exists());
}

#[test]
fn a_version_that_cannot_be_read_is_not_taken_for_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect("a table");
    let versions = folder.path().join("notes.lance/_versions");
    let newest = versions.join(table.current().file());
    fs::rename(&newest, versions.join("aside")).expect("rename");
    // Not even root reads a folder as a file.
    fs::create_dir(&newest).expect("a folder");
    let error = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect_err("an unreadable version");
    assert!(error.to_string().ends_with(&table.current().file()), "{error}");
    fs::remove_dir(&newest).expect("remove");
    fs::rename(versions.join("aside"), &newest).expect("rename");
    let resumed = Table::resume(folder.path(), &PLAN, Duration::ZERO).expect("the table");
    assert_eq!(resumed.versions, table.versions);
}

#[test]
fn names_are_never_used_again() {
    let mut seen = HashSet::new();
    for version in [1, 2, 255, 256, 1 << 40] {
        for kind in [0, 1] {
            assert!(seen.insert(hyphenated(uuid(version, kind))));
        }
    }
    assert_eq!(seen.iter().map(String::len).max(), Some(36));
}
