//! The parts of Lance's protobuf messages that tables are made of here, with their field numbers, after `table.proto` and
//! `transaction.proto` of the format's specification. Schemas are left out: nobody reads the rows.

use prost::Message;

/// `lance.table.Manifest`: one version of a table.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Manifest {
    #[prost(message, repeated, tag = "2")]
    pub(super) fragments: Vec<Fragment>,
    #[prost(uint64, tag = "3")]
    pub(super) version: u64,
    /// Where in the file the [`Indices`] stand.
    #[prost(uint64, optional, tag = "6")]
    pub(super) index_section: Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub(super) timestamp: Option<Timestamp>,
    /// Ids are never used again.
    #[prost(uint32, optional, tag = "11")]
    pub(super) max_fragment_id: Option<u32>,
    /// The file below `_transactions` with the [`Transaction`].
    #[prost(string, tag = "12")]
    pub(super) transaction_file: String,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// `lance.table.DataFragment`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Fragment {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) files: Vec<DataFile>,
    #[prost(message, optional, tag = "3")]
    pub(super) deletion_file: Option<DeletionFile>,
    /// With the deleted ones.
    #[prost(uint64, tag = "4")]
    pub(super) physical_rows: u64,
}

/// `lance.table.DataFile`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DataFile {
    /// Relative to `data`.
    #[prost(string, tag = "1")]
    pub(super) path: String,
    #[prost(uint64, tag = "6")]
    pub(super) file_size_bytes: u64,
}

/// `lance.table.DeletionFile`: `_deletions/<fragment>-<read_version>-<id>.arrow`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeletionFile {
    #[prost(uint64, tag = "2")]
    pub(super) read_version: u64,
    #[prost(uint64, tag = "3")]
    pub(super) id: u64,
    #[prost(uint64, tag = "4")]
    pub(super) num_deleted_rows: u64,
}

/// `lance.table.IndexSection`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Indices {
    #[prost(message, repeated, tag = "1")]
    pub(super) segments: Vec<Segment>,
}

/// `lance.table.IndexMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Segment {
    #[prost(message, optional, tag = "1")]
    pub(super) uuid: Option<Uuid>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    /// The version of the table that it was made of.
    #[prost(uint64, tag = "4")]
    pub(super) dataset_version: u64,
    /// The ids of the fragments that it covers, a Roaring bitmap.
    #[prost(bytes = "vec", tag = "5")]
    pub(super) fragment_bitmap: Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub(super) details: Option<Details>,
    #[prost(message, repeated, tag = "10")]
    pub(super) files: Vec<IndexFile>,
}

/// `lance.table.UUID`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Uuid {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) bytes: Vec<u8>,
}

/// `google.protobuf.Any`, whose URL tells the kind of the index.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Details {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
}

/// `lance.table.IndexFile`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct IndexFile {
    #[prost(string, tag = "1")]
    pub(super) path: String,
    #[prost(uint64, tag = "2")]
    pub(super) size_bytes: u64,
}

/// `lance.table.Transaction`: what made a version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Transaction {
    #[prost(uint64, tag = "1")]
    pub(super) read_version: u64,
    #[prost(string, tag = "2")]
    pub(super) uuid: String,
    #[prost(oneof = "Operation", tags = "100, 101, 102, 103, 104")]
    pub(super) operation: Option<Operation>,
}

/// Its operations, of which only the appended fragments are told.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Operation {
    #[prost(message, tag = "100")]
    Append(Append),
    #[prost(message, tag = "101")]
    Delete(Untold),
    #[prost(message, tag = "102")]
    Overwrite(Untold),
    #[prost(message, tag = "103")]
    CreateIndex(Untold),
    /// Compaction.
    #[prost(message, tag = "104")]
    Rewrite(Untold),
}

/// `lance.table.Transaction.Append`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Append {
    #[prost(message, repeated, tag = "1")]
    pub(super) fragments: Vec<Fragment>,
}

/// A message of which nothing is told.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Untold {}

impl Fragment {
    /// Rows that are marked as deleted.
    pub(super) fn deleted(&self) -> u64 {
        self.deletion_file
            .as_ref()
            .map_or(0, |file| file.num_deleted_rows)
    }

    /// Rows that are there to be read.
    pub(super) fn rows(&self) -> u64 {
        self.physical_rows.saturating_sub(self.deleted())
    }
}
