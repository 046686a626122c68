//! The `_versions` folder of a table: which manifests there are.
//!
//! Version 7 is `7.manifest` in tables of the old naming scheme and `18446744073709551608.manifest` (the largest u64
//! less 7, in 20 digits, so that the newest sorts first) in those of the new one. A name that begins with `d` is a
//! detached version that no reader is to find by itself.

use std::io;
use std::path::{Path, PathBuf};

const DIGITS_OF_NEW_NAMES: usize = 20;

/// What stands in the folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// How many manifests there are.
    pub(crate) count: usize,
    /// Those that were asked for, oldest first.
    pub(crate) entries: Vec<Entry>,
}

/// One manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) path: PathBuf,
}

impl Listing {
    /// Lists the folder and keeps the versions that are wanted, and the newest one in any case.
    pub(crate) fn read(folder: &Path, wanted: impl Fn(u64) -> bool) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut newest: Option<Entry> = None;
        for entry in folder.read_dir()? {
            let name = entry?.file_name();
            let Some(version) = name.to_str().and_then(version) else {
                continue;
            };
            listing.count += 1;
            let entry = || Entry {
                version,
                path: folder.join(&name),
            };
            if newest.as_ref().is_none_or(|newest| newest.version < version) {
                newest = Some(entry());
            }
            if wanted(version) {
                listing.entries.push(entry());
            }
        }
        listing.entries.extend(newest);
        listing.entries.sort_unstable();
        listing.entries.dedup_by_key(|entry| entry.version);
        Ok(listing)
    }
}

/// The version that a manifest of this name holds.
fn version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".manifest")?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(if digits.len() == DIGITS_OF_NEW_NAMES {
        u64::MAX - number
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_version_is_found_by_its_name(number: u64) {
            prop_assert_eq!(version(&format!("{:020}.manifest", u64::MAX - number)), Some(number));
            let old = format!("{number}.manifest");
            // A table of so many versions has no old names.
            if old.len() < "00000000000000000000.manifest".len() {
                prop_assert_eq!(version(&old), Some(number));
            }
        }

        #[test]
        fn any_name_is_looked_at(name: String, digits in "[0-9]{0,25}", suffix in "(\\.manifest)?") {
            version(&name);
            version(&format!("{digits}{suffix}"));
        }
    }

    #[test]
    fn both_naming_schemes() {
        for (name, expected) in [
            ("7.manifest", Some(7)),
            ("18446744073709551608.manifest", Some(7)),
            ("18446744073709551615.manifest", Some(0)),
            ("d18446744073709551608.manifest", None),
            ("latest_version_hint.json", None),
            (".manifest", None),
            ("+7.manifest", None),
            ("99999999999999999999.manifest", None),
            ("7.manifest.tmp", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn the_newest_is_always_among_them() {
        let folder = tempfile::tempdir().expect("a folder");
        for version in [9, 10, 100] {
            std::fs::write(folder.path().join(format!("{version}.manifest")), "").expect("write");
        }
        let versions = |wanted: fn(u64) -> bool| -> Vec<u64> {
            let listing = Listing::read(folder.path(), wanted).expect("a listing");
            assert_eq!(listing.count, 3);
            listing.entries.iter().map(|entry| entry.version).collect()
        };
        assert_eq!(versions(|_| false), [100]);
        assert_eq!(versions(|version| version > 9), [10, 100]);
    }
}
