//! The parts of Lance's protobuf messages that are exported, with their field numbers. Everything else in them is
//! skipped. After `table.proto` and `transaction.proto` of the format's specification.

use prost::Message;

/// `lance.table.Manifest`: one version of a table.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Manifest {
    #[prost(message, repeated, tag = "2")]
    pub(crate) fragments: Vec<Fragment>,
    #[prost(uint64, tag = "3")]
    pub(crate) version: u64,
    /// Where in the file the [`Indices`] stand.
    #[prost(uint64, optional, tag = "6")]
    pub(crate) index_section: Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub(crate) timestamp: Option<Timestamp>,
    #[prost(uint64, tag = "9")]
    pub(crate) reader_feature_flags: u64,
    /// The file below `_transactions` with the [`Transaction`]; empty when there is none.
    #[prost(string, tag = "12")]
    pub(crate) transaction_file: String,
    /// Where in the file the [`Transaction`] stands.
    #[prost(uint64, optional, tag = "21")]
    pub(crate) transaction_section: Option<u64>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// `lance.table.DataFragment`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Fragment {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) files: Vec<DataFile>,
    #[prost(message, optional, tag = "3")]
    pub(crate) deletion_file: Option<DeletionFile>,
    /// With the deleted ones; 0 when the writer was too old to say.
    #[prost(uint64, tag = "4")]
    pub(crate) physical_rows: u64,
    /// Files with new values for single cells; only their presence matters here.
    #[prost(message, repeated, tag = "11")]
    pub(crate) overlays: Vec<Present>,
}

/// `lance.table.DataFile`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DataFile {
    /// Relative to `data`.
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    /// 0 when the writer was too old to say.
    #[prost(uint64, tag = "6")]
    pub(crate) file_size_bytes: u64,
}

/// `lance.table.DeletionFile`: `_deletions/<fragment>-<read_version>-<id>.arrow` or `.bin`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeletionFile {
    #[prost(uint64, tag = "2")]
    pub(crate) read_version: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) id: u64,
    /// 0 when the writer was too old to say.
    #[prost(uint64, tag = "4")]
    pub(crate) num_deleted_rows: u64,
}

/// `lance.table.IndexSection`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Indices {
    #[prost(message, repeated, tag = "1")]
    pub(crate) segments: Vec<Segment>,
}

/// `lance.table.IndexMetadata`: an index, or a part of one that has several of the same name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Segment {
    #[prost(message, optional, tag = "1")]
    pub(crate) uuid: Option<Uuid>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    /// The ids of the fragments that it covers, a Roaring bitmap.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) fragment_bitmap: Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub(crate) details: Option<Details>,
    /// Empty when the writer was too old to say.
    #[prost(message, repeated, tag = "10")]
    pub(crate) files: Vec<IndexFile>,
}

/// `lance.table.UUID`, 16 bytes.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Uuid {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
}

/// `google.protobuf.Any`, whose URL tells the kind of the index.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Details {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
}

/// `lance.table.IndexFile`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct IndexFile {
    #[prost(uint64, tag = "2")]
    pub(crate) size_bytes: u64,
}

/// `lance.table.Transaction`: what made a version. The operations that are told apart here.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Transaction {
    /// An [`Append`], not yet decoded: it may be long.
    #[prost(bytes = "vec", optional, tag = "100")]
    pub(crate) append: Option<Vec<u8>>,
    /// Compaction.
    #[prost(message, optional, tag = "104")]
    pub(crate) rewrite: Option<Present>,
    /// Changed rows, and those that a merge inserts.
    #[prost(message, optional, tag = "108")]
    pub(crate) update: Option<Present>,
}

/// `lance.table.Transaction.Append`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Append {
    #[prost(message, repeated, tag = "1")]
    pub(crate) fragments: Vec<Fragment>,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Present {}

impl Fragment {
    /// Rows with the deleted ones, where the writer said how many.
    pub(crate) fn rows(&self) -> Option<u64> {
        (self.physical_rows > 0).then_some(self.physical_rows)
    }

    /// Deleted rows, where the writer said how many.
    pub(crate) fn deleted_rows(&self) -> Option<u64> {
        match &self.deletion_file {
            None => Some(0),
            Some(file) => (file.num_deleted_rows > 0).then_some(file.num_deleted_rows),
        }
    }

    /// Rows that are there to be read.
    pub(crate) fn live_rows(&self) -> Option<u64> {
        self.rows()?.checked_sub(self.deleted_rows()?)
    }
}

/// The sum, if every part of it is known.
pub(crate) fn sum(parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    parts
        .into_iter()
        .try_fold(0_u64, |sum, part| sum.checked_add(part?))
}
