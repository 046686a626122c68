//! One open file, and how far it was read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A longer line is passed over, in bytes.
pub(super) const MAX_LINE: usize = 1024 * 1024;
/// No piece that is handed over is longer, in bytes.
pub(super) const MAX_PIECE: usize = MAX_LINE + CHUNK;
/// What is read at once, in bytes.
pub(super) const CHUNK: usize = 64 * 1024;
/// How many of the bytes in front of a position have to be the same as before.
const CONTEXT: usize = 256;

/// Where reading goes on, to be kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The file system's number.
    pub(crate) device: u64,
    /// The file's number.
    pub(crate) inode: u64,
    /// How many bytes were taken.
    pub(crate) offset: u64,
    /// A hash of the last of them.
    context: u64,
    /// The line at the offset is too long; what is left of it is passed over.
    skipping: bool,
}

/// How a look at a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All that is there was read.
    Current,
    /// There is more than was to be read.
    More,
    /// The file was replaced, cut or written anew. What the next look reads is from the beginning.
    Restarted,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Without its end, which may be `\n` or `\r\n`.
    Whole(&'a [u8]),
    /// Longer than [`MAX_LINE`].
    TooLong,
}

/// One open file and how far it was read.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    device: u64,
    inode: u64,
    offset: u64,
    /// The last bytes that were taken, up to [`CONTEXT`].
    context: Vec<u8>,
    skipping: bool,
    /// Size and time of change when all was read.
    seen: Option<(u64, SystemTime)>,
}

impl Tail {
    /// Opens the file, to be read from its beginning.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = exporter::fs::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file",
            ));
        }
        Ok(Self {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            offset: 0,
            context: Vec::new(),
            skipping: false,
            seen: None,
        })
    }

    /// Opens the file, to be read on from a position; `None` when what is in front of it is something else. A copy of
    /// the file will do, unless nothing of it had been read.
    pub(crate) fn resume(path: &Path, position: &Position) -> io::Result<Option<Self>> {
        let mut tail = Self::open(path)?;
        if position.offset == 0 && !tail.is_at(position) {
            return Ok(None);
        }
        let length = position.offset.min(CONTEXT as u64);
        let mut context = vec![0; usize::try_from(length).unwrap_or(CONTEXT)];
        match tail.file.read_exact_at(&mut context, position.offset - length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if hash(&context) != position.context {
            return Ok(None);
        }
        tail.offset = position.offset;
        tail.context = context;
        tail.skipping = position.skipping;
        Ok(Some(tail))
    }

    /// Whether this is the file of the position, whatever it holds.
    pub(crate) fn is_at(&self, position: &Position) -> bool {
        (self.device, self.inode) == (position.device, position.inode)
    }

    /// Whether the metadata are this file's.
    pub(crate) fn is(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    /// How far the file was read.
    pub(crate) fn position(&self) -> Position {
        Position {
            device: self.device,
            inode: self.inode,
            offset: self.offset,
            context: hash(&self.context),
            skipping: self.skipping,
        }
    }

    /// How many bytes were taken.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// When the file was last written.
    pub(crate) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// Hands over what is new, piece by piece. `take` says how many bytes of a piece it took; the next piece begins
    /// with those that it left, which are also those that the next look begins with. Of a piece of [`MAX_PIECE`]
    /// bytes something has to be taken. Ends with the first piece after `budget` bytes.
    pub(crate) fn bytes(
        &mut self,
        budget: u64,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> io::Result<Progress> {
        let metadata = self.file.metadata()?;
        let seen = (metadata.len(), metadata.modified()?);
        if self.seen == Some(seen) {
            return Ok(Progress::Current);
        }
        if !self.is_the_same()? {
            self.restart();
            return Ok(Progress::Restarted);
        }
        let mut buffer = vec![0; CHUNK];
        let mut held = 0;
        let end = self.offset.saturating_add(budget);
        while self.offset < end {
            if held == buffer.len() {
                buffer.resize((held * 2).min(MAX_PIECE), 0);
            }
            let read = read_at(&self.file, &mut buffer[held..], self.offset + held as u64)?;
            if read == 0 {
                self.seen = Some(seen);
                return Ok(Progress::Current);
            }
            held += read;
            let taken = take(&buffer[..held]).min(held);
            if taken == 0 && held == MAX_PIECE {
                let error = format!(
                    "at byte {} is something longer than {MAX_PIECE} bytes",
                    self.offset
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            self.advance(&buffer[..taken]);
            buffer.copy_within(taken..held, 0);
            held -= taken;
        }
        Ok(Progress::More)
    }

    /// Hands over the lines that are new; the last one when its end is there. Ends with the first piece after `budget`
    /// bytes.
    pub(crate) fn lines(&mut self, budget: u64, take: &mut dyn FnMut(Line<'_>)) -> io::Result<Progress> {
        let mut skipping = self.skipping;
        let result = self.bytes(budget, &mut |piece| {
            let mut rest = piece;
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, behind) = (&rest[..end], &rest[end + 1..]);
                rest = behind;
                if std::mem::take(&mut skipping) {
                    continue;
                }
                take(if line.len() > MAX_LINE {
                    Line::TooLong
                } else {
                    Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))
                });
            }
            if rest.len() > MAX_LINE && !skipping {
                take(Line::TooLong);
                skipping = true;
            }
            if skipping {
                piece.len()
            } else {
                piece.len() - rest.len()
            }
        });
        self.skipping = skipping && !matches!(result, Ok(Progress::Restarted));
        result
    }

    /// Whether what was taken is still there.
    fn is_the_same(&self) -> io::Result<bool> {
        let mut context = [0; CONTEXT];
        let context = &mut context[..self.context.len()];
        let start = self.offset - context.len() as u64;
        match self.file.read_exact_at(context, start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(*context == self.context[..]),
        }
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.context.clear();
        self.skipping = false;
        self.seen = None;
    }

    fn advance(&mut self, taken: &[u8]) {
        self.offset += taken.len() as u64;
        self.context
            .extend_from_slice(&taken[taken.len().saturating_sub(CONTEXT)..]);
        let surplus = self.context.len().saturating_sub(CONTEXT);
        self.context.drain(..surplus);
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Stays the same over versions of the compiler, since it is kept on disk.
fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
