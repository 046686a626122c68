//! What is kept of a version: the numbers for the page and the names of its files.

use std::collections::HashSet;
use std::fmt::Write as _;

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
/// `_indices/294d9e1e-c592-41ef-aa5d-f97db2c246d0`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(HashSet<String>);

impl Snapshot {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let (fragments, segments) = (&manifest.fragments, &manifest.segments);
        Self {
            version: manifest.version,
            committed: manifest.committed,
            rows: rows(manifest),
            deleted_rows: sum(fragments.iter().map(Fragment::deleted_rows)),
            fragments: fragments.len(),
            bytes: sum(fragments
                .iter()
                .map(data_bytes)
                .chain(segments.iter().map(index_bytes))),
            indices: index::indices(segments, fragments),
            files: Files::new(fragments, segments),
        }
    }
}

/// Rows that can be read.
pub(crate) fn rows(manifest: &Manifest) -> Option<u64> {
    sum(manifest.fragments.iter().map(Fragment::live_rows))
}

fn data_bytes(fragment: &Fragment) -> Option<u64> {
    if !fragment.overlays.is_empty() {
        // How large they are is not among the fields that are read.
        return None;
    }
    sum(fragment
        .files
        .iter()
        .map(|file| (file.file_size_bytes > 0).then_some(file.file_size_bytes)))
}

fn index_bytes(segment: &Segment) -> Option<u64> {
    if segment.files.is_empty() {
        return None;
    }
    sum(segment.files.iter().map(|file| Some(file.size_bytes)))
}

impl Files {
    fn new(fragments: &[Fragment], segments: &[Segment]) -> Self {
        let data = fragments
            .iter()
            .flat_map(|fragment| &fragment.files)
            .map(|file| format!("data/{}", stem(&file.path)));
        let deletions = fragments.iter().filter_map(|fragment| {
            let file = fragment.deletion_file.as_ref()?;
            Some(format!(
                "_deletions/{}-{}-{}",
                fragment.id, file.read_version, file.id
            ))
        });
        let indices = segments
            .iter()
            .filter_map(|segment| Some(format!("_indices/{}", hyphenated(&segment.uuid.as_ref()?.bytes))));
        Self(data.chain(deletions).chain(indices).collect())
    }

    /// Whether what lies in this folder of the table under this name is needed. Blobs lie in a folder that is called
    /// like their data file.
    pub(crate) fn need(&self, folder: &str, name: &str) -> bool {
        self.0.contains(&format!("{folder}/{}", stem(name)))
    }
}

fn stem(name: &str) -> &str {
    name.split_once('.').map_or(name, |(stem, _)| stem)
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

    fn manifest() -> Manifest {
        let file = |path: &str, size| DataFile {
            path: path.to_owned(),
            file_size_bytes: size,
        };
        Manifest {
            version: 3,
            committed: Some(1.5),
            operation: Operation::Other,
            fragments: vec![Fragment {
                id: 4,
                files: vec![file("0110.lance", 700), file("1011.lance", 300)],
                deletion_file: Some(DeletionFile {
                    read_version: 2,
                    id: 77,
                    num_deleted_rows: 5,
                }),
                physical_rows: 100,
                overlays: Vec::new(),
            }],
            segments: Vec::new(),
        }
    }

    #[test]
    fn files_of_the_version_are_needed() {
        let mut manifest = manifest();
        manifest.segments.push(Segment {
            uuid: Some(Uuid {
                bytes: (0..16).collect(),
            }),
            ..Segment::default()
        });
        let files = Snapshot::new(&manifest).files;
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
        let all = Snapshot::new(&manifest());
        assert_eq!(
            (all.rows, all.deleted_rows, all.bytes),
            (Some(95), Some(5), Some(1000))
        );

        let mut old = manifest();
        old.fragments[0].physical_rows = 0;
        old.fragments[0].files[0].file_size_bytes = 0;
        let old = Snapshot::new(&old);
        assert_eq!((old.rows, old.deleted_rows, old.bytes), (None, Some(5), None));

        let mut garbled = manifest();
        garbled.fragments[0].physical_rows = 4;
        garbled.fragments[0].files[0].file_size_bytes = u64::MAX;
        let garbled = Snapshot::new(&garbled);
        assert_eq!((garbled.rows, garbled.bytes), (None, None));
    }
}
