//! Logs of one entry per line, in one of several formats. Many files have lines; one that begins like no log of a run is
//! left alone.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::Path;

use super::board::{Board, Kind};
use super::csv::{Columns, Row};
use super::file::{File, Found, Look};
use super::record::Record;
use super::track::Track;
use super::{jsonl, torchtune};
use crate::errors::SourceErrors;
use crate::follow::Line;

/// After so many lines without an entry a file is no log of a run.
const TRIES: u32 = 20;
/// Lines that carry their time may be held back by so many seconds before that has been measured.
const GRACE: f64 = 10.0;

/// Some editors and programs begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The reasons in `training_read_errors_total`.
pub(crate) const REASONS: &[&str] = &["invalid", "too_large", "unreadable"];

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values below their names.
    Csv,
    /// As torchtune does.
    Torchtune,
}

impl Format {
    /// The format that a file of this name may be in.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        match extension {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "txt" if stem.starts_with("log_") => Some(Self::Torchtune),
            _ => None,
        }
    }

    /// The word for it on the page.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Torchtune => "torchtune",
        }
    }
}

/// One such file.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    state: Reading,
    pub(crate) track: Track,
}

#[derive(Debug)]
struct Reading {
    format: Format,
    columns: Columns,
    /// There was an entry.
    is_log: bool,
    /// Lines before the first entry.
    tries: u32,
    entries: u64,
    /// What the first entry is, to know the same file when it is written anew.
    first: Option<u64>,
    /// So many entries were there before the file was written anew.
    known: u64,
    has_failed: bool,
}

impl Log {
    pub(crate) fn new(path: &Path, format: Format) -> Self {
        Self {
            file: File::new(path),
            state: Reading {
                format,
                columns: Columns::new(),
                is_log: false,
                tries: 0,
                entries: 0,
                first: None,
                known: 0,
                has_failed: false,
            },
            track: Track::new(GRACE),
        }
    }

    /// Whether it is the log of a run, as far as it has been read.
    pub(crate) fn is_log(&self) -> bool {
        self.state.is_log
    }

    /// The format.
    pub(crate) fn format(&self) -> Format {
        self.state.format
    }

    /// Reads what is new.
    pub(crate) fn look(
        &mut self,
        found: &Found,
        budget: &mut u64,
        board: &mut Board,
        errors: &SourceErrors,
    ) -> io::Result<Look> {
        let is_known = self.is_log();
        let look = self.read(found, budget, board, errors)?;
        if self.state.is_refused() {
            return Ok(Look::Current);
        }
        if look == Look::More && self.is_log() && !is_known {
            return self.read(found, budget, board, errors);
        }
        Ok(look)
    }

    fn read(
        &mut self,
        found: &Found,
        budget: &mut u64,
        board: &mut Board,
        errors: &SourceErrors,
    ) -> io::Result<Look> {
        let Self { file, state, track } = self;
        if state.is_refused() {
            return Ok(Look::Current);
        }
        file.look(found.version, budget, |tail, budget, is_restart| {
            if is_restart {
                state.restart();
            }
            // A file that turns out to be something else is not read to its end.
            let budget = if state.is_log { budget } else { 1 };
            let format = state.format;
            tail.lines(budget, &mut |line| match state.entry(line) {
                Ok(Some(record)) => {
                    if state.is_another(&record) {
                        board.forget(format.word());
                        *track = Track::new(GRACE);
                    }
                    let kind = state.count();
                    board.take(&record, track, kind, format.word());
                }
                Ok(None) => {}
                Err(reason) => state.fail(reason, &found.path, errors),
            })
        })
    }
}

impl Reading {
    fn is_refused(&self) -> bool {
        !self.is_log && self.tries > TRIES
    }

    fn restart(&mut self) {
        self.columns = Columns::new();
        self.known = self.known.max(self.entries);
        self.entries = 0;
    }

    fn entry(&mut self, line: Line<'_>) -> Result<Option<Record>, &'static str> {
        if self.is_refused() {
            return Ok(None);
        }
        let Line::Whole(line) = line else {
            return Err("too_large");
        };
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        match self.format {
            Format::Jsonl => jsonl::record(line).map_err(|_| "invalid"),
            Format::Torchtune => Ok(torchtune::record(line)),
            Format::Csv => match self.columns.row(line) {
                Row::Header => Ok(None),
                Row::Record(record) => Ok(record),
                Row::TooLong => Err("invalid"),
            },
        }
        // Lists of other things have words for their state too.
        .map(|record| record.filter(|record| self.is_log || record.tells_a_run()))
        .inspect(|record| {
            if record.is_none() {
                self.tries += 1;
            }
        })
    }

    /// Whether another run writes the file now: it begins with another entry than before.
    fn is_another(&mut self, record: &Record) -> bool {
        if self.entries > 0 {
            return false;
        }
        let first = fingerprint(record);
        let is_another = self.first.replace(first).is_some_and(|before| before != first);
        if is_another {
            self.known = 0;
        }
        is_another
    }

    /// Counts an entry, and tells one that is new from one that was there before the file was written anew.
    fn count(&mut self) -> Kind {
        self.is_log = true;
        self.entries += 1;
        if self.entries > self.known {
            Kind::New
        } else {
            Kind::Known
        }
    }

    fn fail(&mut self, reason: &'static str, path: &Path, errors: &SourceErrors) {
        if !self.is_log {
            self.tries += 1;
            return;
        }
        errors.count(reason);
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(path = %path.display(), reason, "a line of a log cannot be read");
        }
    }
}

fn fingerprint(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.step.map(f64::to_bits).hash(&mut hasher);
    for (tag, value) in &record.scalars {
        (tag, value.to_bits()).hash(&mut hasher);
    }
    hasher.finish()
}
