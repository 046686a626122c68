//! Secrets live in files of their own that nobody else can read; the inventory only names them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::problem::Findings;
use crate::text::shell_word;

/// A URL that is secret, read from the file the inventory names.
pub(crate) struct SecretUrl {
    /// The file, absolute.
    pub(crate) path: PathBuf,
    /// What it holds; never printed.
    pub(crate) url: String,
}

/// Reads and checks a file that holds one URL.
pub(crate) fn url(file: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<SecretUrl> {
    let (path, text) = line(file, root, "a URL such as https://…", findings)?;
    match check(&text) {
        Ok(()) => Some(SecretUrl { url: text, path }),
        Err(wrong) => {
            let what = format!("secret file {} {wrong}", path.display());
            findings.refuse(
                Some(file.span()),
                what,
                "the file holds one line, a URL such as https://…",
            );
            None
        }
    }
}

/// Checks a file that holds one password. postgres-exporter 0.11 takes none with a blank, and writes it to its log then.
pub(crate) fn password(file: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let (path, text) = line(file, root, "the password", findings)?;
    if text.contains(char::is_whitespace) {
        let what = format!("the password in {} has a blank", path.display());
        findings.refuse(
            Some(file.span()),
            what,
            "postgres-exporter takes none; give the role another password",
        );
        return None;
    }
    Some(path)
}

/// Checks a file that holds one line of any kind.
pub(crate) fn file(
    file: &Spanned<String>,
    root: &Path,
    holds: &str,
    findings: &mut Findings,
) -> Option<PathBuf> {
    line(file, root, holds, findings).map(|(path, _)| path)
}

/// Reads a file that holds the address of a database.
pub(crate) fn dsn(file: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<(PathBuf, String)> {
    line(
        file,
        root,
        "the address, postgres://user:password@host:5432/database",
        findings,
    )
}

/// The path and the one line of a file that nobody else can read.
fn line(
    file: &Spanned<String>,
    root: &Path,
    holds: &str,
    findings: &mut Findings,
) -> Option<(PathBuf, String)> {
    let path = root.join(file.get_ref());
    match read(&path, holds) {
        Ok(text) => Some((path, text)),
        Err((wrong, hint)) => {
            findings.refuse(
                Some(file.span()),
                format!("secret file {} {wrong}", path.display()),
                hint,
            );
            None
        }
    }
}

fn read(path: &Path, holds: &str) -> Result<String, (String, String)> {
    let metadata = path.metadata().map_err(|error| {
        let hint = format!(
            "put {holds} in: (umask 077; mkdir -p {}; cat > {})",
            shell_word(path.parent().unwrap_or(path)),
            shell_word(path)
        );
        (
            format!("cannot be read: {}", crate::text::io_reason(&error)),
            hint,
        )
    })?;
    if !metadata.is_file() {
        return Err((
            "is not a file".to_owned(),
            format!("name a file that holds {holds}"),
        ));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("can be read by others (mode {mode:04o})");
        return Err((what, format!("chmod 600 {}", shell_word(path))));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot be read: {}", crate::text::io_reason(&error));
        (what, "it must belong to the user who runs missionctl".to_owned())
    })?;
    let text = text.trim();
    let wrong = match text.lines().count() {
        0 => "is empty",
        1 => return Ok(text.to_owned()),
        _ => "has more than one line",
    };
    Err((wrong.to_owned(), format!("the file holds one line, {holds}")))
}

/// What is wrong with the text, in words that do not repeat it.
fn check(text: &str) -> Result<(), &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("does not hold a URL");
    };
    if !["http", "https"].contains(&scheme) {
        return Err("holds a URL that is neither http nor https");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("does not hold a URL");
    }
    if text.contains("XXXX") || text.contains(['<', '>']) {
        return Err("still holds a placeholder");
    }
    Ok(())
}
