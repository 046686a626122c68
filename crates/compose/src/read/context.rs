//! What reading needs beside the document, and what it finds out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::error::Problem;
use crate::model::Port;

/// What reading needs beside the document, and what it finds out.
pub(crate) struct Context<'a> {
    /// The folder that relative paths start from, absolute.
    pub(crate) folder: &'a Path,
    /// The values of variables.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// What is wrong.
    pub(crate) problems: RefCell<Vec<Problem>>,
    /// Names that another part of the document must define.
    pub(crate) references: RefCell<Vec<Reference>>,
    /// Ports that services publish.
    pub(crate) published: RefCell<Vec<(Port, Place)>>,
}

/// A line and a path in the document.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// A name that another part of the document must define.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) to: Section,
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// The parts of a document that define names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Services,
    Networks,
    Volumes,
    Secrets,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        environment: &'a BTreeMap<String, String>,
        problems: Vec<Problem>,
    ) -> Self {
        Self {
            folder,
            environment,
            problems: RefCell::new(problems),
            references: RefCell::default(),
            published: RefCell::default(),
        }
    }

    /// Notes something that is wrong at `place`.
    pub(crate) fn refuse(&self, place: &Place, message: impl Into<String>) {
        self.problems
            .borrow_mut()
            .push(Problem::new(Some(place.line), &place.path, message));
    }

    /// `path` as it is, or beneath the folder when it is relative, or beneath the user's home after `~`.
    pub(crate) fn absolute(&self, path: &str) -> Result<PathBuf, String> {
        if path.is_empty() {
            return Err("is empty where a path is needed".to_owned());
        }
        let Some(beneath) = path.strip_prefix('~') else {
            let joined = self.folder.join(path);
            return Ok(if Path::new(path).is_absolute() {
                joined
            } else {
                clean(&joined)
            });
        };
        if !matches!(beneath.as_bytes(), [] | [b'/', ..]) {
            return Err(format!(
                "`{path}` is in the home of another user: write the whole path"
            ));
        }
        let home = self.environment.get("HOME").filter(|home| home.starts_with('/'));
        let home = home.ok_or("`~` needs the variable HOME: set it, or write the whole path")?;
        Ok(clean(&Path::new(home).join(beneath.trim_start_matches('/'))))
    }
}

/// `path` without `.` and `..`, by its spelling alone as docker compose does it: links are not followed.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => cleaned.push(component),
        }
    }
    cleaned
}
