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
    let path = root.join(file.get_ref());
    let refuse = |findings: &mut Findings, what: String, hint: String| {
        findings.refuse(Some(file.span()), what, hint);
        None
    };
    let shown = path.display();
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            let what = format!("secret file {shown}: {}", crate::text::io_reason(&error));
            let hint = format!(
                "put the URL in: (umask 077; mkdir -p {}; cat > {})",
                shell_word(path.parent().unwrap_or(&path)),
                shell_word(&path)
            );
            return refuse(findings, what, hint);
        }
    };
    if !metadata.is_file() {
        return refuse(
            findings,
            format!("secret file {shown} is not a file"),
            "name a file that holds the URL".into(),
        );
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("secret file {shown} can be read by others (mode {mode:04o})");
        return refuse(findings, what, format!("chmod 600 {}", shell_word(&path)));
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("secret file {shown}: {}", crate::text::io_reason(&error));
            return refuse(
                findings,
                what,
                "it must belong to the user who runs missionctl".into(),
            );
        }
    };
    match check(text.trim()) {
        Ok(()) => Some(SecretUrl {
            url: text.trim().to_owned(),
            path,
        }),
        Err(wrong) => {
            let hint = "the file holds one line, the URL: https://…".to_owned();
            refuse(findings, format!("secret file {shown} {wrong}"), hint)
        }
    }
}

/// What is wrong with the text, in words that do not repeat it.
fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.lines().count() > 1 {
        return Err("has more than one line");
    }
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
