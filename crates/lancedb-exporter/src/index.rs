//! What the indices of a version cover.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::fragments::Live;
use crate::message::{Segment, sum};

/// Names that begin so are the library's own bookkeeping.
const INTERNAL: &str = "__lance";
/// Says which fragments compaction replaced while indices still name the old ones.
const FRAGMENT_REUSE: &str = "__lance_frag_reuse";

/// An index under its name; it may consist of several segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// `BTree`, `Vector`, `Inverted` and so on, as the manifest calls it; `unknown` from old writers.
    pub(crate) kind: String,
    /// Rows that a search has to scan, since no segment covers their fragment.
    pub(crate) unindexed_rows: Option<u64>,
}

/// The indices that users made, by name.
pub(crate) fn indices(segments: &[Segment], fragments: &[Live]) -> Vec<Index> {
    let reused = segments.iter().any(|segment| segment.name == FRAGMENT_REUSE);
    let mut by_name: BTreeMap<&str, Vec<&Segment>> = BTreeMap::new();
    for segment in segments
        .iter()
        .filter(|segment| !segment.name.starts_with(INTERNAL))
    {
        by_name.entry(&segment.name).or_default().push(segment);
    }
    let index = |(name, segments): (&str, Vec<&Segment>)| Index {
        name: name.to_owned(),
        kind: kind(&segments),
        unindexed_rows: unindexed_rows(&segments, fragments, reused),
    };
    by_name.into_iter().map(index).collect()
}

/// `/lance.table.BTreeIndexDetails` is a `BTree`.
fn kind(segments: &[&Segment]) -> String {
    let url = segments
        .iter()
        .find_map(|segment| segment.details.as_ref())
        .map_or("", |details| details.type_url.as_str());
    let name = url.rsplit(['/', '.']).next().unwrap_or_default();
    let name = name.strip_suffix("IndexDetails").unwrap_or(name);
    if name.is_empty() { "unknown" } else { name }.to_owned()
}

fn unindexed_rows(segments: &[&Segment], fragments: &[Live], reused: bool) -> Option<u64> {
    let mut covered = RoaringBitmap::new();
    for segment in segments {
        // Writers before lance 0.8 named no fragments; an index on none of them is no empty text.
        if segment.fragment_bitmap.is_empty() {
            return None;
        }
        covered |= RoaringBitmap::deserialize_from(segment.fragment_bitmap.as_slice()).ok()?;
    }
    let present: RoaringBitmap = fragments.iter().filter_map(id).collect();
    if reused && !covered.is_subset(&present) {
        // The fragments that replaced those are covered too; which ones is not in the manifest.
        return None;
    }
    let is_covered = |fragment: &Live| id(fragment).is_some_and(|id| covered.contains(id));
    sum(fragments
        .iter()
        .filter(|fragment| !is_covered(fragment))
        .map(|fragment| fragment.rows))
}

fn id(fragment: &Live) -> Option<u32> {
    u32::try_from(fragment.id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Details;

    fn fragment(id: u64, rows: impl Into<Option<u64>>) -> Live {
        Live {
            id,
            rows: rows.into(),
        }
    }

    fn segment(name: &str, covered: &[u32]) -> Segment {
        let mut bitmap = Vec::new();
        covered
            .iter()
            .collect::<RoaringBitmap>()
            .serialize_into(&mut bitmap)
            .expect("into memory");
        Segment {
            name: name.to_owned(),
            fragment_bitmap: bitmap,
            ..Segment::default()
        }
    }

    fn unindexed(segments: &[Segment], fragments: &[Live]) -> Option<u64> {
        let found = indices(segments, fragments);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].unindexed_rows
    }

    #[test]
    fn rows_of_fragments_that_no_segment_covers() {
        let fragments = [fragment(0, 90), fragment(1, 20), fragment(7, 3)];
        assert_eq!(unindexed(&[segment("a", &[0, 1])], &fragments), Some(3));
        assert_eq!(
            unindexed(&[segment("a", &[0]), segment("a", &[7])], &fragments),
            Some(20)
        );
        assert_eq!(unindexed(&[segment("a", &[])], &fragments), Some(113));
        assert_eq!(unindexed(&[segment("a", &[0, 1, 7, 99])], &fragments), Some(0));
    }

    #[test]
    fn what_cannot_be_told_is_unknown() {
        let fragments = [fragment(5, 100)];
        let mut old = segment("a", &[0]);
        old.fragment_bitmap.clear();
        assert_eq!(unindexed(&[old.clone()], &fragments), None);
        old.fragment_bitmap = b"garbled".to_vec();
        assert_eq!(unindexed(&[old], &fragments), None);
        assert_eq!(unindexed(&[segment("a", &[])], &[fragment(5, None)]), None);
        // Fragment 0 became fragment 5, or it is gone.
        let replaced = [segment("a", &[0]), segment(FRAGMENT_REUSE, &[])];
        assert_eq!(unindexed(&replaced, &fragments), None);
        assert_eq!(unindexed(&replaced[..1], &fragments), Some(100));
    }

    #[test]
    fn the_kind_is_the_last_word_of_the_type() {
        let kind = |url: &str| {
            let mut segment = segment("a", &[]);
            segment.details = Some(Details { type_url: url.into() });
            indices(&[segment], &[])[0].kind.clone()
        };
        assert_eq!(kind("/lance.table.BTreeIndexDetails"), "BTree");
        assert_eq!(
            kind("type.googleapis.com/lance.index.pb.InvertedIndexDetails"),
            "Inverted"
        );
        assert_eq!(kind(""), "unknown");
    }
}
