//! Reads one manifest file.
//!
//! A manifest ends with 16 bytes: where its message begins (i64), the format's major and minor version (u16 each) and
//! `LANC`, all little-endian. Each message in the file follows its own length (u32).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::fragments::Fragments;
use crate::message::{self, Append, Indices, Segment, Transaction, sum};

/// Reading more at every commit would be no monitoring any more. Together the limits keep the memory that a manifest takes
/// below 256 MiB, whatever is in it.
const MAX_SIZE: u64 = 64 << 20;
const MAX_FIELD: usize = 4 << 20;
const MOST_FRAGMENTS: usize = 1_000_000;
const MAX_SEGMENTS_SIZE: usize = 16 << 20;
const MOST_SEGMENTS: usize = 10_000;
const FOOTER: usize = 16;
const MAGIC: &[u8] = b"LANC";

/// The reader features up to lance 14, all of which leave the fields in [`message`] what they are, but for the list of
/// fragments that moves out of the manifest.
const KNOWN_FEATURES: u64 = (1 << 18) - 1;
const FRAGMENT_TREE: u64 = 1 << 12;

/// One version of a table.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) version: u64,
    /// When it was committed, Unix time in seconds.
    pub(crate) committed: Option<f64>,
    pub(crate) operation: Operation,
    pub(crate) fragments: Fragments,
    pub(crate) segments: Vec<Segment>,
}

/// What made a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// New rows, as many as here where the writer says.
    Append(Option<u64>),
    /// Changed rows; a merge inserts new ones too.
    Update,
    /// Compaction: the same rows in other files.
    Rewrite,
    /// Overwrite, delete, restore, a new index or column, or not known.
    Other,
}

/// A manifest that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}: {problem}", path.display())]
pub(crate) struct ManifestError {
    path: PathBuf,
    pub(crate) problem: Problem,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not a whole manifest: {0}")]
    Torn(&'static str),
    #[error("not a whole manifest: {0}")]
    Garbled(#[from] prost::DecodeError),
    #[error("needs reader features {0:#x}, which this version of the exporter does not know")]
    Unsupported(u64),
    #[error("more than is read of one table: {0}; compact the table with `optimize()`")]
    TooLarge(&'static str),
}

impl ManifestError {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        Self {
            path: path.into(),
            problem,
        }
    }

    /// It could not be read now, which says nothing about its content; the same file may be readable later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.problem, Problem::Io(_))
    }

    /// It was removed, as pruning does.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.problem, Problem::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// A file in the state in which it was read: another one has the same name after a table is dropped and made anew, and
/// one that was torn may have grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    /// Of the file as it is now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Reads a manifest; `table` is the table's folder.
pub(crate) fn read(table: &Path, path: &Path) -> Result<Manifest, ManifestError> {
    let fail = |problem| ManifestError::new(path, problem);
    let mut parsed = content(path).and_then(|bytes| parse(&bytes)).map_err(fail)?;
    if let Some(file) = &parsed.transaction_file {
        parsed.operation = operation_in_file(table, file);
    }
    Ok(parsed.into())
}

fn content(path: &Path) -> Result<Vec<u8>, Problem> {
    let file: File = exporter::fs::open(path)?;
    let size = file.metadata()?.size();
    if size > MAX_SIZE {
        return Err(Problem::TooLarge("64 MiB in a file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A manifest whose transaction may stand in another file.
struct Parsed {
    message: message::Manifest,
    fragments: Fragments,
    segments: Vec<Segment>,
    operation: Operation,
    /// Where the transaction stands, if not in the manifest.
    transaction_file: Option<String>,
}

impl From<Parsed> for Manifest {
    fn from(parsed: Parsed) -> Self {
        let seconds = |time: message::Timestamp| time.seconds as f64 + f64::from(time.nanos) / 1e9;
        Self {
            version: parsed.message.version,
            committed: parsed.message.timestamp.map(seconds),
            operation: parsed.operation,
            fragments: parsed.fragments,
            segments: parsed.segments,
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed, Problem> {
    let (body, footer) = bytes
        .split_at_checked(bytes.len().wrapping_sub(FOOTER))
        .ok_or(Problem::Torn("shorter than its footer"))?;
    if !footer.ends_with(MAGIC) {
        return Err(Problem::Torn("it does not end with LANC"));
    }
    let offset = footer
        .first_chunk()
        .map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
    let mut fragments = Fragments::default();
    let mut message = decode(section(body, offset)?, |message: &mut message::Manifest| {
        message
            .fragments
            .drain(..)
            .for_each(|fragment| fragments.push(&fragment));
        at_most(MOST_FRAGMENTS, fragments.each.len(), "1 000 000 fragments")
    })?;
    let unsupported = message.reader_feature_flags & (!KNOWN_FEATURES | FRAGMENT_TREE);
    if unsupported != 0 {
        return Err(Problem::Unsupported(unsupported));
    }
    let segments = match message.index_section {
        Some(offset) => segments(section(body, offset)?)?,
        None => Vec::new(),
    };
    let file = std::mem::take(&mut message.transaction_file);
    let (operation, transaction_file) = match message.transaction_section {
        Some(offset) => (operation(section(body, offset)?)?, None),
        None => (Operation::Other, (!file.is_empty()).then_some(file)),
    };
    Ok(Parsed {
        message,
        fragments,
        segments,
        operation,
        transaction_file,
    })
}

/// Decodes field by field. `took` sees the message after each one and takes out what becomes too much otherwise, so that a
/// long list never stands in memory whole.
fn decode<M: Message + Default>(
    mut bytes: &[u8],
    mut took: impl FnMut(&mut M) -> Result<(), Problem>,
) -> Result<M, Problem> {
    let mut message = M::default();
    while !bytes.is_empty() {
        let mut rest = bytes;
        let (tag, kind) = decode_key(&mut rest)?;
        skip_field(kind, tag, &mut rest, DecodeContext::default())?;
        let (field, behind) = bytes.split_at(bytes.len() - rest.len());
        at_most(MAX_FIELD, field.len(), "4 MiB in one field")?;
        message.merge(field)?;
        took(&mut message)?;
        bytes = behind;
    }
    Ok(message)
}

fn at_most(most: usize, found: usize, what: &'static str) -> Result<(), Problem> {
    if found > most {
        return Err(Problem::TooLarge(what));
    }
    Ok(())
}

fn segments(bytes: &[u8]) -> Result<Vec<Segment>, Problem> {
    at_most(MAX_SEGMENTS_SIZE, bytes.len(), "16 MiB of index segments")?;
    let indices = decode(bytes, |indices: &mut Indices| {
        at_most(MOST_SEGMENTS, indices.segments.len(), "10 000 index segments")
    })?;
    Ok(indices.segments)
}

/// The message at this place, without its length.
fn section(body: &[u8], offset: u64) -> Result<&[u8], Problem> {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| body.get(offset..))
        .ok_or(Problem::Torn("a section begins behind its end"))?;
    let (length, rest) = rest
        .split_first_chunk()
        .ok_or(Problem::Torn("a section has no length"))?;
    usize::try_from(u32::from_le_bytes(*length))
        .ok()
        .and_then(|length| rest.get(..length))
        .ok_or(Problem::Torn("a section ends behind its end"))
}

/// Transactions stood in files of their own before lance wrote them into the manifest. Without the file the operation
/// is not known.
fn operation_in_file(table: &Path, name: &str) -> Operation {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        tracing::debug!(table = %table.display(), name, "not the name of a file in _transactions");
        return Operation::Other;
    }
    let path = table.join("_transactions").join(name);
    match content(&path).and_then(|bytes| operation(&bytes)) {
        Ok(operation) => operation,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "what made this version is not known");
            Operation::Other
        }
    }
}

/// What a transaction does.
fn operation(transaction: &[u8]) -> Result<Operation, Problem> {
    let transaction = Transaction::decode(transaction)?;
    Ok(if let Some(append) = transaction.append {
        let mut rows = Some(0);
        decode(&append, |append: &mut Append| {
            rows = sum(append
                .fragments
                .drain(..)
                .map(|fragment| fragment.rows())
                .chain([rows]));
            Ok(())
        })?;
        Operation::Append(rows)
    } else if transaction.update.is_some() {
        Operation::Update
    } else if transaction.rewrite.is_some() {
        Operation::Rewrite
    } else {
        Operation::Other
    })
}

#[cfg(test)]
mod tests;
