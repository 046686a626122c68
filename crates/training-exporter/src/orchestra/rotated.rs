//! What rotation makes of a file's name: `calls.jsonl` becomes `calls.jsonl.1`, `calls.jsonl-20251122`,
//! `calls.jsonl.2025-11-22`, `calls-2025-11-22.jsonl` or `calls.1.jsonl`.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// More files are not looked at.
const MAX_SIBLINGS: usize = 1000;

/// A folder in which nothing is renamed says the same twice.
const MAX_ATTEMPTS: usize = 5;

/// The files beside `path` that are named as if it had been rotated, the latest first.
pub(super) fn siblings(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let numbers = |siblings: &[(PathBuf, Metadata)]| -> BTreeSet<u64> {
        siblings.iter().map(|(_, metadata)| metadata.ino()).collect()
    };
    let mut siblings = list(path);
    for _ in 1..MAX_ATTEMPTS {
        // A file that is renamed meanwhile may not be listed at all.
        let earlier = std::mem::replace(&mut siblings, list(path));
        if numbers(&earlier) == numbers(&siblings) {
            break;
        }
    }
    siblings.sort_by_cached_key(|(_, metadata)| std::cmp::Reverse(metadata.modified().ok()));
    siblings
}

fn list(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|other| is_rotated(name, other))
        })
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .filter(|(_, metadata)| metadata.is_file())
        .take(MAX_SIBLINGS)
        .collect()
}

/// Whether `other` is `name` with a number or a date in it.
fn is_rotated(name: &str, other: &str) -> bool {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let behind = other.strip_prefix(name);
    let within = other
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    behind.is_some_and(is_mark) || within.is_some_and(is_mark)
}

/// `.1`, `-20251122`, `.2025-11-22T10:00:00`, `_2025-11-22_10-00`.
fn is_mark(mark: &str) -> bool {
    let mut characters = mark.chars();
    characters.next().is_some_and(|first| ".-_".contains(first))
        && mark.contains(|c: char| c.is_ascii_digit())
        && characters.all(|c| c.is_ascii_digit() || ".-_:TZ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_others() {
        for rotated in [
            "calls.jsonl.1",
            "calls.jsonl-20251122",
            "calls.jsonl.2025-11-22",
            "calls.jsonl_2025-11-22T10:00:00Z",
            "calls-2025-11-22.jsonl",
            "calls.1.jsonl",
        ] {
            assert!(is_rotated("calls.jsonl", rotated), "{rotated}");
        }
        for other in [
            "calls.jsonl",
            "calls.jsonl.1.gz",
            "calls.jsonl.bak",
            "calls.jsonl.",
            "calls.jsonl1",
            "calls2.jsonl",
            "calls-new.jsonl",
            "other.jsonl.1",
            "calls.json",
        ] {
            assert!(!is_rotated("calls.jsonl", other), "{other}");
        }
        assert!(is_rotated("calls", "calls.1"));
    }
}
