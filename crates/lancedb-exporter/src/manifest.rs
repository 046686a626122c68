//! Reads one manifest file.
//!
//! A manifest ends with 16 bytes: where its message begins (i64), the format's major and minor version (u16 each) and
//! `LANC`, all little-endian. Each message in the file follows its own length (u32).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use prost::Message as _;

use crate::message::{self, Fragment, Segment, Transaction, sum};

/// A manifest of a million fragments is larger; reading it at every commit would be no monitoring any more.
const MAX_SIZE: u64 = 64 << 20;
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
    pub(crate) fragments: Vec<Fragment>,
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
    #[error("larger than 64 MiB")]
    TooLarge,
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
    let bytes = content(path).map_err(fail)?;
    let mut parsed = parse(&bytes).map_err(fail)?;
    if let Some(file) = &parsed.transaction_file {
        parsed.operation = operation_in_file(table, file);
    }
    Ok(parsed.into())
}

fn content(path: &Path) -> Result<Vec<u8>, Problem> {
    let file: File = exporter::fs::open(path)?;
    let size = file.metadata()?.size();
    if size > MAX_SIZE {
        return Err(Problem::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A manifest whose transaction may stand in another file.
struct Parsed {
    message: message::Manifest,
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
            fragments: parsed.message.fragments,
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
    let mut message = message::Manifest::decode(section(body, offset)?)?;
    let unsupported = message.reader_feature_flags & (!KNOWN_FEATURES | FRAGMENT_TREE);
    if unsupported != 0 {
        return Err(Problem::Unsupported(unsupported));
    }
    let segments = match message.index_section {
        Some(offset) => message::Indices::decode(section(body, offset)?)?.segments,
        None => Vec::new(),
    };
    let file = std::mem::take(&mut message.transaction_file);
    let (operation, transaction_file) = match message.transaction_section {
        Some(offset) => (Transaction::decode(section(body, offset)?)?.into(), None),
        None => (Operation::Other, (!file.is_empty()).then_some(file)),
    };
    Ok(Parsed {
        message,
        segments,
        operation,
        transaction_file,
    })
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
    let path = table.join("_transactions").join(name);
    let transaction = content(&path).and_then(|bytes| Ok(Transaction::decode(bytes.as_slice())?));
    match transaction {
        Ok(transaction) => transaction.into(),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "what made this version is not known");
            Operation::Other
        }
    }
}

impl From<Transaction> for Operation {
    fn from(transaction: Transaction) -> Self {
        if let Some(append) = transaction.append {
            Self::Append(sum(append.fragments.iter().map(Fragment::rows)))
        } else if transaction.update.is_some() {
            Self::Update
        } else if transaction.rewrite.is_some() {
            Self::Rewrite
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests;
