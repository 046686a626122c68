//! Where supervisord listens: in the run folder, or, since a socket's path may have 107 bytes at most, in a short
//! private folder when the project lies deep.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::project::Project;
use crate::render::hex;

/// `sun_path` has 108 bytes with its final zero; supervisord first binds a longer, temporary name of its own.
const LONGEST: usize = 90;

/// The socket of a project.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    folder: Option<PathBuf>,
}

impl Socket {
    /// The same project always has the same socket.
    pub(crate) fn of(project: &Project) -> Self {
        let path = project.run().join("supervisor.sock");
        if path.as_os_str().len() <= LONGEST {
            return Self { path, folder: None };
        }
        let base = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|base| base.is_dir());
        let uid = rustix::process::getuid().as_raw();
        let folder = base
            .unwrap_or_else(|| PathBuf::from("/tmp"))
            .join(format!("mission-control-{uid}"));
        let digest = Sha256::digest(project.root().as_os_str().as_encoded_bytes());
        let name = hex(&digest[..6]);
        Self {
            path: folder.join(format!("{name}.sock")),
            folder: Some(folder),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder when it is one of ours, and trusts one that is there only when nobody else can write to it.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if let Err(error) = fs::DirBuilder::new().mode(0o700).create(folder)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("create {}", folder.display()));
        }
        let metadata = folder
            .symlink_metadata()
            .with_context(|| format!("look at {}", folder.display()))?;
        let is_private = metadata.is_dir()
            && metadata.uid() == rustix::process::getuid().as_raw()
            && (metadata.mode() & 0o777) == 0o700;
        if !is_private {
            bail!(
                "{} is not a private folder of yours; remove it, or move the project to a shorter path",
                folder.display()
            );
        }
        Ok(())
    }
}
