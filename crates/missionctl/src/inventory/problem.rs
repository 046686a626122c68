//! What is wrong with an inventory, said so that the user can put it right: file, line, the line itself, a hint.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing is started or changed.
    Refused,
    /// Said, and then gone on.
    Warning,
}

/// One finding.
#[derive(Debug)]
pub(crate) struct Problem {
    /// How much it matters.
    pub(crate) severity: Severity,
    /// Bytes of the inventory it is about; none when it is about something that is not there.
    pub(crate) at: Option<Range<usize>>,
    /// What is wrong, with the offending text.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// Everything found, with the text it was found in.
#[derive(Debug)]
pub(crate) struct Findings {
    file: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

impl Findings {
    /// No findings yet.
    pub(crate) fn new(file: &Path, text: String) -> Self {
        Self {
            file: file.to_path_buf(),
            text,
            problems: Vec::new(),
        }
    }

    /// The inventory as it was read.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Refuses the inventory because of the bytes at `at`.
    pub(crate) fn refuse(
        &mut self,
        at: Option<Range<usize>>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Refused, at, what.into(), hint.into());
    }

    /// Mentions something that does not stand in the way.
    pub(crate) fn warn(
        &mut self,
        at: Option<Range<usize>>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Warning, at, what.into(), hint.into());
    }

    fn push(&mut self, severity: Severity, at: Option<Range<usize>>, what: String, hint: String) {
        self.problems.push(Problem {
            severity,
            at,
            what,
            hint,
        });
    }

    /// Whether anything stands in the way.
    pub(crate) fn refused(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Refused)
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The bytes of the line `[header]`, for what concerns a whole table.
    pub(crate) fn header(&self, header: &str) -> Option<Range<usize>> {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if line.trim() == header {
                return Some(start..start + line.trim_end().len());
            }
            start += line.len();
        }
        None
    }

    fn line_of(&self, at: &Range<usize>) -> (usize, &str) {
        let before = self.text.get(..at.start).unwrap_or(&self.text);
        let number = before.matches('\n').count() + 1;
        (number, self.text.lines().nth(number - 1).unwrap_or_default())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let word = match problem.severity {
                Severity::Refused => "error",
                Severity::Warning => "warning",
            };
            match problem.at.as_ref().map(|at| self.line_of(at)) {
                Some((number, line)) => {
                    writeln!(f, "{}:{number}: {word}: {}", self.file.display(), problem.what)?;
                    writeln!(f, "  {number:>4} | {}", line.trim_end())?;
                }
                None => writeln!(f, "{}: {word}: {}", self.file.display(), problem.what)?,
            }
            write!(f, "  hint: {}", problem.hint)?;
        }
        Ok(())
    }
}

/// The candidate that is most like `word`, when one is like it at all.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters were left out, added, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = changed.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped {
                    best.min(table[i - 2][j - 2] + 1)
                } else {
                    best
                }
            };
        }
    }
    table[a.len()][b.len()]
}
