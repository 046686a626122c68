//! What is kept of a version's fragments: a manifest lists up to a million of them.

use crate::message::{Fragment, sum};
use crate::snapshot::Files;

/// The fragments of a version. What its writer left out is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Fragments {
    pub(crate) each: Vec<Live>,
    /// Rows that are marked as deleted.
    pub(crate) deleted_rows: Option<u64>,
    /// Lengths of the data files.
    pub(crate) bytes: Option<u64>,
    pub(crate) files: Files,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) id: u64,
    /// Rows that can be read.
    pub(crate) rows: Option<u64>,
}

impl Default for Fragments {
    fn default() -> Self {
        Self {
            each: Vec::new(),
            deleted_rows: Some(0),
            bytes: Some(0),
            files: Files::default(),
        }
    }
}

impl Fragments {
    pub(crate) fn push(&mut self, fragment: &Fragment) {
        self.each.push(Live {
            id: fragment.id,
            rows: fragment.live_rows(),
        });
        self.deleted_rows = sum([self.deleted_rows, fragment.deleted_rows()]);
        self.bytes = sum([self.bytes, data_bytes(fragment)]);
        self.files.push_fragment(fragment);
    }

    /// Rows that can be read.
    pub(crate) fn rows(&self) -> Option<u64> {
        sum(self.each.iter().map(|fragment| fragment.rows))
    }
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

#[cfg(test)]
impl FromIterator<Fragment> for Fragments {
    fn from_iter<I: IntoIterator<Item = Fragment>>(fragments: I) -> Self {
        let mut all = Self::default();
        fragments.into_iter().for_each(|fragment| all.push(&fragment));
        all
    }
}
