//! What is kept of a version: the numbers for the page and the names of its files.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::index::{self, Index};
use crate::manifest::Manifest;
use crate::message::{Fragment, Segment, sum};

/// One version of a table. What its writer left out is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    /// When it was committed, Unix time in seconds.
    pub(crate) committed: Option<f64>,
    pub(crate) rows: Option<u64>,
    pub(crate) deleted_rows: Option<u64>,
    pub(crate) fragments: usize,
    /// Data and index files, as the library's `stats()` counts them.
    pub(crate) bytes: Option<u64>,
    pub(crate) indices: Vec<Index>,
    pub(crate) files: Files,
}

/// The files that a version needs, each as folder and name without extension: `data/0110`, `_deletions/0-2-77`,
/// `_indices/294d9e1e-c592-41ef-aa5d-f97db2c246d0`. Of each only a hash is kept: a version may need a million files, and that
/// one of as many others has the hash of one of them is less likely than one in ten million.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(HashSet<u64>);

impl Snapshot {
    pub(crate) fn new(manifest: Manifest) -> Self {
        let (fragments, segments) = (manifest.fragments, manifest.segments);
        let rows = fragments.rows();
        let mut files = fragments.files;
        for segment in &segments {
            files.push_segment(segment);
        }
        Self {
            version: manifest.version,
            committed: manifest.committed,
            rows,
            deleted_rows: fragments.deleted_rows,
            fragments: fragments.each.len(),
            bytes: sum(segments.iter().map(index_bytes).chain([fragments.bytes])),
            indices: index::indices(&segments, &fragments.each),
            files,
        }
    }
}

fn index_bytes(segment: &Segment) -> Option<u64> {
    if segment.files.is_empty() {
        return None;
    }
    sum(segment.files.iter().map(|file| Some(file.size_bytes)))
}

impl Files {
    pub(crate) fn push_fragment(&mut self, fragment: &Fragment) {
        self.0
            .extend(fragment.files.iter().map(|file| hash("data", &file.path)));
        if let Some(file) = &fragment.deletion_file {
            let name = format!("{}-{}-{}", fragment.id, file.read_version, file.id);
            self.0.insert(hash("_deletions", &name));
        }
    }

    fn push_segment(&mut self, segment: &Segment) {
        if let Some(uuid) = &segment.uuid {
            self.0.insert(hash("_indices", &hyphenated(&uuid.bytes)));
        }
    }

    /// Whether what lies in this folder of the table under this name is needed. Blobs lie in a folder that is called
    /// like their data file.
    pub(crate) fn need(&self, folder: &str, name: &str) -> bool {
        self.0.contains(&hash(folder, name))
    }
}

/// Of the folder and the name without its extension.
fn hash(folder: &str, name: &str) -> u64 {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let mut hasher = DefaultHasher::new();
    (folder, stem).hash(&mut hasher);
    hasher.finish()
}

/// A UUID as it is written.
fn hyphenated(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Operation;
    use crate::message::{DataFile, DeletionFile, Uuid};

    fn fragment() -> Fragment {
        let file = |path: &str, size| DataFile {
            path: path.to_owned(),
            file_size_bytes: size,
        };
        Fragment {
            id: 4,
            files: vec![file("0110.lance", 700), file("1011.lance", 300)],
            deletion_file: Some(DeletionFile {
                read_version: 2,
                id: 77,
                num_deleted_rows: 5,
            }),
            physical_rows: 100,
            overlays: Vec::new(),
        }
    }

    fn snapshot(fragment: Fragment, segments: Vec<Segment>) -> Snapshot {
        Snapshot::new(Manifest {
            version: 3,
            committed: Some(1.5),
            operation: Operation::Other,
            fragments: [fragment].into_iter().collect(),
            segments,
        })
    }

    #[test]
    fn files_of_the_version_are_needed() {
        let segment = Segment {
            uuid: Some(Uuid {
                bytes: (0..16).collect(),
            }),
            ..Segment::default()
        };
        let files = snapshot(fragment(), vec![segment]).files;
        for (folder, name) in [
            ("data", "0110.lance"),
            ("data", "1011"),
            ("_deletions", "4-2-77.arrow"),
            ("_indices", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ] {
            assert!(files.need(folder, name), "{folder}/{name}");
        }
        assert!(!files.need("data", "0111.lance"));
        assert!(!files.need("_deletions", "4-1-77.arrow"));
        assert!(!files.need("_indices", "0110"));
    }

    #[test]
    fn what_the_writer_left_out_is_unknown() {
        let all = snapshot(fragment(), Vec::new());
        assert_eq!(
            (all.rows, all.deleted_rows, all.bytes),
            (Some(95), Some(5), Some(1000))
        );

        let mut old = fragment();
        old.physical_rows = 0;
        old.files[0].file_size_bytes = 0;
        let old = snapshot(old, Vec::new());
        assert_eq!((old.rows, old.deleted_rows, old.bytes), (None, Some(5), None));

        let mut garbled = fragment();
        garbled.physical_rows = 4;
        garbled.files[0].file_size_bytes = u64::MAX;
        let garbled = snapshot(garbled, Vec::new());
        assert_eq!((garbled.rows, garbled.bytes), (None, None));
    }
}
