//! `[lancedb]`: folders of tables that lancedb-exporter watches.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file;
use super::problem::Findings;

/// A folder that applications connect to, and where the inventory names it.
#[derive(Debug)]
pub(crate) struct Lancedb {
    /// Absolute path.
    pub(crate) path: PathBuf,
    /// Where the inventory names it.
    pub(crate) span: std::ops::Range<usize>,
}

/// Checks `[lancedb]`. Whether the folders are there is a matter for [`crate::preflight`]: a disk may be mounted later.
pub(crate) fn check(lancedb: &file::Lancedb, findings: &mut Findings) -> Vec<Lancedb> {
    let paths = lancedb.path.get_ref().list();
    if paths.is_empty() {
        findings.refuse(
            Some(lancedb.path.span()),
            "no folder is named",
            "write the folder that applications connect to, or remove [lancedb]",
        );
    }
    let mut checked: Vec<Lancedb> = Vec::new();
    for text in paths {
        let path = PathBuf::from(&text);
        if let Some((what, hint)) = wrong(&text, &path, &checked) {
            findings.refuse(Some(lancedb.path.span()), what, hint);
        }
        checked.push(Lancedb {
            path,
            span: lancedb.path.span(),
        });
    }
    checked
}

fn wrong(text: &str, path: &Path, others: &[Lancedb]) -> Option<(String, &'static str)> {
    if !path.is_absolute() {
        return Some((
            format!("`{text}` is no absolute path"),
            "write the folder that applications connect to from the root: /srv/brain",
        ));
    }
    // Links are followed for containers.
    let real = path.canonicalize().unwrap_or_default();
    if text.contains(',') || real.to_string_lossy().contains(',') {
        return Some((
            format!("`{text}` has a comma"),
            "lancedb-exporter takes a list of paths with commas between them; rename the folder",
        ));
    }
    if text.chars().any(|c| c.is_control() || "\"\\;".contains(c)) {
        return Some((
            format!("{text:?} has characters that supervisord's configuration cannot hold"),
            "name the folder by a link without quotes, backslashes, semicolons and control characters",
        ));
    }
    if path.extension().is_some_and(|extension| extension == "lance") {
        return Some((
            format!("`{text}` is a table"),
            "name the folder above it, the one that applications connect to",
        ));
    }
    let same = |other: &&Lancedb| other.path.file_name() == path.file_name();
    let other = others.iter().find(same)?;
    Some((
        format!("`{text}` and {} have the same name", other.path.display()),
        "their tables could not be told apart; rename one, or name it by a link",
    ))
}

/// Where `path` stands in the file, for what asks for the service.
pub(super) fn span(lancedb: &file::Lancedb) -> std::ops::Range<usize> {
    Spanned::span(&lancedb.path)
}
