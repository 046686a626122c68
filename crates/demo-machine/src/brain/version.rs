//! One version of a table, and the file that holds it.
//!
//! A manifest ends with 16 bytes: where its message begins (i64), the format's major and minor version (u16 each) and
//! `LANC`, all little-endian. Each message in the file follows its own length (u32).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use prost::Message as _;
use roaring::RoaringBitmap;

use super::message::{Fragment, Indices, Manifest, Segment};

const MAGIC: &[u8] = b"LANC";
/// The format's version, 0.2.
const FORMAT: [u16; 2] = [0, 2];
const FOOTER: usize = 16;

/// What a manifest tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version {
    pub(super) manifest: Manifest,
    /// The table's only index, if it has one.
    pub(super) index: Option<Segment>,
}

impl Version {
    /// The name of the file that holds it: the newest sorts first.
    pub(super) fn file(&self) -> String {
        format!("{:020}.manifest", u64::MAX - self.manifest.version)
    }

    /// The content of its file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        let mut bytes = Vec::new();
        manifest.index_section = self.index.as_ref().map(|segment| {
            let segments = vec![segment.clone()];
            append(&mut bytes, &Indices { segments })
        });
        let begin = append(&mut bytes, &manifest);
        bytes.extend(begin.to_le_bytes());
        bytes.extend(FORMAT.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(MAGIC);
        bytes
    }

    /// What a file holds; nothing if it is gone, or no manifest of ours.
    pub(super) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER)?)?;
        let begin = u64::from_le_bytes(*footer.first_chunk()?);
        let mut manifest = Manifest::decode(section(body, begin)?).ok()?;
        let index = match manifest.index_section.take() {
            Some(begin) => Indices::decode(section(body, begin)?).ok()?.segments.pop(),
            None => None,
        };
        footer.ends_with(MAGIC).then_some(Self { manifest, index })
    }

    /// Rows that are there to be read.
    pub(super) fn rows(&self) -> u64 {
        self.manifest.fragments.iter().map(Fragment::rows).sum()
    }

    /// The fragments that the index covers.
    pub(super) fn covered(&self) -> RoaringBitmap {
        self.index
            .as_ref()
            .and_then(|segment| RoaringBitmap::deserialize_from(segment.fragment_bitmap.as_slice()).ok())
            .unwrap_or_default()
    }

    /// Whether the index covers all fragments; it does where there is none.
    pub(super) fn is_indexed(&self) -> bool {
        let covered = self.covered();
        let mut ids = self.manifest.fragments.iter().map(|fragment| fragment.id);
        self.index.is_none() || ids.all(|id| u32::try_from(id).is_ok_and(|id| covered.contains(id)))
    }

    /// What it needs, relative to the table's folder; of an index, the folder.
    pub(super) fn needs(&self) -> HashSet<String> {
        let mut needed = HashSet::from([
            format!("_versions/{}", self.file()),
            format!("_transactions/{}", self.manifest.transaction_file),
        ]);
        for fragment in &self.manifest.fragments {
            needed.extend(fragment.files.iter().map(|file| format!("data/{}", file.path)));
            needed.extend(deletions(fragment));
        }
        let uuid = self.index.as_ref().and_then(|segment| segment.uuid.as_ref());
        if let Some(uuid) = uuid.and_then(|uuid| uuid.bytes.as_slice().try_into().ok()) {
            needed.insert(format!("_indices/{}", hyphenated(uuid)));
        }
        needed
    }
}

/// The file that says which rows of a fragment are deleted.
pub(super) fn deletions(fragment: &Fragment) -> Option<String> {
    let file = fragment.deletion_file.as_ref()?;
    Some(format!(
        "_deletions/{}-{}-{}.arrow",
        fragment.id, file.read_version, file.id
    ))
}

/// A UUID as it is written.
pub(super) fn hyphenated(uuid: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(uuid));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Appends a message and returns where it begins.
fn append(bytes: &mut Vec<u8>, message: &impl prost::Message) -> u64 {
    let begin = bytes.len() as u64;
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_le_bytes());
    bytes.extend(message.encode_to_vec());
    begin
}

/// The message at this place, without its length.
fn section(body: &[u8], begin: u64) -> Option<&[u8]> {
    let (length, rest) = body.get(usize::try_from(begin).ok()?..)?.split_first_chunk()?;
    rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::message::Uuid;
    use super::*;

    fn version() -> Version {
        let mut bitmap = Vec::new();
        RoaringBitmap::from([4])
            .serialize_into(&mut bitmap)
            .expect("into memory");
        Version {
            manifest: Manifest {
                version: 7,
                fragments: vec![Fragment {
                    id: 4,
                    physical_rows: 10,
                    ..Fragment::default()
                }],
                transaction_file: "6-x.txn".to_owned(),
                ..Manifest::default()
            },
            index: Some(Segment {
                uuid: Some(Uuid {
                    bytes: (0..16).collect(),
                }),
                fragment_bitmap: bitmap,
                ..Segment::default()
            }),
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let version = version();
        let read = Version::decode(&version.encode()).expect("a manifest");
        assert_eq!(read, version);
        assert_eq!(read.file(), "18446744073709551608.manifest");
        assert!(read.is_indexed());
        let needs = read.needs();
        assert!(
            needs.contains("_indices/00010203-0405-0607-0809-0a0b0c0d0e0f"),
            "{needs:?}"
        );
        assert!(needs.contains("_transactions/6-x.txn"), "{needs:?}");
    }

    #[test]
    fn a_torn_file_is_none() {
        let bytes = version().encode();
        for length in 0..bytes.len() {
            assert_eq!(Version::decode(&bytes[..length]), None, "{length} bytes");
        }
    }
}
