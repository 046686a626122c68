//! The folder that holds fetched programs: `${MISSION_CACHE:-${XDG_CACHE_HOME:-~/.cache}/mission-control}`.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use super::{Origin, is_executable};

/// The cache; folders are made when something is put in.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Where it is.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let from = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = from("MISSION_CACHE")
            .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("mission-control")))
            .or_else(|| from("HOME").map(|home| home.join(".cache/mission-control")))
            .context(
                "neither MISSION_CACHE nor XDG_CACHE_HOME nor HOME is set, so there is no place for programs",
            )?;
        Ok(Self::at(
            std::path::absolute(&root).with_context(|| root.display().to_string())?,
        ))
    }

    /// A cache at an absolute path.
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Links under canonical names.
    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Unpacked upstream releases.
    pub(crate) fn upstream(&self) -> PathBuf {
        self.root.join("upstream")
    }

    /// Unpacked packages of the distribution.
    pub(crate) fn debian(&self) -> PathBuf {
        self.root.join("debian")
    }

    /// Held until dropped; other processes wait.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        create(&self.root)?;
        let path = self.root.join("lock");
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        flock(&file, FlockOperation::LockExclusive).with_context(|| format!("lock {}", path.display()))?;
        Ok(file)
    }

    /// A program that was fetched. A link to one outside the cache does not count: it was made for another PATH.
    pub(crate) fn own(&self, name: &str) -> Option<PathBuf> {
        let link = self.bin().join(name);
        let program = link.canonicalize().ok()?;
        let cache = self.root.canonicalize().ok()?;
        (program.starts_with(cache) && is_executable(&program)).then_some(link)
    }

    /// Puts a link into [`Self::bin`], in place of one that may be there.
    pub(crate) fn link(&self, name: &str, target: &Path) -> anyhow::Result<()> {
        let link = self.bin().join(name);
        if fs::read_link(&link).is_ok_and(|old| old == target) {
            return Ok(());
        }
        create(&self.bin())?;
        let beside = self.bin().join(format!(".{name}.{}", std::process::id()));
        symlink(target, &beside)
            .and_then(|()| fs::rename(&beside, &link))
            .with_context(|| format!("link {} to {}", link.display(), target.display()))
    }

    /// Where a program that was found came from.
    pub(crate) fn origin(&self, path: &Path) -> Origin {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let within = |folder: PathBuf| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
        if within(self.upstream()) {
            Origin::Upstream
        } else if within(self.debian()) {
            Origin::Debian
        } else {
            Origin::Path
        }
    }
}

fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("create {}; MISSION_CACHE names another place", folder.display()))
}
