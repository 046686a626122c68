//! What the engine is sent to build an image from: the files of a folder that its `.dockerignore` lets through, as one
//! archive that is the same for the same files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::render::hex;

/// An archive and what identifies it.
pub(crate) struct Context {
    /// In tar's format.
    pub(crate) archive: Vec<u8>,
    /// SHA-256 of the archive, which holds neither times nor owners.
    pub(crate) digest: String,
}

/// Packs a folder, and the file with the instructions, which the engine needs whatever is ignored.
pub(crate) fn pack(folder: &Path, dockerfile: &Path) -> anyhow::Result<Context> {
    let rules = Rules::read(folder)?;
    let mut paths = Vec::new();
    collect(folder, &rules, &mut paths)?;
    paths.push(folder.join(dockerfile));
    paths.sort();
    paths.dedup();
    let mut builder = tar::Builder::new(Vec::new());
    for path in &paths {
        append(&mut builder, folder, path).with_context(|| format!("pack {}", path.display()))?;
    }
    let archive = builder.into_inner().context("pack the build context")?;
    let digest = hex(&Sha256::digest(&archive));
    Ok(Context { archive, digest })
}

/// Docker's rules are git's, but that every pattern starts at the folder, and that a folder that is ignored may hold
/// what is not.
struct Rules {
    patterns: Gitignore,
    exceptions: Vec<PathBuf>,
}

impl Rules {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(".dockerignore");
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("read {}", file.display()))?,
        };
        let mut builder = GitignoreBuilder::new(folder);
        let mut exceptions = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let (sign, pattern) = match line.strip_prefix('!') {
                Some(pattern) => ("!", pattern),
                None => ("", line),
            };
            let pattern = pattern.trim_matches('/');
            if pattern.is_empty() {
                continue;
            }
            if sign == "!" {
                exceptions.push(folder.join(pattern));
            }
            builder
                .add_line(None, &format!("{sign}/{pattern}"))
                .with_context(|| format!("{}: {line}", file.display()))?;
        }
        let patterns = builder.build().with_context(|| file.display().to_string())?;
        Ok(Self { patterns, exceptions })
    }

    fn lets_through(&self, path: &Path) -> bool {
        !self.patterns.matched_path_or_any_parents(path, false).is_ignore()
    }

    fn is_worth_a_look(&self, folder: &Path) -> bool {
        !self
            .patterns
            .matched_path_or_any_parents(folder, true)
            .is_ignore()
            || self
                .exceptions
                .iter()
                .any(|exception| exception.starts_with(folder))
    }
}

fn collect(folder: &Path, rules: &Rules, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", folder.display()))?;
        let path = entry.path();
        let kind = entry.file_type().with_context(|| path.display().to_string())?;
        if kind.is_dir() {
            if rules.is_worth_a_look(&path) {
                collect(&path, rules, paths)?;
            }
        } else if (kind.is_file() || kind.is_symlink()) && rules.lets_through(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn append(builder: &mut tar::Builder<Vec<u8>>, folder: &Path, path: &Path) -> anyhow::Result<()> {
    let name = path.strip_prefix(folder).context("a file outside its folder")?;
    let metadata = path.symlink_metadata()?;
    let mut header = Header::new_gnu();
    if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, name, fs::read_link(path)?)?;
        return Ok(());
    }
    let bytes = fs::read(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(if is_executable(&metadata) { 0o755 } else { 0o644 });
    builder.append_data(&mut header, name, bytes.as_slice())?;
    Ok(())
}

fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(context: &Context) -> Vec<String> {
        let mut archive = tar::Archive::new(context.archive.as_slice());
        let entries = archive.entries().expect("an archive");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .display()
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn only_what_the_ignore_file_lets_through_is_packed_and_the_same_files_give_the_same_archive() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        };
        put(
            ".dockerignore",
            "# comment\n*\n!Cargo.toml\n!crates\ncrates/*/tests\n!docs/kept.md\n**/target\n",
        );
        put("Cargo.toml", "[workspace]");
        put("crates/a/src/main.rs", "fn main() {}");
        put("crates/a/tests/huge", "x");
        put("crates/a/target/huge", "x");
        put("compose/Dockerfile", "FROM scratch");
        put("compose/.env", "SECRET=x");
        put("docs/kept.md", "x");
        put("docs/other.md", "x");
        put("secrets/slack", "https://example.org");
        put("target/debug/a", "x");
        let pack = || pack(folder.path(), Path::new("compose/Dockerfile")).expect("a context");
        let context = pack();
        let packed = [
            "Cargo.toml",
            "compose/Dockerfile",
            "crates/a/src/main.rs",
            "docs/kept.md",
        ];
        assert_eq!(names(&context), packed);

        put("secrets/slack", "another");
        assert_eq!(pack().digest, context.digest);
        put("Cargo.toml", "[package]");
        assert_ne!(pack().digest, context.digest);
    }
}
