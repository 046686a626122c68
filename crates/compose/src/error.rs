//! What is wrong with a file, all of it at once.

use std::fmt;
use std::path::{Path, PathBuf};

/// The letters of a path or message at most: what the file says can be part of either.
const MAX_LETTERS: usize = 400;

/// A file that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    file: Option<PathBuf>,
    problems: Vec<Problem>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line in the file, from 1; absent when the file as a whole is meant.
    pub line: Option<usize>,
    /// Where in the document, as keys joined by dots; empty for the whole document.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Error {
    /// An error about `file`, or about a text that is in none; its problems in the order of the lines.
    pub(crate) fn new(file: Option<&Path>, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self {
            file: file.map(Path::to_owned),
            problems,
        }
    }

    /// Everything that is wrong with it, in the order of the lines.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for Error {}

impl Problem {
    pub(crate) fn new(line: Option<usize>, path: &str, message: impl Into<String>) -> Self {
        Self {
            line,
            path: shown(path),
            message: shown(&message.into()),
        }
    }
}

/// `text` as it can go to a terminal: on one line, without control characters, and not endless.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index == MAX_LETTERS {
            shown.push('…');
            break;
        }
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

impl fmt::Display for Error {
    /// One line for each problem, such as `compose.yaml:41: services.loki.healthchek: unknown key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, path, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match (&self.file, line) {
                (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
                (Some(file), None) => write!(f, "{}: ", file.display())?,
                (None, Some(line)) => write!(f, "line {line}: ")?,
                (None, None) => {}
            }
            if !path.is_empty() {
                write!(f, "{path}: ")?;
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}
