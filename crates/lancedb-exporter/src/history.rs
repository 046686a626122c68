//! Looks back for the last compaction that was before this program.

use std::path::Path;

use crate::listing::{Entry, Listing};
use crate::manifest::{self, Operation};

/// Older versions than this many are not read,
const DEPTH: usize = 256;
/// nor more bytes of manifests than this: each is a list of all fragments.
const MOST_BYTES: u64 = 8 << 20;

/// When the newest compaction among the versions before `version` was committed, Unix time in seconds.
pub(crate) fn last_compaction(table: &Path, version: u64) -> Option<f64> {
    let listing = Listing::read(&table.join("_versions"), |other| other < version).ok()?;
    let older = listing
        .entries
        .iter()
        .rev()
        .filter(|entry| entry.version < version);
    let mut bytes = MOST_BYTES;
    let mut affordable = |entry: &&Entry| {
        let size = entry.path.metadata().map_or(0, |metadata| metadata.len());
        bytes.checked_sub(size).inspect(|left| bytes = *left).is_some()
    };
    older
        .take(DEPTH)
        .take_while(|entry| affordable(entry))
        .filter_map(|entry| manifest::read(table, &entry.path).ok())
        .find(|manifest| manifest.operation == Operation::Rewrite)?
        .committed
}
